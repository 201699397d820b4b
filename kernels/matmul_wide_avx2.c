/*
 * Products of weights whose codes need eight bits or more (Q8_0, IQ4_NL,
 * IQ4_XS), AVX2
 *
 * maddubs would overflow with such codes, so weights are opened to 16 bits (for
 * IQ4_XS times their scale, which fits) and activations too. A madd and an add
 * for two columns would leave ports idle that can add but not multiply. Instead
 * half of the multiplications become additions (Winograd, 1968):
 *
 *   (w0 + a1) (w1 + a0) = w0 a0 + w1 a1 + w0 w1 + a0 a1
 *
 * where the last two products belong to a row or to an activation alone: their
 * sums over a block are formed once and the chain starts from minus them. All
 * is exact modulo 2^32, and so are the results, which fit. Otherwise as in
 * matmul_avx2.c: sixteen rows, four activations, one lane for each output.
 */
#include "kernels/matmul.h"

#include "kernels/ops.h"

#if defined(__AVX2__)

#include <string.h>

#include "kernels/block.h"
#include "kernels/codes_avx2.h"
#include "kernels/interleave_avx2.h"
#include "kernels/matmul_avx2.h"

/* 256 columns of a tile: of each four columns 0 and 2, then 1 and 3. */
struct wide {
    int16_t q[64][2][2][16]; /* [four columns][g][even or odd], row r at 2r */
    int32_t own[8][2][8];    /* minus the products of columns 2k, 2k + 1; of
                                types of 256 the first is of all blocks */
    float d[8][2][8];
};

/* The same columns of an activation. */
struct wide_act {
    int16_t even[128], odd[128];
    int32_t own[8]; /* likewise */
    float d[8];     /* scales of its blocks */
};

INLINE __m256i
even_bytes(__m256i v)
{
    return _mm256_srai_epi16(_mm256_slli_epi16(v, 8), 8);
}

INLINE __m256i
odd_bytes(__m256i v)
{
    return _mm256_srai_epi16(v, 8);
}

/* Columns 4s .. 4s + 3 of eight rows, to 16 bits, times `scale` or NULL. */
INLINE void
put_columns(struct wide *p, size_t b, size_t g, const __m256i t[8],
    const __m256i *scale)
{
    __m256i own = _mm256_setzero_si256();

    UNROLL
    for (size_t s = 0; s < 8; s++) {
        __m256i even = even_bytes(t[s]), odd = odd_bytes(t[s]);

        if (scale) {
            even = _mm256_mullo_epi16(even, *scale);
            odd = _mm256_mullo_epi16(odd, *scale);
        }
        own = _mm256_sub_epi32(own, _mm256_madd_epi16(even, odd));
        store_bytes(p->q[8 * b + s][g][0], even);
        store_bytes(p->q[8 * b + s][g][1], odd);
    }
    store_bytes(p->own[b][g], own);
}

/* Eight rows of 32 signed codes likewise. */
INLINE void
put_wide(struct wide *p, size_t b, size_t g, const __m256i rows[8],
    const __m256i *scale)
{
    __m256i t[8];

    transpose8(rows, t);
    put_columns(p, b, g, t, scale);
}

/* Eight interleaved rows of Q8_0. */
static void
open_side(struct wide *p, const uint8_t *w, size_t g, size_t chunk,
    size_t blocks)
{
    for (size_t b = 0; b < blocks; b++) {
        const uint8_t *at = w + 272 * (8 * chunk + b);
        __m256i t[8];

        UNROLL
        for (size_t s = 0; s < 8; s++)
            t[s] = load_bytes(at + 16 + 32 * s);
        put_columns(p, b, g, t, NULL);
        _mm256_storeu_ps(p->d[b][g], side_f16(at));
    }
}

static void
open_32(struct wide *p, enum qtype t, const uint8_t *const w[8], size_t g,
    size_t chunk, size_t blocks)
{
    size_t bytes = qtype_info(t)->bytes;

    for (size_t b = 0; b < blocks; b++) {
        const uint8_t *x[8];
        __m256i rows[8];

        UNROLL
        for (int r = 0; r < 8; r++) {
            x[r] = w[r] + (8 * chunk + b) * bytes;
            rows[r] = t == QT_Q8_0 ? load_bytes(x[r] + Q8_0_QS)
                                   : iq4_lookup(nibbles(x[r] + IQ4_NL_QS));
        }
        put_wide(p, b, g, rows, NULL);
        _mm256_storeu_ps(p->d[b][g], eight_f16(x, 0));
    }
}

