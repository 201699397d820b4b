/*
 * Products of float weights (F32, F16, BF16) with float activations, NEON
 *
 * Eight rows are transposed 256 columns at a time, so that a column of them is
 * two registers; eight activations at once, four columns of each to a register.
 * Every output is a chain of fma over the 256 columns, added to the sum of the
 * chunks before.
 */
#include "kernels/matmul.h"

#include "kernels/ops.h"

#if defined(__aarch64__)

#include <string.h>

#include "kernels/act.h"
#include "kernels/neon.h"
#include "kernels/ops_neon.h"

enum {
    ACTS = 128, /* activations of a tile, a multiple of WIDE */
    WIDE = 8,   /* of these at once */
    TILE = 8,   /* rows of a tile */
    MANY = 16,  /* rows met by a single activation */
    FEW = 3     /* fewer activations than this are met one by one */
};

/* Four weights of a row as floats. */
INLINE float32x4_t
four(enum qtype t, const uint8_t *w, size_t c)
{
    if (t == QT_F32)
        return vreinterpretq_f32_u8(vld1q_u8(w + 4 * c));
    return t == QT_F16 ? four_f16(w + 2 * c) : four_bf16(w + 2 * c);
}

/* The last n < 4 of them, zeros behind. */
static float32x4_t
some(enum qtype t, const uint8_t *w, size_t c, size_t n)
{
    uint8_t part[16] = { 0 };
    size_t size = t == QT_F32 ? 4 : 2;

    memcpy(part, w + size * c, size * n);
    return four(t, part, 0);
}

/* v[k] = column c + k of four rows; n columns are there, zeros behind. */
INLINE void
columns_of_four(float32x4_t v[4], enum qtype t, const uint8_t *const w[4],
    size_t c, size_t n)
{
    UNROLL
    for (int r = 0; r < 4; r++)
        v[r] = n >= 4 ? four(t, w[r], c) : some(t, w[r], c, n);
    transpose4_f32(v);
}

/* p[k][r] = weight of row w[r], column c + k; k < n rounded up to four. */
INLINE void
open_rows(float (*p)[TILE], enum qtype t, const uint8_t *const w[TILE],
    size_t c, size_t n)
{
    for (size_t k = 0; k < n; k += 4) {
        UNROLL
        for (size_t g = 0; g < TILE; g += 4) {
            float32x4_t v[4];

            columns_of_four(v, t, w + g, c + k, n - k);
            UNROLL
            for (size_t i = 0; i < 4; i++)
                vst1q_f32(&p[k + i][g], v[i]);
        }
    }
}

/* One register for each activation (number) and group of rows (letter). */
struct sums {
    float32x4_t a0, b0, a1, b1, a2, b2, a3, b3;
    float32x4_t a4, b4, a5, b5, a6, b6, a7, b7;
};

INLINE void
add_to(float *f, float32x4_t a, float32x4_t b)
{
    vst1q_f32(f, vaddq_f32(vld1q_f32(f), a));
    vst1q_f32(f + 4, vaddq_f32(vld1q_f32(f + 4), b));
}

/* f[a][r] += chain over n columns, eight activations. */
static void
chunk_x8(float *f, float (*p)[TILE], const float *const x[WIDE], size_t n)
{
    const float32x4_t z = vdupq_n_f32(0.0f);
    struct sums s = { z, z, z, z, z, z, z, z, z, z, z, z, z, z, z, z };
    size_t k = 0;

#define FMA(i, l) \
    s.a##i = vfmaq_laneq_f32(s.a##i, a, x##i, l); \
    s.b##i = vfmaq_laneq_f32(s.b##i, b, x##i, l)
#define COLUMN(l) \
    do { \
        float32x4_t a = vld1q_f32(p[k + l]), b = vld1q_f32(p[k + l] + 4); \
        FMA(0, l); \
        FMA(1, l); \
        FMA(2, l); \
        FMA(3, l); \
        FMA(4, l); \
        FMA(5, l); \
        FMA(6, l); \
        FMA(7, l); \
    } while (0)
    for (; k + 4 <= n; k += 4) {
        float32x4_t x0 = vld1q_f32(x[0] + k), x1 = vld1q_f32(x[1] + k);
        float32x4_t x2 = vld1q_f32(x[2] + k), x3 = vld1q_f32(x[3] + k);
        float32x4_t x4 = vld1q_f32(x[4] + k), x5 = vld1q_f32(x[5] + k);
        float32x4_t x6 = vld1q_f32(x[6] + k), x7 = vld1q_f32(x[7] + k);

        COLUMN(0);
        COLUMN(1);
        COLUMN(2);
        COLUMN(3);
    }
    for (; k < n; k++) {
        float32x4_t x0 = vld1q_dup_f32(x[0] + k), x1 = vld1q_dup_f32(x[1] + k);
        float32x4_t x2 = vld1q_dup_f32(x[2] + k), x3 = vld1q_dup_f32(x[3] + k);
        float32x4_t x4 = vld1q_dup_f32(x[4] + k), x5 = vld1q_dup_f32(x[5] + k);
        float32x4_t x6 = vld1q_dup_f32(x[6] + k), x7 = vld1q_dup_f32(x[7] + k);

        COLUMN(0);
    }
#undef COLUMN
#undef FMA
    add_to(f, s.a0, s.b0);
    add_to(f + TILE, s.a1, s.b1);
    add_to(f + 2 * TILE, s.a2, s.b2);
    add_to(f + 3 * TILE, s.a3, s.b3);
    add_to(f + 4 * TILE, s.a4, s.b4);
    add_to(f + 5 * TILE, s.a5, s.b5);
    add_to(f + 6 * TILE, s.a6, s.b6);
    add_to(f + 7 * TILE, s.a7, s.b7);
}

