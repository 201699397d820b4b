/*
 * Vector operations, portable: the order of sums every other file repeats
 */
#include "kernels/vec_ref.h"

#include <math.h>
#include <string.h>

#include "kernels/encode_row.h"
#include "kernels/ops.h"
#include "kernels/vec_impl.h"

/* Folds 16 lanes 16 -> 8 -> 4 -> 2 -> 1. */
static float
fold(float lane[16])
{
    for (int half = 8; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            lane[i] = lane[i] + lane[i + half];
    return lane[0];
}

static float
dot_ref(const float *a, const float *b, size_t n)
{
    float lane[16] = { 0.0f };

    for (size_t i = 0; i < n; i += 16) {
        for (size_t l = 0; l < 16; l++) {
            float p = i + l < n ? a[i + l] : 0.0f;
            float q = i + l < n ? b[i + l] : 0.0f;
            lane[l] = fmaf(p, q, lane[l]);
        }
    }
    return fold(lane);
}

static float
sum_ref(const float *x, size_t n)
{
    float lane[16] = { 0.0f };

    for (size_t i = 0; i < n; i += 16)
        for (size_t l = 0; l < 16; l++)
            lane[l] = lane[l] + (i + l < n ? x[i + l] : 0.0f);
    return fold(lane);
}

static float
max_ref(const float *x, size_t n)
{
    float top = x[0];

    for (size_t i = 1; i < n; i++)
        top = x[i] > top ? x[i] : top;
    return top + 0.0f; /* a zero is +0, whichever came first */
}

static void
axpy_ref(float *y, float a, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = fmaf(a, x[i], y[i]);
}

static void
add_ref(float *y, const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = a[i] + b[i];
}

static void
mul_ref(float *y, const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = a[i] * b[i];
}

static void
scale_ref(float *y, float a, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = a * x[i];
}

static void
exp_ref(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = exp_one(x[i]);
}

static void
rmsnorm_ref(float *y, const float *x, const float *w, size_t n, float eps)
{
    float r = 1.0f / sqrtf(dot_ref(x, x, n) / (float)n + eps);

    for (size_t i = 0; i < n; i++)
        y[i] = x[i] * r * w[i];
}

static void
softmax_ref(float *x, size_t n)
{
    float top = max_ref(x, n);

    for (size_t i = 0; i < n; i++)
        x[i] = exp_one(x[i] - top);
    scale_ref(x, 1.0f / sum_ref(x, n), x, n);
}

void
rope_half_ref(float *x, size_t heads, size_t dim, const float *cos,
    const float *sin)
{
    size_t half = dim / 2;

    for (size_t h = 0; h < heads; h++, x += dim) {
        for (size_t i = 0; i < half; i++) {
            float p = x[i], q = x[i + half];
            x[i] = p * cos[i] - q * sin[i];
            x[i + half] = p * sin[i] + q * cos[i];
        }
    }
}

void
rope_pairs_ref(float *x, size_t heads, size_t dim, const float *cos,
    const float *sin)
{
    for (size_t h = 0; h < heads; h++, x += dim) {
        for (size_t i = 0; i < dim / 2; i++) {
            float p = x[2 * i], q = x[2 * i + 1];
            x[2 * i] = p * cos[i] - q * sin[i];
            x[2 * i + 1] = p * sin[i] + q * cos[i];
        }
    }
}

static void
silu_mul_ref(float *y, const float *g, const float *u, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = silu_mul_one(g[i], u[i]);
}

static void
gelu_tanh_mul_ref(float *y, const float *g, const float *u, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = gelu_tanh_mul_one(g[i], u[i]);
}

static void
attn_scores_ref(float *s, size_t lds, const float *q, size_t ldq, size_t n_q,
    const float *k, size_t ldk, size_t n_k, size_t dim, float scale)
{
    for (size_t i = 0; i < n_q; i++)
        for (size_t j = 0; j < n_k; j++)
            s[i * lds + j] = scale * dot_ref(q + i * ldq, k + j * ldk, dim);
}

static void
attn_mix_ref(float *y, size_t ldy, const float *p, size_t ldp, size_t n_q,
    const float *v, size_t ldv, size_t n_k, size_t dim)
{
    for (size_t i = 0; i < n_q; i++) {
        memset(y + i * ldy, 0, dim * sizeof *y);
        for (size_t j = 0; j < n_k; j++)
            axpy_ref(y + i * ldy, p[i * ldp + j], v + j * ldv, dim);
    }
}

const struct kernel_ops kernel_ops_ref = {
    .isa = "ref",
    .act_encode = act_encode_ref,
    .encode_row = encode_row_ref,
    .matmul = matmul_ref,
    .f16_row = f16_to_f32_row_ref,
    .decode = decode_ref,
    .first_beyond = first_beyond_ref,
    .row_squares = row_squares_ref,
    .dot = dot_ref,
    .sum = sum_ref,
    .max = max_ref,
    .axpy = axpy_ref,
    .add = add_ref,
    .mul = mul_ref,
    .scale = scale_ref,
    .exp = exp_ref,
    .rmsnorm = rmsnorm_ref,
    .softmax = softmax_ref,
    .rope_half = rope_half_ref,
    .rope_pairs = rope_pairs_ref,
    .silu_mul = silu_mul_ref,
    .gelu_tanh_mul = gelu_tanh_mul_ref,
    .attn_scores = attn_scores_ref,
    .attn_mix = attn_mix_ref,
};
