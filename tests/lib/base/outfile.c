/* Tests of lib/base/outfile.c and cleanup.c. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "tests/lib/base/scratch.h"

enum { SKIPPED = 77 };

static char dir[64], target[80];

/* A fresh folder for each test. */
static int
setup(void **state)
{
    (void)state;
    scratch_make(dir);
    snprintf(target, sizeof target, "%s/out", dir);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    scratch_remove(dir);
    return 0;
}

static void
must_write(const char *text)
{
    struct err e = { 0 };

    assert_int_equal(file_write(target, text, strlen(text), &e), 0);
}

static void
expect_text(const char *text)
{
    struct err e = { 0 };
    struct blob b;

    assert_int_equal(blob_read(&b, target, 1 << 24, &e), 0);
    assert_string_equal(b.p, text);
    blob_release(&b);
}

/* Runs fn in a child and returns its wait status. */
static int
in_child(void (*fn)(void))
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        fn();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void
files_appear_whole(void **state)
{
    /* A committed file has the bytes, the digest, and no company. */
    char deep[96];
    struct err e = { 0 };
    struct outfile o;
    struct digest d = digest_of("hello 42\0\0\0", 11);
    struct stat st;

    (void)state;
    snprintf(deep, sizeof deep, "%s/a/b/out", dir);
    assert_int_equal(outfile_create(&o, deep, &e), 0);
    outfile_write(&o, "hello ", 6);
    outfile_printf(&o, "%d", 42);
    outfile_pad(&o, 11);
    outfile_pad(&o, 11);
    assert_false(file_exists(deep));
    assert_int_equal(outfile_commit(&o, &e), 0);
    assert_true(o.changed);
    assert_int_equal(o.bytes, 11);
    assert_true(digest_equal(&o.digest, &d));
    outfile_release(&o);
    assert_int_equal(stat(deep, &st), 0);
    assert_int_equal(st.st_size, 11);
    *strrchr(deep, '/') = '\0';
    assert_int_equal(scratch_count(deep), 1);
}

