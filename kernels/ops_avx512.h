/*
 * ops_avx512.h - what the AVX-512 table takes from other files (private)
 */
#ifndef QUERN_KERNELS_OPS_AVX512_H
#define QUERN_KERNELS_OPS_AVX512_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/qtype.h"

void act_encode_avx512(enum act_type t, void *dst, const float *x, size_t rows,
    size_t cols);
void matmul_avx512(float *y, size_t ldy, const void *w, enum qtype t,
    size_t row0, size_t row1, size_t cols, const void *act, size_t n_act);
void matmul_interleaved_avx512(float *y, size_t ldy, const void *w,
    enum qtype t, size_t row0, size_t row1, size_t cols, const void *act,
    size_t n_act);
/* Packed types, one activation: y[r]. */
void matmul_one_avx512(float *y, const uint8_t *w, enum qtype t, size_t row0,
    size_t row1, size_t cols, const uint8_t *act);
/* `side`: the weights are interleaved (interleave.h), row0, row1 whole groups,
 * and n_act > 1. */
void matmul_float_avx512(float *y, size_t ldy, const void *w, enum qtype t,
    bool side, size_t row0, size_t row1, size_t cols, const void *act,
    size_t n_act);
void attn_scores_avx512(float *s, size_t lds, const float *q, size_t ldq,
    size_t n_q, const float *k, size_t ldk, size_t n_k, size_t dim,
    float scale);
void attn_mix_avx512(float *y, size_t ldy, const float *p, size_t ldp,
    size_t n_q, const float *v, size_t ldv, size_t n_k, size_t dim);

#endif
