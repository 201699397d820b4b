/*
 * matmul_neon.h - products of packed weights with activations, NEON (private)
 *
 * Compiled twice: by matmul_neon.c for any 64-bit Arm, and by matmul_dot_neon.c
 * for those with SDOT, which sums four products of bytes in one instruction.
 * All that differs is in dot16, dot_lane and hold.
 *
 * Codes of every type fit a signed byte, activations too, so products are
 * summed in 32 bits and nothing can overflow. Three or more activations: eight
 * rows are opened 256 columns at a time into signed bytes, interleaved by four
 * columns, and met with four activations at once: 8 x 4 outputs, each in a lane
 * of its own. One or two: four rows at a time straight from memory, and four
 * registers of partial sums fold into one. Only whole blocks become floats, in
 * the order that matmul.h promises.
 */
#ifndef QUERN_KERNELS_MATMUL_NEON_H
#define QUERN_KERNELS_MATMUL_NEON_H

#include "kernels/ops_neon.h"

#if defined(__aarch64__)

#include "kernels/act.h"
#include "kernels/act_layout.h"
#include "kernels/codes_neon.h"
#include "kernels/matmul.h"

enum {
    ACTS = 128, /* activations of a tile */
    TILE = 8,   /* rows of a tile: two groups of four */
    FEW = 3     /* fewer activations than this are met one by one */
};

/* ---- the two instruction sets ---- */

/* s += 16 products; which of them meet in a lane is left open. */
INLINE int32x4_t
dot16(int32x4_t s, int8x16_t w, int8x16_t x)
{
#if defined(__ARM_FEATURE_DOTPROD)
    return vdotq_s32(s, w, x);
#else
    /* two products of -128 and 127 at most: 16 bits are enough */
    int16x8_t p = vmull_s8(vget_low_s8(w), vget_low_s8(x));

    return vpadalq_s16(s, vmlal_high_s8(p, w, x));
#endif
}

INLINE int8x16_t
spread_lane(int8x16_t x, int l)
{
    int32x4_t v = vreinterpretq_s32_s8(x);

    switch (l) {
    case 0: v = vdupq_laneq_s32(v, 0); break;
    case 1: v = vdupq_laneq_s32(v, 1); break;
    case 2: v = vdupq_laneq_s32(v, 2); break;
    default: v = vdupq_laneq_s32(v, 3); break;
    }
    return vreinterpretq_s8_s32(v);
}

/* Lane r of s += the sum over k of w[4 r + k] * x[4 l + k]. */
INLINE int32x4_t
dot_lane(int32x4_t s, int8x16_t w, int8x16_t x, int l)
{
#if defined(__ARM_FEATURE_DOTPROD)
    switch (l) {
    case 0: return vdotq_laneq_s32(s, w, x, 0);
    case 1: return vdotq_laneq_s32(s, w, x, 1);
    case 2: return vdotq_laneq_s32(s, w, x, 2);
    default: return vdotq_laneq_s32(s, w, x, 3);
    }
#else
    int8x16_t v = spread_lane(x, l);
    int16x8_t low = vmull_s8(vget_low_s8(w), vget_low_s8(v));

    return vpadalq_s16(s, vpaddq_s16(low, vmull_high_s8(w, v)));
#endif
}

/* ---- pieces ---- */

/* s = s + d * (lane l of v) */
INLINE int32x4_t
scaled(int32x4_t s, int32x4_t d, int32x4_t v, int l)
{
    switch (l) {
    case 0: return vmlaq_laneq_s32(s, d, v, 0);
    case 1: return vmlaq_laneq_s32(s, d, v, 1);
    case 2: return vmlaq_laneq_s32(s, d, v, 2);
    default: return vmlaq_laneq_s32(s, d, v, 3);
    }
}

/* Lane r = sum of the four lanes of v[r]. */
INLINE int32x4_t
fold_rows(const int32x4_t v[4])
{
    return vpaddq_s32(vpaddq_s32(v[0], v[1]), vpaddq_s32(v[2], v[3]));
}

/* f = fma((float)sum, w * a, f) */
INLINE float32x4_t
accumulate(float32x4_t f, int32x4_t sum, float32x4_t w, float a)
{
    return vfmaq_f32(f, vcvtq_f32_s32(sum), vmulq_n_f32(w, a));
}