static void
equal_bytes_keep_the_old_file(void **state)
{
    /* The same bytes again leave file and time alone; others replace it. */
    struct stat before, after;
    struct err e = { 0 };
    struct outfile o;

    (void)state;
    must_write("same");
    assert_int_equal(stat(target, &before), 0);
    usleep(20000);
    assert_int_equal(outfile_create(&o, target, &e), 0);
    outfile_write(&o, "same", 4);
    assert_int_equal(outfile_commit(&o, &e), 0);
    assert_false(o.changed);
    assert_int_equal(stat(target, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    assert_memory_equal(&before.st_mtim, &after.st_mtim,
        sizeof before.st_mtim);
    must_write("diff");
    expect_text("diff");
    assert_int_equal(scratch_count(dir), 1);
}

static void
what_is_not_committed_goes(void **state)
{
    /* Release without commit leaves the old bytes and nothing else. */
    struct err e = { 0 };
    struct outfile o;

    (void)state;
    must_write("old");
    assert_int_equal(outfile_create(&o, target, &e), 0);
    outfile_write(&o, "new", 3);
    outfile_release(&o);
    outfile_release(&o);
    expect_text("old");
    assert_int_equal(scratch_count(dir), 1);
}

static void
die_while_writing(void)
{
    struct err e = { 0 };
    struct outfile o;

    if (outfile_create(&o, target, &e) != 0)
        _exit(1);
    for (int i = 0; i < 10000; i++)
        outfile_write(&o, "new bytes", 9);
    raise(SIGKILL);
}

static void
a_kill_leaves_the_old_file(void **state)
{
    /* After kill -9 the old file is whole; the next writer sweeps up. */
    (void)state;
    must_write("old");
    assert_true(WIFSIGNALED(in_child(die_while_writing)));
    expect_text("old");
    assert_int_equal(scratch_count(dir), 2);
    must_write("next");
    expect_text("next");
    assert_int_equal(scratch_count(dir), 1);
}

static void
be_terminated(void)
{
    struct err e = { 0 };
    struct outfile o;

    file_catch_signals();
    if (outfile_create(&o, target, &e) != 0)
        _exit(1);
    outfile_write(&o, "new", 3);
    raise(SIGTERM);
}

static void
exit_early(void)
{
    struct err e = { 0 };
    struct outfile o;

    if (outfile_create(&o, target, &e) != 0)
        _exit(1);
    exit(0);
}

static void
signals_and_exit_clean_up(void **state)
{
    /* SIGTERM and exit() take the temporary along; the signal still kills. */
    int status;

    (void)state;
    status = in_child(be_terminated);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGTERM);
    assert_int_equal(scratch_count(dir), 0);
    assert_int_equal(in_child(exit_early), 0);
    assert_int_equal(scratch_count(dir), 0);
}

static void
write_in_child(void)
{
    struct err e = { 0 };

    _exit(file_write(target, "child", 5, &e));
}

static void
a_living_writer_is_left_alone(void **state)
{
    /* Two writers of one file: each finishes, the last one wins. */
    struct err e = { 0 };
    struct outfile o, second;

    (void)state;
    assert_int_equal(outfile_create(&o, target, &e), 0);
    outfile_write(&o, "parent", 6);
    assert_int_equal(in_child(write_in_child), 0);
    expect_text("child");
    assert_int_equal(outfile_create(&second, target, &e), 0);
    outfile_release(&second);
    assert_int_equal(outfile_commit(&o, &e), 0);
    expect_text("parent");
    assert_int_equal(scratch_count(dir), 1);
}

/* Writes 40,000 bytes in odd pieces; the error's code. */
static int
write_much(struct err *e)
{
    struct outfile o;
    char piece[777];

    memset(piece, 'n', sizeof piece);
    if (outfile_create(&o, target, e) != 0)
        return e->code;
    for (int i = 0; i < 40000 / 777; i++)
        outfile_write(&o, piece, sizeof piece);
    return outfile_commit(&o, e);
}

static void
meet_the_size_limit(void)
{
    /* Every 1,500th byte in turn is the one that cannot be written. */
    signal(SIGXFSZ, SIG_IGN);
    for (rlim_t limit = 0; limit < 39000; limit += 1500) {
        struct rlimit r = { limit, RLIM_INFINITY };
        struct err e = { 0 };

        if (setrlimit(RLIMIT_FSIZE, &r) != 0 || write_much(&e) != ERR_WORK ||
            strstr(e.text, "/out: cannot write: File too large; ") == NULL)
            _exit(1);
        if (scratch_count(dir) != 1)
            _exit(2);
    }
}

static void
any_failing_write_is_reported(void **state)
{
    /* Whichever write fails: one error, the old bytes, nothing left over. */
    (void)state;
    must_write("old");
    assert_int_equal(in_child(meet_the_size_limit), 0);
    expect_text("old");
}

static void
fill_a_small_disk(void)
{
    struct err e = { 0 };
    int code;

    if (unshare(CLONE_NEWNS) != 0 ||
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", dir, "tmpfs", 0, "size=16k") != 0)
        _exit(SKIPPED);
    if (file_write(target, "old", 3, &e) != 0)
        _exit(1);
    code = write_much(&e);
    if (code != ERR_WORK || strstr(e.text,
        "No space left on device; free some space and run it again") == NULL)
        _exit(2);
    expect_text("old");
    _exit(scratch_count(dir) == 1 ? 0 : 3);
}

static void
a_full_disk_is_reported(void **state)
{
    /* A full disk: one error, the old bytes, nothing left over. */
    int status = in_child(fill_a_small_disk);

    (void)state;
    if (WEXITSTATUS(status) == SKIPPED)
        skip();
    assert_int_equal(status, 0);
}

static void
write_as_somebody_else(void)
{
    struct err e = { 0 };

    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
        _exit(SKIPPED);
    if (file_write(target, "new", 3, &e) != ERR_WORK)
        _exit(1);
    _exit(strstr(e.text, "/out: cannot make a temporary file beside it: "
        "Permission denied; check the permissions") == NULL);
}

static void
a_read_only_folder_is_reported(void **state)
{
    /* Who may not write in the folder gets one error; the file stays. */
    int status;

    (void)state;
    must_write("old");
    assert_int_equal(chmod(dir, 0555), 0);
    status = in_child(write_as_somebody_else);
    assert_int_equal(chmod(dir, 0755), 0);
    if (WEXITSTATUS(status) == SKIPPED)
        skip();
    assert_int_equal(status, 0);
    expect_text("old");
    assert_int_equal(scratch_count(dir), 1);
}

/* Starts a file of that name in the scratch folder. */
static void
start(struct outfile *o, const char *name, const char *text)
{
    struct err e = { 0 };
    char path[128];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_int_equal(outfile_create(o, path, &e), 0);
    outfile_write(o, text, strlen(text));
}

static bool
is_there(const char *name)
{
    char path[128];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    return file_exists(path);
}

static void
several_are_committed(void **state)
{
    /* Files of two folders come together; one that is equal stays as it is. */
    struct outfile o[4];
    struct outfile *const all[] = { &o[0], &o[1], &o[2], &o[3] };
    struct digest d = digest_of("two", 3);
    struct err e = { 0 };

    (void)state;
    must_write("same");
    start(&o[0], "a/one", "one");
    start(&o[1], "out", "same");
    start(&o[2], "a/two", "two");
    start(&o[3], "b/three", "three");
    assert_int_equal(outfile_finish(&o[2], &e), 0);
    assert_true(digest_equal(&o[2].digest, &d));
    assert_false(is_there("a/one") || is_there("a/two"));
    assert_int_equal(outfile_commit_all(all, 4, &e), 0);
    assert_true(is_there("a/one") && is_there("a/two") && is_there("b/three"));
    assert_true(o[0].changed && !o[1].changed && o[2].changed);
    assert_true(digest_equal(&o[2].digest, &d));
    assert_int_equal(scratch_count(dir), 3);
    assert_int_equal(outfile_commit_all(all, 0, &e), 0);
}

static void
what_comes_later_waits(void **state)
{
    /* When one cannot take its name, none that comes after it does. */
    struct outfile o[3];
    struct outfile *const all[] = { &o[0], &o[1], &o[2] };
    struct err e = { 0 };
    char path[128];

    (void)state;
    start(&o[0], "a/one", "one");
    start(&o[1], "b/two", "two");
    start(&o[2], "c/three", "three");
    snprintf(path, sizeof path, "%s/b/two", dir);
    assert_int_equal(mkdir(path, 0700), 0); /* after it was looked at */
    assert_int_equal(outfile_commit_all(all, 3, &e), ERR_WORK);
    assert_non_null(strstr(e.text, "b/two: cannot rename onto it"));
    assert_true(is_there("a/one"));
    snprintf(path, sizeof path, "%s/c", dir);
    assert_int_equal(scratch_count(path), 0);
    snprintf(path, sizeof path, "%s/b", dir);
    assert_int_equal(scratch_count(path), 1);
}

enum { LONG = 20 << 20 };

/* Copies a long mapping in uneven parts; the copy and its digest are right. */
static void
copy_long(struct pool *pool)
{
    const size_t part[] = { 1, 300001, 4095, 9 << 20, 0 };
    struct map from, copy;
    struct err e = { 0 };
    struct digest d;
    struct outfile o;
    char path[128];
    size_t at = 0;

    snprintf(path, sizeof path, "%s/copy", dir);
    assert_int_equal(map_open(&from, target, &e), 0);
    assert_int_equal(outfile_create(&o, path, &e), 0);
    o.pool = pool;
    outfile_expect(&o, LONG + 5);
    for (size_t i = 0; i < 5; i++) {
        size_t n = part[i] ? part[i] : LONG - at;

        outfile_copy(&o, &from, from.p + at, n);
        at += n;
    }
    outfile_write(&o, "after", 5);
    assert_int_equal(outfile_commit(&o, &e), 0);
    assert_int_equal(map_open(&copy, path, &e), 0);
    assert_int_equal(copy.len, LONG + 5);
    assert_memory_equal(copy.p, from.p, LONG);
    assert_memory_equal(copy.p + LONG, "after", 5);
    d = digest_of(copy.p, copy.len);
    assert_true(digest_equal(&d, &o.digest));
    map_close(&from);
    map_close(&copy);
    unlink(path);
}

static void
mappings_are_copied(void **state)
{
    /* Long files go from file to file with any number of threads. */
    uint8_t *text = mem_aligned(LONG, 1);
    struct err e = { 0 };
    struct pool *two = pool_new(2);

    (void)state;
    for (size_t i = 0; i < LONG; i++)
        text[i] = (uint8_t)(i * 2654435761u >> 13);
    assert_int_equal(file_write(target, text, LONG, &e), 0);
    copy_long(NULL);
    copy_long(two);
    pool_free(two);
    free(text);
}

static void
secrets_are_private(void **state)
{
    /* Mode 0600 holds, also when the same bytes lay there for everybody. */
    struct err e = { 0 };
    struct outfile o;
    struct stat st;

    (void)state;
    must_write("secret");
    assert_int_equal(outfile_create_mode(&o, target, 0600, &e), 0);
    outfile_write(&o, "secret", 6);
    assert_int_equal(outfile_commit(&o, &e), 0);
    assert_int_equal(stat(target, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void
links_are_replaced(void **state)
{
    /* A symbolic link under the target's name is replaced, not followed. */
    char other[96];
    struct stat st;

    (void)state;
    snprintf(other, sizeof other, "%s/other", dir);
    assert_int_equal(symlink(other, target), 0);
    must_write("x");
    assert_int_equal(lstat(target, &st), 0);
    assert_true(S_ISREG(st.st_mode));
    assert_false(file_exists(other));
}

static void
long_names_work(void **state)
{
    /* A name of 255 bytes can be written; the temporary's is shorter. */
    char path[400];
    struct err e = { 0 };

    (void)state;
    snprintf(path, sizeof path, "%s/", dir);
    memset(path + strlen(dir) + 1, 'n', 255);
    path[strlen(dir) + 1 + 255] = '\0';
    assert_int_equal(file_write(path, "x", 1, &e), 0);
    assert_true(file_exists(path));
    assert_int_equal(file_write("/tmp/", "x", 1, &e), ERR_WORK);
}

/* A pipe or a folder in the place of the file is refused and stays. */
static void
nothing_else_is_replaced(void **state)
{
    struct stat before, after;
    struct outfile o;

    (void)state;
    for (int folder = 0; folder < 2; folder++) {
        struct err e = { 0 };

        assert_int_equal(folder ? mkdir(target, 0700) : mkfifo(target, 0600),
            0);
        assert_int_equal(stat(target, &before), 0);
        assert_int_equal(outfile_create(&o, target, &e), ERR_WORK);
        assert_non_null(strstr(e.text, "is no regular file"));
        assert_int_equal(stat(target, &after), 0);
        assert_int_equal(before.st_ino, after.st_ino);
        assert_int_equal(before.st_mode, after.st_mode);
        assert_int_equal(remove(target), 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        TEST(files_appear_whole),
        TEST(nothing_else_is_replaced),
        TEST(equal_bytes_keep_the_old_file),
        TEST(what_is_not_committed_goes),
        TEST(a_kill_leaves_the_old_file),
        TEST(signals_and_exit_clean_up),
        TEST(a_living_writer_is_left_alone),
        TEST(any_failing_write_is_reported),
        TEST(a_full_disk_is_reported),
        TEST(a_read_only_folder_is_reported),
        TEST(several_are_committed),
        TEST(what_comes_later_waits),
        TEST(mappings_are_copied),
        TEST(secrets_are_private),
        TEST(links_are_replaced),
        TEST(long_names_work),
#undef TEST
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("lib/base/outfile", tests, NULL,
        NULL);
}
