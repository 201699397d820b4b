/*
 * ops_avx2.h - what the AVX2 table takes from other files (private)
 */
#ifndef QUERN_KERNELS_OPS_AVX2_H
#define QUERN_KERNELS_OPS_AVX2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/measure.h"
#include "kernels/qtype.h"

void act_encode_avx2(enum act_type t, void *dst, const float *x, size_t rows,
    size_t cols);
void encode_row_avx2(enum qtype t, uint8_t *dst, const float *w, size_t cols,
    const float *h);
void encode_q8_0_avx2(uint8_t *b, const float *w, size_t cols, const float *h);
/* Without importance. */
void encode_q4_0_plain_avx2(uint8_t *b, const float *w, size_t cols);
void decode_avx2(enum qtype t, float *y, const uint8_t *b, size_t n);
size_t first_beyond_avx2(const float *x, size_t n, float limit);
void row_squares_avx2(struct squares *s, const float *want, const float *got,
    const double *m, size_t rows, size_t n);
void matmul_avx2(float *y, size_t ldy, const void *w, enum qtype t, size_t row0,
    size_t row1, size_t cols, const void *act, size_t n_act);
void matmul_interleaved_avx2(float *y, size_t ldy, const void *w, enum qtype t,
    size_t row0, size_t row1, size_t cols, const void *act, size_t n_act);
/* Packed types, one activation: y[r]. */
void matmul_one_avx2(float *y, const uint8_t *w, enum qtype t, size_t row0,
    size_t row1, size_t cols, const uint8_t *act);
/* `side`: the weights are interleaved (interleave.h), row0, row1 whole groups. */
void matmul_float_avx2(float *y, size_t ldy, const void *w, enum qtype t,
    bool side, size_t row0, size_t row1, size_t cols, const void *act,
    size_t n_act);
void rope_pairs_avx2(float *x, size_t heads, size_t dim, const float *cos,
    const float *sin);

#endif
