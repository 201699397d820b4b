/* Tests of lib/base/map_guard.c. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "tests/lib/base/scratch.h"

enum { BYTES = 100000 };

static char dir[64];

/* What the child said, and how it ended. */
static char said[256];
static int status;

/* Reads the last byte of a file that is cut short under it. */
static _Noreturn void
read_what_is_gone(const char *path)
{
    char *temporary = path_join(dir, "out/x");
    char *zeros = mem_calloc(BYTES, 1);
    struct outfile o;
    struct err e = { 0 };
    struct map other, m;

    if (file_write(path, zeros, BYTES, &e) != 0 ||
        map_open(&other, "/proc/self/exe", &e) != 0 ||
        map_open(&m, path, &e) != 0 ||
        outfile_create(&o, temporary, &e) != 0 || truncate(path, 1) != 0)
        _exit(9);
    _exit(*(const volatile uint8_t *)(m.p + m.len - 1) + 2);
}

/* Before cmocka, which catches the signal that this is about, begins. */
static void
run_child(void)
{
    char *path = path_join(dir, "shrinks");
    int pipes[2];
    ssize_t n;
    pid_t pid;

    if (pipe(pipes) != 0 || (pid = fork()) < 0)
        abort();
    if (pid == 0) {
        dup2(pipes[1], STDERR_FILENO);
        read_what_is_gone(path);
    }
    close(pipes[1]);
    n = read(pipes[0], said, sizeof said - 1);
    said[n > 0 ? n : 0] = '\0';
    close(pipes[0]);
    if (waitpid(pid, &status, 0) != pid)
        abort();
    free(path);
}

static void
a_map_that_shrinks_is_named(void **state)
{
    /* A file cut short under its reader: one line that names it, status 1. */
    char want[256];

    (void)state;
    snprintf(want, sizeof want, "%s: %s/shrinks: became shorter or unreadable "
        "while it was read; check the disk and run it again\n",
        program_invocation_short_name, dir);
    assert_string_equal(said, want);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
}

static void
temporaries_go_with_it(void **state)
{
    /* What was being written then is not left behind. */
    char *folder = path_join(dir, "out");

    (void)state;
    assert_int_equal(scratch_count(folder), 0);
    free(folder);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_map_that_shrinks_is_named),
        cmocka_unit_test(temporaries_go_with_it),
    };
    int failed;

    cmocka_set_message_output(CM_OUTPUT_TAP);
    scratch_make(dir);
    run_child();
    failed = cmocka_run_group_tests_name("lib/base/map_guard", tests, NULL,
        NULL);
    scratch_remove(dir);
    return failed;
}
