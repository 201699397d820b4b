/*
 * arch.h - which tensors an architecture has, and what they are called
 *
 * One table for each architecture gives every tensor its role, its name in a
 * Hugging Face folder, its name in a GGUF file and its shape. A reader checks a
 * file against it, a writer makes a file from it: neither knows a name itself.
 */
#ifndef QUERN_MODEL_ARCH_H
#define QUERN_MODEL_ARCH_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/mem.h"
#include "lib/model/config.h"

enum tensor_role {
    ROLE_EMBED,
    ROLE_OUTPUT_NORM,
    ROLE_OUTPUT, /* lm_head; absent when tied */
    ROLE_ATTN_NORM,
    ROLE_Q,
    ROLE_K,
    ROLE_V,
    ROLE_O,
    ROLE_FFN_NORM,
    ROLE_GATE,
    ROLE_UP,
    ROLE_DOWN,
    ROLE_QKV,      /* q, k and v rows in one matrix */
    ROLE_GATE_UP,  /* gate and up rows in one matrix */
    ROLE_Q_NORM,   /* of each head, before the rotation */
    ROLE_K_NORM,
    ROLE_POST_ATTN_NORM, /* of what attention adds */
    ROLE_POST_FFN_NORM,
    ROLE_ROUTER,   /* which experts a position goes to */
    ROLE_GATE_EXPERT, /* one expert's */
    ROLE_UP_EXPERT,
    ROLE_DOWN_EXPERT,
    ROLE_COUNT
};

/* Where the input of a matrix comes from: the points that calibration sees. */
enum input_role {
    IN_QKV,     /* attention norm -> q, k, v */
    IN_O,       /* attention -> o */
    IN_GATE_UP, /* feed-forward norm -> gate, up */
    IN_DOWN,    /* activation -> down */
    IN_OUTPUT,  /* last norm -> output matrix */
    IN_EXPERT,  /* feed-forward norm -> gate, up of the experts it goes to */
    IN_EXPERT_DOWN, /* an expert's activation -> its down */
    IN_COUNT    /* also: a tensor that multiplies no activation */
};

/*
 * "qkv", "o", "gate_up", "down", "output", "expert", "expert_down": the names
 * in statistics files.
 */
const char *input_role_name(enum input_role in);

/* One tensor that a model must have. */
struct tensor_plan {
    enum tensor_role role;
    bool bias;       /* the bias of that role, not its matrix */
    int layer;       /* -1: none */
    const char *hf;  /* "model.layers.3.mlp.up_proj.weight" */
    const char *gguf; /* "blk.3.ffn_up.weight" */
    unsigned rank;   /* 1 or 2 */
    uint64_t rows;   /* of a matrix, or the length of a vector */
    uint64_t cols;   /* 1 for a vector */
    uint32_t permute_heads; /* > 0: GGUF reorders rows in so many heads */
    /* > 0: GGUF stacks so many tensors of this shape in one; this is `expert` */
    uint32_t experts, expert;
    bool norm;       /* norm weight: always F32 in GGUF */
    bool plus_one;   /* GGUF holds w + 1 */
    bool exact;      /* a matrix that stays F32 in GGUF (router) */
    enum input_role input;
};

/*
 * Every tensor of a folder in a fixed order: embedding, layers, norm, output.
 * The experts of a matrix follow each other; their GGUF name is the same.
 */
struct model_plan {
    struct tensor_plan *t;
    size_t n;
    struct arena arena; /* owns t and the names */
};

void model_plan(struct model_plan *p, const struct model_config *c);
void model_plan_release(struct model_plan *p);
/*
 * NULL if the model has no tensor of that name (either kind of name). Of stacked
 * experts the first one.
 */
const struct tensor_plan *plan_find_hf(const struct model_plan *p,
    const char *name);
const struct tensor_plan *plan_find_gguf(const struct model_plan *p,
    const char *name);

/*
 * arch_source_row - which row of the Hugging Face matrix is row r in GGUF
 * For tensors with permute_heads; head_dim as in the config. Rows of a head are
 * (2, head_dim / 2) there and (head_dim / 2, 2) here.
 */
uint64_t arch_source_row(uint64_t r, uint32_t head_dim);

/* "LlamaForCausalLM", "llama" (GGUF's general.architecture). */
const char *arch_hf_name(enum arch a);
const char *arch_gguf_name(enum arch a);
/* From config.json's `architectures`; an unknown one is an error. */
int arch_from_hf(enum arch *a, const json_t *config, const char *place,
    struct err *e);
int arch_from_gguf(enum arch *a, const char *name, const char *place,
    struct err *e);
/* GGUF has q and k in the order of adjacent rope pairs. */
bool arch_permutes_qk(enum arch a);
/* Norms multiply by w + 1, which is what GGUF holds. */
bool arch_norm_plus_one(enum arch a);

/*
 * A tensor that a checkpoint may carry and nobody needs: rotary tables, a tied
 * output matrix, and the parts that see where the text model is one of several.
 */
bool arch_ignores(const struct model_config *c, const char *hf_name);

#endif
