/*
 * config_hf.c - model_config from a Hugging Face config.json
 *
 * Older and newer ways of writing are both read. What would change the result
 * and is not known is refused, never skipped; what class defaults of
 * transformers would fill in differently for each architecture must be there.
 */
#include <math.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/model/arch.h"
#include "lib/model/config.h"

static bool
is_set(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);

    return v != NULL && !json_is_null(v);
}

static uint32_t
get_count(const json_t *o, const char *key, uint32_t max, const char *place,
    struct err *e)
{
    int64_t v = json_get_int(o, key, 1, max, place, e);

    return v > 0 ? (uint32_t)v : 0;
}

static bool
get_flag(const json_t *o, const char *key, bool dflt, const char *place,
    struct err *e)
{
    return is_set(o, key) ? json_get_bool(o, key, place, e) : dflt;
}

static int
read_sizes(struct model_config *c, const json_t *o, const char *place,
    struct err *e)
{
    c->hidden = get_count(o, "hidden_size", MODEL_MAX_HIDDEN, place, e);
    c->ffn = get_count(o, "intermediate_size", MODEL_MAX_FFN, place, e);
    c->layers = get_count(o, "num_hidden_layers", MODEL_MAX_LAYERS, place, e);
    c->heads = get_count(o, "num_attention_heads", MODEL_MAX_HEADS, place, e);
    c->vocab = get_count(o, "vocab_size", MODEL_MAX_VOCAB, place, e);
    c->positions = get_count(o, "max_position_embeddings",
        MODEL_MAX_POSITIONS, place, e);
    c->norm_eps = json_get_real(o, "rms_norm_eps", 1e-12, 0.1, place, e);
    if (e->code != 0)
        return e->code;
    c->kv_heads = is_set(o, "num_key_value_heads") ?
        get_count(o, "num_key_value_heads", c->heads, place, e) : c->heads;
    if (is_set(o, "head_dim") || c->arch == ARCH_QWEN3 ||
        c->arch == ARCH_QWEN3MOE || arch_norm_plus_one(c->arch))
        c->head_dim = get_count(o, "head_dim", MODEL_MAX_HEAD_DIM, place, e);
    else if (c->hidden % c->heads == 0 &&
        c->hidden / c->heads <= MODEL_MAX_HEAD_DIM)
        c->head_dim = c->hidden / c->heads;
    else
        return err_set(e, ERR_WORK,
            "%s: 'hidden_size' %u is no multiple of 'num_attention_heads' %u; "
            "give 'head_dim'", place, c->hidden, c->heads);
    if (e->code == 0 && c->heads % c->kv_heads != 0)
        err_set(e, ERR_WORK,
            "%s: 'num_attention_heads' %u is no multiple of "
            "'num_key_value_heads' %u; repair it", place, c->heads,
            c->kv_heads);
    if (e->code == 0 && c->head_dim % 2 != 0)
        err_set(e, ERR_WORK, "%s: a head of %u values cannot be rotated in "
            "pairs; repair 'head_dim'", place, c->head_dim);
    if (e->code == 0 && (uint64_t)c->heads * c->head_dim > MODEL_MAX_HIDDEN)
        err_set(e, ERR_WORK, "%s: %u heads of %u values are more than %d; "
            "repair 'num_attention_heads' or 'head_dim'", place, c->heads,
            c->head_dim, MODEL_MAX_HIDDEN);
    return e->code;
}

static int
read_rope(struct model_config *c, const json_t *o, const char *place,
    struct err *e)
{
    if (config_rope_from_hf(c, o, place, e) != 0)
        return e->code;
    if (c->rope.dims != c->head_dim && c->arch != ARCH_PHI3)
        err_set(e, ERR_WORK, "%s: 'partial_rotary_factor' is not carried out "
            "for %s; take another model", place, arch_hf_name(c->arch));
    return e->code;
}

/* `layer_types`: one word for each layer. */
static int
read_layer_types(struct model_config *c, const json_t *o, const char *place,
    struct err *e)
{
    const json_t *list = json_object_get(o, "layer_types");

    if (json_array_size(list) != c->layers)
        return err_set(e, ERR_WORK, "%s: 'layer_types' is not a list of %u "
            "words, one for each layer; repair it", place, c->layers);
    for (uint32_t i = 0; i < c->layers; i++) {
        const char *type = json_string_value(json_array_get(list, i));

        if (type != NULL && strcmp(type, "sliding_attention") == 0)
            config_set_layer(c->local, i);
        else if (type == NULL || strcmp(type, "full_attention") != 0)
            return err_set(e, ERR_WORK, "%s: 'layer_types': layer %u is "
                "'%.60s'; quern knows full_attention and sliding_attention",
                place, i, type != NULL ? type : "no text");
    }
    return 0;
}

/* The window of layers [from, layers) of which each `global`th sees all. */
static int
read_window(struct model_config *c, const json_t *o, uint32_t from,
    uint32_t global, const char *place, struct err *e)
{
    if (!is_set(o, "sliding_window"))
        return 0;
    c->window = get_count(o, "sliding_window", MODEL_MAX_POSITIONS, place, e);
    for (uint32_t i = from; i < c->layers; i++)
        if (global == 0 || (i + 1) % global != 0)
            config_set_layer(c->local, i);
    return e->code;
}

