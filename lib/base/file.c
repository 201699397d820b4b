/*
 * file.c - reading and mapping files; see file.h
 */
#include "lib/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/map_guard.h"
#include "lib/base/mem.h"

enum { READ_BYTES = 64 * 1024 };

static int
too_long(const char *path, size_t limit, struct err *e)
{
    return err_set(e, ERR_WORK,
        "%s: is longer than the limit of %zu bytes; is it the right file?",
        path, limit);
}

/* Reads to the end of `fd`; the buffer grows with what was really there. */
static int
read_all(struct blob *b, int fd, const char *path, size_t limit, struct err *e)
{
    size_t cap = 0;

    for (;;) {
        ssize_t n;

        if (cap - b->len < READ_BYTES + 1) {
            cap = cap > 0 ? cap * 2 : 2 * READ_BYTES;
            b->p = mem_realloc(b->p, cap, 1);
        }
        n = read(fd, b->p + b->len, cap - b->len - 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(e, path, "cannot read", NULL);
        if (n == 0)
            break;
        b->len += (size_t)n;
        if (b->len > limit)
            return too_long(path, limit, e);
    }
    b->p[b->len] = '\0';
    b->digest = digest_of(b->p, b->len);
    return 0;
}

int
file_open(const char *path, struct err *e)
{
    /* O_NONBLOCK: opening a FIFO must not wait for a writer */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;

    if (fd < 0) {
        err_sys(e, path, "cannot open", NULL);
        return -1;
    }
    if (fstat(fd, &st) != 0)
        err_sys(e, path, "cannot look at it", NULL);
    else if (S_ISDIR(st.st_mode))
        err_set(e, ERR_WORK, "%s: is a folder; name a file", path);
    else if (!S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode))
        err_set(e, ERR_WORK, "%s: is neither a file nor a pipe; name a file",
            path);
    /* reading waits for those that write to a pipe; without any it ends */
    else if (S_ISFIFO(st.st_mode) && fcntl(fd, F_SETFL, 0) != 0)
        err_sys(e, path, "cannot read", NULL);
    if (e->code == 0)
        return fd;
    close(fd);
    return -1;
}

int
blob_read(struct blob *b, const char *path, size_t limit, struct err *e)
{
    struct stat st;
    int fd, code;

    *b = (struct blob){ 0 };
    fd = file_open(path, e);
    if (fd < 0)
        return e->code;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 &&
        (uint64_t)st.st_size > limit)
        code = too_long(path, limit, e);
    else
        code = read_all(b, fd, path, limit, e);
    close(fd);
    if (code != 0)
        blob_release(b);
    return code;
}

void
blob_release(struct blob *b)
{
    free(b->p);
    *b = (struct blob){ 0 };
}

static int64_t
time_ns(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int
map_fd(struct map *m, struct err *e)
{
    struct stat st;
    void *p;

    if (fstat(m->fd, &st) != 0)
        return err_sys(e, m->path, "cannot look at it", NULL);
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_WORK,
            "%s: is not a regular file; name the file itself", m->path);
    if (size_from_u64((uint64_t)st.st_size, &m->len))
        return err_set(e, ERR_WORK,
            "%s: is too long for this machine; use a 64-bit one", m->path);
    m->ino = (uint64_t)st.st_ino;
    m->mtime_ns = time_ns(st.st_mtim);
    m->ctime_ns = time_ns(st.st_ctim);
    if (m->len == 0)
        return 0;
    p = mmap(NULL, m->len, PROT_READ, MAP_PRIVATE, m->fd, 0);
    if (p == MAP_FAILED)
        return err_sys(e, m->path, "cannot map", NULL);
    m->p = p;
    map_guard_add(m);
    return 0;
}

int
map_open(struct map *m, const char *path, struct err *e)
{
    int code;

    *m = (struct map){ .fd = -1 };
    /* O_NONBLOCK: opening a FIFO must not wait for a writer */
    m->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (m->fd < 0)
        return err_sys(e, path, "cannot open", NULL);
    m->path = mem_strdup(path);
    code = map_fd(m, e);
    if (code != 0)
        map_close(m);
    return code;
}

void
map_let_go(struct map *m)
{
    close(m->fd);
    m->fd = -1;
}

int
map_unchanged(const struct map *m, struct err *e)
{
    struct stat st;

    if ((m->fd < 0 ? stat(m->path, &st) : fstat(m->fd, &st)) != 0)
        return err_sys(e, m->path, "cannot look at it", NULL);
    if ((uint64_t)st.st_size != m->len || (uint64_t)st.st_ino != m->ino ||
        time_ns(st.st_mtim) != m->mtime_ns ||
        time_ns(st.st_ctim) != m->ctime_ns)
        return err_set(e, ERR_WORK,
            "%s: changed while it was read; run it again", m->path);
    return 0;
}

void
map_close(struct map *m)
{
    if (m->p != NULL) {
        map_guard_drop(m);
        munmap((void *)(uintptr_t)m->p, m->len);
    }
    if (m->path != NULL && m->fd >= 0) /* a zeroed struct owns no descriptor */
        close(m->fd);
    free(m->path);
    *m = (struct map){ .fd = -1 };
}

void
map_done(const void *p, uint64_t n)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t begin = ((uintptr_t)p + page - 1) / page * page;
    const uintptr_t end = ((uintptr_t)p + n) / page * page;

    if (end > begin)
        (void)!madvise((void *)begin, end - begin, MADV_DONTNEED);
}

int
file_mkdirs(const char *dir, struct err *e)
{
    char *path = mem_strdup(dir);
    struct stat st;
    int code = 0;

    for (char *s = path + 1; code == 0 && *path != '\0'; s++) {
        char c = *s;

        if (c != '/' && c != '\0')
            continue;
        *s = '\0';
        if (mkdir(path, 0777) != 0 && errno != EEXIST) {
            int number = errno;

            /* a read-only parent says EROFS or EACCES for what exists, too */
            if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
                errno = number;
                code = err_sys(e, path, "cannot make the folder", NULL);
            }
        }
        *s = c;
        if (c == '\0')
            break;
    }
    if (code == 0 && *dir != '\0' &&
        (stat(dir, &st) != 0 || !S_ISDIR(st.st_mode)))
        code = err_set(e, ERR_WORK,
            "%s: is in the way of a folder; move it away", dir);
    free(path);
    return code;
}

bool
file_exists(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0;
}

bool
file_same(const char *a, const char *b)
{
    struct stat x, y;

    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev &&
        x.st_ino == y.st_ino;
}

void
file_catch_signals(void)
{
    cleanup_catch_signals();
}
