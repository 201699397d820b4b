#include "lib/model/gguf_keys.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/model/arch.h"

/* Keys are "ARCHITECTURE.name". */
static const char *
key(char out[64], const struct model_config *c, const char *name)
{
    snprintf(out, 64, "%s.%s", arch_gguf_name(c->arch), name);
    return out;
}

static bool
is_llama(const struct model_config *c)
{
    return strcmp(arch_gguf_name(c->arch), "llama") == 0;
}

static bool
same_number(double a, double b)
{
    return fabs(a - b) <= 1e-6 * fabs(b);
}

/* What no key says must be what the readers of the format take for granted. */
static const char *
beyond_format(const struct model_config *c)
{
    bool gemma = arch_norm_plus_one(c->arch);
    enum rope_type rope = c->rope.type;
    struct model_config fixed = *c;

    config_gguf_fixed(&fixed);
    if (!same_number(c->attn_scale, fixed.attn_scale))
        return "'query_pre_attn_scalar'";
    if (gemma && c->window > 0 && c->window < c->positions &&
        memcmp(c->local, fixed.local, sizeof c->local) != 0)
        return "the pattern of local layers";
    if ((c->arch == ARCH_GEMMA2) != (c->attn_cap > 0) ||
        (c->arch == ARCH_GEMMA2) != (c->logit_cap > 0))
        return "soft caps";
    if (c->experts_norm != fixed.experts_norm)
        return "'norm_topk_prob' false";
    if (c->experts > 0 && memcmp(c->dense, fixed.dense, sizeof c->dense) != 0)
        return "layers without experts";
    if ((c->o_bias || c->mlp_bias) && !is_llama(c))
        return "these biases";
    if (c->qkv_bias && !is_llama(c) && c->arch != ARCH_QWEN2)
        return "biases of attention";
    if ((rope == ROPE_LLAMA3 || rope == ROPE_DIVISORS) && !is_llama(c))
        return "rope type llama3";
    if (rope == ROPE_LONGROPE && c->arch != ARCH_PHI3)
        return "rope type longrope";
    if (c->two_ropes && c->rope_local.type != ROPE_DEFAULT)
        return "scaled local rotation";
    return NULL;
}

static void
put_rope(struct gguf_writer *w, const struct model_config *c)
{
    const struct rope_config *r = &c->rope;
    double attention = r->attention;
    char k[64];

    gguf_put_u32(w, key(k, c, "rope.dimension_count"), r->dims);
    gguf_put_f32(w, key(k, c, "rope.freq_base"), (float)r->theta);
    if (c->two_ropes)
        gguf_put_f32(w, key(k, c, "rope.freq_base_swa"),
            (float)c->rope_local.theta);
    if (r->type == ROPE_LINEAR || r->type == ROPE_YARN) {
        gguf_put_str(w, key(k, c, "rope.scaling.type"),
            r->type == ROPE_LINEAR ? "linear" : "yarn");
        gguf_put_f32(w, key(k, c, "rope.scaling.factor"), (float)r->factor);
    }
    if (r->type == ROPE_YARN || r->type == ROPE_LONGROPE)
        gguf_put_u32(w, key(k, c, "rope.scaling.original_context_length"),
            (uint32_t)r->original);
    if (r->type == ROPE_YARN) {
        gguf_put_f32(w, key(k, c, "rope.scaling.yarn_beta_fast"),
            (float)r->beta_fast);
        gguf_put_f32(w, key(k, c, "rope.scaling.yarn_beta_slow"),
            (float)r->beta_slow);
        attention /= 0.1 * log(r->factor) + 1.0; /* which readers put in */
    }
    if (!same_number(attention, 1.0) || r->type == ROPE_LONGROPE)
        gguf_put_f32(w, key(k, c, "rope.scaling.attn_factor"),
            (float)attention);
}

static void
put_experts(struct gguf_writer *w, const struct model_config *c)
{
    char k[64];

    if (c->experts == 0)
        return;
    gguf_put_u32(w, key(k, c, "expert_count"), c->experts);
    gguf_put_u32(w, key(k, c, "expert_used_count"), c->experts_used);
    if (c->arch == ARCH_QWEN3MOE)
        gguf_put_u32(w, key(k, c, "expert_feed_forward_length"),
            c->expert_ffn);
}

int
gguf_put_config(struct gguf_writer *w, const struct model_config *c,
    const char *place, struct err *e)
{
    const char *beyond = beyond_format(c);
    bool gemma = arch_norm_plus_one(c->arch);
    char k[64];

    if (beyond != NULL)
        return err_set(e, ERR_WORK, "%s: a GGUF file of a '%s' cannot say %s, "
            "and would compute something else; take another format", place,
            arch_gguf_name(c->arch), beyond);
    gguf_put_u32(w, key(k, c, "block_count"), c->layers);
    gguf_put_u32(w, key(k, c, "context_length"),
        !gemma && c->window > 0 && c->window < c->positions ? c->window
                                                            : c->positions);
    gguf_put_u32(w, key(k, c, "embedding_length"), c->hidden);
    gguf_put_u32(w, key(k, c, "feed_forward_length"), c->ffn);
    gguf_put_u32(w, key(k, c, "attention.head_count"), c->heads);
    gguf_put_u32(w, key(k, c, "attention.head_count_kv"), c->kv_heads);
    gguf_put_u32(w, key(k, c, "attention.key_length"), c->head_dim);
    gguf_put_u32(w, key(k, c, "attention.value_length"), c->head_dim);
    gguf_put_f32(w, key(k, c, "attention.layer_norm_rms_epsilon"),
        (float)c->norm_eps);
    gguf_put_u32(w, key(k, c, "vocab_size"), c->vocab);
    put_rope(w, c);
    if (gemma || c->arch == ARCH_PHI3)
        gguf_put_u32(w, key(k, c, "attention.sliding_window"), c->window);
    if (c->attn_cap > 0)
        gguf_put_f32(w, key(k, c, "attn_logit_softcapping"),
            (float)c->attn_cap);
    if (c->logit_cap > 0)
        gguf_put_f32(w, key(k, c, "final_logit_softcapping"),
            (float)c->logit_cap);
    put_experts(w, c);
    return 0;
}

