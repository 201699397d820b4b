/*
 * expand.h - from a checked policy to its stages
 */
#ifndef QUERN_GEN_EXPAND_H
#define QUERN_GEN_EXPAND_H

#include "gen/stager.h"

enum { LAYERS_MAX = 10000 };

/*
 * expand_layers - how many layers the checkpoint has, from its config.json
 * The only thing of a model that shapes the graph.
 */
int expand_layers(struct policy *o, unsigned *layers, struct err *e);

/* All stages, in the order in which they can run. */
int expand(struct stager *s, unsigned layers, struct err *e);

#endif
