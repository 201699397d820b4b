/*
 * score_impl.h - what the files that score a suite share. Internal to
 * lib/model: score.c shares the items out, score_ids.c makes their tokens,
 * score_ask.c puts them to the model.
 */
#ifndef QUERN_MODEL_SCORE_IMPL_H
#define QUERN_MODEL_SCORE_IMPL_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/model/score.h"

enum { SCORE_BATCH = 32 }; /* answers written together, at most */

/* Token ids of one item. */
struct item_ids {
    struct ids prompt;
    struct ids *choices; /* [n_choices]; owned */
};

/* What one thread holds. */
struct score_seat {
    struct session *session[SCORE_BATCH]; /* made when first used; owned */
    float *logits;                  /* [SCORE_BATCH][vocab]; owned */
    struct err error;
    size_t error_item;
};

/* What all threads share; every item writes only its own places. */
struct score_work {
    const struct suite *s;
    const struct score_opts *o;
    struct model *m;
    struct item_ids *ids;
    struct item_score *out;
    size_t *start; /* [batches + 1] first item of each batch; owned */
    size_t batches;
    struct score_seat *seats; /* one a thread; owned */
    atomic_size_t done;
    atomic_uint_fast64_t tokens;
    size_t shown; /* of `done`, by thread 0 */
};

/* The ids of an item's prompt and choices. Errors: see choice_tokens. */
int score_item_ids(struct score_work *w, size_t i, struct err *e);

/* Item i, a choice. */
int score_choices(struct score_work *w, size_t i, struct score_seat *seat,
    struct err *e);
/*
 * score_answers - items [first, last), at most SCORE_BATCH, written together
 *
 * The weights are gone through once for a token of each. Which items make a
 * batch depends on the suite and the model alone.
 */
void score_answers(struct score_work *w, size_t first, size_t last,
    struct score_seat *seat, struct err *e);

#endif
