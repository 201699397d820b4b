/*
 * Products of float weights (F32, F16, BF16) with float activations, AVX2
 *
 * Sixteen rows are transposed 256 columns at a time, so that a column of them
 * is two registers; six activations at once. Every output is a chain of fma
 * over the 256 columns, added to the sum of the chunks before.
 */
#include "kernels/matmul.h"

#include "kernels/ops.h"

#if defined(__AVX2__)

#include <string.h>

#include "kernels/act.h"
#include "kernels/matmul_avx2.h"
#include "kernels/ops_avx2.h"

enum { BATCH = 132, WIDE = 6, MANY = 32 };

/* Eight weights of a row as floats. */
INLINE __m256i
eight(enum qtype t, const uint8_t *w, size_t c)
{
    if (t == QT_F32)
        return load_bytes(w + 4 * c);
    if (t == QT_F16)
        return _mm256_castps_si256(_mm256_cvtph_ps(load_half(w + 2 * c)));
    return _mm256_slli_epi32(_mm256_cvtepu16_epi32(load_half(w + 2 * c)), 16);
}

/* The last n < 8 of them, zeros behind. */
static __m256i
some(enum qtype t, const uint8_t *w, size_t c, size_t n)
{
    uint8_t part[32] = { 0 };
    size_t size = t == QT_F32 ? 4 : 2;

    memcpy(part, w + size * c, size * n);
    return eight(t, part, 0);
}

/* p[k][r] = weight of row w[r], column c + k; k < n rounded up to 8. */
static void
open_rows(float p[256][TILE], enum qtype t, const uint8_t *const w[TILE],
    size_t c, size_t n)
{
    for (size_t k = 0; k < n; k += 8) {
        for (size_t g = 0; g < 2; g++) {
            __m256i rows[8], cols[8];

            UNROLL
            for (size_t r = 0; r < 8; r++)
                rows[r] = n - k >= 8 ? eight(t, w[8 * g + r], c + k)
                                     : some(t, w[8 * g + r], c + k, n - k);
            transpose8(rows, cols);
            for (size_t i = 0; i < 8; i++)
                store_bytes(&p[k + i][8 * g], cols[i]);
        }
    }
}

/* The same from two interleaved groups. */
static void
open_side(float p[256][TILE], enum qtype t, const uint8_t *const w[2],
    size_t c, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        for (size_t g = 0; g < 2; g++)
            store_bytes(&p[k][8 * g], eight(t, w[g], 8 * (c + k)));
    }
}

static inline void
add_to(float *f, __m256 lo, __m256 hi)
{
    _mm256_storeu_ps(f, _mm256_add_ps(_mm256_loadu_ps(f), lo));
    _mm256_storeu_ps(f + 8, _mm256_add_ps(_mm256_loadu_ps(f + 8), hi));
}

/* f[a][r] += chain over n columns, six activations. */
static void
chunk_x6(float *f, float (*p)[TILE], const float *const x[WIDE], size_t n)
{
    __m256 z = _mm256_setzero_ps();
    __m256 a0 = z, b0 = z, a1 = z, b1 = z, a2 = z, b2 = z;
    __m256 a3 = z, b3 = z, a4 = z, b4 = z, a5 = z, b5 = z;

    for (size_t k = 0; k < n; k++) {
        __m256 lo = _mm256_loadu_ps(p[k]), hi = _mm256_loadu_ps(p[k] + 8);
        __m256 v = _mm256_broadcast_ss(x[0] + k);

        a0 = _mm256_fmadd_ps(lo, v, a0);
        b0 = _mm256_fmadd_ps(hi, v, b0);
        v = _mm256_broadcast_ss(x[1] + k);
        a1 = _mm256_fmadd_ps(lo, v, a1);
        b1 = _mm256_fmadd_ps(hi, v, b1);
        v = _mm256_broadcast_ss(x[2] + k);
        a2 = _mm256_fmadd_ps(lo, v, a2);
        b2 = _mm256_fmadd_ps(hi, v, b2);
        v = _mm256_broadcast_ss(x[3] + k);
        a3 = _mm256_fmadd_ps(lo, v, a3);
        b3 = _mm256_fmadd_ps(hi, v, b3);
        v = _mm256_broadcast_ss(x[4] + k);
        a4 = _mm256_fmadd_ps(lo, v, a4);
        b4 = _mm256_fmadd_ps(hi, v, b4);
        v = _mm256_broadcast_ss(x[5] + k);
        a5 = _mm256_fmadd_ps(lo, v, a5);
        b5 = _mm256_fmadd_ps(hi, v, b5);
    }
    add_to(f, a0, b0);
    add_to(f + TILE, a1, b1);
    add_to(f + 2 * TILE, a2, b2);
    add_to(f + 3 * TILE, a3, b3);
    add_to(f + 4 * TILE, a4, b4);
    add_to(f + 5 * TILE, a5, b5);
}

/* p[k][r] of `line` columns from c on for MANY rows, by cache lines. */
INLINE void
open_lines(float p[32][MANY], enum qtype t, const uint8_t *const w[MANY],
    size_t c, size_t line)
{
    for (size_t g = 0; g < MANY; g += 8) {
        for (size_t i = 0; i < line; i += 8) {
            __m256i rows[8], cols[8];

            UNROLL
            for (size_t r = 0; r < 8; r++)
                rows[r] = eight(t, w[g + r], c + i);
            transpose8(rows, cols);
            UNROLL
            for (size_t k = 0; k < 8; k++)
                store_bytes(&p[i + k][g], cols[k]);
        }
    }
}

