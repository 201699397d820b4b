/*
 * stagefiles.c - the folder of stage files, rewritten only where text changed
 */
#include "gen/stagefiles.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/file.h"

#define INDEX_NAME ".index"

enum { INDEX_MAX = 256 << 20 };

static int64_t
mtime_of(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

static int
by_name(const void *a, const void *b)
{
    const struct stagefile *x = a, *y = b;

    return strcmp(x->name, y->name);
}

/* One line of the index: DIGEST BYTES MTIME NAME. */
static bool
take_line(struct stagefile *f, char *line, struct arena *arena)
{
    unsigned long long bytes, mtime;
    char *s[4];

    for (size_t i = 0; i < 4; i++) {
        s[i] = line;
        line = strchr(line, ' ');
        if ((line == NULL) != (i == 3))
            return false;
        if (line != NULL)
            *line++ = '\0';
    }
    if (!digest_parse(&f->digest, s[0]) ||
        !str_to_u64(s[1], INDEX_MAX, &bytes) ||
        !str_to_u64(s[2], INT64_MAX, &mtime) || !path_is_plain(s[3]) ||
        strchr(s[3], '/') != NULL)
        return false;
    f->bytes = bytes;
    f->mtime_ns = (int64_t)mtime;
    f->name = arena_strdup(arena, s[3]);
    return true;
}

/* A damaged index only costs time: what it does not tell is read. */
static void
read_index(struct stagefiles *f)
{
    char *path = path_join(f->dir, INDEX_NAME);
    struct err quiet = { 0 };
    struct blob b = { 0 };
    size_t cap = 0;

    if (file_exists(path) && blob_read(&b, path, INDEX_MAX, &quiet) == 0) {
        for (char *line = b.p; line != NULL && *line != '\0'; ) {
            char *end = strchr(line, '\n');

            if (end == NULL)
                break;
            *end = '\0';
            if (f->n_old == cap) {
                cap = cap > 0 ? 2 * cap : 256;
                f->old = mem_realloc(f->old, cap, sizeof *f->old);
            }
            f->old[f->n_old] = (struct stagefile){ 0 };
            if (take_line(&f->old[f->n_old], line, &f->arena))
                f->n_old++;
            line = end + 1;
        }
        qsort(f->old, f->n_old, sizeof *f->old, by_name);
    }
    blob_release(&b);
    free(path);
}

int
stagefiles_open(struct stagefiles *f, const char *dir, struct err *e)
{
    *f = (struct stagefiles){ .dir = dir, .fd = -1 };
    if (file_mkdirs(dir, e))
        return e->code;
    f->fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->fd < 0)
        return err_sys(e, dir, "cannot open the folder", NULL);
    /* two generators at once take turns; where locks fail, they just race */
    f->locked = flock(f->fd, LOCK_EX) == 0;
    read_index(f);
    return 0;
}

static struct stagefile *
find_old(struct stagefiles *f, const char *name)
{
    struct stagefile key = { .name = name };

    if (f->n_old == 0)
        return NULL;
    return bsearch(&key, f->old, f->n_old, sizeof *f->old, by_name);
}

static int
fail(const struct stagefiles *f, const char *name, const char *what,
    struct err *e)
{
    char *path = path_join(f->dir, name);

    err_sys(e, path, what, NULL);
    free(path);
    return e->code;
}

/* Whether the file on disk holds this very text. */
static bool
holds(const struct stagefiles *f, const char *name, const char *text,
    size_t n)
{
    char *path = path_join(f->dir, name);
    struct err quiet = { 0 };
    struct blob b = { 0 };
    bool same = blob_read(&b, path, n, &quiet) == 0 && b.len == n &&
        memcmp(b.p, text, n) == 0;

    blob_release(&b);
    free(path);
    return same;
}

static bool
write_all(int fd, const char *text, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, text, n);

        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        text += done;
        n -= (size_t)done;
    }
    return true;
}

/* Writes a new file, or replaces an old one by a rename. */
static int
write_file(struct stagefiles *f, const char *name, const char *text, size_t n,
    struct stat *st, struct err *e)
{
    char *temporary = NULL;
    int fd = openat(f->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
        0644);
    bool ok;

