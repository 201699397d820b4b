/*
 * gguf_tokenizer.c - the tokenizer that a GGUF file carries in its keys
 */
#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/model/model_impl.h"

/* Strings of an array as NUL-terminated copies; NULL when it is absent. */
static const char **
copy_strings(struct arena *a, const struct gguf *g, const char *key,
    size_t *n, size_t **len, struct err *e)
{
    const struct gguf_kv *kv;
    struct gguf_strings it;
    const char **list;
    size_t i = 0;

    *n = 0;
    if (gguf_kv(g, key) == NULL)
        return NULL;
    kv = gguf_array(g, key, GGUF_STR, e);
    if (kv == NULL)
        return NULL;
    /* count cannot exceed the file's bytes, the reader has checked that */
    *n = (size_t)kv->count;
    list = arena_alloc(a, (*n + 1) * sizeof *list);
    *len = arena_alloc(a, (*n + 1) * sizeof **len);
    for (it = gguf_strings(kv); gguf_next(&it); i++) {
        list[i] = arena_strndup(a, it.p, it.len);
        (*len)[i] = it.len;
    }
    return list;
}

static int32_t
optional_id(const struct gguf *g, const char *key, struct err *e)
{
    uint32_t v = gguf_u32_or(g, key, UINT32_MAX, e);

    return v <= INT32_MAX ? (int32_t)v : -1;
}

static int
optional_flag(const struct gguf *g, const char *key, struct err *e)
{
    return gguf_kv(g, key) != NULL ? gguf_bool(g, key, e) : -1;
}

static int
read_types(struct arena *a, const struct gguf *g, struct tokenizer_gguf *t,
    struct err *e)
{
    const char *types_key = "tokenizer.ggml.token_type";
    const char *scores_key = "tokenizer.ggml.scores";
    const struct gguf_kv *kv;
    int32_t *types;
    float *scores;

    if (gguf_kv(g, types_key) != NULL) {
        kv = gguf_array(g, types_key, GGUF_I32, e);
        if (kv != NULL && kv->count != t->n)
            err_set(e, ERR_WORK, "%s: '%s' has not as many items as there are "
                "tokens; make the file again", g->map.path, types_key);
        if (e->code != 0)
            return e->code;
        types = arena_alloc(a, t->n * sizeof *types);
        for (size_t i = 0; i < t->n; i++)
            types[i] = gguf_array_i32(kv, i);
        t->types = types;
    }
    if (gguf_kv(g, scores_key) != NULL) {
        kv = gguf_array(g, scores_key, GGUF_F32, e);
        if (kv != NULL && kv->count != t->n)
            err_set(e, ERR_WORK, "%s: '%s' has not as many items as there are "
                "tokens; make the file again", g->map.path, scores_key);
        if (e->code != 0)
            return e->code;
        scores = arena_alloc(a, t->n * sizeof *scores);
        for (size_t i = 0; i < t->n; i++)
            scores[i] = gguf_array_f32(kv, i);
        t->scores = scores;
    }
    return 0;
}

int
gguf_tokenizer(struct tokenizer **t, const struct gguf *g, struct err *e)
{
    struct arena a = { 0 };
    struct tokenizer_gguf in = { .path = g->map.path };
    size_t *len = NULL, *merge_len = NULL;

    *t = NULL;
    in.model = gguf_str(g, "tokenizer.ggml.model", e);
    in.pre = gguf_str_or(g, "tokenizer.ggml.pre", NULL, e);
    in.tokens = copy_strings(&a, g, "tokenizer.ggml.tokens", &in.n, &len, e);
    in.token_len = len;
    in.merges = copy_strings(&a, g, "tokenizer.ggml.merges", &in.n_merges,
        &merge_len, e);
    in.bos = optional_id(g, "tokenizer.ggml.bos_token_id", e);
    in.eos = optional_id(g, "tokenizer.ggml.eos_token_id", e);
    in.unk = optional_id(g, "tokenizer.ggml.unknown_token_id", e);
    in.pad = optional_id(g, "tokenizer.ggml.padding_token_id", e);
    in.add_bos = optional_flag(g, "tokenizer.ggml.add_bos_token", e);
    in.add_eos = optional_flag(g, "tokenizer.ggml.add_eos_token", e);
    in.add_space_prefix = optional_flag(g, "tokenizer.ggml.add_space_prefix",
        e);
    in.chat_template = gguf_str_or(g, "tokenizer.chat_template", NULL, e);
    if (e->code == 0 && in.tokens == NULL)
        err_set(e, ERR_WORK, "%s: key 'tokenizer.ggml.tokens' is missing; make "
            "the file again", g->map.path);
    if (e->code == 0 && read_types(&a, g, &in, e) == 0)
        tokenizer_open_gguf(t, &in, e);
    arena_release(&a);
    return e->code;
}
