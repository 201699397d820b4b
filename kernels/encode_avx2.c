/*
 * Encoders on AVX2: eight blocks (or sub-blocks) searched at a time
 *
 * The bytes of the portable encoders. Steps that are not worth it, and blocks
 * the searches refuse, go through the portable functions.
 */
#include "kernels/encode_row.h"

#include "kernels/ops.h"

#if defined(__AVX2__)

#include <math.h>
#include <string.h>

#include "kernels/avx2.h"
#include "kernels/block.h"
#include "kernels/ops_avx2.h"
#include "kernels/search_avx2.h"

static void
round_avx2(uint8_t *q, const float *x, int n, float d, float m, int lo, int hi,
    int off)
{
    const __m256 magic = _mm256_set1_ps(12582912.0f);
    const __m256i mask = _mm256_set1_epi32(0x7fffff);

    if (d == 0.0f)
        return;
    for (int i = 0; i < n; i += 16) {
        __m256i v[2];

        for (int k = 0; k < 2; k++) {
            /* nearest() bit by bit: a tiny d may leave its range */
            __m256 t = _mm256_div_ps(_mm256_add_ps(
                _mm256_loadu_ps(x + i + 8 * k), _mm256_set1_ps(m)),
                _mm256_set1_ps(d));
            v[k] = _mm256_and_si256(mask,
                _mm256_castps_si256(_mm256_add_ps(t, magic)));
            v[k] = _mm256_sub_epi32(v[k], _mm256_set1_epi32(0x400000));
            v[k] = _mm256_min_epi32(v[k], _mm256_set1_epi32(hi));
            v[k] = _mm256_max_epi32(v[k], _mm256_set1_epi32(lo));
            v[k] = _mm256_add_epi32(v[k], _mm256_set1_epi32(off));
        }
        __m256i w = _mm256_permute4x64_epi64(
            _mm256_packs_epi32(v[0], v[1]), 0xd8);
        _mm_storeu_si128((__m128i *)(void *)(q + i),
            _mm_packus_epi16(_mm256_castsi256_si128(w),
                _mm256_extracti128_si256(w, 1)));
    }
}

/* Eight pointers, step floats apart. */
static void
point8(const float *block[8], const float *p, size_t step)
{
    for (size_t r = 0; r < 8; r++)
        block[r] = p + r * step;
}

static inline void
load8(__m256 *x, const float *p, int n)
{
    const float *block[8];

    point8(block, p, (size_t)n);
    lanes_load(x, block, n);
}

/* Sums of squares of the eight blocks, each in ascending order. */
static inline __m256
square_sums(const __m256 *x, int n)
{
    __m256 s = _mm256_setzero_ps();

    for (int i = 0; i < n; i++)
        s = _mm256_add_ps(s, _mm256_mul_ps(x[i], x[i]));
    return s;
}

static inline void
absolutes(__m256 *a, const __m256 *x, int n)
{
    for (int i = 0; i < n; i++)
        a[i] = _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x[i]);
}

/* Weights by importance of n-blocks at h; sums to sw. */
static inline void
weights8(__m256 *a, const float *h, const __m256 *x, int n, float sigma2,
    float sw[8])
{
    __m256 hl[32], sum;

    load8(hl, h, n);
    lanes_weights(a, hl, x, n, _mm256_set1_ps(sigma2), &sum);
    _mm256_storeu_ps(sw, sum);
}

/* ---- types of 256 ---- */

static int
block_q45_k(uint8_t *b, int bits, const float *x, const float *h)
{
    __m256 v[32], a[32];
    float s[8], m[8], sw[8];
    uint8_t q[256];
    struct affine_walk walk = h ? walk_weighted :
        bits == 4 ? walk_q4_k : walk_q5_k;

    load8(v, x, 32);
    if (h) {
        weights8(a, h, v, 32, 2.0f * encode_sum_squares(x, 256) / 256.0f, sw);
    } else {
        __m256 rms = _mm256_sqrt_ps(_mm256_div_ps(square_sums(v, 32),
            _mm256_set1_ps(32.0f)));
        absolutes(a, v, 32);
        for (int i = 0; i < 32; i++)
            a[i] = _mm256_add_ps(rms, a[i]);
    }
    if (!search_affine8(32, (1 << bits) - 1, v, a, walk, q, s, m))
        return 0;
    finish_q45_k(b, bits, x, s, m, h ? sw : NULL, q, round_avx2);
    return 1;
}

static void
row_q4_k(uint8_t *b, const float *w, size_t cols, const float *h)
{
    for (size_t c = 0; c < cols; c += 256, b += 144)
        if (!block_q45_k(b, 4, w + c, h ? h + c : NULL))
            encode_q4_k_ref(b, w + c, 256, h ? h + c : NULL);
}

static void
row_q5_k(uint8_t *b, const float *w, size_t cols, const float *h)
{
    for (size_t c = 0; c < cols; c += 256, b += 176)
        if (!block_q45_k(b, 5, w + c, h ? h + c : NULL))
            encode_q5_k_ref(b, w + c, 256, h ? h + c : NULL);
}

