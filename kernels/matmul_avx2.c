/*
 * Products of packed weights with activations, AVX2
 *
 * Sixteen rows (eight, for codes of 8 bits) are opened 256 columns at a time
 * (panel.h) and met with four activations at once: 16 x 4 outputs, each in a
 * lane of its own. Unsigned codes times signed activations go through maddubs;
 * sums of up to 8 of its results fit 16 bits (4-bit codes: 8 * 2 * 15 * 127 =
 * 30480), of 4 for 5-bit codes, of 2 for 6-bit codes. Then one madd multiplies
 * with the scale and widens. Only whole blocks become floats, in the order that
 * matmul.h promises.
 */
#include "kernels/matmul.h"

#include "kernels/ops.h"

#if defined(__AVX2__)

#include <string.h>

#include "kernels/act.h"
#include "kernels/act_layout.h"
#include "kernels/avx2.h"
#include "kernels/ops_avx2.h"
#include "kernels/panel.h"

enum { ACTS = 128, TILE = 16 }; /* activations and rows of one tile */

/* What a kernel needs to know of four activations at one chunk of columns. */
struct act4 {
    const int8_t *q[4];
    const uint8_t *d[4]; /* floats, of the first block of the chunk */
    const uint8_t *s[4]; /* sums, likewise */
};

/* How the codes of a type are summed; all compile-time constants. */
struct shape {
    int steps;   /* maddubs results that fit 16 bits together */
    int split;   /* two planes of one group of eight rows */
    int off;     /* types of 32: codes are this much too large */
    int mins;    /* a minimum is added */
    int corr16;  /* types of 256: corrections go by 16 columns, not 32 */
};

#define INLINE static inline __attribute__((always_inline))

/*
 * c[2 a + g] = sums of maddubs over n steps, for four activations a and two
 * groups g; g1 lies behind g0 in the panel.
 */
INLINE void
multiply4(__m256i c[8], const uint8_t *g0, const uint8_t *g1,
    const struct act4 *act, size_t at, int n)
{
    const int8_t *a0 = act->q[0] + at, *a1 = act->q[1] + at;
    const int8_t *a2 = act->q[2] + at, *a3 = act->q[3] + at;
    __m256i w0 = load_bytes(g0), w1 = load_bytes(g1);
    __m256i x0 = spread4(a0), x1 = spread4(a1);
    __m256i c0 = _mm256_maddubs_epi16(w0, x0);
    __m256i c1 = _mm256_maddubs_epi16(w1, x0);
    __m256i c2 = _mm256_maddubs_epi16(w0, x1);
    __m256i c3 = _mm256_maddubs_epi16(w1, x1);
    __m256i x2 = spread4(a2), x3 = spread4(a3);
    __m256i c4 = _mm256_maddubs_epi16(w0, x2);
    __m256i c5 = _mm256_maddubs_epi16(w1, x2);
    __m256i c6 = _mm256_maddubs_epi16(w0, x3);
    __m256i c7 = _mm256_maddubs_epi16(w1, x3);

    for (int s = 1; s < n; s++) {
        w0 = load_bytes(g0 + 32 * s);
        w1 = load_bytes(g1 + 32 * s);
        x0 = spread4(a0 + 4 * s);
        c0 = _mm256_add_epi16(c0, _mm256_maddubs_epi16(w0, x0));
        c1 = _mm256_add_epi16(c1, _mm256_maddubs_epi16(w1, x0));
        x1 = spread4(a1 + 4 * s);
        c2 = _mm256_add_epi16(c2, _mm256_maddubs_epi16(w0, x1));
        c3 = _mm256_add_epi16(c3, _mm256_maddubs_epi16(w1, x1));
        x2 = spread4(a2 + 4 * s);
        c4 = _mm256_add_epi16(c4, _mm256_maddubs_epi16(w0, x2));
        c5 = _mm256_add_epi16(c5, _mm256_maddubs_epi16(w1, x2));
        x3 = spread4(a3 + 4 * s);
        c6 = _mm256_add_epi16(c6, _mm256_maddubs_epi16(w0, x3));
        c7 = _mm256_add_epi16(c7, _mm256_maddubs_epi16(w1, x3));
    }
    c[0] = c0;
    c[1] = c1;
    c[2] = c2;
    c[3] = c3;
    c[4] = c4;
    c[5] = c5;
    c[6] = c6;
    c[7] = c7;
}

