/*
 * types.h - ways to quantize, as a table
 *
 * A plain type packs every matrix of a layer alike; a mix, by llama.cpp's name
 * for it, gives some matrices of some layers another one.
 */
#ifndef QUERN_GEN_TYPES_H
#define QUERN_GEN_TYPES_H

#include <stdbool.h>
#include <stddef.h>

/* What a mix, and the graph, need to know of the model. */
struct layout {
    unsigned layers;
    unsigned sharing; /* query heads per key-value head */
    bool experts;     /* the feed-forward part is ffn_*_exps */
    bool fused;       /* attn_qkv instead of attn_q, attn_k, attn_v */
    bool gguf;        /* the source is a GGUF file */
    const char **parts; /* of a split one: the files beside the first */
    size_t n_parts;
};

struct quant_type {
    const char *name;
    const char *base; /* of a mix: its plain type; else NULL */
    unsigned bits;    /* nominal bits per weight */
    unsigned group;   /* weights that share a scale */
};

extern const char *const quant_type_names[];  /* all; NULL-terminated */
extern const char *const quant_plain_names[]; /* without mixes, likewise */
/* NULL if there is none of that name. */
const struct quant_type *quant_type_find(const char *name);
/* The plain type's name: of a mix its base. */
const char *quant_type_plain(const struct quant_type *t);
/*
 * quant_type_in - the plain type that `t` gives a matrix of a layer
 * `weighted`: the method uses importance. Source: llama.cpp's llama-quant.cpp.
 */
const char *quant_type_in(const struct quant_type *t, const char *role,
    unsigned layer, const struct layout *l, bool weighted);

/* awq, gptq, imatrix, smoothquant, rtn; NULL-terminated */
extern const char *const quant_methods[];
bool quant_method_is_made(const char *name);

/* Kinds of matrices that a policy may give a type of their own. */
extern const char *const tensor_roles[]; /* NULL-terminated */
/* Those that lie outside the layers. */
bool tensor_role_is_head(const char *role);
/* Whether a model has that kind of matrix in its layers. */
bool tensor_role_is_in(const char *role, const struct layout *l);

#endif
