/*
 * verify.h - walk from a release to the base model
 *
 * Everything is looked at, whatever was found before: the result is a list of
 * findings, not the first of them. Each names a checklist item or stage, a
 * file, who signed it, and the reason.
 */
#ifndef QUERN_RECORD_VERIFY_H
#define QUERN_RECORD_VERIFY_H

#include "lib/base/err.h"
#include "lib/record/chain.h"
#include "lib/record/release.h"
#include "lib/record/signers.h"

struct verify {
    struct git_repo *repo;
    struct release_refs refs;
    struct signers allowed;  /* the auditor's, not the commit's */
    const char *store;       /* archive, or NULL: not given */
    const char *work;        /* build folder to compare, or NULL */
    const char *base;        /* checkpoint folder to compare, or NULL */
    struct findings *found;

    /* Releases, newest first, as verify_history met them; owned. */
    struct verify_commit {
        char oid[GIT_OID_TEXT];
        int64_t number; /* -1: its manifest could not be read */
        bool in_ledger;
    } *releases;
    size_t n_releases;
    /* Objects that were read back already, by path; owned. */
    char **objects_seen;
    size_t n_objects_seen;

    /* What was looked at, for the summary. */
    size_t commits, records, files, objects;
    uint64_t bytes;
};

void verify_release_memory(struct verify *v);

/*
 * verify_history - every release from the tip to 0, and the ledger
 * Signatures of commits, linear parents, numbers that count down; the ledger
 * grew by one line a commit, by whom it says; `live` where its last line says.
 */
void verify_history(struct verify *v);

/*
 * verify_release - one release, whole: who signed it, manifest against files,
 * records against owners, arguments and each other, artifact, items and waivers
 * on the day of the commit, archive
 */
void verify_release(struct verify *v, const char *oid);

/* The build folder's files against the records that lie in it. */
void verify_work(struct verify *v);

/* Who signed the commit, of those allowed to; else NULL and why in `e`. */
const char *verify_signer(const struct verify *v, const struct git_commit *c,
    char keyid[DIGEST_HEX], struct err *e);

#endif
