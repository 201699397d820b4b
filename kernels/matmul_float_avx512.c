/*
 * Products of float weights (F32, F16, BF16) with float activations, AVX-512
 *
 * Rows are transposed by cache lines, so that a column of sixteen is one
 * register: 32 rows and 256 columns for eight activations at once, or 64 rows
 * and a line for one. Every output is a chain of fma over the 256 columns,
 * added to the sum of the chunks before.
 */
#include "kernels/matmul.h"

#include "kernels/ops.h"

#if defined(__AVX2__)

#include <string.h>

#include "kernels/act.h"
#include "kernels/avx512.h"
#include "kernels/interleave_avx2.h"
#include "kernels/ops_avx512.h"

enum { ACTS = 128, TILE = 32, WIDE = 8, MANY = 64 };

/* 16 x 16 transpose of 32-bit lanes. */
INLINE void
transpose(const __m512i in[16], __m512i out[16])
{
    __m512i u[4][4];

    /* u[i][k] = number k, 4 + k, 8 + k, 12 + k of rows 4 i to 4 i + 3 */
    UNROLL
    for (int i = 0; i < 4; i++) {
        const __m512i *x = in + 4 * i;
        __m512i t0 = _mm512_unpacklo_epi32(x[0], x[1]);
        __m512i t1 = _mm512_unpackhi_epi32(x[0], x[1]);
        __m512i t2 = _mm512_unpacklo_epi32(x[2], x[3]);
        __m512i t3 = _mm512_unpackhi_epi32(x[2], x[3]);

        u[i][0] = _mm512_unpacklo_epi64(t0, t2);
        u[i][1] = _mm512_unpackhi_epi64(t0, t2);
        u[i][2] = _mm512_unpacklo_epi64(t1, t3);
        u[i][3] = _mm512_unpackhi_epi64(t1, t3);
    }
    UNROLL
    for (int k = 0; k < 4; k++) {
        __m512i a = _mm512_shuffle_i32x4(u[0][k], u[1][k], 0x88);
        __m512i b = _mm512_shuffle_i32x4(u[2][k], u[3][k], 0x88);
        __m512i c = _mm512_shuffle_i32x4(u[0][k], u[1][k], 0xdd);
        __m512i d = _mm512_shuffle_i32x4(u[2][k], u[3][k], 0xdd);

        out[k] = _mm512_shuffle_i32x4(a, b, 0x88);
        out[4 + k] = _mm512_shuffle_i32x4(c, d, 0x88);
        out[8 + k] = _mm512_shuffle_i32x4(a, b, 0xdd);
        out[12 + k] = _mm512_shuffle_i32x4(c, d, 0xdd);
    }
}

/* Two columns of sixteen rows of 16-bit floats, p and p + ld. */
INLINE void
put_columns(float *p, size_t ld, enum qtype t, __m512i v)
{
    /* the first of each pair, then the second of each */
    const __m512i apart = _mm512_setr_epi32(0x020000, 0x060004, 0x0a0008,
        0x0e000c, 0x120010, 0x160014, 0x1a0018, 0x1e001c, 0x030001, 0x070005,
        0x0b0009, 0x0f000d, 0x130011, 0x170015, 0x1b0019, 0x1f001d);

    if (t == QT_F16) {
        v = _mm512_permutexvar_epi16(apart, v);
        _mm512_storeu_ps(p, _mm512_cvtph_ps(_mm512_castsi512_si256(v)));
        _mm512_storeu_ps(p + ld,
            _mm512_cvtph_ps(_mm512_extracti64x4_epi64(v, 1)));
    } else {
        store64(p, _mm512_slli_epi32(v, 16));
        store64(p + ld, _mm512_and_si512(v, _mm512_set1_epi32(-65536)));
    }
}

/* Columns in 64 bytes of a row. */
INLINE size_t
line_of(enum qtype t)
{
    return t == QT_F32 ? 16 : 32;
}

/*
 * p[k * ld + r] = weight of row w[r], column c + k, k < line_of(t), for sixteen
 * rows; n of them are there, zeros stand for the others.
 */
