/*
 * neon.h - small NEON pieces that several files need (private)
 */
#ifndef QUERN_KERNELS_NEON_H
#define QUERN_KERNELS_NEON_H

#if defined(__aarch64__)

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__AARCH64EB__)
#error "blocks are little-endian, and so is what these files take them for"
#endif

#define INLINE static inline __attribute__((always_inline))

/* For loops over registers: they stay registers only if it is unrolled. */
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/*
 * The first n (< 4) floats, zeros behind them; nothing is read beyond. Without
 * loops: gcc would call memcpy, and constants would leave their registers.
 */
INLINE float32x4_t
load_some(const float *p, size_t n)
{
    float32x4_t v = vdupq_n_f32(0.0f);

    if (n >= 4)
        return vld1q_f32(p);
    v = vld1q_lane_f32(p, v, 0);
    if (n > 1)
        v = vld1q_lane_f32(p + 1, v, 1);
    if (n > 2)
        v = vld1q_lane_f32(p + 2, v, 2);
    return v;
}

INLINE void
store_some(float *p, float32x4_t v, size_t n)
{
    if (n >= 4) {
        vst1q_f32(p, v);
        return;
    }
    vst1q_lane_f32(p, v, 0);
    if (n > 1)
        vst1q_lane_f32(p + 1, v, 1);
    if (n > 2)
        vst1q_lane_f32(p + 2, v, 2);
}

/* 16 lanes, 4 in each register, folded to 8 and to 4. */
INLINE float32x4_t
fold_to4(float32x4_t v0, float32x4_t v1, float32x4_t v2, float32x4_t v3)
{
    return vaddq_f32(vaddq_f32(v0, v2), vaddq_f32(v1, v3));
}

/* Lanes 4 -> 2 -> 1. */
INLINE float
fold4(float32x4_t v)
{
    float32x2_t s = vadd_f32(vget_low_f32(v), vget_high_f32(v));

    return vget_lane_f32(s, 0) + vget_lane_f32(s, 1);
}

/* 4 x 4 transpose of 32-bit lanes: v[k] lane r becomes v[r] lane k. */
INLINE void
transpose4(int32x4_t v[4])
{
    int64x2_t a = vreinterpretq_s64_s32(vtrn1q_s32(v[0], v[1]));
    int64x2_t b = vreinterpretq_s64_s32(vtrn2q_s32(v[0], v[1]));
    int64x2_t c = vreinterpretq_s64_s32(vtrn1q_s32(v[2], v[3]));
    int64x2_t d = vreinterpretq_s64_s32(vtrn2q_s32(v[2], v[3]));

    v[0] = vreinterpretq_s32_s64(vtrn1q_s64(a, c));
    v[1] = vreinterpretq_s32_s64(vtrn1q_s64(b, d));
    v[2] = vreinterpretq_s32_s64(vtrn2q_s64(a, c));
    v[3] = vreinterpretq_s32_s64(vtrn2q_s64(b, d));
}

INLINE void
transpose4_f32(float32x4_t v[4])
{
    int32x4_t t[4];

    UNROLL
    for (int i = 0; i < 4; i++)
        t[i] = vreinterpretq_s32_f32(v[i]);
    transpose4(t);
    UNROLL
    for (int i = 0; i < 4; i++)
        v[i] = vreinterpretq_f32_s32(t[i]);
}

/* Four float16 or bfloat16 numbers at any address. */
INLINE float32x4_t
four_f16(const uint8_t *p)
{
    return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p)));
}

INLINE float32x4_t
four_bf16(const uint8_t *p)
{
    return vreinterpretq_f32_u32(
        vshll_n_u16(vreinterpret_u16_u8(vld1_u8(p)), 16));
}

INLINE float
load_float(const uint8_t *p)
{
    float f;
    memcpy(&f, p, sizeof f);
    return f;
}

#endif
#endif
