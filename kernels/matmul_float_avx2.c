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
#include "kernels/avx2.h"
#include "kernels/ops_avx2.h"

enum { ACTS = 132, TILE = 16, WIDE = 6 };

/* Eight weights of a row as floats. */
static inline __m256i
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

            for (size_t r = 0; r < 8; r++)
                rows[r] = n - k >= 8 ? eight(t, w[8 * g + r], c + k)
                                     : some(t, w[8 * g + r], c + k, n - k);
            transpose8(rows, cols);
            for (size_t i = 0; i < 8; i++)
                store_bytes(&p[k + i][8 * g], cols[i]);
        }
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

/* The same for one activation. */
static void
chunk_x1(float *f, float (*p)[TILE], const float *x, size_t n)
{
    __m256 a = _mm256_setzero_ps(), b = a;

    for (size_t k = 0; k < n; k++) {
        __m256 v = _mm256_broadcast_ss(x + k);
        a = _mm256_fmadd_ps(_mm256_loadu_ps(p[k]), v, a);
        b = _mm256_fmadd_ps(_mm256_loadu_ps(p[k] + 8), v, b);
    }
    add_to(f, a, b);
}

/* f[a][r] for a tile of sixteen rows and n <= ACTS activations. */
static void
tile(float *f, const uint8_t *const w[TILE], enum qtype t, size_t cols,
    const uint8_t *act, size_t ab, size_t n)
{
    float p[256][TILE];

    memset(f, 0, (n + WIDE - 1) / WIDE * WIDE * TILE * sizeof *f);
    for (size_t c = 0; c < cols; c += 256) {
        size_t m = cols - c < 256 ? cols - c : 256;

        open_rows(p, t, w, c, m);
        for (size_t a = 0; a < n; a += WIDE) {
            const float *x[WIDE];

            for (size_t i = 0; i < WIDE; i++) {
                size_t k = a + i < n ? a + i : n - 1;
                x[i] = (const float *)(const void *)(act + k * ab) + c;
            }
            if (n - a == 1)
                chunk_x1(f + TILE * a, p, x[0], m);
            else
                chunk_x6(f + TILE * a, p, x, m);
        }
    }
}

void
matmul_float_avx2(float *y, size_t ldy, const void *w, enum qtype t,
    size_t row0, size_t row1, size_t cols, const void *act, size_t n_act)
{
    size_t wb = qtype_row_bytes(t, cols), ab = act_row_bytes(ACT_F32, cols);
    float f[ACTS * TILE];

    for (size_t a0 = 0; a0 < n_act; a0 += ACTS) {
        size_t n = n_act - a0 < ACTS ? n_act - a0 : ACTS;

        for (size_t r = row0; r < row1; r += TILE) {
            size_t m = row1 - r < TILE ? row1 - r : TILE;
            const uint8_t *wr[TILE];

            /* rows that are not there: the last one again, thrown away */
            for (size_t i = 0; i < TILE; i++)
                wr[i] = (const uint8_t *)w + (r + (i < m ? i : m - 1)) * wb;
            tile(f, wr, t, cols, (const uint8_t *)act + a0 * ab, ab, n);
            for (size_t a = 0; a < n; a++)
                memcpy(y + (a0 + a) * ldy + r, f + TILE * a, m * sizeof *f);
        }
    }
}

#endif