/* The same for one activation, the first. */
INLINE void
multiply1(__m256i c[2], const uint8_t *g0, const uint8_t *g1,
    const struct act4 *act, size_t at, int n)
{
    const int8_t *a = act->q[0] + at;
    __m256i x = spread4(a);
    __m256i c0 = _mm256_maddubs_epi16(load_bytes(g0), x);
    __m256i c1 = _mm256_maddubs_epi16(load_bytes(g1), x);

    for (int s = 1; s < n; s++) {
        x = spread4(a + 4 * s);
        c0 = _mm256_add_epi16(c0,
            _mm256_maddubs_epi16(load_bytes(g0 + 32 * s), x));
        c1 = _mm256_add_epi16(c1,
            _mm256_maddubs_epi16(load_bytes(g1 + 32 * s), x));
    }
    c[0] = c0;
    c[1] = c1;
}

INLINE void
multiply(__m256i *c, const struct panel *p, size_t b, int from,
    const struct act4 *act, int n, int acts)
{
    const uint8_t *g0 = p->q[b][0][from], *g1 = p->q[b][1][from];
    size_t at = 32 * b + 4 * (size_t)from;

    if (acts == 4)
        multiply4(c, g0, g1, act, at, n);
    else
        multiply1(c, g0, g1, act, at, n);
}

/* f = fma((float)sum, w * a, f) */
INLINE void
accumulate(float *f, __m256i sum, const float *w, __m256 a)
{
    __m256 scale = _mm256_mul_ps(_mm256_loadu_ps(w), a);

    _mm256_storeu_ps(f, _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), scale,
        _mm256_loadu_ps(f)));
}

INLINE __m256
spread_float(const uint8_t *p)
{
    return _mm256_castsi256_ps(spread4(p));
}

/*
 * Types of 32: `blocks` blocks of a panel into f[a][16]. For a split type only
 * eight rows, the planes being joined as 16 high + low.
 */
INLINE void
blocks_32(float *f, const struct panel *p, const struct act4 *act,
    size_t blocks, const struct shape t, int acts)
{
    const __m256i one = _mm256_set1_epi16(1);
    const __m256i first = t.split ? _mm256_set1_epi16(16) : one;

    for (size_t b = 0; b < blocks; b++) {
        __m256i c[8], sum[8];

        multiply(c, p, b, 0, act, t.steps, acts);
        for (int k = 0; k < 2 * acts; k++)
            sum[k] = _mm256_madd_epi16(c[k], k & 1 ? one : first);
        for (int from = t.steps; from < 8; from += t.steps) {
            multiply(c, p, b, from, act, t.steps, acts);
            for (int k = 0; k < 2 * acts; k++)
                sum[k] = _mm256_add_epi32(sum[k],
                    _mm256_madd_epi16(c[k], k & 1 ? one : first));
        }
        for (int a = 0; a < acts; a++) {
            float *fa = f + TILE * a;
            __m256 d = spread_float(act->d[a] + 4 * b);
            __m256i off = _mm256_mullo_epi32(spread4(act->s[a] + 4 * b),
                _mm256_set1_epi32(-t.off));

            if (t.split)
                sum[2 * a] = _mm256_add_epi32(sum[2 * a], sum[2 * a + 1]);
            for (int g = 0; g < (t.split ? 1 : 2); g++) {
                __m256i v = sum[2 * a + g];

                if (t.off != 0)
                    v = _mm256_add_epi32(v, off);
                accumulate(fa + 8 * g, v, p->d[b][g], d);
                if (t.mins)
                    _mm256_storeu_ps(fa + 8 * g, _mm256_fmadd_ps(
                        _mm256_loadu_ps(p->m[b][g]),
                        spread_float(act->s[a] + 4 * b),
                        _mm256_loadu_ps(fa + 8 * g)));
            }
        }
    }
}

/* Sum of corrections (or minima) times sums of activations, for one (a, g). */
INLINE __m256i
corrections(const struct panel *p, int g, const uint8_t *sums, int pairs)
{
    __m256i v = _mm256_madd_epi16(load_bytes(p->corr[0][g]), spread4(sums));

    for (int j = 1; j < pairs; j++)
        v = _mm256_add_epi32(v, _mm256_madd_epi16(load_bytes(p->corr[j][g]),
            spread4(sums + 4 * j)));
    return v;
}

