/*
 * Activations to 8 bits on AVX-512: the bytes of act_encode_ref
 */
#include "kernels/act.h"

#include "kernels/ops.h"

#if defined(__AVX2__)

#include <string.h>

#include "kernels/act_layout.h"
#include "kernels/avx512.h"
#include "kernels/ops_avx512.h"

INLINE __m512
abs16(__m512 v)
{
    return _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(v),
        _mm512_set1_epi32(0x7fffffff)));
}

/* Largest of sixteen that are not NaN. */
INLINE float
max_of16(__m512 v)
{
    __m256 h = _mm256_max_ps(lower8(v), upper8(v));
    __m128 q = _mm_max_ps(_mm256_castps256_ps128(h),
        _mm256_extractf128_ps(h, 1));

    q = _mm_max_ps(q, _mm_movehl_ps(q, q));
    q = _mm_max_ss(q, _mm_movehdup_ps(q));
    return _mm_cvtss_f32(q);
}

INLINE int
sum_of16(__m512i v)
{
    __m256i h = _mm256_add_epi32(_mm512_castsi512_si256(v),
        _mm512_extracti64x4_epi64(v, 1));
    __m128i q = _mm_add_epi32(_mm256_castsi256_si128(h),
        _mm256_extracti128_si256(h, 1));

    q = _mm_add_epi32(q, _mm_shuffle_epi32(q, 0x4e));
    q = _mm_add_epi32(q, _mm_shuffle_epi32(q, 0xb1));
    return _mm_cvtsi128_si32(q);
}

INLINE void
put_codes(uint8_t *dst, __m512i v)
{
    _mm_storeu_si128((__m128i *)(void *)dst, _mm512_cvtepi32_epi8(v));
}

/* Sixteen codes of round half away; what is past 127 (NaN, infinity): 0. */
INLINE __m512i
round_away(__m512 v)
{
    /* trunc(v + copysign(p, v)), p just under 1/2 */
    const __m512i half = _mm512_castps_si512(_mm512_set1_ps(0x1.fffffep-2f));
    const __m512i sign = _mm512_castps_si512(_mm512_set1_ps(-0.0f));
    __m512i p = _mm512_or_si512(half,
        _mm512_and_si512(_mm512_castps_si512(v), sign));
    __m512i q = _mm512_cvttps_epi32(_mm512_add_ps(v, _mm512_castsi512_ps(p)));

    return _mm512_maskz_mov_epi32(_mm512_cmple_epu32_mask(_mm512_abs_epi32(q),
        _mm512_set1_epi32(127)), q);
}

static void
encode_row_32(enum act_type t, uint8_t *dst, const float *x, size_t cols)
{
    for (size_t b = 0; b < cols / 32; b++, x += 32) {
        __m512 v0 = _mm512_loadu_ps(x), v1 = _mm512_loadu_ps(x + 16);
        __m512 top = _mm512_max_ps(abs16(v0), _mm512_setzero_ps());
        float m = max_of16(_mm512_max_ps(abs16(v1), top));
        float d = m < ACT_TINY ? 0.0f : m / 127.0f;
        const __m512 inv = _mm512_set1_ps(d != 0.0f ? 1.0f / d : 0.0f);
        __m512i q0 = round_away(_mm512_mul_ps(v0, inv));
        __m512i q1 = round_away(_mm512_mul_ps(v1, inv));
        int32_t total = sum_of16(_mm512_add_epi32(q0, q1));
        __m128 ds = _mm_setr_ps(d, (float)total * d, 0.0f, 0.0f);
        float kept[4];

        put_codes(dst + 32 * b, q0);
        put_codes(dst + 32 * b + 16, q1);
        _mm_storeu_ps(kept, _mm_cvtph_ps(_mm_cvtps_ph(ds,
            _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)));
        memcpy(dst + act_off_d(cols) + 4 * b, &kept[0], 4);
        memcpy(dst + act_off_sum(cols, 32) + 4 * b,
            t == ACT_Q8_1 ? (const void *)&kept[1] : (const void *)&total, 4);
    }
}

/* The first of the values of largest magnitude `top`. */
static float
first_with(const float *x, float top)
{
    const __m512 m = _mm512_set1_ps(top);

    for (int i = 0; i < 256; i += 16) {
        unsigned hit = _mm512_cmp_ps_mask(abs16(_mm512_loadu_ps(x + i)), m,
            _CMP_EQ_OQ);
        if (hit)
            return x[i + __builtin_ctz(hit)];
    }
    return 0.0f;
}

/* 256 codes, and their sums by 16 and by 32. */
INLINE void
codes_256(uint8_t *dst, const float *x, float inv, int16_t s16[16],
    int16_t s32[8])
{
    const __m512 by = _mm512_set1_ps(inv);
    const __m512i top = _mm512_set1_epi32(127), low = _mm512_set1_epi32(-127);

    for (int i = 0; i < 16; i++) {
        __m512i q = _mm512_cvtps_epi32(
            _mm512_mul_ps(_mm512_loadu_ps(x + 16 * i), by));

        q = _mm512_max_epi32(_mm512_min_epi32(q, top), low);
        put_codes(dst + 16 * i, q);
        s16[i] = (int16_t)sum_of16(q);
    }
    for (int i = 0; i < 8; i++)
        s32[i] = (int16_t)(s16[2 * i] + s16[2 * i + 1]);
}

static void
encode_row_256(uint8_t *dst, const float *x, size_t cols)
{
    for (size_t b = 0; b < cols / 256; b++, x += 256) {
        __m512 top = _mm512_setzero_ps();
        int16_t s16[16], s32[8];
        float d = 0.0f;

        for (int i = 0; i < 256; i += 16)
            top = _mm512_max_ps(abs16(_mm512_loadu_ps(x + i)), top);
        float m = max_of16(top);
        if (m >= ACT_TINY && m <= 0x1.fffffep127f) {
            float inv = -127.0f / first_with(x, m);

            codes_256(dst + 256 * b, x, inv, s16, s32);
            d = 1.0f / inv;
        } else {
            memset(dst + 256 * b, 0, 256);
            memset(s16, 0, sizeof s16);
            memset(s32, 0, sizeof s32);
        }
        memcpy(dst + act_off_d(cols) + 4 * b, &d, 4);
        memcpy(dst + act_off_sum(cols, 256) + 32 * b, s16, 32);
        memcpy(dst + act_off_sum32(cols) + 16 * b, s32, 16);
    }
}

void
act_encode_avx512(enum act_type t, void *dst, const float *x, size_t rows,
    size_t cols)
{
    size_t bytes = act_row_bytes(t, cols);

    for (size_t r = 0; r < rows; r++, x += cols) {
        uint8_t *d = (uint8_t *)dst + r * bytes;

        memset(d + bytes - 64, 0, 64); /* what is padding must repeat too */
        if (t == ACT_F32)
            memcpy(d, x, cols * sizeof *x);
        else if (t == ACT_Q8_K)
            encode_row_256(d, x, cols);
        else
            encode_row_32(t, d, x, cols);
    }
}

#endif
