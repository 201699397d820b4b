/*
 * arch.c - see arch.h; names and shapes from the table of llama.cpp's
 * gguf-py/gguf/tensor_mapping.py and transformers' modeling files
 */
#include "lib/model/arch.h"

#include <string.h>

#include "lib/base/str.h"
#include "lib/model/config.h"

/* A size that the config knows. */
enum dim {
    DIM_ONE,
    DIM_VOCAB,
    DIM_HIDDEN,
    DIM_FFN,
    DIM_Q,  /* heads * head_dim */
    DIM_KV, /* kv_heads * head_dim */
    DIM_QKV, /* q, k and v together */
    DIM_HEAD,
    DIM_FFN_2,
    DIM_EXPERTS,
    DIM_EXPERT_FFN,
};

/* When a model has the tensor. */
enum when {
    ALWAYS,
    UNTIED,
    QKV_BIAS,
    O_BIAS,
    MLP_BIAS,
    DENSE, /* layers without experts */
    MOE,   /* layers with experts */
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
    const char *expert;    /* HF name after the expert's number, or NULL */
    enum dim rows, cols;
    enum input_role input;
    enum when when;
    enum heads heads;
    bool bias, norm, exact;
};

enum { LAYER_PARTS = 5 };

struct arch_row {
    const char *hf_name, *gguf_name;
    bool permutes_qk, plus_one;
    const struct tensor_row *layer[LAYER_PARTS]; /* unused ones NULL */
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

/* Attention with three matrices. */
static const struct tensor_row attention_rows[] = {
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
    { .hf = NULL },
};

/* Phi-3: rows of q, then k, then v. */
static const struct tensor_row fused_attention_rows[] = {
    { .role = ROLE_ATTN_NORM, .hf = "input_layernorm.weight",
        .gguf = "attn_norm.weight", .rows = DIM_HIDDEN, .norm = true,
        .input = IN_COUNT },
    { .role = ROLE_QKV, .hf = "self_attn.qkv_proj.weight",
        .gguf = "attn_qkv.weight", .rows = DIM_QKV, .cols = DIM_HIDDEN,
        .input = IN_QKV },
    { .role = ROLE_O, .hf = "self_attn.o_proj.weight",
        .gguf = "attn_output.weight", .rows = DIM_HIDDEN, .cols = DIM_Q,
        .input = IN_O },
    { .hf = NULL },
};

/* Qwen 3, Gemma 3: every head of q and k is normed before it is rotated. */
static const struct tensor_row head_norm_rows[] = {
    { .role = ROLE_Q_NORM, .hf = "self_attn.q_norm.weight",
        .gguf = "attn_q_norm.weight", .rows = DIM_HEAD, .norm = true,
        .input = IN_COUNT },
    { .role = ROLE_K_NORM, .hf = "self_attn.k_norm.weight",
        .gguf = "attn_k_norm.weight", .rows = DIM_HEAD, .norm = true,
        .input = IN_COUNT },
    { .hf = NULL },
};

static const struct tensor_row ffn_norm_rows[] = {
    { .role = ROLE_FFN_NORM, .hf = "post_attention_layernorm.weight",
        .gguf = "ffn_norm.weight", .rows = DIM_HIDDEN, .norm = true,
        .input = IN_COUNT },
    { .hf = NULL },
};

/* Gemma 2 and 3: norms before and after both parts. */
static const struct tensor_row four_norm_rows[] = {
    { .role = ROLE_POST_ATTN_NORM, .hf = "post_attention_layernorm.weight",
        .gguf = "post_attention_norm.weight", .rows = DIM_HIDDEN,
        .norm = true, .input = IN_COUNT },
    { .role = ROLE_FFN_NORM, .hf = "pre_feedforward_layernorm.weight",
        .gguf = "ffn_norm.weight", .rows = DIM_HIDDEN, .norm = true,
        .input = IN_COUNT },
    { .role = ROLE_POST_FFN_NORM, .hf = "post_feedforward_layernorm.weight",
        .gguf = "post_ffw_norm.weight", .rows = DIM_HIDDEN, .norm = true,
        .input = IN_COUNT },
    { .hf = NULL },
};

static const struct tensor_row mlp_rows[] = {
    { .role = ROLE_GATE, .hf = "mlp.gate_proj.weight",
        .gguf = "ffn_gate.weight", .rows = DIM_FFN, .cols = DIM_HIDDEN,
        .input = IN_GATE_UP,
        .when = DENSE },
    { .role = ROLE_GATE, .hf = "mlp.gate_proj.bias", .gguf = "ffn_gate.bias",
        .rows = DIM_FFN, .bias = true, .input = IN_COUNT, .when = MLP_BIAS },
    { .role = ROLE_UP, .hf = "mlp.up_proj.weight", .gguf = "ffn_up.weight",
        .rows = DIM_FFN, .cols = DIM_HIDDEN, .input = IN_GATE_UP,
        .when = DENSE },
    { .role = ROLE_UP, .hf = "mlp.up_proj.bias", .gguf = "ffn_up.bias",
        .rows = DIM_FFN, .bias = true, .input = IN_COUNT, .when = MLP_BIAS },
    { .role = ROLE_DOWN, .hf = "mlp.down_proj.weight",
        .gguf = "ffn_down.weight", .rows = DIM_HIDDEN, .cols = DIM_FFN,
        .input = IN_DOWN,
        .when = DENSE },
    { .role = ROLE_DOWN, .hf = "mlp.down_proj.bias", .gguf = "ffn_down.bias",
        .rows = DIM_HIDDEN, .bias = true, .input = IN_COUNT,
        .when = MLP_BIAS },
    { .hf = NULL },
};

/* Phi-3: rows of gate, then up. */
static const struct tensor_row fused_mlp_rows[] = {
    { .role = ROLE_GATE_UP, .hf = "mlp.gate_up_proj.weight",
        .gguf = "ffn_up.weight", .rows = DIM_FFN_2, .cols = DIM_HIDDEN,
        .input = IN_GATE_UP },
    { .role = ROLE_DOWN, .hf = "mlp.down_proj.weight",
        .gguf = "ffn_down.weight", .rows = DIM_HIDDEN, .cols = DIM_FFN,
        .input = IN_DOWN },
    { .hf = NULL },
};

/* Mixtral: w1 is gate, w3 up, w2 down. */
static const struct tensor_row mixtral_rows[] = {
    { .role = ROLE_ROUTER, .hf = "block_sparse_moe.gate.weight",
        .gguf = "ffn_gate_inp.weight", .rows = DIM_EXPERTS,
        .cols = DIM_HIDDEN, .input = IN_COUNT, .when = MOE, .exact = true },
    { .role = ROLE_GATE_EXPERT, .hf = "block_sparse_moe.experts",
        .expert = "w1.weight", .gguf = "ffn_gate_exps.weight",
        .rows = DIM_EXPERT_FFN, .cols = DIM_HIDDEN, .input = IN_EXPERT,
        .when = MOE },
    { .role = ROLE_UP_EXPERT, .hf = "block_sparse_moe.experts",
        .expert = "w3.weight", .gguf = "ffn_up_exps.weight",
        .rows = DIM_EXPERT_FFN, .cols = DIM_HIDDEN, .input = IN_EXPERT,
        .when = MOE },
    { .role = ROLE_DOWN_EXPERT, .hf = "block_sparse_moe.experts",
        .expert = "w2.weight", .gguf = "ffn_down_exps.weight",
        .rows = DIM_HIDDEN, .cols = DIM_EXPERT_FFN, .input = IN_EXPERT_DOWN,
        .when = MOE },
    { .hf = NULL },
};

/* Qwen 3 with experts. */
static const struct tensor_row qwen_moe_rows[] = {
    { .role = ROLE_ROUTER, .hf = "mlp.gate.weight",
        .gguf = "ffn_gate_inp.weight", .rows = DIM_EXPERTS,
        .cols = DIM_HIDDEN, .input = IN_COUNT, .when = MOE, .exact = true },
    { .role = ROLE_GATE_EXPERT, .hf = "mlp.experts",
        .expert = "gate_proj.weight", .gguf = "ffn_gate_exps.weight",
        .rows = DIM_EXPERT_FFN, .cols = DIM_HIDDEN, .input = IN_EXPERT,
        .when = MOE },
    { .role = ROLE_UP_EXPERT, .hf = "mlp.experts",
        .expert = "up_proj.weight", .gguf = "ffn_up_exps.weight",
        .rows = DIM_EXPERT_FFN, .cols = DIM_HIDDEN, .input = IN_EXPERT,
        .when = MOE },
    { .role = ROLE_DOWN_EXPERT, .hf = "mlp.experts",
        .expert = "down_proj.weight", .gguf = "ffn_down_exps.weight",
        .rows = DIM_HIDDEN, .cols = DIM_EXPERT_FFN, .input = IN_EXPERT_DOWN,
        .when = MOE },
    { .hf = NULL },
};

static const struct arch_row archs[ARCH_COUNT] = {
    [ARCH_LLAMA] = { .hf_name = "LlamaForCausalLM", .gguf_name = "llama",
        .permutes_qk = true,
        .layer = { attention_rows, ffn_norm_rows, mlp_rows } },
    [ARCH_MISTRAL] = { .hf_name = "MistralForCausalLM", .gguf_name = "llama",
        .permutes_qk = true,
        .layer = { attention_rows, ffn_norm_rows, mlp_rows } },
    [ARCH_QWEN2] = { .hf_name = "Qwen2ForCausalLM", .gguf_name = "qwen2",
        .layer = { attention_rows, ffn_norm_rows, mlp_rows } },
    [ARCH_QWEN3] = { .hf_name = "Qwen3ForCausalLM", .gguf_name = "qwen3",
        .layer = { attention_rows, head_norm_rows, ffn_norm_rows,
            mlp_rows } },
    [ARCH_PHI3] = { .hf_name = "Phi3ForCausalLM", .gguf_name = "phi3",
        .layer = { fused_attention_rows, ffn_norm_rows, fused_mlp_rows } },
    [ARCH_GEMMA2] = { .hf_name = "Gemma2ForCausalLM", .gguf_name = "gemma2",
        .plus_one = true,
        .layer = { attention_rows, four_norm_rows, mlp_rows } },
    [ARCH_GEMMA3] = { .hf_name = "Gemma3ForCausalLM", .gguf_name = "gemma3",
        .plus_one = true,
        .layer = { attention_rows, head_norm_rows, four_norm_rows,
            mlp_rows } },
    [ARCH_MIXTRAL] = { .hf_name = "MixtralForCausalLM", .gguf_name = "llama",
        .permutes_qk = true,
        .layer = { attention_rows, ffn_norm_rows, mixtral_rows } },
    [ARCH_QWEN3MOE] = { .hf_name = "Qwen3MoeForCausalLM", .gguf_name = "qwen3moe",
        .layer = { attention_rows, head_norm_rows, ffn_norm_rows,
            mlp_rows, qwen_moe_rows } },
};

const char *
input_role_name(enum input_role in)
{
    static const char *const names[IN_COUNT] = { "qkv", "o", "gate_up",
        "down", "output", "expert", "expert_down" };

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
    case DIM_QKV:
        return ((uint64_t)c->heads + 2 * c->kv_heads) * c->head_dim;
    case DIM_HEAD:
        return c->head_dim;
    case DIM_FFN_2:
        return 2 * (uint64_t)c->ffn;
    case DIM_EXPERTS:
        return c->experts;
    case DIM_EXPERT_FFN:
        return c->expert_ffn;
    case DIM_ONE:
        break;
    }
    return 1;
}

