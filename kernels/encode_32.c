/*
 * The types of 32 weights: Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, IQ4_NL
 *
 * Without importance the scale comes from the extremes alone; codes use its
 * float32 inverse, the block stores it rounded to float16. With importance h
 * the scale is searched for with weights h[j] * sqrt(mean w^2 + w[j]^2).
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "kernels/block.h"
#include "kernels/encode_row.h"
#include "kernels/search.h"

float
encode_sum_squares(const float *x, size_t n)
{
    float s = 0.0f;

    for (size_t i = 0; i < n; i++)
        s += x[i] * x[i];
    return s;
}

float
encode_weights(float *a, const float *h, const float *x, size_t n,
    float sigma2)
{
    float s = 0.0f;

    for (size_t i = 0; i < n; i++) {
        a[i] = h[i] * sqrtf(sigma2 + x[i] * x[i]);
        s += a[i];
    }
    return s;
}

void
put_nibbles(uint8_t qs[16], const uint8_t q[32])
{
    for (int i = 0; i < 16; i++)
        qs[i] = (uint8_t)((q[i] & 15) | (q[i + 16] & 15) << 4);
}

void
put_fifth_bits(uint8_t qh[4], const uint8_t q[32])
{
    uint32_t bits = 0;

    for (int i = 0; i < 32; i++)
        bits |= (uint32_t)(q[i] >> 4 & 1) << i;
    block_put_u32(qh, bits);
}

/*
 * Truncate to a code. The inverse of a subnormal scale is infinite, and then so
 * is v (or NaN): the code is 0, which is what x86 conversion makes of it.
 */
static int
truncate_code(float v)
{
    return fabsf(v) < 256.0f ? (int8_t)(int)v : 0;
}

void
encode_q8_0_ref(uint8_t *b, const float *w, size_t cols, const float *h)
{
    (void)h;
    for (size_t c = 0; c < cols; c += 32, b += 34) {
        const float *x = w + c;
        float top = 0.0f;

        for (int i = 0; i < 32; i++)
            top = fmaxf(top, fabsf(x[i]));
        float d = top / 127.0f, inv = d != 0.0f ? 1.0f / d : 0.0f;
        block_put_f16(b + Q8_0_D, d);
        for (int i = 0; i < 32; i++)
            b[Q8_0_QS + i] = (uint8_t)truncate_code(roundf(x[i] * inv));
    }
}

/* Codes and scale of Q4_0 (nmax 8) and Q5_0 (nmax 16) without importance. */
static float
plain_signed(int nmax, const float *x, uint8_t *q)
{
    float top = 0.0f, v = 0.0f;

    for (int i = 0; i < 32; i++) {
        if (fabsf(x[i]) > top) {
            top = fabsf(x[i]);
            v = x[i];
        }
    }
    float d = v / -(float)nmax, inv = d != 0.0f ? 1.0f / d : 0.0f;
    for (int i = 0; i < 32; i++) {
        int l = truncate_code(x[i] * inv + ((float)nmax + 0.5f));
        q[i] = (uint8_t)(l < 2 * nmax - 1 ? l : 2 * nmax - 1);
    }
    return d;
}

/* Codes, scale and low end of Q4_1 (nmax 15) and Q5_1 (nmax 31) likewise. */
static float
plain_affine(int nmax, const float *x, uint8_t *q, float *low)
{
    float lo = FLT_MAX, hi = -FLT_MAX;

    for (int i = 0; i < 32; i++) {
        lo = x[i] < lo ? x[i] : lo;
        hi = x[i] > hi ? x[i] : hi;
    }
    float d = (hi - lo) / (float)nmax, inv = d != 0.0f ? 1.0f / d : 0.0f;
    for (int i = 0; i < 32; i++) {
        int l = truncate_code((x[i] - lo) * inv + 0.5f);
        q[i] = (uint8_t)(l < nmax ? l : nmax);
    }
    *low = lo;
    return d;
}

