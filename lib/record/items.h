/*
 * items.h - where every checklist item stands
 *
 * One rule for release, status, report and verify: an item's verdict is what was
 * measured for it (in the decision or in the answer of a stage's record; where
 * they differ the worse one counts); an item that needs no measurement holds
 * because the generator checked it; one that is not carried out, or not measured
 * yet, is INCONCLUSIVE. A valid waiver turns anything but PASS into WAIVED, except
 * for items that may never be waived.
 */
#ifndef QUERN_RECORD_ITEMS_H
#define QUERN_RECORD_ITEMS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"

enum item_verdict {
    ITEM_PASS,
    ITEM_FAIL,
    ITEM_INCONCLUSIVE,
    ITEM_WAIVED,
    ITEM_VERDICT_COUNT
};

struct item {
    const char *id, *phase, *owner, *answer; /* borrowed from the policy */
    enum item_verdict verdict;
    bool enforced, never_waivable;
    char *figure;   /* what was measured, or why not; owned */
    char *evidence; /* file or record that says so; owned, may be NULL */
};

struct items {
    struct item *v; /* in policy order; owned */
    size_t n;
    size_t open; /* how many are neither PASS nor WAIVED */
};

/* "PASS", "FAIL", "INCONCLUSIVE", "WAIVED" */
const char *item_verdict_name(enum item_verdict v);

/* Items that no policy, key or version of quern can waive. */
bool item_is_never_waivable(const char *id);

/*
 * items_judge
 *   policy    policy.json
 *   decision  decision.json or NULL when there is none yet
 *   answers   {"item": {"verdict", "figure", "evidence"}} from the records of
 *             stages that belong to no candidate; may be NULL
 *   waivers   {"item": {"ok": bool, "why": "..."}}: the outcome of checking each
 *             waiver's date and signature (waiver.h); may be NULL
 */
int items_judge(struct items *out, const json_t *policy,
    const json_t *decision, const json_t *answers, const json_t *waivers,
    struct err *e);
/*
 * items_insist - for release and verify: the items that may never be waived
 * must be in the policy, and a record must answer each with PASS; whatever the
 * decision says, one without such an answer becomes INCONCLUSIVE.
 */
int items_insist(struct items *items, const json_t *policy,
    const json_t *answers, struct err *e);
void items_release(struct items *items);

/* "a FAIL (figure); b INCONCLUSIVE (figure)" of all open items; freed by the
 * caller. */
char *items_open_text(const struct items *items);

#endif
