/* Tests of lib/base/path.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"

static void
plain_names_stay_inside(void **state)
{
    /* A recorded name is relative, plain and cannot climb out. */
    static const char *const good[] = { "a", "a/b.c", "A-1_2.x/y", ".hidden",
        "a..b", "...", "a/.b" };
    static const char *const bad[] = { "", "/", "/a", "a/", "a//b", "..",
        "../a", "a/..", "a/../b", "a b", "a\nb", "a:b", "a$b", "\xc3\xa9" };

    (void)state;
    for (size_t i = 0; i < countof(good); i++)
        assert_true(path_is_plain(good[i]));
    for (size_t i = 0; i < countof(bad); i++)
        assert_false(path_is_plain(bad[i]));
}

static void
check(char *got, const char *want)
{
    assert_string_equal(got, want);
    free(got);
}

static void
names_join_and_part(void **state)
{
    /* Folder and name are joined and parted again. */
    (void)state;
    check(path_join("", "a"), "a");
    check(path_join(".", "a"), "a");
    check(path_join("x", "a"), "x/a");
    check(path_join("x/", "a"), "x/a");
    check(path_join("/", "a"), "/a");
    check(path_dir("a"), ".");
    check(path_dir("/a"), "/");
    check(path_dir("x/y/a"), "x/y");
    assert_string_equal(path_base("x/y/a"), "a");
    assert_string_equal(path_base("a"), "a");
    assert_string_equal(path_base("a/"), "");
}

static void
a_models_folder(void **state)
{
    /* A folder is its own; of a file, also one that is gone, where it lies. */
    (void)state;
    check(path_folder("tests"), "tests");
    check(path_folder("tests/run.py"), "tests");
    check(path_folder("README.md"), ".");
    check(path_folder("nowhere/m.gguf"), "nowhere");
    check(path_folder("nowhere/m"), "nowhere/m");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_names_stay_inside),
        cmocka_unit_test(names_join_and_part),
        cmocka_unit_test(a_models_folder),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("lib/base/path", tests, NULL, NULL);
}
