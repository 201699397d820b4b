/*
 * Products of packed weights with activations, AVX-512 with VNNI
 *
 * 32 rows are opened 256 columns at a time (panel_avx512.h) and met with eight
 * activations at once: sixteen registers of sixteen sums, each output in a lane
 * of its own. One vpdpbusd multiplies and adds four columns of sixteen rows; it
 * widens to 32 bits at once, so nothing can overflow. Only whole blocks become
 * floats, in the order that matmul.h promises. A single activation goes another
 * way (matmul_one_avx512.c).
 */
#include "kernels/matmul.h"

#include "kernels/ops.h"

#if defined(__AVX2__)

#include <string.h>

#include "kernels/act.h"
#include "kernels/act_layout.h"
#include "kernels/avx512.h"
#include "kernels/interleave_avx2.h"
#include "kernels/ops_avx512.h"
#include "kernels/panel_avx512.h"

enum {
    FEW = 3,    /* fewer activations than this are met one by one */
    ACTS = 128, /* activations of a tile */
    WIDE = 8,   /* activations met at once */
    TILE = 32   /* rows of a tile: two groups of sixteen */
};

/* How the codes of a type are summed; all compile-time constants. */
struct shape {
    int off;    /* types of 32: codes are this much too large */
    int scales; /* types of 256: scales in a sub-block of 32: 0, 1 or 2 */
    int pairs;  /* types of 256: pairs of sums that corrections take */
    int mins;   /* a minimum is added */
};

/* Encoded activations, and where in a row the parts of a chunk lie. */
struct act_rows {
    const uint8_t *row;  /* the first */
    size_t n, row_bytes; /* rows, and bytes from one to the next */
    size_t d, d_chunk;   /* scales: offset of chunk 0, bytes for a chunk */
    size_t s, s_chunk;   /* sums, of the kind the type corrects with */
};

/* What a kernel needs to know of eight activations at one chunk of columns. */
struct acts {
    const uint8_t *q[WIDE];
    const uint8_t *d[WIDE]; /* floats, of the first block of the chunk */
    const uint8_t *s[WIDE]; /* sums, likewise */
};

/* Activations from `first` on at a chunk; behind the last, the last. */
static void
locate(struct acts *v, const struct act_rows *a, size_t first, size_t chunk)
{
    for (size_t k = 0; k < WIDE; k++) {
        size_t i = first + k < a->n ? first + k : a->n - 1;
        const uint8_t *row = a->row + i * a->row_bytes;

        v->q[k] = row + 256 * chunk;
        v->d[k] = row + a->d + a->d_chunk * chunk;
        v->s[k] = row + a->s + a->s_chunk * chunk;
    }
}

/* Steps [from, from + n) of sub-block b for two groups of rows. */
INLINE void
multiply(__m512i c[WIDE][2], const struct panel512 *p, size_t b, int from,
    int n, const struct acts *a)
{
    UNROLL
    for (int s = from; s < from + n; s++) {
        __m512i u = load64(p->q[b][s][0]), v = load64(p->q[b][s][1]);

        UNROLL
        for (int i = 0; i < WIDE; i++) {
            __m512i x = fill4(a->q[i] + 32 * b + 4 * s);

            c[i][0] = _mm512_dpbusd_epi32(c[i][0], u, x);
            c[i][1] = _mm512_dpbusd_epi32(c[i][1], v, x);
        }
    }
}

INLINE void
clear(__m512i c[WIDE][2])
{
    UNROLL
    for (int i = 0; i < WIDE; i++)
        c[i][0] = c[i][1] = _mm512_setzero_si512();
}

/* f = fma((float)sum, w * a, f), sixteen rows */
INLINE void
accumulate(float *f, __m512i sum, const float *w, __m512 a)
{
    __m512 scale = _mm512_mul_ps(_mm512_loadu_ps(w), a);

    _mm512_storeu_ps(f, _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), scale,
        _mm512_loadu_ps(f)));
}

/* start[i][b] = what the sum of block b starts from, given codes too large. */
INLINE void
start_from(int32_t start[WIDE][8], const struct acts *a, size_t blocks, int off)
{
    const __m256i factor = _mm256_set1_epi32(-off);

    for (int i = 0; i < WIDE; i++)
        store_bytes(start[i], _mm256_mullo_epi32(factor,
            _mm256_maskload_epi32((const int *)(const void *)a->s[i],
                mask8(blocks))));
}

