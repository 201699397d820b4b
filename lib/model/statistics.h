/*
 * statistics.h - how large the inputs of matrices are, column by column
 *
 * Over all tokens t of the calibration windows, for input column j:
 *
 *   mean2[j]   = mean of x[t][j]^2   (llama.cpp's importance matrix)
 *   absmean[j] = mean of |x[t][j]|   (AWQ's)
 *   absmax[j]  = largest |x[t][j]|
 *
 * Sums are doubles, taken token after token; threads split columns, so the
 * bytes of a file do not depend on their number. A file holds one layer: F32
 * tensors `ROLE.mean2`, `ROLE.absmean`, `ROLE.absmax` of shape [columns] for
 * each input role (qkv, o, gate_up, down; the head's file: output), and the
 * number of tokens as metadata `tokens`. Roles of experts (expert, expert_down)
 * have shape [experts, columns], where the sums are over the tokens that an
 * expert was given, and `ROLE.tokens`, F32 [experts]: how many those were. An
 * expert that was given none has zeros.
 */
#ifndef QUERN_MODEL_STATISTICS_H
#define QUERN_MODEL_STATISTICS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/hash.h"
#include "lib/base/pool.h"
#include "lib/format/safetensors.h"
#include "lib/model/arch.h"

struct column_sums {
    size_t cols;           /* of all experts together; 0: nothing was added */
    uint64_t tokens;
    double *square, *size; /* [cols]: sums of x^2 and |x|; owned */
    float *top;            /* [cols]: largest |x|; owned */
    uint32_t experts;      /* 0: no role of experts */
    uint64_t *given;       /* [experts]: tokens of each; owned */
};

/* One layer's, or the head's; a zeroed struct is empty. */
struct statistics {
    struct column_sums in[IN_COUNT];
};

/* x [n][cols] dense: inputs of the matrices that read `in`. */
void statistics_add(struct statistics *s, enum input_role in, const float *x,
    size_t n, size_t cols, struct pool *pool);
/* Inputs of the matrices of one of `experts` experts. */
void statistics_add_expert(struct statistics *s, enum input_role in,
    uint32_t expert, uint32_t experts, const float *x, size_t n, size_t cols,
    struct pool *pool);
void statistics_release(struct statistics *s);
/*
 * statistics_write - what was added, as a file; it appears whole
 * Errors: NaN or infinity among the inputs (role and column are named).
 */
int statistics_write(const struct statistics *s, const char *path,
    struct digest *digest, uint64_t *bytes, struct err *e);

struct statistics_file {
    struct safetensors st;
    uint64_t tokens;
};

/* One input role's columns; pointers into the mapped file. */
struct columns {
    size_t cols;
    const float *mean2, *absmean, *absmax;
};

/*
 * What goes into a matrix; a tied embedding also multiplies what the output
 * matrix would. IN_COUNT: it multiplies no activation.
 */
enum input_role statistics_role(const struct model_config *c,
    const struct tensor_plan *p);

int statistics_open(struct statistics_file *f, const char *path,
    struct err *e);
void statistics_close(struct statistics_file *f); /* twice is fine */
/* Errors: no such role in the file, another number of columns. */
int statistics_columns(const struct statistics_file *f, enum input_role in,
    size_t cols, struct columns *out, struct err *e);
/* The columns of one of `experts` experts; the same where they are 0. */
int statistics_expert_columns(const struct statistics_file *f,
    enum input_role in, uint32_t expert, uint32_t experts, size_t cols,
    struct columns *out, struct err *e);
/* How many tokens each expert was given: F32 [experts], in the mapped file. */
const float *statistics_given(const struct statistics_file *f,
    enum input_role in, uint32_t experts, struct err *e);

#endif
