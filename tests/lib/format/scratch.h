/*
 * scratch.h - a folder of its own for a test program, gone when it ends
 */
#ifndef QUERN_TESTS_FORMAT_SCRATCH_H
#define QUERN_TESTS_FORMAT_SCRATCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/err.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"

static char scratch[64];

static inline int
scratch_setup(void **state)
{
    const char *tmp = getenv("TMPDIR");

    (void)state;
    snprintf(scratch, sizeof scratch, "%.40s/quern-XXXXXX",
        tmp != NULL && strlen(tmp) <= 40 ? tmp : "/tmp");
    return mkdtemp(scratch) == NULL ? -1 : 0;
}

static inline int
scratch_teardown(void **state)
{
    char *command = mem_printf("rm -rf '%s'", scratch);
    int status = system(command);

    (void)state;
    free(command);
    return status;
}

/* The path of a name in the folder; valid until 8 calls later. */
static inline const char *
in_scratch(const char *name)
{
    static char paths[8][256];
    static unsigned turn;
    char *p = paths[turn++ % 8];

    snprintf(p, sizeof paths[0], "%s/%s", scratch, name);
    return p;
}

/* A file and its folder, without the syncs that file_write makes. */
static inline void
put_file(const char *path, const void *p, size_t n)
{
    struct err e = { 0 };
    char *dir = path_dir(path);
    FILE *f;

    assert_int_equal(file_mkdirs(dir, &e), 0);
    free(dir);
    f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

/* The whole message must be `FILE` and `text` put together. */
static inline void
assert_message(const struct err *e, const char *file, const char *text)
{
    char *want = mem_printf("%s%s", file, text);

    assert_int_equal(e->code, ERR_WORK);
    assert_string_equal(e->text, want);
    free(want);
}

#endif
