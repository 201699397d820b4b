/*
 * The reference scores of the example's model come out item by item, whatever
 * the number of threads, and both ways to tokenize a choice agree.
 *
 * The references (tests/data/pebble/scores.json) were computed by transformers
 * in float32 and rounded to four digits.
 */
#include "lib/model/score.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lib/base/json.h"

static struct model *model;
static struct pool *pool;
static json_t *reference;

static int
setup(void **state)
{
    const struct model_open_opts opts = { .pool = NULL };
    struct err e = { 0 };

    (void)state;
    pool = pool_new(0);
    reference = json_read("tests/data/pebble/scores.json", 64 << 20, NULL, &e);
    if (reference == NULL ||
        model_open(&model, "examples/pebble/model", &opts, &e))
        fail_msg("%s", e.text);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    model_free(model);
    pool_free(pool);
    json_decref(reference);
    return 0;
}

static void
check_choice(const json_t *ref, const struct suite_item *it,
    const struct item_score *r)
{
    const json_t *lp = json_object_get(ref, "logprob");

    if ((json_int_t)r->pick != json_integer_value(json_object_get(ref, "pick")))
        fail_msg("%s: picked %zu", it->id, r->pick);
    assert_int_equal(json_array_size(lp), it->n_choices);
    for (size_t k = 0; k < it->n_choices; k++) {
        const double want = json_real_value(json_array_get(lp, k));

        if (!(fabs(r->ll[k] - want) <= 1e-3))
            fail_msg("%s: choice %zu: %.6f, reference %.4f", it->id, k,
                r->ll[k], want);
    }
}

static void
check_answer(const json_t *ref, const struct suite_item *it,
    const struct item_score *r)
{
    const char *want = json_string_value(json_object_get(ref, "text"));

    if (strcmp(str_get(&r->out), want) != 0)
        fail_msg("%s: wrote '%s', reference '%s'", it->id, str_get(&r->out),
            want);
    if (r->correct != json_is_true(json_object_get(ref, "ok")))
        fail_msg("%s: judged %d on '%s'", it->id, r->correct, want);
}

/* Runs one suite and compares every item with the reference. */
static void
reproduce(const char *name)
{
    char path[128];
    const json_t *ref =
        json_object_get(json_object_get(reference, "items"), name);
    const struct score_opts o = { .max_tokens = 64, .bos = true,
        .pool = pool };
    struct suite s = { 0 };
    struct suite_score r = { 0 };
    struct err e = { 0 };

    snprintf(path, sizeof path, "tests/data/pebble/tasks/%s.jsonl", name);
    if (suite_read(&s, path, &e) || suite_score(&r, &s, model, &o, &e))
        fail_msg("%s", e.text);
    assert_int_equal(json_array_size(ref), s.n);
    for (size_t i = 0; i < s.n; i++) {
        const json_t *row = json_array_get(ref, i);

        assert_string_equal(s.items[i].id,
            json_string_value(json_object_get(row, "id")));
        assert_true(r.items[i].finite);
        if (s.kind == SUITE_CHOICE)
            check_choice(row, &s.items[i], &r.items[i]);
        else
            check_answer(row, &s.items[i], &r.items[i]);
    }
    suite_score_release(&r);
    suite_release(&s);
}

/* Facts: every choice's log likelihood and every pick is the reference's. */
static void
facts(void **state)
{
    (void)state;
    reproduce("facts");
}

/* Edge cases: every choice's log likelihood and every pick. */
static void
edge(void **state)
{
    (void)state;
    reproduce("edge");
}

/* Instructions: every text written and every check is the reference's. */
static void
instructions(void **state)
{
    (void)state;
    reproduce("instructions");
}

/* Reasoning: every text written and every number taken out of it. */
static void
reasoning(void **state)
{
    (void)state;
    reproduce("reasoning");
}

/* Retrieval from prompts of up to 1002 tokens: every text written. */
static void
retrieval(void **state)
{
    (void)state;
    reproduce("retrieval");
}

/* The first `n` items' results as JSON, computed with a pool or without. */
static json_t *
first_items(const char *path, size_t n, struct pool *p)
{
    const struct score_opts o = { .max_tokens = 16, .bos = true, .pool = p };
    struct suite s = { 0 };
    struct suite_score r = { 0 };
    struct err e = { 0 };
    json_t *list = json_array();
    const size_t all = suite_read(&s, path, &e) ? 0 : s.n;

    s.n = n;
    if (suite_score(&r, &s, model, &o, &e))
        fail_msg("%s", e.text);
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list,
            item_score_json(&s.items[i], &r.items[i]));
    suite_score_release(&r);
    s.n = all;
    suite_release(&s);
    return list;
}

/* One thread, three threads: the same bytes. */
static void
threads(void **state)
{
    static const char *const paths[] = {
        "tests/data/pebble/tasks/facts.jsonl",
        "tests/data/pebble/tasks/instructions.jsonl"
    };
    struct pool *three = pool_new(3);

    (void)state;
    for (size_t i = 0; i < countof(paths); i++) {
        json_t *a = first_items(paths[i], 40, NULL);
        json_t *b = first_items(paths[i], 40, three);
        char *x = json_text(a, true), *y = json_text(b, true);

        assert_string_equal(x, y);
        free(x);
        free(y);
        json_decref(a);
        json_decref(b);
    }
    pool_free(three);
}

