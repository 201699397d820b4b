/*
 * Vector operations on AVX-512: the bits of vec_ref.c, sixteen at a time
 *
 * The sixteen virtual lanes of vec.h are one register, and masks take the odd
 * ends, where missing elements count as zero just as in the portable code.
 */
#include "kernels/vec_ref.h"

#include "kernels/ops.h"

#if defined(__AVX2__)

#include "kernels/avx512.h"
#include "kernels/ops_avx2.h"
#include "kernels/ops_avx512.h"
#include "kernels/vec_impl.h"

static inline float
fold(__m512 v)
{
    return fold16(lower8(v), upper8(v));
}

static float
dot_avx512(const float *a, const float *b, size_t n)
{
    __m512 s = _mm512_setzero_ps();
    size_t i = 0;

    for (; i + 16 <= n; i += 16)
        s = _mm512_fmadd_ps(_mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i), s);
    if (i < n)
        s = _mm512_fmadd_ps(load_first(a + i, n - i), load_first(b + i, n - i),
            s);
    return fold(s);
}

static float
sum_avx512(const float *x, size_t n)
{
    __m512 s = _mm512_setzero_ps();
    size_t i = 0;

    for (; i + 16 <= n; i += 16)
        s = _mm512_add_ps(s, _mm512_loadu_ps(x + i));
    if (i < n)
        s = _mm512_add_ps(s, load_first(x + i, n - i));
    return fold(s);
}

static float
max_avx512(const float *x, size_t n)
{
    __m512 m = _mm512_set1_ps(x[0]);

    for (size_t i = 0; i < n; i += 16)
        m = _mm512_mask_max_ps(m, first16(n - i), m, load_first(x + i, n - i));
    __m256 v = _mm256_max_ps(lower8(m), upper8(m));
    __m128 q = _mm_max_ps(_mm256_castps256_ps128(v),
        _mm256_extractf128_ps(v, 1));
    q = _mm_max_ps(q, _mm_movehl_ps(q, q));
    q = _mm_max_ss(q, _mm_movehdup_ps(q));
    return _mm_cvtss_f32(q) + 0.0f; /* a zero is +0, whichever came first */
}

static void
axpy_avx512(float *y, float a, const float *x, size_t n)
{
    const __m512 va = _mm512_set1_ps(a);

    for (size_t i = 0; i < n; i += 16) {
        size_t m = n - i;
        store_first(y + i,
            _mm512_fmadd_ps(va, load_first(x + i, m), load_first(y + i, m)), m);
    }
}

static void
add_avx512(float *y, const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i += 16) {
        size_t m = n - i;
        store_first(y + i,
            _mm512_add_ps(load_first(a + i, m), load_first(b + i, m)), m);
    }
}

static void
mul_avx512(float *y, const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i += 16) {
        size_t m = n - i;
        store_first(y + i,
            _mm512_mul_ps(load_first(a + i, m), load_first(b + i, m)), m);
    }
}

static void
scale_avx512(float *y, float a, const float *x, size_t n)
{
    const __m512 va = _mm512_set1_ps(a);

    for (size_t i = 0; i < n; i += 16) {
        size_t m = n - i;
        store_first(y + i, _mm512_mul_ps(va, load_first(x + i, m)), m);
    }
}

/* Sixteen times exp_one of vec_impl.h. */
INLINE __m512
exp16(__m512 x)
{
    const __m512 magic = _mm512_set1_ps(EXP_MAGIC);
    const __m512i bias = _mm512_set1_epi32(127);
    __m512 t = _mm512_fmadd_ps(x, _mm512_set1_ps(EXP_LOG2E), magic);
    __m512 n = _mm512_sub_ps(t, magic);
    __m512 r = _mm512_fmadd_ps(n, _mm512_set1_ps(-EXP_LN2_HIGH), x);
    __m512 p = _mm512_set1_ps(EXP_P5);

    r = _mm512_fmadd_ps(n, _mm512_set1_ps(-EXP_LN2_LOW), r);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(EXP_P4));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(EXP_P3));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(EXP_P2));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(EXP_P1));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(EXP_P0));
    p = _mm512_fmadd_ps(_mm512_mul_ps(p, r), r, r);
    p = _mm512_add_ps(p, _mm512_set1_ps(1.0f));

    __m512i k = _mm512_sub_epi32(_mm512_castps_si512(t),
        _mm512_castps_si512(magic));
    __m512i half = _mm512_srai_epi32(k, 1);
    __m512i one = _mm512_slli_epi32(_mm512_add_epi32(half, bias), 23);
    __m512i two = _mm512_slli_epi32(
        _mm512_add_epi32(_mm512_sub_epi32(k, half), bias), 23);
    p = _mm512_mul_ps(p, _mm512_castsi512_ps(one));
    p = _mm512_mul_ps(p, _mm512_castsi512_ps(two));
    p = _mm512_mask_mov_ps(p,
        _mm512_cmp_ps_mask(x, _mm512_set1_ps(EXP_MAX), _CMP_GT_OQ),
        _mm512_set1_ps(INFINITY));
    return _mm512_mask_mov_ps(p,
        _mm512_cmp_ps_mask(x, _mm512_set1_ps(EXP_MIN), _CMP_LT_OQ),
        _mm512_setzero_ps());
}