/* Four sums of activations from 16 bits each. */
INLINE int32x4_t
four_sums(const uint8_t *p)
{
    return vmovl_s16(vreinterpret_s16_u8(vld1_u8(p)));
}

/* Where sums of activations lie that a type of 256 corrects with. */
INLINE size_t
sums_at(enum qtype t, size_t cols)
{
    return scales_of(t) == 8 ? act_off_sum32(cols) : act_off_sum(cols, 256);
}

/* ---- one activation ---- */

/* Four outputs; w[r] are rows. t is a constant at every call. */
INLINE float32x4_t
four_32(enum qtype t, const uint8_t *const w[4], const uint8_t *act,
    size_t cols)
{
    const uint8_t *d = act + act_off_d(cols), *s = act + act_off_sum(cols, 32);
    const size_t bytes = block_bytes(t);
    float32x4_t sum = vdupq_n_f32(0.0f);

    for (size_t b = 0; b < cols / 32; b++) {
        int8x16_t low = vld1q_s8((const int8_t *)act + 32 * b);
        int8x16_t high = vld1q_s8((const int8_t *)act + 32 * b + 16);
        const uint8_t *x[4];
        int32x4_t v[4], isum;

        UNROLL
        for (int r = 0; r < 4; r++) {
            x[r] = w[r] + b * bytes;
            struct codes c = codes_of(t, x[r], 0);
            v[r] = dot16(dot16(vdupq_n_s32(0), c.low, low), c.high, high);
        }
        isum = fold_rows(v);
        if (offset_of(t) != 0)
            isum = vmlsq_s32(isum, vdupq_n_s32(offset_of(t)),
                vdupq_n_s32((int32_t)block_u32(s + 4 * b)));
        sum = accumulate(sum, isum, f16_of_four(x, 0), load_float(d + 4 * b));
        if (has_minimum(t))
            sum = vfmaq_n_f32(sum, f16_of_four(x, 2), load_float(s + 4 * b));
    }
    return sum;
}

/* Partial sums of a row's block of 256; *m likewise of its minima. */
INLINE int32x4_t
row_256(enum qtype t, const uint8_t *b, const int8_t *x, const int32x4_t *s,
    int32x4_t *m)
{
    struct scales sc = scales_in(t, b);
    int32x4_t sum = vdupq_n_s32(0);

    *m = vdupq_n_s32(0);
    UNROLL
    for (int i = 0; i < scales_of(t) / 4; i++) {
        if (offset_of(t) != 0)
            sum = vmlsq_s32(sum, sc.scale[i], s[i]);
        if (has_minimum(t))
            *m = vmlaq_s32(*m, sc.min[i], s[i]);
    }
    UNROLL
    for (int j = 0; j < 8; j++) {
        struct codes c = codes_of(t, b, j);
        int32x4_t p = dot16(vdupq_n_s32(0), c.low, vld1q_s8(x + 32 * j));

        if (scales_of(t) == 16) {
            sum = scaled(sum, p, sc.scale[j / 2], 2 * (j % 2));
            p = dot16(vdupq_n_s32(0), c.high, vld1q_s8(x + 32 * j + 16));
            sum = scaled(sum, p, sc.scale[j / 2], 2 * (j % 2) + 1);
        } else {
            p = dot16(p, c.high, vld1q_s8(x + 32 * j + 16));
            sum = scaled(sum, p, sc.scale[j / 4], j % 4);
        }
    }
    return sum;
}

INLINE float32x4_t
four_256(enum qtype t, const uint8_t *const w[4], const uint8_t *act,
    size_t cols)
{
    float32x4_t sum = vdupq_n_f32(0.0f);

    for (size_t b = 0; b < cols / 256; b++) {
        const uint8_t *at = act + sums_at(t, cols) +
            2 * (size_t)scales_of(t) * b;
        float da = load_float(act + act_off_d(cols) + 4 * b);
        int32x4_t s[4], v[4], m[4];
        const uint8_t *x[4];

        UNROLL
        for (int i = 0; i < scales_of(t) / 4; i++) {
            s[i] = four_sums(at + 8 * i);
            if (offset_of(t) != 0)
                s[i] = vmulq_n_s32(s[i], offset_of(t));
        }
        UNROLL
        for (int r = 0; r < 4; r++) {
            x[r] = w[r] + b * block_bytes(t);
            v[r] = row_256(t, x[r], (const int8_t *)act + 256 * b, s, &m[r]);
        }
        sum = accumulate(sum, fold_rows(v), f16_of_four(x, scale_at(t)), da);
        if (has_minimum(t))
            sum = accumulate(sum, fold_rows(m),
                vnegq_f32(f16_of_four(x, scale_at(t) + 2)), da);
    }
    return sum;
}

