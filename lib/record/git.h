/*
 * git.h - the few things quern asks of a git repository, through libgit2
 *
 * Nothing here touches a work tree, an index or a branch that is not named:
 * trees are built from blobs in memory, commits are made with no ref, and refs
 * move by compare-and-swap. Commits are signed as `git commit -S` with
 * gpg.format=ssh would: SSHSIG, namespace `git`, over the commit's own bytes.
 */
#ifndef QUERN_RECORD_GIT_H
#define QUERN_RECORD_GIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/str.h"

enum { GIT_OID_TEXT = 41 }; /* 40 hex digits and a NUL */

struct git_repo; /* an open repository */

/*
 * git_repo_open - open the repository at `path`, not one above it
 * With `create`, a missing or empty folder becomes one: bare if its name ends
 * in ".git", else with a work tree in which nothing is checked out.
 */
int git_repo_open(struct git_repo **r, const char *path, bool create,
    struct err *e);
void git_repo_close(struct git_repo *r);
/* The folder that holds objects and refs; ends in a slash. Borrowed. */
const char *git_repo_dir(const struct git_repo *r);
/* As it was opened, for messages. Borrowed. */
const char *git_repo_path(const struct git_repo *r);

/* A file of a tree; paths use '/', folders are made as needed. */
struct git_file {
    const char *path; /* borrowed */
    const void *data; /* borrowed */
    size_t len;
};

/* How a commit's bytes are signed; fills `armor` with the SSH signature. */
struct git_signer {
    int (*sign)(void *ctx, const void *p, size_t n, struct str *armor,
        struct err *e);
    void *ctx;
};

struct git_commit_how {
    const char *name, *mail; /* author and committer */
    int64_t time;            /* seconds since 1970, UTC */
    const char *message;     /* ends in a newline */
    const char *parent;      /* oid or NULL */
    struct git_signer signer;
};

/* Makes a signed commit that no ref names yet; its oid goes to `oid`. */
int git_commit_files(struct git_repo *r, const struct git_file *files,
    size_t n, const struct git_commit_how *how, char oid[GIT_OID_TEXT],
    struct err *e);

/* `oid` becomes "" when there is no such ref; that is no error. */
int git_ref_read(struct git_repo *r, const char *ref, char oid[GIT_OID_TEXT],
    struct err *e);

/* One ref that moves: from `old` ("" = it must not exist) to `new`. */
struct git_move {
    const char *ref, *old, *new;
};

/*
 * git_refs_move - move refs by compare-and-swap, all locked before any moves
 * If any does not stand at its `old`, none moves and the message names it.
 * Objects are on disk before. Each ref moves by one rename; a kill between two
 * renames leaves some moved (release_repair knows what to do then).
 */
int git_refs_move(struct git_repo *r, const struct git_move *moves, size_t n,
    const char *name, const char *mail, int64_t time, const char *why,
    struct err *e);
/* Removes a ref that stands at `old`. */
int git_ref_remove(struct git_repo *r, const char *ref, const char *old,
    struct err *e);

/* A commit as it was read. */
struct git_commit {
    char oid[GIT_OID_TEXT];
    char parent[GIT_OID_TEXT]; /* first parent or "" */
    unsigned n_parents;
    int64_t time;
    char *author_mail, *message; /* owned */
    char *signature;             /* SSH armor or NULL; owned */
    char *signed_bytes;          /* what was signed; owned */
    size_t signed_len;
};

int git_commit_read(struct git_repo *r, const char *oid, struct git_commit *c,
    struct err *e);
void git_commit_release(struct git_commit *c);

/*
 * Calls `fn` for each file of the commit's tree, in path order. A file that
 * cannot be read comes with `data` NULL and the reason in `e`, which `fn` may
 * clear to go on.
 */
int git_commit_walk(struct git_repo *r, const char *oid,
    int (*fn)(void *ctx, const char *path, unsigned mode, const void *data,
        size_t len, struct err *e),
    void *ctx, struct err *e);

/* One file of a commit; *data is NUL-terminated, freed by the caller. */
int git_commit_file(struct git_repo *r, const char *oid, const char *path,
    char **data, size_t *len, struct err *e);

#endif
