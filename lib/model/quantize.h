/*
 * quantize.h - the tensors of one layer (or of the head) into packed types
 *
 * A quantization is planned for all tensors of the layer, scales are chosen if
 * the method asks for them, then each tensor is encoded and its error measured.
 * Memory: one slab of packed rows and one slab of floats for each thread,
 * whatever the size of the model.
 *
 * Method
 *   rtn      each block is rounded by its own values alone
 *   imatrix  weighted by mean2 of the input columns (quantization.md 1.3)
 *   awq      imatrix after scaling (arXiv 2306.00978): the columns j of the
 *            matrices that read one input are multiplied by s[j], and what
 *            makes that input divides by it, so the function stays the same:
 *              attention norm    -> q, k, v
 *              v rows            -> o columns (query heads that share a
 *                                   key-value head share its scales)
 *              feed-forward norm -> gate, up
 *              up rows           -> down columns
 *            s = absmean^alpha, scaled so that largest times smallest is 1; of
 *            alpha 0, .05 .. .95 the one with the least weighted error of the
 *            final, packed weights is taken. Norms are stored in F32.
 *
 * Errors are in the units of the original weights:
 *   relative = |W - Q| / |W| (Frobenius), weighted = the same with column j
 *   weighted by mean2[j]: the error of the layer's output, correlations aside.
 */
#ifndef QUERN_MODEL_QUANTIZE_H
#define QUERN_MODEL_QUANTIZE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/qtype.h"
#include "lib/base/err.h"
#include "lib/base/pool.h"
#include "lib/base/progress.h"
#include "lib/format/gguf.h"
#include "lib/format/imatrix.h"
#include "lib/model/model.h"
#include "lib/model/statistics.h"

enum quantize_method {
    METHOD_RTN,
    METHOD_IMATRIX,
    METHOD_AWQ,
    METHOD_COUNT
};

/* 0 and *m, or -1 if no method has that name. */
int quantize_method_from(const char *name, enum quantize_method *m);
const char *quantize_method_name(enum quantize_method m);

/* One tensor on its way. */
struct qtensor {
    const struct tensor_plan *plan; /* borrowed from the model */
    enum qtype asked, type; /* they differ when rows do not fit the blocks */
    const float *mean2;   /* [cols] of its input, or NULL; borrowed */
    float *importance;    /* [cols] for the encoder, or NULL; owned */
    float *col_scale;     /* [cols] multiplied into columns, or NULL; owned */
    float *row_div;       /* [rows] in source order, or NULL; owned */
    double *unit2;        /* [cols] 1 / col_scale^2, or NULL: 1; owned */
    double *weight;       /* [cols] mean2 * unit2, or NULL: none; owned */
    uint64_t bytes;       /* packed */
    double err2, norm2;   /* squared sums: W - Q, W */
    double werr2, wnorm2; /* the same, weighted; 0 without statistics */
};

/* How a scale group came out. */
struct qscale {
    enum input_role input;
    double alpha;
    double error, plain; /* weighted, relative; at alpha and at 0 */
};

struct quantize {
    const struct model *model;
    int layer; /* -1: the head */
    enum quantize_method method;
    const struct statistics_file *stats; /* NULL with rtn */
    struct qtensor *t; /* in the plan's order; owned */
    size_t n;
    struct qscale scale[IN_COUNT];
    size_t n_scales;
    struct arena arena; /* owns what quantize_importance took */
};

/*
 * quantize_init - plan the tensors of a layer
 * `q` is zeroed by the caller; the model is open (lazily is enough). All
 * matrices get `type`, but the output matrix (and a tied embedding) Q6_K where
 * the type has blocks of fewer bits, as llama.cpp does; norms and biases F32. A
 * type whose block does not fit the rows is replaced (quantize_fallback).
 * `stats` may be NULL with METHOD_RTN, and with METHOD_IMATRIX where
 * quantize_importance follows. Errors: statistics that lack an input.
 */
int quantize_init(struct quantize *q, const struct model *m, int layer,
    enum qtype type, enum quantize_method method,
    const struct statistics_file *stats, struct err *e);
/*
 * quantize_importance - weigh columns by an importance matrix of llama.cpp
 * Its values are taken as llama-quantize takes them, so that the bytes are the
 * same. Errors: no entry for a matrix of the layer, or one of another size. The
 * output matrix and the embedding may lack theirs: they are rounded without.
 */
int quantize_importance(struct quantize *q, const struct imatrix *im,
    struct err *e);
void quantize_release(struct quantize *q); /* twice is fine */
/*
 * quantize_override - another type for tensors of one role
 * `role` is GGUF's name inside the layer, without suffix: "attn_v",
 * "token_embd". False when the model has no matrix of that role; one that lies
 * in another layer or in the head is fine.
 */
bool quantize_override(struct quantize *q, const char *role, enum qtype type);
/* The type for rows of `cols`: `t`, or what llama.cpp puts in its place. */
enum qtype quantize_fallback(enum qtype t, uint64_t cols);

/* Chooses and sets scales (METHOD_AWQ; nothing otherwise). */
int quantize_scale(struct quantize *q, struct pool *pool, struct err *e);

/*
 * quantize_write - encode all tensors into an open GGUF writer and measure
 * Adds the tensors, writes the header and the data; the caller has put its keys
 * and closes the writer. Errors: NaN or infinity, named with tensor, row and
 * column; a value that the type cannot hold.
 */
int quantize_write(struct quantize *q, struct gguf_writer *w,
    struct pool *pool, struct progress *progress, struct err *e);

/* The report (docs/stages.md, quant/CAND/layer.NNN.json), without "type". */
json_t *quantize_json(const struct quantize *q);

/*
 * For scale.c. quantize_rows: rows of a tensor as they are stored: permuted,
 * scaled, encoded; adds to the sums of `sum`. `w` and `back` hold rows * cols
 * floats, `dst` the packed rows.
 */
struct qsums {
    double err2, norm2, werr2, wnorm2;
};

int quantize_rows(const struct quantize *q, const struct qtensor *t,
    uint64_t row0, uint64_t rows, float *w, float *back, void *dst,
    struct qsums *sum, struct err *e);
/* Sets a tensor's column scales (copied) and all that follows from them. */
void quantize_set_columns(struct qtensor *t, const float *scale);
/* Another tensor's plan, type and statistics, without its scales. */
struct qtensor qtensor_unscaled(const struct qtensor *t);
void qtensor_release(struct qtensor *t);

#endif
