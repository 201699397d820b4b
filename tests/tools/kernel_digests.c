/*
 * kernel_digests - what every kernel answers on seeded inputs, as digests
 *
 * usage: kernel_digests [ISA]    one line for each kernel, type and shape
 *        kernel_digests -l       the instruction sets this machine can run
 *
 * Without ISA: the one that QUERN_ISA names, else the best. The first line is
 * `isa NAME`, all others `KERNEL TYPE SHAPE DIGEST`, DIGEST being 64-bit FNV-1a
 * of the output and of what lies around it. Two programs of two instruction
 * sets, or of two processors, must print the same but for the first line. Needs
 * kernels/ and libm only, so that a cross compiler can link it without more.
 *
 * No input leads to a NaN: processors differ in the sign of one they make.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/act.h"
#include "kernels/cpu.h"
#include "kernels/decode.h"
#include "kernels/encode.h"
#include "kernels/half.h"
#include "kernels/matmul.h"
#include "kernels/measure.h"
#include "kernels/vec.h"
#include "tests/kernels/lcg.h"

enum { ROWS = 37, COLS = 1024, ACTS = 130, LDY = ROWS + 3, MOST = 1100 };

#define COUNT(list) (sizeof(list) / sizeof *(list))

static float w[ROWS * COLS], x[ACTS * COLS], y[ACTS * LDY], h[COLS];
static uint8_t packed[ROWS * COLS * 4];
static _Alignas(64) uint8_t act[ACTS * (COLS * 4 + 64)];
static float va[MOST], vb[MOST], vc[MOST], out[4 * MOST];

static void
inputs(void)
{
    uint64_t s = 3;

    lcg_weights(w, ROWS, COLS, 1);
    lcg_importance(h, COLS, 2);
    for (size_t i = 0; i < ACTS * COLS; i++)
        x[i] = lcg_bell(&s) * (i % 61 == 0 ? 30.0f : 1.0f);
    for (size_t i = 0; i < 300; i++) {
        x[3 * COLS + i] = 0.0f;                      /* blocks without scale */
        x[5 * COLS + i] = (float)(i % 255) - 127.0f; /* whole numbers, */
        x[7 * COLS + i] = ((float)(i % 255) - 127.0f) * 0.5f; /* ties, */
        x[9 * COLS + i] *= 1e-33f;                   /* and tiny ones */
    }
    x[5 * COLS] = x[7 * COLS] = 127.0f;
    for (size_t i = 0; i < MOST; i++) {
        va[i] = lcg_bell(&s) * 4.0f;
        vb[i] = lcg_bell(&s);
        vc[i] = lcg_bell(&s) * 0.1f + 1.0f;
    }
    va[17] = -0.0f;
    vb[40] = 1e-30f;
    va[40] = -1e-30f; /* a product below the smallest float */
    va[41] = 1e-40f;
}

/* One line; shape is the rest of printf's arguments. */
static void __attribute__((format(printf, 5, 6)))
line(const char *kernel, const char *type, const void *p, size_t n,
    const char *shape, ...)
{
    va_list ap;

    printf("%s %s ", kernel, type);
    va_start(ap, shape);
    vprintf(shape, ap);
    va_end(ap);
    printf(" %016" PRIx64 "\n", fnv1a(p, n));
}

/* ---- formats ---- */

/* Makes the scales of blocks of any bytes finite; some stay subnormal. */
static void
sound_scales(enum qtype t, uint8_t *p, size_t bytes)
{
    const struct qtype_info *q = qtype_info(t);
    size_t d = t == QT_Q2_K ? 80 : t == QT_Q3_K ? 108 : t == QT_Q6_K ? 208 : 0;
    int min = t == QT_Q4_1 || t == QT_Q5_1 || t == QT_Q2_K || t == QT_Q4_K ||
        t == QT_Q5_K;

    for (size_t i = 0; i + q->bytes <= bytes; i += q->bytes) {
        p[i + d + 1] &= 0xbf;
        if (min)
            p[i + d + 3] &= 0xbf;
    }
}

static void
any_blocks(enum qtype t, uint8_t *p, size_t bytes, uint64_t seed)
{
    for (size_t i = 0; i < bytes; i++)
        p[i] = (uint8_t)(lcg_next(&seed) >> 12);
    sound_scales(t, p, bytes);
}