/* Types of 32: `blocks` blocks of a panel into f[a][32]. */
INLINE void
blocks_32(float *f, const struct panel512 *p, const struct acts *a,
    size_t blocks, const struct shape t)
{
    int32_t start[WIDE][8];

    if (t.off != 0)
        start_from(start, a, blocks, t.off);
    for (size_t b = 0; b < blocks; b++) {
        __m512i c[WIDE][2];

        if (t.off == 0)
            clear(c);
        else
            UNROLL
            for (int i = 0; i < WIDE; i++)
                c[i][0] = c[i][1] = fill4(&start[i][b]);
        multiply(c, p, b, 0, 8, a);
        UNROLL
        for (int i = 0; i < WIDE; i++) {
            __m512 d = fill_float(a->d[i] + 4 * b);

            UNROLL
            for (int g = 0; g < 2; g++) {
                float *y = f + TILE * i + 16 * g;

                accumulate(y, c[i][g], p->d[b][g], d);
                if (t.mins)
                    _mm512_storeu_ps(y, _mm512_fmadd_ps(
                        _mm512_loadu_ps(p->m[b][g]),
                        fill_float(a->s[i] + 4 * b), _mm512_loadu_ps(y)));
            }
        }
    }
}

/* Corrections (or minima) times sums of activations, for one (a, g). */
INLINE __m512i
corrections(const struct panel512 *p, int g, const uint8_t *sums, int pairs)
{
    __m512i v = _mm512_setzero_si512();

    UNROLL
    for (int j = 0; j < pairs; j++)
        v = _mm512_dpwssd_epi32(v, load64(p->corr[j][g]), fill4(sums + 4 * j));
    return v;
}

/* sum[a][g] += c[a][g] * scale[g] */
INLINE void
add_scaled(int32_t sum[WIDE][2][16], __m512i c[WIDE][2],
    const int32_t scale[2][16])
{
    UNROLL
    for (int i = 0; i < WIDE; i++)
        UNROLL
        for (int g = 0; g < 2; g++)
            store64(sum[i][g], _mm512_add_epi32(load64(sum[i][g]),
                _mm512_mullo_epi32(c[i][g], load64(scale[g]))));
}

/* sum[a][g] = codes times activations, sub-block by sub-block, scaled. */
INLINE void
scaled_sums(int32_t sum[WIDE][2][16], const struct panel512 *p,
    const struct acts *a, int scales)
{
    __m512i c[WIDE][2];

    memset(sum, 0, sizeof(int32_t) * WIDE * 2 * 16);
    for (size_t b = 0; b < 8; b++) {
        clear(c);
        multiply(c, p, b, 0, scales == 2 ? 4 : 8, a);
        add_scaled(sum, c, p->sc[b][0]);
        if (scales == 2) {
            clear(c);
            multiply(c, p, b, 4, 4, a);
            add_scaled(sum, c, p->sc[b][1]);
        }
    }
}

/* The same where the codes are scaled already. */
INLINE void
plain_sums(int32_t sum[WIDE][2][16], const struct panel512 *p,
    const struct acts *a)
{
    __m512i c[WIDE][2];

    clear(c);
    for (size_t b = 0; b < 8; b++)
        multiply(c, p, b, 0, 8, a);
    UNROLL
    for (int i = 0; i < WIDE; i++) {
        store64(sum[i][0], c[i][0]);
        store64(sum[i][1], c[i][1]);
    }
}

/* Types of 256: one block into f[a][32]. */
INLINE void
block_256(float *f, const struct panel512 *p, const struct acts *a,
    const struct shape t)
{
    _Alignas(64) int32_t sum[WIDE][2][16];

    if (t.scales > 0)
        scaled_sums(sum, p, a, t.scales);
    else
        plain_sums(sum, p, a);
    for (int i = 0; i < WIDE; i++) {
        __m512 d = fill_float(a->d[i]);

        UNROLL
        for (int g = 0; g < 2; g++) {
            __m512i v = load64(sum[i][g]);
            __m512i fix = corrections(p, g, a->s[i], t.pairs);
            float *y = f + TILE * i + 16 * g;

            if (!t.mins)
                v = _mm512_add_epi32(v, fix);
            accumulate(y, v, p->d[0][g], d);
            if (t.mins)
                accumulate(y, fix, p->m[0][g], d);
        }
    }
}

/* One chunk of columns for eight activations. */
typedef void kernel_fn(float *f, const struct panel512 *p,
    const struct acts *a, size_t blocks);

#define KERNEL_32(name, ...) \
    static void name(float *f, const struct panel512 *p, \
        const struct acts *a, size_t blocks) \
    { \
        blocks_32(f, p, a, blocks, (struct shape)__VA_ARGS__); \
    }

#define KERNEL_256(name, ...) \
    static void name(float *f, const struct panel512 *p, \
        const struct acts *a, size_t blocks) \
    { \
        (void)blocks; \
        block_256(f, p, a, (struct shape)__VA_ARGS__); \
    }

KERNEL_32(kernel_bytes, { .off = 128 })
KERNEL_32(kernel_q4_0, { .off = 8 })
KERNEL_32(kernel_q5_0, { .off = 16 })
KERNEL_32(kernel_mins, { .mins = 1 })
KERNEL_256(kernel_q2_k, { .pairs = 8, .mins = 1 })
KERNEL_256(kernel_q3_k, { .pairs = 4 })
KERNEL_256(kernel_q45_k, { .scales = 1, .pairs = 4, .mins = 1 })
KERNEL_256(kernel_q6_k, { .scales = 2, .pairs = 8 })
KERNEL_256(kernel_iq4_xs, { .scales = 1, .pairs = 4 })

