/*
 * perplexity.h - how well a model predicts a text, and how far a second model's
 * predictions are from the first's
 *
 * All logarithms are natural. Windows do not overlap and are computed alone, so
 * they are shared out over threads and no sum depends on threads.
 */
#ifndef QUERN_MODEL_PERPLEXITY_H
#define QUERN_MODEL_PERPLEXITY_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/pool.h"
#include "lib/base/progress.h"
#include "lib/model/model.h"
#include "lib/text/ids.h"

/*
 * Which tokens are scored.
 *   windows    windows of `window` ids as they stand; the first id of a window
 *              is context only, the others are scored
 *   llama.cpp  the first id of each window is replaced by bos where the model
 *              adds one; ids after the first half are scored (from position
 *              window/2 + 1 on); at least two windows
 * An incomplete window at the end is left out.
 */
enum perplexity_rule { PERPLEXITY_WINDOWS, PERPLEXITY_LLAMA_CPP };

struct perplexity_opts {
    enum perplexity_rule rule;
    size_t window;
    bool bos; /* llama.cpp: replace the first id */
    struct pool *pool;
    struct progress *progress; /* counts ids; NULL: none */
};

struct perplexity {
    size_t windows, window;
    size_t per_window;  /* scored ids in each */
    double *logprob;    /* [windows * per_window]; owned */
    double *window_nll; /* [windows] sums of -logprob; owned */
    double nll, stderr_nll; /* mean over scored ids, its standard error */
};

/*
 * perplexity_run - score ids[0..n)
 * Errors: fewer ids than one window (two for llama.cpp), a window longer than
 * the model's context or shorter than 2, logits that are not finite. `p` is
 * zeroed by the caller; on error nothing is held.
 */
int perplexity_run(struct perplexity *p, const struct model *m,
    const int32_t *ids, size_t n, const struct perplexity_opts *o,
    struct err *e);
void perplexity_release(struct perplexity *p); /* twice is fine */

/* How two models differ on the same windows, by position. */
struct divergence {
    size_t windows, per_window, tokens;
    double *kl;       /* [tokens] sum of p_base (log p_base - log p); owned */
    double *ln_ratio; /* [tokens] nll of the candidate less the baseline's */
    double same_top;  /* share of positions with the same most likely token */
};

/*
 * divergence_run - both models over ids[0..n), rule `windows`
 * Whole rows of logits are compared in float32, summed in double. Errors: those
 * of perplexity_run, naming the model whose logits are not finite; vocabularies
 * of two sizes; an id outside of them. `d` is zeroed by the caller; on error
 * nothing is held.
 */
int divergence_run(struct divergence *d, const struct model *base,
    const struct model *cand, const int32_t *ids, size_t n,
    const struct perplexity_opts *o, struct err *e);
void divergence_release(struct divergence *d);

#endif