static int
read_act(struct model_config *c, const json_t *o, const char *key,
    const char *want, const char *place, struct err *e)
{
    const char *act = is_set(o, key) ? json_get_str(o, key, place, e) : want;

    if (act != NULL && strcmp(act, want) != 0)
        err_set(e, ERR_WORK, "%s: '%s' '%.60s' is not carried out for %s; it "
            "must be %s", place, key, act, arch_hf_name(c->arch), want);
    return e->code;
}

static int
read_llama(struct model_config *c, const json_t *o, const char *place,
    struct err *e)
{
    c->qkv_bias = get_flag(o, "attention_bias", false, place, e);
    c->o_bias = c->qkv_bias;
    c->mlp_bias = get_flag(o, "mlp_bias", false, place, e);
    return e->code;
}

static int
read_mistral(struct model_config *c, const json_t *o, const char *place,
    struct err *e)
{
    return read_window(c, o, 0, 0, place, e);
}

/* Qwen 2 and 3: a window only if asked for, from some layer on. */
static int
read_qwen(struct model_config *c, const json_t *o, const char *place,
    struct err *e)
{
    int64_t from;

    if (c->arch == ARCH_QWEN2) {
        c->qkv_bias = true;
    } else {
        c->qkv_bias = get_flag(o, "attention_bias", false, place, e);
        c->o_bias = c->qkv_bias;
    }
    if (!get_flag(o, "use_sliding_window", false, place, e) || e->code != 0)
        return e->code;
    if (c->arch == ARCH_QWEN3MOE)
        return read_window(c, o, 0, 0, place, e);
    if (is_set(o, "layer_types"))
        return read_layer_types(c, o, place, e) != 0 ? e->code :
            read_window(c, o, c->layers, 0, place, e);
    from = json_get_int(o, "max_window_layers", 0, MODEL_MAX_LAYERS, place,
        e);
    return e->code != 0 ? e->code :
        read_window(c, o, (uint32_t)from, 0, place, e);
}

static int
read_cap(double *cap, const json_t *o, const char *key, const char *place,
    struct err *e)
{
    if (is_set(o, key))
        *cap = json_get_real(o, key, 1e-3, 1e6, place, e);
    return e->code;
}

static int
read_gemma(struct model_config *c, const json_t *o, const char *place,
    struct err *e)
{
    uint32_t global = c->arch == ARCH_GEMMA2 ? 2 : 6;

    c->gelu = true;
    c->embed_scale = (double)(float)sqrt((double)c->hidden);
    c->attn_scale = 1.0 / sqrt(json_get_real(o, "query_pre_attn_scalar", 1e-3,
        1e6, place, e));
    c->qkv_bias = get_flag(o, "attention_bias", false, place, e);
    c->o_bias = c->qkv_bias;
    if (read_cap(&c->attn_cap, o, "attn_logit_softcapping", place, e) != 0 ||
        read_cap(&c->logit_cap, o, "final_logit_softcapping", place, e) != 0)
        return e->code;
    if (get_flag(o, "use_bidirectional_attention", false, place, e))
        return err_set(e, ERR_WORK, "%s: 'use_bidirectional_attention' is not "
            "carried out; take another model", place);
    if (is_set(o, "layer_types"))
        return read_layer_types(c, o, place, e) != 0 ? e->code :
            read_window(c, o, c->layers, 0, place, e);
    if (c->arch == ARCH_GEMMA3 && is_set(o, "sliding_window_pattern"))
        global = get_count(o, "sliding_window_pattern", MODEL_MAX_LAYERS,
            place, e);
    return read_window(c, o, 0, global, place, e);
}

static int
read_experts(struct model_config *c, const json_t *o, const char *number,
    const char *place, struct err *e)
{
    c->experts = get_count(o, number, MODEL_MAX_EXPERTS, place, e);
    if (e->code == 0)
        c->experts_used = get_count(o, "num_experts_per_tok", c->experts,
            place, e);
    if (e->code == 0 && (uint64_t)c->experts * c->layers >
        MODEL_MAX_ALL_EXPERTS)
        err_set(e, ERR_WORK, "%s: %u layers of %u experts are more than %d "
            "experts; repair '%s'", place, c->layers, c->experts,
            MODEL_MAX_ALL_EXPERTS, number);
    return e->code;
}

static int
read_mixtral(struct model_config *c, const json_t *o, const char *place,
    struct err *e)
{
    c->experts_norm = true;
    c->expert_ffn = c->ffn;
    if (read_experts(c, o, "num_local_experts", place, e) != 0)
        return e->code;
    return read_window(c, o, 0, 0, place, e);
}

static int
read_qwen_moe(struct model_config *c, const json_t *o, const char *place,
    struct err *e)
{
    const json_t *dense = json_object_get(o, "mlp_only_layers"), *item;
    uint32_t step;
    size_t k;