INLINE void
open_line(float *p, size_t ld, enum qtype t, const uint8_t *const w[16],
    size_t c, size_t n)
{
    const size_t size = t == QT_F32 ? 4 : 2;
    __m512i rows[16], cols[16];

    UNROLL
    for (int r = 0; r < 16; r++) {
        if (n >= line_of(t)) {
            rows[r] = load64(w[r] + size * c);
        } else {
            uint8_t part[64] = { 0 };

            memcpy(part, w[r] + size * c, size * n);
            rows[r] = load64(part);
        }
    }
    transpose(rows, cols);
    UNROLL
    for (size_t k = 0; k < 16; k++) {
        if (t == QT_F32)
            store64(p + k * ld, cols[k]);
        else
            put_columns(p + 2 * k * ld, ld, t, cols[k]);
    }
}

/* p[k][r] = weight of row w[r], column c + k; k < n rounded up to a line. */
INLINE void
open_rows(float p[256][TILE], enum qtype t, const uint8_t *const w[TILE],
    size_t c, size_t n)
{
    for (size_t k = 0; k < n; k += line_of(t))
        for (size_t g = 0; g < TILE; g += 16)
            open_line(&p[k][g], TILE, t, w + g, c + k, n - k);
}

/* Eight weights of column c of an interleaved group. */
INLINE __m256
column(enum qtype t, const uint8_t *w, size_t c)
{
    if (t == QT_F32)
        return _mm256_castsi256_ps(load_bytes(w + 32 * c));
    if (t == QT_F16)
        return side_f16(w + 16 * c);
    return _mm256_castsi256_ps(_mm256_slli_epi32(
        _mm256_cvtepu16_epi32(load_half(w + 16 * c)), 16));
}

/* As open_rows from interleaved groups w[0], w[8], w[16], w[24]. */
INLINE void
open_side(float p[256][TILE], enum qtype t, const uint8_t *const w[TILE],
    size_t c, size_t n)
{
    for (size_t k = 0; k < n; k++)
        for (size_t g = 0; g < TILE; g += INTERLEAVE)
            _mm256_storeu_ps(&p[k][g], column(t, w[g], c + k));
}

/* f[a][r] += chain over n columns, eight activations. */
static void
chunk_x8(float *f, float (*p)[TILE], const float *const x[WIDE], size_t n)
{
    __m512 s[WIDE][2];

    UNROLL
    for (int i = 0; i < WIDE; i++)
        s[i][0] = s[i][1] = _mm512_setzero_ps();
    for (size_t k = 0; k < n; k++) {
        __m512 u = _mm512_loadu_ps(p[k]), v = _mm512_loadu_ps(p[k] + 16);

        UNROLL
        for (int i = 0; i < WIDE; i++) {
            __m512 a = _mm512_set1_ps(x[i][k]);

            s[i][0] = _mm512_fmadd_ps(u, a, s[i][0]);
            s[i][1] = _mm512_fmadd_ps(v, a, s[i][1]);
        }
    }
    UNROLL
    for (int i = 0; i < WIDE; i++) {
        UNROLL
        for (int g = 0; g < 2; g++) {
            float *y = f + TILE * i + 16 * g;
            _mm512_storeu_ps(y, _mm512_add_ps(_mm512_loadu_ps(y), s[i][g]));
        }
    }
}

/* f[a][r] for a tile of 32 rows and n <= ACTS activations. */
INLINE void
tile(float *f, const uint8_t *const w[TILE], enum qtype t, bool side,
    size_t cols, const uint8_t *act, size_t ab, size_t n)
{
    _Alignas(64) float p[256][TILE];

    memset(f, 0, (n + WIDE - 1) / WIDE * WIDE * TILE * sizeof *f);
    for (size_t c = 0; c < cols; c += 256) {
        size_t m = cols - c < 256 ? cols - c : 256;

        if (side)
            open_side(p, t, w, c, m);
        else
            open_rows(p, t, w, c, m);
        for (size_t a = 0; a < n; a += WIDE) {
            const float *x[WIDE];

            for (size_t i = 0; i < WIDE; i++) {
                size_t k = a + i < n ? a + i : n - 1;
                x[i] = (const float *)(const void *)(act + k * ab) + c;
            }
            chunk_x8(f + TILE * a, p, x, m);
        }
    }
}

