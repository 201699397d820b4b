/*
 * types.c - ways to quantize, as a table
 */
#include "gen/types.h"

#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"

/* Block formats of GGUF version 3 (formats.md 5.1), then mixes (5.5). */
static const struct quant_type types[] = {
    { "Q8_0", NULL, 8, 32 },
    { "Q4_0", NULL, 4, 32 },
    { "Q4_K", NULL, 4, 32 },
    { "Q6_K", NULL, 6, 16 },
    { "F16", NULL, 16, 1 },
    { "BF16", NULL, 16, 1 },
    { "Q4_1", NULL, 4, 32 },
    { "Q5_0", NULL, 5, 32 },
    { "Q5_1", NULL, 5, 32 },
    { "Q2_K", NULL, 2, 16 },
    { "Q3_K", NULL, 3, 16 },
    { "Q5_K", NULL, 5, 32 },
    { "IQ4_NL", NULL, 4, 32 },
    { "IQ4_XS", NULL, 4, 32 },
    { "Q3_K_S", "Q3_K", 3, 16 },
    { "Q3_K_M", "Q3_K", 3, 16 },
    { "Q3_K_L", "Q3_K", 3, 16 },
    { "Q4_K_S", "Q4_K", 4, 32 },
    { "Q4_K_M", "Q4_K", 4, 32 },
    { "Q5_K_S", "Q5_K", 5, 32 },
    { "Q5_K_M", "Q5_K", 5, 32 },
};

#define PLAIN "Q8_0", "Q4_0", "Q4_K", "Q6_K", "F16", "BF16", "Q4_1", "Q5_0", \
    "Q5_1", "Q2_K", "Q3_K", "Q5_K", "IQ4_NL", "IQ4_XS"

const char *const quant_plain_names[] = { PLAIN, NULL };
const char *const quant_type_names[] = { PLAIN, "Q3_K_S", "Q3_K_M", "Q3_K_L",
    "Q4_K_S", "Q4_K_M", "Q5_K_S", "Q5_K_M", NULL };

const char *const quant_methods[] = { "awq", "gptq", "imatrix", "smoothquant",
    "rtn", NULL };

const char *const tensor_roles[] = { "token_embd", "output", "attn_q",
    "attn_k", "attn_v", "attn_qkv", "attn_output", "ffn_gate", "ffn_up",
    "ffn_down", "ffn_gate_exps", "ffn_up_exps", "ffn_down_exps", NULL };

const struct quant_type *
quant_type_find(const char *name)
{
    for (size_t i = 0; i < countof(types); i++)
        if (strcmp(types[i].name, name) == 0)
            return &types[i];
    return NULL;
}

const char *
quant_type_plain(const struct quant_type *t)
{
    return t->base != NULL ? t->base : t->name;
}

/* llama.cpp's choice of layers that deserve more bits. */
static bool
more(unsigned i, unsigned n)
{
    return i < n / 8 || i >= 7 * n / 8 || (i - n / 8) % 3 == 2;
}

/* Values of attn_v (or attn_qkv), by mix. */
static const char *
values_type(const char *mix, unsigned i, const struct layout *l)
{
    if (strcmp(mix, "Q2_K") == 0)
        return l->sharing >= 4 ? "Q4_K" : "Q3_K";
    if (strcmp(mix, "Q3_K_M") == 0)
        return i < 2 ? "Q5_K" : "Q4_K";
    if (strcmp(mix, "Q3_K_L") == 0)
        return "Q5_K";
    if (strcmp(mix, "Q4_K_S") == 0)
        return i < 4 ? "Q5_K" : NULL;
    if (strcmp(mix, "Q4_K_M") == 0 || strcmp(mix, "Q5_K_M") == 0)
        return more(i, l->layers) ? "Q6_K" : NULL;
    if (str_starts(mix, "IQ4_"))
        return l->sharing >= 4 ? "Q5_K" : NULL;
    return NULL;
}

static const char *
down_type(const char *mix, unsigned i, const struct layout *l, bool weighted)
{
    const unsigned n = l->layers;

    if (strcmp(mix, "Q2_K") == 0)
        return "Q3_K";
    if (strcmp(mix, "Q3_K_M") == 0)
        return i < n / 16 ? "Q5_K" : "Q4_K";
    if (strcmp(mix, "Q3_K_L") == 0)
        return "Q5_K";
    if (strcmp(mix, "Q4_K_S") == 0)
        return i < n / 8 ? "Q5_K" : NULL;
    if (strcmp(mix, "Q4_K_M") == 0 || strcmp(mix, "Q5_K_M") == 0)
        return more(i, n) ? "Q6_K" : NULL;
    if (strcmp(mix, "Q4_0") == 0)
        return weighted && i < n / 8 ? "Q4_1" : NULL;
    if (strcmp(mix, "Q5_0") == 0)
        return weighted && i < n / 8 ? "Q5_1" : NULL;
    if (str_starts(mix, "IQ4_"))
        return !weighted && i < n / 8 ? "Q5_K" : NULL;
    return NULL;
}

const char *
quant_type_in(const struct quant_type *t, const char *role, unsigned layer,
    const struct layout *l, bool weighted)
{
    const char *other = NULL;

    if (strcmp(role, "attn_v") == 0 || strcmp(role, "attn_qkv") == 0)
        other = values_type(t->name, layer, l);
    else if (str_starts(role, "ffn_down"))
        other = down_type(t->name, layer, l, weighted);
    else if (strcmp(role, "attn_output") == 0)
        other = strcmp(t->name, "Q2_K") == 0 ? "Q3_K" :
            strcmp(t->name, "Q3_K_M") == 0 ? "Q4_K" :
            strcmp(t->name, "Q3_K_L") == 0 ? "Q5_K" : NULL;
    return other != NULL ? other : quant_type_plain(t);
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

bool
tensor_role_is_in(const char *role, const struct layout *l)
{
    if (tensor_role_is_head(role))
        return false;
    if (str_starts(role, "ffn_"))
        return str_ends(role, "_exps") == l->experts;
    if (strcmp(role, "attn_qkv") == 0)
        return l->fused;
    if (strcmp(role, "attn_output") == 0)
        return true;
    return !l->fused;
}
