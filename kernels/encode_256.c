/*
 * The types of 256 weights: Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_XS
 *
 * A scale (and, for Q2_K, Q4_K and Q5_K, a minimum) is searched for each
 * sub-block of 16 or 32; these are then coded in a few bits against one or two
 * float16 numbers for the whole block, and all codes are rounded once more with
 * the scales as they will be read back.
 */
#include <math.h>
#include <string.h>

#include "kernels/block.h"
#include "kernels/encode_row.h"
#include "kernels/search.h"

const struct affine_walk walk_weighted = { -0.9f, 0.05f, 36, 0 };
const struct affine_walk walk_q2_k = { -0.5f, 0.1f, 15, 1 };
const struct affine_walk walk_q4_k = { -1.0f, 0.1f, 20, 0 };
const struct affine_walk walk_q5_k = { -0.5f, 0.1f, 15, 0 };

/* Largest of n numbers and 0. */
static float
top_of(const float *v, int n)
{
    float top = 0.0f;

    for (int i = 0; i < n; i++)
        top = v[i] > top ? v[i] : top;
    return top;
}

/* Signed number of largest magnitude among n. */
static float
extreme_of(const float *v, int n)
{
    float top = 0.0f, e = 0.0f;

    for (int i = 0; i < n; i++) {
        if (fabsf(v[i]) > top) {
            top = fabsf(v[i]);
            e = v[i];
        }
    }
    return e;
}

void
encode_round_ref(uint8_t *q, const float *x, int n, float d, float m, int lo,
    int hi, int off)
{
    if (d == 0.0f)
        return;
    for (int i = 0; i < n; i++)
        q[i] = (uint8_t)(clamp_int(nearest((x[i] + m) / d), lo, hi) + off);
}

/* Four codes of two bits to a byte, in each half of 128. */
static void
put_two_bits(uint8_t *qs, const uint8_t *q)
{
    for (int i = 0; i < 64; i++) {
        const uint8_t *p = q + 128 * (i / 32) + i % 32;
        qs[i] = (uint8_t)((p[0] & 3) | (p[32] & 3) << 2 | (p[64] & 3) << 4 |
            (p[96] & 3) << 6);
    }
}

void
finish_q2_k(uint8_t *b, const float *x, const float s[16], const float m[16],
    const float *sw, uint8_t q[256], encode_round_fn *round)
{
    uint8_t sc[16], mn[16];
    float d, dmin;

    if (sw) {
        d = search_positive(16, 15, s, sw, sc);
        dmin = search_positive(16, 15, m, sw, mn);
    } else {
        float ts = top_of(s, 16), tm = top_of(m, 16);
        float is = ts > 0.0f ? 15.0f / ts : 0.0f;
        float im = tm > 0.0f ? 15.0f / tm : 0.0f;

        for (int j = 0; j < 16; j++) {
            sc[j] = (uint8_t)nearest(is * s[j]);
            mn[j] = (uint8_t)nearest(im * m[j]);
        }
        d = ts / 15.0f;
        dmin = tm / 15.0f;
    }
    block_put_f16(b + Q2_K_D, d);
    block_put_f16(b + Q2_K_DMIN, dmin);
    d = block_f16(b + Q2_K_D);
    dmin = block_f16(b + Q2_K_DMIN);
    for (int j = 0; j < 16; j++) {
        uint8_t v = (uint8_t)(sc[j] | mn[j] << 4);

        b[Q2_K_SC + j] = v;
        round(q + 16 * j, x + 16 * j, 16, d * (float)(v & 15),
            dmin * (float)(v >> 4), 0, 3, 0);
    }
    put_two_bits(b + Q2_K_QS, q);
}

