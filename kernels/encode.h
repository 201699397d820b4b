/*
 * encode.h - float32 weights into blocks, as llama.cpp rounds them
 */
#ifndef QUERN_KERNELS_ENCODE_H
#define QUERN_KERNELS_ENCODE_H

#include <stddef.h>

#include "kernels/qtype.h"

/*
 * qtype_encode - quantize rows of weights
 *
 * Shapes   w [rows][cols] row-major and dense; dst has rows *
 *          qtype_row_bytes(t, cols) bytes; importance is [cols] (one value for
 *          each input column, shared by all rows) or NULL.
 * Needs    cols a multiple of the block of t; importance finite and >= 0; no
 *          overlap; default rounding mode. Nothing is allocated.
 * Numbers  byte-identical to ggml_quantize_chunk of llama.cpp v0.5.0 built for
 *          plain x86-64, with and without importance, on every machine here.
 *          Types that llama.cpp encodes without looking at importance (F32,
 *          F16, BF16, Q8_0) ignore it here too.
 * Returns  rows * cols, or the index of the first weight that cannot be stored:
 *          NaN, infinite, or larger in magnitude than 65504, the largest
 *          float16 (for BF16 its own largest; F32 has no such limit). dst is
 *          then unspecified.
 * Source   quantization as in ggml-quants; see the comment in each encode_*.c.
 * Twins    vector versions return the same bytes: tests/kernels/encode.c
 */
size_t qtype_encode(enum qtype t, void *dst, const float *w, size_t rows,
    size_t cols, const float *importance);

#endif
