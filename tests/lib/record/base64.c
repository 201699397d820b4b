/* tests/lib/record/base64.c - lib/record/base64.c */
#include "lib/record/base64.h"

#include "tests/lib/record/fixture.h"

static void
every_length_comes_back(void **state)
{
    /* what is encoded decodes to the same bytes, at every length */
    uint8_t in[100], out[100];

    (void)state;
    for (size_t i = 0; i < sizeof in; i++)
        in[i] = (uint8_t)(i * 37 + 11);
    for (size_t n = 0; n <= sizeof in; n++) {
        struct str s = { 0 };
        size_t got = 999;

        base64_encode(&s, in, n, 0);
        assert_true(base64_decode(out, n, &got, str_get(&s), s.len));
        assert_int_equal(got, n);
        assert_memory_equal(in, out, n);
        if (n > 0)
            assert_false(base64_decode(out, n - 1, &got, s.p, s.len));
        str_release(&s);
    }
}

static void
known_texts(void **state)
{
    /* RFC 4648, section 10 */
    static const char *const pairs[][2] = { { "", "" }, { "f", "Zg==" },
        { "fo", "Zm8=" }, { "foo", "Zm9v" }, { "foob", "Zm9vYg==" },
        { "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" } };

    (void)state;
    for (size_t i = 0; i < countof(pairs); i++) {
        struct str s = { 0 };

        base64_encode(&s, pairs[i][0], strlen(pairs[i][0]), 0);
        assert_string_equal(str_get(&s), pairs[i][1]);
        str_release(&s);
    }
}

static void
one_text_per_value(void **state)
{
    /* any other spelling of a value is refused */
    static const char *const wrong[] = { "Zg", "Zg=", "Zg===", "Zh==", "Zm9=",
        "Zm8", "Zm8=\n", " Zm8=", "Zm=8", "=m8=", "Z===", "====", "Zm9v=",
        "Zm8-", "Zm8_", "Zm8=Zm8=", "Zg==Zg==", "Z\0==" };
    uint8_t out[16];
    size_t n;

    (void)state;
    for (size_t i = 0; i < countof(wrong); i++)
        assert_false(base64_decode(out, sizeof out, &n, wrong[i],
            i + 1 == countof(wrong) ? 4 : strlen(wrong[i])));
}

static void
lines_are_broken(void **state)
{
    /* a line feed ends every full line and the last one, never twice */
    struct str s = { 0 };

    (void)state;
    base64_encode(&s, "foobarfoo", 9, 4);
    assert_string_equal(str_get(&s), "Zm9v\nYmFy\nZm9v\n");
    str_clear(&s);
    base64_encode(&s, "fooba", 5, 6);
    assert_string_equal(str_get(&s), "Zm9vYm\nE=\n");
    str_release(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length_comes_back),
        cmocka_unit_test(known_texts),
        cmocka_unit_test(one_text_per_value),
        cmocka_unit_test(lines_are_broken),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("record/base64", tests, NULL, NULL);
}
