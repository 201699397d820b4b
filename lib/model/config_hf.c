/*
 * config_hf.c - model_config from a Hugging Face config.json
 *
 * The older way of writing has `rope_theta`, `rope_scaling` and `torch_dtype`
 * at the top; the newer has `rope_parameters` and `dtype`. Both are read. What
 * would change the result and is not known is refused, never skipped.
 */
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
    if (is_set(o, "head_dim"))
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
read_llama3(struct rope_config *r, const json_t *o, const char *place,
    struct err *e)
{
    r->type = ROPE_LLAMA3;
    r->factor = json_get_real(o, "factor", 1.0, 1e6, place, e);
    r->low_freq = json_get_real(o, "low_freq_factor", 1e-6, 1e6, place, e);
    r->high_freq = json_get_real(o, "high_freq_factor", 1e-6, 1e6, place, e);
    r->original = json_get_real(o, "original_max_position_embeddings", 1.0,
        MODEL_MAX_POSITIONS, place, e);
    if (e->code == 0 && !(r->high_freq > r->low_freq))
        err_set(e, ERR_WORK, "%s: 'high_freq_factor' must be larger than "
            "'low_freq_factor'; repair it", place);
    return e->code;
}

/* `o`: rope_scaling or rope_parameters. */
static int
read_scaling(struct rope_config *r, const json_t *o, const char *place,
    struct err *e)
{
    const char *key = is_set(o, "rope_type") ? "rope_type" : "type";
    const char *type = is_set(o, key) ? json_get_str(o, key, place, e) :
        "default";

    if (type == NULL)
        return e->code;
    if (strcmp(type, "default") == 0)
        return 0;
    if (strcmp(type, "linear") == 0) {
        r->type = ROPE_LINEAR;
        r->factor = json_get_real(o, "factor", 1.0, 1e6, place, e);
        return e->code;
    }
    if (strcmp(type, "llama3") == 0)
        return read_llama3(r, o, place, e);
    return err_set(e, ERR_WORK,
        "%s: rope type '%.60s' is not carried out; quern knows default, "
        "linear and llama3", place, type);
}

static int
read_rope(struct model_config *c, const json_t *o, const char *place,
    struct err *e)
{
    struct rope_config *r = &c->rope;
    const json_t *place_of_theta = o;
    const char *key = NULL;

    r->dims = c->head_dim;
    if (is_set(o, "rope_parameters"))
        key = "rope_parameters";
    else if (is_set(o, "rope_scaling"))
        key = "rope_scaling";
    if (key != NULL) {
        const json_t *scaling = json_get_object(o, key, place, e);

        if (scaling == NULL || read_scaling(r, scaling, place, e) != 0)
            return e->code;
        if (is_set(scaling, "rope_theta"))
            place_of_theta = scaling;
    }
    r->theta = is_set(place_of_theta, "rope_theta") ?
        json_get_real(place_of_theta, "rope_theta", 1.0, 1e12, place, e) :
        10000.0; /* the first Llamas' files do not say */
    if (e->code == 0 && is_set(o, "partial_rotary_factor") &&
        json_number_value(json_object_get(o, "partial_rotary_factor")) != 1.0)
        err_set(e, ERR_WORK, "%s: 'partial_rotary_factor' is not carried out "
            "for %s; take another model", place, arch_hf_name(c->arch));
    return e->code;
}

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
    c->tied = get_flag(o, "tie_word_embeddings", false, place, e);
    c->qkv_bias = get_flag(o, "attention_bias", false, place, e);
    c->o_bias = c->qkv_bias;
    c->mlp_bias = get_flag(o, "mlp_bias", false, place, e);
    if (e->code == 0 && is_set(o, "hidden_act")) {
        const char *act = json_get_str(o, "hidden_act", place, e);

        if (act != NULL && strcmp(act, "silu") != 0)
            err_set(e, ERR_WORK, "%s: 'hidden_act' '%.60s' is not carried out "
                "for %s; it must be silu", place, act, arch_hf_name(c->arch));
    }
    if (e->code == 0 && is_set(o, "quantization_config"))
        err_set(e, ERR_WORK, "%s: the model is quantized already "
            "('quantization_config'); start from the full-precision one",
            place);
    return e->code;
}

int
config_from_hf(struct model_config *c, const json_t *config,
    const char *place, struct err *e)
{
    *c = (struct model_config){ .bos = -1 };
    if (arch_from_hf(&c->arch, config, place, e) != 0 ||
        read_sizes(c, config, place, e) != 0 ||
        read_rope(c, config, place, e) != 0)
        return e->code;
    return read_rest(c, config, place, e);
}
