/*
 * outfile.c - writing a file whole or not at all; see file.h
 *
 * A temporary is named ".NAME.HOST-PID-N.tmp" and locked with flock while its
 * owner lives. Another outfile_create of the same target removes it when HOST
 * is this host, PID is gone and the lock can be had: a process of another PID
 * namespace that shares the folder still holds its lock.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

enum { NAME_PART = 120, HOST_PART = 64, TRIES = 1000 };

/* One thread at a time makes or sweeps; also guards the serial number. */
static pthread_mutex_t make_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned make_serial;

/* This host's name, cut and without bytes that would not do in a name. */
static void
host_name(char host[HOST_PART])
{
    if (gethostname(host, HOST_PART) != 0)
        host[0] = '\0';
    host[HOST_PART - 1] = '\0';
    for (char *s = host; *s != '\0'; s++)
        if (*s == '/')
            *s = '_';
    if (host[0] == '\0')
        memcpy(host, "host", 5);
}

/*
 * Whether a process is no more: gone, or dead and only not yet waited for by
 * whoever inherited it, which in a container may take for ever.
 */
static bool
process_is_gone(pid_t pid)
{
    char path[40], text[512];
    const char *name_end;
    ssize_t n;
    int fd;

    if (kill(pid, 0) != 0)
        return errno == ESRCH;
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    n = read(fd, text, sizeof text - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    name_end = strrchr(text, ')'); /* the name before it may hold anything */
    return name_end != NULL && strncmp(name_end, ") Z", 3) == 0;
}

/* Whether `tail`, "HOST-PID-N.tmp", tells of an owner that is gone. */
static bool
owner_is_gone(const char *tail, const char *host)
{
    unsigned long long pid, serial;
    size_t n = strlen(host);
    char text[64], *dash, *dot;

    if (strncmp(tail, host, n) != 0 || tail[n] != '-' ||
        strlen(tail + n + 1) >= sizeof text)
        return false;
    memcpy(text, tail + n + 1, strlen(tail + n + 1) + 1);
    dash = strchr(text, '-');
    dot = strchr(text, '.');
    if (dash == NULL || dot == NULL || dot < dash ||
        strcmp(dot, ".tmp") != 0)
        return false;
    *dash = *dot = '\0';
    if (!str_to_u64(text, 0x7fffffff, &pid) || pid == 0 ||
        !str_to_u64(dash + 1, ~0ULL, &serial))
        return false;
    /* our own number: a namesake's leavings unless the lock says otherwise */
    if ((pid_t)pid == getpid())
        return true;
    return process_is_gone((pid_t)pid);
}

/* Removes the leavings of killed writers of the same target. Best effort. */
static void
sweep(const char *dir, const char *prefix, const char *host)
{
    DIR *d = opendir(dir);
    struct dirent *entry;

    if (d == NULL)
        return;
    while ((entry = readdir(d)) != NULL) {
        int fd;

        if (!str_starts(entry->d_name, prefix) ||
            !owner_is_gone(entry->d_name + strlen(prefix), host))
            continue;
        fd = openat(dirfd(d), entry->d_name,
            O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0)
            continue;
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            unlinkat(dirfd(d), entry->d_name, 0);
        close(fd);
    }
    closedir(d);
}

/* Opens a temporary that nobody else has; sets o->tmp and o->slot. */
static int
open_temporary(struct outfile *o, const char *dir, unsigned mode,
    struct err *e)
{
    char host[HOST_PART];
    char *prefix = mem_printf(".%.*s.", NAME_PART, path_base(o->path));
    int fd = -1;

    host_name(host);
    pthread_mutex_lock(&make_lock);
    sweep(dir, prefix, host);
    for (int i = 0; i < TRIES && fd < 0; i++) {
        char *name = mem_printf("%s%s-%ld-%u.tmp", prefix, host,
            (long)getpid(), make_serial++);

        free(o->tmp);
        o->tmp = path_join(dir, name);
        free(name);
        fd = open(o->tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
            (mode_t)mode);
        if (fd < 0 && errno != EEXIST)
            break;
    }
    if (fd >= 0) {
        o->slot = cleanup_add(o->tmp);
        /* where locks are not to be had, the process id alone decides */
        (void)!flock(fd, LOCK_EX | LOCK_NB);
    } else {
        err_sys(e, o->path, "cannot make a temporary file beside it", NULL);
        free(o->tmp);
        o->tmp = NULL;
    }
    pthread_mutex_unlock(&make_lock);
    free(prefix);
    return fd;
}

int
outfile_create(struct outfile *o, const char *path, struct err *e)
{
    return outfile_create_mode(o, path, 0644, e);
}

/* A device, a pipe, a folder: the rename at the end would take its place. */
static bool
is_something_else(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && !S_ISREG(st.st_mode);
}

int
outfile_create_mode(struct outfile *o, const char *path, unsigned mode,
    struct err *e)
{
    char *dir = path_dir(path);
    int fd = -1;

    *o = (struct outfile){ .slot = -1 };
    o->path = mem_strdup(path);
    if (path_base(path)[0] == '\0')
        err_set(e, ERR_WORK, "%s: is not the name of a file; name one", path);
    else if (is_something_else(path))
        err_set(e, ERR_WORK, "%s: is no regular file and would be replaced by "
            "one; name another", path);
    else if (file_mkdirs(dir, e) == 0)
        fd = open_temporary(o, dir, mode, e);
    free(dir);
    if (fd >= 0)
        o->f = fdopen(fd, "wb");
    if (fd >= 0 && o->f == NULL) {
        err_sys(e, path, "cannot open", NULL);
        close(fd);
    }
    if (o->f == NULL) {
        outfile_release(o);
        return e->code;
    }
    hasher_init(&o->hash);
    return 0;
}

void
outfile_write(struct outfile *o, const void *p, size_t n)
{
    if (n == 0 || o->failed)
        return;
    if (fwrite(p, 1, n, o->f) != n) {
        o->failure = errno;
        o->failed = true;
        return;
    }
    hasher_add(&o->hash, p, n);
    o->bytes += n;
}

void
outfile_printf(struct outfile *o, const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (n < 0) {
        o->failure = ENOMEM;
        o->failed = true;
        return;
    }
    outfile_write(o, text, (size_t)n);
    free(text);
}

void
outfile_pad(struct outfile *o, uint64_t alignment)
{
    static const uint8_t zeros[4096];
    uint64_t rest = o->bytes % alignment;
    uint64_t n = rest > 0 ? alignment - rest : 0;

    while (n > 0) {
        size_t part = n < sizeof zeros ? (size_t)n : sizeof zeros;

        outfile_write(o, zeros, part);
        n -= part;
    }
}

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

static int
sync_and_rename(struct outfile *o, struct err *e)
{
    char *dir;
    int code;

    if (fsync(fileno(o->f)) != 0)
        return err_sys(e, o->path, "cannot sync", NULL);
    if (rename(o->tmp, o->path) != 0)
        return err_sys(e, o->path, "cannot rename onto it", NULL);
    o->changed = true;
    cleanup_drop(o->slot);
    o->slot = -1;
    free(o->tmp);
    o->tmp = NULL;
    dir = path_dir(o->path);
    code = sync_folder(dir, e);
    free(dir);
    return code;
}

int
outfile_commit(struct outfile *o, struct err *e)
{
    int code = 0;

    if (!o->failed && fflush(o->f) != 0) {
        o->failure = errno;
        o->failed = true;
    }
    if (o->failed) {
        errno = o->failure;
        code = err_sys(e, o->path, "cannot write", NULL);
    } else {
        o->digest = hasher_final(&o->hash);
        if (!same_as_old(o))
            code = sync_and_rename(o, e);
    }
    /* only NFS and the like have news left at close */
    if (fclose(o->f) != 0 && code == 0)
        code = err_sys(e, o->path, "cannot write", NULL);
    o->f = NULL;
    outfile_release(o);
    return code;
}

void
outfile_release(struct outfile *o)
{
    if (o->f != NULL)
        fclose(o->f); /* what it still buffers goes with the temporary */
    o->f = NULL;
    if (o->tmp != NULL) {
        unlink(o->tmp);
        cleanup_drop(o->slot);
        o->slot = -1;
    }
    free(o->tmp);
    free(o->path);
    o->tmp = o->path = NULL;
    hasher_release(&o->hash);
}

int
file_write(const char *path, const void *p, size_t n, struct err *e)
{
    struct outfile o = { 0 };

    if (outfile_create(&o, path, e) != 0)
        return e->code;
    outfile_write(&o, p, n);
    return outfile_commit(&o, e);
}
