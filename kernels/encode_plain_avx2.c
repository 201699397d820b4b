/*
 * Encoders on AVX2 that search for nothing: Q8_0, and Q4_0 without importance
 *
 * The bytes of the portable encoders, one block of 32 at a time.
 */
#include "kernels/encode_row.h"

#include "kernels/ops.h"

#if defined(__AVX2__)

#include <math.h>

#include "kernels/avx2.h"
#include "kernels/block.h"
#include "kernels/ops_avx2.h"

/* The largest of eight; which of equals does not show. */
static inline float
largest(__m256 v)
{
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(v),
        _mm256_extractf128_ps(v, 1));

    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}

/* As block_put_f16, of what is no NaN. */
static inline void
put_scale(uint8_t *b, float d)
{
    block_put_u16(b, (uint16_t)_mm_cvtsi128_si32(_mm_cvtps_ph(_mm_set_ss(d),
        _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)));
}

/* The first of the 32 values that is as large in magnitude as `top`. */
static inline float
first_of(const float *x, const __m256 v[4], float top)
{
    unsigned at = 0;

    if (top == 0.0f) /* not -0 */
        return 0.0f;
    for (unsigned i = 0; i < 4; i++)
        at |= (unsigned)_mm256_movemask_ps(_mm256_cmp_ps(_mm256_andnot_ps(
            _mm256_set1_ps(-0.0f), v[i]), _mm256_set1_ps(top), _CMP_EQ_OQ)) <<
            8 * i;
    return x[__builtin_ctz(at)];
}

/* Q4_0 without importance: what encode_q4_0_ref does with a block. */
static inline void
block_q4_0(uint8_t *b, const float *x)
{
    __m256 v[4], top = _mm256_setzero_ps();
    __m256i q[4];

    for (size_t i = 0; i < 4; i++) {
        v[i] = _mm256_loadu_ps(x + 8 * i);
        top = _mm256_max_ps(_mm256_andnot_ps(_mm256_set1_ps(-0.0f), v[i]),
            top);
    }
    float d = first_of(x, v, largest(top)) / -8.0f;
    float inv = d != 0.0f ? 1.0f / d : 0.0f;
    if (fabsf(inv) > 1e30f) { /* may overflow: see truncate_code */
        encode_q4_0_ref(b, x, 32, NULL);
        return;
    }
    for (int i = 0; i < 4; i++)
        q[i] = _mm256_min_epi32(_mm256_set1_epi32(15), _mm256_cvttps_epi32(
            _mm256_add_ps(_mm256_mul_ps(v[i], _mm256_set1_ps(inv)),
                _mm256_set1_ps(8.5f))));
    for (int i = 0; i < 2; i++) /* the second half in the high nibbles */
        q[i] = _mm256_or_si256(q[i], _mm256_slli_epi32(q[i + 2], 4));
    q[0] = _mm256_packus_epi32(q[0], q[1]);
    q[0] = _mm256_permutevar8x32_epi32(_mm256_packus_epi16(q[0], q[0]),
        _mm256_setr_epi32(0, 4, 1, 5, 0, 4, 1, 5));
    put_scale(b + Q4_0_D, d);
    _mm_storeu_si128((__m128i *)(void *)(b + Q4_0_QS),
        _mm256_castsi256_si128(q[0]));
}

void
encode_q4_0_plain_avx2(uint8_t *b, const float *w, size_t cols)
{
    for (size_t c = 0; c < cols; c += 32, b += 18)
        block_q4_0(b, w + c);
}

void
encode_q8_0_avx2(uint8_t *b, const float *w, size_t cols, const float *h)
{
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    const __m256 sign = _mm256_set1_ps(-0.0f);
    /* trunc(v + copysign(p, v)), p just under 1/2, is round half away */
    const __m256 half = _mm256_set1_ps(0x1.fffffep-2f);

    (void)h;
    for (size_t c = 0; c < cols; c += 32, b += 34) {
        __m256 v[4], top = _mm256_setzero_ps();
        __m256i q[4];

        for (size_t i = 0; i < 4; i++) {
            v[i] = _mm256_loadu_ps(w + c + 8 * i);
            top = _mm256_max_ps(_mm256_andnot_ps(sign, v[i]), top);
        }
        float d = largest(top) / 127.0f, inv = d != 0.0f ? 1.0f / d : 0.0f;
        if (inv > 1e30f) { /* may overflow: zeros, as truncate_code has it */
            encode_q8_0_ref(b, w + c, 32, NULL);
            continue;
        }
        for (int i = 0; i < 4; i++) {
            __m256 p = _mm256_mul_ps(v[i], _mm256_set1_ps(inv));
            p = _mm256_add_ps(p, _mm256_or_ps(half, _mm256_and_ps(p, sign)));
            q[i] = _mm256_cvttps_epi32(p);
        }
        put_scale(b + Q8_0_D, d);
        store_bytes(b + Q8_0_QS, _mm256_permutevar8x32_epi32(
            _mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]),
                _mm256_packs_epi32(q[2], q[3])), order));
    }
}

#endif
