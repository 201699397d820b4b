/*
 * arch.c - see arch.h; names and shapes from the table of llama.cpp's
 * gguf-py/gguf/tensor_mapping.py and transformers' modeling files
 */
#include "lib/model/arch.h"

#include <string.h>

#include "lib/base/str.h"

/* A size that the config knows. */
enum dim {
    DIM_ONE,
    DIM_VOCAB,
    DIM_HIDDEN,
    DIM_FFN,
    DIM_Q,  /* heads * head_dim */
    DIM_KV, /* kv_heads * head_dim */
};

/* When a model has the tensor. */
enum when {
    ALWAYS,
    UNTIED,
    QKV_BIAS,
    O_BIAS,
    MLP_BIAS,
};

/* Which heads GGUF's row order is about, where the architecture permutes. */
enum heads {
    NO_HEADS,
    Q_HEADS,
    KV_HEADS,
};

struct tensor_row {
    enum tensor_role role;
    const char *hf, *gguf; /* inside the layer for layer tensors */
    enum dim rows, cols;
    enum input_role input;
    enum when when;
    enum heads heads;
    bool bias, norm;
};

struct arch_row {
    const char *hf_name, *gguf_name;
    bool permutes_qk;
    const struct tensor_row *before, *layer, *after; /* end: hf NULL */
};

static const struct tensor_row embed_rows[] = {
    { .role = ROLE_EMBED, .hf = "model.embed_tokens.weight",
        .gguf = "token_embd.weight", .rows = DIM_VOCAB, .cols = DIM_HIDDEN,
        .input = IN_COUNT },
    { .hf = NULL },
};

static const struct tensor_row head_rows[] = {
    { .role = ROLE_OUTPUT_NORM, .hf = "model.norm.weight",
        .gguf = "output_norm.weight", .rows = DIM_HIDDEN, .norm = true,
        .input = IN_COUNT },
    { .role = ROLE_OUTPUT, .hf = "lm_head.weight", .gguf = "output.weight",
        .rows = DIM_VOCAB, .cols = DIM_HIDDEN, .input = IN_OUTPUT,
        .when = UNTIED },
    { .hf = NULL },
};

