/*
 * verify.h - walk from a release to the base model
 *
 * Everything is looked at, whatever was found before: the result is a list of
 * findings, not the first of them.
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
    /* What was looked at, for the summary. */
    size_t commits, records, files, objects;
    uint64_t bytes;
};

/*
 * verify_history - every release from the tip to 0, and the ledger
 * Signatures of commits, linear parents, numbers that count down, `live` where
 * the ledger's last line says.
 */
void verify_history(struct verify *v);

/*
 * verify_release - one release, whole: manifest against files, records against
 * owners and each other, artifact, items and waivers, archive
 */
void verify_release(struct verify *v, const char *oid);

/* The build folder's files against the records that lie in it. */
void verify_work(struct verify *v);

#endif
