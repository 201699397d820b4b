/* tests/lib/record/git.c - lib/record/git.c and reflock.c */
#include "lib/record/git.h"

#include <sys/wait.h>

#include "lib/record/reflock.h"
#include "tests/lib/record/fixture.h"

static int
sign_nothing(void *ctx, const void *p, size_t n, struct str *armor,
    struct err *e)
{
    (void)ctx;
    (void)p;
    (void)n;
    (void)e;
    str_add(armor, "-----BEGIN SSH SIGNATURE-----\nAAAA\n"
                   "-----END SSH SIGNATURE-----\n");
    return 0;
}

static struct git_repo *
open_repo(const char *path)
{
    struct git_repo *r = NULL;
    struct err e = { 0 };

    if (git_repo_open(&r, path, true, &e) != 0)
        fail_msg("%s", e.text);
    return r;
}

/* A commit of these files that no ref names. */
static void
commit(struct git_repo *r, const struct git_file *files, size_t n,
    const char *parent, char oid[GIT_OID_TEXT])
{
    struct git_commit_how how = { .name = "a", .mail = "a@b", .time = 1,
        .message = "m\n", .parent = parent,
        .signer = { sign_nothing, NULL } };
    struct err e = { 0 };

    if (git_commit_files(r, files, n, &how, oid, &e) != 0)
        fail_msg("%s", e.text);
}

static void
a_repository_is_made_where_none_is(void **state)
{
    /* at a missing or empty folder, bare by its name; nothing is left beside */
    struct git_repo *r = open_repo(fixture_path("a/b/plain"));

    (void)state;
    assert_true(str_ends(git_repo_dir(r), "/a/b/plain/.git/"));
    git_repo_close(r);
    r = open_repo(fixture_path("bare.git/"));
    assert_true(str_ends(git_repo_dir(r), "/bare.git/"));
    git_repo_close(r);
    assert_int_equal(mkdir(fixture_path("empty"), 0755), 0);
    git_repo_close(open_repo(fixture_path("empty")));
    assert_false(file_exists(fixture_path("empty.new")));
    assert_false(file_exists(fixture_path("bare.git.new")));
}

static void
it_is_not_looked_for_elsewhere(void **state)
{
    /* a folder inside a repository is not that repository, nor made one */
    struct git_repo *r = open_repo(fixture_path("outer"));
    struct err e = { 0 };

    (void)state;
    git_repo_close(r);
    assert_int_equal(mkdir(fixture_path("outer/in"), 0755), 0);
    fixture_write(fixture_path("outer/in/file"), "x");
    assert_int_equal(
        git_repo_open(&r, fixture_path("outer/in"), true, &e), ERR_WORK);
    assert_non_null(strstr(e.text, "outer/in: is no git repository; name one"));
    assert_null(r);
    err_clear(&e);
    assert_int_equal(
        git_repo_open(&r, fixture_path("nowhere"), false, &e), ERR_WORK);
    assert_non_null(strstr(e.text, "nowhere: is not there"));
}

/* What the walk met, as "path=data;". */
static int
gather(void *ctx, const char *path, unsigned mode, const void *data, size_t len,
    struct err *e)
{
    assert_int_equal(mode, 0100644);
    str_addf(ctx, "%s=%.*s;", path, data ? (int)len : 1,
        data ? (const char *)data : "?");
    err_clear(e);
    return 0;
}

static void
a_commit_is_read_back(void **state)
{
    /* files in path order, one by name, and what was signed */
    const struct git_file files[] = { { "b", "2", 1 }, { "a/x", "1", 1 },
        { "a.y", "", 0 } };
    struct git_repo *r = open_repo(fixture_path("read.git"));
    char oid[GIT_OID_TEXT], second[GIT_OID_TEXT];
    struct git_commit c;
    struct str said = { 0 };
    struct err e = { 0 };
    char *data;
    size_t n;

    (void)state;
    commit(r, files, countof(files), NULL, oid);
    commit(r, files, 1, oid, second);
    assert_int_equal(git_commit_walk(r, oid, gather, &said, &e), 0);
    assert_string_equal(said.p, "a.y=;a/x=1;b=2;");
    assert_int_equal(git_commit_file(r, oid, "a/x", &data, &n, &e), 0);
    assert_string_equal(data, "1");
    free(data);
    assert_int_equal(git_commit_file(r, oid, "c", &data, &n, &e), ERR_WORK);
    free(data);
    err_clear(&e);
    assert_int_equal(git_commit_read(r, second, &c, &e), 0);
    assert_string_equal(c.parent, oid);
    assert_string_equal(c.signature,
        "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n");
    assert_null(strstr(c.signed_bytes, "gpgsig"));
    git_commit_release(&c);
    git_commit_release(&c);
    assert_int_equal(git_commit_read(r, "no oid", &c, &e), ERR_WORK);
    str_release(&said);
    git_repo_close(r);
}