static const struct tensor_row llama_rows[] = {
    { .role = ROLE_ATTN_NORM, .hf = "input_layernorm.weight",
        .gguf = "attn_norm.weight", .rows = DIM_HIDDEN, .norm = true,
        .input = IN_COUNT },
    { .role = ROLE_Q, .hf = "self_attn.q_proj.weight",
        .gguf = "attn_q.weight", .rows = DIM_Q, .cols = DIM_HIDDEN,
        .input = IN_QKV, .heads = Q_HEADS },
    { .role = ROLE_Q, .hf = "self_attn.q_proj.bias", .gguf = "attn_q.bias",
        .rows = DIM_Q, .bias = true, .input = IN_COUNT, .when = QKV_BIAS,
        .heads = Q_HEADS },
    { .role = ROLE_K, .hf = "self_attn.k_proj.weight",
        .gguf = "attn_k.weight", .rows = DIM_KV, .cols = DIM_HIDDEN,
        .input = IN_QKV, .heads = KV_HEADS },
    { .role = ROLE_K, .hf = "self_attn.k_proj.bias", .gguf = "attn_k.bias",
        .rows = DIM_KV, .bias = true, .input = IN_COUNT, .when = QKV_BIAS,
        .heads = KV_HEADS },
    { .role = ROLE_V, .hf = "self_attn.v_proj.weight",
        .gguf = "attn_v.weight", .rows = DIM_KV, .cols = DIM_HIDDEN,
        .input = IN_QKV },
    { .role = ROLE_V, .hf = "self_attn.v_proj.bias", .gguf = "attn_v.bias",
        .rows = DIM_KV, .bias = true, .input = IN_COUNT, .when = QKV_BIAS },
    { .role = ROLE_O, .hf = "self_attn.o_proj.weight",
        .gguf = "attn_output.weight", .rows = DIM_HIDDEN, .cols = DIM_Q,
        .input = IN_O },
    { .role = ROLE_O, .hf = "self_attn.o_proj.bias",
        .gguf = "attn_output.bias", .rows = DIM_HIDDEN, .bias = true,
        .input = IN_COUNT, .when = O_BIAS },
    { .role = ROLE_FFN_NORM, .hf = "post_attention_layernorm.weight",
        .gguf = "ffn_norm.weight", .rows = DIM_HIDDEN, .norm = true,
        .input = IN_COUNT },
    { .role = ROLE_GATE, .hf = "mlp.gate_proj.weight",
        .gguf = "ffn_gate.weight", .rows = DIM_FFN, .cols = DIM_HIDDEN,
        .input = IN_GATE_UP },
    { .role = ROLE_GATE, .hf = "mlp.gate_proj.bias", .gguf = "ffn_gate.bias",
        .rows = DIM_FFN, .bias = true, .input = IN_COUNT, .when = MLP_BIAS },
    { .role = ROLE_UP, .hf = "mlp.up_proj.weight", .gguf = "ffn_up.weight",
        .rows = DIM_FFN, .cols = DIM_HIDDEN, .input = IN_GATE_UP },
    { .role = ROLE_UP, .hf = "mlp.up_proj.bias", .gguf = "ffn_up.bias",
        .rows = DIM_FFN, .bias = true, .input = IN_COUNT, .when = MLP_BIAS },
    { .role = ROLE_DOWN, .hf = "mlp.down_proj.weight",
        .gguf = "ffn_down.weight", .rows = DIM_HIDDEN, .cols = DIM_FFN,
        .input = IN_DOWN },
    { .role = ROLE_DOWN, .hf = "mlp.down_proj.bias", .gguf = "ffn_down.bias",
        .rows = DIM_HIDDEN, .bias = true, .input = IN_COUNT,
        .when = MLP_BIAS },
    { .hf = NULL },
};

static const struct arch_row archs[ARCH_COUNT] = {
    [ARCH_LLAMA] = { .hf_name = "LlamaForCausalLM", .gguf_name = "llama",
        .permutes_qk = true, .before = embed_rows, .layer = llama_rows,
        .after = head_rows },
};

const char *
input_role_name(enum input_role in)
{
    static const char *const names[IN_COUNT] = { "qkv", "o", "gate_up",
        "down", "output" };

    return in < IN_COUNT ? names[in] : "none";
}

static uint64_t
dim_of(const struct model_config *c, enum dim d)
{
    switch (d) {
    case DIM_VOCAB:
        return c->vocab;
    case DIM_HIDDEN:
        return c->hidden;
    case DIM_FFN:
        return c->ffn;
    case DIM_Q:
        return (uint64_t)c->heads * c->head_dim;
    case DIM_KV:
        return (uint64_t)c->kv_heads * c->head_dim;
    case DIM_ONE:
        break;
    }
    return 1;
}

static bool
is_there(const struct model_config *c, enum when when)
{
    switch (when) {
    case UNTIED:
        return !c->tied;
    case QKV_BIAS:
        return c->qkv_bias;
    case O_BIAS:
        return c->o_bias;
    case MLP_BIAS:
        return c->mlp_bias;
    case ALWAYS:
        break;
    }
    return true;
}

static uint32_t
heads_of(const struct model_config *c, enum heads heads)
{
    if (!archs[c->arch].permutes_qk || heads == NO_HEADS)
        return 0;
    return heads == Q_HEADS ? c->heads : c->kv_heads;
}

static void
add_rows(struct model_plan *p, const struct model_config *c,
    const struct tensor_row *row, int layer)
{
    for (; row->hf != NULL; row++) {
        struct tensor_plan *t = &p->t[p->n];

        if (!is_there(c, row->when))
            continue;
        *t = (struct tensor_plan){ .role = row->role, .bias = row->bias,
            .layer = layer, .norm = row->norm, .input = row->input,
            .rows = dim_of(c, row->rows), .cols = dim_of(c, row->cols),
            .rank = row->cols == DIM_ONE ? 1 : 2,
            .permute_heads = heads_of(c, row->heads),
            .hf = row->hf, .gguf = row->gguf };
        if (layer >= 0) {
            t->hf = arena_printf(&p->arena, "model.layers.%d.%s", layer,
                row->hf);
            t->gguf = arena_printf(&p->arena, "blk.%d.%s", layer, row->gguf);
        }
        p->n++;
    }
}

