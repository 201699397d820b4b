/*
 * release.h - releases as signed commits, and the ledger of what was live
 *
 * Under PREFIX (refs/heads/quern) stand three refs:
 *
 *   release  every release, oldest first, one commit each, linear; commit 0 is
 *            the archived full-precision model
 *   live     the release that serves: one of these commits
 *   ledger   one signed commit for every move of `live`; its tree holds
 *            ledger.jsonl, one object a line, append-only
 *
 * A release's tree has manifest.json, which lists every other file with its
 * SHA-256, and the artifact as Git LFS pointers. The commit message carries the
 * manifest's SHA-256, so that the signature covers every file by SHA-256 and not
 * by git's SHA-1 alone:
 *
 *   release 1 of pebble: q4k
 *
 *   manifest sha256:...
 *
 * `live` and `ledger` (and `release`) move together under one lock, by
 * compare-and-swap. What readers follow is `live`, and that moves by one rename.
 * A kill between the renames leaves some refs moved: the ledger is signed and
 * says what was meant, so release_repair can finish the move.
 */
#ifndef QUERN_RECORD_RELEASE_H
#define QUERN_RECORD_RELEASE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/hash.h"
#include "lib/record/git.h"
#include "lib/record/key.h"

/* The files of a release while it is put together. */
struct release_files {
    struct release_file {
        char *path;           /* in the tree; owned */
        char *data;           /* what is committed; owned */
        size_t len;
        struct digest digest; /* of the file itself: of the object for LFS */
        uint64_t bytes;
        bool lfs;             /* data is a pointer */
    } *v;
    size_t n, cap;
};

/* Takes a copy of the bytes. */
void release_add(struct release_files *f, const char *path, const void *p,
    size_t n);
/* Puts the file at `path_on_disk` into the LFS store and adds its pointer. */
int release_add_lfs(struct release_files *f, const char *path,
    const char *git_dir, const char *path_on_disk, const struct digest *d,
    uint64_t bytes, bool link, struct err *e);
void release_files_free(struct release_files *f);

/* Who commits. */
struct release_author {
    const char *name, *mail;
    int64_t time;
    const struct signer *signer;
};

/* Where the refs stand; "" where there is none. */
struct release_refs {
    char *release, *live, *ledger; /* names; owned */
    char release_oid[GIT_OID_TEXT], live_oid[GIT_OID_TEXT],
        ledger_oid[GIT_OID_TEXT];
};

int release_refs_read(struct release_refs *refs, struct git_repo *r,
    const char *prefix, struct err *e);
void release_refs_free(struct release_refs *refs);

/* The manifest of a release commit, checked against its message; decref it. */
json_t *release_manifest(struct git_repo *r, const char *oid,
    struct digest *digest, struct err *e);

/*
 * release_artifacts - are the LFS objects of a release there, with their size?
 * Nothing is read back. ERR_UNCHECKED names the first that is not.
 */
int release_artifacts(struct git_repo *r, const json_t *manifest,
    struct err *e);

/* Whether release `oid` is the tip or below it. */
bool release_reachable(struct git_repo *r, const struct release_refs *refs,
    const char *oid, struct err *e);

/*
 * release_manifest_text - the manifest's bytes for these files
 * `previous` is the digest of the previous release's manifest, NULL for 0.
 * Sorts the files by path. The caller frees the text.
 */
char *release_manifest_text(struct release_files *f, int number,
    const char *policy, const char *winner, const struct digest *previous);

/* Commits files and manifest; no ref moves. */
int release_commit(struct git_repo *r, struct release_files *f,
    const char *manifest, const char *title, const char *parent,
    const struct release_author *who, char oid[GIT_OID_TEXT], struct err *e);

/* The ledger's text; freed by the caller; "" when there is none. */
int ledger_read(struct git_repo *r, const struct release_refs *refs,
    char **text, struct err *e);
/* The text in the ledger's commit `oid`, held against its signed message. */
int ledger_text(struct git_repo *r, const char *oid, char **text,
    struct err *e);
/* The last line, or NULL when there is none or it is no JSON; decref it. */
json_t *ledger_last(const char *text);
/* The last line that released `commit`, or NULL; decref it. */
json_t *ledger_release(const char *text, const char *commit);

/*
 * release_repair - finish a move that was cut short
 * Brings `release` and `live` to where the ledger's last line says; `refs` is
 * updated. *moved tells whether that was needed.
 */
int release_repair(struct git_repo *r, struct release_refs *refs,
    const struct release_author *who, bool *moved, struct err *e);

/*
 * release_make_live - append `entry` to the ledger and move `live` to `to`, and
 * `release` to `new_release` unless that is NULL, all under one lock
 * The entry gets "seq", "time" and "by". `refs` is updated.
 */
int release_make_live(struct git_repo *r, struct release_refs *refs,
    const char *new_release, const char *to, json_t *entry,
    const struct release_author *who, const char *by, struct err *e);

#endif
