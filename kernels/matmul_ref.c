/*
 * Products of packed weights with activations: the portable order of sums
 *
 * One output at a time, block after block. A block of any type becomes integer
 * codes with integer scales and corrections, so one loop serves all types.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "kernels/act.h"
#include "kernels/act_layout.h"
#include "kernels/block.h"
#include "kernels/ops.h"

/* w[i] = d * sc[i / 16] * q[i] + m * mn[i / 16]; m is what is added. */
struct plain_block {
    float d, m;
    int has_min; /* m and mn are in use */
    int16_t q[256], sc[16], mn[16];
};

static void
fill(int16_t *v, int n, int value)
{
    for (int i = 0; i < n; i++)
        v[i] = (int16_t)value;
}

static void
plain_32(struct plain_block *p, enum qtype t, const uint8_t *b)
{
    int five = t == QT_Q5_0 || t == QT_Q5_1;
    int mins = t == QT_Q4_1 || t == QT_Q5_1;
    const uint8_t *qs = b + (mins ? 4 : 2) + (five ? 4 : 0);
    uint32_t h = five ? block_u32(b + (mins ? 4 : 2)) : 0;
    int off = t == QT_Q4_0 ? 8 : t == QT_Q5_0 ? 16 : 0;

    p->d = block_f16(b);
    p->has_min = mins;
    p->m = mins ? block_f16(b + 2) : 0.0f;
    fill(p->sc, 2, 1);
    fill(p->mn, 2, 1);
    for (int i = 0; i < 32; i++) {
        int q = qs[i % 16] >> 4 * (i / 16) & 15;

        if (t == QT_Q8_0)
            q = (int8_t)b[Q8_0_QS + i];
        else if (t == QT_IQ4_NL)
            q = iq4_values[q];
        else
            q = (q | (int)(h >> i & 1) << 4) - off;
        p->q[i] = (int16_t)q;
    }
}

static void
plain_q45_k(struct plain_block *p, enum qtype t, const uint8_t *b)
{
    const uint8_t *qs = b + (t == QT_Q4_K ? (int)Q4_K_QS : (int)Q5_K_QS);

    p->d = block_f16(b + Q4_K_D);
    p->m = -block_f16(b + Q4_K_DMIN);
    p->has_min = 1;
    for (int j = 0; j < 8; j++) {
        uint8_t sc, mn;

        k4_scale_min(b + Q4_K_SC, (unsigned)j, &sc, &mn);
        fill(p->sc + 2 * j, 2, sc);
        fill(p->mn + 2 * j, 2, mn);
        for (int i = 0; i < 32; i++) {
            int h = t == QT_Q5_K ? b[Q5_K_QH + i] >> j & 1 : 0;
            p->q[32 * j + i] = (int16_t)(
                (qs[32 * (j / 2) + i] >> 4 * (j & 1) & 15) | h << 4);
        }
    }
}

static void
plain_q23_k(struct plain_block *p, enum qtype t, const uint8_t *b)
{
    const uint8_t *qs = b + (t == QT_Q2_K ? (int)Q2_K_QS : (int)Q3_K_QS);

    p->d = block_f16(b + (t == QT_Q2_K ? (int)Q2_K_D : (int)Q3_K_D));
    p->has_min = t == QT_Q2_K;
    p->m = t == QT_Q2_K ? -block_f16(b + Q2_K_DMIN) : 0.0f;
    for (int j = 0; j < 16; j++) {
        uint8_t s = b[Q2_K_SC + j];

        p->sc[j] = (int16_t)(t == QT_Q2_K ? s & 15
                : k3_scale(b + Q3_K_SC, (unsigned)j));
        p->mn[j] = (int16_t)(s >> 4);
    }
    for (int i = 0; i < 256; i++) {
        int q = qs[32 * (i / 128) + i % 32] >> 2 * (i % 128 / 32) & 3;

        if (t == QT_Q3_K)
            q -= b[Q3_K_HM + i % 32] >> i / 32 & 1 ? 0 : 4;
        p->q[i] = (int16_t)q;
    }
}

static void
plain_q6_k(struct plain_block *p, const uint8_t *b)
{
    p->d = block_f16(b + Q6_K_D);
    p->has_min = 0;
    for (int j = 0; j < 16; j++)
        p->sc[j] = (int8_t)b[Q6_K_SC + j];
    for (int i = 0; i < 256; i++) {
        int n = i / 128, part = i % 128 / 32, l = i % 32;
        int lo = b[Q6_K_QL + 64 * n + 32 * (part & 1) + l] >> 4 * (part >> 1);
        int hi = b[Q6_K_QH + 32 * n + l] >> 2 * part & 3;
        p->q[i] = (int16_t)(((lo & 15) | hi << 4) - 32);
    }
}

