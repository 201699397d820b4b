/* Tests of lib/base/str.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"

static void
strings_grow(void **state)
{
    /* Appending keeps every byte and a final NUL. */
    struct str s = { 0 };
    char *p;

    (void)state;
    assert_string_equal(str_get(&s), "");
    for (int i = 0; i < 1000; i++) {
        str_addc(&s, (char)('a' + i % 26));
        assert_int_equal(s.p[s.len], 0);
    }
    str_add(&s, "xyz");
    str_addn(&s, "\0q", 2);
    str_addf(&s, "%05d", 42);
    assert_int_equal(s.len, 1000 + 3 + 2 + 5);
    assert_memory_equal(s.p + 1000, "xyz\0q00042", 11);
    str_clear(&s);
    assert_string_equal(str_get(&s), "");
    str_add(&s, "kept");
    p = str_detach(&s);
    assert_string_equal(p, "kept");
    free(p);
    p = str_detach(&s);
    assert_string_equal(p, "");
    free(p);
    str_release(&s);
    str_release(&s);
}

static void
ends_are_compared(void **state)
{
    /* Prefixes and suffixes, also longer than the text. */
    (void)state;
    assert_true(str_starts("abc", "ab"));
    assert_true(str_starts("abc", ""));
    assert_false(str_starts("ab", "abc"));
    assert_true(str_ends("abc", "bc"));
    assert_true(str_ends("abc", ""));
    assert_false(str_ends("bc", "abc"));
}

static void
whole_numbers_are_whole(void **state)
{
    /* Only digits, all of the text, and never past the limit. */
    static const char *const bad[] = { "", " 1", "1 ", "-1", "+1", "0x1",
        "1e3", "18446744073709551616", "99999999999999999999999" };
    unsigned long long v = 5;

    (void)state;
    for (size_t i = 0; i < countof(bad); i++)
        assert_false(str_to_u64(bad[i], ~0ULL, &v));
    assert_false(str_to_u64("101", 100, &v));
    assert_int_equal(v, 5);
    assert_true(str_to_u64("18446744073709551615", ~0ULL, &v));
    assert_true(v == ~0ULL);
    assert_true(str_to_u64("100", 100, &v));
    assert_true(str_to_u64("007", 7, &v));
    assert_int_equal(v, 7);
    assert_false(str_to_u64("8", 7, &v));
}

static void
reals_are_finite_and_decimal(void **state)
{
    /* Decimal, finite, the whole text. */
    static const char *const bad[] = { "", ".", "e5", "1e", "1e+", "nan",
        "inf", "0x10", "1 ", " 1", "1e999", "1,5", "--1", "1.2.3" };
    double v = 3.0;

    (void)state;
    for (size_t i = 0; i < countof(bad); i++)
        assert_false(str_to_double(bad[i], &v));
    assert_true(v == 3.0);
    assert_true(str_to_double("-1.25e-2", &v) && v == -0.0125);
    assert_true(str_to_double(".5", &v) && v == 0.5);
    assert_true(str_to_double("5.", &v) && v == 5.0);
    assert_true(str_to_double("+7", &v) && v == 7.0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_grow),
        cmocka_unit_test(ends_are_compared),
        cmocka_unit_test(whole_numbers_are_whole),
        cmocka_unit_test(reals_are_finite_and_decimal),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("lib/base/str", tests, NULL, NULL);
}