static kernel_fn *const kernels[QT_COUNT] = {
    [QT_Q8_0] = kernel_bytes,
    [QT_Q4_0] = kernel_q4_0,
    [QT_Q4_1] = kernel_mins,
    [QT_Q5_0] = kernel_q5_0,
    [QT_Q5_1] = kernel_mins,
    [QT_IQ4_NL] = kernel_bytes,
    [QT_Q2_K] = kernel_q2_k,
    [QT_Q3_K] = kernel_q3_k,
    [QT_Q4_K] = kernel_q45_k,
    [QT_Q5_K] = kernel_q45_k,
    [QT_Q6_K] = kernel_q6_k,
    [QT_IQ4_XS] = kernel_iq4_xs,
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
    } else if (t == QT_Q2_K || t == QT_Q6_K) {
        a.d_chunk = 4;
        a.s = act_off_sum(cols, 256);
        a.s_chunk = 16 * 2;
    } else {
        a.d_chunk = 4;
        a.s = act_off_sum32(cols);
        a.s_chunk = 8 * 2;
    }
    return a;
}

/* All columns of a tile for a->n <= ACTS activations into f[a][32]. */
static void
tile(float *f, const uint8_t *const w[TILE], panel512_fn *fill, enum qtype t,
    size_t cols, const struct act_rows *a)
{
    _Alignas(64) struct panel512 p;

    memset(f, 0, (a->n + WIDE - 1) / WIDE * WIDE * TILE * sizeof *f);
    for (size_t chunk = 0; chunk * 256 < cols; chunk++) {
        size_t left = cols - 256 * chunk;
        size_t blocks = left < 256 ? left / 32 : 8;

        fill(&p, w, 0, chunk, blocks);
        fill(&p, w + 16, 1, chunk, blocks);
        for (size_t i = 0; i < a->n; i += WIDE) {
            struct acts v;

            locate(&v, a, i, chunk);
            kernels[t](f + TILE * i, &p, &v, blocks);
        }
    }
}

static void
packed(float *y, size_t ldy, const uint8_t *w, enum qtype t, bool side,
    size_t row0, size_t row1, size_t cols, const uint8_t *act, size_t n_act)
{
    panel512_fn *fill = (side ? panel_side_avx512 : panel_avx512)[t];
    size_t wb = qtype_row_bytes(t, cols);
    struct act_rows all = act_rows(t, act, n_act, cols);
    _Alignas(64) float f[ACTS * TILE];

    for (size_t a0 = 0; a0 < n_act; a0 += ACTS) {
        size_t n = n_act - a0 < ACTS ? n_act - a0 : ACTS;
        struct act_rows some = all;

        some.row += a0 * all.row_bytes;
        some.n = n;
        for (size_t r = row0; r < row1; r += TILE) {
            size_t m = row1 - r < TILE ? row1 - r : TILE;
            const uint8_t *wr[TILE];

            /* rows that are not there: the last ones again, thrown away */
            for (size_t i = 0; i < TILE; i++)
                wr[i] = w + (r + (i < m ? i : m - (side ? 8 : 1))) * wb;
            tile(f, wr, fill, t, cols, &some);
            for (size_t a = 0; a < n; a++)
                memcpy(y + (a0 + a) * ldy + r, f + TILE * a, m * sizeof *f);
        }
    }
}

void
matmul_avx512(float *y, size_t ldy, const void *w, enum qtype t, size_t row0,
    size_t row1, size_t cols, const void *act, size_t n_act)
{
    enum act_type at = qtype_info(t)->act;

    if (at == ACT_F32)
        matmul_float_avx512(y, ldy, w, t, false, row0, row1, cols, act, n_act);
    else if (n_act < FEW)
        for (size_t a = 0; a < n_act; a++)
            matmul_one_avx512(y + a * ldy, w, t, row0, row1, cols,
                (const uint8_t *)act + a * act_row_bytes(at, cols));
    else
        packed(y, ldy, w, t, false, row0, row1, cols, act, n_act);
}

void
matmul_interleaved_avx512(float *y, size_t ldy, const void *w, enum qtype t,
    size_t row0, size_t row1, size_t cols, const void *act, size_t n_act)
{
    enum act_type at = qtype_info(t)->act;

    if (n_act < FEW)
        for (size_t a = 0; a < n_act; a++)
            matmul_one_side_avx2(y + a * ldy, w, t, row0, row1, cols,
                (const uint8_t *)act + a * act_row_bytes(at, cols));
    else if (at == ACT_F32)
        matmul_float_avx512(y, ldy, w, t, true, row0, row1, cols, act, n_act);
    else
        packed(y, ldy, w, t, true, row0, row1, cols, act, n_act);
}

#endif
