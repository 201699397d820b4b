/*
 * config_gguf.c - model_config from the keys of a GGUF file
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
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

/* A number from `low` to `high`; `dflt` if the key is missing. */
static double
get_real(const struct model_config *c, const struct gguf *g,
    const char *rest, double dflt, double low, double high, struct err *e)
{
    struct key k;
    double v = (double)gguf_f32_or(g, key_of(&k, c, rest), (float)dflt, e);

    if (e->code == 0 && !(v >= low && v <= high))
        err_set(e, ERR_WORK, "%s: key '%s' is %g, not from %g to %g; make the "
            "file again", g->map.path, k.text, v, low, high);
    return v;
}

/* The numbers that frequencies are divided by, F32 [dims / 2]. */
static int
read_divisors(float *out, const struct rope_config *r, const struct gguf *g,
    const char *name, struct err *e)
{
    const struct gguf_tensor *t = gguf_find(g, name);
    uint32_t half = r->dims / 2;

    if (t == NULL)
        return err_set(e, ERR_WORK, "%s: tensor '%s' is missing; make the "
            "file again", g->map.path, name);
    if (t->type != QT_F32 || t->n_dims != 1 || t->dim[0] != half)
        return err_set(e, ERR_WORK, "%s: tensor '%s' is not F32 [%u]; make the "
            "file again", g->map.path, name, half);
    memcpy(out, gguf_data(t), half * sizeof *out);
    for (uint32_t i = 0; i < half; i++)
        if (!(out[i] >= 1e-3f && out[i] <= 1e6f))
            return err_set(e, ERR_WORK, "%s: tensor '%s': value %u is %g, not "
                "from 0.001 to 1e6; make the file again", g->map.path, name, i,
                (double)out[i]);
    return 0;
}

static int
read_yarn(struct model_config *c, const struct gguf *g, struct err *e)
{
    struct rope_config *r = &c->rope;

    r->type = ROPE_YARN;
    r->factor = get_real(c, g, "rope.scaling.factor", 0, 1, 1e6, e);
    r->original = (double)get_count(c, g,
        "rope.scaling.original_context_length", c->positions,
        MODEL_MAX_POSITIONS, e);
    r->beta_fast = get_real(c, g, "rope.scaling.yarn_beta_fast", 32, 1e-3, 1e6,
        e);
    r->beta_slow = get_real(c, g, "rope.scaling.yarn_beta_slow", 1, 1e-3, 1e6,
        e);
    r->attention *= 0.1 * log(r->factor) + 1.0;
    return e->code;
}

static int
read_longrope(struct model_config *c, const struct gguf *g, struct err *e)
{
    struct rope_config *r = &c->rope;

    r->type = ROPE_LONGROPE;
    r->original = (double)get_count(c, g,
        "rope.scaling.original_context_length", 0, MODEL_MAX_POSITIONS, e);
    if (e->code != 0 || read_divisors(r->divisors, r, g,
        "rope_factors_short.weight", e) != 0)
        return e->code;
    return read_divisors(r->far_divisors, r, g, "rope_factors_long.weight",
        e);
}

/* llama.cpp: without a type a factor means linear, and no factor means none. */
static int
read_scaling(struct model_config *c, const struct gguf *g, struct err *e)
{
    struct rope_config *r = &c->rope;
    struct key k;
    const char *type = gguf_str_or(g, key_of(&k, c, "rope.scaling.type"),
        "linear", e);

    r->attention = get_real(c, g, "rope.scaling.attn_factor", 1, 1e-3, 1e3,
        e);
    if (e->code != 0)
        return e->code;
    if (gguf_find(g, "rope_factors_long.weight") != NULL)
        return read_longrope(c, g, e);
    if (gguf_find(g, "rope_freqs.weight") != NULL) {
        r->type = ROPE_DIVISORS;
        r->factor = get_real(c, g, "rope.scaling.factor", 0, 0, 1e6, e);
        if (r->factor > 0 && !(r->factor <= 1) && strcmp(type, "none") != 0)
            return err_set(e, ERR_WORK, "%s: rope scaling '%.60s' together "
                "with the tensor 'rope_freqs.weight' is not carried out; take "
                "a checkpoint with one of them", g->map.path, type);
        return read_divisors(r->divisors, r, g, "rope_freqs.weight", e);
    }
    if (strcmp(type, "yarn") == 0)
        return read_yarn(c, g, e);
    if (strcmp(type, "linear") != 0 && strcmp(type, "none") != 0)
        return err_set(e, ERR_WORK, "%s: rope scaling '%.60s' is not carried "
            "out; quern knows none, linear and yarn", g->map.path, type);
    r->factor = get_real(c, g, "rope.scaling.factor", 0, 0, 1e6, e);
    if (strcmp(type, "linear") == 0 && r->factor > 0) {
        r->type = ROPE_LINEAR;
        if (e->code == 0 && r->factor < 1.0)
            err_set(e, ERR_WORK, "%s: rope scaling factor %g is not from 1 to "
                "1e6; make the file again", g->map.path, r->factor);
    }
    return e->code;
}

static int
read_rope(struct model_config *c, const struct gguf *g, struct err *e)
{
    struct rope_config *r = &c->rope;

    r->dims = get_count(c, g, "rope.dimension_count", c->head_dim,
        c->head_dim, e);
    r->theta = get_real(c, g, "rope.freq_base", 10000, 1, 1e12, e);
    r->pairs = arch_permutes_qk(c->arch);
    if (e->code == 0 && (r->dims % 2 != 0 ||
        (r->dims != c->head_dim && c->arch != ARCH_PHI3)))
        err_set(e, ERR_WORK,
            "%s: rotating %u of %u values is not carried out for %s; make the "
            "file again", g->map.path, r->dims, c->head_dim,
            arch_gguf_name(c->arch));
    if (e->code != 0 || read_scaling(c, g, e) != 0)
        return e->code;
    if (c->arch == ARCH_GEMMA3) {
        c->two_ropes = true;
        c->rope_local = (struct rope_config){ .dims = r->dims,
            .attention = 1.0, .pairs = r->pairs };
        c->rope_local.theta = get_real(c, g, "rope.freq_base_swa", 10000, 1,
            1e12, e);
    }
    return e->code;
}

