/* Tests of lib/base/json.c. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"

static json_t *
parse(const char *text, const char *place, struct err *e)
{
    return json_parse(text, strlen(text), place, e);
}

static void
bad_text_has_a_place(void **state)
{
    /* What is not JSON is refused with file, line and column. */
    static const struct {
        const char *text, *place, *start;
    } v[] = {
        { "", "a.json", "a.json:1:0: not JSON: " },
        { "{\n \"a\": }", "a.json", "a.json:2:7: not JSON: " },
        { "{\"a\":1,\"a\":2}", "a.json", "a.json:1:10: not JSON: " },
        { "[1] x", "s.jsonl:12", "s.jsonl:12:5: not JSON: " },
        { "[nan]", "a", "a:1:4: not JSON: " },
        { "{\"a\":\"\\u0000\"}", "a", "a:1:13: not JSON: " },
    };

    (void)state;
    for (size_t i = 0; i < countof(v); i++) {
        struct err e = { 0 };

        assert_null(parse(v[i].text, v[i].place, &e));
        assert_memory_equal(e.text, v[i].start, strlen(v[i].start));
    }
}

static void
deep_nesting_is_refused(void **state)
{
    /* A million brackets are an error, not a crash. */
    size_t n = 1000000;
    char *text = mem_calloc(n + 1, 1);
    struct err e = { 0 };

    (void)state;
    memset(text, '[', n);
    assert_null(json_parse(text, n, "deep", &e));
    assert_int_equal(e.code, ERR_WORK);
    free(text);
}

static void
getters_name_what_is_missing(void **state)
{
    /* A getter says which key should have been what. */
    struct err e = { 0 };
    json_t *o = parse("{\"i\":5,\"r\":1.5,\"s\":\"x\",\"b\":true,"
        "\"a\":[1],\"o\":{}}", "t", &e);

    (void)state;
    assert_int_equal(json_get_int(o, "i", 0, 5, "t", &e), 5);
    assert_true(json_get_real(o, "r", 0, 2, "t", &e) == 1.5);
    assert_true(json_get_real(o, "i", 0, 9, "t", &e) == 5.0);
    assert_string_equal(json_get_str(o, "s", "t", &e), "x");
    assert_true(json_get_bool(o, "b", "t", &e));
    assert_non_null(json_get_array(o, "a", "t", &e));
    assert_non_null(json_get_object(o, "o", "t", &e));
    assert_int_equal(e.code, 0);

    assert_int_equal(json_get_int(o, "i", 6, 9, "c.json", &e), -1);
    assert_string_equal(e.text,
        "c.json: 'i' is missing or not a whole number from 6 to 9; repair the "
        "file");
    err_clear(&e);
    assert_true(isnan(json_get_real(o, "s", 0, 1, "c.json", &e)));
    assert_string_equal(e.text,
        "c.json: 's' is missing or not a number from 0 to 1; repair the file");
    err_clear(&e);
    assert_null(json_get_str(o, "none", "c.json", &e));
    assert_string_equal(e.text,
        "c.json: 'none' is missing or not a string; repair the file");
    err_clear(&e);
    assert_false(json_get_bool(o, "i", "c.json", &e));
    assert_int_equal(e.code, ERR_WORK);
    json_decref(o);
}

static void
same_tree_same_text(void **state)
{
    /* Keys are sorted, numbers have one form, a newline ends it. */
    struct err e = { 0 };
    json_t *o = parse("{\"b\":0.1,\"a\":[1,2],\"c\":1e300}", "t", &e);
    char *text = json_text(o, true);

    (void)state;
    assert_string_equal(text,
        "{\"a\": [1, 2], \"b\": 0.1, \"c\": 1e300}\n");
    free(text);
    text = json_text(o, false);
    assert_string_equal(text,
        "{\n \"a\": [\n  1,\n  2\n ],\n \"b\": 0.1,\n \"c\": 1e300\n}\n");
    free(text);
    json_decref(o);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_text_has_a_place),
        cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(getters_name_what_is_missing),
        cmocka_unit_test(same_tree_same_text),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("lib/base/json", tests, NULL, NULL);
}
