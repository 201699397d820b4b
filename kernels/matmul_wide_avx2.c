/*
 * Products of weights whose codes need eight bits or more (Q8_0, IQ4_NL,
 * IQ4_XS), AVX2
 *
 * maddubs would overflow with such codes, so weights are opened to 16 bits (for
 * IQ4_XS times their scale, which fits) and activations too, and madd sums
 * pairs straight into 32 bits. Otherwise as in matmul_avx2.c: sixteen rows,
 * four activations, one lane for each output.
 */
#include "kernels/matmul.h"

#include "kernels/ops.h"

#if defined(__AVX2__)

#include <string.h>

#include "kernels/block.h"
#include "kernels/interleave_avx2.h"
#include "kernels/matmul_avx2.h"

/* 256 columns: q[k][g] holds columns 2k, 2k + 1 of row r at 2r, 2r + 1. */
struct wide {
    int16_t q[128][2][16];
    float d[8][2][8];
};

/* Columns 4s .. 4s + 3 of eight rows, to 16 bits, times `scale` or NULL. */
INLINE void
put_columns(struct wide *p, size_t b, size_t g, const __m256i t[8],
    const __m256i *scale)
{
    const __m256i first = _mm256_set1_epi32((int)0x01800080);
    const __m256i second = _mm256_set1_epi32((int)0x03800280);
    const __m256i lane = _mm256_setr_epi32(0, 0x04000400, 0x08000800,
        0x0c000c00, 0, 0x04000400, 0x08000800, 0x0c000c00);

    UNROLL
    for (size_t s = 0; s < 8; s++) {
        /* a byte to the top of its 16 bits, then down with its sign */
        __m256i lo = _mm256_srai_epi16(_mm256_shuffle_epi8(t[s],
            _mm256_add_epi8(first, lane)), 8);
        __m256i hi = _mm256_srai_epi16(_mm256_shuffle_epi8(t[s],
            _mm256_add_epi8(second, lane)), 8);

        if (scale) {
            lo = _mm256_mullo_epi16(lo, *scale);
            hi = _mm256_mullo_epi16(hi, *scale);
        }
        store_bytes(p->q[16 * b + 2 * s][g], lo);
        store_bytes(p->q[16 * b + 2 * s + 1][g], hi);
    }
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

/* 16 bytes of nibbles to 32 values of the IQ4 table. */
INLINE __m256i
iq4_row(const uint8_t *qs)
{
    __m128i v = load_half(qs);
    __m256i q = _mm256_and_si256(_mm256_set_m128i(_mm_srli_epi16(v, 4), v),
        _mm256_set1_epi8(15));

    return _mm256_shuffle_epi8(
        _mm256_broadcastsi128_si256(load_half(iq4_values)), q);
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
                                   : iq4_row(x[r] + IQ4_NL_QS);
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
            rows[r] = iq4_row(x[r] + IQ4_XS_QS + 16 * j);
            s[r] = iq4_xs_scale(x[r], (unsigned)j);
        }
        scale = _mm256_setr_epi32(s[0], s[1], s[2], s[3], s[4], s[5], s[6],
            s[7]);
        scale = _mm256_or_si256(_mm256_slli_epi32(scale, 16),
            _mm256_and_si256(scale, _mm256_set1_epi32(0xffff)));
        put_wide(p, j, g, rows, &scale);
    }
}

INLINE __m256i
dot32(__m256i w, __m256i x, __m256i c)
{
    return _mm256_add_epi32(c, _mm256_madd_epi16(w, x));
}

/* c += products of 32 columns of sub-block b. */
INLINE void
multiply_32(struct sums *c, const struct wide *p, int16_t (*a)[256], size_t b)
{
    const int16_t *w = p->q[16 * b][0];

    UNROLL
    for (size_t s = 0; s < 16; s++) {
        __m256i u = load_bytes(w + 32 * s), v = load_bytes(w + 32 * s + 16);
        __m256i x = spread4(a[0] + 32 * b + 2 * s);

        c->a0 = dot32(u, x, c->a0);
        c->b0 = dot32(v, x, c->b0);
        x = spread4(a[1] + 32 * b + 2 * s);
        c->a1 = dot32(u, x, c->a1);
        c->b1 = dot32(v, x, c->b1);
        x = spread4(a[2] + 32 * b + 2 * s);
        c->a2 = dot32(u, x, c->a2);
        c->b2 = dot32(v, x, c->b2);
        x = spread4(a[3] + 32 * b + 2 * s);
        c->a3 = dot32(u, x, c->a3);
        c->b3 = dot32(v, x, c->b3);
        hold(c);
    }
}

/* All sums of block b become floats. */
INLINE void
finish(float *f, const struct wide *p, const struct act4 *act,
    const struct sums *c, size_t b)
{
    __m256 d = spread_float(act->d[0] + 4 * b);

    accumulate(f, c->a0, p->d[b][0], d);
    accumulate(f + 8, c->b0, p->d[b][1], d);
    d = spread_float(act->d[1] + 4 * b);
    accumulate(f + TILE, c->a1, p->d[b][0], d);
    accumulate(f + TILE + 8, c->b1, p->d[b][1], d);
    d = spread_float(act->d[2] + 4 * b);
    accumulate(f + 2 * TILE, c->a2, p->d[b][0], d);
    accumulate(f + 2 * TILE + 8, c->b2, p->d[b][1], d);
    d = spread_float(act->d[3] + 4 * b);
    accumulate(f + 3 * TILE, c->a3, p->d[b][0], d);
    accumulate(f + 3 * TILE + 8, c->b3, p->d[b][1], d);
}

/* One chunk for four activations, codes widened first. */
static void
chunk_x4(float *f, const struct wide *p, const struct act4 *act, size_t blocks,
    int whole)
{
    int16_t a[4][256];
    struct sums c;

    for (size_t k = 0; k < 4; k++)
        for (size_t i = 0; i < 32 * blocks; i += 16)
            store_bytes(a[k] + i,
                _mm256_cvtepi8_epi16(load_half(act->q[k] + i)));
    clear(&c);
    for (size_t b = 0; b < blocks; b++) {
        multiply_32(&c, p, a, b);
        if (!whole) {
            finish(f, p, act, &c, b);
            clear(&c);
        }
    }
    if (whole)
        finish(f, p, act, &c, 0);
}

void
tile_wide_avx2(float *f, const struct rows *w, enum qtype t, size_t cols,
    const struct act_rows *act)
{
    struct wide p;

    for (size_t chunk = 0; chunk * 256 < cols; chunk++) {
        size_t left = cols - 256 * chunk;
        size_t blocks = left < 256 ? left / 32 : 8;

        for (size_t g = 0; g < 2; g++) {
            const uint8_t *const *rows = w->row + 8 * g;

            if (w->side)
                open_side(&p, rows[0], g, chunk, blocks);
            else if (t == QT_IQ4_XS)
                open_iq4_xs(&p, rows, g, chunk);
            else
                open_32(&p, t, rows, g, chunk, blocks);
        }
        for (size_t a = 0; a < act->n; a += 4) {
            struct act4 v;

            locate(&v, act, a, chunk);
            chunk_x4(f + TILE * a, &p, &v, blocks, t == QT_IQ4_XS);
        }
    }
}

#endif
