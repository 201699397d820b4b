#include "lib/record/reflock.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/record/stage_private.h"

enum { NAMES_LIMIT = 4096 };

/* Removes the lock files of refs that a killed mover named. */
static void
clean_up(int fd, const char *git_dir)
{
    char names[NAMES_LIMIT + 1];
    ssize_t n = pread(fd, names, NAMES_LIMIT, 0);
    char *name = names, *end;

    names[n > 0 ? n : 0] = 0;
    for (; (end = strchr(name, '\n')); name = end + 1) {
        char *lock;

        *end = 0;
        if (!str_starts(name, "refs/") || !path_is_plain(name))
            continue;
        lock = mem_printf("%s%s.lock", git_dir, name);
        unlink(lock);
        free(lock);
    }
}

int
reflock_take(int *fd, const char *git_dir, const char *const *refs, size_t n,
    struct err *e)
{
    char *path = mem_printf("%squern/moving", git_dir);
    struct str names = { 0 };

    if (lock_take(fd, path, true, e) == 0 && *fd >= 0) {
        clean_up(*fd, git_dir);
        for (size_t i = 0; i < n; i++)
            str_addf(&names, "%s\n", refs[i]);
        if (ftruncate(*fd, 0) != 0 ||
            pwrite(*fd, names.p, names.len, 0) != (ssize_t)names.len) {
            err_sys(e, path, "cannot write", NULL);
            lock_drop(fd);
        }
    }
    str_release(&names);
    free(path);
    return e->code;
}

void
reflock_drop(int *fd)
{
    if (*fd >= 0)
        (void)!ftruncate(*fd, 0);
    lock_drop(fd);
}
