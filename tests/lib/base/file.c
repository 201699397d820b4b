/* Tests of lib/base/file.c. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "tests/lib/base/scratch.h"

static char dir[64];

static char *
in_dir(const char *name)
{
    return path_join(dir, name);
}

static void
put(const char *path, const void *p, size_t n)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void
blobs_hold_the_whole_file(void **state)
{
    /* Every length comes back whole, with its digest and a final NUL. */
    static const size_t sizes[] = { 0, 1, 65535, 65536, 65537, 300000 };
    char *path = in_dir("blob"), *data = mem_calloc(300000, 1);

    (void)state;
    for (size_t i = 0; i < 300000; i++)
        data[i] = (char)(i * 7 >> 3);
    for (size_t i = 0; i < countof(sizes); i++) {
        struct err e = { 0 };
        struct blob b;
        struct digest d = digest_of(data, sizes[i]);

        put(path, data, sizes[i]);
        assert_int_equal(blob_read(&b, path, 300000, &e), 0);
        assert_int_equal(b.len, sizes[i]);
        assert_memory_equal(b.p, data, sizes[i]);
        assert_int_equal(b.p[b.len], 0);
        assert_true(digest_equal(&b.digest, &d));
        blob_release(&b);
        blob_release(&b);
    }
    free(data);
    free(path);
}

static void
the_limit_holds(void **state)
{
    /* A file past the limit is refused, also one that has no size. */
    char *path = in_dir("blob");
    char text[512];
    struct err e = { 0 };
    struct blob b;

    (void)state;
    put(path, "12345", 5);
    assert_int_equal(blob_read(&b, path, 5, &e), 0);
    blob_release(&b);
    assert_int_equal(blob_read(&b, path, 4, &e), ERR_WORK);
    snprintf(text, sizeof text, "%s: is longer than the limit of 4 bytes; is "
        "it the right file?", path);
    assert_string_equal(e.text, text);
    assert_null(b.p);
    err_clear(&e);
    assert_int_equal(blob_read(&b, "/dev/zero", 100000, &e), ERR_WORK);
    assert_null(b.p);
    err_clear(&e);
    assert_int_equal(blob_read(&b, dir, 100, &e), ERR_WORK);
    free(path);
}

static void
maps_are_regular_files(void **state)
{
    /* A mapping shows the bytes; folders and missing files are refused. */
    char *path = in_dir("map");
    struct err e = { 0 };
    struct map m;

    (void)state;
    put(path, "abc", 3);
    assert_int_equal(map_open(&m, path, &e), 0);
    assert_int_equal(m.len, 3);
    assert_memory_equal(m.p, "abc", 3);
    assert_int_equal(map_unchanged(&m, &e), 0);
    map_let_go(&m); /* the bytes stay, and a change is seen by the name */
    assert_memory_equal(m.p, "abc", 3);
    assert_int_equal(map_unchanged(&m, &e), 0);
    assert_int_equal(truncate(path, 2), 0);
    assert_int_equal(map_unchanged(&m, &e), ERR_WORK);
    err_clear(&e);
    map_close(&m);
    map_close(&m);
    put(path, "", 0);
    assert_int_equal(map_open(&m, path, &e), 0);
    assert_null(m.p);
    assert_int_equal(m.len, 0);
    map_close(&m);
    assert_int_equal(map_open(&m, dir, &e), ERR_WORK);
    err_clear(&e);
    assert_int_equal(map_open(&m, "/dev/null", &e), ERR_WORK);
    err_clear(&e);
    assert_int_equal(map_open(&m, "no/such", &e), ERR_WORK);
    assert_string_equal(e.text,
        "no/such: cannot open: No such file or directory; check the name");
    free(path);
}

static void
nothing_is_waited_for(void **state)
{
    /* A pipe that nobody writes to reads as empty, one with a writer to its
     * end; devices and folders are refused, also for a digest. */
    char *path = in_dir("pipe");
    struct digest d;
    struct err e = { 0 };
    struct blob b;

    (void)state;
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(blob_read(&b, path, 100, &e), 0);
    assert_int_equal(b.len, 0);
    blob_release(&b);

    const pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        int fd = open(path, O_RDWR);

        /* opened for both ends: it does not wait for a reader */
        _exit(fd < 0 || write(fd, "later", 5) != 5 || usleep(200000) != 0);
    }
    while (blob_read(&b, path, 100, &e) == 0 && b.len == 0) {
        blob_release(&b);
        usleep(1000);
    }
    assert_int_equal(b.len, 5);
    assert_memory_equal(b.p, "later", 5);
    blob_release(&b);
    assert_int_equal(waitpid(pid, NULL, 0), pid);

    assert_int_equal(blob_read(&b, "/dev/zero", 100, &e), ERR_WORK);
    assert_string_equal(e.text,
        "/dev/zero: is neither a file nor a pipe; name a file");
    err_clear(&e);
    assert_int_equal(digest_file(&d, NULL, "/dev/zero", &e), ERR_WORK);
    err_clear(&e);
    assert_int_equal(digest_file(&d, NULL, dir, &e), ERR_WORK);
    free(path);
}

static void
a_zeroed_map_owns_nothing(void **state)
{
    /* Closing a zeroed map leaves descriptor 0 alone. */
    struct map m = { 0 };

    (void)state;
    map_close(&m);
    assert_int_equal(dup2(0, 0), 0);
}

static void
folders_are_made(void **state)
{
    /* mkdir -p, twice, and a file in the way is told. */
    char *deep = in_dir("a/b//c/"), *file = in_dir("plain");
    char *under = in_dir("plain/x");
    struct err e = { 0 };

    (void)state;
    assert_int_equal(file_mkdirs(deep, &e), 0);
    assert_true(file_exists(deep));
    assert_int_equal(file_mkdirs(deep, &e), 0);
    assert_int_equal(file_mkdirs(".", &e), 0);
    assert_int_equal(file_mkdirs("/", &e), 0);
    put(file, "x", 1);
    assert_int_equal(file_mkdirs(file, &e), ERR_WORK);
    err_clear(&e);
    assert_int_equal(file_mkdirs(under, &e), ERR_WORK);
    free(deep);
    free(file);
    free(under);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blobs_hold_the_whole_file),
        cmocka_unit_test(the_limit_holds),
        cmocka_unit_test(maps_are_regular_files),
        cmocka_unit_test(nothing_is_waited_for),
        cmocka_unit_test(a_zeroed_map_owns_nothing),
        cmocka_unit_test(folders_are_made),
    };
    int failed;

    cmocka_set_message_output(CM_OUTPUT_TAP);
    scratch_make(dir);
    failed = cmocka_run_group_tests_name("lib/base/file", tests, NULL, NULL);
    scratch_remove(dir);
    return failed;
}
