/*
 * Tokens a second of a model, prompt and decoding, as CSV
 *
 * usage: out/bench/infer MODEL [PROMPT [DECODE [REPEAT [REPRODUCIBLE]]]]
 *                                                      (512 128 3 true)
 *
 * What llama-bench measures with -p and -n: a prompt of PROMPT tokens read at
 * once, and DECODE tokens written one after the other from an empty session;
 * ids are pseudo-random. QUERN_THREADS says with how many threads. One run to
 * warm up is not counted; wall time, fastest and median of REPEAT.
 * REPRODUCIBLE false: float products by OpenBLAS, as in a policy.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "kernels/cpu.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/model/model.h"
#include "lib/model/products.h"

enum { MOST = 1 << 16 };

static double
seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int
by_value(const void *a, const void *b)
{
    double p = *(const double *)a, q = *(const double *)b;

    return (p > q) - (p < q);
}

static int
read_prompt(struct session *s, const int32_t *ids, size_t n, float *logits,
    struct err *e)
{
    return session_eval(s, ids, n, logits, LOGITS_LAST, e);
}

static int
write_on(struct session *s, const int32_t *ids, size_t n, float *logits,
    struct err *e)
{
    for (size_t i = 0; i < n && e->code == 0; i++)
        session_eval(s, ids + i, 1, logits, LOGITS_LAST, e);
    return e->code;
}

struct run {
    const char *what;
    int (*fn)(struct session *, const int32_t *, size_t, float *,
        struct err *);
    size_t n;
};

/* Prints the line of one kind of work, timed `repeat` times. */
static int
measure(const struct run *r, struct session *s, const int32_t *ids,
    float *logits, size_t repeat, struct err *e)
{
    double *t = mem_calloc(repeat, sizeof *t);

    for (size_t i = 0; i <= repeat && e->code == 0; i++) {
        double start = seconds();

        session_reset(s);
        r->fn(s, ids, r->n, logits, e);
        if (i > 0)
            t[i - 1] = seconds() - start;
    }
    qsort(t, repeat, sizeof *t, by_value);
    if (e->code == 0)
        printf("%s,%zu,%.4f,%.4f,%.2f\n", r->what, r->n, t[0], t[repeat / 2],
            (double)r->n / t[repeat / 2]);
    fflush(stdout);
    free(t);
    return e->code;
}

static int
bench(const char *path, const size_t n[3], const char *reproducible,
    struct err *e)
{
    const struct run runs[] = { { "prompt", read_prompt, n[0] },
        { "decode", write_on, n[1] } };
    struct model_open_opts opts = { .no_tokenizer = true, .decodes = true };
    struct pool *pool = NULL;
    struct model *m = NULL;
    double start;

    if (products_choose(&opts.blas, reproducible, e))
        return e->code;
    opts.pool = pool = pool_new(0);
    start = seconds();
    if (model_open(&m, path, &opts, e) == 0) {
        struct session *s = session_new(m, 0, pool);
        uint32_t vocab = model_config(m)->vocab;
        float *logits = mem_calloc(vocab, sizeof *logits);
        size_t most = n[0] > n[1] ? n[0] : n[1];
        int32_t *ids = mem_calloc(most, sizeof *ids);

        for (size_t i = 0; i < most; i++)
            ids[i] = (int32_t)((i * 2654435761u >> 7) % vocab);
        printf("# %s, %u threads, %s, opened in %.3f s\n", cpu_isa(),
            pool_threads(pool), model_numeric(m), seconds() - start);
        puts("what,tokens,fastest_s,median_s,tokens_per_s");
        for (size_t i = 0; i < 2 && e->code == 0; i++)
            if (runs[i].n > 0)
                measure(&runs[i], s, ids, logits, n[2], e);
        session_free(s);
        free(logits);
        free(ids);
    }
    model_free(m);
    pool_free(pool);
    return e->code;
}

int
main(int argc, char **argv)
{
    size_t n[3] = { 512, 128, 3 };
    struct err e = { 0 };

    for (int i = 2; i < argc && i < 5; i++) {
        unsigned long long v;

        if (!str_to_u64(argv[i], MOST, &v) || (i == 4 && v == 0))
            argc = 0;
        else
            n[i - 2] = (size_t)v;
    }
    if (argc < 2 || argc > 6) {
        fprintf(stderr, "usage: out/bench/infer MODEL [PROMPT [DECODE "
            "[REPEAT [REPRODUCIBLE]]]]\n");
        return 2;
    }
    if (bench(argv[1], n, argc > 5 ? argv[5] : NULL, &e) != 0)
        fprintf(stderr, "infer: %s\n", e.text);
    return e.code;
}
