/*
 * forward.h - one decoder layer, and what it needs to work in
 * Internal to lib/model.
 */
#ifndef QUERN_MODEL_FORWARD_H
#define QUERN_MODEL_FORWARD_H

#include <stddef.h>

#include "lib/base/pool.h"
#include "lib/model/layer.h"
#include "lib/model/weights.h"

enum { BATCH_ROWS = 512 }; /* positions that go through a layer together */

/* Cosines and sines of positions [0, n), `half` for each. */
struct rope_table {
    const float *inv; /* [half]; borrowed */
    size_t half, n, cap;
    float *cos, *sin; /* owned */
};

/* Keys and values of one layer: [kv head][cap][head_dim], owned. */
struct kv {
    float *k, *v;
    size_t cap; /* positions there is room for */
};

/* Rows [row0, row0 + n) of a batch are positions pos0 and on of one text. */
struct span {
    struct kv *kv; /* of the layer at hand; borrowed */
    size_t row0, n, pos0;
};

/* What one attention task does: some rows of one span, one head. */
struct piece {
    size_t span, first, n; /* `first` counts from the span's start */
};

/* Room for BATCH_ROWS positions at most; made once, used for every layer. */
struct work {
    const struct model_config *c; /* borrowed */
    struct pool *pool;            /* borrowed; may be NULL */
    size_t rows;                  /* positions there is room for */
    float *norm;                  /* [rows][hidden] */
    float *q, *attn;              /* [rows][heads * head_dim] */
    float *k, *v;                 /* [rows][kv_heads * head_dim] */
    float *gate, *up;             /* [rows][ffn] */
    float *out;                   /* [rows][hidden] */
    struct rope_table rope;
    struct piece *pieces;         /* [n_pieces]; owned */
    size_t n_pieces, piece_cap;
    /* activations encoded for packed weights, made when first asked for */
    const float *act_of;          /* whose; NULL: nobody's */
    int act_type;
    void *act;
    size_t act_cap;
    /* one for each thread */
    float **scores, **tiles;
    size_t *score_cap, *tile_cap; /* floats */
};

/* `inv` [rope.dims / 2] is borrowed. */
void work_init(struct work *w, const struct model_config *c, const float *inv,
    struct pool *pool);
void work_release(struct work *w);
/* Room for n <= BATCH_ROWS positions. */
void work_reserve(struct work *w, size_t n);

void kv_reserve(struct kv *kv, const struct model_config *c, size_t used,
    size_t need);
void kv_release(struct kv *kv);

/*
 * matrix_apply - y [n][rows] = x [n][cols] * w^T + bias
 * act_forget must come between two different contents of the same x.
 */
void matrix_apply(struct work *w, const struct matrix *m, float *y,
    const float *x, size_t n);
void act_forget(struct work *w);

/* y [n][hidden] = RMS norm of x times weight. */
void norm_rows(struct work *w, float *y, const float *x, const float *weight,
    size_t n);

/*
 * work_spans - get ready for a batch that is laid out like this
 * The spans cover rows 0 .. n - 1 in order. Their kv may change from layer to
 * layer, nothing else.
 */
void work_spans(struct work *w, const struct span *spans, size_t n_spans);

/*
 * block_forward - x [n][hidden], the rows of all spans, through a layer in place
 * Keys and values of earlier positions are in each span's kv, which must have
 * room for the new ones.
 */
void block_forward(struct work *w, const struct block *b,
    const struct span *spans, size_t n_spans, float *x, layer_hook *hook,
    void *ctx);

#endif
