/*
 * waiver.h - an item set aside, for a reason, until a day, by its owner
 *
 * The owner signs exactly these bytes (SSHSIG, namespace waiver@quern), so that
 * `ssh-keygen -Y verify -n waiver@quern` can check them, too:
 *
 *   quern waiver 1\n
 *   item ITEM\n
 *   policy NAME\n
 *   until YYYY-MM-DD\n
 *   because TEXT\n
 */
#ifndef QUERN_RECORD_WAIVER_H
#define QUERN_RECORD_WAIVER_H

#include <jansson.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/record/signers.h"

#define WAIVER_NAMESPACE "waiver@quern"

void waiver_text(struct str *out, const char *item, const char *policy,
    const char *until, const char *because);

/*
 * waivers_check - every waiver of policy.json: owner's signature and date
 * `signature` finds the armor of an item's signature: it returns the text and
 * its length, or NULL when there is none. `now` is seconds since 1970, UTC; a
 * waiver holds through its last day. The result has one row per waiver,
 * {"item": {"ok": bool, "why": "..."}}; caller decrefs.
 */
json_t *waivers_check(const json_t *policy, const struct signers *allowed,
    int64_t now,
    const char *(*signature)(void *ctx, const char *item, size_t *n),
    void *ctx);

#endif
