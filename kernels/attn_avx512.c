/*
 * Attention on AVX-512: scores and mixtures, the bits of vec_ref.c
 */
#include "kernels/ops.h"

#if defined(__AVX2__)

#include <string.h>

#include "kernels/avx512.h"
#include "kernels/ops_avx512.h"

/*
 * Lane 4 i + j = v[4 i + j] folded 16 -> 8 -> 4 -> 2 -> 1 as vec.h says. Pairs
 * of registers give one after each fold, so that sixteen cost as many sums as
 * one would alone, and shuffles.
 */
INLINE __m512
fold_each(const __m512 v[16])
{
    __m512 z[4];

    UNROLL
    for (int j = 0; j < 4; j++) {
        __m512 a = v[j], b = v[4 + j], c = v[8 + j], d = v[12 + j];
        __m512 p = _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44),
            _mm512_shuffle_f32x4(a, b, 0xee));
        __m512 q = _mm512_add_ps(_mm512_shuffle_f32x4(c, d, 0x44),
            _mm512_shuffle_f32x4(c, d, 0xee));

        /* four lanes are left of each: a's, b's, c's, d's */
        z[j] = _mm512_add_ps(_mm512_shuffle_f32x4(p, q, 0x88),
            _mm512_shuffle_f32x4(p, q, 0xdd));
    }
    __m512 lo = _mm512_add_ps(_mm512_shuffle_ps(z[0], z[1], 0x44),
        _mm512_shuffle_ps(z[0], z[1], 0xee));
    __m512 hi = _mm512_add_ps(_mm512_shuffle_ps(z[2], z[3], 0x44),
        _mm512_shuffle_ps(z[2], z[3], 0xee));
    return _mm512_add_ps(_mm512_shuffle_ps(lo, hi, 0x88),
        _mm512_shuffle_ps(lo, hi, 0xdd));
}

/* One step of the sums of n_q queries with n_k keys; mask: odd ends. */
INLINE void
step(__m512 s[16], const float *const q[], const float *const k[], int n_q,
    int n_k, size_t c, __mmask16 mask)
{
    __m512 x[4];

    UNROLL
    for (int i = 0; i < n_q; i++)
        x[i] = _mm512_maskz_loadu_ps(mask, q[i] + c);
    UNROLL
    for (int j = 0; j < n_k; j++) {
        __m512 y = _mm512_maskz_loadu_ps(mask, k[j] + c);

        UNROLL
        for (int i = 0; i < n_q; i++)
            s[n_k * i + j] = _mm512_fmadd_ps(x[i], y, s[n_k * i + j]);
    }
}

/* Sixteen scores: n_q queries (4 or 1) by n_k keys (4 or 16). */
INLINE __m512
scores(const float *const q[], const float *const k[], int n_q, int n_k,
    size_t dim, float scale)
{
    __m512 s[16];
    size_t c = 0;

    UNROLL
    for (int i = 0; i < 16; i++)
        s[i] = _mm512_setzero_ps();
    for (; c + 16 <= dim; c += 16)
        step(s, q, k, n_q, n_k, c, 0xffff);
    if (c < dim)
        step(s, q, k, n_q, n_k, c, first16(dim - c));
    return _mm512_mul_ps(_mm512_set1_ps(scale), fold_each(s));
}

/* n pointers to rows; where rows are missing, the last again. */
INLINE void
rows_at(const float *p[], const float *x, size_t ld, size_t n, size_t present)
{
    for (size_t i = 0; i < n; i++)
        p[i] = x + (i < present ? i : present - 1) * ld;
}

/* One query with all keys, sixteen at a time. */
static void
scores_of_one(float *s, const float *q, const float *k, size_t ldk, size_t n_k,
    size_t dim, float scale)
{
    for (size_t j = 0; j < n_k; j += 16) {
        const float *key[16];

        rows_at(key, k + j * ldk, ldk, 16, n_k - j);
        store_first(s + j, scores(&q, key, 1, 16, dim, scale), n_k - j);
    }
}

