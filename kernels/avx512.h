/*
 * avx512.h - small AVX-512 pieces that several files need (private)
 *
 * Files named _avx512 use F, BW, DQ, VL and VNNI, which came together in
 * servers of 2019 and later. No gathers: microcode against data sampling made
 * them slower than the loads they stand for.
 */
#ifndef QUERN_KERNELS_AVX512_H
#define QUERN_KERNELS_AVX512_H

#if defined(__AVX2__)

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/avx2.h"

#define INLINE static inline __attribute__((always_inline))

INLINE __m512i
load64(const void *p)
{
    return _mm512_loadu_si512(p);
}

INLINE void
store64(void *p, __m512i v)
{
    _mm512_storeu_si512(p, v);
}

/* The same four bytes in every 32-bit lane. */
INLINE __m512i
fill4(const void *p)
{
    int32_t v;
    memcpy(&v, p, sizeof v);
    return _mm512_set1_epi32(v);
}

INLINE __m512
fill_float(const void *p)
{
    return _mm512_castsi512_ps(fill4(p));
}

/* 32 bytes from a below, 32 from b above. */
INLINE __m512i
load_two(const void *a, const void *b)
{
    return _mm512_inserti64x4(_mm512_castsi256_si512(load_bytes(a)),
        load_bytes(b), 1);
}

INLINE __m512i
low_bits(__m512i v, int mask)
{
    return _mm512_and_si512(v, _mm512_set1_epi8((char)mask));
}

/* Bytes shifted right, then masked: the mask must hide what came across. */
INLINE __m512i
bits_at(__m512i v, int shift, int mask)
{
    return low_bits(_mm512_srlv_epi16(v, _mm512_set1_epi16((short)shift)),
        mask);
}

/* Likewise shifted left. */
INLINE __m512i
bits_up(__m512i v, int shift, int mask)
{
    return low_bits(_mm512_sllv_epi16(v, _mm512_set1_epi16((short)shift)),
        mask);
}

/* (a, b) as two 16-bit numbers in each 32-bit lane. */
INLINE void
put_pair(int16_t *dst, __m512i a, __m512i b)
{
    store64(dst, _mm512_or_si512(_mm512_slli_epi32(b, 16),
        _mm512_and_si512(a, _mm512_set1_epi32(0xffff))));
}

/* The first n of sixteen lanes. */
INLINE __mmask16
first16(size_t n)
{
    return (__mmask16)(n >= 16 ? 0xffff : (1u << n) - 1);
}

/* The first n floats, zeros behind them; nothing is read beyond. */
INLINE __m512
load_first(const float *p, size_t n)
{
    return _mm512_maskz_loadu_ps(first16(n), p);
}

INLINE void
store_first(float *p, __m512 v, size_t n)
{
    _mm512_mask_storeu_ps(p, first16(n), v);
}

INLINE __m256
lower8(__m512 v)
{
    return _mm512_castps512_ps256(v);
}

INLINE __m256
upper8(__m512 v)
{
    return _mm256_castsi256_ps(
        _mm512_extracti64x4_epi64(_mm512_castps_si512(v), 1));
}

/*
 * 16 x 8 transpose of 32-bit lanes: out[k] lane r = number k of row r. in[i]
 * holds eight numbers of row `low_row(i)` below, of the fourth after it above.
 */
INLINE size_t
low_row(size_t i)
{
    return i < 4 ? i : i + 4;
}

INLINE void
transpose16(const __m512i in[8], __m512i out[8])
{
    __m512i u[4], v[4];

    UNROLL
    for (int h = 0; h < 2; h++) {
        const __m512i *x = in + 4 * h;
        __m512i *y = h ? v : u;
        __m512i t0 = _mm512_unpacklo_epi32(x[0], x[1]);
        __m512i t1 = _mm512_unpackhi_epi32(x[0], x[1]);
        __m512i t2 = _mm512_unpacklo_epi32(x[2], x[3]);
        __m512i t3 = _mm512_unpackhi_epi32(x[2], x[3]);

        y[0] = _mm512_unpacklo_epi64(t0, t2);
        y[1] = _mm512_unpackhi_epi64(t0, t2);
        y[2] = _mm512_unpacklo_epi64(t1, t3);
        y[3] = _mm512_unpackhi_epi64(t1, t3);
    }
    UNROLL
    for (int k = 0; k < 4; k++) {
        out[k] = _mm512_shuffle_i32x4(u[k], v[k], 0x88);
        out[k + 4] = _mm512_shuffle_i32x4(u[k], v[k], 0xdd);
    }
}

#endif
#endif
