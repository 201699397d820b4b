/*
 * Suite files are read as their format says, and refused with the line that is
 * wrong; the checkers are as strict as the format text.
 */
#include "lib/model/suite.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static int
parse(struct suite *s, const char *text, struct err *e)
{
    return suite_parse(s, "s.jsonl", text, strlen(text), e);
}

/* Choices, short checks and long checks come out as they were written. */
static void
reads(void **state)
{
    const char *const choice =
        "{\"id\":\"a\",\"prompt\":\"2+2=\",\"choices\":[\" 4\",\" 5\"],"
        "\"answer\":0,\"length\":3}\n"
        "{\"id\":\"b\",\"prompt\":\"\",\"choices\":[\"x\",\"y\"],\"answer\":1}";
    const char *const answers =
        "{\"id\":\"a\",\"prompt\":\"p\",\"match\":\"exact\",\"target\":\"t\","
        "\"stop\":\"\\n\"}\n"
        "{\"id\":\"b\",\"prompt\":\"p\",\"check\":{\"type\":\"lines_from\","
        "\"n\":2,\"set\":[\"x\",\"y\"],\"distinct\":true},"
        "\"stop\":[\"\\n\",\"Q:\"]}\n";
    struct suite s = { 0 };
    struct err e = { 0 };

    (void)state;
    assert_int_equal(parse(&s, choice, &e), 0);
    assert_int_equal(s.n, 2);
    assert_int_equal(s.kind, SUITE_CHOICE);
    assert_string_equal(s.items[0].choices[1], " 5");
    assert_int_equal(s.items[1].answer, 1);
    assert_string_equal(suite_metric(&s), "acc");

    const struct digest line = digest_of(choice, strcspn(choice, "\n"));
    const struct digest whole = digest_of(choice, strlen(choice));

    assert_true(digest_equal(&s.items[0].digest, &line));
    assert_true(digest_equal(&s.digest, &whole));
    suite_release(&s);
    suite_release(&s);

    assert_int_equal(parse(&s, answers, &e), 0);
    assert_int_equal(s.kind, SUITE_GENERATE);
    assert_string_equal(s.items[0].check.value, "t");
    assert_int_equal(s.items[1].check.type, CHECK_LINES_FROM);
    assert_int_equal(s.items[1].n_stops, 2);
    assert_true(s.items[1].check.distinct);
    assert_string_equal(suite_metric(&s), "check");
    suite_release(&s);
}

/* What is wrong is named with its line and a cure. */
static void
refuses(void **state)
{
#define OK_LINE "{\"id\":\"a\",\"prompt\":\"p\",\"choices\":[\"x\",\"y\"]," \
                "\"answer\":1}\n"
    static const struct {
        const char *text, *message;
    } rows[] = {
        { "", "s.jsonl: has no items; write at least one" },
        { OK_LINE "\n", "s.jsonl:2: the line is empty; delete it" },
        { OK_LINE OK_LINE,
            "s.jsonl:2: id 'a' occurs already in line 1; give it its own" },
        { "[]", "s.jsonl:1: is no JSON object; write an item as "
            "{\"id\": ..., \"prompt\": ...}" },
        { "{\"id\":\"a\",\"prompt\":\"p\"}",
            "s.jsonl:1: has neither 'choices' nor 'match' nor 'check'; write "
            "one" },
        { "{\"id\":\"a\",\"prompt\":\"p\",\"choices\":[\"x\",\"y\"],"
          "\"answer\":0,\"match\":\"exact\"}",
            "s.jsonl:1: has 'choices' and 'match' or 'check'; take one of "
            "them out" },
        { "{\"id\":\"a\",\"prompt\":\"p\",\"choices\":[\"x\",\"y\"],"
          "\"answer\":2}",
            "s.jsonl:1: 'answer' is missing or not a whole number from 0 to "
            "1; repair the file" },
        { "{\"id\":\"a\",\"prompt\":\"p\",\"choices\":[\"x\"],\"answer\":0}",
            "s.jsonl:1: 'choices' is missing or not a list of 2 to 64 texts; "
            "repair the line" },
        { "{\"id\":\"a\",\"prompt\":\"p\",\"choices\":[\"x\",\"\"],"
          "\"answer\":0}",
            "s.jsonl:1: 'choices' has an empty text, which no model can be "
            "asked about; write one" },
        { "{\"id\":\"a\",\"prompt\":\"p\",\"match\":\"fuzzy\","
          "\"target\":\"t\"}",
            "s.jsonl:1: unknown check 'fuzzy'; write exact, last_number, "
            "json_object, lines_from, sentence or word_count" },
        { "{\"id\":\"a\",\"prompt\":\"p\",\"match\":\"exact\"}",
            "s.jsonl:1: 'target' is missing or not a string; repair the file" },
        { "{\"id\":\"a\",\"prompt\":\"p\",\"match\":\"exact\","
          "\"target\":\"t\",\"stop\":\"\"}",
            "s.jsonl:1: 'stop' is empty; leave it out to write on to the "
            "end" },
        { OK_LINE "{\"id\":\"b\",\"prompt\":\"p\",\"match\":\"exact\","
                  "\"target\":\"t\"}",
            "s.jsonl:2: choices and free answers are mixed in one suite; "
            "write two files" },
    };

    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        struct suite s = { 0 };
        struct err e = { 0 };

        assert_int_equal(parse(&s, rows[i].text, &e), ERR_WORK);
        assert_string_equal(e.text, rows[i].message);
        assert_int_equal(s.n, 0);
    }
}

