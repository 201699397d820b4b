/*
 * codes_neon.h - blocks of every packed type as bytes and integers (private)
 *
 * One description of each type, from which the products of matmul_neon.h are
 * made: t is a constant at every call, so nothing is left of the switches.
 *
 *   weight = d * scale * (code - offset) + m * min
 *
 * Types of 32 have no scale, and no min but 1. m of Q4_1 and Q5_1 is as it is
 * stored, that of K types is -dmin.
 */
#ifndef QUERN_KERNELS_CODES_NEON_H
#define QUERN_KERNELS_CODES_NEON_H

#if defined(__aarch64__)

#include "kernels/block.h"
#include "kernels/neon.h"
#include "kernels/qtype.h"

/* ---- what a type is like ---- */

INLINE size_t
block_bytes(enum qtype t)
{
    switch (t) {
    case QT_Q8_0: return 34;
    case QT_Q4_1: return 20;
    case QT_Q5_0: return 22;
    case QT_Q5_1: return 24;
    case QT_Q2_K: return 84;
    case QT_Q3_K: return 110;
    case QT_Q4_K: return 144;
    case QT_Q5_K: return 176;
    case QT_Q6_K: return 210;
    case QT_IQ4_XS: return 136;
    default: return 18; /* Q4_0, IQ4_NL */
    }
}

INLINE int
offset_of(enum qtype t)
{
    return t == QT_Q4_0 ? 8 : t == QT_Q5_0 ? 16 : t == QT_Q6_K ? 32
        : t == QT_Q3_K ? 4 : 0;
}

INLINE int
has_minimum(enum qtype t)
{
    return t == QT_Q4_1 || t == QT_Q5_1 || t == QT_Q2_K || t == QT_Q4_K ||
        t == QT_Q5_K;
}

/* Scales in a block of a type of 256. */
INLINE int
scales_of(enum qtype t)
{
    return t == QT_Q4_K || t == QT_Q5_K || t == QT_IQ4_XS ? 8 : 16;
}

/* Where d lies in a block of a type of 256; dmin comes right after. */
INLINE size_t
scale_at(enum qtype t)
{
    return t == QT_Q2_K ? Q2_K_D : t == QT_Q3_K ? Q3_K_D
        : t == QT_Q6_K ? Q6_K_D : 0;
}

/* ---- codes ---- */

/* Codes of columns 0 to 15 and 16 to 31 of a sub-block of 32. */
struct codes {
    int8x16_t low, high;
};

/* Bytes shifted right by n, or left by -n; n is a constant. */
INLINE uint8x16_t
shifted(uint8x16_t v, int n)
{
    switch (n) {
    case -4: return vshlq_n_u8(v, 4);
    case -3: return vshlq_n_u8(v, 3);
    case -2: return vshlq_n_u8(v, 2);
    case -1: return vshlq_n_u8(v, 1);
    case 1: return vshrq_n_u8(v, 1);
    case 2: return vshrq_n_u8(v, 2);
    case 3: return vshrq_n_u8(v, 3);
    case 4: return vshrq_n_u8(v, 4);
    case 5: return vshrq_n_u8(v, 5);
    case 6: return vshrq_n_u8(v, 6);
    default: return v;
    }
}

/* Bytes shifted so, of which the bits of mask are kept. */
INLINE uint8x16_t
bits_at(const uint8_t *p, int shift, int mask)
{
    uint8x16_t v = shifted(vld1q_u8(p), shift);

    /* a mask that takes nothing away is no instruction */
    return shift >= 0 && 255 >> shift == mask ? v
        : vandq_u8(v, vdupq_n_u8((uint8_t)mask));
}

INLINE struct codes
as_codes(uint8x16_t low, uint8x16_t high)
{
    return (struct codes){ vreinterpretq_s8_u8(low),
        vreinterpretq_s8_u8(high) };
}

/* 16 bytes of nibbles, low ones first. */
INLINE struct codes
nibbles(const uint8_t *qs)
{
    return as_codes(bits_at(qs, 0, 15), bits_at(qs, 4, 15));
}

INLINE struct codes
iq4_codes(const uint8_t *qs)
{
    const int8x16_t table = vld1q_s8(iq4_values);
    struct codes c = nibbles(qs);

    return (struct codes){ vqtbl1q_s8(table, vreinterpretq_u8_s8(c.low)),
        vqtbl1q_s8(table, vreinterpretq_u8_s8(c.high)) };
}

