/*
 * lock.c - locks between the steps of one build folder
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/record/stage_private.h"

int
lock_take(int *fd, const char *path, bool alone, struct err *e)
{
    char *dir = path_dir(path);
    int code = file_mkdirs(dir, e);

    free(dir);
    *fd = -1;
    if (code != 0)
        return code;
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (*fd < 0)
        return err_sys(e, path, "cannot open the lock", NULL);
    while (flock(*fd, alone ? LOCK_EX : LOCK_SH) != 0) {
        if (errno == EINTR)
            continue;
        code = errno;
        lock_drop(fd);
        if (code == EOPNOTSUPP || code == ENOSYS || code == ENOLCK)
            return 0; /* some cluster file systems: files stay whole anyway */
        errno = code;
        return err_sys(e, path, "cannot lock", NULL);
    }
    return 0;
}

void
lock_drop(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}
