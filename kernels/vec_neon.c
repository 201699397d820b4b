/*
 * Vector operations on NEON: the bits of vec_ref.c, four at a time
 *
 * The 16 virtual lanes of a sum are four registers.
 */
#include "kernels/vec_ref.h"

#include "kernels/ops.h"

#if defined(__aarch64__)

#include <string.h>

#include "kernels/encode_row.h"
#include "kernels/neon.h"
#include "kernels/ops_neon.h"
#include "kernels/vec_impl.h"

/* ---- sums ---- */

float
dot_neon(const float *a, const float *b, size_t n)
{
    float32x4_t s[4];
    size_t i = 0;

    UNROLL
    for (int k = 0; k < 4; k++)
        s[k] = vdupq_n_f32(0.0f);
    for (; i + 16 <= n; i += 16) {
        UNROLL
        for (size_t k = 0; k < 4; k++)
            s[k] = vfmaq_f32(s[k], vld1q_f32(a + i + 4 * k),
                vld1q_f32(b + i + 4 * k));
    }
    if (i < n) {
        /* lanes that are missing add zeros, as in the portable code */
        float p[16] = { 0.0f }, q[16] = { 0.0f };

        memcpy(p, a + i, (n - i) * sizeof *p);
        memcpy(q, b + i, (n - i) * sizeof *q);
        UNROLL
        for (int k = 0; k < 4; k++)
            s[k] = vfmaq_f32(s[k], vld1q_f32(p + 4 * k), vld1q_f32(q + 4 * k));
    }
    return fold4(fold_to4(s[0], s[1], s[2], s[3]));
}

static float
sum_neon(const float *x, size_t n)
{
    float32x4_t s[4];
    size_t i = 0;

    UNROLL
    for (int k = 0; k < 4; k++)
        s[k] = vdupq_n_f32(0.0f);
    for (; i + 16 <= n; i += 16) {
        UNROLL
        for (size_t k = 0; k < 4; k++)
            s[k] = vaddq_f32(s[k], vld1q_f32(x + i + 4 * k));
    }
    if (i < n) {
        float p[16] = { 0.0f };

        memcpy(p, x + i, (n - i) * sizeof *p);
        UNROLL
        for (int k = 0; k < 4; k++)
            s[k] = vaddq_f32(s[k], vld1q_f32(p + 4 * k));
    }
    return fold4(fold_to4(s[0], s[1], s[2], s[3]));
}

static float
max_neon(const float *x, size_t n)
{
    float top = x[0];
    size_t i = 0;

    if (n >= 4) {
        float32x4_t m = vld1q_f32(x);

        for (i = 4; i + 4 <= n; i += 4)
            m = vmaxq_f32(m, vld1q_f32(x + i));
        top = vmaxvq_f32(m);
    }
    for (; i < n; i++)
        top = x[i] > top ? x[i] : top;
    return top + 0.0f;
}

/* ---- one by one ---- */

static void
axpy_neon(float *y, float a, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i += 4) {
        size_t m = n - i;
        store_some(y + i,
            vfmaq_n_f32(load_some(y + i, m), load_some(x + i, m), a), m);
    }
}

static void
add_neon(float *y, const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i += 4) {
        size_t m = n - i;
        store_some(y + i,
            vaddq_f32(load_some(a + i, m), load_some(b + i, m)), m);
    }
}

static void
mul_neon(float *y, const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i += 4) {
        size_t m = n - i;
        store_some(y + i,
            vmulq_f32(load_some(a + i, m), load_some(b + i, m)), m);
    }
}

static void
scale_neon(float *y, float a, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i += 4) {
        size_t m = n - i;
        store_some(y + i, vmulq_n_f32(load_some(x + i, m), a), m);
    }
}

/* Four times exp_one of vec_impl.h. */
INLINE float32x4_t
exp4(float32x4_t x)
{
    const float32x4_t magic = vdupq_n_f32(EXP_MAGIC);
    const int32x4_t bias = vdupq_n_s32(127);
    float32x4_t t = vfmaq_n_f32(magic, x, EXP_LOG2E);
    float32x4_t n = vsubq_f32(t, magic);
    float32x4_t r = vfmaq_n_f32(x, n, -EXP_LN2_HIGH);
    float32x4_t p = vdupq_n_f32(EXP_P5);

    r = vfmaq_n_f32(r, n, -EXP_LN2_LOW);
    p = vfmaq_f32(vdupq_n_f32(EXP_P4), p, r);
    p = vfmaq_f32(vdupq_n_f32(EXP_P3), p, r);
    p = vfmaq_f32(vdupq_n_f32(EXP_P2), p, r);
    p = vfmaq_f32(vdupq_n_f32(EXP_P1), p, r);
    p = vfmaq_f32(vdupq_n_f32(EXP_P0), p, r);
    p = vfmaq_f32(r, vmulq_f32(p, r), r);
    p = vaddq_f32(p, vdupq_n_f32(1.0f));

    int32x4_t k = vsubq_s32(vreinterpretq_s32_f32(t),
        vreinterpretq_s32_f32(magic));
    int32x4_t half = vshrq_n_s32(k, 1);
    int32x4_t one = vshlq_n_s32(vaddq_s32(half, bias), 23);
    int32x4_t two = vshlq_n_s32(vaddq_s32(vsubq_s32(k, half), bias), 23);
    p = vmulq_f32(p, vreinterpretq_f32_s32(one));
    p = vmulq_f32(p, vreinterpretq_f32_s32(two));
    p = vbslq_f32(vcgtq_f32(x, vdupq_n_f32(EXP_MAX)), vdupq_n_f32(INFINITY),
        p);
    return vbslq_f32(vcltq_f32(x, vdupq_n_f32(EXP_MIN)), vdupq_n_f32(0.0f), p);
}