void
attn_scores_avx512(float *s, size_t lds, const float *q, size_t ldq,
    size_t n_q, const float *k, size_t ldk, size_t n_k, size_t dim,
    float scale)
{
    size_t fours = n_q / 4 * 4;

    /* keys outside: 4 of them stay in cache for all queries */
    for (size_t j = 0; fours > 0 && j < n_k; j += 4) {
        const __mmask8 there = (__mmask8)(first16(n_k - j) & 15);
        const float *key[4], *query[4];

        rows_at(key, k + j * ldk, ldk, 4, n_k - j);
        for (size_t i = 0; i < fours; i += 4) {
            float out[16];

            rows_at(query, q + i * ldq, ldq, 4, 4);
            _mm512_storeu_ps(out, scores(query, key, 4, 4, dim, scale));
            for (size_t r = 0; r < 4; r++)
                _mm_mask_storeu_ps(s + (i + r) * lds + j, there,
                    _mm_loadu_ps(out + 4 * r));
        }
    }
    for (size_t i = fours; i < n_q; i++)
        scores_of_one(s + i * lds, q + i * ldq, k, ldk, n_k, dim, scale);
}

/*
 * n_q outputs (4 or 1) of 16 n_c columns over n_k rows of v, added to what is
 * in y; mask: those of the last sixteen columns that are there.
 */
INLINE void
mix(float *y, size_t ldy, const float *p, size_t ldp, const float *v,
    size_t ldv, size_t n_k, int n_q, int n_c, __mmask16 mask)
{
    __m512 s[4][4];

    UNROLL
    for (int i = 0; i < n_q; i++)
        UNROLL
        for (int c = 0; c < n_c; c++)
            s[i][c] = _mm512_maskz_loadu_ps(mask, y + (size_t)i * ldy + 16 * c);
    for (size_t j = 0; j < n_k; j++, v += ldv) {
        __m512 x[4];

        UNROLL
        for (int c = 0; c < n_c; c++)
            x[c] = _mm512_maskz_loadu_ps(mask, v + 16 * c);
        UNROLL
        for (int i = 0; i < n_q; i++) {
            __m512 w = _mm512_set1_ps(p[(size_t)i * ldp + j]);

            UNROLL
            for (int c = 0; c < n_c; c++)
                s[i][c] = _mm512_fmadd_ps(w, x[c], s[i][c]);
        }
    }
    UNROLL
    for (int i = 0; i < n_q; i++)
        UNROLL
        for (int c = 0; c < n_c; c++)
            _mm512_mask_storeu_ps(y + (size_t)i * ldy + 16 * c, mask, s[i][c]);
}

/* All columns for n_q outputs over a few keys. */
INLINE void
mix_rows(float *y, size_t ldy, const float *p, size_t ldp, const float *v,
    size_t ldv, size_t n_k, size_t dim, int n_q)
{
    size_t c = 0;

    for (; c + 64 <= dim; c += 64)
        mix(y + c, ldy, p, ldp, v + c, ldv, n_k, n_q, 4, 0xffff);
    for (; c < dim; c += 16)
        mix(y + c, ldy, p, ldp, v + c, ldv, n_k, n_q, 1, first16(dim - c));
}

void
attn_mix_avx512(float *y, size_t ldy, const float *p, size_t ldp, size_t n_q,
    const float *v, size_t ldv, size_t n_k, size_t dim)
{
    for (size_t i = 0; i < n_q; i++)
        memset(y + i * ldy, 0, dim * sizeof *y);
    /* 64 keys at a time, so that their values stay in the nearest cache */
    for (size_t j = 0; j < n_k; j += 64) {
        size_t n = n_k - j < 64 ? n_k - j : 64, i = 0;

        for (; i + 4 <= n_q; i += 4)
            mix_rows(y + i * ldy, ldy, p + i * ldp + j, ldp, v + j * ldv, ldv,
                n, dim, 4);
        for (; i < n_q; i++)
            mix_rows(y + i * ldy, ldy, p + i * ldp + j, ldp, v + j * ldv, ldv,
                n, dim, 1);
    }
}

#endif
