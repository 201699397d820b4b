/*
 * expand.h - from a checked policy to its stages
 */
#ifndef QUERN_GEN_EXPAND_H
#define QUERN_GEN_EXPAND_H

#include "gen/stager.h"

enum { LAYERS_MAX = 10000 };

/*
 * expand_layout - what of a model shapes the graph, from its config.json or its
 * GGUF file's keys. Errors name the place in the policy and the file.
 */
int expand_layout(struct policy *o, struct layout *l, struct err *e);

/* All stages, in the order in which they can run. */
int expand(struct stager *s, const struct layout *shape, struct err *e);

#endif
