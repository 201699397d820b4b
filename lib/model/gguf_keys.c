#include "lib/model/gguf_keys.h"

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

void
gguf_put_config(struct gguf_writer *w, const struct model_config *c)
{
    char k[64];

    gguf_put_u32(w, key(k, c, "block_count"), c->layers);
    gguf_put_u32(w, key(k, c, "context_length"), c->positions);
    gguf_put_u32(w, key(k, c, "embedding_length"), c->hidden);
    gguf_put_u32(w, key(k, c, "feed_forward_length"), c->ffn);
    gguf_put_u32(w, key(k, c, "attention.head_count"), c->heads);
    gguf_put_u32(w, key(k, c, "attention.head_count_kv"), c->kv_heads);
    gguf_put_u32(w, key(k, c, "attention.key_length"), c->head_dim);
    gguf_put_u32(w, key(k, c, "attention.value_length"), c->head_dim);
    gguf_put_f32(w, key(k, c, "attention.layer_norm_rms_epsilon"),
        (float)c->norm_eps);
    gguf_put_u32(w, key(k, c, "vocab_size"), c->vocab);
    gguf_put_u32(w, key(k, c, "rope.dimension_count"), c->rope.dims);
    gguf_put_f32(w, key(k, c, "rope.freq_base"), (float)c->rope.theta);
    if (c->rope.type == ROPE_LINEAR) {
        gguf_put_str(w, key(k, c, "rope.scaling.type"), "linear");
        gguf_put_f32(w, key(k, c, "rope.scaling.factor"),
            (float)c->rope.factor);
    }
}

bool
gguf_needs_rope_freqs(const struct model_config *c)
{
    return c->rope.type == ROPE_LLAMA3;
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