static size_t
count_rows(const struct tensor_row *row)
{
    size_t n = 0;

    while (row[n].hf != NULL)
        n++;
    return n;
}

void
model_plan(struct model_plan *p, const struct model_config *c)
{
    const struct arch_row *a = &archs[c->arch];
    size_t most = count_rows(a->before) + count_rows(a->after) +
        count_rows(a->layer) * c->layers; /* layers <= MODEL_MAX_LAYERS */

    *p = (struct model_plan){ 0 };
    p->t = arena_alloc(&p->arena, most * sizeof *p->t);
    add_rows(p, c, a->before, -1);
    for (uint32_t i = 0; i < c->layers; i++)
        add_rows(p, c, a->layer, (int)i);
    add_rows(p, c, a->after, -1);
}

void
model_plan_release(struct model_plan *p)
{
    arena_release(&p->arena);
    *p = (struct model_plan){ 0 };
}

const struct tensor_plan *
plan_find_hf(const struct model_plan *p, const char *name)
{
    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->t[i].hf, name) == 0)
            return &p->t[i];
    return NULL;
}

const struct tensor_plan *
plan_find_gguf(const struct model_plan *p, const char *name)
{
    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->t[i].gguf, name) == 0)
            return &p->t[i];
    return NULL;
}

uint64_t
arch_source_row(uint64_t r, uint32_t head_dim)
{
    uint64_t head = r / head_dim, in = r % head_dim;

    return head * head_dim + in / 2 + (in % 2) * (head_dim / 2);
}

const char *
arch_hf_name(enum arch a)
{
    return archs[a].hf_name;
}

const char *
arch_gguf_name(enum arch a)
{
    return archs[a].gguf_name;
}

bool
arch_permutes_qk(enum arch a)
{
    return archs[a].permutes_qk;
}

/* The names that are known, for messages. */
static const char *
known_names(bool hf, struct str *out)
{
    for (size_t i = 0; i < ARCH_COUNT; i++)
        str_addf(out, "%s%s", i > 0 ? ", " : "",
            hf ? archs[i].hf_name : archs[i].gguf_name);
    return str_get(out);
}

static int
find_arch(enum arch *a, const char *name, bool hf, const char *place,
    struct err *e)
{
    struct str known = { 0 };

    for (size_t i = 0; i < ARCH_COUNT; i++) {
        if (strcmp(hf ? archs[i].hf_name : archs[i].gguf_name, name) == 0) {
            *a = (enum arch)i;
            return 0;
        }
    }
    err_set(e, ERR_WORK,
        "%s: unknown architecture '%.100s'; quern knows %s", place, name,
        known_names(hf, &known));
    str_release(&known);
    return e->code;
}

int
arch_from_hf(enum arch *a, const json_t *config, const char *place,
    struct err *e)
{
    const json_t *list = json_object_get(config, "architectures");
    const char *name = json_string_value(json_array_get(list, 0));

    if (name == NULL || json_array_size(list) != 1)
        return err_set(e, ERR_WORK,
            "%s: 'architectures' is missing or not a list of one name; "
            "is it a model's config.json?", place);
    return find_arch(a, name, true, place, e);
}

int
arch_from_gguf(enum arch *a, const char *name, const char *place,
    struct err *e)
{
    return find_arch(a, name, false, place, e);
}

bool
arch_ignores(const struct model_config *c, const char *hf_name)
{
    return str_ends(hf_name, "rotary_emb.inv_freq") ||
        str_ends(hf_name, ".attention.masked_bias") ||
        str_ends(hf_name, ".attention.bias") ||
        (c->tied && strcmp(hf_name, "lm_head.weight") == 0);
}
