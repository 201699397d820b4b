/*
 * Attention on NEON: the bits of vec_ref.c; see vec_neon.c
 */
#include "kernels/ops.h"

#if defined(__aarch64__)

#include "kernels/neon.h"
#include "kernels/ops_neon.h"
#include "kernels/vec_impl.h"

/* fold16 of four sums at once, once they are folded to four lanes each. */
INLINE float32x4_t
fold4x4(float32x4_t v[4])
{
    transpose4_f32(v);
    return vaddq_f32(vaddq_f32(v[0], v[2]), vaddq_f32(v[1], v[3]));
}

/* Four keys against one query; each keeps its own 16 lanes. */
static void
dot1x4(float *s, const float *q, const float *k, size_t ldk, size_t dim,
    float scale)
{
    float32x4_t a[4][4], v[4];

    UNROLL
    for (int i = 0; i < 16; i++)
        a[i / 4][i % 4] = vdupq_n_f32(0.0f);
    for (size_t c = 0; c < dim; c += 16) {
        UNROLL
        for (size_t i = 0; i < 16; i++)
            a[i / 4][i % 4] = vfmaq_f32(a[i / 4][i % 4],
                vld1q_f32(q + c + 4 * (i % 4)),
                vld1q_f32(k + i / 4 * ldk + c + 4 * (i % 4)));
    }
    UNROLL
    for (int i = 0; i < 4; i++)
        v[i] = fold_to4(a[i][0], a[i][1], a[i][2], a[i][3]);
    vst1q_f32(s, vmulq_n_f32(fold4x4(v), scale));
}

/* Lanes 0 to 3 of sixteen, from q and k on: four keys against four queries. */
INLINE void
lanes4x4(float32x4_t a[4][4], const float *q, size_t ldq, const float *k,
    size_t ldk, size_t dim)
{
    float32x4_t v[4][4];

    UNROLL
    for (int i = 0; i < 16; i++)
        v[i / 4][i % 4] = vdupq_n_f32(0.0f);
    for (size_t c = 0; c < dim; c += 16) {
        float32x4_t x[4];

        UNROLL
        for (size_t i = 0; i < 4; i++)
            x[i] = vld1q_f32(k + i * ldk + c);
        UNROLL
        for (size_t i = 0; i < 4; i++) {
            float32x4_t u = vld1q_f32(q + i * ldq + c);

            v[i][0] = vfmaq_f32(v[i][0], u, x[0]);
            v[i][1] = vfmaq_f32(v[i][1], u, x[1]);
            v[i][2] = vfmaq_f32(v[i][2], u, x[2]);
            v[i][3] = vfmaq_f32(v[i][3], u, x[3]);
        }
    }
    UNROLL
    for (int i = 0; i < 16; i++)
        a[i / 4][i % 4] = v[i / 4][i % 4];
}

/*
 * Four keys against four queries, a quarter of the lanes at a time: eight loads
 * then feed sixteen products.
 */
static void
dot4x4(float *s, size_t lds, const float *q, size_t ldq, const float *k,
    size_t ldk, size_t dim, float scale)
{
    float32x4_t a[4][4][4], v[4];

    for (size_t l = 0; l < 4; l++)
        lanes4x4(a[l], q + 4 * l, ldq, k + 4 * l, ldk, dim);
    for (size_t i = 0; i < 4; i++) {
        UNROLL
        for (int j = 0; j < 4; j++)
            v[j] = fold_to4(a[0][i][j], a[1][i][j], a[2][i][j], a[3][i][j]);
        vst1q_f32(s + i * lds, vmulq_n_f32(fold4x4(v), scale));
    }
}

