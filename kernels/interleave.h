/*
 * interleave.h - packed weights with eight rows side by side
 *
 * A file holds one row after the other. Decoding a token meets each weight
 * once, with one activation; rows side by side then need no sum across lanes:
 * one load brings the same columns of eight rows. Who decodes much copies the
 * matrix once into that order, which takes the same number of bytes:
 *
 *   a group of eight rows, block by block (float types: column by column), each
 *   field of the block in units of 2 bytes (scales d, m, dmin; F16, BF16) or of
 *   4 bytes (all else), unit u of row 0, of row 1, .. of row 7, then unit u + 1;
 *   fields in the order in which they are read, so that memory streams: d, dmin
 *   and scales first, and of Q6_K the low bits of the columns 4k, 32 + 4k and
 *   their high bits by turns
 */
#ifndef QUERN_KERNELS_INTERLEAVE_H
#define QUERN_KERNELS_INTERLEAVE_H

#include <stdbool.h>
#include <stddef.h>

#include "kernels/qtype.h"

/* Rows of a group. */
enum { INTERLEAVE = 8 };

/* Whether matmul_interleaved takes that type on the ISA in force. */
bool interleave_has(enum qtype t);

/*
 * interleave_rows - rows [row0, row1) of src, reordered, to the same bytes of dst
 * Needs    row0 and row1 multiples of INTERLEAVE; no overlap. Any ISA.
 */
void interleave_rows(void *dst, const void *src, enum qtype t, size_t row0,
    size_t row1, size_t cols);

/*
 * matmul_interleaved - matmul_packed (matmul.h) on such rows; the same bits
 * Needs    interleave_has(t); row0 and row1 multiples of INTERLEAVE.
 */
void matmul_interleaved(float *y, size_t ldy, const void *w, enum qtype t,
    size_t row0, size_t row1, size_t cols, const void *act, size_t n_act);

#endif