    c->expert_ffn = get_count(o, "moe_intermediate_size", MODEL_MAX_FFN,
        place, e);
    c->experts_norm = get_flag(o, "norm_topk_prob", false, place, e);
    step = is_set(o, "decoder_sparse_step") ?
        get_count(o, "decoder_sparse_step", MODEL_MAX_LAYERS, place, e) : 1;
    if (e->code != 0 || read_experts(c, o, is_set(o, "num_experts") ?
        "num_experts" : "num_local_experts", place, e) != 0)
        return e->code;
    for (uint32_t i = 0; i < c->layers; i++)
        if ((i + 1) % step != 0)
            config_set_layer(c->dense, i);
    json_array_foreach(dense, k, item) {
        json_int_t layer = json_integer_value(item);

        if (!json_is_integer(item) || layer < 0 || layer >= c->layers)
            return err_set(e, ERR_WORK, "%s: 'mlp_only_layers': item %zu is "
                "no layer's number; repair it", place, k);
        config_set_layer(c->dense, (uint32_t)layer);
    }
    return read_qwen(c, o, place, e);
}

/* What one architecture reads beyond the rest, and its defaults. */
static const struct {
    int (*read)(struct model_config *c, const json_t *o, const char *place,
        struct err *e);
    const char *act_key, *act;
    bool tied;
} own[ARCH_COUNT] = {
    [ARCH_LLAMA] = { read_llama, "hidden_act", "silu", false },
    [ARCH_MISTRAL] = { read_mistral, "hidden_act", "silu", false },
    [ARCH_QWEN2] = { read_qwen, "hidden_act", "silu", false },
    [ARCH_QWEN3] = { read_qwen, "hidden_act", "silu", false },
    [ARCH_PHI3] = { read_mistral, "hidden_act", "silu", false },
    [ARCH_GEMMA2] = { read_gemma, "hidden_activation", "gelu_pytorch_tanh",
        true },
    [ARCH_GEMMA3] = { read_gemma, "hidden_activation", "gelu_pytorch_tanh",
        true },
    [ARCH_MIXTRAL] = { read_mixtral, "hidden_act", "silu", false },
    [ARCH_QWEN3MOE] = { read_qwen_moe, "hidden_act", "silu", false },
};

static void
add_eos(struct model_config *c, const json_t *v)
{
    json_int_t id = json_integer_value(v);

    if (!json_is_integer(v) || id < 0 || id > INT32_MAX)
        return;
    for (unsigned i = 0; i < c->n_eos; i++)
        if (c->eos[i] == (int32_t)id)
            return;
    if (c->n_eos < MODEL_MAX_EOS)
        c->eos[c->n_eos++] = (int32_t)id;
}

void
config_add_eos(struct model_config *c, const json_t *config)
{
    const json_t *v = json_object_get(config, "eos_token_id");
    const json_t *item;
    size_t i;

    add_eos(c, v);
    json_array_foreach(v, i, item)
        add_eos(c, item);
}

static int
read_rest(struct model_config *c, const json_t *o, const char *place,
    struct err *e)
{
    const char *dtype = json_string_value(json_object_get(o, "dtype"));
    const json_t *bos = json_object_get(o, "bos_token_id");

    if (dtype == NULL)
        dtype = json_string_value(json_object_get(o, "torch_dtype"));
    if (dtype != NULL && strlen(dtype) < sizeof c->dtype)
        memcpy(c->dtype, dtype, strlen(dtype) + 1);
    c->bos = json_is_integer(bos) && json_integer_value(bos) >= 0 &&
        json_integer_value(bos) < c->vocab ?
        (int32_t)json_integer_value(bos) : -1;
    config_add_eos(c, o);
    c->tied = get_flag(o, "tie_word_embeddings", own[c->arch].tied, place, e);
    c->attn_scale = 1.0 / sqrt((double)c->head_dim);
    c->embed_scale = 1.0;
    if (e->code != 0 || own[c->arch].read(c, o, place, e) != 0 ||
        read_act(c, o, own[c->arch].act_key, own[c->arch].act, place, e) != 0)
        return e->code;
    if (e->code == 0 && is_set(o, "quantization_config"))
        err_set(e, ERR_WORK, "%s: the model is quantized already "
            "('quantization_config'); start from the full-precision one",
            place);
    return e->code;
}

static int
read_all(struct model_config *c, const json_t *config, const char *place,
    struct err *e)
{
    if (arch_from_hf(&c->arch, config, place, e) != 0 ||
        read_sizes(c, config, place, e) != 0 ||
        read_rope(c, config, place, e) != 0)
        return e->code;
    return read_rest(c, config, place, e);
}

int
config_from_hf(struct model_config *c, const json_t *config,
    const char *place, struct err *e)
{
    json_t *text = config_text(config, place, e);

    *c = (struct model_config){ .bos = -1,
        .names = text != NULL ? NAMES_NESTED : NAMES_PLAIN };
    if (e->code == 0)
        read_all(c, text != NULL ? text : config, place, e);
    json_decref(text);
    return e->code;
}
