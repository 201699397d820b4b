/*
 * policy.h - a checked policy
 *
 * policy_read reads the YAML, holds it against the tables, then against
 * itself and against the files it names; what comes out is complete: every
 * default filled in, every item either answered or waived. All complaints are
 * collected in `problems`. Text is owned by the policy's arena; paths are as the
 * policy has them, relative to its folder.
 */
#ifndef QUERN_GEN_POLICY_H
#define QUERN_GEN_POLICY_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "gen/items.h"
#include "gen/policy_schema.h"
#include "gen/types.h"
#include "lib/base/file.h"

enum phase { PHASE_BEFORE, PHASE_CALIBRATION, PHASE_CONVERT, PHASE_SHIP,
    PHASE_AFTER, PHASE_TRAINING, PHASE_COUNT };

struct owner {
    const char *principal, *key;
    char keyid[DIGEST_HEX], public[DIGEST_HEX]; /* hex */
    const struct yaml *at;
};

struct suite {
    const char *name, *data;
    const char *reserve; /* or NULL */
    const char *covers;  /* or NULL */
    int64_t max_tokens;
    bool stress;         /* else a task */
    const struct yaml *at;
};

struct tensor_choice {
    const char *role;
    const struct quant_type *type;
};

struct candidate {
    const char *name, *method, *because;
    const char *imatrix; /* of another program's making; or NULL */
    const struct quant_type *type;
    struct tensor_choice *tensors; /* sorted by role */
    size_t n_tensors;
    const char *kernel;  /* what will run it, from the kernel table */
    const struct yaml *at;
};

struct waiver {
    const struct item_def *item;
    const char *because, *until, *signature; /* path, relative to policy */
    const struct yaml *at;
};

/* An item of this policy: its row, its answer, its waiver. */
struct policy_item {
    const struct item_def *def;
    const struct yaml *at;   /* the answer; NULL: automatic or waived */
    const char *words;       /* the answer in words */
    const char *checked;     /* what was settled at generation, or NULL */
    const char *why_not;     /* not carried out, and why; or NULL */
    const struct waiver *waiver; /* or NULL */
};

struct policy {
    const char *path, *dir;  /* of the file, as given; its folder */
    const char *name, *title;
    bool reproducible;   /* every machine computes the same bits */
    enum profile profile;
    struct digest digest;    /* of the file's bytes */
    struct owner owners[PHASE_COUNT];
    const struct yaml *root, *model, *record; /* checked mappings */
    const struct yaml *budget, *bottleneck;   /* bottleneck NULL: not asked */
    const struct yaml *samples, *in_domain, *no_duplicates;
    const struct yaml *benchmark;
    const char *signers, *repository, *ref, *author, *store;
    struct digest signers_digest;
    struct suite *suites;    /* tasks, then stress, in their order */
    size_t n_suites;
    bool reserve;            /* some suite has one */
    struct candidate *candidates;
    size_t n_candidates;
    struct waiver *waivers;
    size_t n_waivers;
    struct policy_item *items;
    size_t n_items;
    double alpha;            /* per candidate and look */
    struct yaml_file yaml;
    struct arena arena;
};

struct policy_env {
    const char *kernels;     /* path of kernels.tsv */
    const char *build;       /* build folder, for messages */
    int64_t today;           /* days since 1970 */
    bool unsigned_ok;        /* waivers need no signature file yet */
};

/* An error means that it could not be read; a refusal leaves it in `p`. */
int policy_read(struct policy *o, const char *path,
    const struct policy_env *env, struct problems *p, struct err *e);
void policy_release(struct policy *o);

/* `path` of the policy as seen from the current folder; in the arena. */
const char *policy_path(struct policy *o, const char *path);
const char *phase_name(enum phase phase);
/* The owner of an item or stage by its phase's name. */
const struct owner *policy_owner(const struct policy *o, const char *phase);

/* policy_check.c: how values belong together, and the files they name. */
void policy_check(struct policy *o, const struct policy_env *env,
    struct problems *p, struct err *e);

#endif
