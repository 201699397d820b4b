/*
 * Speed of the kernels, one thread, as CSV
 *
 * usage: out/bench/kernels [TYPE ...]      from the top of the source tree
 *
 * Before anything is timed, each result is compared byte for byte with that of
 * the portable code on a part of the same data. Timed is the call alone, on the
 * thread's CPU clock, with outputs overwritten between repeats; rates are in
 * millions a second: weights for encode and decode, activations for act,
 * multiplications with addition for matmul, scores and values, results for exp
 * and softmax. Timings are observations: on a busy machine caches are shared.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernels/act.h"
#include "kernels/cpu.h"
#include "kernels/decode.h"
#include "kernels/encode.h"
#include "kernels/gemm.h"
#include "kernels/interleave.h"
#include "kernels/matmul.h"
#include "kernels/vec.h"
#include "tests/kernels/lcg.h"

enum { ROWS = 2048, COLS = 2048, ACTS = 256, TILE = 64, REPEAT = 5 };

static float w[ROWS * COLS], x[ACTS * COLS], y[ACTS * ROWS], check[ACTS * TILE];
static float importance[COLS], back[TILE * COLS];
static uint8_t packed[ROWS * COLS * 4], act[ACTS * (COLS * 4 + 64)];
static uint8_t again[TILE * COLS * 4];

/* One timed call. */
struct job {
    enum qtype t;
    size_t n;         /* activations */
    const float *imp; /* or NULL */
    size_t dim;       /* of a head */
};

static void
encode(const struct job *j)
{
    qtype_encode(j->t, packed, w, TILE, COLS, j->imp);
}

static void
decode(const struct job *j)
{
    qtype_decode(j->t, back, packed, TILE * COLS);
}

static void
act_rows(const struct job *j)
{
    act_encode(qtype_info(j->t)->act, act, x, ACTS, COLS);
}

static void
product(const struct job *j)
{
    matmul_packed(y, ROWS, packed, j->t, 0, ROWS, COLS, act, j->n);
}

static void
side_product(const struct job *j)
{
    matmul_interleaved(y, ROWS, packed, j->t, 0, ROWS, COLS, act, j->n);
}

static void
blas(const struct job *j)
{
    gemm_f32(y, ROWS, x, COLS, j->n, w, 0, ROWS / 4, COLS);
}

static void
scores(const struct job *j)
{
    attn_scores_f32(y, ACTS, x, COLS, 16, w, COLS, ACTS, j->dim, 0.1f);
}

static void
values(const struct job *j)
{
    attn_mix_f32(back, COLS, y, ACTS, 16, w, COLS, ACTS, j->dim);
}

static void
exps(const struct job *j)
{
    (void)j;
    exp_f32_row(y, x, ACTS * COLS / 2);
}

static double
cpu_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int
by_value(const void *a, const void *b)
{
    double p = *(const double *)a, q = *(const double *)b;
    return (p > q) - (p < q);
}

/* Repeats a call and prints its line; `units` is the work of one call. */
static void
measure(const char *what, const char *name, void (*fn)(const struct job *),
    const struct job *j, double units)
{
    double s[REPEAT];

    for (int i = 0; i < REPEAT; i++) {
        memset(y, 0x55, 4096);
        double t = cpu_seconds();
        fn(j);
        s[i] = cpu_seconds() - t;
    }
    qsort(s, REPEAT, sizeof *s, by_value);
    printf("%s,%s,%zu,%s,%.6f,%.6f,%.1f\n", what, name, j->n, cpu_isa(), s[0],
        s[REPEAT / 2], units / s[0] * 1e-6);
    fflush(stdout);
}

/* Ends the program if this ISA and the portable code disagree. */
static void
same_or_exit(enum qtype t)
{
    const char *isa = cpu_isa();
    size_t n = TILE * qtype_row_bytes(t, COLS);

    cpu_force("ref");
    qtype_encode(t, again, w, TILE, COLS, importance);
    matmul_packed(check, TILE, again, t, 0, TILE, COLS, act, 5);
    cpu_force(isa);
    qtype_encode(t, packed, w, TILE, COLS, importance);
    matmul_packed(y, TILE, packed, t, 0, TILE, COLS, act, 5);
    if (memcmp(again, packed, n) != 0 ||
        memcmp(check, y, 5 * TILE * sizeof *y) != 0) {
        fprintf(stderr, "kernels: %s: %s and ref differ\n",
            qtype_info(t)->name, isa);
        exit(1);
    }
}

static void
measure_type(enum qtype t)
{
    static const size_t acts[] = { 1, 4, 32, ACTS };
    const char *name = qtype_info(t)->name;
    struct job j = { .t = t, .n = 1 };
    size_t n = TILE * qtype_row_bytes(t, COLS);

    act_rows(&j);
    same_or_exit(t);
    measure("encode", name, encode, &j, TILE * COLS);
    j.imp = importance;
    measure("encode-weighted", name, encode, &j, TILE * COLS);
    measure("decode", name, decode, &j, TILE * COLS);
    measure("act", name, act_rows, &j, ACTS * COLS);
    for (size_t i = 1; i < ROWS / TILE; i++)
        memcpy(packed + i * n, packed, n);
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
        j.n = acts[i];
        measure("matmul", name, product, &j,
            (double)acts[i] * ROWS * COLS);
        if (interleave_has(t))
            measure("interleaved", name, side_product, &j,
                (double)acts[i] * ROWS * COLS);
    }
}

static int
wanted(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return 1;
    return argc < 2;
}

int
main(int argc, char **argv)
{
    uint64_t s = 1;

    if (gemm_ready() == NULL)
        return 1;
    for (size_t i = 0; i < ROWS * COLS; i++)
        w[i] = lcg_bell(&s);
    for (size_t i = 0; i < ACTS * COLS; i++)
        x[i] = lcg_bell(&s);
    lcg_importance(importance, COLS, 2);

    printf("# compiler %s, %s\n", __VERSION__, gemm_version());
    printf("what,type,activations,isa,fastest_s,median_s,million_per_s\n");
    for (unsigned t = 0; t < QT_COUNT; t++)
        if (wanted(qtype_info((enum qtype)t)->name, argc, argv))
            measure_type((enum qtype)t);
    if (wanted("float", argc, argv)) {
        struct job j = { .n = ACTS, .dim = 64 };

        measure("gemm", "F32", blas, &j, (double)ACTS * ROWS / 4 * COLS);
        measure("scores", "64", scores, &j, 16.0 * ACTS * 64);
        measure("values", "64", values, &j, 16.0 * ACTS * 64);
        j.dim = 128;
        measure("scores", "128", scores, &j, 16.0 * ACTS * 128);
        measure("values", "128", values, &j, 16.0 * ACTS * 128);
        measure("exp", "F32", exps, &j, ACTS * COLS / 2);
    }
    return 0;
}
