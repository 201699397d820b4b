/*
 * weights.h - a model's matrices and vectors, by role, wherever they lie
 * Internal to lib/model.
 */
#ifndef QUERN_MODEL_WEIGHTS_H
#define QUERN_MODEL_WEIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/qtype.h"
#include "lib/base/err.h"
#include "lib/base/pool.h"
#include "lib/model/arch.h"

/* A tensor as it is stored in a mapped file; rows dense. */
struct stored {
    const void *data; /* any alignment; borrowed from the mapping */
    enum qtype type;
    uint64_t rows, cols;
    const char *path, *name; /* for messages; borrowed */
};

/* How a matrix multiplies. */
enum matrix_kind {
    MATRIX_FLOAT,  /* float32 in memory (`f`) or aligned in the mapping */
    MATRIX_WIDEN,  /* made float32 a few rows at a time */
    MATRIX_PACKED, /* blocks, straight from the mapping */
};

struct matrix {
    enum matrix_kind kind;
    struct stored at;
    const float *f;    /* MATRIX_FLOAT: [rows][cols] */
    float *owned;      /* what `f` was converted into, or NULL */
    void *rows;        /* the rows of `at` in another order, or NULL; owned */
    const float *bias; /* [rows] or NULL */
};

struct expert {
    struct matrix gate, up, down;
};

/* One decoder layer. Vectors and biases are owned. */
struct block {
    float *norm[ROLE_COUNT];     /* by role; NULL where there is none */
    struct matrix m[ROLE_COUNT]; /* by role; those that are matrices */
    float *bias[ROLE_COUNT];     /* NULL where there is none */
    struct expert *experts;      /* [n_experts]; owned */
    uint32_t n_experts;          /* 0: one feed-forward part */
    bool local;                  /* sees the window, turns by rope_local */
};

/*
 * stored_to_f32 - rows [row0, row0 + rows) as float32
 * NaN and infinity are errors that name row and column; dst is filled.
 */
int stored_to_f32(float *dst, const struct stored *t, uint64_t row0,
    uint64_t rows, struct pool *pool, struct err *e);
/* The same without looking for NaN: for a few rows in a hot loop. */
void stored_widen(float *dst, const struct stored *t, uint64_t row0,
    uint64_t rows);

/* Rows [row0, row0 + rows) as a tensor of their own. */
struct stored stored_slice(const struct stored *t, uint64_t row0,
    uint64_t rows);

/* Bytes of the tensor as stored. */
uint64_t stored_bytes(const struct stored *t);

/*
 * matrix_init - decide how to multiply
 * With `convert` it is made float32 in memory now. A packed tensor is neither
 * converted nor widened, but multiplied as it is, unless `exact` asks for
 * products in float32.
 */
int matrix_init(struct matrix *m, const struct stored *t, bool convert,
    bool exact, struct pool *pool, struct err *e);
/*
 * The same of a GGUF tensor whose rows are in the order of rope pairs in heads
 * of `head_dim`: here they are put back in the order of the folder.
 */
int matrix_init_reordered(struct matrix *m, const struct stored *t,
    uint32_t head_dim, bool convert, bool exact, struct pool *pool,
    struct err *e);
void matrix_release(struct matrix *m);

void block_release(struct block *b);

#endif