/* For each type a function of its own. */
#define FOR_EACH_TYPE(DO) \
    DO(Q8_0, 32) \
    DO(Q4_0, 32) \
    DO(Q4_1, 32) \
    DO(Q5_0, 32) \
    DO(Q5_1, 32) \
    DO(IQ4_NL, 32) \
    DO(Q2_K, 256) \
    DO(Q3_K, 256) \
    DO(Q4_K, 256) \
    DO(Q5_K, 256) \
    DO(Q6_K, 256) \
    DO(IQ4_XS, 256)

typedef float32x4_t four_fn(const uint8_t *const w[4], const uint8_t *act,
    size_t cols);

#define DEFINE(t, block) \
    static float32x4_t four_##t(const uint8_t *const w[4], \
        const uint8_t *act, size_t cols) \
    { \
        return four_##block(QT_##t, w, act, cols); \
    }
FOR_EACH_TYPE(DEFINE)
#undef DEFINE

static four_fn *const fours[QT_COUNT] = {
#define ENTRY(t, block) [QT_##t] = four_##t,
    FOR_EACH_TYPE(ENTRY)
#undef ENTRY
};

/* Pointers to n rows; behind the last, the last again, to be thrown away. */
static void
rows_at(const uint8_t **w, size_t n, const uint8_t *first, size_t bytes,
    size_t there)
{
    for (size_t i = 0; i < n; i++)
        w[i] = first + (i < there ? i : there - 1) * bytes;
}

static void
one(float *y, const uint8_t *w, enum qtype t, size_t row0, size_t row1,
    size_t cols, const uint8_t *act)
{
    size_t wb = qtype_row_bytes(t, cols);

    for (size_t r = row0; r < row1; r += 4) {
        const uint8_t *wr[4];

        rows_at(wr, 4, w + r * wb, wb, row1 - r);
        store_some(y + r, fours[t](wr, act, cols), row1 - r);
    }
}

/* ---- many activations ---- */

/* 256 columns of four rows; r is a row. */
struct panel {
    int8_t q[64][16];     /* code of column 4 s + k: [s][4 r + k] */
    int32_t scale[16][4]; /* types of 256: [by 16 or 32 columns][r] */
    int32_t min[16][4];
    float d[8][4];        /* [block, or 0 for types of 256][r] */
    float m[8][4];
};

/* What a kernel needs to know of four activations at one chunk of columns. */
struct act4 {
    const int8_t *q[4];
    const uint8_t *d[4]; /* floats, of the first block of the chunk */
    const uint8_t *s[4]; /* sums, likewise */
};

/* Sub-block j of the block at x[r], four rows. */
INLINE void
open_codes(int8_t (*q)[16], enum qtype t, const uint8_t *const x[4], int j)
{
    const int8x16_t off = vdupq_n_s8((int8_t)offset_of(t));
    int32x4_t low[4], high[4];

    UNROLL
    for (int r = 0; r < 4; r++) {
        struct codes c = codes_of(t, x[r], j);

        if (offset_of(t) != 0) {
            c.low = vsubq_s8(c.low, off);
            c.high = vsubq_s8(c.high, off);
        }
        low[r] = vreinterpretq_s32_s8(c.low);
        high[r] = vreinterpretq_s32_s8(c.high);
    }
    transpose4(low);
    transpose4(high);
    UNROLL
    for (int s = 0; s < 4; s++) {
        vst1q_s8(q[s], vreinterpretq_s8_s32(low[s]));
        vst1q_s8(q[s + 4], vreinterpretq_s8_s32(high[s]));
    }
}

/* to[i][r] = number i of from[r] */
INLINE void
put_four(int32_t (*to)[4], const int32x4_t from[4])
{
    int32x4_t v[4] = { from[0], from[1], from[2], from[3] };

    transpose4(v);
    UNROLL
    for (int i = 0; i < 4; i++)
        vst1q_s32(to[i], v[i]);
}

