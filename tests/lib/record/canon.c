/* tests/lib/record/canon.c - lib/record/canon.c */
#include "lib/record/canon.h"

#include "lib/base/json.h"
#include "tests/lib/record/fixture.h"

static void
as_securesystemslib_does(void **state)
{
    /* the bytes that in-toto's own tools signed come out again */
    static const char *const pairs[][2] = {
        { DATA "link/quantize.93cc8fcf.link",
            DATA "link/quantize.link.canonical.json" },
        { DATA "link/root.layout", DATA "link/root.layout.canonical.json" },
    };

    (void)state;
    for (size_t i = 0; i < countof(pairs); i++) {
        struct err e = { 0 };
        json_t *v = json_read(pairs[i][0], 1 << 20, NULL, &e);
        struct blob want = fixture_read(pairs[i][1]);
        struct str got = { 0 };

        assert_non_null(v);
        assert_true(canon_add(&got, json_object_get(v, "signed")));
        assert_int_equal(got.len, want.len);
        assert_memory_equal(got.p, want.p, want.len);
        str_release(&got);
        blob_release(&want);
        json_decref(v);
    }
}

/* The canonical form of a text of JSON; NULL: it has none. Caller frees. */
static char *
canonical(const char *text)
{
    struct err e = { 0 };
    struct str s = { 0 };
    json_t *v = json_parse(text, strlen(text), "test", &e);
    bool good = v != NULL && canon_add(&s, v);

    json_decref(v);
    if (good)
        return str_detach(&s);
    str_release(&s);
    return NULL;
}

static void
strings_escape_two_things(void **state)
{
    /* only the quote and the backslash are escaped; the rest goes as it is */
    char *got = canonical("[\"a\\\"b\\\\c\\n\\u007f\\/<\\u2028\"]");

    (void)state;
    assert_string_equal(got,
        "[\"a\\\"b\\\\c\n\x7f/<\xe2\x80\xa8\"]");
    free(got);
}

static void
members_sort_by_bytes(void **state)
{
    /* U+FFFF comes before U+10000, which UTF-16 would turn round */
    char *got = canonical(
        "{\"\xf0\x90\x80\x80\":1,\"\xef\xbf\xbf\":2,\"b\":[true,false,null],"
        "\"a\":{\"z\":-3,\"y\":{}}}");

    (void)state;
    assert_string_equal(got,
        "{\"a\":{\"y\":{},\"z\":-3},\"b\":[true,false,null],"
        "\"\xef\xbf\xbf\":2,\"\xf0\x90\x80\x80\":1}");
    free(got);
}

static void
numbers_are_whole_and_small(void **state)
{
    /* reals, and integers that some reader would round, are refused */
    char *got;

    (void)state;
    assert_null(canonical("[1.5]"));
    assert_null(canonical("{\"a\":[1e2]}"));
    assert_null(canonical("[9007199254740992]"));
    assert_null(canonical("[-9007199254740992]"));
    got = canonical("[9007199254740991, -9007199254740991]");
    assert_string_equal(got, "[9007199254740991,-9007199254740991]");
    free(got);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_securesystemslib_does),
        cmocka_unit_test(strings_escape_two_things),
        cmocka_unit_test(members_sort_by_bytes),
        cmocka_unit_test(numbers_are_whole_and_small),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("record/canon", tests, NULL, NULL);
}
