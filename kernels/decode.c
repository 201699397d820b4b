/*
 * Blocks back to floats, straight from the layout table of the GGUF formats:
 * one function for each type, one block for each call.
 */
#include "kernels/decode.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "kernels/block.h"
#include "kernels/ops.h"

const int8_t iq4_values[16] = { -127, -104, -83, -65, -49, -35, -22, -10, 1,
    13, 25, 38, 53, 69, 89, 113 };

static void
decode_q8_0(float *y, const uint8_t *b)
{
    float d = block_f16(b + Q8_0_D);

    for (int i = 0; i < 32; i++)
        y[i] = d * (float)(int8_t)b[Q8_0_QS + i];
}

/* q + 32 codes of 4 bits: first half in the low nibbles. */
static void
nibbles32(uint8_t *q, const uint8_t *qs)
{
    for (int i = 0; i < 16; i++) {
        q[i] = qs[i] & 15;
        q[i + 16] = qs[i] >> 4;
    }
}

static void
decode_q4_0(float *y, const uint8_t *b)
{
    float d = block_f16(b + Q4_0_D);
    uint8_t q[32];

    nibbles32(q, b + Q4_0_QS);
    for (int i = 0; i < 32; i++)
        y[i] = d * (float)(q[i] - 8);
}

static void
decode_q4_1(float *y, const uint8_t *b)
{
    float d = block_f16(b + Q4_1_D), m = block_f16(b + Q4_1_M);
    uint8_t q[32];

    nibbles32(q, b + Q4_1_QS);
    for (int i = 0; i < 32; i++)
        y[i] = d * (float)q[i] + m;
}

static void
decode_q5_0(float *y, const uint8_t *b)
{
    float d = block_f16(b + Q5_0_D);
    uint32_t h = block_u32(b + Q5_0_QH);
    uint8_t q[32];

    nibbles32(q, b + Q5_0_QS);
    for (int i = 0; i < 32; i++)
        y[i] = d * (float)((int)(q[i] | (h >> i & 1) << 4) - 16);
}

static void
decode_q5_1(float *y, const uint8_t *b)
{
    float d = block_f16(b + Q5_1_D), m = block_f16(b + Q5_1_M);
    uint32_t h = block_u32(b + Q5_1_QH);
    uint8_t q[32];

    nibbles32(q, b + Q5_1_QS);
    for (int i = 0; i < 32; i++)
        y[i] = d * (float)(q[i] | (h >> i & 1) << 4) + m;
}

static void
decode_iq4_nl(float *y, const uint8_t *b)
{
    float d = block_f16(b + IQ4_NL_D);
    uint8_t q[32];

    nibbles32(q, b + IQ4_NL_QS);
    for (int i = 0; i < 32; i++)
        y[i] = d * (float)iq4_values[q[i]];
}

static void
decode_q2_k(float *y, const uint8_t *b)
{
    float d = block_f16(b + Q2_K_D), dmin = block_f16(b + Q2_K_DMIN);

    for (int j = 0; j < 16; j++) {
        uint8_t s = b[Q2_K_SC + j];
        float ds = d * (float)(s & 15), ms = dmin * (float)(s >> 4);

        for (int i = 16 * j; i < 16 * j + 16; i++) {
            int q = b[Q2_K_QS + 32 * (i / 128) + i % 32] >>
                    2 * (i % 128 / 32) & 3;
            y[i] = ds * (float)q - ms;
        }
    }
}

static void
decode_q3_k(float *y, const uint8_t *b)
{
    float d = block_f16(b + Q3_K_D);

    for (int j = 0; j < 16; j++) {
        float ds = d * (float)k3_scale(b + Q3_K_SC, (unsigned)j);

        for (int i = 16 * j; i < 16 * j + 16; i++) {
            int q = b[Q3_K_QS + 32 * (i / 128) + i % 32] >>
                    2 * (i % 128 / 32) & 3;
            int h = b[Q3_K_HM + i % 32] >> i / 32 & 1;
            y[i] = ds * (float)(q - (h ? 0 : 4));
        }
    }
}

