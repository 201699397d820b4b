/*
 * Vector operations on AVX2 and FMA: the bits of vec_ref.c, eight at a time
 */
#include "kernels/vec_ref.h"

#include "kernels/ops.h"

#if defined(__AVX2__)

#include <string.h>

#include "kernels/avx2.h"
#include "kernels/ops_avx2.h"
#include "kernels/vec_impl.h"

static float
dot_avx2(const float *a, const float *b, size_t n)
{
    __m256 lo = _mm256_setzero_ps(), hi = lo;
    size_t i = 0;

    for (; i + 16 <= n; i += 16) {
        lo = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i),
            lo);
        hi = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 8),
            _mm256_loadu_ps(b + i + 8), hi);
    }
    if (i < n) {
        size_t m = n - i, k = m > 8 ? m - 8 : 0;

        lo = _mm256_fmadd_ps(load_some(a + i, m), load_some(b + i, m), lo);
        /* an empty upper half still adds its zeros, as in the portable code */
        if (k > 0)
            hi = _mm256_fmadd_ps(load_some(a + i + 8, k),
                load_some(b + i + 8, k), hi);
        else
            hi = _mm256_add_ps(hi, _mm256_setzero_ps());
    }
    return fold16(lo, hi);
}

static float
sum_avx2(const float *x, size_t n)
{
    __m256 lo = _mm256_setzero_ps(), hi = lo;
    size_t i = 0;

    for (; i + 16 <= n; i += 16) {
        lo = _mm256_add_ps(lo, _mm256_loadu_ps(x + i));
        hi = _mm256_add_ps(hi, _mm256_loadu_ps(x + i + 8));
    }
    if (i < n) {
        size_t m = n - i, k = m > 8 ? m - 8 : 0;

        lo = _mm256_add_ps(lo, load_some(x + i, m));
        hi = _mm256_add_ps(hi,
            k > 0 ? load_some(x + i + 8, k) : _mm256_setzero_ps());
    }
    return fold16(lo, hi);
}

static float
max_avx2(const float *x, size_t n)
{
    float top = x[0];
    size_t i = 0;

    if (n >= 8) {
        __m256 m = _mm256_loadu_ps(x);
        __m128 q;

        for (i = 8; i + 8 <= n; i += 8)
            m = _mm256_max_ps(m, _mm256_loadu_ps(x + i));
        q = _mm_max_ps(_mm256_castps256_ps128(m), _mm256_extractf128_ps(m, 1));
        q = _mm_max_ps(q, _mm_movehl_ps(q, q));
        q = _mm_max_ss(q, _mm_movehdup_ps(q));
        top = _mm_cvtss_f32(q);
    }
    for (; i < n; i++)
        top = x[i] > top ? x[i] : top;
    return top + 0.0f;
}

static void
axpy_avx2(float *y, float a, const float *x, size_t n)
{
    const __m256 va = _mm256_set1_ps(a);

    for (size_t i = 0; i < n; i += 8) {
        size_t m = n - i;
        store_some(y + i,
            _mm256_fmadd_ps(va, load_some(x + i, m), load_some(y + i, m)), m);
    }
}

static void
add_avx2(float *y, const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i += 8) {
        size_t m = n - i;
        store_some(y + i,
            _mm256_add_ps(load_some(a + i, m), load_some(b + i, m)), m);
    }
}

static void
mul_avx2(float *y, const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i += 8) {
        size_t m = n - i;
        store_some(y + i,
            _mm256_mul_ps(load_some(a + i, m), load_some(b + i, m)), m);
    }
}

static void
scale_avx2(float *y, float a, const float *x, size_t n)
{
    const __m256 va = _mm256_set1_ps(a);

    for (size_t i = 0; i < n; i += 8) {
        size_t m = n - i;
        store_some(y + i, _mm256_mul_ps(va, load_some(x + i, m)), m);
    }
}