static bool
is_there(const struct model_config *c, enum when when, int layer)
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
    case DENSE:
        return !config_has_experts(c, (uint32_t)layer);
    case MOE:
        return config_has_experts(c, (uint32_t)layer);
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

/* What stands before "layers.0." and "norm.weight". */
static const char *const prefixes[] = {
    [NAMES_PLAIN] = "model.",
    [NAMES_NESTED] = "language_model.model.",
    [NAMES_INNER] = "model.language_model.",
};

static void
name_head(struct model_plan *p, struct tensor_plan *t, enum folder_names names)
{
    static const char plain[] = "model.";

    if (str_starts(t->hf, plain))
        t->hf = arena_printf(&p->arena, "%s%s", prefixes[names],
            t->hf + sizeof plain - 1);
    else if (names == NAMES_NESTED)
        t->hf = arena_printf(&p->arena, "language_model.%s", t->hf);
}

/* Experts as transformers 5 holds them, and writes them if asked to. */
static const char *
stacked_name(const struct tensor_row *row)
{
    if (row->role == ROLE_ROUTER)
        return "mlp.gate.weight";
    if (row->expert == NULL)
        return NULL;
    return row->role == ROLE_DOWN_EXPERT ? "mlp.experts.down_proj" :
                                           "mlp.experts.gate_up_proj";
}

