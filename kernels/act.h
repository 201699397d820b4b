/*
 * act.h - activations in the form a product with packed weights wants
 *
 * A row of `cols` activations becomes act_row_bytes bytes, rows dense one after
 * the other. What is inside is private to kernels/: 8-bit codes, then the
 * scales, then sums of codes; the numbers are those of ggml's reference
 * quantizers quantize_row_q8_0, q8_1 and q8_K, so that perplexities agree.
 */
#ifndef QUERN_KERNELS_ACT_H
#define QUERN_KERNELS_ACT_H

#include <stddef.h>

#include "kernels/qtype.h"

/*
 * A multiple of 64; 0 if cols is zero or no multiple of the block (1 for F32,
 * 32 for Q8_0 and Q8_1, 256 for Q8_K). Rows are fastest when dst is aligned to
 * 64 bytes, but any alignment that suits float works.
 */
size_t act_row_bytes(enum act_type t, size_t cols);

/*
 * act_encode - x [rows][cols], dense, into dst
 *
 * Needs    cols as for act_row_bytes, no overlap, dst aligned for float. A row
 *          does not depend on its neighbours, so rows may be split over threads
 *          (dst + row * act_row_bytes).
 * Numbers  Q8_0, Q8_1: d = absmax / 127, code = round half away(x / d), d kept
 *          rounded to float16; Q8_1 also keeps float16(d * sum of codes). Q8_K:
 *          d from the value of largest magnitude, code = nearest even. A row
 *          with a NaN or infinity gives unspecified codes, never a crash.
 * Twins    the same bytes on every ISA: tests/kernels/act.c
 */
void act_encode(enum act_type t, void *dst, const float *x, size_t rows,
    size_t cols);

#endif
