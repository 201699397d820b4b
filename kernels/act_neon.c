/*
 * Activations to 8 bits on NEON: the bytes of act_encode_ref
 *
 * fcvta rounds halves away from zero, as Q8_0 wants, fcvtn to even, as Q8_K
 * does; both make 0 of a NaN. fmaxnm passes NaN over, as `x > top` does.
 */
#include "kernels/act.h"

#include "kernels/ops.h"

#if defined(__aarch64__)

#include <string.h>

#include "kernels/act_layout.h"
#include "kernels/neon.h"
#include "kernels/ops_neon.h"

/* 16 codes from four vectors of 32-bit ones. */
INLINE int8x16_t
narrow(const int32x4_t v[4])
{
    int16x8_t a = vqmovn_high_s32(vqmovn_s32(v[0]), v[1]);
    int16x8_t b = vqmovn_high_s32(vqmovn_s32(v[2]), v[3]);

    return vqmovn_high_s16(vqmovn_s16(a), b);
}

/* Largest magnitude of n values, n a multiple of 16. */
INLINE float
largest(const float *x, int n)
{
    float32x4_t a = vdupq_n_f32(0.0f), b = a, c = a, d = a;

    for (int i = 0; i < n; i += 16) {
        a = vmaxnmq_f32(a, vabsq_f32(vld1q_f32(x + i)));
        b = vmaxnmq_f32(b, vabsq_f32(vld1q_f32(x + i + 4)));
        c = vmaxnmq_f32(c, vabsq_f32(vld1q_f32(x + i + 8)));
        d = vmaxnmq_f32(d, vabsq_f32(vld1q_f32(x + i + 12)));
    }
    return vmaxnmvq_f32(vmaxnmq_f32(vmaxnmq_f32(a, b), vmaxnmq_f32(c, d)));
}

static void
encode_row_32(enum act_type t, uint8_t *dst, const float *x, size_t cols)
{
    for (size_t b = 0; b < cols / 32; b++, x += 32) {
        float top = largest(x, 32);
        float d = top < ACT_TINY ? 0.0f : top / 127.0f;
        float inv = d != 0.0f ? 1.0f / d : 0.0f;
        int32_t total = 0;

        UNROLL
        for (size_t h = 0; h < 2; h++) {
            int32x4_t v[4];
            int8x16_t q;

            UNROLL
            for (size_t i = 0; i < 4; i++)
                v[i] = vcvtaq_s32_f32(
                    vmulq_n_f32(vld1q_f32(x + 16 * h + 4 * i), inv));
            q = narrow(v);
            vst1q_s8((int8_t *)dst + 32 * b + 16 * h, q);
            total += vaddlvq_s8(q);
        }

        const float both[4] = { d, (float)total * d, 0.0f, 0.0f };
        float kept[4];
        vst1q_f32(kept, vcvt_f32_f16(vcvt_f16_f32(vld1q_f32(both))));
        memcpy(dst + act_off_d(cols) + 4 * b, &kept[0], 4);
        memcpy(dst + act_off_sum(cols, 32) + 4 * b,
            t == ACT_Q8_1 ? (const void *)&kept[1] : (const void *)&total, 4);
    }
}

/* The first of the 256 values of largest magnitude `top`. */
static float
first_with(const float *x, float top)
{
    const float32x4_t m = vdupq_n_f32(top);

    for (int i = 0; i < 256; i += 16) {
        uint32x4_t hit = vceqq_f32(vabsq_f32(vld1q_f32(x + i)), m);

        hit = vorrq_u32(hit, vceqq_f32(vabsq_f32(vld1q_f32(x + i + 4)), m));
        hit = vorrq_u32(hit, vceqq_f32(vabsq_f32(vld1q_f32(x + i + 8)), m));
        hit = vorrq_u32(hit, vceqq_f32(vabsq_f32(vld1q_f32(x + i + 12)), m));
        for (int k = i; vmaxvq_u32(hit) != 0 && k < i + 16; k++)
            if (x[k] == top || x[k] == -top)
                return x[k];
    }
    return 0.0f;
}

/* Codes of 16 values; returns their sum. */
INLINE int16_t
codes_16(int8_t *dst, const float *x, float inv)
{
    int32x4_t v[4];
    int8x16_t q;

    UNROLL
    for (int i = 0; i < 4; i++)
        v[i] = vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(x + 4 * i), inv));
    q = vmaxq_s8(narrow(v), vdupq_n_s8(-127));
    vst1q_s8(dst, q);
    return vaddlvq_s8(q);
}

static void
encode_row_256(uint8_t *dst, const float *x, size_t cols)
{
    for (size_t b = 0; b < cols / 256; b++, x += 256) {
        int16_t s16[16] = { 0 }, s32[8];
        int8_t *q = (int8_t *)dst + 256 * b;
        float top = largest(x, 256), d = 0.0f;

        if (top >= ACT_TINY && top <= 0x1.fffffep127f) {
            float inv = -127.0f / first_with(x, top);

            for (int i = 0; i < 16; i++)
                s16[i] = codes_16(q + 16 * i, x + 16 * i, inv);
            d = 1.0f / inv;
        } else {
            memset(q, 0, 256);
        }
        for (int i = 0; i < 8; i++)
            s32[i] = (int16_t)(s16[2 * i] + s16[2 * i + 1]);
        memcpy(dst + act_off_d(cols) + 4 * b, &d, 4);
        memcpy(dst + act_off_sum(cols, 256) + 32 * b, s16, 32);
        memcpy(dst + act_off_sum32(cols) + 16 * b, s32, 16);
    }
}

void
act_encode_neon(enum act_type t, void *dst, const float *x, size_t rows,
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