void
attn_scores_neon(float *s, size_t lds, const float *q, size_t ldq, size_t n_q,
    const float *k, size_t ldk, size_t n_k, size_t dim, float scale)
{
    size_t j = 0;

    /* keys outside: 4 of them stay in cache for all queries */
    for (; dim % 16 == 0 && j + 4 <= n_k; j += 4) {
        size_t i = 0;

        for (; i + 4 <= n_q; i += 4)
            dot4x4(s + i * lds + j, lds, q + i * ldq, ldq, k + j * ldk, ldk,
                dim, scale);
        for (; i < n_q; i++)
            dot1x4(s + i * lds + j, q + i * ldq, k + j * ldk, ldk, dim, scale);
    }
    for (; j < n_k; j++)
        for (size_t i = 0; i < n_q; i++)
            s[i * lds + j] = scale * dot_neon(q + i * ldq, k + j * ldk, dim);
}

/* 16 columns of four outputs over n_k rows of v, added to what is in y. */
static void
mix4x16(float *y, size_t ldy, const float *p, size_t ldp, const float *v,
    size_t ldv, size_t n_k)
{
    float32x4_t a[4][4];

    UNROLL
    for (size_t i = 0; i < 16; i++)
        a[i / 4][i % 4] = vld1q_f32(y + i / 4 * ldy + 4 * (i % 4));
    for (size_t j = 0; j < n_k; j++, v += ldv) {
        float32x4_t x[4];

        UNROLL
        for (size_t k = 0; k < 4; k++)
            x[k] = vld1q_f32(v + 4 * k);
        UNROLL
        for (size_t i = 0; i < 16; i++)
            a[i / 4][i % 4] = vfmaq_n_f32(a[i / 4][i % 4], x[i % 4],
                p[i / 4 * ldp + j]);
    }
    UNROLL
    for (size_t i = 0; i < 16; i++)
        vst1q_f32(y + i / 4 * ldy + 4 * (i % 4), a[i / 4][i % 4]);
}

/* 16 columns of one output likewise. */
static void
mix1x16(float *y, const float *p, const float *v, size_t ldv, size_t n_k)
{
    float32x4_t a[4];

    UNROLL
    for (size_t k = 0; k < 4; k++)
        a[k] = vld1q_f32(y + 4 * k);
    for (size_t j = 0; j < n_k; j++, v += ldv) {
        UNROLL
        for (size_t k = 0; k < 4; k++)
            a[k] = vfmaq_n_f32(a[k], vld1q_f32(v + 4 * k), p[j]);
    }
    UNROLL
    for (size_t k = 0; k < 4; k++)
        vst1q_f32(y + 4 * k, a[k]);
}

/* m columns, m <= 4, of one output. */
static void
mix4(float *y, const float *p, const float *v, size_t ldv, size_t n_k, size_t m)
{
    float32x4_t a = vdupq_n_f32(0.0f);

    for (size_t j = 0; j < n_k; j++, v += ldv)
        a = vfmaq_n_f32(a, load_some(v, m), p[j]);
    store_some(y, a, m);
}

void
attn_mix_neon(float *y, size_t ldy, const float *p, size_t ldp, size_t n_q,
    const float *v, size_t ldv, size_t n_k, size_t dim)
{
    size_t wide = dim / 16 * 16;

    for (size_t i = 0; i < n_q; i++)
        memset(y + i * ldy, 0, wide * sizeof *y);
    /* 64 keys at a time, so that their values stay in the nearest cache */
    for (size_t j = 0; j < n_k; j += 64) {
        size_t n = n_k - j < 64 ? n_k - j : 64;

        for (size_t c = 0; c < wide; c += 16) {
            const float *x = v + j * ldv + c;
            size_t i = 0;

            for (; i + 4 <= n_q; i += 4)
                mix4x16(y + i * ldy + c, ldy, p + i * ldp + j, ldp, x, ldv, n);
            for (; i < n_q; i++)
                mix1x16(y + i * ldy + c, p + i * ldp + j, x, ldv, n);
        }
    }
    for (size_t c = wide; c < dim; c += 4)
        for (size_t i = 0; i < n_q; i++)
            mix4(y + i * ldy + c, p + i * ldp, v + c, ldv, n_k, dim - c);
}

#endif
