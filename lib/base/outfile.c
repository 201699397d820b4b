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

enum {
    NAME_PART = 120,
    HOST_PART = 64,
    TRIES = 1000,
    START_BYTES = 8 << 20, /* worth a request to the disk */
    SHARE_BYTES = 1 << 18, /* worth a second thread */
};

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
    o->fresh = !file_exists(path);
    hasher_init(&o->hash);
    return 0;
}

/*
 * What is in the system's memory starts on its way to the disk, so that the
 * fsync at the end finds little left. Not where an old file may turn out to be
 * equal: then nothing shall be written to the disk at all.
 */
static void
start_storing(struct outfile *o)
{
#ifdef SYNC_FILE_RANGE_WRITE
    const uint64_t n = o->bytes - o->started;

    if (o->fresh && n >= START_BYTES &&
        sync_file_range(fileno(o->f), (off_t)o->started, (off_t)n,
            SYNC_FILE_RANGE_WRITE) == 0)
        o->started = o->bytes;
#endif
}

/* What is to be written: n bytes at p, which may lie in a mapped file. */
struct parcel {
    struct outfile *o;
    const void *p;
    size_t n;
    const struct map *from; /* or NULL */
};

/*
 * From file to file within the system, which saves it a copy and the faults of
 * a mapping. Returns how many bytes went that way: not all systems can.
 */
static size_t
copy_within(const struct parcel *a)
{
    size_t done = 0;
#ifdef __linux__
    loff_t at = (loff_t)((const uint8_t *)a->p - a->from->p);

    if (fflush(a->o->f) != 0)
        return 0; /* and the next write will say why */
    while (done < a->n) {
        ssize_t n = copy_file_range(a->from->fd, &at, fileno(a->o->f), NULL,
            a->n - done, 0);

        if (n <= 0)
            break;
        done += (size_t)n;
    }
#endif
    return done;
}

static void
put(const struct parcel *a)
{
    struct outfile *o = a->o;
    size_t n = a->from != NULL && a->n >= SHARE_BYTES ? copy_within(a) : 0;

    if (fwrite((const uint8_t *)a->p + n, 1, a->n - n, o->f) != a->n - n) {
        o->failure = errno;
        o->failed = true;
        return;
    }
    o->bytes += a->n;
    start_storing(o);
}

/* The digest is one chain, so it is what takes longest: it comes first. */
static void
hash_or_put(void *ctx, size_t i, unsigned thread)
{
    const struct parcel *a = ctx;

    (void)thread;
    if (i == 0)
        hasher_add(&a->o->hash, a->p, a->n);
    else
        put(a);
}

void
outfile_copy(struct outfile *o, const struct map *from, const void *p,
    size_t n)
{
    struct parcel a = { o, p, n, from };

    if (n == 0 || o->failed)
        return;
    pool_run(n < SHARE_BYTES ? NULL : o->pool, 2, hash_or_put, &a);
}

void
outfile_write(struct outfile *o, const void *p, size_t n)
{
    outfile_copy(o, NULL, p, n);
}

void
outfile_expect(struct outfile *o, uint64_t bytes)
{
#ifdef __linux__
    if (bytes >= START_BYTES)
        (void)!fallocate(fileno(o->f), FALLOC_FL_KEEP_SIZE, 0, (off_t)bytes);
#else
    (void)o;
    (void)bytes;
#endif
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
