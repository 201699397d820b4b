/* Tests of lib/model/statistics.c, quantize.c and scale.c, on pebble. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "kernels/decode.h"
#include "lib/base/mem.h"
#include "lib/base/random.h"
#include "lib/model/quantize.h"

enum { HIDDEN = 256, FFN = 768, TOKENS = 50, LAYER = 1 };

static const char folder[] = "examples/pebble/model";

struct fixture {
    char dir[64];
    char *stats, *gguf;
    struct model *model;
    struct statistics_file file;
};

/* Inputs with a few loud columns, as outlier channels are. */
static void
add_random(struct statistics *s, enum input_role in, size_t cols,
    struct pool *pool)
{
    float *x = mem_calloc(TOKENS * cols, sizeof *x);
    struct random r;

    random_init(&r, 11, (uint64_t)in);
    for (size_t i = 0; i < TOKENS * cols; i++) {
        x[i] = (float)random_below(&r, 2001) / 1000 - 1;
        if (i % cols % 37 == 5)
            x[i] *= 40;
    }
    statistics_add(s, in, x, TOKENS / 2, cols, pool);
    statistics_add(s, in, x + TOKENS / 2 * cols, TOKENS / 2, cols, pool);
    free(x);
}

static int
setup(void **state)
{
    static const size_t cols[] = { HIDDEN, HIDDEN, HIDDEN, FFN };
    const struct model_open_opts opts = { .no_tokenizer = true,
        .lazy = true };
    struct fixture *f = mem_calloc(1, sizeof *f);
    struct statistics s = { 0 };
    struct pool *pool = pool_new(3);
    struct digest d;
    uint64_t bytes;
    struct err e = { 0 };

    snprintf(f->dir, sizeof f->dir, "/tmp/quern-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->stats = path_join(f->dir, "s.safetensors");
    f->gguf = path_join(f->dir, "l.gguf");
    for (size_t i = 0; i < countof(cols); i++)
        add_random(&s, (enum input_role)i, cols[i], pool);
    assert_int_equal(statistics_write(&s, f->stats, &d, &bytes, &e), 0);
    statistics_release(&s);
    pool_free(pool);
    assert_int_equal(statistics_open(&f->file, f->stats, &e), 0);
    assert_int_equal(model_open(&f->model, folder, &opts, &e), 0);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    statistics_close(&f->file);
    model_free(f->model);
    unlink(f->stats);
    unlink(f->gguf);
    rmdir(f->dir);
    free(f->stats);
    free(f->gguf);
    free(f);
    return 0;
}

static void
sums(void **state)
{
    /* Means and maxima are those of the inputs, whatever thread summed. */
    struct fixture *f = *state;
    struct statistics alone = { 0 };
    struct columns c;
    struct err e = { 0 };

    add_random(&alone, IN_DOWN, FFN, NULL);
    assert_int_equal(f->file.tokens, TOKENS);
    assert_int_equal(statistics_columns(&f->file, IN_DOWN, FFN, &c, &e), 0);
    for (size_t j = 0; j < FFN; j++) {
        const struct column_sums *s = &alone.in[IN_DOWN];

        assert_true(c.mean2[j] == (float)(s->square[j] / TOKENS));
        assert_true(c.absmean[j] == (float)(s->size[j] / TOKENS));
        assert_true(c.absmax[j] == s->top[j]);
    }
    assert_int_equal(statistics_columns(&f->file, IN_DOWN, HIDDEN, &c, &e),
        ERR_WORK);
    statistics_release(&alone);
}

static void
not_finite(void **state)
{
    /* NaN among the inputs is named with role and column, nothing is left. */
    struct fixture *f = *state;
    struct statistics s = { 0 };
    float x[4] = { 1, 2, NAN, 4 };
    char *path = path_join(f->dir, "nan.safetensors");
    struct digest d;
    uint64_t bytes;
    struct err e = { 0 };

    statistics_add(&s, IN_O, x, 1, 4, NULL);
    assert_int_equal(statistics_write(&s, path, &d, &bytes, &e), ERR_WORK);
    assert_non_null(strstr(e.text, "'o'"));
    assert_non_null(strstr(e.text, "column 2"));
    assert_false(file_exists(path));
    statistics_release(&s);
    free(path);
}

static void
fallbacks(void **state)
{
    /* Types whose block does not fit a row become llama.cpp's choice. */
    static const enum qtype row[][3] = { /* asked, cols % 32 == 0, else */
        { QT_Q4_K, QT_Q5_0, QT_F16 }, { QT_Q5_K, QT_Q5_1, QT_F16 },
        { QT_Q6_K, QT_Q8_0, QT_F16 }, { QT_Q2_K, QT_IQ4_NL, QT_F16 },
        { QT_IQ4_XS, QT_IQ4_NL, QT_F16 }, { QT_Q8_0, QT_Q8_0, QT_F16 },
        { QT_F32, QT_F32, QT_F32 }, { QT_BF16, QT_BF16, QT_BF16 },
    };

    (void)state;
    for (size_t i = 0; i < countof(row); i++) {
        assert_int_equal(quantize_fallback(row[i][0], 512), row[i][0]);
        assert_int_equal(quantize_fallback(row[i][0], 96), row[i][1]);
        assert_int_equal(quantize_fallback(row[i][0], 50), row[i][2]);
    }
}

/* Values of a tensor of a file; the caller frees. */
static float *
values(const struct gguf *g, const char *name)
{
    const struct gguf_tensor *t = gguf_find(g, name);
    size_t n;
    float *v;

    assert_non_null(t);
    n = (size_t)gguf_elements(t);
    v = mem_calloc(n, sizeof *v);
    qtype_decode(t->type, v, gguf_data(t), n);
    return v;
}

static void
plan_layer(struct fixture *f, enum qtype type, enum quantize_method method,
    struct quantize *q)
{
    struct pool *pool = pool_new(2);
    struct err e = { 0 };

    memset(q, 0, sizeof *q);
    assert_int_equal(quantize_init(q, f->model, LAYER, type, method, &f->file,
        &e), 0);
    assert_int_equal(quantize_scale(q, pool, &e), 0);
    pool_free(pool);
}

/* Values of three tensors once the layer was written; the caller frees. */
static void
write_layer(struct fixture *f, struct quantize *q, float **norm, float **v,
    float **o)
{
    struct gguf_writer w = { 0 };
    struct gguf g = { 0 };
    struct progress none = { 0 };
    struct err e = { 0 };

    assert_int_equal(gguf_writer_open(&w, f->gguf, &e), 0);
    assert_int_equal(quantize_write(q, &w, NULL, &none, &e), 0);
    assert_int_equal(gguf_writer_close(&w, &e), 0);
    gguf_writer_release(&w);
    assert_int_equal(gguf_open(&g, f->gguf, &e), 0);
    *norm = values(&g, "blk.1.attn_norm.weight");
    *v = values(&g, "blk.1.attn_v.weight");
    *o = values(&g, "blk.1.attn_output.weight");
    gguf_close(&g);
}

static void
near_product(double a, double b, double a0, double b0)
{
    assert_true(fabs(a * b - a0 * b0) <= 4e-3 * fabs(a0 * b0) + 1e-6);
}

static void
folding_is_exact(void **state)
{
    /* What a scale multiplies in one place it divides in the other. */
    struct fixture *f = *state;
    struct quantize plain, awq;
    float *norm, *v, *o, *norm0, *v0, *o0;
    bool scaled = false;

    plan_layer(f, QT_F16, METHOD_IMATRIX, &plain);
    write_layer(f, &plain, &norm0, &v0, &o0);
    plan_layer(f, QT_Q4_K, METHOD_AWQ, &awq);
    for (size_t i = 0; i < awq.n_scales; i++) {
        scaled = scaled || awq.scale[i].alpha > 0;
        assert_true(awq.scale[i].error <= awq.scale[i].plain);
    }
    assert_true(scaled);
    /* the scales of Q4_K in F16: rounding is out of the way */
    for (size_t i = 0; i < awq.n; i++)
        if (awq.t[i].plan->rank == 2)
            awq.t[i].asked = awq.t[i].type = QT_F16;
    write_layer(f, &awq, &norm, &v, &o);
    /* norm -> v: the norm times row 7; v's own row scale is that of column 0 */
    for (size_t j = 0; j < HIDDEN; j++)
        near_product((double)norm[j] * (double)v[7 * HIDDEN + j],
            (double)norm0[0] * (double)v0[7 * HIDDEN],
            (double)norm0[j] * (double)v0[7 * HIDDEN + j],
            (double)norm[0] * (double)v[7 * HIDDEN]);
    /* v -> o: two query heads read one key-value head */
    for (size_t h = 0; h < 8; h++)
        for (size_t d = 0; d < 32; d++) {
            size_t row = h / 2 * 32 + d, col = h * 32 + d;

            near_product((double)norm[9] * (double)v[row * HIDDEN + 9],
                (double)o[5 * HIDDEN + col],
                (double)norm0[9] * (double)v0[row * HIDDEN + 9],
                (double)o0[5 * HIDDEN + col]);
        }
    free(norm);
    free(v);
    free(o);
    free(norm0);
    free(v0);
    free(o0);
    quantize_release(&plain);
    quantize_release(&awq);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums),
        cmocka_unit_test(not_finite),
        cmocka_unit_test(fallbacks),
        cmocka_unit_test(folding_is_exact),
    };

    if (getenv("CMOCKA_MESSAGE_OUTPUT") == NULL)
        cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("lib/model/quantize", tests, setup,
        teardown);
}