static void
encoders(void)
{
    static const size_t cols[] = { 512, 288, 32 };
    static float back[8 * COLS];

    for (unsigned k = 0; k < QT_COUNT; k++) {
        enum qtype t = (enum qtype)k;
        const char *name = qtype_info(t)->name;

        for (size_t i = 0; i < COUNT(cols); i++) {
            size_t n = 8 * qtype_row_bytes(t, cols[i]);

            if (n == 0)
                continue;
            qtype_encode(t, packed, w, 8, cols[i], NULL);
            line("encode", name, packed, n, "8x%zu", cols[i]);
            qtype_decode(t, back, packed, 8 * cols[i]);
            line("decode", name, back, 32 * cols[i], "8x%zu", cols[i]);
            qtype_encode(t, packed, w, 8, cols[i], h);
            line("encode", name, packed, n, "8x%zu,importance", cols[i]);
        }
    }
}

static void
activations(void)
{
    static const char *const names[] = { "F32", "Q8_0", "Q8_1", "Q8_K" };
    static const size_t cols[] = { 1, 7, 16, 31, 32, 64, 96, 256, 288, 768,
        1024 };
    float was = x[70];

    x[70] = 1e30f; /* not for products: its scale is infinite */
    for (unsigned t = 0; t < ACT_COUNT; t++) {
        for (size_t i = 0; i < COUNT(cols); i++) {
            size_t n = 13 * act_row_bytes((enum act_type)t, cols[i]);

            if (n == 0)
                continue;
            memset(act, 0xa5, n + 64);
            act_encode((enum act_type)t, act, x, 13, cols[i]);
            line("act", names[t], act, n + 64, "13x%zu", cols[i]);
        }
    }
    x[70] = was;
}

/* ---- products ---- */

/*
 * Weights at an odd address and activations, both in as much memory as there
 * must be: a sanitizer sees what is read behind them.
 */
static void
product(enum qtype t, const char *kind, const void *p, size_t cols, size_t r0,
    size_t r1, size_t n)
{
    size_t wb = r1 * qtype_row_bytes(t, cols);
    size_t ab = n * act_row_bytes(qtype_info(t)->act, cols);
    uint8_t *we = malloc(wb + 1), *ae = aligned_alloc(64, ab);

    if (!we || !ae) {
        fputs("kernel_digests: out of memory\n", stderr);
        exit(1);
    }
    memcpy(we + 1, p, wb);
    memcpy(ae, act, ab);
    for (size_t i = 0; i < ACTS * LDY; i++)
        y[i] = -777.0f;
    matmul_packed(y, LDY, we + 1, t, r0, r1, cols, ae, n);
    free(we);
    free(ae);
    for (size_t i = 0; i < ACTS * LDY; i++) {
        if (y[i] != y[i]) {
            fprintf(stderr, "kernel_digests: a NaN in %s, %zu columns\n",
                qtype_info(t)->name, cols);
            exit(1);
        }
    }
    line("matmul", qtype_info(t)->name, y, sizeof y, "%s,%zu-%zux%zux%zu",
        kind, r0, r1, cols, n);
}

static void
products(enum qtype t)
{
    static const size_t cols[] = { 32, 64, 96, 256, 288, 416, 512, 768, 1024, 1,
        2, 3, 7, 15, 17, 255, 257 };
    static const size_t rows[] = { 1, 3, 4, 7, 8, 9, 15, 16, 17, 33, 37 };
    static const size_t acts[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 11 };
    int any = qtype_info(t)->act != ACT_F32;

    for (size_t i = 0; i < COUNT(cols); i++) {
        size_t n = qtype_row_bytes(t, cols[i]) * ROWS;

        if (n == 0)
            continue;
        if (any)
            any_blocks(t, packed, n, cols[i]);
        else
            qtype_encode(t, packed, w, ROWS, cols[i], NULL);
        act_encode(qtype_info(t)->act, act, x, ACTS, cols[i]);
        for (size_t k = 0; k < COUNT(rows); k++) {
            size_t r0 = k % 3 < rows[k] ? k % 3 : 0;

            product(t, "any", packed, cols[i], r0, rows[k],
                acts[(i + k) % COUNT(acts)]);
        }
        product(t, "any", packed, cols[i], 2, 20, 1);
        if (cols[i] == 256)
            product(t, "any", packed, cols[i], 0, 17, ACTS);
    }
    qtype_encode(t, packed, w, 9, COLS, h);
    act_encode(qtype_info(t)->act, act, x, ACTS, COLS);
    product(t, "real", packed, COLS, 0, 9, 13);
    product(t, "real", packed, COLS, 0, 9, 1);
}