/* Eight times exp_one of vec_impl.h. */
static inline __m256
exp8(__m256 x)
{
    const __m256 magic = _mm256_set1_ps(EXP_MAGIC);
    const __m256i bias = _mm256_set1_epi32(127);
    __m256 t = _mm256_fmadd_ps(x, _mm256_set1_ps(EXP_LOG2E), magic);
    __m256 n = _mm256_sub_ps(t, magic);
    __m256 r = _mm256_fmadd_ps(n, _mm256_set1_ps(-EXP_LN2_HIGH), x);
    __m256 p = _mm256_set1_ps(EXP_P5);

    r = _mm256_fmadd_ps(n, _mm256_set1_ps(-EXP_LN2_LOW), r);
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(EXP_P4));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(EXP_P3));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(EXP_P2));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(EXP_P1));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(EXP_P0));
    p = _mm256_fmadd_ps(_mm256_mul_ps(p, r), r, r);
    p = _mm256_add_ps(p, _mm256_set1_ps(1.0f));

    __m256i k = _mm256_sub_epi32(_mm256_castps_si256(t),
        _mm256_castps_si256(magic));
    __m256i half = _mm256_srai_epi32(k, 1);
    __m256i one = _mm256_slli_epi32(_mm256_add_epi32(half, bias), 23);
    __m256i two = _mm256_slli_epi32(
        _mm256_add_epi32(_mm256_sub_epi32(k, half), bias), 23);
    p = _mm256_mul_ps(p, _mm256_castsi256_ps(one));
    p = _mm256_mul_ps(p, _mm256_castsi256_ps(two));
    p = _mm256_blendv_ps(p, _mm256_set1_ps(INFINITY),
        _mm256_cmp_ps(x, _mm256_set1_ps(EXP_MAX), _CMP_GT_OQ));
    return _mm256_blendv_ps(p, _mm256_setzero_ps(),
        _mm256_cmp_ps(x, _mm256_set1_ps(EXP_MIN), _CMP_LT_OQ));
}

static void
exp_avx2(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i += 8) {
        size_t m = n - i;
        store_some(y + i, exp8(load_some(x + i, m)), m);
    }
}

static void
rmsnorm_avx2(float *y, const float *x, const float *w, size_t n, float eps)
{
    float r = 1.0f / sqrtf(dot_avx2(x, x, n) / (float)n + eps);
    const __m256 vr = _mm256_set1_ps(r);

    for (size_t i = 0; i < n; i += 8) {
        size_t m = n - i;
        __m256 v = _mm256_mul_ps(load_some(x + i, m), vr);
        store_some(y + i, _mm256_mul_ps(v, load_some(w + i, m)), m);
    }
}

static void
softmax_avx2(float *x, size_t n)
{
    const __m256 top = _mm256_set1_ps(max_avx2(x, n));

    for (size_t i = 0; i < n; i += 8) {
        size_t m = n - i;
        store_some(x + i, exp8(_mm256_sub_ps(load_some(x + i, m), top)), m);
    }
    scale_avx2(x, 1.0f / sum_avx2(x, n), x, n);
}

static void
rope_half_avx2(float *x, size_t heads, size_t dim, const float *cos,
    const float *sin)
{
    size_t half = dim / 2;

    if (half % 8 != 0) {
        rope_half_ref(x, heads, dim, cos, sin);
        return;
    }
    for (size_t h = 0; h < heads; h++, x += dim) {
        for (size_t i = 0; i < half; i += 8) {
            __m256 p = _mm256_loadu_ps(x + i);
            __m256 q = _mm256_loadu_ps(x + i + half);
            __m256 c = _mm256_loadu_ps(cos + i), s = _mm256_loadu_ps(sin + i);

            _mm256_storeu_ps(x + i,
                _mm256_sub_ps(_mm256_mul_ps(p, c), _mm256_mul_ps(q, s)));
            _mm256_storeu_ps(x + i + half,
                _mm256_add_ps(_mm256_mul_ps(p, s), _mm256_mul_ps(q, c)));
        }
    }
}

void
rope_pairs_avx2(float *x, size_t heads, size_t dim, const float *cos,
    const float *sin)
{
    if (dim % 8 != 0) {
        rope_pairs_ref(x, heads, dim, cos, sin);
        return;
    }
    for (size_t h = 0; h < heads; h++, x += dim) {
        for (size_t i = 0; i < dim; i += 8) {
            __m128 c4 = _mm_loadu_ps(cos + i / 2);
            __m128 s4 = _mm_loadu_ps(sin + i / 2);
            __m256 c = _mm256_set_m128(_mm_unpackhi_ps(c4, c4),
                _mm_unpacklo_ps(c4, c4));
            __m256 s = _mm256_set_m128(_mm_unpackhi_ps(s4, s4),
                _mm_unpacklo_ps(s4, s4));
            __m256 v = _mm256_loadu_ps(x + i);
            __m256 swap = _mm256_permute_ps(v, 0xb1);

            /* even lanes p c - q s, odd lanes q c + p s */
            _mm256_storeu_ps(x + i,
                _mm256_addsub_ps(_mm256_mul_ps(v, c),
                    _mm256_mul_ps(swap, s)));
        }
    }
}

