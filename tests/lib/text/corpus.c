/* Tests of lib/text/corpus.c and lib/text/overlap.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/text/corpus.h"

static void
normal_form(void **state)
{
    /* NFC, lower case, one space for any white space, trimmed. */
    static const char *const same[] = { "Caf\u00e9  au\tLAIT \n",
        "cafe\u0301 au\u00a0lait", "\u2003CAF\u00c9 au\r\nlait" };
    struct str s = { 0 };

    (void)state;
    for (size_t i = 0; i < countof(same); i++) {
        assert_true(corpus_normalize(same[i], strlen(same[i]), &s));
        assert_string_equal(str_get(&s), "caf\u00e9 au lait");
    }
    assert_true(corpus_normalize(" \n ", 3, &s));
    assert_int_equal(s.len, 0);
    assert_true(corpus_normalize("a\0b", 3, &s));
    assert_int_equal(s.len, 3);
    assert_false(corpus_normalize("a\xff", 2, &s));
    str_release(&s);
}

static double
jaccard_of(const char *a, const char *b)
{
    struct shingles x, y;
    double j;

    corpus_shingles(&x, a, strlen(a));
    corpus_shingles(&y, b, strlen(b));
    j = shingles_jaccard(&x, &y);
    shingles_release(&x);
    shingles_release(&y);
    return j;
}

static void
jaccard(void **state)
{
    /* Five-word shingles: punctuation is nothing, order is everything. */
    (void)state;
    assert_float_equal(jaccard_of("a b c d e f", "a, b; c d -- e f!"), 1, 0);
    /* abcde bcdef against abcde bcdex: one of three */
    assert_float_equal(jaccard_of("a b c d e f", "a b c d e x"), 1.0 / 3,
        1e-12);
    assert_float_equal(jaccard_of("a b c d e f", "f e d c b a"), 0, 0);
    /* short texts are one shingle: themselves */
    assert_float_equal(jaccard_of("one two", "one two"), 1, 0);
    assert_float_equal(jaccard_of("one two", "one two three"), 0, 0);
    assert_float_equal(jaccard_of("", ""), 1, 0);
    assert_float_equal(jaccard_of("\u00fcber \u4e2d\u6587 3 4 5",
        "\u00fcber.\u4e2d\u6587.3.4.5"), 1, 0);
}

/* Ids from, from + 1, ... */
static void
count_up(int32_t *v, size_t n, int32_t from)
{
    for (size_t i = 0; i < n; i++)
        v[i] = from + (int32_t)i;
}

static void
overlap_by_coverage(void **state)
{
    /* A prompt is given away at 80 % of its tokens or 50 in a row. */
    struct overlap o = { 0 };
    int32_t prompt[40], long_one[200], doc[300];

    (void)state;
    count_up(prompt, 40, 1000);
    count_up(long_one, 200, 5000);
    overlap_add(&o, prompt, 40);
    overlap_add(&o, long_one, 200);
    overlap_add(&o, prompt, 5); /* shorter than a run: cannot be found */
    count_up(doc, 300, 100000);
    assert_int_equal(overlap_look(&o, doc, 300), OVERLAP_NONE);
    memcpy(doc + 100, prompt, 12 * sizeof *doc);
    assert_int_equal(overlap_look(&o, doc, 300), OVERLAP_NONE);
    memcpy(doc + 100, prompt, 13 * sizeof *doc);
    assert_int_equal(overlap_look(&o, doc, 300), OVERLAP_PHRASE);
    memcpy(doc + 100, prompt, 31 * sizeof *doc);
    assert_int_equal(overlap_look(&o, doc, 300), OVERLAP_PHRASE);
    memcpy(doc + 100, prompt, 32 * sizeof *doc);
    assert_int_equal(overlap_look(&o, doc, 300), OVERLAP_LEAK);
    count_up(doc, 300, 100000);
    memcpy(doc + 5, long_one + 30, 49 * sizeof *doc);
    assert_int_equal(overlap_look(&o, doc, 300), OVERLAP_PHRASE);
    memcpy(doc + 5, long_one + 30, 50 * sizeof *doc);
    assert_int_equal(overlap_look(&o, doc, 300), OVERLAP_LEAK);
    /* what one document covered does not stay for the next */
    assert_int_equal(overlap_look(&o, long_one + 40, 20), OVERLAP_PHRASE);
    overlap_release(&o);
    assert_int_equal(overlap_look(&o, doc, 300), OVERLAP_NONE);
}

static void
stock_phrases(void **state)
{
    /* A run that more than ten documents of the pool have is no leak. */
    struct overlap o = { 0 };
    int32_t prompt[20];

    (void)state;
    count_up(prompt, 20, 7);
    overlap_add(&o, prompt, 20);
    for (int i = 0; i < CORPUS_STOCK; i++)
        overlap_note(&o, prompt, 20);
    assert_int_equal(overlap_look(&o, prompt, 20), OVERLAP_LEAK);
    overlap_note(&o, prompt, 20);
    assert_int_equal(overlap_look(&o, prompt, 20), OVERLAP_NONE);
    overlap_release(&o);
}

static void
many_runs(void **state)
{
    /* The table grows and still finds every prompt. */
    struct overlap o = { 0 };
    int32_t ids[64];

    (void)state;
    for (int32_t i = 0; i < 500; i++) {
        count_up(ids, 64, 1000 * i);
        overlap_add(&o, ids, 64);
    }
    for (int32_t i = 0; i < 500; i++) {
        count_up(ids, 64, 1000 * i);
        assert_int_equal(overlap_look(&o, ids, 64), OVERLAP_LEAK);
    }
    overlap_release(&o);
}

static void
cap_for_share(void **state)
{
    /* The largest window that keeps everybody at or under the share. */
    static const uint64_t giant[] = { 100, 100, 100, 100, 5000 };
    uint64_t even[50];

    (void)state;
    /* c <= .25 (400 + c): c = 133 */
    assert_int_equal(corpus_cap(giant, 5, 0.25), 133);
    assert_int_equal(corpus_cap(giant, 5, 1), 5000);
    assert_int_equal(corpus_cap(giant, 5, 0.1), 0);
    for (size_t i = 0; i < 50; i++)
        even[i] = 300;
    assert_int_equal(corpus_cap(even, 50, 0.02), 300);
    assert_int_equal(corpus_cap(even, 49, 0.02), 0);
    assert_int_equal(corpus_cap(even, 0, 0.02), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(normal_form),
        cmocka_unit_test(jaccard),
        cmocka_unit_test(overlap_by_coverage),
        cmocka_unit_test(stock_phrases),
        cmocka_unit_test(many_runs),
        cmocka_unit_test(cap_for_share),
    };

    if (getenv("CMOCKA_MESSAGE_OUTPUT") == NULL)
        cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("lib/text/corpus", tests, NULL, NULL);
}
