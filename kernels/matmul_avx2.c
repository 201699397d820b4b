/*
 * Products of packed weights with activations, AVX2
 *
 * Sixteen rows are opened 256 columns at a time (panel.h) and met with four
 * activations at once: 16 x 4 outputs, each in a lane of its own. Codes of 8
 * bits go another way (matmul_wide_avx2.c), and so does a single activation
 * (matmul_one_avx2.c). Unsigned codes times signed activations go through
 * maddubs; sums of up to 8 of its results fit 16 bits (4-bit codes: 8 * 2 * 15
 * * 127 = 30480), of 4 for 5-bit codes, of 2 for 6-bit codes. Then one madd
 * multiplies with the scale and widens. Only whole blocks become floats, in the
 * order that matmul.h promises.
 */
#include "kernels/matmul_avx2.h"

#include "kernels/matmul.h"
#include "kernels/ops.h"

#if defined(__AVX2__)

#include <string.h>

#include "kernels/act.h"
#include "kernels/act_layout.h"
#include "kernels/interleave_avx2.h"
#include "kernels/ops_avx2.h"
#include "kernels/panel.h"

enum { FEW = 3 }; /* fewer activations than this are met one by one */

/* How the codes of a type are summed; all compile-time constants. */
struct shape {
    int steps;   /* maddubs results that fit 16 bits together */
    int shift;   /* types of 32: codes are 1 << shift too large; 0: are not */
    int mins;    /* a minimum is added */
    int corr16;  /* types of 256: corrections go by 16 columns, not 32 */
};

INLINE __m256i
dot16(__m256i w, __m256i x, __m256i c)
{
    return _mm256_add_epi16(c, _mm256_maddubs_epi16(w, x));
}

INLINE __m256i
widen(__m256i c, __m256i scale, __m256i sum)
{
    return _mm256_add_epi32(sum, _mm256_madd_epi16(c, scale));
}

/* Sums of maddubs over n steps from step `from` of sub-block b. */
INLINE void
multiply(struct sums *c, const struct panel *p, size_t b, int from,
    const struct act4 *act, int n)
{
    const uint8_t *wa = p->q[b][0][from], *wb = p->q[b][1][from];
    size_t at = 32 * b + 4 * (size_t)from;

    clear(c);
    UNROLL
    for (int s = 0; s < n; s++) {
        __m256i a = load_bytes(wa + 32 * s), d = load_bytes(wb + 32 * s);
        __m256i x = spread4(act->q[0] + at + 4 * s);

        c->a0 = dot16(a, x, c->a0);
        c->b0 = dot16(d, x, c->b0);
        x = spread4(act->q[1] + at + 4 * s);
        c->a1 = dot16(a, x, c->a1);
        c->b1 = dot16(d, x, c->b1);
        x = spread4(act->q[2] + at + 4 * s);
        c->a2 = dot16(a, x, c->a2);
        c->b2 = dot16(d, x, c->b2);
        x = spread4(act->q[3] + at + 4 * s);
        c->a3 = dot16(a, x, c->a3);
        c->b3 = dot16(d, x, c->b3);
        hold(c);
    }
}

/* sum += pairs of c times the scales sa and sb. */
INLINE void
widen_all(struct sums *sum, const struct sums *c, __m256i sa, __m256i sb)
{
    sum->a0 = widen(c->a0, sa, sum->a0);
    sum->b0 = widen(c->b0, sb, sum->b0);
    sum->a1 = widen(c->a1, sa, sum->a1);
    sum->b1 = widen(c->b1, sb, sum->b1);
    sum->a2 = widen(c->a2, sa, sum->a2);
    sum->b2 = widen(c->b2, sb, sum->b2);
    sum->a3 = widen(c->a3, sa, sum->a3);
    sum->b3 = widen(c->b3, sb, sum->b3);
    hold(sum);
}