/* u * (g / (1 + exp(-z))) */
static inline __m256
gate8(__m256 g, __m256 z, __m256 u)
{
    __m256 e = exp8(_mm256_xor_ps(z, _mm256_set1_ps(-0.0f)));
    __m256 d = _mm256_add_ps(_mm256_set1_ps(1.0f), e);

    return _mm256_mul_ps(_mm256_div_ps(g, d), u);
}

static void
silu_mul_avx2(float *y, const float *g, const float *u, size_t n)
{
    for (size_t i = 0; i < n; i += 8) {
        size_t m = n - i;
        __m256 v = load_some(g + i, m);
        store_some(y + i, gate8(v, v, load_some(u + i, m)), m);
    }
}

static void
gelu_tanh_mul_avx2(float *y, const float *g, const float *u, size_t n)
{
    for (size_t i = 0; i < n; i += 8) {
        size_t m = n - i;
        __m256 v = load_some(g + i, m);
        __m256 z = _mm256_mul_ps(_mm256_mul_ps(v, v), v);

        z = _mm256_add_ps(v, _mm256_mul_ps(_mm256_set1_ps(GELU_CUBE), z));
        z = _mm256_mul_ps(_mm256_set1_ps(GELU_SCALE), z);
        store_some(y + i, gate8(v, z, load_some(u + i, m)), m);
    }
}

/* The first fold of 16 lanes, and the second: what is left of four lanes. */
static inline __m128
fold_to4(__m256 lo, __m256 hi)
{
    __m256 s = _mm256_add_ps(lo, hi);
    return _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
}

/* fold16 of four at once: lane j = fold16(lo[j], hi[j]). */
static inline __m128
fold16x4(const __m256 lo[4], const __m256 hi[4])
{
    __m128 p = fold_to4(lo[0], hi[0]), q = fold_to4(lo[1], hi[1]);
    __m128 r = fold_to4(lo[2], hi[2]), t = fold_to4(lo[3], hi[3]);
    __m128 a = _mm_add_ps(_mm_movelh_ps(p, q), _mm_movehl_ps(q, p));
    __m128 b = _mm_add_ps(_mm_movelh_ps(r, t), _mm_movehl_ps(t, r));

    return _mm_hadd_ps(a, b);
}

/* Four keys against one query; each keeps its own 16 lanes. */
static inline void
dot4(float s[4], const float *q, const float *k, size_t ldk, size_t dim,
    float scale)
{
    __m256 zero = _mm256_setzero_ps();
    __m256 l0 = zero, l1 = zero, l2 = zero, l3 = zero;
    __m256 h0 = zero, h1 = zero, h2 = zero, h3 = zero;

    for (size_t c = 0; c < dim; c += 16, k += 16) {
        __m256 a = _mm256_loadu_ps(q + c), b = _mm256_loadu_ps(q + c + 8);

        l0 = _mm256_fmadd_ps(a, _mm256_loadu_ps(k), l0);
        h0 = _mm256_fmadd_ps(b, _mm256_loadu_ps(k + 8), h0);
        l1 = _mm256_fmadd_ps(a, _mm256_loadu_ps(k + ldk), l1);
        h1 = _mm256_fmadd_ps(b, _mm256_loadu_ps(k + ldk + 8), h1);
        l2 = _mm256_fmadd_ps(a, _mm256_loadu_ps(k + 2 * ldk), l2);
        h2 = _mm256_fmadd_ps(b, _mm256_loadu_ps(k + 2 * ldk + 8), h2);
        l3 = _mm256_fmadd_ps(a, _mm256_loadu_ps(k + 3 * ldk), l3);
        h3 = _mm256_fmadd_ps(b, _mm256_loadu_ps(k + 3 * ldk + 8), h3);
    }
    const __m256 lo[4] = { l0, l1, l2, l3 }, hi[4] = { h0, h1, h2, h3 };
    _mm_storeu_ps(s, _mm_mul_ps(_mm_set1_ps(scale), fold16x4(lo, hi)));
}

