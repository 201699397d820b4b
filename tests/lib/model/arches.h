/*
 * arches.h - the tiny models of tests/data/arch as folders and as GGUF files
 *
 * Weights come from the names of tensors (tests/long/arch_vectors.py has the
 * same); config and logits lie in tests/data/arch.
 */
#ifndef QUERN_TESTS_MODEL_ARCHES_H
#define QUERN_TESTS_MODEL_ARCHES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "lib/model/gguf_keys.h"
#include "lib/model/layer.h"
#include "lib/model/quantize.h"
#include "tests/lib/model/tiny.h"

enum { IDS = 40, VOCAB = 128, HIDDEN = 64, SHORT = 20 };

static const char *const arch_names[] = { "llama2", "llama3", "llama-linear",
    "llama-dynamic", "llama-yarn", "mistral", "qwen2", "qwen2-window",
    "qwen3", "phi3", "phi3-longrope", "gemma2", "gemma3", "mixtral",
    "qwen3moe", "qwen3moe-dense" };

static const struct model_open_opts whole = { .no_tokenizer = true };
static const struct model_open_opts lazy = { .no_tokenizer = true,
    .lazy = true };

struct vectors {
    char dir[64];  /* scratch */
    char *folder;  /* a checkpoint in it */
    json_t *config;
    struct model_config c;
    struct model_plan plan;
    struct safetensors st;
    int32_t ids[IDS];
    const float *logits, *brief; /* [IDS][VOCAB]; of the first SHORT ids */
};

/* Value i of noise: arch_vectors.py has the same. */
static inline float
noise(const char *name, uint64_t i)
{
    uint64_t x = 0xcbf29ce484222325u;

    for (; *name != '\0'; name++)
        x = (x ^ (unsigned char)*name) * 0x100000001b3u;
    x += (i + 1) * 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    x ^= x >> 31;
    return (float)(x >> 40) / 8388608.0f - 1.0f;
}

static inline float
weight(const struct tensor_plan *p, uint64_t i)
{
    float u = noise(p->hf, i);

    if (p->norm)
        return (p->plus_one ? 0.0f : 1.0f) + 0.25f * u;
    if (p->role == ROLE_EMBED)
        return u;
    return (p->role == ROLE_ROUTER ? 0.5f : 0.25f) * u;
}

/* Tensors first, first + step, .. of the plan into one file. */
static inline void
write_weights(const struct vectors *v, const char *name, size_t first,
    size_t step)
{
    struct st_spec *specs = mem_calloc(v->plan.n, sizeof *specs);
    char *path = path_join(v->folder, name);
    struct st_writer w = { 0 };
    struct err e = { 0 };
    size_t n = 0;

    for (size_t i = first; i < v->plan.n; i += step)
        specs[n++] = (struct st_spec){ v->plan.t[i].hf, "F32",
            v->plan.t[i].rank, { v->plan.t[i].rows, v->plan.t[i].cols } };
    assert_int_equal(st_writer_open(&w, path, specs, n, NULL, &e), 0);
    for (size_t i = first; i < v->plan.n; i += step) {
        const struct tensor_plan *p = &v->plan.t[i];

        for (uint64_t k = 0; k < p->rows * p->cols; k++) {
            float x = weight(p, k);

            st_writer_data(&w, &x, sizeof x);
        }
    }
    assert_int_equal(st_writer_close(&w, &e), 0);
    free(specs);
    free(path);
}

