/*
 * types.c - ways to quantize, as a table
 */
#include "gen/types.h"

#include <string.h>

#include "lib/base/mem.h"

/* Block formats of GGUF version 3 (formats.md 5.1). */
static const struct quant_type types[] = {
    { "Q8_0", 8, 32, true },
    { "Q4_0", 4, 32, true },
    { "Q4_K", 4, 32, true },
    { "Q6_K", 6, 16, true },
    { "F16", 16, 1, true },
    { "BF16", 16, 1, true },
    { "Q4_1", 4, 32, false },
    { "Q5_0", 5, 32, false },
    { "Q5_1", 5, 32, false },
    { "Q2_K", 2, 16, false },
    { "Q3_K", 3, 16, false },
    { "Q5_K", 5, 32, false },
    { "IQ4_NL", 4, 32, false },
    { "IQ4_XS", 4, 32, false },
};

const char *const quant_type_names[] = { "Q8_0", "Q4_0", "Q4_K", "Q6_K",
    "F16", "BF16", "Q4_1", "Q5_0", "Q5_1", "Q2_K", "Q3_K", "Q5_K", "IQ4_NL",
    "IQ4_XS", NULL };

const char *const quant_methods[] = { "awq", "gptq", "imatrix", "smoothquant",
    "rtn", NULL };

const char *const tensor_roles[] = { "token_embd", "output", "attn_q",
    "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down",
    NULL };

const struct quant_type *
quant_type_find(const char *name)
{
    for (size_t i = 0; i < countof(types); i++)
        if (strcmp(types[i].name, name) == 0)
            return &types[i];
    return NULL;
}

bool
quant_method_is_made(const char *name)
{
    return strcmp(name, "rtn") == 0 || strcmp(name, "imatrix") == 0 ||
        strcmp(name, "awq") == 0;
}

bool
tensor_role_is_head(const char *role)
{
    return strcmp(role, "token_embd") == 0 || strcmp(role, "output") == 0;
}