/* Codes of the largest magnitude on both sides. */
static void
extremes(enum qtype t)
{
    static const uint8_t bytes[] = { 0x00, 0x08, 0x0f, 0x10, 0x55, 0x77, 0x78,
        0x7f, 0x80, 0x81, 0x87, 0x88, 0x8f, 0xaa, 0xf0, 0xf7, 0xf8, 0xff };
    size_t n = ROWS * qtype_row_bytes(t, 512);

    for (size_t i = 0; i < 5 * 512; i++)
        w[i] = i / 512 % 2 ? -127.0f : 127.0f;
    act_encode(qtype_info(t)->act, act, w, 5, 512);
    for (size_t i = 0; i < COUNT(bytes); i++) {
        char kind[16];

        snprintf(kind, sizeof kind, "all%02x", bytes[i]);
        memset(packed, bytes[i], n);
        sound_scales(t, packed, n);
        product(t, kind, packed, 512, i % 8, 9 + i % 8, 1 + i % 5);
    }
    lcg_weights(w, ROWS, COLS, 1);
}

/* ---- vectors ---- */

/* Sums of squares, plain ones and weighted, into out. */
static void
squares(const float *a, const float *b, size_t n)
{
    static double m[MOST];
    struct squares sum[4];

    for (size_t i = 0; i < MOST; i++)
        m[i] = 1.0 / (double)(i + 3);
    row_squares_f32(sum, a, b, NULL, 1, n);
    row_squares_f32(sum + 1, a, b, m, 3, n / 3);
    memcpy(out, sum, sizeof sum);
}

/*
 * Results of every operation on n values, one float off alignment; inputs end
 * where their memory does.
 */
static void
vector(size_t n, const float *a, const float *b, const float *c)
{
    static const char *const f = "f32";
    size_t even = n / 2 * 2;

#define AFTER(kernel, ...) \
    do { \
        memset(out, 0x55, sizeof out); \
        __VA_ARGS__; \
        line(kernel, f, out, 4 * (n + 16), "%zu", n); \
    } while (0)
#define INPLACE memcpy(out + 1, a + 1, n * sizeof *out)
    AFTER("dot", out[0] = dot_f32(a + 1, b + 1, n));
    AFTER("sum", out[0] = sum_f32(a + 1, n));
    AFTER("max", out[0] = max_f32(a + 1, n));
    AFTER("axpy", INPLACE, axpy_f32(out + 1, 0.3f, b + 1, n));
    AFTER("add", add_f32(out + 1, a + 1, b + 1, n));
    AFTER("mul", mul_f32(out + 1, a + 1, b + 1, n));
    AFTER("scale", scale_f32(out + 1, 1.7f, a + 1, n));
    AFTER("exp", INPLACE, exp_f32_row(out + 1, out + 1, n));
    AFTER("exp_wide", scale_f32(out + 1, 25.0f, a + 1, n),
        exp_f32_row(out + 1, out + 1, n));
    AFTER("rmsnorm", rmsnorm_f32(out + 1, a + 1, c + 1, n, 1e-5f));
    AFTER("squares", squares(a + 1, b + 1, n));
    AFTER("beyond", out[0] = (float)first_beyond_f32(a + 1, n, 6.0f));
    AFTER("softmax", INPLACE, softmax_f32(out + 1, n));
    AFTER("silu_mul", silu_mul_f32(out + 1, a + 1, b + 1, n));
    AFTER("silu_mul_wide", scale_f32(out + 1, 25.0f, a + 1, n),
        silu_mul_f32(out + 1, out + 1, b + 1, n));
    AFTER("gelu_mul", gelu_tanh_mul_f32(out + 1, a + 1, b + 1, n));
    AFTER("rope_half", INPLACE,
        rope_half_f32(out + 1, 1, even, b + 1, c + 1));
    AFTER("rope_pairs", INPLACE,
        rope_pairs_f32(out + 1, 1, even, b + 1, c + 1));
    AFTER("f16_from", f16_from_f32_row(out, a + 1, n));
    AFTER("bf16_from", bf16_from_f32_row(out, a + 1, n));
    AFTER("f16_to", f16_from_f32_row(act + 1, a + 1, n),
        f16_to_f32_row(out + 1, act + 1, n));
    AFTER("bf16_to", bf16_from_f32_row(act + 1, a + 1, n),
        bf16_to_f32_row(out + 1, act + 1, n));
#undef INPLACE
#undef AFTER
}

static void
vector_of(size_t n)
{
    float *p[3] = { va, vb, vc };

    for (size_t i = 0; i < 3; i++) {
        float *end = malloc((n + 1) * sizeof *end);

        if (!end) {
            fputs("kernel_digests: out of memory\n", stderr);
            exit(1);
        }
        memcpy(end, p[i], (n + 1) * sizeof *end);
        p[i] = end;
    }
    vector(n, p[0], p[1], p[2]);
    for (size_t i = 0; i < 3; i++)
        free(p[i]);
}