static void
open_iq4_xs(struct wide *p, const uint8_t *const w[8], size_t g, size_t chunk)
{
    const uint8_t *x[8];

    UNROLL
    for (int r = 0; r < 8; r++)
        x[r] = w[r] + 136 * chunk;
    _mm256_storeu_ps(p->d[0][g], eight_f16(x, IQ4_XS_D));
    for (size_t j = 0; j < 8; j++) {
        __m256i rows[8], scale;
        int s[8];

        UNROLL
        for (int r = 0; r < 8; r++) {
            rows[r] = iq4_lookup(nibbles(x[r] + IQ4_XS_QS + 16 * j));
            s[r] = iq4_xs_scale(x[r], (unsigned)j);
        }
        scale = _mm256_setr_epi32(s[0], s[1], s[2], s[3], s[4], s[5], s[6],
            s[7]);
        scale = _mm256_or_si256(_mm256_slli_epi32(scale, 16),
            _mm256_and_si256(scale, _mm256_set1_epi32(0xffff)));
        put_wide(p, j, g, rows, &scale);
        if (j > 0)
            store_bytes(p->own[0][g], _mm256_add_epi32(
                load_bytes(p->own[0][g]), load_bytes(p->own[j][g])));
    }
}

/* Block b of codes; minus the sum of the lanes is its `own`. */
INLINE __m256i
widen_codes(struct wide_act *v, const uint8_t *q, size_t b)
{
    __m256i x = load_bytes(q + 32 * b);
    __m256i even = even_bytes(x), odd = odd_bytes(x);

    store_bytes(v->even + 16 * b, even);
    store_bytes(v->odd + 16 * b, odd);
    return _mm256_madd_epi16(even, odd);
}

/* A chunk of an activation; `whole`: its blocks belong together. */
INLINE void
widen_act(struct wide_act *v, const struct act_rows *act, size_t a,
    size_t chunk, size_t blocks, bool whole)
{
    const uint8_t *row = act->row + a * act->row_bytes;
    const uint8_t *q = row + 256 * chunk;
    const __m256i zero = _mm256_setzero_si256();
    __m256i s[8], own;

    memcpy(v->d, row + act->d + act->d_chunk * chunk,
        (whole ? 1 : blocks) * sizeof *v->d);

    UNROLL
    for (size_t b = 0; b < 8; b++)
        s[b] = b < blocks ? widen_codes(v, q, b) : zero;
    own = _mm256_sub_epi32(zero, fold_rows(s));
    if (whole)
        own = _mm256_hadd_epi32(own, own);
    if (whole)
        own = _mm256_hadd_epi32(own, own);
    if (whole)
        own = _mm256_add_epi32(own, _mm256_permute4x64_epi64(own, 0x4e));
    store_bytes(v->own, own);
}

/* The product of sums that stands for four columns. */
INLINE __m256i
four_columns(__m256i even, __m256i odd, __m256i act_even, __m256i act_odd)
{
    return _mm256_madd_epi16(_mm256_add_epi16(even, act_odd),
        _mm256_add_epi16(odd, act_even));
}

/*
 * Four columns of both groups, w, with those of one activation, x; even and odd
 * are w's first half. The barrier keeps the work of one activation together:
 * spread out by the compiler, it keeps fewer ports busy.
 */
INLINE void
one_act(__m256i *a, __m256i *b, __m256i even, __m256i odd, const int16_t *w,
    const int16_t *x)
{
    __m256i e = spread4(x), o = spread4(x + 128);
    __m256i p = four_columns(even, odd, e, o);
    __m256i q = four_columns(load_bytes(w + 32), load_bytes(w + 48), e, o);

    *a = _mm256_add_epi32(*a, p);
    *b = _mm256_add_epi32(*b, q);
    __asm__ volatile("" : "+x"(*a), "+x"(*b));
}

/* c += products of 32 columns of sub-block b. */
INLINE void
multiply_32(struct sums *c, const struct wide *p, const struct wide_act *a,
    size_t b)
{
    const int16_t *w = p->q[8 * b][0][0], *x = a->even + 16 * b;
    const size_t next = sizeof *a / sizeof *x;

    UNROLL
    for (size_t s = 0; s < 8; s++, w += 64, x += 2) {
        __m256i even = load_bytes(w), odd = load_bytes(w + 16);

        one_act(&c->a0, &c->b0, even, odd, w, x);
        one_act(&c->a1, &c->b1, even, odd, w, x + next);
        one_act(&c->a2, &c->b2, even, odd, w, x + 2 * next);
        one_act(&c->a3, &c->b3, even, odd, w, x + 3 * next);
    }
}

