/*
 * stager.h - one stage at a time: its stage file and its edge
 *
 * Between stager_begin and stager_end the parts of one stage are named; the end
 * writes stages/ID.stage and appends the build statement. The same names make
 * both, so no stage can read a file that ninja does not know of.
 */
#ifndef QUERN_GEN_STAGER_H
#define QUERN_GEN_STAGER_H

#include "gen/graph.h"
#include "gen/paths.h"
#include "gen/policy.h"
#include "gen/stagefiles.h"

struct stager {
    struct graph *g;
    struct policy *policy;
    const struct paths *paths;
    struct stagefiles *files;
    const char *build;        /* build folder as the graph names it */
    const char *bin;          /* folder of the programs, likewise */
    const char *always;       /* name of the phony that is never there */
    /* the stage at hand */
    const char *id, *program;
    const struct owner *owner;
    struct str text;
    struct names ins, outs, after; /* as the graph names them */
    bool probe;
    /* what the whole graph made: roles, in the arena of the graph */
    struct names records;     /* att/... */
    struct names stages;      /* stages/ID.stage */
    struct names ids;         /* "PROGRAM ID" */
};

/* `phase` names the owner who signs. `probe`: runs on every start of ninja. */
void stager_begin(struct stager *s, const char *id, const char *program,
    enum phase phase, bool probe);
void stager_item(struct stager *s, const char *item);
/* An input in the build folder, or with `path` (of the policy) elsewhere. */
void stager_in(struct stager *s, const char *role);
void stager_in_at(struct stager *s, const char *role, const char *path);
void stager_ins(struct stager *s, const struct names *roles);
void stager_src(struct stager *s, const char *role, const char *path);
void stager_dst(struct stager *s, const char *role, const char *path);
void stager_out(struct stager *s, const char *role);
void stager_set(struct stager *s, const char *name, const char *value);
void stager_set_int(struct stager *s, const char *name, int64_t value);
void stager_set_real(struct stager *s, const char *name, double value);
int stager_end(struct stager *s, struct err *e);

/* A role as the graph names it: BUILD/role, in the arena of the graph. */
const char *stager_role(struct stager *s, const char *role);
void stager_release(struct stager *s);

#endif