/* Scale and codes of a signed type, by either way. */
static float
signed_block(int nmax, const float *x, const float *h, float sigma2, uint8_t *q)
{
    float a[32];

    if (!h)
        return plain_signed(nmax, x, q);
    encode_weights(a, h, x, 32, sigma2);
    return search_signed(32, nmax, x, a, q);
}

static float
affine_block(int nmax, const float *x, const float *h, float sigma2, uint8_t *q,
    float *low)
{
    float a[32], min;

    if (!h)
        return plain_affine(nmax, x, q, low);
    encode_weights(a, h, x, 32, sigma2);
    float d = search_affine(32, nmax, x, a, walk_weighted, q, &min);
    *low = -min;
    return d;
}

static float
mean_square(const float *w, size_t cols, const float *h)
{
    return h ? encode_sum_squares(w, cols) / (float)cols : 0.0f;
}

void
encode_q4_0_ref(uint8_t *b, const float *w, size_t cols, const float *h)
{
    float sigma2 = mean_square(w, cols, h);
    uint8_t q[32];

    for (size_t c = 0; c < cols; c += 32, b += 18) {
        float d = signed_block(8, w + c, h ? h + c : NULL, sigma2, q);

        block_put_f16(b + Q4_0_D, d);
        put_nibbles(b + Q4_0_QS, q);
    }
}

void
encode_q5_0_ref(uint8_t *b, const float *w, size_t cols, const float *h)
{
    float sigma2 = mean_square(w, cols, h);
    uint8_t q[32];

    for (size_t c = 0; c < cols; c += 32, b += 22) {
        float d = signed_block(16, w + c, h ? h + c : NULL, sigma2, q);

        block_put_f16(b + Q5_0_D, d);
        put_fifth_bits(b + Q5_0_QH, q);
        put_nibbles(b + Q5_0_QS, q);
    }
}

void
encode_q4_1_ref(uint8_t *b, const float *w, size_t cols, const float *h)
{
    float sigma2 = mean_square(w, cols, h), low;
    uint8_t q[32];

    for (size_t c = 0; c < cols; c += 32, b += 20) {
        float d = affine_block(15, w + c, h ? h + c : NULL, sigma2, q, &low);

        block_put_f16(b + Q4_1_D, d);
        block_put_f16(b + Q4_1_M, low);
        put_nibbles(b + Q4_1_QS, q);
    }
}

void
encode_q5_1_ref(uint8_t *b, const float *w, size_t cols, const float *h)
{
    float sigma2 = mean_square(w, cols, h), low;
    uint8_t q[32];

    for (size_t c = 0; c < cols; c += 32, b += 24) {
        float d = affine_block(31, w + c, h ? h + c : NULL, sigma2, q, &low);

        block_put_f16(b + Q5_1_D, d);
        block_put_f16(b + Q5_1_M, low);
        put_fifth_bits(b + Q5_1_QH, q);
        put_nibbles(b + Q5_1_QS, q);
    }
}

void
encode_iq4_nl_ref(uint8_t *b, const float *w, size_t cols, const float *h)
{
    for (size_t c = 0; c < cols; c += 32, b += 18) {
        const float *x = w + c;
        float a[32];
        uint8_t q[32];
        float sigma2 = encode_sum_squares(x, 32) * (2.0f / 32.0f);

        if (h)
            encode_weights(a, h + c, x, 32, sigma2);
        for (int i = 0; i < 32 && !h; i++)
            a[i] = x[i] * x[i];
        float d = search_iq4(32, x, a), inv = d != 0.0f ? 1.0f / d : 0.0f;
        for (int i = 0; i < 32; i++)
            q[i] = nearest_iq4(inv * x[i]);
        block_put_f16(b + IQ4_NL_D, d);
        put_nibbles(b + IQ4_NL_QS, q);
    }
}
