/*
 * immintrin.h - AVX-512 intrinsics on a machine with AVX2 only, for tests
 *
 * Put before the system's folders, so that kernels see it in place of the
 * compiler's header. SIMDe does each AVX-512 operation with two of AVX2; what
 * it lacks follows, lane by lane from the instruction's definition or, where
 * AVX2 has the same for half as many lanes, in halves.
 */
#ifndef QUERN_TESTS_SIMDE_IMMINTRIN_H
#define QUERN_TESTS_SIMDE_IMMINTRIN_H

#include_next <immintrin.h>

#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>

#include <stdint.h>
#include <string.h>

#define EMULATED static inline __attribute__((always_inline, unused))

/* ---- loads and stores of some lanes: the others are not touched ---- */

EMULATED __m512
emulated_maskz_loadu_ps(uint32_t k, const void *p)
{
    float v[16] = { 0.0f };

    for (int i = 0; i < 16; i++)
        if (k >> i & 1)
            memcpy(v + i, (const char *)p + 4 * i, 4);
    return _mm512_loadu_ps(v);
}
#define _mm512_maskz_loadu_ps(k, p) emulated_maskz_loadu_ps(k, p)

EMULATED void
emulated_mask_storeu(char *p, uint32_t k, const float *v, int n)
{
    for (int i = 0; i < n; i++)
        if (k >> i & 1)
            memcpy(p + 4 * i, v + i, 4);
}

EMULATED void
emulated_512_mask_storeu_ps(void *p, uint32_t k, __m512 x)
{
    float v[16];

    _mm512_storeu_ps(v, x);
    emulated_mask_storeu(p, k, v, 16);
}
#define _mm512_mask_storeu_ps(p, k, x) emulated_512_mask_storeu_ps(p, k, x)

EMULATED void
emulated_mask_storeu_ps(void *p, uint32_t k, __m128 x)
{
    float v[4];

    _mm_storeu_ps(v, x);
    emulated_mask_storeu(p, k, v, 4);
}
#define _mm_mask_storeu_ps(p, k, x) emulated_mask_storeu_ps(p, k, x)

/* ---- calls: hundreds of them inline would compile for a minute ---- */

static __attribute__((noinline, unused)) __m512i
emulated_dpbusd(__m512i v, __m512i a, __m512i b)
{
    return simde_mm512_dpbusd_epi32(v, a, b);
}
#undef _mm512_dpbusd_epi32
#define _mm512_dpbusd_epi32(v, a, b) emulated_dpbusd(v, a, b)

static __attribute__((noinline, unused)) __m512i
emulated_dpwssd(__m512i v, __m512i a, __m512i b)
{
    return simde_mm512_dpwssd_epi32(v, a, b);
}
#undef _mm512_dpwssd_epi32
#define _mm512_dpwssd_epi32(v, a, b) emulated_dpwssd(v, a, b)

/* ---- in halves ---- */

EMULATED __m512i
emulated_join(__m256i lower, __m256i upper)
{
    __m512i v;

    memcpy(&v, &lower, 32);
    memcpy((char *)&v + 32, &upper, 32);
    return v;
}

EMULATED __m256i
emulated_half(__m512i v, int upper)
{
    __m256i h;

    memcpy(&h, (const char *)&v + 32 * upper, 32);
    return h;
}

#define EMULATED_IN_HALVES(name, type, argument, each) \
    EMULATED type \
    emulated_##name(argument x) \
    { \
        __m512i v = (__m512i)x; \
        __m256i h = emulated_half(v, 0); \
        __m256i lower = (__m256i)(each); \
        h = emulated_half(v, 1); \
        return (type)emulated_join(lower, (__m256i)(each)); \
    }

EMULATED_IN_HALVES(cvtepi32_ps, __m512, __m512i, _mm256_cvtepi32_ps(h))
EMULATED_IN_HALVES(cvttps_epi32, __m512i, __m512,
    _mm256_cvttps_epi32((__m256)h))
EMULATED_IN_HALVES(cvtps_epi32, __m512i, __m512,
    _mm256_cvtps_epi32((__m256)h))
#define _mm512_cvtepi32_ps(x) emulated_cvtepi32_ps(x)
#define _mm512_cvttps_epi32(x) emulated_cvttps_epi32(x)
#define _mm512_cvtps_epi32(x) emulated_cvtps_epi32(x)

EMULATED __m512i
emulated_srai_epi32(__m512i v, unsigned n)
{
    return emulated_join(_mm256_srai_epi32(emulated_half(v, 0), (int)n),
        _mm256_srai_epi32(emulated_half(v, 1), (int)n));
}
#undef _mm512_srai_epi32
#define _mm512_srai_epi32(v, n) emulated_srai_epi32(v, n)

EMULATED __m512
emulated_cvtph_ps(__m256i v)
{
    return (__m512)emulated_join(
        (__m256i)_mm256_cvtph_ps(_mm256_castsi256_si128(v)),
        (__m256i)_mm256_cvtph_ps(_mm256_extracti128_si256(v, 1)));
}
#define _mm512_cvtph_ps(v) emulated_cvtph_ps(v)

/* The lowest byte of each number. */
EMULATED __m128i
emulated_cvtepi32_epi8(__m512i v)
{
    uint8_t b[64];

    memcpy(b, &v, 64);
    for (int i = 0; i < 16; i++)
        b[i] = b[4 * i];
    return _mm_loadu_si128((const __m128i *)(const void *)b);
}
#define _mm512_cvtepi32_epi8(v) emulated_cvtepi32_epi8(v)

/* ---- 128-bit lanes: two of a, then two of b ---- */

EMULATED __m512
emulated_shuffle_f32x4(__m512 a, __m512 b, int imm)
{
    __m512 v;

    for (int i = 0; i < 4; i++)
        memcpy((char *)&v + 16 * i, (const char *)(i < 2 ? &a : &b) +
            16 * (imm >> 2 * i & 3), 16);
    return v;
}
#define _mm512_shuffle_f32x4(a, b, imm) emulated_shuffle_f32x4(a, b, imm)

#endif