/* Four chains of sixteen rows, one step for each of n columns. */
INLINE void
chain_line(__m512 s[4], float (*p)[MANY], const float *x, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        __m512 v = _mm512_set1_ps(x[k]);

        UNROLL
        for (int g = 0; g < 4; g++)
            s[g] = _mm512_fmadd_ps(_mm512_loadu_ps(p[k] + 16 * g), v, s[g]);
    }
}

/* One activation: y[0..63] of MANY rows. */
INLINE void
one_many(float *y, const uint8_t *const w[MANY], enum qtype t, size_t cols,
    const float *x)
{
    const size_t line = line_of(t);
    _Alignas(64) float p[32][MANY];

    memset(y, 0, MANY * sizeof *y);
    for (size_t c = 0; c < cols; c += 256) {
        size_t end = cols - c < 256 ? cols : c + 256;
        __m512 s[4];

        UNROLL
        for (int g = 0; g < 4; g++)
            s[g] = _mm512_setzero_ps();
        for (size_t k = c; k < end; k += line) {
            size_t n = end - k < line ? end - k : line;

            for (size_t g = 0; g < MANY; g += 16)
                open_line(&p[0][g], MANY, t, w + g, k, n);
            chain_line(s, p, x + k, n);
        }
        UNROLL
        for (int g = 0; g < 4; g++)
            _mm512_storeu_ps(y + 16 * g,
                _mm512_add_ps(_mm512_loadu_ps(y + 16 * g), s[g]));
    }
}

/*
 * Rows from r on; where rows are missing, the last `step` again, thrown away.
 */
INLINE void
rows_from(const uint8_t *p[], size_t n, const uint8_t *w, size_t wb, size_t r,
    size_t m, size_t step)
{
    for (size_t i = 0; i < n; i++)
        p[i] = w + (r + (i < m ? i : m - step)) * wb;
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

        rows_from(wr, MANY, w, wb, r, m, 1);
        if (t == QT_F32)
            one_many(f, wr, QT_F32, cols, x);
        else if (t == QT_F16)
            one_many(f, wr, QT_F16, cols, x);
        else
            one_many(f, wr, QT_BF16, cols, x);
        memcpy(y + r, f, m * sizeof *f);
    }
}

void
matmul_float_avx512(float *y, size_t ldy, const void *w, enum qtype t,
    bool side, size_t row0, size_t row1, size_t cols, const void *act,
    size_t n_act)
{
    size_t wb = qtype_row_bytes(t, cols), ab = act_row_bytes(ACT_F32, cols);
    float f[ACTS * TILE];

    if (n_act == 1) {
        one(y, t, w, row0, row1, cols, act);
        return;
    }
    for (size_t a0 = 0; a0 < n_act; a0 += ACTS) {
        size_t n = n_act - a0 < ACTS ? n_act - a0 : ACTS;
        const uint8_t *from = (const uint8_t *)act + a0 * ab;

        for (size_t r = row0; r < row1; r += TILE) {
            size_t m = row1 - r < TILE ? row1 - r : TILE;
            const uint8_t *wr[TILE];

            rows_from(wr, TILE, w, wb, r, m, side ? INTERLEAVE : 1);
            if (t == QT_F32)
                tile(f, wr, QT_F32, side, cols, from, ab, n);
            else if (t == QT_F16)
                tile(f, wr, QT_F16, side, cols, from, ab, n);
            else
                tile(f, wr, QT_BF16, side, cols, from, ab, n);
            for (size_t a = 0; a < n; a++)
                memcpy(y + (a0 + a) * ldy + r, f + TILE * a, m * sizeof *f);
        }
    }
}

#endif