/* Types of 256: one block, likewise. */
INLINE void
block_256(float *f, const struct panel *p, const struct act4 *act,
    const struct shape t, int acts)
{
    __m256i sum[8];

    for (int k = 0; k < 2 * acts; k++)
        sum[k] = _mm256_setzero_si256();
    for (size_t b = 0; b < 8; b++) {
        for (int from = 0; from < 8; from += t.steps) {
            __m256i c[8];

            multiply(c, p, b, from, act, t.steps, acts);
            for (int k = 0; k < 2 * acts; k++)
                sum[k] = _mm256_add_epi32(sum[k], _mm256_madd_epi16(c[k],
                    load_bytes(p->sc[b][from / 4][k & 1])));
        }
    }
    for (int a = 0; a < acts; a++) {
        float *fa = f + TILE * a;
        __m256 d = spread_float(act->d[a]);

        if (t.split)
            sum[2 * a] = _mm256_add_epi32(sum[2 * a], sum[2 * a + 1]);
        for (int g = 0; g < (t.split ? 1 : 2); g++) {
            __m256i v = sum[2 * a + g];
            __m256i fix = corrections(p, g, act->s[a], t.corr16 ? 8 : 4);

            if (!t.mins)
                v = _mm256_add_epi32(v, fix);
            accumulate(fa + 8 * g, v, p->d[0][g], d);
            if (t.mins)
                accumulate(fa + 8 * g, fix, p->m[0][g], d);
        }
    }
}

/* One chunk of columns for one or four activations. */
typedef void kernel_fn(float *f, const struct panel *p, const struct act4 *act,
    size_t blocks);

#define KERNEL_32(name, ...) \
    static void name##_x4(float *f, const struct panel *p, \
        const struct act4 *act, size_t blocks) \
    { \
        blocks_32(f, p, act, blocks, (struct shape)__VA_ARGS__, 4); \
    } \
    static void name##_x1(float *f, const struct panel *p, \
        const struct act4 *act, size_t blocks) \
    { \
        blocks_32(f, p, act, blocks, (struct shape)__VA_ARGS__, 1); \
    }

#define KERNEL_256(name, ...) \
    static void name##_x4(float *f, const struct panel *p, \
        const struct act4 *act, size_t blocks) \
    { \
        (void)blocks; \
        block_256(f, p, act, (struct shape)__VA_ARGS__, 4); \
    } \
    static void name##_x1(float *f, const struct panel *p, \
        const struct act4 *act, size_t blocks) \
    { \
        (void)blocks; \
        block_256(f, p, act, (struct shape)__VA_ARGS__, 1); \
    }

KERNEL_32(kernel_q8_0, { .steps = 8, .split = 1, .off = 128 })
KERNEL_32(kernel_q4_0, { .steps = 8, .off = 8 })
KERNEL_32(kernel_q4_1, { .steps = 8, .mins = 1 })
KERNEL_32(kernel_q5_0, { .steps = 4, .off = 16 })
KERNEL_32(kernel_q5_1, { .steps = 4, .mins = 1 })
KERNEL_256(kernel_q2_k, { .steps = 4, .mins = 1, .corr16 = 1 })
KERNEL_256(kernel_q3_k, { .steps = 4, .corr16 = 1 })
KERNEL_256(kernel_q4_k, { .steps = 8, .mins = 1 })
KERNEL_256(kernel_q5_k, { .steps = 4, .mins = 1 })
KERNEL_256(kernel_q6_k, { .steps = 2, .corr16 = 1 })
KERNEL_256(kernel_iq4_xs, { .steps = 8, .split = 1 })

static const struct {
    kernel_fn *x4, *x1;
    int split, sums32; /* see struct shape; sums32: 256 with sums by 32 */
} kernels[QT_COUNT] = {
    [QT_Q8_0] = { kernel_q8_0_x4, kernel_q8_0_x1, 1, 0 },
    [QT_Q4_0] = { kernel_q4_0_x4, kernel_q4_0_x1, 0, 0 },
    [QT_Q4_1] = { kernel_q4_1_x4, kernel_q4_1_x1, 0, 0 },
    [QT_Q5_0] = { kernel_q5_0_x4, kernel_q5_0_x1, 0, 0 },
    [QT_Q5_1] = { kernel_q5_1_x4, kernel_q5_1_x1, 0, 0 },
    [QT_Q2_K] = { kernel_q2_k_x4, kernel_q2_k_x1, 0, 0 },
    [QT_Q3_K] = { kernel_q3_k_x4, kernel_q3_k_x1, 0, 0 },
    [QT_Q4_K] = { kernel_q4_k_x4, kernel_q4_k_x1, 0, 1 },
    [QT_Q5_K] = { kernel_q5_k_x4, kernel_q5_k_x1, 0, 1 },
    [QT_Q6_K] = { kernel_q6_k_x4, kernel_q6_k_x1, 0, 0 },
    [QT_IQ4_NL] = { kernel_q8_0_x4, kernel_q8_0_x1, 1, 0 },
    [QT_IQ4_XS] = { kernel_iq4_xs_x4, kernel_iq4_xs_x1, 1, 1 },
};

