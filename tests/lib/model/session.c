/* Tests of lib/model/session.c and forward.c on a small random model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <string.h>
#include <cmocka.h>

#include "lib/format/checkpoint.h"
#include "lib/model/model.h"
#include "tests/lib/model/tiny.h"

enum { N = 530, VOCAB = 320 };

static char dir[64], gguf[96];
static struct tiny tiny;
static struct model *models[2]; /* float32, packed */
static int32_t ids[N];

static int
setup(void **state)
{
    struct model_open_opts opts = { .no_tokenizer = true };
    struct err e = { 0 };

    (void)state;
    scratch_make(dir);
    snprintf(gguf, sizeof gguf, "%s/m.gguf", dir);
    tiny_init(&tiny, NULL);
    tiny_write_hf(&tiny, dir, "BF16", NULL);
    tiny_write_gguf(&tiny, gguf, QT_Q4_K, NULL);
    if (model_open(&models[0], dir, &opts, &e) != 0 ||
        model_open(&models[1], gguf, &opts, &e) != 0)
        fprintf(stderr, "%s\n", e.text);
    for (int i = 0; i < N; i++)
        ids[i] = (i * 37 + i * i / 5) % VOCAB;
    return e.code;
}

static int
teardown(void **state)
{
    (void)state;
    model_free(models[0]);
    model_free(models[1]);
    tiny_release(&tiny);
    scratch_remove(dir);
    return 0;
}

/* Logits [n][VOCAB] of ids, in pieces of `step`, with `threads` threads. */
static float *
run(const struct model *m, size_t n, size_t step, unsigned threads)
{
    float *logits = mem_aligned(n * VOCAB, sizeof *logits);
    struct pool *pool = threads > 0 ? pool_new(threads) : NULL;
    struct session *s = session_new(m, 0, pool);
    struct err e = { 0 };

    for (size_t i = 0; i < n; i += step)
        assert_int_equal(session_eval(s, ids + i, n - i < step ? n - i : step,
            logits + i * VOCAB, LOGITS_ALL, &e), 0);
    assert_int_equal(session_len(s), n);
    session_free(s);
    pool_free(pool);
    return logits;
}

static void
threads_do_not_matter(void **state)
{
    /* The same bits with no pool and with 1, 2 and 8 threads. */
    static const unsigned threads[] = { 1, 2, 8 };

    (void)state;
    for (size_t k = 0; k < 2; k++) {
        float *want = run(models[k], N, N, 0);

        for (size_t i = 0; i < countof(threads); i++) {
            float *got = run(models[k], N, N, threads[i]);

            assert_memory_equal(got, want, N * VOCAB * sizeof *got);
            free(got);
        }
        free(want);
    }
}

/* Bits of the packed model (k 1), values of the float one. */
static void
expect_same(size_t k, const float *got, const float *want, size_t n)
{
    if (k == 1)
        assert_memory_equal(got, want, n * sizeof *got);
    for (size_t i = 0; i < n; i++)
        assert_true(fabsf(got[i] - want[i]) <= 1e-4f);
}

static void
batches_do_not_matter(void **state)
{
    /*
     * The same read at once, in pieces, and step by step: the same bits from
     * packed weights, the same but for OpenBLAS's rounding from floats.
     */
    static const size_t steps[] = { 1, 7, 100, 513 };

    (void)state;
    for (size_t k = 0; k < 2; k++) {
        float *want = run(models[k], N, N, 2);

        for (size_t i = 0; i < countof(steps); i++) {
            float *got = run(models[k], N, steps[i], 2);

            expect_same(k, got, want, N * VOCAB);
            free(got);
        }
        free(want);
    }
}

static void
texts_share_a_beginning(void **state)
{
    /* After truncation a session goes on as a fresh one would. */
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        float *want = run(models[k], 60, 60, 0), got[VOCAB];
        struct session *s = session_new(models[k], 0, NULL);
        int32_t other[30] = { 0 };
        struct err e = { 0 };

        assert_int_equal(session_eval(s, ids, 40, NULL, LOGITS_NONE, &e), 0);
        assert_int_equal(session_eval(s, other, 30, got, LOGITS_LAST, &e), 0);
        session_truncate(s, 40);
        assert_int_equal(session_len(s), 40);
        assert_int_equal(session_eval(s, ids + 40, 20, got, LOGITS_LAST, &e),
            0);
        expect_same(k, got, want + 59 * VOCAB, VOCAB);
        session_free(s);
        free(want);
    }
}

static void
texts_are_written_together(void **state)
{
    /* Sessions of several lengths step together as each would alone. */
    enum { TEXTS = 70, STEPS = 3 };

    (void)state;
    for (size_t k = 0; k < 2; k++) {
        struct session *s[TEXTS], *alone = session_new(models[k], 0, NULL);
        float *got = mem_aligned(TEXTS * VOCAB, sizeof *got), want[VOCAB];
        struct pool *pool = pool_new(2);
        int32_t next[TEXTS];
        struct err e = { 0 };

        for (size_t i = 0; i < TEXTS; i++) {
            s[i] = session_new(models[k], 100, i % 2 == 0 ? pool : NULL);
            assert_int_equal(session_eval(s[i], ids + i, i, NULL,
                LOGITS_NONE, &e), 0);
        }
        for (size_t t = 0; t < STEPS; t++) {
            for (size_t i = 0; i < TEXTS; i++)
                next[i] = ids[2 * i + t];
            assert_int_equal(session_step(s, next, TEXTS, got, &e), 0);
        }
        for (size_t i = 0; i < TEXTS; i++) {
            assert_int_equal(session_len(s[i]), i + STEPS);
            session_reset(alone);
            assert_int_equal(session_eval(alone, ids + i, i, NULL,
                LOGITS_NONE, &e), 0);
            assert_int_equal(session_eval(alone, ids + 2 * i, STEPS, want,
                LOGITS_LAST, &e), 0);
            expect_same(k, got + i * VOCAB, want, VOCAB);
        }
        next[69] = VOCAB;
        assert_int_equal(session_step(s, next, TEXTS, got, &e), ERR_WORK);
        assert_int_equal(session_len(s[0]), STEPS);
        for (size_t i = 0; i < TEXTS; i++)
            session_free(s[i]);
        session_free(alone);
        pool_free(pool);
        free(got);
    }
}

