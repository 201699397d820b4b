/*
 * vec_ref.h - portable functions that faster tables use for odd ends (private)
 */
#ifndef QUERN_KERNELS_VEC_REF_H
#define QUERN_KERNELS_VEC_REF_H

#include <stddef.h>

void rope_half_ref(float *x, size_t heads, size_t dim, const float *cos,
    const float *sin);
void rope_pairs_ref(float *x, size_t heads, size_t dim, const float *cos,
    const float *sin);
void f16_to_f32_row_ref(float *dst, const void *src, size_t n);

#endif