static void
what_cannot_be_read_is_handed_on(void **state)
{
    /* a damaged file of a tree does not hide the ones after it */
    const struct git_file files[] = { { "a", "1", 1 }, { "b", "22", 2 } };
    struct git_repo *r = open_repo(fixture_path("damaged.git"));
    char oid[GIT_OID_TEXT];
    struct str said = { 0 };
    struct err e = { 0 };

    (void)state;
    commit(r, files, countof(files), NULL, oid);
    /* the blob "1" */
    assert_int_equal(unlink(fixture_path("damaged.git/objects/56/"
                         "a6051ca2b02b04ef92d5150c9ef600403cb1de")),
        0);
    assert_int_equal(git_commit_walk(r, oid, gather, &said, &e), 0);
    assert_string_equal(said.p, "a=?;b=22;");
    str_release(&said);
    git_repo_close(r);
}

static void
all_refs_move_or_none(void **state)
{
    /* a ref that stands elsewhere stops the others; then all move */
    const struct git_file file = { "a", "1", 1 };
    struct git_repo *r = open_repo(fixture_path("refs.git"));
    char oid[GIT_OID_TEXT], now[GIT_OID_TEXT];
    struct err e = { 0 };
    struct git_move moves[] = { { "refs/x/one", "", oid },
        { "refs/x/two", oid, oid } };

    (void)state;
    commit(r, &file, 1, NULL, oid);
    assert_int_equal(git_refs_move(r, moves, 2, "a", "a@b", 1, "w", &e),
        ERR_WORK);
    assert_non_null(strstr(e.text, "'refs/x/two' moved from "));
    err_clear(&e);
    assert_int_equal(git_ref_read(r, "refs/x/one", now, &e), 0);
    assert_string_equal(now, "");
    moves[1].old = "";
    assert_int_equal(git_refs_move(r, moves, 2, "a", "a@b", 1, "w", &e), 0);
    assert_int_equal(git_ref_read(r, "refs/x/two", now, &e), 0);
    assert_string_equal(now, oid);
    assert_int_equal(git_ref_remove(r, "refs/x/two", oid, &e), 0);
    assert_int_equal(git_ref_read(r, "refs/x/two", now, &e), 0);
    assert_string_equal(now, "");
    git_repo_close(r);
}

static void
locks_of_a_killed_mover_go(void **state)
{
    /* those that it named, and no others; names that lead out are not taken */
    const char *const refs[] = { "refs/x/one" };
    const char *dir = fixture_path("locks/");
    struct err e = { 0 };
    struct blob b;
    int fd;

    (void)state;
    fixture_write(fixture_path("locks/quern/moving"),
        "refs/x/one\nrefs/../../out\n/etc/x\nrefs/x/cut");
    fixture_write(fixture_path("locks/refs/x/one.lock"), "");
    fixture_write(fixture_path("locks/refs/x/two.lock"), "");
    fixture_write(fixture_path("locks/refs/x/cut.lock"), "");
    fixture_write(fixture_path("out.lock"), "");
    assert_int_equal(reflock_take(&fd, dir, refs, 1, &e), 0);
    assert_false(file_exists(fixture_path("locks/refs/x/one.lock")));
    assert_true(file_exists(fixture_path("locks/refs/x/two.lock")));
    assert_true(file_exists(fixture_path("locks/refs/x/cut.lock")));
    assert_true(file_exists(fixture_path("out.lock")));
    b = fixture_read(fixture_path("locks/quern/moving"));
    assert_string_equal(b.p, "refs/x/one\n");
    blob_release(&b);
    reflock_drop(&fd);
    b = fixture_read(fixture_path("locks/quern/moving"));
    assert_int_equal(b.len, 0);
    blob_release(&b);
}

static void
movers_wait_for_each_other(void **state)
{
    /* the second takes the lock when the first drops it, or dies */
    const char *const refs[] = { "refs/x/one" };
    const char *dir = fixture_path("wait/");
    struct err e = { 0 };
    int fd, status;
    pid_t pid;

    (void)state;
    assert_int_equal(reflock_take(&fd, dir, refs, 1, &e), 0);
    pid = fork();
    if (pid == 0) {
        int mine;

        close(fd); /* the lock belongs to the open file, which fork shares */
        _exit(reflock_take(&mine, dir, refs, 1, &e)); /* dies with it */
    }
    usleep(50000);
    assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
    reflock_drop(&fd);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(reflock_take(&fd, dir, refs, 1, &e), 0);
    reflock_drop(&fd);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_repository_is_made_where_none_is),
        cmocka_unit_test(it_is_not_looked_for_elsewhere),
        cmocka_unit_test(a_commit_is_read_back),
        cmocka_unit_test(what_cannot_be_read_is_handed_on),
        cmocka_unit_test(all_refs_move_or_none),
        cmocka_unit_test(locks_of_a_killed_mover_go),
        cmocka_unit_test(movers_wait_for_each_other),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("lib/record/git", tests, fixture_setup,
        fixture_teardown);
}
