/*
 * config_gguf.c - model_config from the keys of a GGUF file
 */
#include <stdio.h>
#include <string.h>

#include "lib/model/arch.h"
#include "lib/model/config.h"

/* A key of the architecture: "llama." and `rest`; valid until the next call. */
struct key {
    char text[96];
};

static const char *
key_of(struct key *k, const struct model_config *c, const char *rest)
{
    snprintf(k->text, sizeof k->text, "%s.%s", arch_gguf_name(c->arch), rest);
    return k->text;
}

static uint32_t
get_count(const struct model_config *c, const struct gguf *g,
    const char *rest, uint32_t dflt, uint32_t max, struct err *e)
{
    struct key k;
    const char *key = key_of(&k, c, rest);
    uint32_t v = dflt > 0 ? gguf_u32_or(g, key, dflt, e) :
        gguf_u32(g, key, e);

    if (e->code == 0 && (v == 0 || v > max))
        err_set(e, ERR_WORK,
            "%s: key '%s' is %u, not from 1 to %u; make the file again",
            g->map.path, key, v, max);
    return v;
}

static int
read_sizes(struct model_config *c, const struct gguf *g, struct err *e)
{
    const struct gguf_tensor *embed = gguf_find(g, "token_embd.weight");
    uint32_t dflt;

    c->hidden = get_count(c, g, "embedding_length", 0, MODEL_MAX_HIDDEN, e);
    c->ffn = get_count(c, g, "feed_forward_length", 0, MODEL_MAX_FFN, e);
    c->layers = get_count(c, g, "block_count", 0, MODEL_MAX_LAYERS, e);
    c->heads = get_count(c, g, "attention.head_count", 0, MODEL_MAX_HEADS, e);
    c->positions = get_count(c, g, "context_length", 0, MODEL_MAX_POSITIONS,
        e);
    if (e->code != 0)
        return e->code;
    c->kv_heads = get_count(c, g, "attention.head_count_kv", c->heads,
        c->heads, e);
    dflt = c->hidden / c->heads;
    c->head_dim = get_count(c, g, "attention.key_length", dflt,
        MODEL_MAX_HEAD_DIM, e);
    if (e->code != 0)
        return e->code;
    if (embed == NULL || embed->n_dims != 2 || embed->dim[1] == 0 ||
        embed->dim[1] > MODEL_MAX_VOCAB)
        return err_set(e, ERR_WORK, "%s: tensor 'token_embd.weight' is missing "
            "or has no sensible shape; make the file again", g->map.path);
    c->vocab = (uint32_t)embed->dim[1];
    if (get_count(c, g, "attention.value_length", dflt, MODEL_MAX_HEAD_DIM,
        e) != c->head_dim || c->head_dim % 2 != 0 ||
        c->heads % c->kv_heads != 0 ||
        (uint64_t)c->heads * c->head_dim > MODEL_MAX_HIDDEN)
        err_set(e, ERR_WORK, "%s: %u heads, %u key-value heads and heads of %u "
            "values do not fit together; make the file again", g->map.path,
            c->heads, c->kv_heads, c->head_dim);
    return e->code;
}

/* llama.cpp: without a type a factor means linear, and no factor means none. */
static int
read_rope(struct model_config *c, const struct gguf *g, struct err *e)
{
    struct rope_config *r = &c->rope;
    struct key k;
    const char *type;
    float factor;

    r->dims = get_count(c, g, "rope.dimension_count", c->head_dim,
        MODEL_MAX_HEAD_DIM, e);
    r->theta = (double)gguf_f32_or(g, key_of(&k, c, "rope.freq_base"),
        10000.0f, e);
    type = gguf_str_or(g, key_of(&k, c, "rope.scaling.type"), "linear", e);
    factor = gguf_f32_or(g, key_of(&k, c, "rope.scaling.factor"), 0.0f, e);
    r->pairs = arch_permutes_qk(c->arch);
    if (e->code != 0)
        return e->code;
    if (r->dims != c->head_dim || !(r->theta >= 1.0 && r->theta <= 1e12))
        return err_set(e, ERR_WORK,
            "%s: rotating %u of %u values with base %g is not carried out; "
            "make the file again", g->map.path, r->dims, c->head_dim,
            r->theta);
    if (strcmp(type, "linear") != 0 && strcmp(type, "none") != 0)
        return err_set(e, ERR_WORK, "%s: rope scaling '%.60s' is not carried "
            "out; quern knows none and linear", g->map.path, type);
    if (gguf_find(g, "rope_freqs.weight") != NULL) {
        r->type = ROPE_DIVISORS;
    } else if (strcmp(type, "linear") == 0 && factor != 0.0f) {
        r->type = ROPE_LINEAR;
        r->factor = (double)factor;
        if (!(r->factor >= 1.0 && r->factor <= 1e6))
            err_set(e, ERR_WORK, "%s: rope scaling factor %g is not from 1 to "
                "1e6; make the file again", g->map.path, r->factor);
    }
    return e->code;
}

static int32_t
get_id(const struct model_config *c, const struct gguf *g, const char *key,
    struct err *e)
{
    uint32_t v = gguf_u32_or(g, key, UINT32_MAX, e);

    return v < c->vocab ? (int32_t)v : -1;
}

static int
read_rest(struct model_config *c, const struct gguf *g, struct err *e)
{
    static const char *const ends[] = { "tokenizer.ggml.eos_token_id",
        "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id" };
    struct key k;
    float eps = gguf_f32(g, key_of(&k, c, "attention.layer_norm_rms_epsilon"),
        e);

    c->norm_eps = (double)eps;
    if (e->code == 0 && !(eps > 0.0f && eps < 0.1f))
        err_set(e, ERR_WORK, "%s: key '%s' is %g, not between 0 and 0.1; make "
            "the file again", g->map.path, k.text, c->norm_eps);
    if (gguf_u32_or(g, key_of(&k, c, "expert_count"), 0, e) != 0)
        err_set(e, ERR_WORK, "%s: experts ('%s') are not carried out for %s",
            g->map.path, k.text, arch_gguf_name(c->arch));
    c->tied = gguf_find(g, "output.weight") == NULL;
    c->qkv_bias = gguf_find(g, "blk.0.attn_q.bias") != NULL;
    c->o_bias = gguf_find(g, "blk.0.attn_output.bias") != NULL;
    c->mlp_bias = gguf_find(g, "blk.0.ffn_gate.bias") != NULL;
    c->bos = get_id(c, g, "tokenizer.ggml.bos_token_id", e);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        int32_t id = get_id(c, g, ends[i], e);

        if (id >= 0)
            c->eos[c->n_eos++] = id;
    }
    return e->code;
}

int
config_from_gguf(struct model_config *c, const struct gguf *g, struct err *e)
{
    const char *name = gguf_str(g, "general.architecture", e);

    *c = (struct model_config){ .bos = -1 };
    if (name == NULL || arch_from_gguf(&c->arch, name, g->map.path, e) != 0 ||
        read_sizes(c, g, e) != 0 || read_rope(c, g, e) != 0)
        return e->code;
    return read_rest(c, g, e);
}
