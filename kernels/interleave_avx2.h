/*
 * interleave_avx2.h - interleaved groups, as the AVX2 products read them
 * (private)
 */
#ifndef QUERN_KERNELS_INTERLEAVE_AVX2_H
#define QUERN_KERNELS_INTERLEAVE_AVX2_H

#if defined(__AVX2__)

#include "kernels/avx2.h"
#include "kernels/interleave.h"

/* Eight float16 side by side, as floats. */
static inline __m256
side_f16(const uint8_t *p)
{
    return _mm256_cvtph_ps(load_half(p));
}

/* Where the fields of an interleaved block of 256 lie. */
enum {
    SIDE_Q4_K_D = 0, SIDE_Q4_K_DMIN = 16, SIDE_Q4_K_SC = 32,
    SIDE_Q4_K_QS = 128,
    SIDE_Q6_K_D = 0, SIDE_Q6_K_SC = 16, SIDE_Q6_K_Q = 144
};

/* One activation: y[r] of rows [row0, row1). */
void matmul_one_side_avx2(float *y, const uint8_t *w, enum qtype t, size_t row0,
    size_t row1, size_t cols, const uint8_t *act);

#endif
#endif