/* Four chains of eight rows, one step for each of n columns. */
INLINE void
chain_lines(__m256 s[4], float (*p)[MANY], const float *x, size_t n)
{
    __m256 a = s[0], b = s[1], c = s[2], d = s[3];

    for (size_t k = 0; k < n; k++) {
        __m256 v = _mm256_broadcast_ss(x + k);
        a = _mm256_fmadd_ps(_mm256_loadu_ps(p[k]), v, a);
        b = _mm256_fmadd_ps(_mm256_loadu_ps(p[k] + 8), v, b);
        c = _mm256_fmadd_ps(_mm256_loadu_ps(p[k] + 16), v, c);
        d = _mm256_fmadd_ps(_mm256_loadu_ps(p[k] + 24), v, d);
    }
    s[0] = a;
    s[1] = b;
    s[2] = c;
    s[3] = d;
}

/*
 * One activation: y[0..31] of MANY rows. A cache line of each of eight rows is
 * used up before the next eight are touched: rows often lie a multiple of 4096
 * bytes apart and then share eight places in the cache.
 */
INLINE void
one_many(float *y, const uint8_t *const w[MANY], enum qtype t, size_t cols,
    const float *x)
{
    const size_t line = t == QT_F32 ? 16 : 32;
    float p[32][MANY];

    memset(y, 0, MANY * sizeof *y);
    for (size_t c = 0; c < cols; c += 256) {
        size_t end = cols - c < 256 ? cols : c + 256, k = c;
        __m256 s[4];

        for (int g = 0; g < 4; g++)
            s[g] = _mm256_setzero_ps();
        for (; k + line <= end; k += line) {
            open_lines(p, t, w, k, line);
            chain_lines(s, p, x + k, line);
        }
        for (; k < end; k++) { /* an odd end, column by column */
            for (size_t r = 0; r < MANY; r++) {
                __m256i v = some(t, w[r], k, 1);
                p[0][r] = _mm256_cvtss_f32(_mm256_castsi256_ps(v));
            }
            chain_lines(s, p, x + k, 1);
        }
        for (int g = 0; g < 4; g++)
            _mm256_storeu_ps(y + 8 * g,
                _mm256_add_ps(_mm256_loadu_ps(y + 8 * g), s[g]));
    }
}

static void
one(float *y, enum qtype t, const uint8_t *w, size_t row0, size_t row1,
    size_t cols, const float *x)
{
    size_t wb = qtype_row_bytes(t, cols);
    float f[MANY];

    for (size_t r = row0; r < row1; r += MANY) {
        size_t m = row1 - r < MANY ? row1 - r : MANY;
        const uint8_t *wr[MANY];

        /* rows that are not there: the last one again, thrown away */
        for (size_t i = 0; i < MANY; i++)
            wr[i] = w + (r + (i < m ? i : m - 1)) * wb;
        if (t == QT_F32)
            one_many(f, wr, QT_F32, cols, x);
        else if (t == QT_F16)
            one_many(f, wr, QT_F16, cols, x);
        else
            one_many(f, wr, QT_BF16, cols, x);
        memcpy(y + r, f, m * sizeof *f);
    }
}

/* f[a][r] for a tile of sixteen rows and n <= BATCH activations. */
static void
tile(float *f, const struct rows *w, enum qtype t, size_t cols,
    const uint8_t *act, size_t ab, size_t n)
{
    float p[256][TILE];

    memset(f, 0, (n + WIDE - 1) / WIDE * WIDE * TILE * sizeof *f);
    for (size_t c = 0; c < cols; c += 256) {
        size_t m = cols - c < 256 ? cols - c : 256;

        if (w->side)
            open_side(p, t, (const uint8_t *const[]){ w->row[0], w->row[8] },
                c, m);
        else
            open_rows(p, t, w->row, c, m);
        for (size_t a = 0; a < n; a += WIDE) {
            const float *x[WIDE];

            for (size_t i = 0; i < WIDE; i++) {
                size_t k = a + i < n ? a + i : n - 1;
                x[i] = (const float *)(const void *)(act + k * ab) + c;
            }
            chunk_x6(f + TILE * a, p, x, m);
        }
    }
}

void
matmul_float_avx2(float *y, size_t ldy, const void *w, enum qtype t,
    bool side, size_t row0, size_t row1, size_t cols, const void *act,
    size_t n_act)
{
    size_t wb = qtype_row_bytes(t, cols), ab = act_row_bytes(ACT_F32, cols);
    float f[BATCH * TILE];

    if (n_act == 1) {
        one(y, t, w, row0, row1, cols, act);
        return;
    }
    for (size_t a0 = 0; a0 < n_act; a0 += BATCH) {
        size_t n = n_act - a0 < BATCH ? n_act - a0 : BATCH;

        for (size_t r = row0; r < row1; r += TILE) {
            size_t m = row1 - r < TILE ? row1 - r : TILE;
            struct rows wr = { .side = side };

            /* rows that are not there: the last ones again, thrown away */
            for (size_t i = 0; i < TILE; i++)
                wr.row[i] = (const uint8_t *)w +
                    (r + (i < m ? i : side ? i - 8 : m - 1)) * wb;
            tile(f, &wr, t, cols, (const uint8_t *)act + a0 * ab, ab, n);
            for (size_t a = 0; a < n; a++)
                memcpy(y + (a0 + a) * ldy + r, f + TILE * a, m * sizeof *f);
        }
    }
}

#endif