static void
name_tensor(struct model_plan *p, struct tensor_plan *t,
    const struct tensor_row *row, const struct model_config *c)
{
    const char *prefix = prefixes[c->names];
    const char *stacked = c->stacked ? stacked_name(row) : NULL;

    if (t->layer < 0) {
        name_head(p, t, c->names);
        return;
    }
    t->gguf = t->expert > 0 ? t[-1].gguf :
        arena_printf(&p->arena, "blk.%d.%s", t->layer, row->gguf);
    if (stacked != NULL)
        t->hf = arena_printf(&p->arena, "%slayers.%d.%s", prefix, t->layer,
            stacked);
    else if (row->expert == NULL)
        t->hf = arena_printf(&p->arena, "%slayers.%d.%s", prefix, t->layer,
            row->hf);
    else
        t->hf = arena_printf(&p->arena, "%slayers.%d.%s.%u.%s", prefix,
            t->layer, row->hf, t->expert, row->expert);
}

static void
add_rows(struct model_plan *p, const struct model_config *c,
    const struct tensor_row *row, int layer)
{
    for (; row->hf != NULL; row++) {
        uint32_t experts = row->expert != NULL ? c->experts : 0;

        if (!is_there(c, row->when, layer))
            continue;
        for (uint32_t i = 0; i == 0 || i < experts; i++) {
            struct tensor_plan *t = &p->t[p->n++];

            *t = (struct tensor_plan){ .role = row->role, .bias = row->bias,
                .layer = layer, .norm = row->norm, .input = row->input,
                .rows = dim_of(c, row->rows), .cols = dim_of(c, row->cols),
                .rank = row->cols == DIM_ONE ? 1 : 2,
                .permute_heads = heads_of(c, row->heads),
                .experts = experts, .expert = i, .exact = row->exact,
                .plus_one = row->norm && archs[c->arch].plus_one,
                .hf = row->hf, .gguf = row->gguf };
            name_tensor(p, t, row, c);
        }
    }
}

