/*
 * policy_json.h - the checked policy in one form, for steps and people
 */
#ifndef QUERN_GEN_POLICY_JSON_H
#define QUERN_GEN_POLICY_JSON_H

#include <jansson.h>

#include "gen/graph.h"
#include "gen/paths.h"
#include "gen/policy.h"

/* `ids` holds "PROGRAM ID" of every stage. Caller decrefs. */
json_t *policy_json(const struct policy *o, const struct paths *paths,
    const struct names *ids);

#endif