/* Lanes 0-7 (at 0) or 8-15 (at 8) of two queries' sums with four keys. */
static inline __attribute__((always_inline)) void
half_lanes2x4(__m256 a[4], __m256 b[4], const float *q0, const float *q1,
    const float *k, size_t ldk, size_t dim)
{
    __m256 zero = _mm256_setzero_ps();
    __m256 a0 = zero, a1 = zero, a2 = zero, a3 = zero;
    __m256 b0 = zero, b1 = zero, b2 = zero, b3 = zero;

    for (size_t c = 0; c < dim; c += 16, k += 16) {
        __m256 u = _mm256_loadu_ps(q0 + c), v = _mm256_loadu_ps(q1 + c);
        __m256 x = _mm256_loadu_ps(k);

        a0 = _mm256_fmadd_ps(u, x, a0);
        b0 = _mm256_fmadd_ps(v, x, b0);
        x = _mm256_loadu_ps(k + ldk);
        a1 = _mm256_fmadd_ps(u, x, a1);
        b1 = _mm256_fmadd_ps(v, x, b1);
        x = _mm256_loadu_ps(k + 2 * ldk);
        a2 = _mm256_fmadd_ps(u, x, a2);
        b2 = _mm256_fmadd_ps(v, x, b2);
        x = _mm256_loadu_ps(k + 3 * ldk);
        a3 = _mm256_fmadd_ps(u, x, a3);
        b3 = _mm256_fmadd_ps(v, x, b3);
    }
    a[0] = a0;
    a[1] = a1;
    a[2] = a2;
    a[3] = a3;
    b[0] = b0;
    b[1] = b1;
    b[2] = b2;
    b[3] = b3;
}

/*
 * Four keys against two queries: each key is loaded once for both, so that the
 * multipliers wait for nothing. The lower eight lanes first, then the upper.
 */
static inline void
dot2x4(float *s0, float *s1, const float *q0, const float *q1, const float *k,
    size_t ldk, size_t dim, float scale)
{
    const __m128 f = _mm_set1_ps(scale);
    __m256 al[4], bl[4], ah[4], bh[4];

    half_lanes2x4(al, bl, q0, q1, k, ldk, dim);
    half_lanes2x4(ah, bh, q0 + 8, q1 + 8, k + 8, ldk, dim);
    _mm_storeu_ps(s0, _mm_mul_ps(f, fold16x4(al, ah)));
    _mm_storeu_ps(s1, _mm_mul_ps(f, fold16x4(bl, bh)));
}

static void
attn_scores_avx2(float *s, size_t lds, const float *q, size_t ldq, size_t n_q,
    const float *k, size_t ldk, size_t n_k, size_t dim, float scale)
{
    size_t j = 0;

    /* keys outside: 4 of them stay in cache for all queries */
    for (; dim % 16 == 0 && j + 4 <= n_k; j += 4) {
        const float *kj = k + j * ldk;
        size_t i = 0;

        for (; i + 2 <= n_q; i += 2)
            dot2x4(s + i * lds + j, s + (i + 1) * lds + j, q + i * ldq,
                q + (i + 1) * ldq, kj, ldk, dim, scale);
        if (i < n_q)
            dot4(s + i * lds + j, q + i * ldq, kj, ldk, dim, scale);
    }
    for (; j < n_k; j++)
        for (size_t i = 0; i < n_q; i++)
            s[i * lds + j] = scale * dot_avx2(q + i * ldq, k + j * ldk, dim);
}

