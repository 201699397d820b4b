/*
 * file.h - reading whole files, mapping big ones, and writing atomically
 *
 * Writing: the bytes go to a temporary name of their own in the target's folder
 * (".NAME.HOST-PID-N.tmp"), are hashed on the way, flushed, synced, renamed,
 * and the folder is synced. When the bytes equal the old file's, the temporary
 * is removed and the old file keeps its time, so ninja's restat prunes what
 * depends on it. A kill leaves the old file or none; outfile_release removes
 * what was not committed, and file_catch_signals does so on SIGINT, SIGTERM and
 * SIGHUP. Stale temporaries of the same target whose owner is gone are removed
 * by outfile_create.
 */
#ifndef QUERN_BASE_FILE_H
#define QUERN_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/base/err.h"
#include "lib/base/hash.h"
#include "lib/base/pool.h"

/* A whole file in memory, NUL-terminated one byte past `len`. */
struct blob {
    char *p; /* owned */
    size_t len;
    struct digest digest; /* of the bytes that were read */
};

/*
 * A descriptor to read a file or a pipe; -1 and an error otherwise. What never
 * ends (a device) or never begins (a pipe that nobody writes to: it reads as
 * empty) is not waited for. Closed by the caller.
 */
int file_open(const char *path, struct err *e);
/*
 * Reads at most `limit` bytes of what file_open opens; a longer file is an
 * error that says so.
 */
int blob_read(struct blob *b, const char *path, size_t limit, struct err *e);
void blob_release(struct blob *b);

/*
 * A regular file mapped read-only, private. A file that shrinks while it is
 * mapped ends the process when the lost part is read (map_guard.h);
 * map_unchanged tells whether size, mtime, ctime and inode are still what they
 * were when it was opened.
 */
struct map {
    const uint8_t *p; /* NULL for an empty file */
    size_t len;
    int fd;
    char *path; /* owned */
    uint64_t ino;
    int64_t mtime_ns, ctime_ns;
};

int map_open(struct map *m, const char *path, struct err *e);
/* Keeps the mapping and closes its descriptor, for who maps thousands. */
void map_let_go(struct map *m);
int map_unchanged(const struct map *m, struct err *e); /* error if it moved */
void map_close(struct map *m);
/*
 * Tells the kernel that whole pages of [p, p + n), which lies in a mapping, are
 * not needed for now, so that what was streamed does not count as this process's
 * memory. They are read again if they are touched again.
 */
void map_done(const void *p, uint64_t n);

struct outfile {
    FILE *f;            /* fully buffered; write with outfile_write */
    char *path, *tmp;   /* owned */
    struct hasher hash;
    uint64_t bytes;     /* written so far */
    uint64_t started;   /* of them on their way to the disk */
    bool fresh;         /* there was no such file */
    struct pool *pool;  /* hashes beside the writing; NULL: alone; borrowed */
    struct digest digest; /* valid after outfile_finish */
    bool changed;       /* after finish: the file is new or its bytes differ */
    bool failed;        /* a write failed; commit will report it */
    int failure;        /* errno of the first failed write */
    int slot;           /* in cleanup.c's table; -1: none */
};

/*
 * Makes missing folders of `path`. What is there and is no regular file (a
 * device, a pipe, a folder) is an error: the rename would replace it.
 */
int outfile_create(struct outfile *o, const char *path, struct err *e);
int outfile_create_mode(struct outfile *o, const char *path, unsigned mode,
    struct err *e);
/* Errors are latched; outfile_commit reports the first. */
void outfile_write(struct outfile *o, const void *p, size_t n);
/* The same of bytes that lie in a mapping (NULL: anywhere). */
void outfile_copy(struct outfile *o, const struct map *from, const void *p,
    size_t n);
/* How long it will be in all: room is sought at once, for speed only. */
void outfile_expect(struct outfile *o, uint64_t bytes);
void outfile_printf(struct outfile *o, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void outfile_pad(struct outfile *o, uint64_t alignment); /* zeros */
int outfile_commit(struct outfile *o, struct err *e);
/* Nothing more will be written: `digest` is valid, commit is still to come. */
int outfile_finish(struct outfile *o, struct err *e);
/*
 * outfile_commit_all - commits several files; the disk is waited for once
 * They are renamed in order, after all of them are on the disk; and the folder
 * of one is, too, before a file of another folder takes its name. On error the
 * temporaries that are left go. `v` is [n], borrowed.
 */
int outfile_commit_all(struct outfile *const *v, size_t n, struct err *e);
void outfile_release(struct outfile *o); /* drops an uncommitted temporary */

/* Whole small file at once: create, write, commit. */
int file_write(const char *path, const void *p, size_t n, struct err *e);
/* mkdir -p */
int file_mkdirs(const char *dir, struct err *e);
bool file_exists(const char *path);
/* Whether both names are there and lead to one file or folder. */
bool file_same(const char *a, const char *b);
/* Remove temporaries and die by the signal. Call once from main. */
void file_catch_signals(void);

/* Names that quern makes and records: [A-Za-z0-9._/-], relative, no `..`. */
bool path_is_plain(const char *name);
/* Freshly allocated `dir/name`; `name` alone when dir is "" or ".". */
char *path_join(const char *dir, const char *name);
char *path_dir(const char *path);        /* freshly allocated; "." if none */
const char *path_base(const char *path); /* points into path */
/* The folder of a model: `path` itself or, of a .gguf file, where that lies;
 * owned by the caller. */
char *path_folder(const char *path);

#endif