/* Where four activations from `first` on stand; behind the last, the last. */
static void
locate(struct act4 *v, enum qtype t, const uint8_t *act, size_t first,
    size_t n, size_t cols, size_t chunk)
{
    int big = qtype_info(t)->block == 256;
    size_t bytes = act_row_bytes(qtype_info(t)->act, cols);
    size_t block = big ? 256 : 32, at = 256 * chunk / block;
    size_t sums = big ? act_off_sum(cols, 256) + 32 * chunk
                      : act_off_sum(cols, 32) + 4 * at;

    if (kernels[t].sums32)
        sums = act_off_sum32(cols) + 16 * chunk;
    for (size_t k = 0; k < 4; k++) {
        size_t i = first + k < n ? first + k : n - 1;
        const uint8_t *row = act + i * bytes;

        v->q[k] = (const int8_t *)row + 256 * chunk;
        v->d[k] = row + act_off_d(cols) + 4 * at;
        v->s[k] = row + sums;
    }
}

/* f[a][r] for a tile of rows w[0..15] and n <= ACTS activations. */
static void
tile(float *f, const uint8_t *const w[TILE], enum qtype t, size_t cols,
    const uint8_t *act, size_t n)
{
    struct panel p;

    memset(f, 0, (n + 3) / 4 * 4 * TILE * sizeof *f);
    for (size_t chunk = 0; chunk * 256 < cols; chunk++) {
        size_t left = cols - 256 * chunk;
        size_t blocks = left < 256 ? left / 32 : 8;

        panel_avx2[t](&p, w, 0, chunk, blocks);
        if (!kernels[t].split)
            panel_avx2[t](&p, w + 8, 1, chunk, blocks);
        for (size_t a = 0; a < n; a += 4) {
            struct act4 v;

            locate(&v, t, act, a, n, cols, chunk);
            if (n - a == 1)
                kernels[t].x1(f + TILE * a, &p, &v, blocks);
            else
                kernels[t].x4(f + TILE * a, &p, &v, blocks);
        }
    }
}

static void
packed(float *y, size_t ldy, const uint8_t *w, enum qtype t, size_t row0,
    size_t row1, size_t cols, const uint8_t *act, size_t n_act)
{
    size_t wb = qtype_row_bytes(t, cols);
    size_t ab = act_row_bytes(qtype_info(t)->act, cols);
    size_t rows = kernels[t].split ? 8 : 16;
    float f[ACTS * TILE];

    for (size_t a0 = 0; a0 < n_act; a0 += ACTS) {
        size_t n = n_act - a0 < ACTS ? n_act - a0 : ACTS;

        for (size_t r = row0; r < row1; r += rows) {
            size_t m = row1 - r < rows ? row1 - r : rows;
            const uint8_t *wr[TILE];

            /* rows that are not there: the last one again, thrown away */
            for (size_t i = 0; i < TILE; i++)
                wr[i] = w + (r + (i < m ? i : m - 1)) * wb;
            tile(f, wr, t, cols, act + a0 * ab, n);
            for (size_t a = 0; a < n; a++)
                memcpy(y + (a0 + a) * ldy + r, f + TILE * a, m * sizeof *f);
        }
    }
}

void
matmul_avx2(float *y, size_t ldy, const void *w, enum qtype t, size_t row0,
    size_t row1, size_t cols, const void *act, size_t n_act)
{
    if (qtype_info(t)->act == ACT_F32)
        matmul_float_avx2(y, ldy, w, t, row0, row1, cols, act, n_act);
    else
        packed(y, ldy, w, t, row0, row1, cols, act, n_act);
}

#endif