static inline void
vectors_init(struct vectors *v, const char *name)
{
    char *from = mem_printf("tests/data/arch/%s/config.json", name);
    char *data = mem_printf("tests/data/arch/%s/vectors.safetensors", name);
    const uint64_t shape[2] = { IDS, VOCAB }, brief[2] = { SHORT, VOCAB };
    struct err e = { 0 };
    const int32_t *ids;
    char *to;

    *v = (struct vectors){ 0 };
    scratch_make(v->dir);
    v->folder = path_join(v->dir, "model");
    assert_int_equal(file_mkdirs(v->folder, &e), 0);
    v->config = json_read(from, 1 << 20, NULL, &e);
    assert_non_null(v->config);
    if (config_from_hf(&v->c, v->config, from, &e) != 0)
        fail_msg("%s", e.text);
    model_plan(&v->plan, &v->c);
    to = path_join(v->folder, "config.json");
    assert_int_equal(json_write(v->config, to, &e), 0);
    assert_int_equal(safetensors_open(&v->st, data, &e), 0);
    ids = safetensors_expect(&v->st, "ids", "I32", 1, shape, &e);
    v->logits = safetensors_expect(&v->st, "logits", "F32", 2, shape, &e);
    assert_int_equal(e.code, 0);
    if (safetensors_find(&v->st, "short") != NULL)
        v->brief = safetensors_expect(&v->st, "short", "F32", 2, brief, &e);
    memcpy(v->ids, ids, sizeof v->ids);
    free(from);
    free(data);
    free(to);
}

static inline void
vectors_release(struct vectors *v)
{
    scratch_remove(v->dir);
    free(v->folder);
    json_decref(v->config);
    model_plan_release(&v->plan);
    safetensors_close(&v->st);
}

static inline struct model *
open_model(const char *path, const struct model_open_opts *opts)
{
    struct model *m;
    struct err e = { 0 };

    if (model_open(&m, path, opts, &e) != 0)
        fail_msg("%s", e.text);
    return m;
}

struct add {
    struct statistics s;
    uint32_t experts;
};

static inline void
add_inputs(void *ctx, enum input_role in, int expert, const float *x, size_t n,
    size_t cols)
{
    struct add *a = ctx;

    if (expert < 0)
        statistics_add(&a->s, in, x, n, cols, NULL);
    else
        statistics_add_expert(&a->s, in, (uint32_t)expert, a->experts, x, n,
            cols, NULL);
}

static inline void
write_statistics(const struct vectors *v, struct add *a, int layer)
{
    char *path = mem_printf("%s/stats.%d.safetensors", v->dir, layer);
    struct err e = { 0 };
    struct digest digest;
    uint64_t bytes;

    if (statistics_write(&a->s, path, &digest, &bytes, &e) != 0)
        fail_msg("%s", e.text);
    statistics_release(&a->s);
    free(path);
}

/* A file for each layer and for the head, as the calibrate step makes them. */
static inline void
calibrate(const struct vectors *v)
{
    float *x = mem_calloc(IDS * HIDDEN, sizeof *x);
    float *normed = mem_calloc(IDS * HIDDEN, sizeof *normed);
    struct model *m = open_model(v->folder, &lazy);
    struct add a = { .experts = v->c.experts };
    struct err e = { 0 };

    assert_int_equal(model_embed(m, v->ids, IDS, x, &e), 0);
    for (uint32_t k = 0; k < v->c.layers; k++) {
        struct layer *l;

        assert_int_equal(layer_load(&l, m, k, NULL, &e), 0);
        layer_forward(l, x, IDS, NULL, add_inputs, &a);
        layer_free(l);
        write_statistics(v, &a, (int)k);
    }
    model_final_norm(m, x, IDS, normed);
    statistics_add(&a.s, IN_OUTPUT, normed, IDS, HIDDEN, NULL);
    write_statistics(v, &a, -1);
    model_free(m);
    free(x);
    free(normed);
}

/* How a model becomes GGUF. */
struct how {
    enum qtype type;
    enum quantize_method method;
    double near, mean; /* bounds of what differs in the logits */
};