/* A line that is cut short anywhere is refused, never read past its end. */
static void
truncated(void **state)
{
    const char *const whole =
        "{\"id\":\"a\",\"prompt\":\"p\",\"check\":{\"type\":\"json_object\","
        "\"keys\":[\"k\"],\"value\":{\"k\":1}},\"stop\":[\"x\"]}";

    (void)state;
    for (size_t n = 1; n < strlen(whole); n++) {
        struct suite s = { 0 };
        struct err e = { 0 };
        char *part = mem_strndup(whole, n);

        assert_int_equal(suite_parse(&s, "s", part, n, &e), ERR_WORK);
        free(part);
    }
}

/* One item's check, run on an answer. */
static bool
run(const char *check, const char *answer, const char **extracted,
    bool *invalid)
{
    static char kept[256];
    char *line = mem_printf("{\"id\":\"a\",\"prompt\":\"p\",\"check\":%s}",
        check);
    struct suite s = { 0 };
    struct err e = { 0 };
    struct str out = { 0 };
    bool ok;

    assert_int_equal(parse(&s, line, &e), 0);
    ok = check_run(&s.items[0].check, answer, &out, invalid);
    snprintf(kept, sizeof kept, "%s", str_get(&out));
    *extracted = kept;
    str_release(&out);
    suite_release(&s);
    free(line);
    return ok;
}

