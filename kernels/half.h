/*
 * half.h - 16-bit floats to and from float32
 *
 * Both directions are exact where the value fits; narrowing rounds to nearest,
 * ties to even, overflows to infinity and keeps subnormals. A NaN stays a NaN
 * (made quiet). No dependence on the rounding mode or on F16C.
 */
#ifndef QUERN_KERNELS_HALF_H
#define QUERN_KERNELS_HALF_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t
f32_bits(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

static inline float
f32_from_bits(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static inline float
bf16_to_f32(uint16_t h)
{
    return f32_from_bits((uint32_t)h << 16);
}

static inline uint16_t
bf16_from_f32(float f)
{
    uint32_t u = f32_bits(f);

    if ((u & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(u >> 16 | 64);
    return (uint16_t)((u + (0x7fffu + (u >> 16 & 1))) >> 16);
}

static inline float
f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16;
    uint32_t mag = h & 0x7fffu;

    if (mag >= 0x7c00)
        return f32_from_bits(sign | 0x7f800000u | mag << 13 |
            (mag > 0x7c00 ? 0x400000u : 0));
    if (mag < 0x400) { /* zero or subnormal: mag units of 2^-24 */
        float v = (float)mag * 0x1p-24f;
        return sign ? -v : v;
    }
    return f32_from_bits(sign | ((mag << 13) + 0x38000000u));
}

static inline uint16_t
f16_from_f32(float f)
{
    uint32_t u = f32_bits(f);
    uint32_t sign = u >> 16 & 0x8000;
    uint32_t mag = u & 0x7fffffffu;

    if (mag > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00 | (mag >> 13 & 0x3ff));
    if (mag >= 0x477ff000u) /* 65520 and up round to infinity */
        return (uint16_t)(sign | 0x7c00);
    if (mag < 0x38800000u) {
        /* below 2^-14: adding 1/2 leaves units of 2^-24 in the low bits */
        float t = f32_from_bits(mag) + 0.5f;
        return (uint16_t)(sign | (f32_bits(t) - 0x3f000000u));
    }
    mag += 0xfffu + (mag >> 13 & 1);
    return (uint16_t)(sign | ((mag - 0x38000000u) >> 13));
}

/* n values; dst and src may not overlap. Any alignment of the 16-bit side. */
void f16_to_f32_row(float *dst, const void *src, size_t n);
void bf16_to_f32_row(float *dst, const void *src, size_t n);
void f16_from_f32_row(void *dst, const float *src, size_t n);
void bf16_from_f32_row(void *dst, const float *src, size_t n);

#endif
