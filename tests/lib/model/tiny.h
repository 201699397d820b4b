/*
 * tiny.h - a random Llama for tests: in memory as float32, written as a Hugging
 * Face folder or as a GGUF file, whole or damaged in one way
 */
#ifndef QUERN_TESTS_MODEL_TINY_H
#define QUERN_TESTS_MODEL_TINY_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/encode.h"
#include "kernels/half.h"
#include "lib/base/file.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/format/gguf.h"
#include "lib/format/safetensors.h"
#include "lib/model/arch.h"
#include "tests/lib/base/scratch.h"

struct tiny {
    struct model_config c;
    struct model_plan plan;
    float **w;        /* [plan.n]: values that bfloat16 holds exactly */
    json_t *config;
};

/* What is wrong with a folder that tiny_write_hf writes. */
struct tiny_damage {
    const char *skip;  /* leave this tensor out */
    const char *nan;   /* its last value is not a number */
    const char *extra; /* one tensor more, F32 [4] */
    const char *flat;  /* written with one dimension */
    const char *i32;   /* written as I32 */
};

static const char tiny_config_text[] =
    "{\"architectures\": [\"LlamaForCausalLM\"], \"hidden_size\": 256,"
    " \"intermediate_size\": 512, \"num_hidden_layers\": 2,"
    " \"num_attention_heads\": 8, \"num_key_value_heads\": 2,"
    " \"head_dim\": 32, \"vocab_size\": 320, \"rms_norm_eps\": 1e-5,"
    " \"max_position_embeddings\": 2048, \"rope_theta\": 10000.0,"
    " \"hidden_act\": \"silu\", \"bos_token_id\": 0, \"eos_token_id\": 1,"
    " \"tie_word_embeddings\": false}";

static inline float
tiny_noise(uint64_t *s)
{
    int sum = 0;

    for (int i = 0; i < 4; i++) {
        *s = *s * 6364136223846793005u + 1442695040888963407u;
        sum += (int)(*s >> 48);
    }
    return (float)(sum - 131070) / 37837.0f;
}

/* `patch`: JSON object whose keys replace those of the config, or NULL. */
static inline void
tiny_init(struct tiny *t, const char *patch)
{
    struct err e = { 0 };

    *t = (struct tiny){ 0 };
    t->config = json_loads(tiny_config_text, 0, NULL);
    if (patch != NULL) {
        json_t *p = json_loads(patch, 0, NULL);

        if (p == NULL || json_object_update(t->config, p) != 0)
            abort();
        json_decref(p);
    }
    if (config_from_hf(&t->c, t->config, "tiny", &e) != 0) {
        fprintf(stderr, "%s\n", e.text);
        abort();
    }
    model_plan(&t->plan, &t->c);
    t->w = mem_calloc(t->plan.n, sizeof *t->w);
    for (size_t i = 0; i < t->plan.n; i++) {
        const struct tensor_plan *p = &t->plan.t[i];
        uint64_t n = p->rows * p->cols, s = 77 + i;
        float scale = p->role == ROLE_EMBED ? 0.5f : 0.06f;

        t->w[i] = mem_aligned((size_t)n, sizeof(float));
        for (uint64_t j = 0; j < n; j++)
            t->w[i][j] = bf16_to_f32(bf16_from_f32(p->norm ?
                1.0f + 0.1f * tiny_noise(&s) : scale * tiny_noise(&s)));
    }
}

static inline void
tiny_release(struct tiny *t)
{
    for (size_t i = 0; i < t->plan.n; i++)
        free(t->w[i]);
    free(t->w);
    model_plan_release(&t->plan);
    json_decref(t->config);
    *t = (struct tiny){ 0 };
}

static inline bool
tiny_is(const char *a, const char *b)
{
    return a != NULL && strcmp(a, b) == 0;
}

/* `dtype`: "F32", "BF16" or "F16" (which may round). `d` may be NULL. */
static inline void
tiny_write_hf(const struct tiny *t, const char *dir, const char *dtype,
    const struct tiny_damage *d)
{
    static const struct tiny_damage none;
    struct st_spec *specs = mem_calloc(t->plan.n + 1, sizeof *specs);
    char *path = path_join(dir, "model.safetensors");
    char *config = path_join(dir, "config.json");
    struct st_writer w = { 0 };
    struct err e = { 0 };
    size_t n = 0;

    if (d == NULL)
        d = &none;
    json_write(t->config, config, &e);
    for (size_t i = 0; i < t->plan.n; i++) {
        const struct tensor_plan *p = &t->plan.t[i];

        if (tiny_is(d->skip, p->hf))
            continue;
        specs[n] = (struct st_spec){ p->hf, dtype, p->rank,
            { p->rows, p->cols } };
        if (tiny_is(d->flat, p->hf)) {
            specs[n].rank = 1;
            specs[n].shape[0] *= p->cols;
        }
        if (tiny_is(d->i32, p->hf))
            specs[n].dtype = "I32";
        n++;
    }
    if (d->extra != NULL)
        specs[n++] = (struct st_spec){ d->extra, "F32", 1, { 4 } };
    st_writer_open(&w, path, specs, n, NULL, &e);
    for (size_t i = 0; i < t->plan.n; i++) {
        const struct tensor_plan *p = &t->plan.t[i];
        size_t count = (size_t)(p->rows * p->cols);
        float *v = mem_aligned(count, sizeof *v);
        uint16_t *half = mem_aligned(count, sizeof *half);

        memcpy(v, t->w[i], count * sizeof *v);
        if (tiny_is(d->nan, p->hf))
            v[count - 1] = NAN;
        if (strcmp(dtype, "BF16") == 0)
            bf16_from_f32_row(half, v, count);
        else
            f16_from_f32_row(half, v, count);
        if (strcmp(dtype, "F32") == 0 || tiny_is(d->i32, p->hf))
            st_writer_data(&w, v, tiny_is(d->skip, p->hf) ? 0 : count * 4);
        else
            st_writer_data(&w, half, tiny_is(d->skip, p->hf) ? 0 : count * 2);
        free(v);
        free(half);
    }
    if (d->extra != NULL)
        st_writer_data(&w, "0123456789abcdef", 16);
    if (st_writer_close(&w, &e) != 0) {
        fprintf(stderr, "%s\n", e.text);
        abort();
    }
    free(specs);
    free(path);
    free(config);
}

