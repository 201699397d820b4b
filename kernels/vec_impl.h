/*
 * vec_impl.h - constants and one-value functions shared by the vector files
 *
 * What one lane does, written once: each ISA file does the same operations on
 * its own width, so that the bits agree.
 */
#ifndef QUERN_KERNELS_VEC_IMPL_H
#define QUERN_KERNELS_VEC_IMPL_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/half.h"

/*
 * exp(x) = 2^n * exp(r), n = nearest(x / ln 2), r = x - n ln 2 in two pieces,
 * exp(r) = 1 + r + r^2 P(r). P is the minimax polynomial of Cephes expf.
 */
#define EXP_LOG2E 1.44269504f
#define EXP_MAGIC 12582912.0f /* 1.5 * 2^23: rounds to an integer */
#define EXP_LN2_HIGH 0.693145752f
#define EXP_LN2_LOW 1.42860677e-6f
#define EXP_P5 1.9875691500e-4f
#define EXP_P4 1.3981999507e-3f
#define EXP_P3 8.3334519073e-3f
#define EXP_P2 4.1665795894e-2f
#define EXP_P1 1.6666665459e-1f
#define EXP_P0 5.0000001201e-1f
#define EXP_MAX 88.72283f
#define EXP_MIN (-87.33654f)

/* gelu: 2 sqrt(2 / pi) and the cubic term. */
#define GELU_SCALE 1.59576912f
#define GELU_CUBE 0.044715f

static inline float
exp_one(float x)
{
    float t = fmaf(x, EXP_LOG2E, EXP_MAGIC);
    float n = t - EXP_MAGIC;
    float r = fmaf(n, -EXP_LN2_HIGH, x);
    float p = EXP_P5;

    r = fmaf(n, -EXP_LN2_LOW, r);
    p = fmaf(p, r, EXP_P4);
    p = fmaf(p, r, EXP_P3);
    p = fmaf(p, r, EXP_P2);
    p = fmaf(p, r, EXP_P1);
    p = fmaf(p, r, EXP_P0);
    p = fmaf(p * r, r, r);
    p = p + 1.0f;

    /* 2^n in two factors, as n may be 128 */
    uint32_t k = f32_bits(t) - f32_bits(EXP_MAGIC);
    uint32_t half = (uint32_t)((int32_t)k >> 1);
    p = p * f32_from_bits((half + 127) << 23);
    p = p * f32_from_bits((k - half + 127) << 23);
    if (x > EXP_MAX)
        p = INFINITY;
    if (x < EXP_MIN)
        p = 0.0f;
    return p;
}

static inline float
silu_mul_one(float g, float u)
{
    return g / (1.0f + exp_one(-g)) * u;
}

static inline float
gelu_tanh_mul_one(float g, float u)
{
    float z = GELU_SCALE * (g + GELU_CUBE * (g * g * g));
    return g / (1.0f + exp_one(-z)) * u;
}

#endif