static void
exp_avx512(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i += 16) {
        size_t m = n - i;
        store_first(y + i, exp16(load_first(x + i, m)), m);
    }
}

static void
rmsnorm_avx512(float *y, const float *x, const float *w, size_t n, float eps)
{
    float r = 1.0f / sqrtf(dot_avx512(x, x, n) / (float)n + eps);
    const __m512 vr = _mm512_set1_ps(r);

    for (size_t i = 0; i < n; i += 16) {
        size_t m = n - i;
        __m512 v = _mm512_mul_ps(load_first(x + i, m), vr);
        store_first(y + i, _mm512_mul_ps(v, load_first(w + i, m)), m);
    }
}

static void
softmax_avx512(float *x, size_t n)
{
    const __m512 top = _mm512_set1_ps(max_avx512(x, n));

    for (size_t i = 0; i < n; i += 16) {
        size_t m = n - i;
        store_first(x + i, exp16(_mm512_sub_ps(load_first(x + i, m), top)), m);
    }
    scale_avx512(x, 1.0f / sum_avx512(x, n), x, n);
}

static void
rope_half_avx512(float *x, size_t heads, size_t dim, const float *cos,
    const float *sin)
{
    size_t half = dim / 2;

    for (size_t h = 0; h < heads; h++, x += dim) {
        for (size_t i = 0; i < half; i += 16) {
            size_t m = half - i;
            __m512 p = load_first(x + i, m), q = load_first(x + i + half, m);
            __m512 c = load_first(cos + i, m), s = load_first(sin + i, m);

            store_first(x + i,
                _mm512_sub_ps(_mm512_mul_ps(p, c), _mm512_mul_ps(q, s)), m);
            store_first(x + i + half,
                _mm512_add_ps(_mm512_mul_ps(p, s), _mm512_mul_ps(q, c)), m);
        }
    }
}

/* u * (g / (1 + exp(-z))) */
INLINE __m512
gate16(__m512 g, __m512 z, __m512 u)
{
    __m512 e = exp16(_mm512_xor_ps(z, _mm512_set1_ps(-0.0f)));
    __m512 d = _mm512_add_ps(_mm512_set1_ps(1.0f), e);

    return _mm512_mul_ps(_mm512_div_ps(g, d), u);
}

static void
silu_mul_avx512(float *y, const float *g, const float *u, size_t n)
{
    for (size_t i = 0; i < n; i += 16) {
        size_t m = n - i;
        __m512 v = load_first(g + i, m);
        store_first(y + i, gate16(v, v, load_first(u + i, m)), m);
    }
}

static void
gelu_tanh_mul_avx512(float *y, const float *g, const float *u, size_t n)
{
    for (size_t i = 0; i < n; i += 16) {
        size_t m = n - i;
        __m512 v = load_first(g + i, m);
        __m512 z = _mm512_mul_ps(_mm512_mul_ps(v, v), v);

        z = _mm512_add_ps(v, _mm512_mul_ps(_mm512_set1_ps(GELU_CUBE), z));
        z = _mm512_mul_ps(_mm512_set1_ps(GELU_SCALE), z);
        store_first(y + i, gate16(v, z, load_first(u + i, m)), m);
    }
}

static void
f16_row_avx512(float *dst, const void *src, size_t n)
{
    const uint8_t *s = src;
    size_t i = 0;

    for (; i + 16 <= n; i += 16)
        _mm512_storeu_ps(dst + i, _mm512_cvtph_ps(load_bytes(s + 2 * i)));
    f16_to_f32_row_ref(dst + i, s + 2 * i, n - i);
}

const struct kernel_ops kernel_ops_avx512 = {
    .isa = "avx512",
    .act_encode = act_encode_avx512,
    .encode_row = encode_row_avx2,
    .matmul = matmul_avx512,
    .interleaved = matmul_interleaved_avx512,
    .f16_row = f16_row_avx512,
    .decode = decode_avx2,
    .first_beyond = first_beyond_avx2,
    .row_squares = row_squares_avx2,
    .dot = dot_avx512,
    .sum = sum_avx512,
    .max = max_avx512,
    .axpy = axpy_avx512,
    .add = add_avx512,
    .mul = mul_avx512,
    .scale = scale_avx512,
    .exp = exp_avx512,
    .rmsnorm = rmsnorm_avx512,
    .softmax = softmax_avx512,
    .rope_half = rope_half_avx512,
    .rope_pairs = rope_pairs_avx2,
    .silu_mul = silu_mul_avx512,
    .gelu_tanh_mul = gelu_tanh_mul_avx512,
    .attn_scores = attn_scores_avx512,
    .attn_mix = attn_mix_avx512,
};

#endif