/*
 * On every shipped item the tokens of prompt and choice together, past the
 * prompt's, are the tokens of the choice alone.
 */
static void
both_rules_agree(void **state)
{
    static const char *const folders[] = { "examples/pebble/data/suites",
        "examples/pebble/data/reserve", "tests/data/pebble/tasks" };
    static const char *const names[] = { "facts", "edge" };
    struct tokenizer *t = model_tokenizer(model);

    (void)state;
    for (size_t f = 0; f < countof(folders) * countof(names); f++) {
        char path[128];
        struct suite s = { 0 };
        struct err e = { 0 };

        snprintf(path, sizeof path, "%s/%s.jsonl", folders[f / 2],
            names[f % 2]);
        if (suite_read(&s, path, &e))
            fail_msg("%s", e.text);
        for (size_t i = 0; i < s.n; i++)
            for (size_t k = 0; k < s.items[i].n_choices; k++) {
                const char *text = s.items[i].choices[k];
                struct ids p = { 0 }, together = { 0 }, alone = { 0 };

                assert_int_equal(choice_tokens(t, s.items[i].prompt, text, &p,
                                     &together, &e), 0);
                assert_int_equal(tokenizer_encode(t, text, strlen(text),
                                     false, &alone, &e), 0);
                if (together.n != alone.n || memcmp(together.v, alone.v,
                                                 alone.n * 4) != 0)
                    fail_msg("%s: %s: '%s'", path, s.items[i].id, text);
                ids_release(&p);
                ids_release(&together);
                ids_release(&alone);
            }
        suite_release(&s);
    }
}

/*
 * Where prompt and choice merge into one token, the choice's own tokens are
 * scored, and not a remainder that would be another text.
 */
static void
merged_seam(void **state)
{
    struct tokenizer *t = model_tokenizer(model);
    struct ids p = { 0 }, c = { 0 };
    struct str text = { 0 };
    struct err e = { 0 };

    (void)state;
    assert_int_equal(choice_tokens(t, "for left in range(6)", ")\n", &p, &c,
                         &e), 0);
    tokenizer_decode(t, c.v, c.n, false, &text);
    assert_string_equal(str_get(&text), ")\n");
    ids_release(&p);
    ids_release(&c);
    str_release(&text);
}

/* Trailing spaces of a prompt are read as the beginning of the choice. */
static void
trailing_spaces(void **state)
{
    struct tokenizer *t = model_tokenizer(model);
    struct ids p = { 0 }, a = { 0 }, q = { 0 }, b = { 0 };
    struct err e = { 0 };

    (void)state;
    assert_int_equal(choice_tokens(t, "The owl ", "sleeps", &p, &a, &e), 0);
    assert_int_equal(choice_tokens(t, "The owl", " sleeps", &q, &b, &e), 0);
    assert_int_equal(p.n, q.n);
    assert_int_equal(a.n, b.n);
    assert_memory_equal(a.v, b.v, a.n * 4);
    ids_release(&p);
    ids_release(&a);
    ids_release(&q);
    ids_release(&b);
}

/* An empty prompt, one longer than the context, and an odd limit all work. */
static void
awkward(void **state)
{
    const struct score_opts o = { .max_tokens = 3, .bos = false,
        .pool = pool };
    struct suite s = { 0 };
    struct suite_score r = { 0 };
    struct err e = { 0 };
    struct str text = { 0 };

    (void)state;
    str_add(&text, "{\"id\":\"a\",\"prompt\":\"\",\"match\":\"exact\","
                   "\"target\":\"x\"}\n"
                   "{\"id\":\"b\",\"prompt\":\"");
    for (int i = 0; i < 3000; i++)
        str_add(&text, "owl ");
    str_add(&text, "\",\"match\":\"last_number\",\"target\":\"1\"}\n");
    if (suite_parse(&s, "s", text.p, text.len, &e) ||
        suite_score(&r, &s, model, &o, &e))
        fail_msg("%s", e.text);
    assert_int_equal(r.items[0].prompt_tokens, 1);
    assert_int_equal(r.items[0].stop, STOP_LENGTH);
    assert_int_equal(r.items[0].tokens, 3);
    assert_false(r.items[0].cut);
    assert_true(r.items[1].cut);
    assert_true(r.items[1].invalid);
    assert_true(r.items[1].tokens >= 1 && r.items[1].tokens <= 2);
    suite_score_release(&r);
    suite_release(&s);
    str_release(&text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_rules_agree),
        cmocka_unit_test(merged_seam),
        cmocka_unit_test(trailing_spaces),
        cmocka_unit_test(awkward),
        cmocka_unit_test(threads),
        cmocka_unit_test(facts),
        cmocka_unit_test(edge),
        cmocka_unit_test(instructions),
        cmocka_unit_test(reasoning),
        cmocka_unit_test(retrieval),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("model/score", tests, setup, teardown);
}
