/*
 * Encoders on AVX2 that search for nothing: Q8_0, and Q4_0 without importance
 *
 * The bytes of the portable encoders. Eight blocks go together, so that their
 * scales take one division; the last of a row are eight with zeros behind them.
 */
#include "kernels/encode_row.h"

#include "kernels/ops.h"

#if defined(__AVX2__)

#include <math.h>
#include <string.h>

#include "kernels/avx2.h"
#include "kernels/block.h"
#include "kernels/ops_avx2.h"

/* The first of 32 values that is as large in magnitude as `top`. */
static float
first_of(const float *x, float top)
{
    if (top == 0.0f) /* not -0 */
        return 0.0f;
    while (fabsf(*x) != top)
        x++;
    return *x;
}

/* The codes of 32 values, whose inverse scale is not too large. */
static inline void
codes_q4_0(uint8_t *qs, const float *x, float inv)
{
    const __m256 s = _mm256_set1_ps(inv), half = _mm256_set1_ps(8.5f);
    __m256i q[4];

    UNROLL
    for (int i = 0; i < 4; i++)
        q[i] = _mm256_min_epi32(_mm256_set1_epi32(15), _mm256_cvttps_epi32(
            _mm256_add_ps(_mm256_mul_ps(_mm256_loadu_ps(x + 8 * i), s),
                half)));
    /* the second half in the high nibbles */
    q[0] = _mm256_or_si256(q[0], _mm256_slli_epi32(q[2], 4));
    q[1] = _mm256_or_si256(q[1], _mm256_slli_epi32(q[3], 4));
    q[0] = _mm256_packus_epi32(q[0], q[1]);
    q[0] = _mm256_permutevar8x32_epi32(_mm256_packus_epi16(q[0], q[0]),
        _mm256_setr_epi32(0, 4, 1, 5, 0, 4, 1, 5));
    _mm_storeu_si128((__m128i *)(void *)qs, _mm256_castsi256_si128(q[0]));
}

static inline void
codes_q8_0(uint8_t *qs, const float *x, float inv)
{
    const __m256 s = _mm256_set1_ps(inv), sign = _mm256_set1_ps(-0.0f);
    /* trunc(v + copysign(p, v)), p just under 1/2, is round half away */
    const __m256 half = _mm256_set1_ps(0x1.fffffep-2f);
    __m256i q[4];

    UNROLL
    for (int i = 0; i < 4; i++) {
        __m256 p = _mm256_mul_ps(_mm256_loadu_ps(x + 8 * i), s);

        q[i] = _mm256_cvttps_epi32(_mm256_add_ps(p,
            _mm256_or_ps(half, _mm256_and_ps(p, sign))));
    }
    store_bytes(qs, _mm256_permutevar8x32_epi32(
        _mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]),
            _mm256_packs_epi32(q[2], q[3])),
        _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)));
}

/* ---- eight blocks ---- */

enum { BLOCKS = 8, GROUP = 32 * BLOCKS };

/* Lane r is the largest of t[r]'s lanes. */
static inline __m256
fold8(const __m256 t[BLOCKS])
{
    __m256 u[4], v[2];

    UNROLL
    for (int i = 0; i < 4; i++)
        u[i] = _mm256_max_ps(_mm256_unpacklo_ps(t[2 * i], t[2 * i + 1]),
            _mm256_unpackhi_ps(t[2 * i], t[2 * i + 1]));
    UNROLL
    for (int i = 0; i < 2; i++) {
        __m256d a = _mm256_castps_pd(u[2 * i]);
        __m256d b = _mm256_castps_pd(u[2 * i + 1]);

        v[i] = _mm256_max_ps(_mm256_castpd_ps(_mm256_unpacklo_pd(a, b)),
            _mm256_castpd_ps(_mm256_unpackhi_pd(a, b)));
    }
    return _mm256_max_ps(_mm256_permute2f128_ps(v[0], v[1], 0x20),
        _mm256_permute2f128_ps(v[0], v[1], 0x31));
}