/* s = chain of n <= 4 columns of four rows from c on. */
INLINE float32x4_t
chain(float32x4_t s, enum qtype t, const uint8_t *const w[4], size_t c,
    const float *x, size_t n)
{
    float32x4_t v[4];

    columns_of_four(v, t, w, c, n);
    s = vfmaq_n_f32(s, v[0], x[c]);
    if (n > 1)
        s = vfmaq_n_f32(s, v[1], x[c + 1]);
    if (n > 2)
        s = vfmaq_n_f32(s, v[2], x[c + 2]);
    if (n > 3)
        s = vfmaq_n_f32(s, v[3], x[c + 3]);
    return s;
}

/*
 * One activation: y[0..15] of MANY rows. A cache line of each of four rows is
 * used up before the next four are touched: rows often lie a multiple of 4096
 * bytes apart and then share few places in the cache.
 */
INLINE void
one_many(float *y, const uint8_t *const w[MANY], enum qtype t, size_t cols,
    const float *x)
{
    const size_t line = t == QT_F32 ? 16 : 32;

    memset(y, 0, MANY * sizeof *y);
    for (size_t c = 0; c < cols; c += 256) {
        size_t end = cols - c < 256 ? cols : c + 256;
        float32x4_t s[4];

        UNROLL
        for (int g = 0; g < 4; g++)
            s[g] = vdupq_n_f32(0.0f);
        for (size_t k = c; k < end; k += line) {
            size_t n = end - k < line ? end - k : line;

            UNROLL
            for (int g = 0; g < 4; g++) {
                size_t i = 0;

                for (; i + 4 <= n; i += 4)
                    s[g] = chain(s[g], t, w + 4 * g, k + i, x, 4);
                if (i < n)
                    s[g] = chain(s[g], t, w + 4 * g, k + i, x, n - i);
            }
        }
        UNROLL
        for (int g = 0; g < 4; g++)
            vst1q_f32(y + 4 * g, vaddq_f32(vld1q_f32(y + 4 * g), s[g]));
    }
}

/* Pointers to n rows; behind the last, the last again, to be thrown away. */
static void
rows_at(const uint8_t **w, size_t n, const uint8_t *first, size_t bytes,
    size_t there)
{
    for (size_t i = 0; i < n; i++)
        w[i] = first + (i < there ? i : there - 1) * bytes;
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

        rows_at(wr, MANY, w + r * wb, wb, m);
        if (t == QT_F32)
            one_many(f, wr, QT_F32, cols, x);
        else if (t == QT_F16)
            one_many(f, wr, QT_F16, cols, x);
        else
            one_many(f, wr, QT_BF16, cols, x);
        memcpy(y + r, f, m * sizeof *f);
    }
}

/* f[a][r] for a tile of eight rows and n <= ACTS activations. */
static void
tile(float *f, const uint8_t *const w[TILE], enum qtype t, size_t cols,
    const uint8_t *act, size_t ab, size_t n)
{
    float p[256][TILE];

    memset(f, 0, (n + WIDE - 1) / WIDE * WIDE * TILE * sizeof *f);
    for (size_t c = 0; c < cols; c += 256) {
        size_t m = cols - c < 256 ? cols - c : 256;

        if (t == QT_F32)
            open_rows(p, QT_F32, w, c, m);
        else if (t == QT_F16)
            open_rows(p, QT_F16, w, c, m);
        else
            open_rows(p, QT_BF16, w, c, m);
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

void
matmul_float_neon(float *y, size_t ldy, const void *w, enum qtype t,
    size_t row0, size_t row1, size_t cols, const void *act, size_t n_act)
{
    size_t wb = qtype_row_bytes(t, cols), ab = act_row_bytes(ACT_F32, cols);
    float f[ACTS * TILE];

    for (size_t a = 0; n_act < FEW && a < n_act; a++)
        one(y + a * ldy, t, w, row0, row1, cols,
            (const float *)(const void *)((const uint8_t *)act + a * ab));
    for (size_t a0 = 0; n_act >= FEW && a0 < n_act; a0 += ACTS) {
        size_t n = n_act - a0 < ACTS ? n_act - a0 : ACTS;

        for (size_t r = row0; r < row1; r += TILE) {
            size_t m = row1 - r < TILE ? row1 - r : TILE;
            const uint8_t *wr[TILE];

            rows_at(wr, TILE, (const uint8_t *)w + r * wb, wb, m);
            tile(f, wr, t, cols, (const uint8_t *)act + a0 * ab, ab, n);
            for (size_t a = 0; a < n; a++)
                memcpy(y + (a0 + a) * ldy + r, f + TILE * a, m * sizeof *f);
        }
    }
}

#endif
