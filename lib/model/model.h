/*
 * model.h - a language model that can be run, from a Hugging Face folder or a
 * GGUF file
 *
 * Arithmetic follows what is stored, and products are taken straight from the
 * mapped file: F32, F16 and BF16 weights multiply in float32, the packed types
 * of GGUF with activations in blocks of 8-bit integers, as llama.cpp's CPU code
 * does. A baseline is opened `exact`: packed weights, too,
 * multiply in float32, and a GGUF file gives the very bits that the folder it
 * was converted from without loss would. Keys and values are kept in float32.
 *
 * A model never changes once it is open: any number of sessions, one a thread,
 * may run on it at once. Results do not depend on the number of threads, on the
 * machine, or on how a text is cut into calls; opened with `blas`, only not on
 * the number of threads.
 */
#ifndef QUERN_MODEL_MODEL_H
#define QUERN_MODEL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/gemm.h"
#include "lib/base/err.h"
#include "lib/base/pool.h"
#include "lib/model/arch.h"
#include "lib/model/config.h"
#include "lib/text/tokenizer.h"

struct checkpoint;
struct gguf;
struct model;

struct model_open_opts {
    bool no_tokenizer; /* leave the tokenizer out; model_tokenizer is NULL */
    bool lazy;         /* touch no layer at open: for layer.h; also exact */
    bool exact;        /* float32 whatever is stored */
    bool decodes;      /* much will be decoded: a copy in memory that reads fast */
    gemm_fn *blas;     /* float products: other bits elsewhere; NULL: our own */
    struct pool *pool; /* looks at weights at open; NULL: alone */
};

/*
 * model_open - open and check a folder or a .gguf file
 *
 * Errors: unknown architecture or rope type, numbers out of range, a tensor
 * that is missing, unexpected, of another shape or type, and a NaN or infinity
 * in what multiplies as float, looked for at open in models of fewer than 2^28
 * such weights; each names the file and the tensor. `opts` may be NULL. On error
 * *m is NULL. Free with model_free.
 */
int model_open(struct model **m, const char *path,
    const struct model_open_opts *opts, struct err *e);
void model_free(struct model *m); /* NULL is fine */

const struct model_config *model_config(const struct model *m);
const struct model_plan *model_tensors(const struct model *m);
struct tokenizer *model_tokenizer(struct model *m); /* borrowed */
const char *model_path(const struct model *m);
/* What it was opened from. */
const struct checkpoint *model_checkpoint(const struct model *m);
/* That as a GGUF file; NULL: it is a folder. */
const struct gguf *model_gguf(const struct model *m);
/*
 * How products are computed: "float32", or "int8-block" as soon as one matrix
 * multiplies as it is packed. The same word on every machine.
 */
const char *model_numeric(const struct model *m);
/* Whether generation ends with this id. */
bool model_is_eos(const struct model *m, int32_t id);
/* Bytes of weights, as stored. */
uint64_t model_weight_bytes(const struct model *m);

/*
 * struct session - a text being read: keys and values of its positions
 *
 * `capacity` is the most positions it will take (0: what the model was made
 * for); memory grows with what is used. `pool` shares out the work of one
 * session; NULL where sessions themselves run in several threads.
 */
struct session;

struct session *session_new(const struct model *m, size_t capacity,
    struct pool *pool);
void session_free(struct session *s);
size_t session_len(const struct session *s);
void session_reset(struct session *s); /* no positions; memory is kept */
/* Gives back the room for computing; what was read stays. For many sessions. */
void session_trim(struct session *s);
/* Forgets positions from n on, so that texts share a beginning. n <= len. */
void session_truncate(struct session *s, size_t n);

enum logits_want {
    LOGITS_NONE,
    LOGITS_LAST, /* logits [vocab], of the last id */
    LOGITS_ALL,  /* logits [n][vocab] */
};

/*
 * session_eval - append n ids and compute
 * Errors: an id outside the vocabulary, more positions than the capacity. The
 * session is as it was then. n == 0 does nothing.
 */
int session_eval(struct session *s, const int32_t *ids, size_t n,
    float *logits, enum logits_want want, struct err *e);

/*
 * session_each - append n ids; fn sees the logits of positions, in order
 * `want` [n] tells for which of the ids (NULL: for all); others cost nothing.
 * The logits [vocab] are the session's and may be changed by fn. Memory does
 * not grow with n * vocab.
 */
int session_each(struct session *s, const int32_t *ids, size_t n,
    const bool *want, void (*fn)(void *ctx, size_t i, float *logits),
    void *ctx, struct err *e);

/*
 * session_step - append one id to each of n different sessions of one model
 *
 * logits is [n][vocab]. What many texts are written in takes hardly longer than
 * what one is, because the weights are gone through once: write greedily in
 * batches of 16 to 64. Uses the pool and the room of the first session (of
 * every 64). Errors as session_eval's; no session has changed then.
 */
int session_step(struct session *const *s, const int32_t *ids, size_t n,
    float *logits, struct err *e);

struct token_score {
    double logprob; /* natural logarithm; NaN or -infinity when not finite */
    bool greedy;    /* the target has the highest logit (lowest id of equals) */
    bool finite;    /* all logits of the position are finite */
};

/*
 * session_score - append n ids; out[i] is how likely targets[i] is after ids[i]
 * A target of -1 is not scored (its `out` is left alone, its logits are not
 * computed).
 */
int session_score(struct session *s, const int32_t *ids, size_t n,
    const int32_t *targets, struct token_score *out, struct err *e);

/*
 * model_not_finite - the error for logits of position `at` that are NaN or
 * infinite: it names the first damaged weight or scale, looked for in the whole
 * model, which takes its time. logits_check: the same if it is so, else 0.
 */
int model_not_finite(const struct model *m, size_t at, struct err *e);
int logits_check(const struct model *m, const float *logits, size_t at,
    struct err *e);

/* Index of the highest of n values, the lowest index of equals. n > 0. */
size_t logits_argmax(const float *logits, size_t n);
/* log softmax at index i, in double. */
double logits_logprob(const float *logits, size_t n, size_t i);

#endif
