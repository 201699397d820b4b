/*
 * Activations to 8 bits: sizes, and the portable encoder
 */
#include "kernels/act.h"

#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "kernels/act_layout.h"
#include "kernels/half.h"
#include "kernels/ops.h"
#include "kernels/search.h"

size_t
act_row_bytes(enum act_type t, size_t cols)
{
    static const size_t block[ACT_COUNT] = { 1, 32, 32, 256 };
    size_t n = 0;

    assert((unsigned)t < ACT_COUNT);
    if (cols == 0 || cols % block[t] != 0 || cols > SIZE_MAX / 8)
        return 0;
    switch (t) {
    case ACT_F32: n = cols * 4; break;
    case ACT_Q8_0:
    case ACT_Q8_1: n = act_off_sum(cols, 32) + cols / 32 * 4; break;
    default: n = act_off_sum32(cols) + cols / 32 * 2; break;
    }
    return (n + 63) / 64 * 64;
}

/* One block of 32; returns the unrounded scale and *sum of the codes. */
static float
encode_32(int8_t *q, const float *x, int32_t *sum)
{
    float top = 0.0f;

    for (int i = 0; i < 32; i++)
        top = fabsf(x[i]) > top ? fabsf(x[i]) : top;
    float d = top < ACT_TINY ? 0.0f : top / 127.0f;
    float inv = d != 0.0f ? 1.0f / d : 0.0f;
    *sum = 0;
    for (int i = 0; i < 32; i++) {
        float v = roundf(x[i] * inv);

        q[i] = fabsf(v) <= 127.0f ? (int8_t)v : 0;
        *sum += q[i];
    }
    return d;
}

/* One block of 256 with its sums; returns the scale. */
static float
encode_256(int8_t *q, const float *x, int16_t *sum16, int16_t *sum32)
{
    float top = 0.0f, v = 0.0f;

    for (int i = 0; i < 256; i++) {
        if (fabsf(x[i]) > top) {
            top = fabsf(x[i]);
            v = x[i];
        }
    }
    if (!(top >= ACT_TINY && top <= 0x1.fffffep127f)) {
        memset(q, 0, 256);
        memset(sum16, 0, 16 * sizeof *sum16);
        memset(sum32, 0, 8 * sizeof *sum32);
        return 0.0f;
    }
    float inv = -127.0f / v;
    for (int j = 0; j < 16; j++) {
        int sum = 0;

        for (int i = 16 * j; i < 16 * j + 16; i++) {
            q[i] = (int8_t)clamp_int(nearest(inv * x[i]), -127, 127);
            sum += q[i];
        }
        sum16[j] = (int16_t)sum;
    }
    for (int j = 0; j < 8; j++)
        sum32[j] = (int16_t)(sum16[2 * j] + sum16[2 * j + 1]);
    return 1.0f / inv;
}

static void
encode_row_32(enum act_type t, uint8_t *dst, const float *x, size_t cols)
{
    for (size_t b = 0; b < cols / 32; b++) {
        int32_t sum;
        float d = encode_32((int8_t *)dst + 32 * b, x + 32 * b, &sum);
        float kept = f16_to_f32(f16_from_f32(d));
        float s = f16_to_f32(f16_from_f32((float)sum * d));

        memcpy(dst + act_off_d(cols) + 4 * b, &kept, 4);
        memcpy(dst + act_off_sum(cols, 32) + 4 * b,
            t == ACT_Q8_1 ? (const void *)&s : (const void *)&sum, 4);
    }
}

void
act_encode_ref(enum act_type t, void *dst, const float *x, size_t rows,
    size_t cols)
{
    size_t bytes = act_row_bytes(t, cols);

    for (size_t r = 0; r < rows; r++, x += cols) {
        uint8_t *d = (uint8_t *)dst + r * bytes;

        memset(d + bytes - 64, 0, 64); /* what is padding must repeat too */
        if (t == ACT_F32) {
            memcpy(d, x, cols * sizeof *x);
        } else if (t != ACT_Q8_K) {
            encode_row_32(t, d, x, cols);
        } else {
            for (size_t b = 0; b < cols / 256; b++) {
                int16_t s16[16], s32[8];
                float v = encode_256((int8_t *)d + 256 * b, x + 256 * b, s16,
                    s32);

                memcpy(d + act_off_d(cols) + 4 * b, &v, 4);
                memcpy(d + act_off_sum(cols, 256) + 32 * b, s16, 32);
                memcpy(d + act_off_sum32(cols) + 16 * b, s32, 16);
            }
        }
    }
}

void
act_encode(enum act_type t, void *dst, const float *x, size_t rows,
    size_t cols)
{
    assert(act_row_bytes(t, cols) > 0);
    kernel_ops()->act_encode(t, dst, x, rows, cols);
}