INLINE void
open_scales(struct panel *p, enum qtype t, const uint8_t *const x[4])
{
    struct scales s[4];

    UNROLL
    for (int r = 0; r < 4; r++)
        s[r] = scales_in(t, x[r]);
    UNROLL
    for (int i = 0; i < scales_of(t) / 4; i++) {
        const int32x4_t scale[4] = { s[0].scale[i], s[1].scale[i],
            s[2].scale[i], s[3].scale[i] };
        const int32x4_t min[4] = { s[0].min[i], s[1].min[i], s[2].min[i],
            s[3].min[i] };

        put_four(p->scale + 4 * i, scale);
        if (has_minimum(t))
            put_four(p->min + 4 * i, min);
    }
}

/*
 * Opens columns [256 chunk, 256 chunk + 32 blocks) of four rows. blocks is 8
 * for types of 256.
 */
INLINE void
open_32(struct panel *p, enum qtype t, const uint8_t *const w[4],
    size_t chunk, size_t blocks)
{
    for (size_t b = 0; b < blocks; b++) {
        const uint8_t *x[4];

        UNROLL
        for (int r = 0; r < 4; r++)
            x[r] = w[r] + (8 * chunk + b) * block_bytes(t);
        open_codes(p->q + 8 * b, t, x, 0);
        vst1q_f32(p->d[b], f16_of_four(x, 0));
        if (has_minimum(t))
            vst1q_f32(p->m[b], f16_of_four(x, 2));
    }
}

INLINE void
open_256(struct panel *p, enum qtype t, const uint8_t *const w[4],
    size_t chunk, size_t blocks)
{
    const uint8_t *x[4];

    UNROLL
    for (int r = 0; r < 4; r++)
        x[r] = w[r] + chunk * block_bytes(t);
    open_scales(p, t, x);
    vst1q_f32(p->d[0], f16_of_four(x, scale_at(t)));
    if (has_minimum(t))
        vst1q_f32(p->m[0], vnegq_f32(f16_of_four(x, scale_at(t) + 2)));
    (void)blocks;
    UNROLL
    for (int j = 0; j < 8; j++)
        open_codes(p->q + 8 * j, t, x, j);
}

typedef void open_fn(struct panel *p, const uint8_t *const w[4], size_t chunk,
    size_t blocks);

#define DEFINE(t, block) \
    static void open_##t(struct panel *p, const uint8_t *const w[4], \
        size_t chunk, size_t blocks) \
    { \
        open_##block(p, QT_##t, w, chunk, blocks); \
    }
FOR_EACH_TYPE(DEFINE)
#undef DEFINE

static open_fn *const opens[QT_COUNT] = {
#define ENTRY(t, block) [QT_##t] = open_##t,
    FOR_EACH_TYPE(ENTRY)
#undef ENTRY
};

/* One register for each activation (number) and group of rows (letter). */
struct sums {
    int32x4_t a0, b0, a1, b1, a2, b2, a3, b3;
};

INLINE void
clear(struct sums *s)
{
    s->a0 = s->b0 = s->a1 = s->b1 = vdupq_n_s32(0);
    s->a2 = s->b2 = s->a3 = s->b3 = vdupq_n_s32(0);
}

/*
 * Says to the compiler that the sums may have changed. Without it gcc hoists
 * loads over many steps, and where a step takes several registers more there
 * are not enough of them.
 */
INLINE void
hold(struct sums *s)
{
#if defined(__ARM_FEATURE_DOTPROD)
    (void)s;
#else
    __asm__("" : "+w"(s->a0), "+w"(s->b0), "+w"(s->a1), "+w"(s->b1),
            "+w"(s->a2), "+w"(s->b2), "+w"(s->a3), "+w"(s->b3));
#endif
}

/* c += products of columns [at, at + 16); p is two panels, as below. */
INLINE void
multiply(struct sums *c, const struct panel *p, const struct act4 *act,
    size_t at)
{
    int8x16_t x0 = vld1q_s8(act->q[0] + at), x1 = vld1q_s8(act->q[1] + at);
    int8x16_t x2 = vld1q_s8(act->q[2] + at), x3 = vld1q_s8(act->q[3] + at);

    UNROLL
    for (int l = 0; l < 4; l++) {
        int8x16_t a = vld1q_s8(p[0].q[at / 4 + (size_t)l]);
        int8x16_t b = vld1q_s8(p[1].q[at / 4 + (size_t)l]);

        c->a0 = dot_lane(c->a0, a, x0, l);
        c->b0 = dot_lane(c->b0, b, x0, l);
        c->a1 = dot_lane(c->a1, a, x1, l);
        c->b1 = dot_lane(c->b1, b, x1, l);
        c->a2 = dot_lane(c->a2, a, x2, l);
        c->b2 = dot_lane(c->b2, b, x2, l);
        c->a3 = dot_lane(c->a3, a, x3, l);
        c->b3 = dot_lane(c->b3, b, x3, l);
        hold(c);
    }
}