/* Three heads, so that a row does not end where a register does. */
static void
ropes(size_t dim)
{
    memcpy(out, va, 3 * dim * sizeof *out);
    rope_half_f32(out, 3, dim, vb, vc);
    line("rope_half", "f32", out, 3 * dim * sizeof *out, "3x%zu", dim);
    memcpy(out, va, 3 * dim * sizeof *out);
    rope_pairs_f32(out, 3, dim, vb, vc);
    line("rope_pairs", "f32", out, 3 * dim * sizeof *out, "3x%zu", dim);
}

/* n_q queries and n_k keys; x holds keys, and later values, w the queries. */
static void
attention(size_t n_q, size_t n_k, size_t dim)
{
    enum { LD = 131, LDS = 139 };
    static float s[8 * LDS], mix[8 * LD];

    memset(s, 0x55, sizeof s);
    memset(mix, 0x55, sizeof mix);
    attn_scores_f32(s, LDS, w, LD, n_q, x + 20000, LD, n_k, dim,
        0.125f);
    line("attn_scores", "f32", s, sizeof s, "%zux%zux%zu", n_q, n_k, dim);
    for (size_t i = 0; i < n_q; i++)
        softmax_f32(s + i * LDS, n_k);
    attn_mix_f32(mix, LD, s, LDS, n_q, x + 40000, LD, n_k, dim);
    line("attn_mix", "f32", mix, sizeof mix, "%zux%zux%zu", n_q, n_k, dim);
}

/* All float16 numbers but NaN, which a processor may make quiet its own way. */
static void
halves(void)
{
    static uint8_t bits[2 * 65536];
    static float wide[65536];
    size_t n = 0;

    for (uint32_t i = 0; i < 65536; i++) {
        if ((i & 0x7fff) > 0x7c00)
            continue;
        bits[2 * n] = (uint8_t)i;
        bits[2 * n++ + 1] = (uint8_t)(i >> 8);
    }
    f16_to_f32_row(wide, bits, n);
    line("f16_to", "f32", wide, n * sizeof *wide, "all");
    f16_from_f32_row(bits, wide, n);
    line("f16_from", "f32", bits, 2 * n, "all");
}

static void
logarithms(void)
{
    double l[MOST], sum = logsumexp_f32(va, MOST);

    for (size_t i = 0; i < MOST; i++)
        l[i] = log_f64((double)vc[i] * (i % 7 == 0 ? 1e-30 : 1.0));
    line("log", "f64", l, sizeof l, "%d", MOST);
    line("logsumexp", "f32", &sum, sizeof sum, "%d", MOST);
}

static void
vectors(void)
{
    static const size_t sizes[] = { 1, 2, 3, 4, 5, 7, 8, 9, 11, 12, 13, 15, 16,
        17, 24, 31, 32, 33, 47, 48, 63, 64, 65, 127, 128, 255, 256, 257, 300,
        1000 };
    static const size_t dims[] = { 2, 6, 8, 16, 20, 24, 32, 40, 64, 80, 96,
        128 };
    static const size_t n_q[] = { 1, 2, 3, 4, 5, 7, 8 };
    static const size_t n_k[] = { 1, 2, 3, 4, 5, 7, 8, 13, 63, 64, 65, 130 };

    for (size_t i = 0; i < COUNT(sizes); i++)
        vector_of(sizes[i]);
    for (size_t i = 0; i < COUNT(dims); i++) {
        ropes(dims[i]);
        for (size_t k = 0; k < COUNT(n_k); k++)
            attention(n_q[(i + k) % COUNT(n_q)], n_k[k], dims[i]);
    }
    attention(4, 9, 7);
    attention(6, 9, 33);
    halves();
    logarithms();
}

/* ---- */

static void
list(void)
{
    static const char *const names[] = { "ref", "avx2", "avx512", "neon",
        "neon-dot" };

    for (size_t i = 0; i < COUNT(names); i++)
        if (cpu_force(names[i]) == 0)
            puts(names[i]);
}

int
main(int argc, char **argv)
{
    const char *want = argc > 1 ? argv[1] : getenv("QUERN_ISA");

    if (argc > 2) {
        fputs("usage: kernel_digests [-l | ISA]\n", stderr);
        return 2;
    }
    if (want && strcmp(want, "-l") == 0) {
        list();
        return 0;
    }
    if (want && cpu_force(want) != 0) {
        fprintf(stderr, "kernel_digests: '%s': not on this machine; -l lists "
            "those that are\n", want);
        return 1;
    }
    printf("isa %s\n", cpu_isa());
    inputs();
    encoders();
    activations();
    for (unsigned t = 0; t < QT_COUNT; t++) {
        products((enum qtype)t);
        if (qtype_info((enum qtype)t)->act != ACT_F32)
            extremes((enum qtype)t);
    }
    vectors();
    return 0;
}