static void
decode_q4_k(float *y, const uint8_t *b)
{
    float d = block_f16(b + Q4_K_D), dmin = block_f16(b + Q4_K_DMIN);

    for (int j = 0; j < 8; j++) {
        const uint8_t *qs = b + Q4_K_QS + 32 * (j / 2);
        uint8_t sc, mn;

        k4_scale_min(b + Q4_K_SC, (unsigned)j, &sc, &mn);
        float ds = d * (float)sc, ms = dmin * (float)mn;
        for (int i = 0; i < 32; i++)
            y[32 * j + i] = ds * (float)(qs[i] >> 4 * (j & 1) & 15) - ms;
    }
}

static void
decode_q5_k(float *y, const uint8_t *b)
{
    float d = block_f16(b + Q5_K_D), dmin = block_f16(b + Q5_K_DMIN);

    for (int j = 0; j < 8; j++) {
        const uint8_t *qs = b + Q5_K_QS + 32 * (j / 2);
        const uint8_t *qh = b + Q5_K_QH;
        uint8_t sc, mn;

        k4_scale_min(b + Q5_K_SC, (unsigned)j, &sc, &mn);
        float ds = d * (float)sc, ms = dmin * (float)mn;
        for (int i = 0; i < 32; i++) {
            int q = (qs[i] >> 4 * (j & 1) & 15) | (qh[i] >> j & 1) << 4;
            y[32 * j + i] = ds * (float)q - ms;
        }
    }
}

static void
decode_q6_k(float *y, const uint8_t *b)
{
    float d = block_f16(b + Q6_K_D);

    for (int j = 0; j < 16; j++) {
        float ds = d * (float)(int8_t)b[Q6_K_SC + j];

        for (int i = 16 * j; i < 16 * j + 16; i++) {
            int n = i / 128, part = i % 128 / 32, l = i % 32;
            int lo = b[Q6_K_QL + 64 * n + 32 * (part & 1) + l] >>
                     4 * (part >> 1) & 15;
            int hi = b[Q6_K_QH + 32 * n + l] >> 2 * part & 3;
            y[i] = ds * (float)((lo | hi << 4) - 32);
        }
    }
}

static void
decode_iq4_xs(float *y, const uint8_t *b)
{
    float d = block_f16(b + IQ4_XS_D);

    for (int j = 0; j < 8; j++) {
        float ds = d * (float)iq4_xs_scale(b, (unsigned)j);
        uint8_t q[32];

        nibbles32(q, b + IQ4_XS_QS + 16 * j);
        for (int i = 0; i < 32; i++)
            y[32 * j + i] = ds * (float)iq4_values[q[i]];
    }
}

static void (*const decoders[QT_COUNT])(float *, const uint8_t *) = {
    [QT_Q8_0] = decode_q8_0,
    [QT_Q4_0] = decode_q4_0,
    [QT_Q4_1] = decode_q4_1,
    [QT_Q5_0] = decode_q5_0,
    [QT_Q5_1] = decode_q5_1,
    [QT_Q2_K] = decode_q2_k,
    [QT_Q3_K] = decode_q3_k,
    [QT_Q4_K] = decode_q4_k,
    [QT_Q5_K] = decode_q5_k,
    [QT_Q6_K] = decode_q6_k,
    [QT_IQ4_NL] = decode_iq4_nl,
    [QT_IQ4_XS] = decode_iq4_xs,
};

void
decode_ref(enum qtype t, float *y, const uint8_t *b, size_t n)
{
    const struct qtype_info *q = qtype_info(t);

    for (size_t i = 0; i < n; i += q->block, b += q->bytes)
        decoders[t](y + i, b);
}

void
qtype_decode(enum qtype t, float *y, const void *w, size_t n)
{
    assert(n % qtype_info(t)->block == 0);
    if (t == QT_F32) {
        if (n > 0)
            memcpy(y, w, n * sizeof *y);
    } else if (t == QT_F16) {
        f16_to_f32_row(y, w, n);
    } else if (t == QT_BF16) {
        bf16_to_f32_row(y, w, n);
    } else {
        kernel_ops()->decode(t, y, w, n);
    }
}
