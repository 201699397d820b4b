/* Tests of lib/model/layer.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "lib/model/layer.h"
#include "tests/lib/model/tiny.h"

enum { N = 600, VOCAB = 320, HIDDEN = 256 };

static char dir[64];
static struct model_open_opts lazy = { .no_tokenizer = true, .lazy = true };

struct seen {
    size_t rows[IN_COUNT];
    double squares[IN_COUNT];
};

static void
hook(void *ctx, enum input_role in, int expert, const float *x, size_t n,
    size_t cols)
{
    struct seen *s = ctx;

    assert_int_equal(expert, -1);
    assert_int_equal(cols, in == IN_DOWN ? 512 : 256);
    s->rows[in] += n;
    for (size_t i = 0; i < n * cols; i++)
        s->squares[in] += (double)x[i] * (double)x[i];
}

/* Logits of the last position by way of layers, one at a time. */
static void
stream(const struct model *m, const int32_t *ids, struct pool *pool,
    float *normed, struct seen *seen)
{
    float *h = mem_aligned(N * HIDDEN, sizeof *h);
    struct err e = { 0 };

    assert_int_equal(model_embed(m, ids, N, h, &e), 0);
    for (uint32_t i = 0; i < model_config(m)->layers; i++) {
        struct layer *l;

        assert_int_equal(layer_load(&l, m, i, pool, &e), 0);
        layer_forward(l, h, N, pool, seen != NULL ? hook : NULL, seen);
        layer_free(l);
    }
    model_final_norm(m, h, N, normed);
    free(h);
}

static void
layers_are_the_model(void **state)
{
    /*
     * Running layer after layer gives what a session computes: the last norm
     * times the output matrix is the session's logits.
     */
    struct tiny t;
    struct model *m, *whole;
    struct pool *pool = pool_new(2);
    struct session *s;
    struct seen seen = { 0 };
    struct err e = { 0 };
    int32_t ids[N];
    float *normed = mem_aligned(N * HIDDEN, sizeof *normed);
    float *again = mem_aligned(N * HIDDEN, sizeof *again);
    float logits[VOCAB];

    (void)state;
    scratch_make(dir);
    tiny_init(&t, NULL);
    tiny_write_hf(&t, dir, "BF16", NULL);
    assert_int_equal(model_open(&m, dir, &lazy, &e), 0);
    for (int i = 0; i < N; i++)
        ids[i] = (i * 13 + 5) % VOCAB;
    stream(m, ids, pool, normed, &seen);
    stream(m, ids, NULL, again, NULL);
    assert_memory_equal(normed, again, N * HIDDEN * sizeof *again);
    for (enum input_role in = IN_QKV; in <= IN_DOWN; in++) {
        assert_int_equal(seen.rows[in], 2 * N);
        assert_true(seen.squares[in] > 0.0);
    }

    lazy.lazy = false;
    assert_int_equal(model_open(&whole, dir, &lazy, &e), 0);
    lazy.lazy = true;
    s = session_new(whole, 0, pool);
    assert_int_equal(session_eval(s, ids, N, logits, LOGITS_LAST, &e), 0);
    for (size_t r = 0; r < VOCAB; r++) {
        const float *w = t.w[t.plan.n - 1] + r * HIDDEN;
        double sum = 0.0;

        for (size_t c = 0; c < HIDDEN; c++)
            sum += (double)w[c] * (double)normed[(N - 1) * HIDDEN + c];
        assert_true(fabs(sum - (double)logits[r]) < 1e-4);
    }
    session_free(s);
    model_free(whole);
    model_free(m);
    pool_free(pool);
    tiny_release(&t);
    free(normed);
    free(again);
    scratch_remove(dir);
}

static void
bad_layers_are_refused(void **state)
{
    /* NaN shows when the layer is loaded, not when the model is opened. */
    struct tiny_damage d = { .nan = "model.layers.1.mlp.down_proj.weight" };
    struct tiny t;
    struct model *m;
    struct layer *l;
    struct err e = { 0 };

    (void)state;
    scratch_make(dir);
    tiny_init(&t, NULL);
    tiny_write_hf(&t, dir, "BF16", &d);
    assert_int_equal(model_open(&m, dir, &lazy, &e), 0);
    assert_int_equal(layer_load(&l, m, 0, NULL, &e), 0);
    layer_free(l);
    assert_int_equal(layer_load(&l, m, 1, NULL, &e), ERR_WORK);
    assert_null(l);
    assert_non_null(strstr(e.text, "'model.layers.1.mlp.down_proj.weight': "
        "row 255, column 511 is not a number"));
    err_clear(&e);
    assert_int_equal(layer_load(&l, m, 2, NULL, &e), ERR_WORK);
    layer_free(NULL);
    model_free(m);
    tiny_release(&t);
    scratch_remove(dir);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_are_the_model),
        cmocka_unit_test(bad_layers_are_refused),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("lib/model/layer", tests, NULL, NULL);
}