void
encode_q2_k_ref(uint8_t *b, const float *w, size_t cols, const float *h)
{
    for (size_t c = 0; c < cols; c += 256, b += 84) {
        const float *x = w + c;
        float a[16], s[16], m[16], sw[16];
        uint8_t q[256];
        float sigma2 = encode_sum_squares(x, 256) / 256.0f;

        for (int j = 0; j < 16; j++) {
            if (h)
                sw[j] = encode_weights(a, h + c + 16 * j, x + 16 * j, 16,
                    sigma2);
            for (int i = 0; i < 16 && !h; i++)
                a[i] = fabsf(x[16 * j + i]);
            s[j] = search_affine(16, 3, x + 16 * j, a,
                h ? walk_weighted : walk_q2_k, q + 16 * j, &m[j]);
        }
        finish_q2_k(b, x, s, m, h ? sw : NULL, q, encode_round_ref);
    }
}

/* Scales of Q3_K: coded as sc (offset 32) against the d returned. */
static float
scales_q3_k(uint8_t sc[16], const float s[16], const float *sw)
{
    if (sw)
        return search_signed(16, 32, s, sw, sc);

    float e = extreme_of(s, 16), inv = e != 0.0f ? -32.0f / e : 0.0f;
    memset(sc, 0, 16);
    for (int j = 0; j < 16 && e != 0.0f; j++)
        sc[j] = (uint8_t)(clamp_int(nearest(inv * s[j]), -32, 31) + 32);
    return e != 0.0f ? 1.0f / inv : 0.0f;
}

void
finish_q3_k(uint8_t *b, const float *x, const float s[16], const float *sw,
    uint8_t q[256], encode_round_fn *round)
{
    uint8_t sc[16];
    float d = scales_q3_k(sc, s, sw);

    memset(b, 0, 110);
    for (int j = 0; j < 16; j++) {
        b[Q3_K_SC + j % 8] |= (uint8_t)((sc[j] & 15) << 4 * (j / 8));
        b[Q3_K_SC + 8 + j % 4] |= (uint8_t)(sc[j] >> 4 << 2 * (j / 4));
    }
    block_put_f16(b + Q3_K_D, d);
    d = block_f16(b + Q3_K_D);
    for (int j = 0; j < 16; j++)
        round(q + 16 * j, x + 16 * j, 16,
            d * (float)k3_scale(b + Q3_K_SC, (unsigned)j), 0.0f, -4, 3, 4);
    for (int i = 0; i < 32; i++) {
        unsigned v = 0;
        for (unsigned j = 0; j < 8; j++)
            v |= (q[32 * j + (unsigned)i] >> 2 & 1u) << j;
        b[Q3_K_HM + i] = (uint8_t)v;
    }
    put_two_bits(b + Q3_K_QS, q);
}

void
encode_q3_k_ref(uint8_t *b, const float *w, size_t cols, const float *h)
{
    for (size_t c = 0; c < cols; c += 256, b += 110) {
        const float *x = w + c;
        float a[16], s[16], sw[16];
        uint8_t q[256];
        float sigma2 = 2.0f * encode_sum_squares(x, 256) / 256.0f;

        for (int j = 0; j < 16; j++) {
            if (h) {
                sw[j] = encode_weights(a, h + c + 16 * j, x + 16 * j, 16,
                    sigma2);
                s[j] = search_signed(16, 4, x + 16 * j, a, q + 16 * j);
            } else {
                s[j] = search_moves(16, 4, x + 16 * j, q + 16 * j);
            }
        }
        finish_q3_k(b, x, s, h ? sw : NULL, q, encode_round_ref);
    }
}