/* a, but with the bits of mask from b. */
INLINE uint8x16_t
merged(uint8x16_t a, uint8x16_t b, int mask)
{
    return vbslq_u8(vdupq_n_u8((uint8_t)mask), b, a);
}

/* Q5_0 and Q5_1: 32 fifth bits, then nibbles. */
INLINE struct codes
codes_q5(const uint8_t *p)
{
    const uint8x16_t bit = vreinterpretq_u8_u64(
        vdupq_n_u64(0x8040201008040201));
    const uint8x16_t byte = vcombine_u8(vdup_n_u8(0), vdup_n_u8(1));
    uint8x16_t h = vreinterpretq_u8_u32(vdupq_n_u32(block_u32(p)));
    struct codes c = nibbles(p + 4);

    /* the byte of each column to its place, then all ones if its bit is set */
    return as_codes(
        merged(vreinterpretq_u8_s8(c.low),
            vtstq_u8(vqtbl1q_u8(h, byte), bit), 16),
        merged(vreinterpretq_u8_s8(c.high),
            vtstq_u8(vqtbl1q_u8(h, vaddq_u8(byte, vdupq_n_u8(2))), bit), 16));
}

/* Low bits at `shift` of p; bits of mask `high` from h, shifted by `by`. */
INLINE struct codes
joined(const uint8_t *p, int shift, int mask, const uint8_t *h, int by,
    int high)
{
    return as_codes(
        merged(bits_at(p, shift, mask), shifted(vld1q_u8(h), by), high),
        merged(bits_at(p + 16, shift, mask), shifted(vld1q_u8(h + 16), by),
            high));
}

INLINE struct codes
plain(const uint8_t *p, int shift, int mask)
{
    return as_codes(bits_at(p, shift, mask), bits_at(p + 16, shift, mask));
}

/* Columns [32 j, 32 j + 32) of a block. */
INLINE struct codes
codes_of(enum qtype t, const uint8_t *b, int j)
{
    int n = j / 4, k = j % 4;

    switch (t) {
    case QT_Q8_0: return plain(b + Q8_0_QS, 0, 255);
    case QT_Q4_0: return nibbles(b + Q4_0_QS);
    case QT_Q4_1: return nibbles(b + Q4_1_QS);
    case QT_Q5_0: return codes_q5(b + Q5_0_QH);
    case QT_Q5_1: return codes_q5(b + Q5_1_QH);
    case QT_IQ4_NL: return iq4_codes(b + IQ4_NL_QS);
    case QT_Q2_K: return plain(b + Q2_K_QS + 32 * n, 2 * k, 3);
    case QT_Q3_K:
        return joined(b + Q3_K_QS + 32 * n, 2 * k, 3, b + Q3_K_HM, j - 2, 4);
    case QT_Q4_K:
        return plain(b + Q4_K_QS + 32 * (j / 2), 4 * (j % 2), 15);
    case QT_Q5_K:
        return joined(b + Q5_K_QS + 32 * (j / 2), 4 * (j % 2), 15, b + Q5_K_QH,
            j - 4, 16);
    case QT_Q6_K:
        return joined(b + Q6_K_QL + 64 * n + 32 * (k % 2), 4 * (k / 2), 15,
            b + Q6_K_QH + 32 * n, 2 * k - 4, 48);
    default: return iq4_codes(b + IQ4_XS_QS + 16 * j);
    }
}

/* ---- scales ---- */

/* Of a block of 256, in the order of columns; [2] and [3] only if scales_of. */
struct scales {
    int32x4_t scale[4], min[4];
};

INLINE void
widen_16(int32x4_t to[4], int8x16_t v)
{
    int16x8_t a = vmovl_s8(vget_low_s8(v)), b = vmovl_high_s8(v);

    to[0] = vmovl_s16(vget_low_s16(a));
    to[1] = vmovl_high_s16(a);
    to[2] = vmovl_s16(vget_low_s16(b));
    to[3] = vmovl_high_s16(b);
}

INLINE int8x16_t
bytes_of(uint32_t u0, uint32_t u1, uint32_t u2, uint32_t u3)
{
    return vreinterpretq_s8_u64(vcombine_u64(
        vcreate_u64(u0 | (uint64_t)u1 << 32),
        vcreate_u64(u2 | (uint64_t)u3 << 32)));
}