/* q and k rows in GGUF's order. */
static inline void
tiny_permute(float *dst, const float *src, const struct tensor_plan *p,
    uint32_t head_dim)
{
    for (uint64_t r = 0; r < p->rows; r++) {
        uint64_t from = p->permute_heads > 0 ?
            arch_source_row(r, head_dim) : r;

        memcpy(dst + r * p->cols, src + from * p->cols,
            (size_t)p->cols * sizeof *dst);
    }
}

static inline void
tiny_put_keys(struct gguf_writer *w, const struct model_config *c)
{
    gguf_put_str(w, "general.architecture", arch_gguf_name(c->arch));
    gguf_put_u32(w, "llama.context_length", c->positions);
    gguf_put_u32(w, "llama.embedding_length", c->hidden);
    gguf_put_u32(w, "llama.block_count", c->layers);
    gguf_put_u32(w, "llama.feed_forward_length", c->ffn);
    gguf_put_u32(w, "llama.attention.head_count", c->heads);
    gguf_put_u32(w, "llama.attention.head_count_kv", c->kv_heads);
    gguf_put_u32(w, "llama.attention.key_length", c->head_dim);
    gguf_put_u32(w, "llama.attention.value_length", c->head_dim);
    gguf_put_f32(w, "llama.attention.layer_norm_rms_epsilon",
        (float)c->norm_eps);
    gguf_put_f32(w, "llama.rope.freq_base", (float)c->rope.theta);
    gguf_put_u32(w, "tokenizer.ggml.bos_token_id", 0);
    gguf_put_u32(w, "tokenizer.ggml.eos_token_id", 1);
}

/* Matrices as `type`, vectors as F32; without the tokenizer. */
static inline void
tiny_write_gguf(const struct tiny *t, const char *path, enum qtype type,
    const char *skip)
{
    struct gguf_writer w = { 0 };
    struct err e = { 0 };

    gguf_writer_open(&w, path, &e);
    tiny_put_keys(&w, &t->c);
    if (t->c.rope.type == ROPE_LINEAR) {
        gguf_put_str(&w, "llama.rope.scaling.type", "linear");
        gguf_put_f32(&w, "llama.rope.scaling.factor", (float)t->c.rope.factor);
    }
    for (size_t i = 0; i < t->plan.n; i++) {
        const struct tensor_plan *p = &t->plan.t[i];
        uint64_t dim[2] = { p->rank == 1 ? p->rows : p->cols, p->rows };

        if (!tiny_is(skip, p->gguf))
            gguf_add_tensor(&w, p->gguf, p->rank == 1 ? QT_F32 : type,
                p->rank, dim);
    }
    if (t->c.rope.type == ROPE_LLAMA3) {
        uint64_t dim[1] = { t->c.head_dim / 2 };

        gguf_add_tensor(&w, "rope_freqs.weight", QT_F32, 1, dim);
    }
    gguf_write_header(&w, &e);
    for (size_t i = 0; i < t->plan.n; i++) {
        const struct tensor_plan *p = &t->plan.t[i];
        size_t count = (size_t)(p->rows * p->cols);
        float *v = mem_aligned(count, sizeof *v);
        uint8_t *packed = mem_aligned(count, sizeof *v);
        enum qtype as = p->rank == 1 ? QT_F32 : type;
        size_t cols = (size_t)(p->rank == 1 ? p->rows : p->cols);

        tiny_permute(v, t->w[i], p, t->c.head_dim);
        if (qtype_encode(as, packed, v, count / cols, cols, NULL) != count)
            abort();
        if (!tiny_is(skip, p->gguf))
            gguf_write_data(&w, packed,
                count / cols * qtype_row_bytes(as, cols));
        free(v);
        free(packed);
    }
    if (t->c.rope.type == ROPE_LLAMA3) {
        float divisors[512];

        rope_divisors(&t->c.rope, divisors);
        gguf_write_data(&w, divisors, t->c.head_dim / 2 * sizeof(float));
    }
    if (gguf_writer_close(&w, &e) != 0) {
        fprintf(stderr, "%s\n", e.text);
        abort();
    }
}

#endif
