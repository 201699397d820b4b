/*
 * config.h - the numbers that make one model of an architecture
 *
 * Filled from a Hugging Face config.json or from the keys of a GGUF file, and
 * checked on the way: every count is inside a named limit, so that whoever
 * multiplies them (as 64-bit) cannot overflow and allocates nothing absurd.
 */
#ifndef QUERN_MODEL_CONFIG_H
#define QUERN_MODEL_CONFIG_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/format/gguf.h"

enum {
    MODEL_MAX_LAYERS = 16384,
    MODEL_MAX_HIDDEN = 65536,  /* hidden size, and heads * head size */
    MODEL_MAX_FFN = 1 << 20,   /* intermediate size */
    MODEL_MAX_HEADS = 1024,
    MODEL_MAX_HEAD_DIM = 1024,
    MODEL_MAX_VOCAB = 4 << 20,
    MODEL_MAX_POSITIONS = 1 << 27,
    MODEL_MAX_EOS = 8,
};

enum arch {
    ARCH_LLAMA,
    ARCH_COUNT
};

enum rope_type {
    ROPE_DEFAULT,
    ROPE_LINEAR,  /* inv / factor */
    ROPE_LLAMA3,  /* low frequencies divided, high ones kept */
    ROPE_DIVISORS, /* GGUF: a tensor of divisors, one for each frequency */
    ROPE_TYPE_COUNT
};

struct rope_config {
    enum rope_type type;
    double theta;               /* base */
    double factor;              /* linear, llama3 */
    double low_freq, high_freq; /* llama3 */
    double original;            /* llama3: positions it was trained with */
    uint32_t dims;              /* rotated values of a head; even */
    bool pairs;                 /* (2i, 2i + 1), not (i, i + dims / 2) */
};

struct model_config {
    enum arch arch;
    uint32_t hidden, ffn, layers, heads, kv_heads, head_dim;
    uint32_t vocab;     /* rows of the embedding */
    uint32_t positions; /* that it was made for */
    double norm_eps;
    bool tied;          /* the embedding is the output matrix, too */
    bool qkv_bias, o_bias, mlp_bias;
    struct rope_config rope;
    int32_t bos;        /* -1: none */
    int32_t eos[MODEL_MAX_EOS];
    unsigned n_eos;
    char dtype[16];     /* config.json's: "bfloat16"; "" if it does not say */
};

/* `place` starts every message, e.g. "model/config.json". */
int config_from_hf(struct model_config *c, const json_t *config,
    const char *place, struct err *e);
/* Adds the end ids of generation_config.json (or of another config). */
void config_add_eos(struct model_config *c, const json_t *config);
int config_from_gguf(struct model_config *c, const struct gguf *g,
    struct err *e);

/*
 * rope_frequencies - inv[i] of the angle pos * inv[i], i in [0, dims / 2)
 * `divisors` [dims / 2] is for ROPE_DIVISORS, else NULL.
 */
void rope_frequencies(const struct rope_config *r, const float *divisors,
    float *inv);
/*
 * What the frequencies of ROPE_LLAMA3 are divided by: the values of GGUF's
 * tensor rope_freqs.weight, [dims / 2].
 */
void rope_divisors(const struct rope_config *r, float *divisors);

#endif