/* sum += c times scale j of the rows. */
INLINE void
widen(struct sums *sum, const struct sums *c, const struct panel *p, size_t j)
{
    int32x4_t a = vld1q_s32(p[0].scale[j]), b = vld1q_s32(p[1].scale[j]);

    sum->a0 = vmlaq_s32(sum->a0, c->a0, a);
    sum->b0 = vmlaq_s32(sum->b0, c->b0, b);
    sum->a1 = vmlaq_s32(sum->a1, c->a1, a);
    sum->b1 = vmlaq_s32(sum->b1, c->b1, b);
    sum->a2 = vmlaq_s32(sum->a2, c->a2, a);
    sum->b2 = vmlaq_s32(sum->b2, c->b2, b);
    sum->a3 = vmlaq_s32(sum->a3, c->a3, a);
    sum->b3 = vmlaq_s32(sum->b3, c->b3, b);
}

/* One activation's sums of a block become floats, f[8]. */
INLINE void
finish(float *f, const struct panel *p, size_t b, float d, int32x4_t va,
    int32x4_t vb)
{
    vst1q_f32(f, accumulate(vld1q_f32(f), va, vld1q_f32(p[0].d[b]), d));
    vst1q_f32(f + 4,
        accumulate(vld1q_f32(f + 4), vb, vld1q_f32(p[1].d[b]), d));
}

/* f += m * s, the minima of a block of 32. */
INLINE void
add_minima(float *f, const struct panel *p, size_t b, float s)
{
    vst1q_f32(f, vfmaq_n_f32(vld1q_f32(f), vld1q_f32(p[0].m[b]), s));
    vst1q_f32(f + 4, vfmaq_n_f32(vld1q_f32(f + 4), vld1q_f32(p[1].m[b]), s));
}

/* Types of 32: `blocks` blocks of a panel into f[a][8]. */
static void
kernel_32(float *f, const struct panel *p, const struct act4 *act,
    size_t blocks, int minima)
{
    for (size_t b = 0; b < blocks; b++) {
        struct sums c;

        clear(&c);
        multiply(&c, p, act, 32 * b);
        multiply(&c, p, act, 32 * b + 16);
        finish(f, p, b, load_float(act->d[0] + 4 * b), c.a0, c.b0);
        finish(f + 8, p, b, load_float(act->d[1] + 4 * b), c.a1, c.b1);
        finish(f + 16, p, b, load_float(act->d[2] + 4 * b), c.a2, c.b2);
        finish(f + 24, p, b, load_float(act->d[3] + 4 * b), c.a3, c.b3);
        for (size_t i = 0; minima && i < 4; i++)
            add_minima(f + 8 * i, p, b, load_float(act->s[i] + 4 * b));
    }
}

/* f = fma(sum of minima times sums of activations, m * d, f), one of 256. */
INLINE void
correct(float *f, const struct panel *p, const uint8_t *sums, float d,
    int scales)
{
    int32x4_t a = vdupq_n_s32(0), b = a;

    for (size_t j = 0; j < (size_t)scales; j += 4) {
        int32x4_t s = four_sums(sums + 2 * j);

        UNROLL
        for (int l = 0; l < 4; l++) {
            a = scaled(a, vld1q_s32(p[0].min[j + (size_t)l]), s, l);
            b = scaled(b, vld1q_s32(p[1].min[j + (size_t)l]), s, l);
        }
    }
    vst1q_f32(f, accumulate(vld1q_f32(f), a, vld1q_f32(p[0].m[0]), d));
    vst1q_f32(f + 4, accumulate(vld1q_f32(f + 4), b, vld1q_f32(p[1].m[0]), d));
}

