/*
 * scratch.h - a folder of its own for a test program, and what is in it
 */
#ifndef QUERN_TESTS_BASE_SCRATCH_H
#define QUERN_TESTS_BASE_SCRATCH_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Makes the folder; `path` receives its name. */
static inline void
scratch_make(char path[64])
{
    memcpy(path, "/tmp/quern-test-XXXXXX", 23);
    if (mkdtemp(path) == NULL || chmod(path, 0755) != 0)
        abort();
}

static inline void
scratch_remove(const char *path)
{
    char command[128];

    snprintf(command, sizeof command, "rm -rf '%s'", path);
    if (system(command) != 0)
        abort();
}

/* Entries of a folder without `.` and `..`; -1 if it cannot be read. */
static inline int
scratch_count(const char *path)
{
    DIR *d = opendir(path);
    int n = -2;

    if (d == NULL)
        return -1;
    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n;
}

#endif
