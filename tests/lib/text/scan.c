#include "lib/text/scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/err.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/text/regex.h"
#include "lib/text/utf8.h"

enum { ROUNDS = 6000 };

static uint64_t
draw(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* Characters that the regexes treat differently, and any others. */
static void
random_text(struct str *s, uint64_t *seed)
{
    static const char *const bits[] = { " ", "  ", "\n", "\r\n", "\t", "'s",
        "'T", "'re", "'LL", "'v", "'\xc5\xbf", "'", "a", "B", "ab", "Ab", "AB",
        "1", "23", "4567", "/", "//\n", ".", "!?", "_", "\xc3\xa9",
        "e\xcc\x81", "\xcc\x81", "\xcc\x81\xcc\xa3", "\xc7\x85", "\xca\xb0",
        "\xe6\xb0\xb4", "\xc2\xa0", "\xe3\x80\x80", "\xe2\x80\xa8", "\xc2\x85",
        "\xd9\xa3", "\xc2\xbd", "\xe2\x85\xa7", "\xf0\x9f\x8d\x8e",
        "\xe2\x80\x8d", "\xef\xb8\x8f", "\xf0\x9d\x94\xb8", "\xf0\x9d\x94\x9e",
        "$", "\x01", "\x7f", "\xcf\x82", "\xd0\x96" };
    size_t n = draw(seed) % 12 + 1;

    str_clear(s);
    for (size_t i = 0; i < n; i++) {
        uint32_t cp;

        if (draw(seed) % 8 != 0) {
            str_add(s, bits[draw(seed) % countof(bits)]);
            continue;
        }
        do /* but for these, PCRE2 10.42 knows the marks below U+1800 too */
            cp = (uint32_t)(draw(seed) % 0x1800);
        while (cp == 0x897 || cp == 0xcf3 || cp == 0xece);
        utf8_add(s, cp);
    }
}

/* Each scanner cuts random text where PCRE2 cuts it with the same regex. */
static void
test_as_pcre2(void **state)
{
    uint64_t seed = 20250607;
    struct chars chars = { 0 };
    struct str s = { 0 };

    (void)state;
    for (int k = SCAN_NONE + 1; k < SCAN_COUNT; k++) {
        struct err e = { 0 };
        struct regex *r =
            regex_new(scan_regex((enum scan_kind)k), "test", &e);

        assert_non_null(r);
        for (int i = 0; i < ROUNDS; i++) {
            size_t at = 0;

            random_text(&s, &seed);
            while (at < s.len) {
                size_t start = 0, end = 0;
                size_t got = scan_next((enum scan_kind)k, &chars, s.p + at,
                    s.len - at);
                bool found = false;

                assert_int_equal(regex_find(r, s.p, s.len, at, &found, &start,
                                     &end, &e),
                    0);
                assert_true(found);
                if (start != at || end != at + got)
                    fail_msg("%s, \"%s\" at %zu: %zu bytes, PCRE2 %zu",
                        scan_name((enum scan_kind)k), s.p, at, got, end - at);
                at += got;
            }
        }
        regex_free(r);
    }
    str_release(&s);
    chars_release(&chars);
}

/* A scanner is found by its exact regex only. */
static void
test_find(void **state)
{
    (void)state;
    for (int k = SCAN_NONE + 1; k < SCAN_COUNT; k++)
        assert_int_equal(scan_find(scan_regex((enum scan_kind)k)), k);
    assert_int_equal(scan_find(""), SCAN_NONE);
    assert_int_equal(scan_find("\\s+"), SCAN_NONE);
    assert_null(scan_regex(SCAN_NONE));
}

/* Categories follow Unicode 16: older and newer characters are classed. */
static void
test_classes(void **state)
{
    static const struct {
        uint32_t cp;
        unsigned cls;
    } want[] = {
        { 'a', CHAR_LETTER | CHAR_LOWER | CHAR_WORD | CHAR_INERT },
        { 'Z', CHAR_LETTER | CHAR_UPPER | CHAR_WORD | CHAR_INERT },
        { '7', CHAR_NUMBER | CHAR_WORD | CHAR_INERT },
        { '_', CHAR_WORD | CHAR_INERT },
        { ' ', CHAR_SPACE | CHAR_INERT },
        { '+', CHAR_INERT },
        { 0x85, CHAR_SPACE | CHAR_INERT },
        { 0x180e, CHAR_INERT }, /* no white space since Unicode 6.3 */
        { 0xbd, CHAR_NUMBER | CHAR_INERT },
        { 0x301, CHAR_MARK | CHAR_UPPER | CHAR_LOWER | CHAR_WORD },
        { 0xe9, CHAR_LETTER | CHAR_LOWER | CHAR_WORD | CHAR_INERT },
        { 0x212b, CHAR_LETTER | CHAR_UPPER | CHAR_WORD }, /* angstrom sign */
        { 0x1161,
            CHAR_LETTER | CHAR_UPPER | CHAR_LOWER | CHAR_WORD }, /* Hangul */
        { 0x1c89, CHAR_LETTER | CHAR_UPPER | CHAR_WORD | CHAR_INERT },
        { 0x24b6, CHAR_WORD | CHAR_INERT },
        { 0x200d, CHAR_WORD | CHAR_INERT },
        { 0x10ffff, CHAR_INERT },
    };
    struct chars c = { 0 };

    (void)state;
    for (size_t i = 0; i < countof(want); i++) {
        if (chars_get(&c, want[i].cp) != want[i].cls)
            fail_msg("U+%04X: %x, not %x", (unsigned)want[i].cp,
                chars_get(&c, want[i].cp), want[i].cls);
    }
    chars_release(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_pcre2),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_classes),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("lib/text/scan", tests, NULL, NULL);
}
