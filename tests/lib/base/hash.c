/* Tests of lib/base/hash.c. Vectors: FIPS 180-2 appendix B. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "lib/base/hash.h"
#include "lib/base/mem.h"

static void
known_digests(void **state)
{
    /* SHA-256 of the standard's texts, whole and in pieces. */
    static const struct {
        const char *text, *hex;
    } v[] = {
        { "", "e3b0c44298fc1c149afbf4c8996fb924"
              "27ae41e4649b934ca495991b7852b855" },
        { "abc", "ba7816bf8f01cfea414140de5dae2223"
                 "b00361a396177a9cb410ff61f20015ad" },
        { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
          "248d6a61d20638b8e5c026930c3e6039"
          "a33ce45964ff2167f6ecedd419db06c1" },
    };

    (void)state;
    for (size_t i = 0; i < countof(v); i++) {
        struct digest d = digest_of(v[i].text, strlen(v[i].text)), back;
        struct hasher h = { 0 };
        char hex[DIGEST_HEX];

        assert_string_equal(digest_hex(&d, hex), v[i].hex);
        hasher_init(&h);
        for (size_t j = 0; j < strlen(v[i].text); j++)
            hasher_add(&h, v[i].text + j, 1);
        back = hasher_final(&h);
        assert_null(h.ctx);
        assert_true(digest_equal(&d, &back));
        memset(&back, 0, sizeof back);
        assert_true(digest_parse(&back, hex));
        assert_true(digest_equal(&d, &back));
    }
}

static void
only_exact_hex_is_parsed(void **state)
{
    /* A digest is 64 lower-case hex digits, nothing else. */
    char hex[DIGEST_HEX + 1] = "ba7816bf8f01cfea414140de5dae2223"
                               "b00361a396177a9cb410ff61f20015ad";
    struct digest d = { { 9 } };

    (void)state;
    hex[10] = 'A';
    assert_false(digest_parse(&d, hex));
    hex[10] = 'g';
    assert_false(digest_parse(&d, hex));
    hex[10] = 'a';
    hex[64] = '0';
    assert_false(digest_parse(&d, hex));
    hex[63] = '\0';
    assert_false(digest_parse(&d, hex));
    assert_int_equal(d.b[0], 9);
}

static void
a_missing_file_is_named(void **state)
{
    /* Hashing what is not there says which file. */
    struct err e = { 0 };
    struct digest d;

    (void)state;
    assert_int_equal(digest_file(&d, NULL, "tests/data/no-such", &e),
        ERR_WORK);
    assert_string_equal(e.text, "tests/data/no-such: cannot open: No such "
        "file or directory; check the name");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_digests),
        cmocka_unit_test(only_exact_hex_is_parsed),
        cmocka_unit_test(a_missing_file_is_named),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("lib/base/hash", tests, NULL, NULL);
}
