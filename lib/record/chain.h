/*
 * chain.h - many records that must fit together
 *
 * A set of records holds when each is signed by the owner of its phase, its
 * link says the same as its envelope, every input is another record's output
 * with the same digest or one of the declared sources, which all stages read
 * alike, no output is claimed twice, and one program did all stages of a step.
 * This is what stock in-toto verifiers leave out (a failed MATCH passes, a link
 * may name another step), so it is written once here, for release (before it
 * commits) and verify (after).
 */
#ifndef QUERN_RECORD_CHAIN_H
#define QUERN_RECORD_CHAIN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"
#include "lib/record/record.h"
#include "lib/record/signers.h"

/* Something that does not hold; the pointers live during the call only. */
struct finding {
    const char *item;   /* checklist item or stage */
    const char *file;   /* role or path */
    const char *signer; /* principal or "nobody" */
    const char *reason; /* what is wrong; what to do */
    int code;           /* ERR_WORK wrong, ERR_UNCHECKED not checkable */
};

struct findings {
    void (*report)(void *ctx, const struct finding *f);
    void *ctx;
    size_t wrong, unchecked; /* counted by finding_add */
};

void finding_add(struct findings *f, int code, const char *item,
    const char *file, const char *signer, const char *reason_fmt, ...)
    __attribute__((format(printf, 6, 7)));

/* A file in records, for looking up by name; all borrowed. */
struct chain_file {
    const char *name;
    const struct digest *digest;
    const struct record *by;
};

struct chain {
    struct record *v; /* owned, sorted by stage once chain_check ran */
    size_t n, cap;
    struct chain_file *made; /* products by name, from chain_check; owned */
    size_t n_made;
};

/*
 * chain_add - take one stage's two files
 * A record that cannot be read is a finding, not an error. True when the record
 * holds by itself: readable, signed by whom it names, with its link.
 */
bool chain_add(struct chain *c, const char *name, const char *envelope,
    size_t n_envelope, const char *link_name, const char *link, size_t n_link,
    const struct signers *allowed, struct findings *found);
void chain_release(struct chain *c);

/*
 * chain_check - do the records fit together?
 * `policy` is policy.json, for the owner of each phase.
 */
void chain_check(struct chain *c, const json_t *policy,
    struct findings *found);

/*
 * Who made this file: the record with that product, or NULL. Only after
 * chain_check.
 */
const struct record *chain_maker(const struct chain *c, const char *role,
    const struct digest **digest);

/*
 * Answers of the stages that belong to no candidate or to `winner`, as
 * items_judge wants them: {"item": {"verdict", "figure", "evidence"}}. Of
 * several answers to one item the worst counts. Caller decrefs.
 */
json_t *chain_answers(const struct chain *c, const char *winner);

#endif