static int
block_q2_k(uint8_t *b, const float *x, const float *h)
{
    float s[16], m[16], sw[16];
    float sigma2 = h ? encode_sum_squares(x, 256) / 256.0f : 0.0f;
    uint8_t q[256];

    for (int half = 0; half < 2; half++) {
        __m256 v[16], a[16];

        load8(v, x + 128 * half, 16);
        if (h)
            weights8(a, h + 128 * half, v, 16, sigma2, sw + 8 * half);
        else
            absolutes(a, v, 16);
        if (!search_affine8(16, 3, v, a, h ? walk_weighted : walk_q2_k,
                q + 128 * half, s + 8 * half, m + 8 * half))
            return 0;
    }
    finish_q2_k(b, x, s, m, h ? sw : NULL, q, round_avx2);
    return 1;
}

static void
row_q2_k(uint8_t *b, const float *w, size_t cols, const float *h)
{
    for (size_t c = 0; c < cols; c += 256, b += 84)
        if (!block_q2_k(b, w + c, h ? h + c : NULL))
            encode_q2_k_ref(b, w + c, 256, h ? h + c : NULL);
}

static void
row_q3_k(uint8_t *b, const float *w, size_t cols, const float *h)
{
    for (size_t c = 0; c < cols; c += 256, b += 110) {
        const float *x = w + c;
        float s[16], sw[16];
        uint8_t q[256];
        float sigma2 = h ? 2.0f * encode_sum_squares(x, 256) / 256.0f : 0.0f;

        for (int j = 0; j < 16 && !h; j++)
            s[j] = search_moves(16, 4, x + 16 * j, q + 16 * j);
        for (int half = 0; half < 2 && h; half++) {
            __m256 v[16], a[16];

            load8(v, x + 128 * half, 16);
            weights8(a, h + c + 128 * half, v, 16, sigma2, sw + 8 * half);
            search_signed8(16, 4, v, a, q + 128 * half, s + 8 * half);
        }
        finish_q3_k(b, x, s, h ? sw : NULL, q, round_avx2);
    }
}

static void
row_q6_k(uint8_t *b, const float *w, size_t cols, const float *h)
{
    for (size_t c = 0; c < cols; c += 256, b += 210) {
        float s[16];
        uint8_t q[256];

        for (int half = 0; half < 2; half++) {
            __m256 v[16], a[16];

            load8(v, w + c + 128 * half, 16);
            if (h)
                load8(a, h + c + 128 * half, 16);
            search_signed8(16, 32, v, h ? a : NULL, q + 128 * half,
                s + 8 * half);
        }
        finish_q6_k(b, w + c, s, q, round_avx2);
    }
}

/* Codes of 32 values; the portable way where inv * x might not be finite. */
static void
iq4_codes(uint8_t *q, const float *x, float inv)
{
    if (fabsf(inv) < 1e30f)
        nearest_iq4_32(q, x, inv);
    else
        for (int i = 0; i < 32; i++)
            q[i] = nearest_iq4(inv * x[i]);
}

static void
row_iq4_xs(uint8_t *b, const float *w, size_t cols, const float *h)
{
    for (size_t c = 0; c < cols; c += 256, b += 136) {
        const float *x = w + c;
        __m256 v[32], a[32];
        float s[8], inv[8], sw[8];
        uint8_t q[32];

        load8(v, x, 32);
        for (int i = 0; i < 32 && !h; i++)
            a[i] = _mm256_mul_ps(v[i], v[i]);
        if (h)
            weights8(a, h + c, v, 32,
                encode_sum_squares(x, 256) * (2.0f / 256.0f), sw);
        search_iq4_8(32, v, a, s);
        finish_iq4_xs(b, s, inv);
        for (int j = 0; j < 8; j++) {
            iq4_codes(q, x + 32 * j, inv[j]);
            put_nibbles(b + IQ4_XS_QS + 16 * j, q);
        }
    }
}

/* ---- types of 32 ---- */

/*
 * Blocks [c, c + 256) of a row as lanes; behind the end of the row the last
 * block again. Returns how many are real.
 */
static int
lanes_of_row(__m256 *x, const float *w, size_t c, size_t cols)
{
    const float *block[8];
    size_t n = (cols - c) / 32 < 8 ? (cols - c) / 32 : 8;

    for (size_t r = 0; r < 8; r++)
        block[r] = w + c + 32 * (r < n ? r : n - 1);
    lanes_load(x, block, 32);
    return (int)n;
}

/* Q4_0 (nmax 8) and Q5_0 (nmax 16) with importance. */
static void
row_signed(uint8_t *b, const float *w, size_t cols, const float *h, int nmax)
{
    float sigma2 = encode_sum_squares(w, cols) / (float)cols, s[8];
    __m256 v[32], a[32], hl[32], sum;
    uint8_t q[256];

    for (size_t c = 0; c < cols; c += 256) {
        int n = lanes_of_row(v, w, c, cols);

        lanes_of_row(hl, h, c, cols);
        lanes_weights(a, hl, v, 32, _mm256_set1_ps(sigma2), &sum);
        search_signed8(32, nmax, v, a, q, s);
        for (int j = 0; j < n; j++) {
            block_put_f16(b, s[j]);
            if (nmax == 16)
                put_fifth_bits(b + Q5_0_QH, q + 32 * j);
            put_nibbles(b + (nmax == 8 ? (int)Q4_0_QS : (int)Q5_0_QS),
                q + 32 * j);
            b += nmax == 8 ? 18 : 22;
        }
    }
}