/* Scales and minima of Q4_K and Q5_K: coded against d and dmin. */
static void
scales_q45_k(uint8_t sc[8], uint8_t mn[8], const float s[8], const float m[8],
    const float *sw, float *d, float *dmin)
{
    if (sw) {
        *d = search_positive(8, 63, s, sw, sc);
        *dmin = search_positive(8, 63, m, sw, mn);
    } else {
        float ts = top_of(s, 8), tm = top_of(m, 8);
        float is = ts > 0.0f ? 63.0f / ts : 0.0f;
        float im = tm > 0.0f ? 63.0f / tm : 0.0f;

        for (int j = 0; j < 8; j++) {
            sc[j] = (uint8_t)nearest(is * s[j]);
            mn[j] = (uint8_t)nearest(im * m[j]);
        }
        *d = ts / 63.0f;
        *dmin = tm / 63.0f;
    }
    for (int j = 0; j < 8; j++) {
        sc[j] = sc[j] < 63 ? sc[j] : 63;
        mn[j] = mn[j] < 63 ? mn[j] : 63;
    }
}

void
finish_q45_k(uint8_t *b, int bits, const float *x, const float s[8],
    const float m[8], const float *sw, uint8_t q[256], encode_round_fn *round)
{
    uint8_t *qs = b + (bits == 4 ? (int)Q4_K_QS : (int)Q5_K_QS);
    uint8_t *p = b + Q4_K_SC, sc[8], mn[8];
    float d, dmin;

    scales_q45_k(sc, mn, s, m, sw, &d, &dmin);
    for (int j = 0; j < 4; j++) {
        p[j] = (uint8_t)(sc[j] | (sc[j + 4] >> 4) << 6);
        p[j + 4] = (uint8_t)(mn[j] | (mn[j + 4] >> 4) << 6);
        p[j + 8] = (uint8_t)((sc[j + 4] & 15) | (mn[j + 4] & 15) << 4);
    }
    block_put_f16(b + Q4_K_D, d);
    block_put_f16(b + Q4_K_DMIN, dmin);
    d = block_f16(b + Q4_K_D);
    dmin = block_f16(b + Q4_K_DMIN);
    for (int j = 0; j < 8; j++)
        round(q + 32 * j, x + 32 * j, 32, d * (float)sc[j],
            dmin * (float)mn[j], 0, (1 << bits) - 1, 0);
    for (int i = 0; i < 128; i++) {
        const uint8_t *c = q + 64 * (i / 32) + i % 32;
        qs[i] = (uint8_t)((c[0] & 15) | (c[32] & 15) << 4);
    }
    for (int i = 0; i < 32 && bits == 5; i++) {
        unsigned v = 0;
        for (unsigned j = 0; j < 8; j++)
            v |= (q[32 * j + (unsigned)i] >> 4 & 1u) << j;
        b[Q5_K_QH + i] = (uint8_t)v;
    }
}

static void
block_q45_k(uint8_t *b, int bits, const float *x, const float *h)
{
    float a[32], s[8], m[8], sw[8];
    uint8_t q[256];
    float sigma2 = 2.0f * encode_sum_squares(x, 256) / 256.0f;
    struct affine_walk walk = h ? walk_weighted :
        bits == 4 ? walk_q4_k : walk_q5_k;

    for (int j = 0; j < 8; j++) {
        const float *xj = x + 32 * j;

        if (h) {
            sw[j] = encode_weights(a, h + 32 * j, xj, 32, sigma2);
        } else {
            float rms = sqrtf(encode_sum_squares(xj, 32) / 32.0f);
            for (int i = 0; i < 32; i++)
                a[i] = rms + fabsf(xj[i]);
        }
        s[j] = search_affine(32, (1 << bits) - 1, xj, a, walk, q + 32 * j,
            &m[j]);
    }
    finish_q45_k(b, bits, x, s, m, h ? sw : NULL, q, encode_round_ref);
}

void
encode_q4_k_ref(uint8_t *b, const float *w, size_t cols, const float *h)
{
    for (size_t c = 0; c < cols; c += 256, b += 144)
        block_q45_k(b, 4, w + c, h ? h + c : NULL);
}

void
encode_q5_k_ref(uint8_t *b, const float *w, size_t cols, const float *h)
{
    for (size_t c = 0; c < cols; c += 256, b += 176)
        block_q45_k(b, 5, w + c, h ? h + c : NULL);
}

