/*
 * fixture.h - what the tests of lib/record share: the throwaway keys, a folder,
 * files read and written in one line
 */
#ifndef QUERN_TESTS_RECORD_FIXTURE_H
#define QUERN_TESTS_RECORD_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/record/key.h"

#define DATA "tests/data/provenance/"

static char fixture_dir[64]; /* one scratch folder for a test program */

static inline int
fixture_setup(void **state)
{
    (void)state;
    memcpy(fixture_dir, "/tmp/quern-test-XXXXXX", 23);
    return mkdtemp(fixture_dir) == NULL;
}

static inline int
fixture_teardown(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", fixture_dir);
    return system(command);
}

/* DIR/NAME of the scratch folder; a few of them are valid at a time. */
static inline const char *
fixture_path(const char *name)
{
    static char paths[8][512];
    static unsigned turn;
    char *p = paths[turn++ % 8];

    snprintf(p, sizeof paths[0], "%s/%s", fixture_dir, name);
    return p;
}

static inline struct blob
fixture_read(const char *path)
{
    struct blob b;
    struct err e = { 0 };

    if (blob_read(&b, path, 1 << 24, &e) != 0)
        fail_msg("%s", e.text);
    return b;
}

static inline void
fixture_write(const char *path, const char *text)
{
    struct err e = { 0 };

    if (file_write(path, text, strlen(text), &e) != 0)
        fail_msg("%s", e.text);
}

/* The seed of a throwaway key of tests/data/provenance. */
static inline struct digest
fixture_seed(const char *name)
{
    char *text = mem_printf("THROWAWAY TEST KEY, DO NOT TRUST: %s", name);
    struct digest d = digest_of(text, strlen(text));

    free(text);
    return d;
}

/* That key as a file in the scratch folder, and open for signing. */
static inline struct signer
fixture_signer(const char *name)
{
    struct digest seed = fixture_seed(name);
    const char *path = fixture_path(name);
    struct signer s;
    struct err e = { 0 };

    if (!file_exists(path) && record_keygen(path, name, seed.b, &e) != 0)
        fail_msg("%s", e.text);
    if (signer_open(&s, path, &e) != 0)
        fail_msg("%s", e.text);
    return s;
}

#endif
