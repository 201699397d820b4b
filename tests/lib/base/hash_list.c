/* Tests of lib/base/hash_list.c and hash_two.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lib/base/hash_list.h"
#include "lib/base/hash_two.h"
#include "lib/base/mem.h"

enum { LONGEST = 9 << 20, MOST = 200 };

static uint8_t *text;

static int
make_text(void **state)
{
    (void)state;
    text = mem_aligned(LONGEST, 1);
    for (size_t i = 0; i < LONGEST; i++)
        text[i] = (uint8_t)(i * 2654435761u >> 11);
    return 0;
}

static int
free_text(void **state)
{
    (void)state;
    free(text);
    return 0;
}

/* Lists of [0, n) items, each by every way there is, against libcrypto. */
static void
check_list(const struct hash_item *items, size_t n)
{
    struct hash_item v[MOST];

    for (unsigned threads = 1; threads <= 3; threads++) {
        struct pool *pool = pool_new(threads);

        for (int two = 0; two <= hash_two_works(); two++) {
            memcpy(v, items, n * sizeof *v);
            digest_list_by(two, v, n, pool);
            for (size_t i = 0; i < n; i++) {
                struct digest d = digest_of(v[i].p, (size_t)v[i].n);

                assert_true(digest_equal(&d, &v[i].digest));
            }
        }
        pool_free(pool);
    }
}

static void
every_length(void **state)
{
    /* Around each border of blocks and of padding the digest is libcrypto's. */
    struct hash_item v[MOST];

    (void)state;
    for (size_t i = 0; i < MOST; i++)
        v[i] = (struct hash_item){ text + i, i, .mapped = false };
    for (size_t n = 0; n < 8; n++)
        check_list(v, n);
    check_list(v, MOST);
}

static void
uneven_lists(void **state)
{
    /* Long items beside short ones, more threads than items, none at all. */
    static const size_t bytes[] = { 5, LONGEST, 0, 64, (8 << 20) + 1,
        (4 << 20) + 63, 4 << 20, 1 << 20 };
    struct hash_item v[8];

    (void)state;
    for (size_t i = 0; i < 8; i++)
        v[i] = (struct hash_item){ bytes[i] ? text : NULL, bytes[i],
            .mapped = false };
    check_list(v, 8);
    check_list(v + 1, 1);
    check_list(v + 4, 2);
    digest_list(v, 0, NULL);
}

static void
taken_later(void **state)
{
    /* Digests taken beside are the same. */
    struct hash_item v[3] = { { text, LONGEST, .mapped = false },
        { NULL, 0, .mapped = false }, { text, 1000, .mapped = false } };
    struct hash_later *h = hash_later_start(v, 3);

    (void)state;
    hash_later_wait(h);
    for (size_t i = 0; i < 3; i++) {
        struct digest d = digest_of(v[i].p, (size_t)v[i].n);

        assert_true(digest_equal(&d, &v[i].digest));
    }
    hash_later_wait(NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length),
        cmocka_unit_test(uneven_lists),
        cmocka_unit_test(taken_later),
    };

    if (!getenv("CMOCKA_MESSAGE_OUTPUT"))
        cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("lib/base/hash_list", tests, make_text,
        free_text);
}