/* One group of rows and one activation of a block of 32 become floats. */
INLINE void
finish_group_32(float *f, const struct panel *p, size_t b, int g, __m256i v,
    __m256 d, __m256 s, int mins)
{
    __m256 sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(v),
        _mm256_mul_ps(_mm256_loadu_ps(p->d[b][g]), d),
        _mm256_loadu_ps(f + 8 * g));

    if (mins)
        sum = _mm256_fmadd_ps(_mm256_loadu_ps(p->m[b][g]), s, sum);
    _mm256_storeu_ps(f + 8 * g, sum);
}

/* One activation's sums of block b of a type of 32 likewise. */
INLINE void
finish_32(float *f, const struct panel *p, const struct act4 *act, size_t b,
    int i, __m256i va, __m256i vb, const struct shape t)
{
    __m256 d = spread_float(act->d[i] + 4 * b);
    __m256i s = spread4(act->s[i] + 4 * b);

    if (t.shift != 0) {
        __m256i off = _mm256_slli_epi32(s, t.shift);
        va = _mm256_sub_epi32(va, off);
        vb = _mm256_sub_epi32(vb, off);
    }
    f += TILE * i;
    finish_group_32(f, p, b, 0, va, d, _mm256_castsi256_ps(s), t.mins);
    finish_group_32(f, p, b, 1, vb, d, _mm256_castsi256_ps(s), t.mins);
}

/* Types of 32: `blocks` blocks of a panel into f[a][16]. */
INLINE void
blocks_32(float *f, const struct panel *p, const struct act4 *act,
    size_t blocks, const struct shape t)
{
    const __m256i one = _mm256_set1_epi16(1);

    for (size_t b = 0; b < blocks; b++) {
        struct sums c, sum;

        clear(&sum);
        multiply(&c, p, b, 0, act, t.steps);
        widen_all(&sum, &c, one, one);
        if (t.steps == 4) {
            multiply(&c, p, b, 4, act, 4);
            widen_all(&sum, &c, one, one);
        }
        finish_32(f, p, act, b, 0, sum.a0, sum.b0, t);
        finish_32(f, p, act, b, 1, sum.a1, sum.b1, t);
        finish_32(f, p, act, b, 2, sum.a2, sum.b2, t);
        finish_32(f, p, act, b, 3, sum.a3, sum.b3, t);
    }
}

/* Sum of corrections (or minima) times sums of activations, for one (a, g). */
INLINE __m256i
corrections(const struct panel *p, int g, const uint8_t *sums, int pairs)
{
    __m256i v = _mm256_madd_epi16(load_bytes(p->corr[0][g]), spread4(sums));

    UNROLL
    for (int j = 1; j < pairs; j++)
        v = _mm256_add_epi32(v, _mm256_madd_epi16(load_bytes(p->corr[j][g]),
            spread4(sums + 4 * j)));
    return v;
}

/* One group of rows and one activation of a block of 256 likewise. */
INLINE void
finish_group(float *f, const struct panel *p, const struct act4 *act, int i,
    int g, __m256i v, const struct shape t)
{
    __m256 d = spread_float(act->d[i]);
    __m256i fix = corrections(p, g, act->s[i], t.corr16 ? 8 : 4);

    f += TILE * i + 8 * g;
    if (!t.mins)
        v = _mm256_add_epi32(v, fix);
    accumulate(f, v, p->d[0][g], d);
    if (t.mins)
        accumulate(f, fix, p->m[0][g], d);
}

INLINE void
finish_256(float *f, const struct panel *p, const struct act4 *act, int i,
    __m256i va, __m256i vb, const struct shape t)
{
    finish_group(f, p, act, i, 0, va, t);
    finish_group(f, p, act, i, 1, vb, t);
}

/* Steps [from, from + 4) of sub-block b, which share scales. */
INLINE void
half_block(struct sums *sum, const struct panel *p, size_t b, int from,
    const struct act4 *act, int steps)
{
    __m256i sa = load_bytes(p->sc[b][from / 4][0]);
    __m256i sb = load_bytes(p->sc[b][from / 4][1]);
    struct sums c;

    multiply(&c, p, b, from, act, steps);
    widen_all(sum, &c, sa, sb);
    if (steps == 2) {
        multiply(&c, p, b, from + 2, act, 2);
        widen_all(sum, &c, sa, sb);
    }
}