static void
exp_neon(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i += 4) {
        size_t m = n - i;
        store_some(y + i, exp4(load_some(x + i, m)), m);
    }
}

static void
rmsnorm_neon(float *y, const float *x, const float *w, size_t n, float eps)
{
    float r = 1.0f / sqrtf(dot_neon(x, x, n) / (float)n + eps);

    for (size_t i = 0; i < n; i += 4) {
        size_t m = n - i;
        float32x4_t v = vmulq_n_f32(load_some(x + i, m), r);
        store_some(y + i, vmulq_f32(v, load_some(w + i, m)), m);
    }
}

static void
softmax_neon(float *x, size_t n)
{
    const float32x4_t top = vdupq_n_f32(max_neon(x, n));

    for (size_t i = 0; i < n; i += 4) {
        size_t m = n - i;
        store_some(x + i, exp4(vsubq_f32(load_some(x + i, m), top)), m);
    }
    scale_neon(x, 1.0f / sum_neon(x, n), x, n);
}

/* u * (g / (1 + exp(-z))) */
INLINE float32x4_t
gate4(float32x4_t g, float32x4_t z, float32x4_t u)
{
    float32x4_t d = vaddq_f32(vdupq_n_f32(1.0f), exp4(vnegq_f32(z)));

    return vmulq_f32(vdivq_f32(g, d), u);
}

static void
silu_mul_neon(float *y, const float *g, const float *u, size_t n)
{
    for (size_t i = 0; i < n; i += 4) {
        size_t m = n - i;
        float32x4_t v = load_some(g + i, m);
        store_some(y + i, gate4(v, v, load_some(u + i, m)), m);
    }
}

static void
gelu_tanh_mul_neon(float *y, const float *g, const float *u, size_t n)
{
    for (size_t i = 0; i < n; i += 4) {
        size_t m = n - i;
        float32x4_t v = load_some(g + i, m);
        float32x4_t z = vmulq_f32(vmulq_f32(v, v), v);

        z = vaddq_f32(v, vmulq_n_f32(z, GELU_CUBE));
        z = vmulq_n_f32(z, GELU_SCALE);
        store_some(y + i, gate4(v, z, load_some(u + i, m)), m);
    }
}

/* ---- rotary position ---- */

static void
rope_half_neon(float *x, size_t heads, size_t dim, const float *cos,
    const float *sin)
{
    size_t half = dim / 2;

    if (half % 4 != 0) {
        rope_half_ref(x, heads, dim, cos, sin);
        return;
    }
    for (size_t h = 0; h < heads; h++, x += dim) {
        for (size_t i = 0; i < half; i += 4) {
            float32x4_t p = vld1q_f32(x + i), q = vld1q_f32(x + i + half);
            float32x4_t c = vld1q_f32(cos + i), s = vld1q_f32(sin + i);

            vst1q_f32(x + i, vsubq_f32(vmulq_f32(p, c), vmulq_f32(q, s)));
            vst1q_f32(x + i + half,
                vaddq_f32(vmulq_f32(p, s), vmulq_f32(q, c)));
        }
    }
}

static void
rope_pairs_neon(float *x, size_t heads, size_t dim, const float *cos,
    const float *sin)
{
    if (dim % 8 != 0) {
        rope_pairs_ref(x, heads, dim, cos, sin);
        return;
    }
    for (size_t h = 0; h < heads; h++, x += dim) {
        for (size_t i = 0; i < dim; i += 8) {
            float32x4x2_t v = vld2q_f32(x + i), r;
            float32x4_t c = vld1q_f32(cos + i / 2);
            float32x4_t s = vld1q_f32(sin + i / 2);

            r.val[0] = vsubq_f32(vmulq_f32(v.val[0], c),
                vmulq_f32(v.val[1], s));
            r.val[1] = vaddq_f32(vmulq_f32(v.val[0], s),
                vmulq_f32(v.val[1], c));
            vst2q_f32(x + i, r);
        }
    }
}

/* ---- */

static void
f16_row_neon(float *dst, const void *src, size_t n)
{
    const uint8_t *s = src;
    size_t i = 0;

    for (; i + 4 <= n; i += 4)
        vst1q_f32(dst + i, four_f16(s + 2 * i));
    f16_to_f32_row_ref(dst + i, s + 2 * i, n - i);
}

#define TABLE(name, products) \
    { \
        .isa = name, \
        .act_encode = act_encode_neon, \
        .encode_row = encode_row_ref, \
        .matmul = products, \
        .f16_row = f16_row_neon, \
        .decode = decode_ref, \
        .first_beyond = first_beyond_ref, \
        .row_squares = row_squares_ref, \
        .dot = dot_neon, \
        .sum = sum_neon, \
        .max = max_neon, \
        .axpy = axpy_neon, \
        .add = add_neon, \
        .mul = mul_neon, \
        .scale = scale_neon, \
        .exp = exp_neon, \
        .rmsnorm = rmsnorm_neon, \
        .softmax = softmax_neon, \
        .rope_half = rope_half_neon, \
        .rope_pairs = rope_pairs_neon, \
        .silu_mul = silu_mul_neon, \
        .gelu_tanh_mul = gelu_tanh_mul_neon, \
        .attn_scores = attn_scores_neon, \
        .attn_mix = attn_mix_neon, \
    }

const struct kernel_ops kernel_ops_neon = TABLE("neon", matmul_neon);
const struct kernel_ops kernel_ops_neon_dot = TABLE("neon-dot",
    matmul_dot_neon);

#endif