void
config_gguf_fixed(struct model_config *c)
{
    bool gemma = arch_norm_plus_one(c->arch);
    uint32_t global = c->arch == ARCH_GEMMA2 ? 2 : 6;
    /* the 27B ones, which llama.cpp knows by their number of layers */
    uint32_t large = c->arch == ARCH_GEMMA2 ? 46 : 62;

    c->gelu = gemma;
    c->embed_scale = gemma ? (double)(float)sqrt((double)c->hidden) : 1.0;
    c->attn_scale = 1.0 / sqrt(gemma && c->layers == large ?
        (double)c->hidden / (double)c->heads : (double)c->head_dim);
    c->experts_norm = c->experts > 0;
    memset(c->dense, 0, sizeof c->dense);
    memset(c->local, 0, sizeof c->local);
    for (uint32_t i = 0; i < c->layers; i++)
        if ((gemma && (i + 1) % global != 0) || c->arch == ARCH_PHI3)
            config_set_layer(c->local, i);
}

static int
read_experts(struct model_config *c, const struct gguf *g, struct err *e)
{
    struct key k;

    if (gguf_u32_or(g, key_of(&k, c, "expert_count"), 0, e) == 0 &&
        c->arch != ARCH_QWEN3MOE)
        return e->code;
    if (c->arch == ARCH_LLAMA)
        c->arch = ARCH_MIXTRAL; /* the same name in GGUF */
    if (c->arch != ARCH_MIXTRAL && c->arch != ARCH_QWEN3MOE)
        return err_set(e, ERR_WORK, "%s: experts ('%s') are not carried out "
            "for %s; take another model", g->map.path, k.text,
            arch_gguf_name(c->arch));
    c->experts = get_count(c, g, "expert_count", 0, MODEL_MAX_EXPERTS, e);
    c->experts_used = get_count(c, g, "expert_used_count", 0,
        MODEL_MAX_EXPERTS, e);
    c->expert_ffn = get_count(c, g, "expert_feed_forward_length",
        c->arch == ARCH_MIXTRAL ? c->ffn : 0, MODEL_MAX_FFN, e);
    if (e->code == 0 && (c->experts_used > c->experts ||
        (uint64_t)c->experts * c->layers > MODEL_MAX_ALL_EXPERTS))
        err_set(e, ERR_WORK, "%s: %u of %u experts in %u layers do not fit "
            "together; make the file again", g->map.path, c->experts_used,
            c->experts, c->layers);
    return e->code;
}

/* Newer files say which layers are local: each n-th is not, or a list. */
static int
read_pattern(struct model_config *c, const struct gguf *g, struct err *e)
{
    struct key k;
    const char *name = key_of(&k, c, "attention.sliding_window_pattern");
    const struct gguf_kv *kv = gguf_kv(g, name);
    bool list = kv != NULL && kv->kind == GGUF_ARRAY;
    uint32_t every;

    if (kv == NULL)
        return e->code;
    if (list && (gguf_array(g, name, GGUF_BOOL, e) == NULL ||
        kv->count < c->layers))
        return err_set(e, ERR_WORK, "%s: key '%s' is no list of true and false "
            "for %u layers; make the file again", g->map.path, name,
            c->layers);
    every = list ? 0 : get_count(c, g, "attention.sliding_window_pattern", 0,
        MODEL_MAX_LAYERS, e);
    if (e->code != 0)
        return e->code;
    memset(c->local, 0, sizeof c->local);
    for (uint32_t i = 0; i < c->layers; i++)
        if (list ? gguf_array_bool(kv, i) : (i + 1) % every != 0)
            config_set_layer(c->local, i);
    return 0;
}

/* What an architecture has keys of its own for. */
static int
read_own(struct model_config *c, const struct gguf *g, struct err *e)
{
    struct key k;

    if (read_experts(c, g, e) != 0)
        return e->code;
    config_gguf_fixed(c);
    if (c->arch == ARCH_GEMMA2) {
        c->attn_cap = get_real(c, g, "attn_logit_softcapping", 50, 1e-3, 1e6,
            e);
        c->logit_cap = get_real(c, g, "final_logit_softcapping", 30, 1e-3,
            1e6, e);
    }
    if (c->arch == ARCH_GEMMA2 || c->arch == ARCH_GEMMA3 ||
        c->arch == ARCH_PHI3)
        c->window = gguf_u32_or(g, key_of(&k, c, "attention.sliding_window"),
            c->arch == ARCH_GEMMA2 ? 4096 : 0, e);
    return c->arch == ARCH_GEMMA3 ? read_pattern(c, g, e) : e->code;
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

    c->norm_eps = get_real(c, g, "attention.layer_norm_rms_epsilon", 0, 1e-12,
        0.1, e);
    c->tied = gguf_find(g, "output.weight") == NULL;
    c->qkv_bias = c->arch == ARCH_QWEN2 ||
        gguf_find(g, "blk.0.attn_q.bias") != NULL;
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
        read_sizes(c, g, e) != 0 || read_rope(c, g, e) != 0 ||
        read_own(c, g, e) != 0)
        return e->code;
    if (config_gguf_known(c, g, e) != 0)
        return e->code;
    return read_rest(c, g, e);
}
