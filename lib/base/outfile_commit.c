/*
 * outfile_commit.c - from temporaries to files in place; see file.h
 *
 * A disk answers each request to store something for good after milliseconds,
 * and several at once in hardly more. So the files of one commit are synced by
 * a thread each, and a folder once for all files that go there in a row.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"

/* Whether the target is a plain file with these very bytes and this mode. */
static bool
same_as_old(const struct outfile *o)
{
    struct err quiet = { 0 };
    struct stat old, new;
    struct digest d;
    uint64_t bytes = 0;
    bool same;
    int fd;

    if (fstat(fileno(o->f), &new) != 0 || lstat(o->path, &old) != 0 ||
        !S_ISREG(old.st_mode) || (uint64_t)old.st_size != o->bytes)
        return false;
    /* a secret that anybody could read must not stay so */
    if ((old.st_mode & 077 & ~new.st_mode) != 0)
        return false;
    fd = open(o->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return false;
    same = digest_fd(&d, &bytes, fd, o->path, &quiet) == 0 &&
        bytes == o->bytes && digest_equal(&d, &o->digest);
    close(fd);
    return same;
}

/* fsync of a folder; file systems that cannot are let off. */
static int
sync_folder(const char *dir, struct err *e)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int code = 0;

    if (fd < 0)
        return err_sys(e, dir, "cannot open the folder", NULL);
    if (fsync(fd) != 0 && errno != EINVAL && errno != ENOTSUP)
        code = err_sys(e, dir, "cannot sync the folder", NULL);
    close(fd);
    return code;
}

int
outfile_finish(struct outfile *o, struct err *e)
{
    if (o->hash.ctx == NULL) /* done before */
        return 0;
    if (!o->failed && fflush(o->f) != 0) {
        o->failure = errno;
        o->failed = true;
    }
    if (o->failed) {
        errno = o->failure;
        return err_sys(e, o->path, "cannot write", NULL);
    }
    o->digest = hasher_final(&o->hash);
    o->changed = !same_as_old(o);
    return 0;
}

/* A file to be synced; `failure` is errno, 0 when it is on the disk. */
struct syncing {
    struct outfile *o;
    pthread_t id;
    bool apart;
    int failure;
};

static void *
sync_one(void *arg)
{
    struct syncing *s = arg;

    s->failure = fsync(fileno(s->o->f)) != 0 ? errno : 0;
    return NULL;
}

/* The first waits itself; where there are no threads, all do. */
static int
sync_files(struct outfile *const *v, size_t n, struct err *e)
{
    struct syncing *all = mem_calloc(n, sizeof *all);
    int code = 0;

    for (size_t i = n; i-- > 0;) {
        all[i].o = v[i];
        all[i].apart = v[i]->changed && i > 0 &&
            pthread_create(&all[i].id, NULL, sync_one, &all[i]) == 0;
    }
    for (size_t i = 0; i < n; i++)
        if (all[i].apart)
            pthread_join(all[i].id, NULL);
        else if (v[i]->changed)
            sync_one(&all[i]);
    for (size_t i = 0; i < n && code == 0; i++)
        if ((errno = all[i].failure) != 0)
            code = err_sys(e, v[i]->path, "cannot sync", NULL);
    free(all);
    return code;
}

static int
put_in_place(struct outfile *o, struct err *e)
{
    if (rename(o->tmp, o->path) != 0)
        return err_sys(e, o->path, "cannot rename onto it", NULL);
    cleanup_drop(o->slot);
    o->slot = -1;
    free(o->tmp);
    o->tmp = NULL;
    return 0;
}

/* Renames in order; a folder is synced before the next folder's turn. */
static int
rename_files(struct outfile *const *v, size_t n, struct err *e)
{
    char *dir = NULL;
    int code = 0;

    for (size_t i = 0; i < n && code == 0; i++) {
        char *last = dir;

        if (!v[i]->changed)
            continue;
        dir = path_dir(v[i]->path);
        if (last != NULL && strcmp(last, dir) != 0)
            code = sync_folder(last, e);
        free(last);
        if (code == 0)
            code = put_in_place(v[i], e);
    }
    if (code == 0 && dir != NULL)
        code = sync_folder(dir, e);
    free(dir);
    return code;
}

int
outfile_commit_all(struct outfile *const *v, size_t n, struct err *e)
{
    int code = 0;

    for (size_t i = 0; i < n && code == 0; i++)
        code = outfile_finish(v[i], e);
    if (code == 0)
        code = sync_files(v, n, e);
    if (code == 0)
        code = rename_files(v, n, e);
    for (size_t i = 0; i < n; i++) {
        /* only NFS and the like have news left at close */
        if (fclose(v[i]->f) != 0 && code == 0)
            code = err_sys(e, v[i]->path, "cannot write", NULL);
        v[i]->f = NULL;
        outfile_release(v[i]);
    }
    return code;
}

int
outfile_commit(struct outfile *o, struct err *e)
{
    return outfile_commit_all(&o, 1, e);
}