/* Where the chains of sub-block b start. */
INLINE void
start(struct sums *c, const struct wide *p, const struct wide_act *a, size_t b)
{
    __m256i u = load_bytes(p->own[b][0]), v = load_bytes(p->own[b][1]);
    __m256i x = spread4(a[0].own + b);

    c->a0 = _mm256_add_epi32(u, x);
    c->b0 = _mm256_add_epi32(v, x);
    x = spread4(a[1].own + b);
    c->a1 = _mm256_add_epi32(u, x);
    c->b1 = _mm256_add_epi32(v, x);
    x = spread4(a[2].own + b);
    c->a2 = _mm256_add_epi32(u, x);
    c->b2 = _mm256_add_epi32(v, x);
    x = spread4(a[3].own + b);
    c->a3 = _mm256_add_epi32(u, x);
    c->b3 = _mm256_add_epi32(v, x);
}

/* All sums of block b become floats. */
INLINE void
finish(float *f, const struct wide *p, const struct wide_act *a,
    const struct sums *c, size_t b)
{
    const float *u = p->d[b][0], *v = p->d[b][1];
    __m256 d = _mm256_broadcast_ss(a[0].d + b);

    accumulate(f, c->a0, u, d);
    accumulate(f + 8, c->b0, v, d);
    d = _mm256_broadcast_ss(a[1].d + b);
    accumulate(f + TILE, c->a1, u, d);
    accumulate(f + TILE + 8, c->b1, v, d);
    d = _mm256_broadcast_ss(a[2].d + b);
    accumulate(f + 2 * TILE, c->a2, u, d);
    accumulate(f + 2 * TILE + 8, c->b2, v, d);
    d = _mm256_broadcast_ss(a[3].d + b);
    accumulate(f + 3 * TILE, c->a3, u, d);
    accumulate(f + 3 * TILE + 8, c->b3, v, d);
    /* to memory now: the sums of the next block need the registers */
    __asm__("" : "+m"(*(float(*)[4 * TILE])(void *)f));
}

/* One chunk for four activations, types of 32. */
static void
chunk_32(float *f, const struct wide *p, const struct wide_act *a,
    size_t blocks)
{
    struct sums c;

    for (size_t b = 0; b < blocks; b++) {
        start(&c, p, a, b);
        multiply_32(&c, p, a, b);
        finish(f, p, a, &c, b);
    }
}

/* Types of 256. */
static void
chunk_256(float *f, const struct wide *p, const struct wide_act *a)
{
    struct sums c;

    start(&c, p, a, 0);
    for (size_t b = 0; b < 8; b++)
        multiply_32(&c, p, a, b);
    finish(f, p, a, &c, 0);
}

static void
open_wide(struct wide *p, const struct rows *w, enum qtype t, size_t chunk,
    size_t blocks)
{
    for (size_t g = 0; g < 2; g++) {
        const uint8_t *const *rows = w->row + 8 * g;

        if (w->side)
            open_side(p, rows[0], g, chunk, blocks);
        else if (t == QT_IQ4_XS)
            open_iq4_xs(p, rows, g, chunk);
        else
            open_32(p, t, rows, g, chunk, blocks);
    }
}

void
tiles_wide_avx2(float *f, const struct rows *w, size_t tiles, enum qtype t,
    size_t cols, const struct act_rows *act)
{
    const bool whole = t == QT_IQ4_XS;
    _Alignas(64) struct wide_act wide[ACTS];
    _Alignas(64) struct wide p;

    for (size_t chunk = 0; chunk * 256 < cols; chunk++) {
        size_t left = cols - 256 * chunk;
        size_t blocks = left < 256 ? left / 32 : 8;

        for (size_t a = 0; a < act->n; a++)
            widen_act(&wide[a], act, a, chunk, blocks, whole);
        for (size_t a = act->n; a % 4 != 0; a++)
            wide[a] = wide[act->n - 1];
        for (size_t i = 0; i < tiles; i++) {
            open_wide(&p, w + i, t, chunk, blocks);
            for (size_t a = 0; a < act->n; a += 4) {
                float *to = f + TILE * (ACTS * i + a);

                if (whole)
                    chunk_256(to, &p, wide + a);
                else
                    chunk_32(to, &p, wide + a, blocks);
            }
        }
    }
}

#endif
