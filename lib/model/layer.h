/*
 * layer.h - run a model one layer at a time over many texts
 *
 * For calibration: only one layer's weights are in memory, as they are stored;
 * they multiply as float32 whatever that is, and a hook sees what goes into
 * every matrix. The caller holds the hidden states. Open the model with `lazy`.
 */
#ifndef QUERN_MODEL_LAYER_H
#define QUERN_MODEL_LAYER_H

#include "lib/model/model.h"

struct layer;

/*
 * layer_load - get layer `index` ready; NaN and infinity are errors that name
 * tensor, row and column. Free with layer_free, which also lets go of the pages
 * of its tensors.
 */
int layer_load(struct layer **l, const struct model *m, uint32_t index,
    struct pool *pool, struct err *e);
void layer_free(struct layer *l); /* NULL is fine */

/*
 * Called on the caller's thread, in order of texts, with x [n][cols] dense:
 * the inputs of the matrices that read `in`. With IN_EXPERT and IN_EXPERT_DOWN
 * they are the tokens that `expert` was given, so that n counts them; an expert
 * that was given none is not mentioned. Otherwise `expert` is -1.
 */
typedef void layer_hook(void *ctx, enum input_role in, int expert,
    const float *x, size_t n, size_t cols);

/* hidden [n][hidden size] = embedding of ids. Errors: id out of range. */
int model_embed(const struct model *m, const int32_t *ids, size_t n,
    float *hidden, struct err *e);
/*
 * layer_forward - one text of n positions from 0 on, hidden [n][hidden size] in
 * place. `hook` may be NULL.
 */
void layer_forward(struct layer *l, float *hidden, size_t n,
    struct pool *pool, layer_hook *hook, void *ctx);
/* The last norm: out [n][hidden size], the input of the output matrix. */
void model_final_norm(const struct model *m, const float *hidden, size_t n,
    float *out);

#endif