static void *
one_session(void *arg)
{
    return run(arg, 300, 300, 0);
}

static void
sessions_run_side_by_side(void **state)
{
    /* Sessions of one model in several threads do not disturb each other. */
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        float *want = run(models[k], 300, 300, 0);
        pthread_t t[4];

        for (size_t i = 0; i < countof(t); i++)
            assert_int_equal(pthread_create(&t[i], NULL, one_session,
                models[k]), 0);
        for (size_t i = 0; i < countof(t); i++) {
            void *got;

            pthread_join(t[i], &got);
            assert_memory_equal(got, want, 300 * VOCAB * sizeof(float));
            free(got);
        }
        free(want);
    }
}

static void
scores_are_log_softmax(void **state)
{
    /* A score is the log softmax of its target; others are left alone. */
    float *logits = run(models[0], 20, 20, 0);
    struct session *s = session_new(models[0], 0, NULL);
    struct token_score out[20];
    int32_t targets[20];
    struct err e = { 0 };

    (void)state;
    for (size_t i = 0; i < 20; i++) {
        targets[i] = i % 3 == 0 ? -1 : (int32_t)(i * 11 % VOCAB);
        out[i].logprob = 5.0;
    }
    targets[7] = (int32_t)logits_argmax(logits + 7 * VOCAB, VOCAB);
    assert_int_equal(session_score(s, ids, 20, targets, out, &e), 0);
    for (size_t i = 0; i < 20; i++) {
        double sum = 0.0;

        if (targets[i] < 0) {
            assert_true(out[i].logprob == 5.0);
            continue;
        }
        for (size_t j = 0; j < VOCAB; j++)
            sum += exp((double)logits[i * VOCAB + j]);
        assert_true(fabs(out[i].logprob - ((double)logits[i * VOCAB +
            (size_t)targets[i]] - log(sum))) < 1e-6);
        assert_true(out[i].finite);
    }
    assert_true(out[7].greedy);
    session_free(s);
    free(logits);
}

static void
limits_are_kept(void **state)
{
    /* Too long a text and ids of no row are refused and change nothing. */
    struct session *s = session_new(models[0], 10, NULL);
    int32_t bad[3] = { 1, VOCAB, 2 };
    float logits[VOCAB];
    struct err e = { 0 };
    char text[256];

    (void)state;
    assert_int_equal(session_eval(s, ids, 8, NULL, LOGITS_NONE, &e), 0);
    assert_int_equal(session_eval(s, ids, 3, NULL, LOGITS_NONE, &e),
        ERR_WORK);
    snprintf(text, sizeof text, "%s: a text of 11 tokens is longer than the "
        "10 positions it may have; shorten it", dir);
    assert_string_equal(e.text, text);
    err_clear(&e);
    session_truncate(s, 5);
    assert_int_equal(session_eval(s, bad, 3, logits, LOGITS_LAST, &e),
        ERR_WORK);
    snprintf(text, sizeof text, "%s: token id 320 is not from 0 to 319; was "
        "the text tokenized for another model?", dir);
    assert_string_equal(e.text, text);
    err_clear(&e);
    bad[1] = -1;
    assert_int_equal(session_score(s, ids, 1, &bad[1],
        &(struct token_score){ 0 }, &e), 0);
    assert_int_equal(session_len(s), 6);
    assert_int_equal(session_eval(s, ids, 0, NULL, LOGITS_LAST, &e), 0);
    session_free(s);
    session_free(NULL);
}

static void
models_tell_about_themselves(void **state)
{
    /* Arithmetic, end ids and size of what was opened. */
    uint64_t values = 0;

    (void)state;
    for (size_t i = 0; i < tiny.plan.n; i++)
        values += tiny.plan.t[i].rows * tiny.plan.t[i].cols;
    assert_string_equal(model_numeric(models[0]), "float32");
    assert_string_equal(model_numeric(models[1]), "int8-block");
    assert_true(model_is_eos(models[0], 1));
    assert_false(model_is_eos(models[0], 0));
    assert_int_equal(model_weight_bytes(models[0]), 2 * values);
    assert_false(model_checkpoint(models[0])->is_gguf);
    assert_null(model_gguf(models[0]));
    assert_ptr_equal(model_gguf(models[1]), &model_checkpoint(models[1])->gguf);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_do_not_matter),
        cmocka_unit_test(batches_do_not_matter),
        cmocka_unit_test(texts_share_a_beginning),
        cmocka_unit_test(texts_are_written_together),
        cmocka_unit_test(sessions_run_side_by_side),
        cmocka_unit_test(scores_are_log_softmax),
        cmocka_unit_test(limits_are_kept),
        cmocka_unit_test(models_tell_about_themselves),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("lib/model/session", tests, setup,
        teardown);
}