    f->wrote = true;
    if (fd < 0 && errno == EEXIST) {
        temporary = mem_printf(".%s.%ld.tmp", name, (long)getpid());
        fd = openat(f->fd, temporary,
            O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    }
    if (fd < 0) {
        fail(f, name, "cannot write", e);
        free(temporary);
        return e->code;
    }
    ok = write_all(fd, text, n);
    ok = fstat(fd, st) == 0 && ok;
    ok = close(fd) == 0 && ok;
    if (ok && temporary != NULL)
        ok = renameat(f->fd, temporary, f->fd, name) == 0;
    if (!ok) {
        fail(f, name, "cannot write", e);
        unlinkat(f->fd, temporary != NULL ? temporary : name, 0);
    }
    free(temporary);
    return e->code;
}

int
stagefiles_put(struct stagefiles *f, const char *name, const char *text,
    size_t n, struct err *e)
{
    struct stagefile *old = find_old(f, name), *new;
    struct digest digest = digest_of(text, n);
    struct stat st;
    bool there = fstatat(f->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISREG(st.st_mode);
    bool same = there && old != NULL &&
        digest_equal(&old->digest, &digest) && old->bytes == n &&
        (uint64_t)st.st_size == n && old->mtime_ns == mtime_of(&st);

    if (old != NULL)
        old->kept = true;
    if (!same && !(there && (uint64_t)st.st_size == n &&
        holds(f, name, text, n)) && write_file(f, name, text, n, &st, e))
        return e->code;
    if (f->n_new == f->cap_new) {
        f->cap_new = f->cap_new > 0 ? 2 * f->cap_new : 256;
        f->new = mem_realloc(f->new, f->cap_new, sizeof *f->new);
    }
    new = &f->new[f->n_new++];
    *new = (struct stagefile){ .name = arena_strdup(&f->arena, name),
        .digest = digest, .bytes = n, .mtime_ns = mtime_of(&st) };
    return 0;
}

static bool
index_is_same(const struct stagefiles *f)
{
    if (f->n_old != f->n_new)
        return false;
    for (size_t i = 0; i < f->n_new; i++)
        if (strcmp(f->old[i].name, f->new[i].name) != 0 ||
            f->old[i].mtime_ns != f->new[i].mtime_ns ||
            f->old[i].bytes != f->new[i].bytes ||
            !digest_equal(&f->old[i].digest, &f->new[i].digest))
            return false;
    return true;
}

/* Removes temporaries of generators that were killed. Best effort. */
static void
sweep(const struct stagefiles *f)
{
    DIR *d = f->locked ? opendir(f->dir) : NULL;
    struct dirent *entry;

    while (d != NULL && (entry = readdir(d)) != NULL)
        if (entry->d_name[0] == '.' && str_ends(entry->d_name, ".tmp"))
            unlinkat(f->fd, entry->d_name, 0);
    if (d != NULL)
        closedir(d);
}

int
stagefiles_finish(struct stagefiles *f, struct err *e)
{
    struct str text = { 0 };
    struct stat st;

    for (size_t i = 0; i < f->n_old; i++)
        if (!f->old[i].kept && unlinkat(f->fd, f->old[i].name, 0) == 0)
            f->wrote = true;
    if (f->n_new > 0)
        qsort(f->new, f->n_new, sizeof *f->new, by_name);
    if (index_is_same(f))
        return 0;
    sweep(f);
    for (size_t i = 0; i < f->n_new; i++) {
        char hex[DIGEST_HEX];

        str_addf(&text, "%s %llu %lld %s\n",
            digest_hex(&f->new[i].digest, hex),
            (unsigned long long)f->new[i].bytes,
            (long long)f->new[i].mtime_ns, f->new[i].name);
    }
    write_file(f, INDEX_NAME, str_get(&text), text.len, &st, e);
    str_release(&text);
    if (e->code == 0 && syncfs(f->fd) != 0)
        err_sys(e, f->dir, "cannot bring the stage files to disk", NULL);
    return e->code;
}

void
stagefiles_close(struct stagefiles *f)
{
    if (f->dir != NULL && f->fd >= 0)
        close(f->fd);
    free(f->old);
    free(f->new);
    arena_release(&f->arena);
    *f = (struct stagefiles){ .fd = -1 };
}