/* Encodes a layer (or the head) into a file of its own; folded groups. */
static inline size_t
pack_part(const struct vectors *v, const struct model *m, int layer,
    const struct how *how)
{
    char *path = mem_printf("%s/part.%d.gguf", v->dir, layer);
    char *stats = mem_printf("%s/stats.%d.safetensors", v->dir, layer);
    bool asks = how->method != METHOD_RTN;
    struct statistics_file sf = { 0 };
    size_t scaled = 0;
    struct gguf_writer w = { 0 };
    struct quantize q = { 0 };
    struct progress progress = { 0 };
    struct err e = { 0 };

    if ((asks && statistics_open(&sf, stats, &e) != 0) ||
        gguf_writer_open(&w, path, &e) != 0 ||
        quantize_init(&q, m, layer, how->type, how->method,
        asks ? &sf : NULL, &e) != 0 ||
        quantize_scale(&q, NULL, &e) != 0 ||
        quantize_write(&q, &w, NULL, &progress, &e) != 0 ||
        gguf_writer_close(&w, &e) != 0)
        fail_msg("%s", e.text);
    for (size_t i = 0; i < q.n_scales; i++)
        scaled += q.scale[i].alpha > 0;
    quantize_release(&q);
    statistics_close(&sf);
    free(path);
    free(stats);
    return scaled;
}

/* A tokenizer that nobody should tokenize with: a name for each id. */
static inline void
put_names(struct gguf_writer *w)
{
    static const char *const merge = "t 0";
    const char *text[VOCAB];
    char name[VOCAB][16];

    for (int i = 0; i < VOCAB; i++) {
        snprintf(name[i], sizeof name[i], "t%d", i);
        text[i] = name[i];
    }
    gguf_put_str(w, "tokenizer.ggml.model", "gpt2");
    gguf_put_str(w, "tokenizer.ggml.pre", "gpt-2");
    gguf_put_str_array(w, "tokenizer.ggml.tokens", text, NULL, VOCAB);
    gguf_put_str_array(w, "tokenizer.ggml.merges", &merge, NULL, 1);
    gguf_put_u32(w, "tokenizer.ggml.bos_token_id", 0);
    gguf_put_u32(w, "tokenizer.ggml.eos_token_id", 1);
}

/* One file of all parts; 0, or -1 when the format cannot say the config. */
static inline int
pack(const struct vectors *v, const char *path, const struct how *how,
    size_t *scaled, struct err *e)
{
    struct model *m = open_model(v->folder, &lazy);
    struct gguf *part = mem_calloc(v->c.layers + 1, sizeof *part);
    struct gguf_extra extra[2];
    size_t n_extra = gguf_extras(&v->c, extra);
    struct gguf_writer w = { 0 };

    assert_int_equal(gguf_writer_open(&w, path, e), 0);
    gguf_put_str(&w, "general.architecture", arch_gguf_name(v->c.arch));
    if (gguf_put_config(&w, &v->c, "here", e) != 0) {
        gguf_writer_release(&w);
        model_free(m);
        free(part);
        return -1;
    }
    put_names(&w);
    for (int i = 0; i <= (int)v->c.layers; i++) {
        int layer = i == (int)v->c.layers ? -1 : i;
        char *name = mem_printf("%s/part.%d.gguf", v->dir, layer);

        *scaled += pack_part(v, m, layer, how);
        assert_int_equal(gguf_open(&part[i], name, e), 0);
        for (size_t k = 0; k < part[i].n; k++)
            gguf_add_tensor(&w, part[i].t[k].name, part[i].t[k].type,
                part[i].t[k].n_dims, part[i].t[k].dim);
        free(name);
    }
    for (size_t i = 0; i < n_extra; i++)
        gguf_add_tensor(&w, extra[i].name, QT_F32, 1,
            &(uint64_t){ extra[i].n });
    assert_int_equal(gguf_write_header(&w, e), 0);
    for (size_t i = 0; i <= v->c.layers; i++) {
        for (size_t k = 0; k < part[i].n; k++)
            gguf_write_data(&w, gguf_data(&part[i].t[k]),
                (size_t)part[i].t[k].bytes);
        gguf_close(&part[i]);
    }
    for (size_t i = 0; i < n_extra; i++)
        gguf_write_data(&w, extra[i].v, extra[i].n * sizeof(float));
    assert_int_equal(gguf_writer_close(&w, e), 0);
    model_free(m);
    free(part);
    return 0;
}

#endif