/* Types of 256: one block, likewise. */
INLINE void
block_256(float *f, const struct panel *p, const struct act4 *act,
    const struct shape t)
{
    struct sums sum;

    clear(&sum);
    for (size_t b = 0; b < 8; b++) {
        half_block(&sum, p, b, 0, act, t.steps);
        if (t.steps < 8)
            half_block(&sum, p, b, 4, act, t.steps);
    }
    finish_256(f, p, act, 0, sum.a0, sum.b0, t);
    finish_256(f, p, act, 1, sum.a1, sum.b1, t);
    finish_256(f, p, act, 2, sum.a2, sum.b2, t);
    finish_256(f, p, act, 3, sum.a3, sum.b3, t);
}

/* One chunk of columns for four activations. */
typedef void kernel_fn(float *f, const struct panel *p, const struct act4 *act,
    size_t blocks);

#define KERNEL_32(name, ...) \
    static void name(float *f, const struct panel *p, \
        const struct act4 *act, size_t blocks) \
    { \
        blocks_32(f, p, act, blocks, (struct shape)__VA_ARGS__); \
    }

#define KERNEL_256(name, ...) \
    static void name(float *f, const struct panel *p, \
        const struct act4 *act, size_t blocks) \
    { \
        (void)blocks; \
        block_256(f, p, act, (struct shape)__VA_ARGS__); \
    }

KERNEL_32(kernel_q4_0, { .steps = 8, .shift = 3 })
KERNEL_32(kernel_q4_1, { .steps = 8, .mins = 1 })
KERNEL_32(kernel_q5_0, { .steps = 4, .shift = 4 })
KERNEL_32(kernel_q5_1, { .steps = 4, .mins = 1 })
KERNEL_256(kernel_q2_k, { .steps = 4, .mins = 1, .corr16 = 1 })
KERNEL_256(kernel_q3_k, { .steps = 4, .corr16 = 1 })
KERNEL_256(kernel_q4_k, { .steps = 8, .mins = 1 })
KERNEL_256(kernel_q5_k, { .steps = 4, .mins = 1 })
KERNEL_256(kernel_q6_k, { .steps = 2, .corr16 = 1 })

static kernel_fn *const kernels[QT_COUNT] = {
    [QT_Q4_0] = kernel_q4_0,
    [QT_Q4_1] = kernel_q4_1,
    [QT_Q5_0] = kernel_q5_0,
    [QT_Q5_1] = kernel_q5_1,
    [QT_Q2_K] = kernel_q2_k,
    [QT_Q3_K] = kernel_q3_k,
    [QT_Q4_K] = kernel_q4_k,
    [QT_Q5_K] = kernel_q5_k,
    [QT_Q6_K] = kernel_q6_k,
};

static struct act_rows
act_rows(enum qtype t, const uint8_t *act, size_t n, size_t cols)
{
    struct act_rows a = { .row = act, .n = n };

    a.row_bytes = act_row_bytes(qtype_info(t)->act, cols);
    a.d = act_off_d(cols);
    if (qtype_info(t)->block == 32) {
        a.d_chunk = a.s_chunk = 8 * 4;
        a.s = act_off_sum(cols, 32);
    } else if (t == QT_Q4_K || t == QT_Q5_K) {
        a.d_chunk = 4;
        a.s = act_off_sum32(cols);
        a.s_chunk = 8 * 2;
    } else {
        a.d_chunk = 4;
        a.s = act_off_sum(cols, 256);
        a.s_chunk = 16 * 2;
    }
    return a;
}

/* As tiles_wide_avx2, one tile, for the other types. */
static void
tile_narrow(float *f, const struct rows *w, enum qtype t, size_t cols,
    const struct act_rows *act)
{
    panel_fn *fill = (w->side ? panel_side_avx2 : panel_avx2)[t];
    _Alignas(64) struct panel p;

    for (size_t chunk = 0; chunk * 256 < cols; chunk++) {
        size_t left = cols - 256 * chunk;
        size_t blocks = left < 256 ? left / 32 : 8;

        fill(&p, w->row, 0, chunk, blocks);
        fill(&p, w->row + 8, 1, chunk, blocks);
        for (size_t a = 0; a < act->n; a += 4) {
            struct act4 v;

            locate(&v, act, a, chunk);
            kernels[t](f + TILE * a, &p, &v, blocks);
        }
    }
}

