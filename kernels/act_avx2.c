/*
 * Activations to 8 bits on AVX2: the bytes of act_encode_ref
 */
#include "kernels/act.h"

#include "kernels/ops.h"

#if defined(__AVX2__)

#include <string.h>

#include "kernels/act_layout.h"
#include "kernels/avx2.h"
#include "kernels/ops_avx2.h"

static inline __m256
abs8(__m256 v)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), v);
}

/* Largest of eight; operand order keeps what `x > top ? x : top` keeps. */
static inline float
max_of8(__m256 v)
{
    __m128 q = _mm_max_ps(_mm256_castps256_ps128(v),
        _mm256_extractf128_ps(v, 1));

    q = _mm_max_ps(q, _mm_movehl_ps(q, q));
    q = _mm_max_ss(q, _mm_movehdup_ps(q));
    return _mm_cvtss_f32(q);
}

static inline int
sum_of8(__m256i v)
{
    __m128i q = _mm_add_epi32(_mm256_castsi256_si128(v),
        _mm256_extracti128_si256(v, 1));

    q = _mm_add_epi32(q, _mm_shuffle_epi32(q, 0x4e));
    q = _mm_add_epi32(q, _mm_shuffle_epi32(q, 0xb1));
    return _mm_cvtsi128_si32(q);
}

/* Stores 32 codes, in order, from four vectors of eight 32-bit ones. */
static inline void
store_codes(uint8_t *dst, const __m256i v[4])
{
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    __m256i a = _mm256_packs_epi32(v[0], v[1]);
    __m256i b = _mm256_packs_epi32(v[2], v[3]);

    store_bytes(dst,
        _mm256_permutevar8x32_epi32(_mm256_packs_epi16(a, b), order));
}

static void
encode_row_32(enum act_type t, uint8_t *dst, const float *x, size_t cols)
{
    /* trunc(v + copysign(p, v)), p just under 1/2, is round half away */
    const __m256 half = _mm256_set1_ps(0x1.fffffep-2f);
    const __m256 sign = _mm256_set1_ps(-0.0f);

    for (size_t b = 0; b < cols / 32; b++, x += 32) {
        __m256 v[4], top = _mm256_setzero_ps();
        __m256i q[4], sum = _mm256_setzero_si256();

        for (int i = 0; i < 4; i++) {
            v[i] = _mm256_loadu_ps(x + 8 * i);
            top = _mm256_max_ps(abs8(v[i]), top);
        }
        float m = max_of8(top), d = m < ACT_TINY ? 0.0f : m / 127.0f;
        float inv = d != 0.0f ? 1.0f / d : 0.0f;
        const __m256 vi = _mm256_set1_ps(inv);

        for (int i = 0; i < 4; i++) {
            __m256 p = _mm256_mul_ps(v[i], vi);
            p = _mm256_add_ps(p, _mm256_or_ps(half, _mm256_and_ps(p, sign)));
            q[i] = _mm256_cvttps_epi32(p);
            /* only NaN or infinity get past 127: zeros, as in the reference */
            q[i] = _mm256_andnot_si256(
                _mm256_cmpgt_epi32(_mm256_abs_epi32(q[i]),
                    _mm256_set1_epi32(127)), q[i]);
            q[i] = _mm256_andnot_si256(
                _mm256_cmpeq_epi32(q[i], _mm256_set1_epi32(INT32_MIN)), q[i]);
            sum = _mm256_add_epi32(sum, q[i]);
        }
        store_codes(dst + 32 * b, q);

        int32_t total = sum_of8(sum);
        __m128 ds = _mm_setr_ps(d, (float)total * d, 0.0f, 0.0f);
        float kept[4];

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
    const __m256 m = _mm256_set1_ps(top);

    for (int i = 0; i < 256; i += 8) {
        int hit = _mm256_movemask_ps(_mm256_cmp_ps(
            abs8(_mm256_loadu_ps(x + i)), m, _CMP_EQ_OQ));
        if (hit)
            return x[i + __builtin_ctz((unsigned)hit)];
    }
    return 0.0f;
}

/* Codes of 32 values; the two sums of 16 go to s16. */
static inline void
codes_32(uint8_t *dst, const float *x, __m256 inv, int16_t s16[2])
{
    __m256i q[4];

    for (int i = 0; i < 4; i++) {
        __m256 p = _mm256_mul_ps(_mm256_loadu_ps(x + 8 * i), inv);
        q[i] = _mm256_cvtps_epi32(p);
        q[i] = _mm256_min_epi32(q[i], _mm256_set1_epi32(127));
        q[i] = _mm256_max_epi32(q[i], _mm256_set1_epi32(-127));
    }
    store_codes(dst, q);
    s16[0] = (int16_t)sum_of8(_mm256_add_epi32(q[0], q[1]));
    s16[1] = (int16_t)sum_of8(_mm256_add_epi32(q[2], q[3]));
}

static void
encode_row_256(uint8_t *dst, const float *x, size_t cols)
{
    for (size_t b = 0; b < cols / 256; b++, x += 256) {
        __m256 top = _mm256_setzero_ps();
        int16_t s16[16], s32[8];
        float d = 0.0f;

        for (int i = 0; i < 256; i += 8)
            top = _mm256_max_ps(abs8(_mm256_loadu_ps(x + i)), top);
        float m = max_of8(top);
        memset(s16, 0, sizeof s16);
        if (m >= ACT_TINY && m <= 0x1.fffffep127f) {
            float inv = -127.0f / first_with(x, m);

            for (size_t i = 0; i < 8; i++)
                codes_32(dst + 256 * b + 32 * i, x + 32 * i,
                    _mm256_set1_ps(inv), s16 + 2 * i);
            d = 1.0f / inv;
        } else {
            memset(dst + 256 * b, 0, 256);
        }
        for (int i = 0; i < 8; i++)
            s32[i] = (int16_t)(s16[2 * i] + s16[2 * i + 1]);
        memcpy(dst + act_off_d(cols) + 4 * b, &d, 4);
        memcpy(dst + act_off_sum(cols, 256) + 32 * b, s16, 32);
        memcpy(dst + act_off_sum32(cols) + 16 * b, s32, 16);
    }
}

void
act_encode_avx2(enum act_type t, void *dst, const float *x, size_t rows,
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
