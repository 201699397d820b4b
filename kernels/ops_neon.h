/*
 * ops_neon.h - what the NEON tables take from other files (private)
 *
 * Two tables, `neon` for every 64-bit Arm and `neon-dot` for those with SDOT
 * (the dot-product extension), differ in the products of packed weights only.
 */
#ifndef QUERN_KERNELS_OPS_NEON_H
#define QUERN_KERNELS_OPS_NEON_H

#include <stddef.h>

#include "kernels/qtype.h"

void act_encode_neon(enum act_type t, void *dst, const float *x, size_t rows,
    size_t cols);
void matmul_neon(float *y, size_t ldy, const void *w, enum qtype t, size_t row0,
    size_t row1, size_t cols, const void *act, size_t n_act);
void matmul_dot_neon(float *y, size_t ldy, const void *w, enum qtype t,
    size_t row0, size_t row1, size_t cols, const void *act, size_t n_act);
void matmul_float_neon(float *y, size_t ldy, const void *w, enum qtype t,
    size_t row0, size_t row1, size_t cols, const void *act, size_t n_act);

float dot_neon(const float *a, const float *b, size_t n);
void attn_scores_neon(float *s, size_t lds, const float *q, size_t ldq,
    size_t n_q, const float *k, size_t ldk, size_t n_k, size_t dim,
    float scale);
void attn_mix_neon(float *y, size_t ldy, const float *p, size_t ldp, size_t n_q,
    const float *v, size_t ldv, size_t n_k, size_t dim);

#endif
