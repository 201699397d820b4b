/*
 * avx2.h - small AVX2 pieces that several files need (private)
 */
#ifndef QUERN_KERNELS_AVX2_H
#define QUERN_KERNELS_AVX2_H

#if defined(__AVX2__)

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* For loops over registers: they stay registers only if it is unrolled. */
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

static inline __m256i
load_bytes(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

static inline void
store_bytes(void *p, __m256i v)
{
    _mm256_storeu_si256((__m256i *)p, v);
}

static inline __m128i
load_half(const void *p)
{
    return _mm_loadu_si128((const __m128i *)p);
}

/* The same four bytes in every 32-bit lane. */
static inline __m256i
spread4(const void *p)
{
    int32_t v;
    memcpy(&v, p, sizeof v);
    return _mm256_set1_epi32(v);
}

/* The first n (< 8) floats, zeros behind them; nothing is read beyond. */
static inline __m256i
mask8(size_t n)
{
    const __m256i i = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), i);
}

static inline __m256
load_some(const float *p, size_t n)
{
    return n >= 8 ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, mask8(n));
}

static inline void
store_some(float *p, __m256 v, size_t n)
{
    if (n >= 8)
        _mm256_storeu_ps(p, v);
    else
        _mm256_maskstore_ps(p, mask8(n), v);
}

/* Lanes 16 -> 8 -> 4 -> 2 -> 1; lo holds virtual lanes 0-7, hi 8-15. */
static inline float
fold16(__m256 lo, __m256 hi)
{
    __m256 s = _mm256_add_ps(lo, hi);
    __m128 q = _mm_add_ps(_mm256_castps256_ps128(s),
        _mm256_extractf128_ps(s, 1));

    q = _mm_add_ps(q, _mm_movehl_ps(q, q));
    q = _mm_add_ss(q, _mm_movehdup_ps(q));
    return _mm_cvtss_f32(q);
}

