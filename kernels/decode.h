/*
 * decode.h - stored weights back to float32
 */
#ifndef QUERN_KERNELS_DECODE_H
#define QUERN_KERNELS_DECODE_H

#include <stddef.h>

#include "kernels/qtype.h"

/*
 * qtype_decode - y[i] = value of weight i, i in [0, n)
 *
 * Shapes   w holds n weights, n a multiple of the block of t; y is [n].
 * Needs    no overlap; w may have any alignment.
 * Numbers  scale products first, in float32, then times the code: the same
 *          bits as ggml's dequantize functions on every machine.
 * Source   GGUF block formats (ggml-quants).
 */
void qtype_decode(enum qtype t, float *y, const void *w, size_t n);

#endif
