/*
 * vec.h - the small float operations of a transformer
 *
 * Same bits on every ISA. Sums run in 16 virtual lanes: lane l adds elements l,
 * l + 16, .. in order (missing ones count as zero), then lanes fold 16 -> 8 ->
 * 4 -> 2 -> 1, l with l + half. Fused multiply-add only where written as fma.
 * exp is our own polynomial. Nothing allocates. Pointers need float alignment.
 * Unless said otherwise outputs may be the same array as an input of the same
 * shape, but may not overlap it in part.
 */
#ifndef QUERN_KERNELS_VEC_H
#define QUERN_KERNELS_VEC_H

#include <stddef.h>

/* sum of a[i] * b[i]; lanes by fma. n = 0 gives 0. */
float dot_f32(const float *a, const float *b, size_t n);
/* sum of x[i]. */
float sum_f32(const float *x, size_t n);
/* largest x[i]; n > 0. Unspecified if a NaN is among them. */
float max_f32(const float *x, size_t n);
/* y[i] = fma(a, x[i], y[i]). */
void axpy_f32(float *y, float a, const float *x, size_t n);
/* y[i] = a[i] + b[i]; y[i] = a[i] * b[i]; y[i] = a * x[i]. */
void add_f32(float *y, const float *a, const float *b, size_t n);
void mul_f32(float *y, const float *a, const float *b, size_t n);
void scale_f32(float *y, float a, const float *x, size_t n);

/*
 * exp of one value and of an array. Error below 1 ulp for results that are
 * normal; 0 below -87.33 (results that would be subnormal become 0), infinity
 * above 88.72; NaN stays NaN.
 */
float exp_f32(float x);
void exp_f32_row(float *y, const float *x, size_t n);

/* y[i] = (x[i] * r) * w[i], r = 1 / sqrt(dot(x, x) / n + eps). n > 0. */
void rmsnorm_f32(float *y, const float *x, const float *w, size_t n, float eps);
/*
 * x[i] = exp(x[i] - max) * (1 / sum). n > 0. Entries of -infinity become 0; at
 * least one must be finite.
 */
void softmax_f32(float *x, size_t n);
/*
 * log(x) of a normal x > 0; error below 2 ulp where |log x| > 0.1, absolute
 * error below 2^-54 nearer to 1. Our own: libm's bits depend on the processor.
 */
double log_f64(double x);
/*
 * log of the sum of exp(x[i]), summed in double in ascending order; n > 0.
 * (Used for log-probabilities, where float sums over a vocabulary lose digits.)
 */
double logsumexp_f32(const float *x, size_t n);

/*
 * Rotary position embedding in place on `heads` heads of `dim` values, dense.
 * cos and sin are [dim / 2], for this position. Each pair (p, q) becomes
 * (p * cos - q * sin, p * sin + q * cos), four products and two sums rounded
 * each on its own.
 *   half:  pair i is (x[i], x[i + dim / 2])      Hugging Face layout, "neox"
 *   pairs: pair i is (x[2 i], x[2 i + 1])        GGUF llama layout, "norm"
 */
void rope_half_f32(float *x, size_t heads, size_t dim, const float *cos,
    const float *sin);
void rope_pairs_f32(float *x, size_t heads, size_t dim, const float *cos,
    const float *sin);

/* y[i] = (g[i] / (1 + exp(-g[i]))) * u[i]. */
void silu_mul_f32(float *y, const float *g, const float *u, size_t n);
/*
 * y[i] = (0.5 g (1 + tanh(sqrt(2 / pi) (g + 0.044715 g^3)))) * u[i], computed
 * as g / (1 + exp(-2 z)), z the argument of tanh.
 */
void gelu_tanh_mul_f32(float *y, const float *g, const float *u, size_t n);

/*
 * attn_scores_f32 - s[i * lds + j] = scale * dot(q_i, k_j)
 *
 * Shapes   q: n_q rows of dim, ldq floats apart; k: n_k rows of dim, ldk apart;
 *          s: n_q rows of n_k, lds apart. dot as dot_f32, then times scale.
 * Numbers  a score does not depend on n_q or n_k.
 */
void attn_scores_f32(float *s, size_t lds, const float *q, size_t ldq,
    size_t n_q, const float *k, size_t ldk, size_t n_k, size_t dim,
    float scale);
/*
 * attn_mix_f32 - y[i * ldy + c] = sum over j of p[i * ldp + j] * v[j * ldv + c]
 *
 * Shapes   p: n_q rows of n_k; v: n_k rows of dim; y: n_q rows of dim. No
 *          overlap.
 * Numbers  a chain of fma over j in ascending order from 0, for each (i, c), so
 *          trailing zero weights (causal mask) change nothing.
 */
void attn_mix_f32(float *y, size_t ldy, const float *p, size_t ldp, size_t n_q,
    const float *v, size_t ldv, size_t n_k, size_t dim);

#endif