static void
row_q4_0(uint8_t *b, const float *w, size_t cols, const float *h)
{
    if (h)
        row_signed(b, w, cols, h, 8);
    else
        encode_q4_0_plain_avx2(b, w, cols);
}

static void
row_q5_0(uint8_t *b, const float *w, size_t cols, const float *h)
{
    if (h)
        row_signed(b, w, cols, h, 16);
    else
        encode_q5_0_ref(b, w, cols, NULL);
}

/* Q4_1 (nmax 15) and Q5_1 (nmax 31) with importance; 0 if refused. */
static int
row_affine(uint8_t *b, const float *w, size_t cols, const float *h, int nmax)
{
    float sigma2 = encode_sum_squares(w, cols) / (float)cols, s[8], m[8];
    __m256 v[32], a[32], hl[32], sum;
    uint8_t q[256];

    for (size_t c = 0; c < cols; c += 256) {
        int n = lanes_of_row(v, w, c, cols);

        lanes_of_row(hl, h, c, cols);
        lanes_weights(a, hl, v, 32, _mm256_set1_ps(sigma2), &sum);
        if (!search_affine8(32, nmax, v, a, walk_weighted, q, s, m))
            return 0;
        for (int j = 0; j < n; j++) {
            block_put_f16(b, s[j]);
            block_put_f16(b + 2, -m[j]);
            if (nmax == 31)
                put_fifth_bits(b + Q5_1_QH, q + 32 * j);
            put_nibbles(b + (nmax == 15 ? (int)Q4_1_QS : (int)Q5_1_QS),
                q + 32 * j);
            b += nmax == 15 ? 20 : 24;
        }
    }
    return 1;
}

static void
row_q4_1(uint8_t *b, const float *w, size_t cols, const float *h)
{
    if (!h || !row_affine(b, w, cols, h, 15))
        encode_q4_1_ref(b, w, cols, h);
}

static void
row_q5_1(uint8_t *b, const float *w, size_t cols, const float *h)
{
    if (!h || !row_affine(b, w, cols, h, 31))
        encode_q5_1_ref(b, w, cols, h);
}

static void
row_iq4_nl(uint8_t *b, const float *w, size_t cols, const float *h)
{
    for (size_t c = 0; c < cols; c += 256) {
        __m256 v[32], a[32], hl[32], sum;
        int n = lanes_of_row(v, w, c, cols);
        uint8_t q[32];
        float s[8];

        if (h) {
            lanes_of_row(hl, h, c, cols);
            lanes_weights(a, hl, v, 32, _mm256_mul_ps(square_sums(v, 32),
                _mm256_set1_ps(2.0f / 32.0f)), &sum);
        }
        for (int i = 0; i < 32 && !h; i++)
            a[i] = _mm256_mul_ps(v[i], v[i]);
        search_iq4_8(32, v, a, s);
        for (int j = 0; j < n; j++, b += 18) {
            iq4_codes(q, w + c + 32 * (size_t)j,
                s[j] != 0.0f ? 1.0f / s[j] : 0.0f);
            block_put_f16(b + IQ4_NL_D, s[j]);
            put_nibbles(b + IQ4_NL_QS, q);
        }
    }
}

static void
row_f16(uint8_t *b, const float *w, size_t cols, const float *h)
{
    size_t i = 0;

    (void)h;
    for (; i + 8 <= cols; i += 8)
        _mm_storeu_si128((__m128i *)(void *)(b + 2 * i), _mm256_cvtps_ph(
            _mm256_loadu_ps(w + i),
            _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    if (i < cols)
        f16_from_f32_row(b + 2 * i, w + i, cols - i);
}

void
encode_row_avx2(enum qtype t, uint8_t *dst, const float *w, size_t cols,
    const float *h)
{
    static void (*const rows[QT_COUNT])(uint8_t *, const float *, size_t,
        const float *) = {
        [QT_F16] = row_f16,
        [QT_Q8_0] = encode_q8_0_avx2,
        [QT_Q4_0] = row_q4_0,
        [QT_Q4_1] = row_q4_1,
        [QT_Q5_0] = row_q5_0,
        [QT_Q5_1] = row_q5_1,
        [QT_Q2_K] = row_q2_k,
        [QT_Q3_K] = row_q3_k,
        [QT_Q4_K] = row_q4_k,
        [QT_Q5_K] = row_q5_k,
        [QT_Q6_K] = row_q6_k,
        [QT_IQ4_NL] = row_iq4_nl,
        [QT_IQ4_XS] = row_iq4_xs,
    };

    if (rows[t])
        rows[t](dst, w, cols, h);
    else
        encode_row_ref(t, dst, w, cols, h);
}

#endif
