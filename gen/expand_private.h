/*
 * expand_private.h - what the parts of expand.c share
 */
#ifndef QUERN_GEN_EXPAND_PRIVATE_H
#define QUERN_GEN_EXPAND_PRIVATE_H

#include <stdbool.h>

#include "gen/expand.h"

struct expansion {
    struct stager *s;
    struct policy *p;
    struct arena *a;
    struct err *e;
    const char *source;       /* checkpoint folder, as the policy has it */
    const struct layout *shape;
    unsigned layers;
    const char **layer;       /* "layer.000", ... */
    struct names base;        /* base/... without model.fp.json */
    struct names results;     /* JSON files for report and release */
    struct names firsts;      /* gate/CAND.first.json of all candidates */
    size_t *head_of;          /* whose head a candidate uses */
    size_t *layer_of;         /* [candidate][layer]: whose layer it uses */
};

/* Role or ID in the graph's arena. */
#define NAME(x, ...) arena_printf((x)->a, __VA_ARGS__)

/* `items`: what of the checklist the stage has to do with; NULL-terminated. */
void expansion_begin(struct expansion *x, const char *id, const char *program,
    enum phase phase, const char *const *items);
int expansion_end(struct expansion *x);
/* Sets how float products are computed, where the policy lets them differ. */
void expansion_products(struct expansion *x);
/* An output that report and release read, too. */
void expansion_result(struct expansion *x, const char *role);
/* Weighs columns by their importance; and by what calibrate found. */
bool candidate_is_weighted(const struct candidate *c);
bool candidate_needs_statistics(const struct candidate *c);

/* expand_convert.c: from weights to serving files */
int expand_check_roles(struct expansion *x);
void expand_conversions(struct expansion *x);
/* expand_judge.c: from serving files to verdicts */
void expand_judgement(struct expansion *x);
/* The bottleneck of the policy, memory if it has none. */
const char *expansion_bottleneck(const struct expansion *x);

#endif