/* How many tensors one layer has at most. */
static size_t
count_layer(const struct model_config *c)
{
    size_t n = 0;

    for (size_t k = 0; k < LAYER_PARTS; k++)
        for (const struct tensor_row *row = archs[c->arch].layer[k];
             row != NULL && row->hf != NULL; row++)
            n += row->expert != NULL ? c->experts : 1;
    return n;
}

void
model_plan(struct model_plan *p, const struct model_config *c)
{
    /* layers and layers * experts have limits: config.h */
    size_t most = countof(embed_rows) + countof(head_rows) +
        count_layer(c) * c->layers;

    *p = (struct model_plan){ 0 };
    p->t = arena_alloc(&p->arena, most * sizeof *p->t);
    add_rows(p, c, embed_rows, -1);
    for (uint32_t i = 0; i < c->layers; i++)
        for (size_t k = 0; k < LAYER_PARTS; k++)
            if (archs[c->arch].layer[k] != NULL)
                add_rows(p, c, archs[c->arch].layer[k], (int)i);
    add_rows(p, c, head_rows, -1);
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

bool
arch_norm_plus_one(enum arch a)
{
    return archs[a].plus_one;
}

/* The names that are known, for messages. */
static const char *
known_names(bool hf, struct str *out)
{
    for (size_t i = 0; i < ARCH_COUNT; i++) {
        const char *name = hf ? archs[i].hf_name : archs[i].gguf_name;

        if (!hf && i > 0 && strcmp(name, archs[0].gguf_name) == 0)
            continue; /* `llama` is several */
        str_addf(out, "%s%s", i > 0 ? ", " : "", name);
    }
    for (size_t i = 0; hf && config_whole(i) != NULL; i++)
        str_addf(out, ", %s", config_whole(i));
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

/* Parts of a folder that see, and hand what they saw to the text model. */
static bool
is_other_part(const char *name)
{
    static const char *const parts[] = { "vision_tower.",
        "multi_modal_projector." };

    if (str_starts(name, "model."))
        name += strlen("model.");
    for (size_t i = 0; i < countof(parts); i++)
        if (str_starts(name, parts[i]))
            return true;
    return false;
}

bool
arch_ignores(const struct model_config *c, const char *hf_name)
{
    if (c->names != NAMES_PLAIN && is_other_part(hf_name))
        return true;
    if (c->names == NAMES_NESTED && str_starts(hf_name, "language_model."))
        hf_name += strlen("language_model.");
    return str_ends(hf_name, "rotary_emb.inv_freq") ||
        str_ends(hf_name, ".attention.masked_bias") ||
        str_ends(hf_name, ".attention.bias") ||
        (c->tied && strcmp(hf_name, "lm_head.weight") == 0);
}