static inline int
two_bytes(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline int
four_bytes(const uint8_t *p)
{
    int v;
    memcpy(&v, p, sizeof v);
    return v;
}

/*
 * The same field of eight blocks. Put together in a register: eight small
 * stores read back as one would have to wait for all of them to retire.
 */
static inline __m256
eight_f16(const uint8_t *const b[8], size_t at)
{
    __m128i v = _mm_cvtsi32_si128(two_bytes(b[0] + at));

    v = _mm_insert_epi16(v, two_bytes(b[1] + at), 1);
    v = _mm_insert_epi16(v, two_bytes(b[2] + at), 2);
    v = _mm_insert_epi16(v, two_bytes(b[3] + at), 3);
    v = _mm_insert_epi16(v, two_bytes(b[4] + at), 4);
    v = _mm_insert_epi16(v, two_bytes(b[5] + at), 5);
    v = _mm_insert_epi16(v, two_bytes(b[6] + at), 6);
    v = _mm_insert_epi16(v, two_bytes(b[7] + at), 7);
    return _mm256_cvtph_ps(v);
}

static inline __m256i
eight_u32(const uint8_t *const b[8], size_t at)
{
    __m128i v = _mm_cvtsi32_si128(four_bytes(b[0] + at));
    __m128i w = _mm_cvtsi32_si128(four_bytes(b[4] + at));

    v = _mm_insert_epi32(v, four_bytes(b[1] + at), 1);
    w = _mm_insert_epi32(w, four_bytes(b[5] + at), 1);
    v = _mm_insert_epi32(v, four_bytes(b[2] + at), 2);
    w = _mm_insert_epi32(w, four_bytes(b[6] + at), 2);
    v = _mm_insert_epi32(v, four_bytes(b[3] + at), 3);
    w = _mm_insert_epi32(w, four_bytes(b[7] + at), 3);
    return _mm256_set_m128i(w, v);
}

/*
 * The packed 6-bit numbers of Q4_K and Q5_K as bytes, eight scales and then
 * eight minima; 16 bytes are read, twelve of them used.
 */
static inline __m128i
k4_bytes(const uint8_t *s)
{
    const __m128i low = _mm_setr_epi32(0x3f3f3f3f, 0x0f0f0f0f, 0x3f3f3f3f,
        0x0f0f0f0f);
    const __m128i high = _mm_setr_epi32(0, 0x30303030, 0, 0x30303030);
    __m128i v = load_half(s);
    __m128i lower = _mm_srlv_epi32(_mm_shuffle_epi32(v, 0x98),
        _mm_setr_epi32(0, 0, 0, 4));
    __m128i upper = _mm_srli_epi32(_mm_shuffle_epi32(v, 0x50), 2);

    return _mm_or_si128(_mm_and_si128(lower, low),
        _mm_and_si128(upper, high));
}

/*
 * The sixteen packed 6-bit scales of Q3_K as signed bytes. Two bytes before
 * their twelve are read too: behind them a block may end, and with it the file.
 */
static inline __m128i
k3_bytes(const uint8_t *s)
{
    const __m128i first = _mm_setr_epi8(2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5, 6,
        7, 8, 9);
    const __m128i last = _mm_setr_epi8(10, 11, 12, 13, 10, 11, 12, 13, 10, 11,
        12, 13, 10, 11, 12, 13);
    __m128i v = load_half(s - 2);
    __m128i lower = _mm_and_si128(_mm_srlv_epi32(_mm_shuffle_epi8(v, first),
        _mm_setr_epi32(0, 0, 4, 4)), _mm_set1_epi8(15));
    __m128i upper = _mm_and_si128(_mm_srlv_epi32(_mm_shuffle_epi8(v, last),
        _mm_setr_epi32(0, 2, 4, 6)), _mm_set1_epi8(3));

    return _mm_sub_epi8(_mm_or_si128(lower, _mm_slli_epi32(upper, 4)),
        _mm_set1_epi8(32));
}

/* 8 x 8 transpose of 32-bit lanes: out[k] lane r = in[r] lane k. */
static inline void
transpose8(const __m256i in[8], __m256i out[8])
{
    __m256i t0 = _mm256_unpacklo_epi32(in[0], in[1]);
    __m256i t1 = _mm256_unpackhi_epi32(in[0], in[1]);
    __m256i t2 = _mm256_unpacklo_epi32(in[2], in[3]);
    __m256i t3 = _mm256_unpackhi_epi32(in[2], in[3]);
    __m256i t4 = _mm256_unpacklo_epi32(in[4], in[5]);
    __m256i t5 = _mm256_unpackhi_epi32(in[4], in[5]);
    __m256i t6 = _mm256_unpacklo_epi32(in[6], in[7]);
    __m256i t7 = _mm256_unpackhi_epi32(in[6], in[7]);
    __m256i u0 = _mm256_unpacklo_epi64(t0, t2);
    __m256i u1 = _mm256_unpackhi_epi64(t0, t2);
    __m256i u2 = _mm256_unpacklo_epi64(t1, t3);
    __m256i u3 = _mm256_unpackhi_epi64(t1, t3);
    __m256i u4 = _mm256_unpacklo_epi64(t4, t6);
    __m256i u5 = _mm256_unpackhi_epi64(t4, t6);
    __m256i u6 = _mm256_unpacklo_epi64(t5, t7);
    __m256i u7 = _mm256_unpackhi_epi64(t5, t7);

    out[0] = _mm256_permute2x128_si256(u0, u4, 0x20);
    out[1] = _mm256_permute2x128_si256(u1, u5, 0x20);
    out[2] = _mm256_permute2x128_si256(u2, u6, 0x20);
    out[3] = _mm256_permute2x128_si256(u3, u7, 0x20);
    out[4] = _mm256_permute2x128_si256(u0, u4, 0x31);
    out[5] = _mm256_permute2x128_si256(u1, u5, 0x31);
    out[6] = _mm256_permute2x128_si256(u2, u6, 0x31);
    out[7] = _mm256_permute2x128_si256(u3, u7, 0x31);
}

#endif
#endif