/* Types of 256, with 8 or 16 scales: one block likewise. */
INLINE void
kernel_256(float *f, const struct panel *p, const struct act4 *act, int minima,
    int scales)
{
    struct sums sum, c;

    clear(&sum);
    for (size_t j = 0; j < (size_t)scales; j++) {
        clear(&c);
        if (scales == 16) {
            multiply(&c, p, act, 16 * j);
        } else {
            multiply(&c, p, act, 32 * j);
            multiply(&c, p, act, 32 * j + 16);
        }
        widen(&sum, &c, p, j);
    }
    finish(f, p, 0, load_float(act->d[0]), sum.a0, sum.b0);
    finish(f + 8, p, 0, load_float(act->d[1]), sum.a1, sum.b1);
    finish(f + 16, p, 0, load_float(act->d[2]), sum.a2, sum.b2);
    finish(f + 24, p, 0, load_float(act->d[3]), sum.a3, sum.b3);
    for (size_t i = 0; minima && i < 4; i++)
        correct(f + 8 * i, p, act->s[i], load_float(act->d[i]), scales);
}

static void
kernel_8(float *f, const struct panel *p, const struct act4 *act, int minima)
{
    kernel_256(f, p, act, minima, 8);
}

static void
kernel_16(float *f, const struct panel *p, const struct act4 *act, int minima)
{
    kernel_256(f, p, act, minima, 16);
}

/* Four activations from `first` on at a chunk; behind the last, the last. */
static void
locate(struct act4 *v, enum qtype t, const uint8_t *act, size_t n,
    size_t first, size_t cols, size_t chunk)
{
    int small = qtype_info(t)->block == 32;
    size_t bytes = act_row_bytes(qtype_info(t)->act, cols);

    for (size_t k = 0; k < 4; k++) {
        const uint8_t *row = act +
            (first + k < n ? first + k : n - 1) * bytes;

        v->q[k] = (const int8_t *)row + 256 * chunk;
        v->d[k] = row + act_off_d(cols) + (small ? 32 : 4) * chunk;
        v->s[k] = small ? row + act_off_sum(cols, 32) + 32 * chunk
            : row + sums_at(t, cols) + 2 * (size_t)scales_of(t) * chunk;
    }
}

/* f[a][r] for a tile of eight rows and n <= ACTS activations. */
static void
tile(float *f, const uint8_t *const w[TILE], enum qtype t, size_t cols,
    const uint8_t *act, size_t n)
{
    int minima = has_minimum(t);
    struct panel p[TILE / 4];

    memset(f, 0, (n + 3) / 4 * 4 * TILE * sizeof *f);
    for (size_t chunk = 0; chunk * 256 < cols; chunk++) {
        size_t left = cols - 256 * chunk;
        size_t blocks = left < 256 ? left / 32 : 8;

        opens[t](&p[0], w, chunk, blocks);
        opens[t](&p[1], w + 4, chunk, blocks);
        for (size_t a = 0; a < n; a += 4) {
            struct act4 v;

            locate(&v, t, act, n, a, cols, chunk);
            if (qtype_info(t)->block == 32)
                kernel_32(f + TILE * a, p, &v, blocks, minima);
            else if (scales_of(t) == 8)
                kernel_8(f + TILE * a, p, &v, minima);
            else
                kernel_16(f + TILE * a, p, &v, minima);
        }
    }
}

/* matmul_packed of any type whose activations are bytes. */
static void
packed(float *y, size_t ldy, const uint8_t *w, enum qtype t, size_t row0,
    size_t row1, size_t cols, const uint8_t *act, size_t n_act)
{
    size_t wb = qtype_row_bytes(t, cols);
    size_t ab = act_row_bytes(qtype_info(t)->act, cols);
    float f[ACTS * TILE];

    for (size_t a = 0; n_act < FEW && a < n_act; a++)
        one(y + a * ldy, w, t, row0, row1, cols, act + a * ab);
    for (size_t a0 = 0; n_act >= FEW && a0 < n_act; a0 += ACTS) {
        size_t n = n_act - a0 < ACTS ? n_act - a0 : ACTS;

        for (size_t r = row0; r < row1; r += TILE) {
            size_t m = row1 - r < TILE ? row1 - r : TILE;
            const uint8_t *wr[TILE];

            rows_at(wr, TILE, w + r * wb, wb, m);
            tile(f, wr, t, cols, act + a0 * ab, n);
            for (size_t a = 0; a < n; a++)
                memcpy(y + (a0 + a) * ldy + r, f + TILE * a, m * sizeof *f);
        }
    }
}

#endif
#endif