/* Each checker accepts what its rule says and nothing else. */
static void
checks(void **state)
{
#define NUMBER "{\"type\":\"last_number\",\"value\":\"42\"}"
#define OBJECT "{\"type\":\"json_object\",\"keys\":[\"b\",\"a\"]," \
               "\"value\":{\"a\":1,\"b\":\"x\"}}"
#define LINES "{\"type\":\"lines_from\",\"n\":2,\"set\":[\"red\",\"blue\"]," \
              "\"distinct\":true}"
#define SENTENCE "{\"type\":\"sentence\",\"contains\":\"hill\"," \
                 "\"starts\":\"On\",\"ends_with\":\".\"}"
#define COUNTED "{\"type\":\"word_count\",\"n\":2,\"contains\":\"owl\"}"
    static const struct {
        const char *check, *answer;
        bool ok, invalid;
    } rows[] = {
        { NUMBER, "6 * 7 = 42", true, false },
        { NUMBER, "42. Or 43", false, false },
        { NUMBER, "-42", false, false },
        { NUMBER, "so 50-42", false, false }, /* the last match is -42 */
        { NUMBER, "x - 42", true, false },
        { NUMBER, "none", false, true },
        { NUMBER, "", false, true },
        { OBJECT, "{\"b\": \"x\", \"a\": 1}", true, false },
        { OBJECT, "{\"a\": 1, \"b\": \"x\"}", false, false },
        { OBJECT, "{\"b\": \"x\", \"a\": 2}", false, false },
        { OBJECT, "{\"b\": \"x\"}", false, false },
        { OBJECT, "{\"b\": \"x\", \"a\": 1, \"c\": 1}", false, false },
        { OBJECT, "[1]", false, true },
        { OBJECT, "{\"b\": \"x\", \"a\": 1", false, true },
        { LINES, "red\nblue", true, false },
        { LINES, "blue \n red", true, false },
        { LINES, "red\nred", false, false },
        { LINES, "red", false, false },
        { LINES, "red\nblue\nred", false, false },
        { LINES, "red\n\nblue", false, false },
        { LINES, "red\ngreen", false, false },
        { SENTENCE, "On the hill.", true, false },
        { SENTENCE, "On hill.", false, false },
        { SENTENCE, "On the hills.", false, false },
        { SENTENCE, "Only the hill.", false, false },
        { SENTENCE, "On the hill", false, false },
        { SENTENCE, "On the\nhill.", false, false },
        { COUNTED, "old owl", true, false },
        { COUNTED, "old  owl", true, false },
        { COUNTED, "old owl,", true, false },
        { COUNTED, "old owls", false, false },
        { COUNTED, "owl", false, false },
        { COUNTED, "", false, false },
    };

    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        const char *got;
        bool invalid;
        const bool ok = run(rows[i].check, rows[i].answer, &got, &invalid);

        if (ok != rows[i].ok || invalid != rows[i].invalid)
            fail_msg("%s on '%s': %d %d", rows[i].check, rows[i].answer, ok,
                invalid);
    }
}

/* What was compared is handed out: the number, or the whole answer. */
static void
extracts(void **state)
{
    const char *got;
    bool invalid;

    (void)state;
    run(NUMBER, "1 2 007.", &got, &invalid);
    assert_string_equal(got, "007");
    run(COUNTED, "old owl", &got, &invalid);
    assert_string_equal(got, "old owl");
}

/* Unicode white space goes from both ends, and only from there. */
static void
strips(void **state)
{
    static const char *const rows[][2] = {
        { " a b \n", "a b" },
        { "\xc2\xa0x\xe3\x80\x80", "x" },
        { "\xe2\x80\x89\xe2\x81\x9f", "" },
        { "", "" },
        { "\xe2\x80\x8b", "\xe2\x80\x8b" }, /* zero width space is none */
        { "\xe9", "\xe9" },
    };

    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        size_t len = strlen(rows[i][0]);
        const char *p = text_strip(rows[i][0], &len);

        assert_int_equal(len, strlen(rows[i][1]));
        assert_memory_equal(p, rows[i][1], len);
    }
}

/* The suites of the example are read whole. */
static void
shipped(void **state)
{
    static const struct {
        const char *path;
        size_t n;
    } rows[] = {
        { "examples/pebble/data/suites/facts.jsonl", 500 },
        { "examples/pebble/data/suites/reasoning.jsonl", 500 },
        { "examples/pebble/data/suites/instructions.jsonl", 500 },
        { "examples/pebble/data/suites/retrieval.jsonl", 400 },
        { "examples/pebble/data/suites/edge.jsonl", 200 },
        { "examples/pebble/data/reserve/facts.jsonl", 250 },
        { "examples/pebble/data/reserve/edge.jsonl", 100 },
    };

    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        struct suite s = { 0 };
        struct err e = { 0 };

        if (suite_read(&s, rows[i].path, &e))
            fail_msg("%s", e.text);
        assert_int_equal(s.n, rows[i].n);
        suite_release(&s);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads),
        cmocka_unit_test(refuses),
        cmocka_unit_test(truncated),
        cmocka_unit_test(checks),
        cmocka_unit_test(extracts),
        cmocka_unit_test(strips),
        cmocka_unit_test(shipped),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("model/suite", tests, NULL, NULL);
}
