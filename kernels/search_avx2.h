/*
 * search_avx2.h - the searches of search.h on eight blocks at a time (private)
 *
 * One block to a lane: each lane does what the portable function does, in the
 * same order, so the numbers agree to the last bit. x and w are [n] registers,
 * register i holding element i of the eight blocks. Codes go to
 * q[lane * n + i].
 */
#ifndef QUERN_KERNELS_SEARCH_AVX2_H
#define QUERN_KERNELS_SEARCH_AVX2_H

#if defined(__AVX2__)

#include <immintrin.h>
#include <stdint.h>

#include "kernels/search.h"

/* x[i] = element i of eight blocks of n (16 or 32). */
void lanes_load(__m256 *x, const float *const block[8], int n);
/* a[i] = h[i] * sqrt(sigma2 + x[i]^2), sum of a to *sum. */
void lanes_weights(__m256 *a, const __m256 *h, const __m256 *x, int n,
    __m256 sigma2, __m256 *sum);

/* search_signed; w NULL means x^2. scale is [8]. */
void search_signed8(int n, int nmax, const __m256 *x, const __m256 *w,
    uint8_t *q, float *scale);
/*
 * search_affine. Returns 0, with nothing of use stored, if a block is so flat
 * that nearest() might leave its range: the caller takes the portable function.
 */
int search_affine8(int n, int nmax, const __m256 *x, const __m256 *w,
    struct affine_walk walk, uint8_t *q, float *scale, float *min);
/* search_iq4. */
void search_iq4_8(int n, const __m256 *x, const __m256 *w, float *scale);
/* nearest_iq4(inv * x[i]) for 32 values in memory. inv * x[i] is no NaN. */
void nearest_iq4_32(uint8_t *q, const float *x, float inv);

#endif
#endif