/* Scales to be stored, and their inverses; 0 if an inverse may overflow. */
static inline int
scales8(__m256 d, uint16_t stored[BLOCKS], float inv[BLOCKS])
{
    __m256 some = _mm256_cmp_ps(d, _mm256_setzero_ps(), _CMP_NEQ_UQ);
    __m256 i = _mm256_and_ps(some, _mm256_div_ps(_mm256_set1_ps(1.0f), d));

    _mm_storeu_si128((__m128i *)(void *)stored, _mm256_cvtps_ph(d,
        _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    _mm256_storeu_ps(inv, i);
    return _mm256_movemask_ps(_mm256_cmp_ps(_mm256_andnot_ps(
        _mm256_set1_ps(-0.0f), i), _mm256_set1_ps(1e30f), _CMP_GT_OQ)) == 0;
}

static inline void
group_q4_0(uint8_t *b, const float *x)
{
    __m256 most[BLOCKS], least[BLOCKS], top, low;
    float v[BLOCKS], inv[BLOCKS];
    uint16_t d[BLOCKS];
    unsigned tied;

    for (int r = 0; r < BLOCKS; r++) {
        __m256 a = _mm256_loadu_ps(x + 32 * r);
        __m256 c = _mm256_loadu_ps(x + 32 * r + 8);
        __m256 e = _mm256_loadu_ps(x + 32 * r + 16);
        __m256 g = _mm256_loadu_ps(x + 32 * r + 24);

        most[r] = _mm256_max_ps(_mm256_max_ps(a, c), _mm256_max_ps(e, g));
        least[r] = _mm256_min_ps(_mm256_min_ps(a, c), _mm256_min_ps(e, g));
        least[r] = _mm256_xor_ps(least[r], _mm256_set1_ps(-0.0f));
    }
    top = fold8(most);
    low = fold8(least);
    tied = (unsigned)_mm256_movemask_ps(_mm256_cmp_ps(top, low, _CMP_EQ_OQ));
    top = _mm256_blendv_ps(top, _mm256_xor_ps(low, _mm256_set1_ps(-0.0f)),
        _mm256_cmp_ps(low, top, _CMP_GT_OQ));
    _mm256_storeu_ps(v, top);
    for (; tied != 0; tied &= tied - 1) { /* then the first one counts */
        int r = __builtin_ctz(tied);

        v[r] = first_of(x + 32 * r, fabsf(v[r]));
    }
    /* an eighth is exact, or rounded like the quotient */
    if (!scales8(_mm256_mul_ps(_mm256_loadu_ps(v), _mm256_set1_ps(-0.125f)),
            d, inv)) {
        encode_q4_0_ref(b, x, GROUP, NULL); /* see truncate_code */
        return;
    }
    for (int r = 0; r < BLOCKS; r++, b += 18) {
        block_put_u16(b + Q4_0_D, d[r]);
        codes_q4_0(b + Q4_0_QS, x + 32 * r, inv[r]);
    }
}

void
encode_q4_0_plain_avx2(uint8_t *b, const float *w, size_t cols)
{
    size_t c = 0;

    for (; c + GROUP <= cols; c += GROUP, b += 18 * BLOCKS)
        group_q4_0(b, w + c);
    if (c < cols) {
        float x[GROUP] = { 0 };
        uint8_t last[18 * BLOCKS];

        memcpy(x, w + c, (cols - c) * sizeof *w);
        group_q4_0(last, x);
        memcpy(b, last, (cols - c) / 32 * 18);
    }
}

static inline void
group_q8_0(uint8_t *b, const float *x)
{
    const __m256 sign = _mm256_set1_ps(-0.0f);
    __m256 most[BLOCKS];
    float inv[BLOCKS];
    uint16_t d[BLOCKS];

    for (int r = 0; r < BLOCKS; r++) {
        most[r] = _mm256_andnot_ps(sign, _mm256_loadu_ps(x + 32 * r));
        UNROLL
        for (int i = 8; i < 32; i += 8)
            most[r] = _mm256_max_ps(most[r], _mm256_andnot_ps(sign,
                _mm256_loadu_ps(x + 32 * r + i)));
    }
    if (!scales8(_mm256_div_ps(fold8(most), _mm256_set1_ps(127.0f)), d, inv)) {
        encode_q8_0_ref(b, x, GROUP, NULL); /* see truncate_code */
        return;
    }
    for (int r = 0; r < BLOCKS; r++, b += 34) {
        block_put_u16(b + Q8_0_D, d[r]);
        codes_q8_0(b + Q8_0_QS, x + 32 * r, inv[r]);
    }
}

void
encode_q8_0_avx2(uint8_t *b, const float *w, size_t cols, const float *h)
{
    size_t c = 0;

    (void)h;
    for (; c + GROUP <= cols; c += GROUP, b += 34 * BLOCKS)
        group_q8_0(b, w + c);
    if (c < cols) {
        float x[GROUP] = { 0 };
        uint8_t last[34 * BLOCKS];

        memcpy(x, w + c, (cols - c) * sizeof *w);
        group_q8_0(last, x);
        memcpy(b, last, (cols - c) / 32 * 34);
    }
}

#endif
