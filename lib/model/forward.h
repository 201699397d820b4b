/*
 * forward.h - one decoder layer, and what it needs to work in
 * Internal to lib/model: forward.c has products and the whole of a layer,
 * attention.c and experts.c their parts.
 */
#ifndef QUERN_MODEL_FORWARD_H
#define QUERN_MODEL_FORWARD_H

#include <stddef.h>

#include "kernels/gemm.h"
#include "lib/base/pool.h"
#include "lib/model/layer.h"
#include "lib/model/weights.h"

enum { BATCH_ROWS = 512 }; /* positions that go through a layer together */

/* The ways in which a model can turn q and k. */
enum rope_kind {
    ROPE_NEAR,
    ROPE_FAR,   /* texts longer than the trained context (longrope) */
    ROPE_LOCAL, /* local layers, where they have their own */
    ROPE_KINDS
};

/* Cosines and sines of positions [0, n), `half` for each. */
struct rope_table {
    const float *inv; /* [half]; borrowed; NULL: the model has no such kind */
    float attention;  /* both are multiplied by it */
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
    bool far; /* turns by ROPE_FAR */
};

/* What one attention task does: some rows of one span, one head. */
struct piece {
    size_t span, first, n; /* `first` counts from the span's start */
};

/* Room for BATCH_ROWS positions at most; made once, used for every layer. */
struct work {
    const struct model_config *c; /* borrowed */
    struct pool *pool;            /* borrowed; may be NULL */
    gemm_fn *blas;                /* float products by OpenBLAS, or NULL */
    size_t rows;                  /* positions there is room for */
    float *norm;                  /* [rows][hidden] */
    float *q, *attn;              /* [rows][heads * head_dim] */
    float *k, *v;                 /* [rows][kv_heads * head_dim] */
    float *gate, *up;             /* [rows][ffn or expert_ffn] */
    float *out;                   /* [rows][hidden] */
    struct routing *routing;      /* of experts.c; NULL where there are none */
    struct rope_table rope[ROPE_KINDS];
    struct piece *pieces;         /* [n_pieces]; owned */
    size_t n_pieces, piece_cap;
    /* activations encoded for packed weights, made when first asked for */
    const float *act_of;          /* whose; NULL: nobody's */
    int act_type;
    void *act;
    size_t act_cap;
    bool *act_bad;                /* [act_bad_cap]: rows with NaN or infinity */
    size_t act_bad_cap;
    /* one for each thread */
    float **scores, **tiles;
    size_t *score_cap, *tile_cap; /* floats */
};

/* inv[ROPE_KINDS], of [rope.dims / 2] each or NULL, are borrowed. */
void work_init(struct work *w, const struct model_config *c,
    float *const *inv, gemm_fn *blas, struct pool *pool);
void work_release(struct work *w);
/* Room for n <= BATCH_ROWS positions. */
void work_reserve(struct work *w, size_t n);

void kv_reserve(struct kv *kv, const struct model_config *c, size_t used,
    size_t need);
void kv_release(struct kv *kv);

/*
 * matrix_apply - y [n][rows] = x [n][cols] * w^T + bias
 * A row of x with NaN or infinity gives a row of NaN at least: 8-bit codes could
 * not hold them, and what is damaged must show at the end.
 * act_forget must come between two different contents of the same x.
 */
void matrix_apply(struct work *w, const struct matrix *m, float *y,
    const float *x, size_t n);
void act_forget(struct work *w);

/* A thread's buffer of at least n floats. */
float *thread_floats(float **buffer, size_t *cap, size_t n);

/* x [n] becomes cap * tanh(x / cap). */
void soft_cap(float *x, size_t n, float cap);

/* y [n][ffn] = act(y) * x. */
void act_rows(struct work *w, float *y, const float *x, size_t n, size_t ffn);
/* y [n][hidden] = RMS norm of x times weight. */
void norm_rows(struct work *w, float *y, const float *x, const float *weight,
    size_t n);

/*
 * work_spans - get ready for a batch that is laid out like this
 * The spans cover rows 0 .. n - 1 in order. Their kv may change from layer to
 * layer, nothing else.
 */
void work_spans(struct work *w, const struct span *spans, size_t n_spans);

/* Rows of a batch, ascending. */
struct some_rows {
    const size_t *row;
    size_t n;
};

/*
 * block_forward - x [n][hidden], the rows of all spans, through a layer in place
 * Keys and values of earlier positions are in each span's kv, which must have
 * room for the new ones. With `keep` all rows leave their keys and values, but
 * only those go on, and x holds them side by side: of the last layer nobody
 * wants the others. NULL: all rows.
 */
void block_forward(struct work *w, const struct block *b,
    const struct span *spans, size_t n_spans, float *x,
    const struct some_rows *keep, layer_hook *hook, void *ctx);

/*
 * w->out [rows][hidden] = what attention adds to x, before any last norm, for
 * the rows of `keep`, which x has side by side then. Returns their number.
 */
size_t attention(struct work *w, const struct block *b,
    const struct span *spans, float *x, size_t n,
    const struct some_rows *keep, layer_hook *hook, void *ctx);

/*
 * experts_forward - w->out [n][hidden] = sum over the experts that each row of
 * w->norm goes to
 */
void experts_forward(struct work *w, const struct block *b, size_t n,
    layer_hook *hook, void *ctx);
void routing_reserve(struct work *w, size_t rows);
void routing_free(struct routing *r); /* NULL is fine */

void call_hook(layer_hook *hook, void *ctx, enum input_role in, int expert,
    const float *x, size_t n, size_t cols);

#endif
