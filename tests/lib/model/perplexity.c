/* Tests of lib/model/perplexity.c on small random models. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "lib/format/gguf.h"
#include "lib/model/perplexity.h"
#include "tests/lib/model/tiny.h"

enum { WINDOW = 16, N = 2 * WINDOW, VOCAB = 320 };

static char dir[64], good[96], bad[96];
static int32_t ids[N];
static const char damaged[] = "blk.1.ffn_up.weight";

/* The file with the scale of one block of `damaged` that is no number. */
static void
put_damaged(const char *from, const char *to)
{
    struct gguf g = { 0 };
    struct blob b = { 0 };
    struct err e = { 0 };

    assert_int_equal(gguf_open(&g, from, &e), 0);
    assert_int_equal(blob_read(&b, from, 1 << 26, &e), 0);
    memcpy(b.p + gguf_find(&g, damaged)->offset, "\x00\x7e", 2);
    assert_int_equal(file_write(to, b.p, b.len, &e), 0);
    blob_release(&b);
    gguf_close(&g);
}

static int
setup(void **state)
{
    struct tiny tiny;

    (void)state;
    scratch_make(dir);
    snprintf(good, sizeof good, "%s/good.gguf", dir);
    snprintf(bad, sizeof bad, "%s/bad.gguf", dir);
    tiny_init(&tiny, NULL);
    tiny_write_gguf(&tiny, good, QT_Q8_0, NULL);
    tiny_release(&tiny);
    put_damaged(good, bad);
    for (int i = 0; i < N; i++)
        ids[i] = (i * 37 + i * i / 5) % VOCAB;
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    scratch_remove(dir);
    return 0;
}

/* The divergence of `cand` from `base`; the error's code. */
static int
diverge(struct divergence *d, const char *base, const char *cand,
    struct err *e)
{
    const struct model_open_opts opts = { .no_tokenizer = true };
    const struct perplexity_opts how = { .window = WINDOW };
    struct model *b = NULL, *c = NULL;

    assert_int_equal(model_open(&b, base, &opts, e), 0);
    assert_int_equal(model_open(&c, cand, &opts, e), 0);
    divergence_run(d, b, c, ids, N, &how, e);
    model_free(b);
    model_free(c);
    return e->code;
}

static void
test_a_model_does_not_diverge_from_itself(void **state)
{
    /* Of one file against itself everything is zero and every top equal. */
    struct divergence d = { 0 };
    struct err e = { 0 };

    (void)state;
    assert_int_equal(diverge(&d, good, good, &e), 0);
    assert_int_equal(d.tokens, N - 2);
    assert_true(d.same_top == 1.0);
    for (size_t i = 0; i < d.tokens; i++)
        assert_true(d.kl[i] == 0.0 && d.ln_ratio[i] == 0.0);
    divergence_release(&d);
}

static void
test_names_the_damaged_model(void **state)
{
    /* Logits that are no numbers: the file whose weights they are of. */
    static const char *const pairs[][2] = { { bad, good }, { good, bad } };

    (void)state;
    for (size_t i = 0; i < countof(pairs); i++) {
        struct divergence d = { 0 };
        struct err e = { 0 };

        assert_int_equal(diverge(&d, pairs[i][0], pairs[i][1], &e), ERR_WORK);
        assert_true(str_starts(e.text, bad));
        assert_non_null(strstr(e.text, damaged));
        assert_null(d.kl);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_model_does_not_diverge_from_itself),
        cmocka_unit_test(test_names_the_damaged_model),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("model/perplexity", tests, setup,
        teardown);
}