/* 32 columns of two outputs over n_k rows of v, added to what is in y. */
static inline void
mix2x32(float *y0, float *y1, const float *p0, const float *p1, const float *v,
    size_t ldv, size_t n_k)
{
    __m256 a0 = _mm256_loadu_ps(y0), a1 = _mm256_loadu_ps(y0 + 8);
    __m256 a2 = _mm256_loadu_ps(y0 + 16), a3 = _mm256_loadu_ps(y0 + 24);
    __m256 b0 = _mm256_loadu_ps(y1), b1 = _mm256_loadu_ps(y1 + 8);
    __m256 b2 = _mm256_loadu_ps(y1 + 16), b3 = _mm256_loadu_ps(y1 + 24);

    for (size_t j = 0; j < n_k; j++, v += ldv) {
        __m256 w0 = _mm256_set1_ps(p0[j]), w1 = _mm256_set1_ps(p1[j]);
        __m256 x = _mm256_loadu_ps(v);

        a0 = _mm256_fmadd_ps(w0, x, a0);
        b0 = _mm256_fmadd_ps(w1, x, b0);
        x = _mm256_loadu_ps(v + 8);
        a1 = _mm256_fmadd_ps(w0, x, a1);
        b1 = _mm256_fmadd_ps(w1, x, b1);
        x = _mm256_loadu_ps(v + 16);
        a2 = _mm256_fmadd_ps(w0, x, a2);
        b2 = _mm256_fmadd_ps(w1, x, b2);
        x = _mm256_loadu_ps(v + 24);
        a3 = _mm256_fmadd_ps(w0, x, a3);
        b3 = _mm256_fmadd_ps(w1, x, b3);
    }
    _mm256_storeu_ps(y0, a0);
    _mm256_storeu_ps(y0 + 8, a1);
    _mm256_storeu_ps(y0 + 16, a2);
    _mm256_storeu_ps(y0 + 24, a3);
    _mm256_storeu_ps(y1, b0);
    _mm256_storeu_ps(y1 + 8, b1);
    _mm256_storeu_ps(y1 + 16, b2);
    _mm256_storeu_ps(y1 + 24, b3);
}

/* Columns [c, c + m), m <= 8, of one output. */
static inline void
mix8(float *y, const float *p, const float *v, size_t ldv, size_t n_k, size_t m)
{
    __m256 a = _mm256_setzero_ps();

    for (size_t j = 0; j < n_k; j++, v += ldv)
        a = _mm256_fmadd_ps(_mm256_set1_ps(p[j]), load_some(v, m), a);
    store_some(y, a, m);
}

static void
attn_mix_avx2(float *y, size_t ldy, const float *p, size_t ldp, size_t n_q,
    const float *v, size_t ldv, size_t n_k, size_t dim)
{
    size_t wide = dim / 32 * 32, even = n_q / 2 * 2;

    for (size_t i = 0; i < n_q; i++)
        memset(y + i * ldy, 0, wide * sizeof *y);
    /* 64 keys at a time, so that their values stay in the nearest cache */
    for (size_t j = 0; j < n_k; j += 64) {
        size_t n = n_k - j < 64 ? n_k - j : 64;

        for (size_t c = 0; c < wide; c += 32) {
            const float *x = v + j * ldv + c;
            float spare[32];

            for (size_t i = 0; i < even; i += 2)
                mix2x32(y + i * ldy + c, y + (i + 1) * ldy + c,
                    p + i * ldp + j, p + (i + 1) * ldp + j, x, ldv, n);
            if (even < n_q) {
                memset(spare, 0, sizeof spare);
                mix2x32(y + even * ldy + c, spare, p + even * ldp + j,
                    p + even * ldp + j, x, ldv, n);
            }
        }
    }
    for (size_t c = wide; c < dim; c += 8)
        for (size_t i = 0; i < n_q; i++)
            mix8(y + i * ldy + c, p + i * ldp, v + c, ldv, n_k, dim - c);
}

static void
f16_row_avx2(float *dst, const void *src, size_t n)
{
    const uint8_t *s = src;
    size_t i = 0;

    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(dst + i, _mm256_cvtph_ps(load_half(s + 2 * i)));
    f16_to_f32_row_ref(dst + i, s + 2 * i, n - i);
}

const struct kernel_ops kernel_ops_avx2 = {
    .isa = "avx2",
    .act_encode = act_encode_avx2,
    .encode_row = encode_row_avx2,
    .matmul = matmul_avx2,
    .interleaved = matmul_interleaved_avx2,
    .f16_row = f16_row_avx2,
    .decode = decode_avx2,
    .first_beyond = first_beyond_avx2,
    .row_squares = row_squares_avx2,
    .dot = dot_avx2,
    .sum = sum_avx2,
    .max = max_avx2,
    .axpy = axpy_avx2,
    .add = add_avx2,
    .mul = mul_avx2,
    .scale = scale_avx2,
    .exp = exp_avx2,
    .rmsnorm = rmsnorm_avx2,
    .softmax = softmax_avx2,
    .rope_half = rope_half_avx2,
    .rope_pairs = rope_pairs_avx2,
    .silu_mul = silu_mul_avx2,
    .gelu_tanh_mul = gelu_tanh_mul_avx2,
    .attn_scores = attn_scores_avx2,
    .attn_mix = attn_mix_avx2,
};

#endif
