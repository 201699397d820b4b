/*
 * model_impl.h - what a model is made of. Internal to lib/model.
 */
#ifndef QUERN_MODEL_MODEL_IMPL_H
#define QUERN_MODEL_MODEL_IMPL_H

#include "lib/format/checkpoint.h"
#include "lib/format/gguf.h"
#include "lib/model/forward.h"
#include "lib/model/model.h"
#include "lib/model/weights.h"

struct model {
    char *path;
    struct checkpoint ck;
    struct model_config c;
    struct model_plan plan;
    struct stored *stored; /* [plan.n], in the plan's order; owned */
    size_t *first; /* [layers + 1]: where layers begin in the plan; owned */
    struct tokenizer *tokenizer;
    float *inv[ROPE_KINDS]; /* [rope.dims / 2] each, or NULL; owned */
    struct matrix embed;   /* rows are looked up; with `tied` the output too */
    struct matrix output;  /* unused when tied */
    float *output_norm;    /* [hidden] */
    struct block *blocks;  /* [layers]; all zero when opened lazily */
    bool packed;           /* one matrix at least multiplies as it is */
    void *side;            /* where interleaved copies lie, or NULL; owned */
    bool lazy, decodes;
    gemm_fn *blas;
    bool exact;            /* products in float32 whatever is stored */
    bool reorder;          /* rows of q and k go back to a folder's order */
};

/*
 * bind.c: `stored` of every entry of the plan, from the open folder or file
 * Errors: a tensor is missing, unexpected, of another shape or type.
 */
int model_bind_folder(struct model *m, struct err *e);
int model_bind_gguf(struct model *m, struct err *e);

/* The tensor of a plan entry of this model, as stored. */
const struct stored *model_stored(const struct model *m,
    const struct tensor_plan *p);
/*
 * model_vector - norm or bias as float32 [p->rows], in the order of the source,
 * the factor that multiplies: with 1 added where the architecture asks for it
 */
int model_vector(const struct model *m, const struct tensor_plan *p,
    float *out, struct err *e);
/* All of a layer. */
int model_load_block(const struct model *m, struct block *b, uint32_t layer,
    const struct making *how, struct err *e);
/* The matrix that makes logits. */
const struct matrix *model_output(const struct model *m);
/* Rows of the embedding: x [n][hidden]. Ids must be in range. */
void model_embed_rows(const struct model *m, const int32_t *ids, size_t n,
    float *x);
/* An id below 0 or not below the vocabulary is an error. */
int model_check_ids(const struct model *m, const int32_t *ids, size_t n,
    struct err *e);

/* The tokenizer in a GGUF file's keys. */
int gguf_tokenizer(struct tokenizer **t, const struct gguf *g, struct err *e);

#endif