static void
put_extra(struct gguf_extra *x, const char *name, const float *v, size_t n)
{
    x->name = name;
    x->n = n;
    memcpy(x->v, v, n * sizeof *v);
}

size_t
gguf_extras(const struct model_config *c, struct gguf_extra extra[2])
{
    const struct rope_config *r = &c->rope;
    size_t half = r->dims / 2;
    float llama3[MODEL_MAX_HEAD_DIM / 2];

    switch (r->type) {
    case ROPE_LLAMA3:
        rope_divisors(r, llama3);
        put_extra(extra, "rope_freqs.weight", llama3, half);
        return 1;
    case ROPE_DIVISORS:
        put_extra(extra, "rope_freqs.weight", r->divisors, half);
        return 1;
    case ROPE_LONGROPE:
        put_extra(extra, "rope_factors_long.weight", r->far_divisors, half);
        put_extra(extra + 1, "rope_factors_short.weight", r->divisors, half);
        return 2;
    default:
        return 0;
    }
}

static void
put_tokens(struct gguf_writer *w, const struct tokenizer *t, size_t n)
{
    struct arena arena = { 0 };
    const char **text = mem_calloc(n, sizeof *text);
    size_t *len = mem_calloc(n, sizeof *len);
    int32_t *type = mem_calloc(n, sizeof *type);
    struct str s = { 0 };

    for (size_t i = 0; i < n; i++) {
        str_clear(&s);
        tokenizer_gguf_token(t, (int32_t)i, &s);
        text[i] = arena_strndup(&arena, str_get(&s), s.len);
        len[i] = s.len;
        type[i] = (int32_t)tokenizer_gguf_type(t, (int32_t)i);
    }
    gguf_put_str_array(w, "tokenizer.ggml.tokens", text, len, n);
    gguf_put_i32_array(w, "tokenizer.ggml.token_type", type, n);
    str_release(&s);
    free(text);
    free(len);
    free(type);
    arena_release(&arena);
}

static void
put_scores(struct gguf_writer *w, const struct tokenizer *t, size_t n)
{
    float *score = mem_calloc(n, sizeof *score);

    for (size_t i = 0; i < n; i++)
        score[i] = tokenizer_gguf_score(t, (int32_t)i);
    gguf_put_f32_array(w, "tokenizer.ggml.scores", score, n);
    free(score);
}

static void
put_merges(struct gguf_writer *w, const struct tokenizer *t)
{
    struct arena arena = { 0 };
    size_t n = tokenizer_merges(t);
    const char **text = mem_calloc(n, sizeof *text);
    size_t *len = mem_calloc(n, sizeof *len);
    struct str s = { 0 };

    for (size_t i = 0; i < n; i++) {
        str_clear(&s);
        tokenizer_merge(t, i, &s);
        text[i] = arena_strndup(&arena, str_get(&s), s.len);
        len[i] = s.len;
    }
    gguf_put_str_array(w, "tokenizer.ggml.merges", text, len, n);
    str_release(&s);
    free(text);
    free(len);
    arena_release(&arena);
}

/* An id key, if there is such an id. */
static void
put_id(struct gguf_writer *w, const char *name, int32_t id)
{
    if (id >= 0)
        gguf_put_u32(w, name, (uint32_t)id);
}

int
gguf_put_tokenizer(struct gguf_writer *w, const struct tokenizer *t,
    const struct model_config *c, const char *place, struct err *e)
{
    const char *pre = tokenizer_gguf_pre(t, e);
    const char *model = tokenizer_gguf_model(t);
    bool scored = strcmp(model, "llama") == 0;

    if (pre == NULL)
        return e->code;
    if (tokenizer_size(t) > c->vocab)
        return err_set(e, ERR_WORK, "%s: the tokenizer has ids up to %zu, the "
            "embedding only %u rows; they do not belong together", place,
            tokenizer_size(t) - 1, c->vocab);
    gguf_put_str(w, "tokenizer.ggml.model", model);
    gguf_put_str(w, "tokenizer.ggml.pre", pre);
    put_tokens(w, t, c->vocab);
    if (scored)
        put_scores(w, t, c->vocab);
    else
        put_merges(w, t);
    put_id(w, "tokenizer.ggml.bos_token_id",
        tokenizer_bos(t) >= 0 ? tokenizer_bos(t) : c->bos);
    put_id(w, "tokenizer.ggml.eos_token_id",
        tokenizer_eos(t) >= 0 ? tokenizer_eos(t)
                              : c->n_eos > 0 ? c->eos[0] : -1);
    put_id(w, "tokenizer.ggml.unknown_token_id", tokenizer_unk(t));
    put_id(w, "tokenizer.ggml.padding_token_id", tokenizer_pad(t));
    gguf_put_bool(w, "tokenizer.ggml.add_bos_token", tokenizer_add_bos(t));
    gguf_put_bool(w, "tokenizer.ggml.add_eos_token", tokenizer_add_eos(t));
    gguf_put_bool(w, "tokenizer.ggml.add_space_prefix",
        scored && tokenizer_add_space_prefix(t));
    if (tokenizer_chat_template(t) != NULL)
        gguf_put_str(w, "tokenizer.chat_template", tokenizer_chat_template(t));
    return 0;
}