/* The rows of a tile; behind the last of m, the last, thrown away. */
static struct rows
rows_at(const uint8_t *w, size_t row_bytes, size_t m, bool side)
{
    struct rows wr = { .side = side };

    for (size_t i = 0; i < TILE; i++)
        wr.row[i] = w + (i < m ? i : side ? i - 8 : m - 1) * row_bytes;
    return wr;
}

/* m rows of n activations in tiles as tiles_wide_avx2 leaves them. */
static void
put_rows(float *y, size_t ldy, const float *f, size_t m, size_t n)
{
    for (size_t i = 0; i < m; i += TILE, f += ACTS * TILE)
        for (size_t a = 0; a < n; a++)
            memcpy(y + a * ldy + i, f + TILE * a,
                (m - i < TILE ? m - i : TILE) * sizeof *f);
}

/* Rows of n <= ACTS activations. */
static void
packed_acts(float *y, size_t ldy, const uint8_t *w, enum qtype t, bool side,
    size_t rows, size_t cols, const struct act_rows *act)
{
    size_t wb = qtype_row_bytes(t, cols);
    size_t most = kernels[t] ? TILE : TILE * TILES;
    _Alignas(64) float f[TILES * ACTS * TILE];

    for (size_t r = 0; r < rows; r += most) {
        size_t m = rows - r < most ? rows - r : most, tiles = 0;
        struct rows wr[TILES];

        for (size_t i = 0; i < m; i += TILE)
            wr[tiles++] = rows_at(w + (r + i) * wb, wb, m - i, side);
        memset(f, 0, tiles * ACTS * TILE * sizeof *f);
        if (kernels[t])
            tile_narrow(f, wr, t, cols, act);
        else
            tiles_wide_avx2(f, wr, tiles, t, cols, act);
        put_rows(y + r, ldy, f, m, act->n);
    }
}

static void
packed(float *y, size_t ldy, const uint8_t *w, enum qtype t, bool side,
    size_t row0, size_t row1, size_t cols, const uint8_t *act, size_t n_act)
{
    struct act_rows all = act_rows(t, act, n_act, cols);

    w += row0 * qtype_row_bytes(t, cols);
    for (size_t a = 0; a < n_act; a += ACTS) {
        struct act_rows some = all;

        some.row += a * all.row_bytes;
        some.n = n_act - a < ACTS ? n_act - a : ACTS;
        packed_acts(y + a * ldy + row0, ldy, w, t, side, row1 - row0, cols,
            &some);
    }
}

void
matmul_avx2(float *y, size_t ldy, const void *w, enum qtype t, size_t row0,
    size_t row1, size_t cols, const void *act, size_t n_act)
{
    enum act_type at = qtype_info(t)->act;

    if (at == ACT_F32)
        matmul_float_avx2(y, ldy, w, t, false, row0, row1, cols, act, n_act);
    else if (n_act < FEW)
        for (size_t a = 0; a < n_act; a++)
            matmul_one_avx2(y + a * ldy, w, t, row0, row1, cols,
                (const uint8_t *)act + a * act_row_bytes(at, cols));
    else
        packed(y, ldy, w, t, false, row0, row1, cols, act, n_act);
}

void
matmul_interleaved_avx2(float *y, size_t ldy, const void *w, enum qtype t,
    size_t row0, size_t row1, size_t cols, const void *act, size_t n_act)
{
    enum act_type at = qtype_info(t)->act;

    if (n_act < FEW)
        for (size_t a = 0; a < n_act; a++)
            matmul_one_side_avx2(y + a * ldy, w, t, row0, row1, cols,
                (const uint8_t *)act + a * act_row_bytes(at, cols));
    else if (at == ACT_F32)
        matmul_float_avx2(y, ldy, w, t, true, row0, row1, cols, act, n_act);
    else
        packed(y, ldy, w, t, true, row0, row1, cols, act, n_act);
}

#endif
