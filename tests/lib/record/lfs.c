/* tests/lib/record/lfs.c - lib/record/lfs.c, object.c and store.c */
#include "lib/record/lfs.h"

#include <sys/stat.h>

#include "lib/base/file.h"
#include "lib/record/store.h"
#include "tests/lib/record/fixture.h"

static const char sample[] = "the bytes of a model";

static void
a_pointer_has_one_form(void **state)
{
    /* what lfs_pointer writes parses back; any other spelling does not */
    static const char *const wrong[] = {
        "version https://git-lfs.github.com/spec/v1\r\noid sha256:%s\nsize 20\n",
        "version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 20",
        "version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 020\n",
        "version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize -1\n",
        "version https://git-lfs.github.com/spec/v1\nsize 20\noid sha256:%s\n",
        "version https://hawser.github.com/spec/v1\noid sha256:%s\nsize 20\n",
        ("version https://git-lfs.github.com/spec/v1\next-0-x sha256:%s\n"
         "size 20\n"),
    };
    struct digest d = digest_of(sample, sizeof sample - 1), got;
    struct str s = { 0 };
    char hex[DIGEST_HEX], text[400];
    uint64_t bytes = 0;

    (void)state;
    lfs_pointer(&s, &d, sizeof sample - 1);
    assert_true(lfs_pointer_parse(s.p, s.len, &got, &bytes));
    assert_true(digest_equal(&d, &got));
    assert_int_equal(bytes, sizeof sample - 1);
    digest_hex(&d, hex);
    for (size_t i = 0; i < countof(wrong); i++) {
        char *at = mem_strdup(wrong[i]);
        char *mark = strstr(at, "%s");

        *mark = 0;
        snprintf(text, sizeof text, "%s%s%s", at, hex, mark + 2);
        assert_false(lfs_pointer_parse(text, strlen(text), &got, &bytes));
        free(at);
    }
    for (size_t n = 0; n < s.len; n++)
        assert_false(lfs_pointer_parse(s.p, n, &got, &bytes));
    str_release(&s);
}

static void
the_store_keeps_and_notices(void **state)
{
    /* an object holds its bytes, read-only; a flipped byte is found; putting
     * the file again mends it */
    const char *path = fixture_path("file"), *store = fixture_path("store1");
    struct digest d;
    uint64_t bytes;
    struct err e = { 0 };
    struct stat st;
    char *object;
    FILE *f;

    (void)state;
    assert_int_equal(file_write(path, sample, sizeof sample - 1, &e), 0);
    assert_int_equal(store_put(store, path, NULL, &d, &bytes, &e), 0);
    object = store_path(store, &d);
    assert_int_equal(stat(object, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0444);
    assert_int_equal(store_check(store, &d, bytes, &e), 0);

    assert_int_equal(chmod(object, 0644), 0);
    f = fopen(object, "r+");
    assert_non_null(f);
    assert_int_equal(fputc('T', f), 'T');
    assert_int_equal(fclose(f), 0);
    assert_int_equal(store_check(store, &d, bytes, &e), ERR_WORK);
    assert_non_null(strstr(e.text, "restore it from a backup"));
    err_clear(&e);
    assert_int_equal(store_put(store, path, &d, &d, &bytes, &e), 0);
    assert_int_equal(store_check(store, &d, bytes, &e), 0);
    free(object);
}

static void
another_file_is_not_kept(void **state)
{
    /* a file that is not what the fingerprint says leaves nothing behind; an
     * object that is not there is unchecked, not wrong */
    const char *path = fixture_path("file"), *store = fixture_path("store2");
    struct digest want = digest_of("x", 1), got;
    uint64_t bytes;
    struct err e = { 0 };

    (void)state;
    assert_int_equal(file_write(path, sample, sizeof sample - 1, &e), 0);
    assert_int_equal(store_put(store, path, &want, &got, &bytes, &e), ERR_WORK);
    assert_non_null(strstr(e.text, "is not what the fingerprint says"));
    assert_false(file_exists(store));
    err_clear(&e);
    assert_int_equal(store_check(store, &want, 1, &e), ERR_UNCHECKED);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pointer_has_one_form),
        cmocka_unit_test(the_store_keeps_and_notices),
        cmocka_unit_test(another_file_is_not_kept),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("lib/record/lfs", tests,
        fixture_setup, fixture_teardown);
}
