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

/* Multiplies straight from where it is stored, mostly the mapping. */
struct matrix {
    struct stored at;
    bool widen;        /* blocks become float32 a few rows at a time */
    void *owned;       /* what at.data points into, or NULL: the mapping */
    const void *side;  /* what multiplies instead: rows as kernels/interleave.h
                          has them, or NULL; borrowed */
    const float *bias; /* [rows] or NULL; borrowed */
};

/* How matrices are made ready. */
struct making {
    bool exact;   /* packed tensors multiply in float32, */
    bool convert; /* which they become now, in memory */
    bool check;   /* NaN and infinity in what multiplies as float are errors */
    struct pool *pool;
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
    uint64_t rows, struct err *e);
/* As stored_to_f32 without looking for NaN: for a few rows in a hot loop. */
void stored_widen(float *dst, const struct stored *t, uint64_t row0,
    uint64_t rows);

/* Rows [row0, row0 + rows) as a tensor of their own. */
struct stored stored_slice(const struct stored *t, uint64_t row0,
    uint64_t rows);

/* map_done: its pages need not stay in memory. */
void stored_done(const struct stored *t);

/* Bytes of the tensor as stored. */
uint64_t stored_bytes(const struct stored *t);

/*
 * matrix_init - get ready to multiply
 * Floats multiply in float32 and blocks in 8-bit integers as they are stored,
 * unless `how` says otherwise of blocks.
 */
int matrix_init(struct matrix *m, const struct stored *t,
    const struct making *how, struct err *e);
/*
 * The same of a GGUF tensor whose rows are in the order of rope pairs in heads
 * of `head_dim`: here they are put back in the order of the folder.
 */
int matrix_init_reordered(struct matrix *m, const struct stored *t,
    uint32_t head_dim, const struct making *how, struct err *e);
void matrix_release(struct matrix *m);
/*
 * Bytes of room that matrix_interleave needs; 0 where it cannot be: kernels here
 * have no such product for the type, rows do not come in eights, or the matrix
 * is multiplied as float32 though packed, or is a copy already.
 */
size_t matrix_interleave_bytes(const struct matrix *m);
/*
 * matrix_interleave - multiply from an interleaved copy in `room` from now on
 * Only where matrix_interleave_bytes is not 0; room must outlive the matrix.
 */
void matrix_interleave(struct matrix *m, void *room, struct pool *pool);

void block_release(struct block *b);

#endif