static void
plain_iq4_xs(struct plain_block *p, const uint8_t *b)
{
    p->d = block_f16(b + IQ4_XS_D);
    p->has_min = 0;
    for (int j = 0; j < 8; j++)
        fill(p->sc + 2 * j, 2, iq4_xs_scale(b, (unsigned)j));
    for (int i = 0; i < 256; i++)
        p->q[i] = iq4_values[b[IQ4_XS_QS + 16 * (i / 32) + i % 16] >>
                4 * (i % 32 / 16) & 15];
}

static void
plain_block(struct plain_block *p, enum qtype t, const uint8_t *b)
{
    switch (t) {
    case QT_Q2_K:
    case QT_Q3_K: plain_q23_k(p, t, b); break;
    case QT_Q4_K:
    case QT_Q5_K: plain_q45_k(p, t, b); break;
    case QT_Q6_K: plain_q6_k(p, b); break;
    case QT_IQ4_XS: plain_iq4_xs(p, b); break;
    default: plain_32(p, t, b); break;
    }
}

/* Exact sums over one block of n codes: *isum of products, *msum of minima. */
static void
block_sums(const struct plain_block *p, const int8_t *a, int n, int32_t *isum,
    int32_t *msum)
{
    *isum = *msum = 0;
    for (int j = 0; j < n / 16; j++) {
        int32_t dot = 0, sum = 0;

        for (int i = 16 * j; i < 16 * j + 16; i++) {
            dot += p->q[i] * a[i];
            sum += a[i];
        }
        *isum += p->sc[j] * dot;
        *msum += p->mn[j] * sum;
    }
}

static float
load_float(const uint8_t *p)
{
    float f;
    memcpy(&f, p, sizeof f);
    return f;
}

/* One output of a packed type. */
static float
dot_packed(enum qtype t, const uint8_t *w, const uint8_t *act, size_t cols)
{
    const struct qtype_info *q = qtype_info(t);
    const uint8_t *d = act + act_off_d(cols);
    const uint8_t *s1 = act + act_off_sum(cols, 32); /* of Q8_1 */
    float s = 0.0f;

    for (size_t b = 0; b < cols / q->block; b++, w += q->bytes) {
        struct plain_block p;
        int32_t isum, msum;
        float da = load_float(d + 4 * b);

        plain_block(&p, t, w);
        block_sums(&p, (const int8_t *)act + b * q->block, (int)q->block,
            &isum, &msum);
        s = fmaf((float)isum, p.d * da, s);
        if (p.has_min && q->block == 32)
            s = fmaf(p.m, load_float(s1 + 4 * b), s);
        else if (p.has_min)
            s = fmaf((float)msum, p.m * da, s);
    }
    return s;
}

static float
weight_at(enum qtype t, const uint8_t *w, size_t i)
{
    if (t == QT_F32)
        return load_float(w + 4 * i);
    if (t == QT_F16)
        return f16_to_f32(block_u16(w + 2 * i));
    return bf16_to_f32(block_u16(w + 2 * i));
}

/* One output of a float type. */
static float
dot_float(enum qtype t, const uint8_t *w, const uint8_t *act, size_t cols)
{
    float s = 0.0f;

    for (size_t c = 0; c < cols; c += 256) {
        size_t end = cols - c < 256 ? cols : c + 256;
        float p = 0.0f;

        for (size_t i = c; i < end; i++)
            p = fmaf(weight_at(t, w, i), load_float(act + 4 * i), p);
        s = s + p;
    }
    return s;
}

void
matmul_ref(float *y, size_t ldy, const void *w, enum qtype t, size_t row0,
    size_t row1, size_t cols, const void *act, size_t n_act)
{
    size_t wb = qtype_row_bytes(t, cols);
    enum act_type at = qtype_info(t)->act;
    size_t ab = act_row_bytes(at, cols);

    for (size_t r = row0; r < row1; r++) {
        const uint8_t *wr = (const uint8_t *)w + r * wb;

        for (size_t a = 0; a < n_act; a++) {
            const uint8_t *ar = (const uint8_t *)act + a * ab;
            y[a * ldy + r] = at == ACT_F32 ? dot_float(t, wr, ar, cols)
                                           : dot_packed(t, wr, ar, cols);
        }
    }
}