void
finish_q6_k(uint8_t *b, const float *x, const float s[16], uint8_t q[256],
    encode_round_fn *round)
{
    float e = extreme_of(s, 16), inv = -128.0f / e;

    if (fabsf(e) < SEARCH_TINY) {
        memset(b, 0, 210);
        return;
    }
    block_put_f16(b + Q6_K_D, 1.0f / inv);
    float d = block_f16(b + Q6_K_D);

    for (int j = 0; j < 16; j++) {
        int sc = nearest(inv * s[j]);

        sc = sc < 127 ? sc : 127;
        b[Q6_K_SC + j] = (uint8_t)(int8_t)sc;
        round(q + 16 * j, x + 16 * j, 16, d * (float)(int8_t)sc, 0.0f, -32,
            31, 32);
    }
    for (int n = 0; n < 2; n++) {
        uint8_t *ql = b + Q6_K_QL + 64 * n, *qh = b + Q6_K_QH + 32 * n;

        for (int l = 0; l < 32; l++) {
            const uint8_t *p = q + 128 * n + l;

            ql[l] = (uint8_t)((p[0] & 15) | (p[64] & 15) << 4);
            ql[l + 32] = (uint8_t)((p[32] & 15) | (p[96] & 15) << 4);
            qh[l] = (uint8_t)(p[0] >> 4 | p[32] >> 4 << 2 | p[64] >> 4 << 4 |
                p[96] >> 4 << 6);
        }
    }
}

void
encode_q6_k_ref(uint8_t *b, const float *w, size_t cols, const float *h)
{
    for (size_t c = 0; c < cols; c += 256, b += 210) {
        const float *x = w + c;
        float s[16];
        uint8_t q[256];

        for (int j = 0; j < 16; j++)
            s[j] = search_signed(16, 32, x + 16 * j,
                h ? h + c + 16 * j : NULL, q + 16 * j);
        finish_q6_k(b, x, s, q, encode_round_ref);
    }
}

void
finish_iq4_xs(uint8_t *b, const float s[8], float inv[8])
{
    float d = -extreme_of(s, 8) / 32.0f, id = d != 0.0f ? 1.0f / d : 0.0f;
    unsigned high = 0;

    memset(b, 0, 8);
    block_put_f16(b + IQ4_XS_D, d);
    for (int j = 0; j < 8; j++) {
        int l = clamp_int(nearest(id * s[j]), -32, 31);
        float ds = d * (float)l;

        inv[j] = ds != 0.0f ? 1.0f / ds : 0.0f;
        b[IQ4_XS_SL + j / 2] |= (uint8_t)(((l + 32) & 15) << 4 * (j % 2));
        high |= (unsigned)(l + 32) >> 4 << 2 * j;
    }
    block_put_u16(b + IQ4_XS_SH, (uint16_t)high);
}

void
encode_iq4_xs_ref(uint8_t *b, const float *w, size_t cols, const float *h)
{
    for (size_t c = 0; c < cols; c += 256, b += 136) {
        const float *x = w + c;
        float a[32], s[8], inv[8];
        float sigma2 = encode_sum_squares(x, 256) * (2.0f / 256.0f);
        uint8_t q[32];

        for (int j = 0; j < 8; j++) {
            const float *xj = x + 32 * j;

            if (h)
                encode_weights(a, h + c + 32 * j, xj, 32, sigma2);
            for (int i = 0; i < 32 && !h; i++)
                a[i] = xj[i] * xj[i];
            s[j] = search_iq4(32, xj, a);
        }
        finish_iq4_xs(b, s, inv);
        for (int j = 0; j < 8; j++) {
            for (int i = 0; i < 32; i++)
                q[i] = nearest_iq4(inv[j] * x[32 * j + i]);
            put_nibbles(b + IQ4_XS_QS + 16 * j, q);
        }
    }
}
