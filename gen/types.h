/*
 * types.h - ways to quantize, as a table
 */
#ifndef QUERN_GEN_TYPES_H
#define QUERN_GEN_TYPES_H

#include <stdbool.h>
#include <stddef.h>

struct quant_type {
    const char *name;      /* GGUF's name of the tensor type */
    unsigned bits;         /* nominal bits per weight */
    unsigned group;        /* weights that share a scale */
    bool made;             /* this version writes it */
};

extern const char *const quant_type_names[]; /* NULL-terminated */
/* NULL if there is none of that name. */
const struct quant_type *quant_type_find(const char *name);

/* awq, gptq, imatrix, smoothquant, rtn; NULL-terminated */
extern const char *const quant_methods[];
bool quant_method_is_made(const char *name);

/* Kinds of tensors that a policy may give a type of their own. */
extern const char *const tensor_roles[]; /* NULL-terminated */
/* Those that lie outside the layers. */
bool tensor_role_is_head(const char *role);

#endif
