/* Tests of lib/base/err.c. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "lib/base/err.h"

static void
first_message_wins(void **state)
{
    /* The first message wins and its code is what later calls return. */
    struct err e = { 0 };

    (void)state;
    assert_int_equal(err_set(&e, ERR_USAGE, "a: %d", 1), ERR_USAGE);
    assert_int_equal(err_set(&e, ERR_WORK, "b"), ERR_USAGE);
    assert_string_equal(e.text, "a: 1");
    err_clear(&e);
    assert_int_equal(e.code, ERR_NONE);
    assert_int_equal(err_set(&e, ERR_WORK, "b"), ERR_WORK);
    assert_string_equal(e.text, "b");
}

static void
system_errors_have_a_cure(void **state)
{
    /* A failed system call is told with file, reason and cure. */
    struct err e = { 0 };

    (void)state;
    errno = ENOENT;
    err_sys(&e, "a.json", "cannot open", "run 'ninja' first");
    assert_string_equal(e.text,
        "a.json: cannot open: No such file or directory; run 'ninja' first");
    err_clear(&e);
    errno = ENOSPC;
    assert_int_equal(err_sys(&e, "b", "cannot write", NULL), ERR_WORK);
    assert_string_equal(e.text, "b: cannot write: No space left on device; "
        "free some space and run it again");
}

static void
long_messages_are_cut(void **state)
{
    /* A message longer than the buffer is cut and stays a string. */
    struct err e = { 0 };
    char text[5000];

    (void)state;
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    err_set(&e, ERR_WORK, "%s", text);
    assert_int_equal(strlen(e.text), sizeof e.text - 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_message_wins),
        cmocka_unit_test(system_errors_have_a_cure),
        cmocka_unit_test(long_messages_are_cut),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("lib/base/err", tests, NULL, NULL);
}
