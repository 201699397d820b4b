#include "kernels/vec.h"

#include <math.h>
#include <string.h>

#include "kernels/ops.h"
#include "kernels/vec_impl.h"

float
dot_f32(const float *a, const float *b, size_t n)
{
    return kernel_ops()->dot(a, b, n);
}

float
sum_f32(const float *x, size_t n)
{
    return kernel_ops()->sum(x, n);
}

float
max_f32(const float *x, size_t n)
{
    return kernel_ops()->max(x, n);
}

void
axpy_f32(float *y, float a, const float *x, size_t n)
{
    kernel_ops()->axpy(y, a, x, n);
}

void
add_f32(float *y, const float *a, const float *b, size_t n)
{
    kernel_ops()->add(y, a, b, n);
}

void
mul_f32(float *y, const float *a, const float *b, size_t n)
{
    kernel_ops()->mul(y, a, b, n);
}

void
scale_f32(float *y, float a, const float *x, size_t n)
{
    kernel_ops()->scale(y, a, x, n);
}

float
exp_f32(float x)
{
    return exp_one(x);
}

void
exp_f32_row(float *y, const float *x, size_t n)
{
    kernel_ops()->exp(y, x, n);
}

void
rmsnorm_f32(float *y, const float *x, const float *w, size_t n, float eps)
{
    kernel_ops()->rmsnorm(y, x, w, n, eps);
}

void
softmax_f32(float *x, size_t n)
{
    kernel_ops()->softmax(x, n);
}

/*
 * log(x) for normal x > 0 with our own operations only, as libm picks other
 * code on other processors: x = 2^e m, m in [sqrt(1/2), sqrt(2)), log m =
 * 2 atanh(s), s = (m - 1) / (m + 1), as a series in s^2 <= 0.0295.
 */
double
log_f64(double x)
{
    int e;
    double m = frexp(x, &e);

    if (m < 0x1.6a09e667f3bcdp-1) {
        m *= 2.0;
        e--;
    }
    double s = (m - 1.0) / (m + 1.0), s2 = s * s, p = 0.0;
    for (int k = 23; k >= 3; k -= 2)
        p = p * s2 + 1.0 / k;
    p = 2.0 * s + 2.0 * s * s2 * p;
    /* ln 2 with 21 zero bits at its end, so that e * high is exact */
    return e * 0x1.62e42fefap-1 + (e * 0x1.cf79abc9e3b398p-40 + p);
}

double
logsumexp_f32(const float *x, size_t n)
{
    float top = max_f32(x, n), e[256];
    double sum = 0.0;

    for (size_t i = 0; i < n; i += 256) {
        size_t k = n - i < 256 ? n - i : 256;

        for (size_t j = 0; j < k; j++)
            e[j] = x[i + j] - top;
        exp_f32_row(e, e, k);
        for (size_t j = 0; j < k; j++)
            sum += (double)e[j];
    }
    return (double)top + log_f64(sum);
}

void
rope_half_f32(float *x, size_t heads, size_t dim, const float *cos,
    const float *sin)
{
    kernel_ops()->rope_half(x, heads, dim, cos, sin);
}

void
rope_pairs_f32(float *x, size_t heads, size_t dim, const float *cos,
    const float *sin)
{
    kernel_ops()->rope_pairs(x, heads, dim, cos, sin);
}

void
silu_mul_f32(float *y, const float *g, const float *u, size_t n)
{
    kernel_ops()->silu_mul(y, g, u, n);
}

void
gelu_tanh_mul_f32(float *y, const float *g, const float *u, size_t n)
{
    kernel_ops()->gelu_tanh_mul(y, g, u, n);
}

void
attn_scores_f32(float *s, size_t lds, const float *q, size_t ldq, size_t n_q,
    const float *k, size_t ldk, size_t n_k, size_t dim, float scale)
{
    kernel_ops()->attn_scores(s, lds, q, ldq, n_q, k, ldk, n_k, dim, scale);
}

void
attn_mix_f32(float *y, size_t ldy, const float *p, size_t ldp, size_t n_q,
    const float *v, size_t ldv, size_t n_k, size_t dim)
{
    kernel_ops()->attn_mix(y, ldy, p, ldp, n_q, v, ldv, n_k, dim);
}
