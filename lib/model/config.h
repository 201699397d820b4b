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
#include <stddef.h>
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
    MODEL_MAX_EXPERTS = 1024,  /* of a layer */
    MODEL_MAX_ALL_EXPERTS = 1 << 17, /* layers * experts */
};

enum arch {
    ARCH_LLAMA, /* first: what GGUF calls `llama` is this one by default */
    ARCH_MISTRAL,
    ARCH_QWEN2,
    ARCH_QWEN3,
    ARCH_PHI3,
    ARCH_GEMMA2,
    ARCH_GEMMA3,
    ARCH_MIXTRAL,
    ARCH_QWEN3MOE,
    ARCH_COUNT
};

/* What a folder's tensors are called. */
enum folder_names {
    NAMES_PLAIN, /* model.layers.0. */
    /* the text model is one part of several, named in two ways */
    NAMES_NESTED, /* language_model.model.layers.0. */
    NAMES_INNER,  /* model.language_model.layers.0. */
};

enum rope_type {
    ROPE_DEFAULT,
    ROPE_LINEAR,  /* inv / factor */
    ROPE_DYNAMIC, /* the default up to `positions`, and no text is longer */
    ROPE_LLAMA3,  /* low frequencies divided, high ones kept */
    ROPE_YARN,    /* the same with a ramp over the index */
    ROPE_LONGROPE, /* divisors, others for texts longer than `original` */
    ROPE_DIVISORS, /* GGUF: a tensor of divisors, one for each frequency */
    ROPE_TYPE_COUNT
};

struct rope_config {
    enum rope_type type;
    double theta;               /* base */
    double factor;              /* linear, llama3, yarn */
    double low_freq, high_freq; /* llama3 */
    double beta_fast, beta_slow; /* yarn */
    double original;            /* positions it was trained with */
    double attention;           /* cos and sin times this; yarn, longrope */
    uint32_t dims;              /* rotated values of a head; even */
    bool pairs;                 /* (2i, 2i + 1), not (i, i + dims / 2) */
    /* [dims / 2]: divisors, longrope's short and long ones */
    float divisors[MODEL_MAX_HEAD_DIM / 2];
    float far_divisors[MODEL_MAX_HEAD_DIM / 2];
};

struct model_config {
    enum arch arch;
    enum folder_names names;
    bool stacked; /* a folder with all experts of a layer in one tensor */
    uint32_t hidden, ffn, layers, heads, kv_heads, head_dim;
    uint32_t vocab;     /* rows of the embedding */
    uint32_t positions; /* that it was made for */
    double norm_eps;
    bool tied;          /* the embedding is the output matrix, too */
    bool qkv_bias, o_bias, mlp_bias;
    bool gelu;          /* gelu-tanh, not silu, in the feed-forward part */
    double embed_scale; /* what the embedding is multiplied by */
    double attn_scale;  /* of scores: usually head_dim^-0.5 */
    double attn_cap, logit_cap; /* cap * tanh(x / cap); 0: none */
    uint32_t window;    /* positions a local layer sees; 0: all layers see all */
    struct rope_config rope;
    bool two_ropes;     /* local layers turn by rope_local */
    struct rope_config rope_local;
    /* mixture of experts; experts 0: none */
    uint32_t experts, experts_used, expert_ffn;
    bool experts_norm;  /* weights of the chosen ones add up to 1 */
    /* a bit for each layer: has the window, has no experts */
    uint8_t local[MODEL_MAX_LAYERS / 8], dense[MODEL_MAX_LAYERS / 8];
    int32_t bos;        /* -1: none */
    int32_t eos[MODEL_MAX_EOS];
    unsigned n_eos;
    char dtype[16];     /* config.json's: "bfloat16"; "" if it does not say */
};

/* `place` starts every message, e.g. "model/config.json". */
int config_from_hf(struct model_config *c, const json_t *config,
    const char *place, struct err *e);
/*
 * config_text - the text model's config of one that has other parts, too
 * (Gemma3ForConditionalGeneration), with what `text_config` leaves out: the
 * defaults of its class in transformers. The caller decrefs. NULL: the config is
 * a text model's own, or an error is set.
 */
json_t *config_text(const json_t *config, const char *place, struct err *e);
/* The i-th architecture that config_text knows, or NULL after the last. */
const char *config_whole(size_t i);
/* Adds the end ids of generation_config.json (or of another config). */
void config_add_eos(struct model_config *c, const json_t *config);
int config_from_gguf(struct model_config *c, const struct gguf *g,
    struct err *e);

/*
 * config_gguf_known - every key of the architecture is one that quern reads, or
 * holds a value that changes nothing
 * Errors: any other, named with its value.
 */
int config_gguf_known(const struct model_config *c, const struct gguf *g,
    struct err *e);
/*
 * config_gguf_fixed - what GGUF has no keys for and llama.cpp has fixed for each
 * architecture: activation, scales, which layers are local
 */
void config_gguf_fixed(struct model_config *c);

/* Whether a layer sees `window` positions only, and whether it has experts. */
bool config_is_local(const struct model_config *c, uint32_t layer);
bool config_has_experts(const struct model_config *c, uint32_t layer);
/* Sets bits of `local` or `dense`. */
void config_set_layer(uint8_t *bits, uint32_t layer);

/* The rotary part of config.json (config_rope.c); rope.dims is set. */
int config_rope_from_hf(struct model_config *c, const json_t *config,
    const char *place, struct err *e);

/* A text of so many positions turns by the far frequencies (longrope). */
bool rope_is_far(const struct rope_config *r, size_t positions);
/*
 * rope_frequencies - inv[i] of the angle pos * inv[i], i in [0, dims / 2)
 * `far`: those of long texts, where the type has two kinds.
 */
void rope_frequencies(const struct rope_config *r, bool far, float *inv);
/*
 * What the frequencies of ROPE_LLAMA3 are divided by: the values of GGUF's
 * tensor rope_freqs.weight, [dims / 2].
 */
void rope_divisors(const struct rope_config *r, float *divisors);

#endif