/* Q4_K and Q5_K, see k4_scale_min. */
INLINE void
scales_k4(struct scales *s, const uint8_t *p)
{
    uint32_t u0 = block_u32(p), u1 = block_u32(p + 4), u2 = block_u32(p + 8);
    int32x4_t v[4];

    widen_16(v, bytes_of(u0 & 0x3f3f3f3f,
        (u2 & 0x0f0f0f0f) | (u0 >> 6 & 0x03030303) << 4, u1 & 0x3f3f3f3f,
        (u2 >> 4 & 0x0f0f0f0f) | (u1 >> 6 & 0x03030303) << 4));
    s->scale[0] = v[0];
    s->scale[1] = v[1];
    s->min[0] = v[2];
    s->min[1] = v[3];
}

/* Q3_K, see k3_scale. */
INLINE void
scales_k3(struct scales *s, const uint8_t *p)
{
    uint32_t u0 = block_u32(p), u1 = block_u32(p + 4), u2 = block_u32(p + 8);
    const uint32_t low = 0x0f0f0f0f, high = 0x03030303;

    widen_16(s->scale, vsubq_s8(bytes_of((u0 & low) | (u2 & high) << 4,
        (u1 & low) | (u2 >> 2 & high) << 4,
        (u0 >> 4 & low) | (u2 >> 4 & high) << 4,
        (u1 >> 4 & low) | (u2 >> 6 & high) << 4), vdupq_n_s8(32)));
}

/* Four scales of IQ4_XS, from scale number 4 i on; see iq4_xs_scale. */
INLINE int32x4_t
scales_iq4(const uint8_t *b, int i)
{
    static const int32_t step[4] = { 0, -1, -2, -3 };
    const int32x4_t at = vld1q_s32(step);
    uint32x4_t low = vdupq_n_u32(block_u32(b + IQ4_XS_SL) >> 16 * i);
    uint32x4_t high = vdupq_n_u32(
        (uint32_t)block_u16(b + IQ4_XS_SH) >> 8 * i);

    low = vandq_u32(vshlq_u32(low, vshlq_n_s32(at, 2)), vdupq_n_u32(15));
    high = vandq_u32(vshlq_u32(high, vshlq_n_s32(at, 1)), vdupq_n_u32(3));
    return vsubq_s32(
        vreinterpretq_s32_u32(vorrq_u32(low, vshlq_n_u32(high, 4))),
        vdupq_n_s32(32));
}

INLINE struct scales
scales_in(enum qtype t, const uint8_t *b)
{
    struct scales s;

    UNROLL
    for (int i = 0; i < 4; i++)
        s.scale[i] = s.min[i] = vdupq_n_s32(0);
    switch (t) {
    case QT_Q2_K:
        widen_16(s.scale, vreinterpretq_s8_u8(bits_at(b + Q2_K_SC, 0, 15)));
        widen_16(s.min, vreinterpretq_s8_u8(bits_at(b + Q2_K_SC, 4, 15)));
        break;
    case QT_Q3_K: scales_k3(&s, b + Q3_K_SC); break;
    case QT_Q4_K:
    case QT_Q5_K: scales_k4(&s, b + Q4_K_SC); break;
    case QT_Q6_K:
        widen_16(s.scale, vld1q_s8((const int8_t *)b + Q6_K_SC));
        break;
    default:
        s.scale[0] = scales_iq4(b, 0);
        s.scale[1] = scales_iq4(b, 1);
        break;
    }
    return s;
}

INLINE uint16_t
half_at(const uint8_t *p)
{
    uint16_t h;
    memcpy(&h, p, sizeof h);
    return h;
}

/* The same float16 field of four blocks. */
INLINE float32x4_t
f16_of_four(const uint8_t *const b[4], size_t at)
{
    uint16x4_t v = vdup_n_u16(half_at(b[0] + at));

    v = vset_lane_u16(half_at(b[1] + at), v, 1);
    v = vset_lane_u16(half_at(b[2] + at), v, 2);
    v = vset_lane_u16(half_at(b[3] + at), v, 3);
    return vcvt_f32_f16(vreinterpret_f16_u16(v));
}

#endif
#endif
