/*
 * items.h - the checklist, as a table
 *
 * One row per item, in the order of the checklist. What an item's answer may
 * look like is said in policy_schema.c.
 */
#ifndef QUERN_GEN_ITEMS_H
#define QUERN_GEN_ITEMS_H

#include <stdbool.h>
#include <stddef.h>

enum profile { PROFILE_PRODUCTION, PROFILE_INTERNAL, PROFILE_QAT,
    PROFILE_COUNT };

/* What a profile makes of an item. */
enum ask { ASK_NOT, ASK_MAY, ASK_MUST };

struct item_def {
    const char *id;      /* first, for nearest_name: "before.format" */
    const char *phase;   /* whose owner answers for it */
    enum ask ask[PROFILE_COUNT];
    bool never_waivable;
    bool automatic;      /* nothing to answer */
    const char *words;   /* what automatic items promise */
    const char *measured_by; /* programs whose stages measure it, spaced, or
                              * NULL: settled when the graph is made */
    const char *evidence; /* file that shows it; CAND stands for each
                           * candidate */
    const char *why_not; /* not carried out in this version, and why */
};

extern const struct item_def item_defs[];
extern const size_t n_item_defs;

const struct item_def *item_find(const char *id);
/* Whether stages of `program` measure the item. */
bool item_measured_by(const struct item_def *item, const char *program);

#endif
