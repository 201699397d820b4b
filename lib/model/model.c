/*
 * model.c - opening a model; see model.h
 */
#include "lib/model/model.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "kernels/gemm.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/model/model_impl.h"

enum {
    MAX_GENERATION_CONFIG = 1 << 20, /* bytes */
};
/* Models whose float32 weights are below this are converted at open. */
static const uint64_t CONVERT_BYTES = 512u << 20;

/* "[2048, 256]" */
static void
shape_text(struct str *s, const uint64_t *shape, unsigned rank)
{
    for (unsigned i = 0; i < rank; i++)
        str_addf(s, "%s%llu", i > 0 ? ", " : "[",
            (unsigned long long)shape[i]);
    str_add(s, rank > 0 ? "]" : "[]");
}

static int
wrong_shape(const char *path, const char *name, const struct tensor_plan *p,
    const uint64_t *shape, unsigned rank, struct err *e)
{
    uint64_t want[2] = { p->rows, p->cols };
    struct str found = { 0 }, need = { 0 };

    shape_text(&found, shape, rank);
    shape_text(&need, want, p->rank);
    err_set(e, ERR_WORK, "%s: tensor '%s' has shape %s where the config asks "
        "for %s; fetch the model again", path, name, str_get(&found),
        str_get(&need));
    str_release(&found);
    str_release(&need);
    return e->code;
}

/* A vector is one row, so that it converts like a matrix. */
static void
fill_stored(struct stored *s, const struct tensor_plan *p, const void *data,
    enum qtype type, const char *path, const char *name)
{
    *s = (struct stored){ .data = data, .type = type, .path = path,
        .name = name, .rows = p->rank == 1 ? 1 : p->rows,
        .cols = p->rank == 1 ? p->rows : p->cols };
}

static int
check_hf_tensor(struct stored *s, const struct tensor_plan *p,
    const struct ck_tensor *t, struct err *e)
{
    static const enum qtype known[] = { QT_F32, QT_F16, QT_BF16 };

    if (t->rank != p->rank || t->shape[0] != p->rows ||
        (p->rank == 2 && t->shape[1] != p->cols))
        return wrong_shape(t->path, t->name, p, t->shape, t->rank, e);
    for (size_t i = 0; i < countof(known); i++) {
        if (strcmp(qtype_info(known[i])->name, t->dtype) == 0) {
            fill_stored(s, p, t->data, known[i], t->path, t->name);
            return 0;
        }
    }
    return err_set(e, ERR_WORK, "%s: tensor '%s' has type %s; quern reads F32, "
        "F16 and BF16 weights", t->path, t->name, t->dtype);
}

/* More tensors than the model has: which one is it? */
static int
unexpected_hf(const struct model *m, struct err *e)
{
    for (size_t i = 0; i < m->ck.n; i++)
        if (!arch_ignores(&m->c, m->ck.t[i].name) &&
            plan_find_hf(&m->plan, m->ck.t[i].name) == NULL)
            return err_set(e, ERR_WORK, "%s: tensor '%s' is not part of a %s "
                "with this config; is config.json of another model?",
                m->ck.t[i].path, m->ck.t[i].name, arch_hf_name(m->c.arch));
    return 0;
}

static int
bind_hf(struct model *m, struct err *e)
{
    size_t ignored = 0;

    for (size_t i = 0; i < m->plan.n; i++) {
        const struct tensor_plan *p = &m->plan.t[i];
        const struct ck_tensor *t = checkpoint_find(&m->ck, p->hf);

        if (t == NULL)
            return err_set(e, ERR_WORK, "%s: tensor '%s' is missing; fetch the "
                "model again", m->path, p->hf);
        if (check_hf_tensor(&m->stored[i], p, t, e) != 0)
            return e->code;
    }
    for (size_t i = 0; i < m->ck.n; i++)
        ignored += arch_ignores(&m->c, m->ck.t[i].name);
    return m->ck.n - ignored > m->plan.n ? unexpected_hf(m, e) : 0;
}

static int
read_generation_config(struct model *m, struct err *e)
{
    char *path = path_join(m->path, "generation_config.json");
    json_t *v = NULL;

    if (file_exists(path))
        v = json_read(path, MAX_GENERATION_CONFIG, NULL, e);
    if (v != NULL)
        config_add_eos(&m->c, v);
    json_decref(v);
    free(path);
    return e->code;
}

static int
open_hf(struct model *m, struct err *e)
{
    char *place = path_join(m->path, "config.json");

    if (checkpoint_open(&m->ck, m->path, e) == 0)
        config_from_hf(&m->c, m->ck.config, place, e);
    free(place);
    if (e->code != 0 || read_generation_config(m, e) != 0)
        return e->code;
    model_plan(&m->plan, &m->c);
    m->stored = mem_calloc(m->plan.n, sizeof *m->stored);
    return bind_hf(m, e);
}

static int
check_gguf_tensor(struct stored *s, const struct tensor_plan *p,
    const struct gguf *g, const struct gguf_tensor *t, struct err *e)
{
    uint64_t shape[2] = { t->dim[1], t->dim[0] };
    uint64_t rows = p->rank == 1 ? 1 : p->rows;
    uint64_t cols = p->rank == 1 ? p->rows : p->cols;

    if (t->n_dims > 2 || t->dim[0] != cols || t->dim[1] != rows)
        return wrong_shape(g->map.path, t->name, p,
            p->rank == 1 ? &shape[1] : shape, p->rank, e);
    if (t->type == QT_COUNT || (p->rank == 1 && t->type != QT_F32 &&
        t->type != QT_F16 && t->type != QT_BF16))
        return err_set(e, ERR_WORK, "%s: tensor '%s' has type %s, which quern "
            "does not compute with; take another type", g->map.path, t->name,
            gguf_type_name(t->ggml_type));
    fill_stored(s, p, gguf_data(g, t), t->type, g->map.path, t->name);
    return 0;
}

static int
bind_gguf(struct model *m, struct err *e)
{
    const struct gguf *g = &m->gguf;
    size_t extra = gguf_find(g, "rope_freqs.weight") != NULL;

    for (size_t i = 0; i < m->plan.n; i++) {
        const struct tensor_plan *p = &m->plan.t[i];
        const struct gguf_tensor *t = gguf_find(g, p->gguf);

        if (t == NULL)
            return err_set(e, ERR_WORK, "%s: tensor '%s' is missing; make the "
                "file again", m->path, p->gguf);
        if (check_gguf_tensor(&m->stored[i], p, g, t, e) != 0)
            return e->code;
    }
    for (size_t i = 0; g->n > m->plan.n + extra && i < g->n; i++)
        if (strcmp(g->t[i].name, "rope_freqs.weight") != 0 &&
            plan_find_gguf(&m->plan, g->t[i].name) == NULL)
            return err_set(e, ERR_WORK, "%s: tensor '%s' is not part of a "
                "'%s' with these keys; make the file again", m->path,
                g->t[i].name, arch_gguf_name(m->c.arch));
    return 0;
}

static int
open_gguf(struct model *m, struct err *e)
{
    m->is_gguf = true;
    if (gguf_open(&m->gguf, m->path, e) != 0 ||
        config_from_gguf(&m->c, &m->gguf, e) != 0)
        return e->code;
    model_plan(&m->plan, &m->c);
    m->stored = mem_calloc(m->plan.n, sizeof *m->stored);
    return bind_gguf(m, e);
}

static int
open_tokenizer(struct model *m, struct err *e)
{
    if (m->is_gguf) {
        gguf_tokenizer(&m->tokenizer, &m->gguf, e);
    } else {
        char *json = path_join(m->path, "tokenizer.json");
        char *config = path_join(m->path, "tokenizer_config.json");

        tokenizer_open(&m->tokenizer, json, config, e);
        free(json);
        free(config);
    }
    if (e->code != 0)
        return e->code;
    if (tokenizer_size(m->tokenizer) > m->c.vocab)
        return err_set(e, ERR_WORK, "%s: the tokenizer has %zu tokens, the "
            "embedding %u rows; is it another model's tokenizer?", m->path,
            tokenizer_size(m->tokenizer), m->c.vocab);
    if (m->c.bos < 0)
        m->c.bos = tokenizer_bos(m->tokenizer);
    if (m->c.n_eos == 0 && tokenizer_eos(m->tokenizer) >= 0)
        m->c.eos[m->c.n_eos++] = tokenizer_eos(m->tokenizer);
    return 0;
}

/* The divisors that a GGUF file has instead of llama3's numbers. */
static int
read_divisors(const struct model *m, float *divisors, struct err *e)
{
    const char *name = "rope_freqs.weight";
    const struct gguf_tensor *t = gguf_find(&m->gguf, name);
    uint32_t half = m->c.rope.dims / 2;

    if (t->type != QT_F32 || t->n_dims != 1 || t->dim[0] != half)
        return err_set(e, ERR_WORK, "%s: tensor '%s' is not F32 [%u]; make the "
            "file again", m->path, name, half);
    memcpy(divisors, gguf_data(&m->gguf, t), half * sizeof *divisors);
    for (uint32_t i = 0; i < half; i++)
        if (!(divisors[i] >= 1e-3f && divisors[i] <= 1e6f))
            return err_set(e, ERR_WORK, "%s: tensor '%s': value %u is %g, not "
                "from 0.001 to 1e6; make the file again", m->path, name, i,
                (double)divisors[i]);
    return 0;
}

static int
open_rope(struct model *m, struct err *e)
{
    uint32_t half = m->c.rope.dims / 2;
    float *divisors = NULL;
    int code = 0;

    m->inv = mem_calloc(half, sizeof *m->inv);
    if (m->c.rope.type == ROPE_DIVISORS) {
        divisors = mem_calloc(half, sizeof *divisors);
        code = read_divisors(m, divisors, e);
    }
    if (code == 0)
        rope_frequencies(&m->c.rope, divisors, m->inv);
    free(divisors);
    return code;
}

const struct stored *
model_stored(const struct model *m, enum tensor_role role, bool bias,
    int layer)
{
    size_t first = 0, last = m->plan.n;

    if (layer >= 0) {
        first = m->layer0 + (size_t)layer * m->per_layer;
        last = first + m->per_layer;
    }
    for (size_t i = first; i < last; i++)
        if (m->plan.t[i].role == role && m->plan.t[i].bias == bias &&
            m->plan.t[i].layer == layer)
            return &m->stored[i];
    return NULL;
}

/* Freshly allocated float32 copy of a vector; NULL if there is none. */
static int
load_vector(const struct stored *s, float **out, struct err *e)
{
    if (s == NULL)
        return 0;
    *out = mem_aligned((size_t)s->cols, sizeof **out);
    return stored_to_f32(*out, s, 0, 1, NULL, e);
}

int
model_load_block(const struct model *m, struct block *b, uint32_t layer,
    bool convert, bool force, struct pool *pool, struct err *e)
{
    static const enum tensor_role roles[] = { ROLE_Q, ROLE_K, ROLE_V, ROLE_O,
        ROLE_GATE, ROLE_UP, ROLE_DOWN };
    int l = (int)layer;

    if (load_vector(model_stored(m, ROLE_ATTN_NORM, false, l), &b->attn_norm,
        e) != 0 ||
        load_vector(model_stored(m, ROLE_FFN_NORM, false, l), &b->ffn_norm,
        e) != 0)
        return e->code;
    for (size_t i = 0; i < countof(roles); i++) {
        enum tensor_role r = roles[i];

        if (matrix_init(&b->m[r], model_stored(m, r, false, l), convert,
            force, pool, e) != 0 ||
            load_vector(model_stored(m, r, true, l), &b->bias[r], e) != 0)
            return e->code;
        b->m[r].bias = b->bias[r];
    }
    return 0;
}

/* Float32 bytes of all matrices that could be converted. */
static bool
worth_converting(const struct model *m)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < m->plan.n; i++) {
        const struct stored *s = &m->stored[i];

        /* at most 2^22 * 2^16 values each, and 2^14 tensors: no overflow */
        if (s->type == QT_F32 || s->type == QT_F16 || s->type == QT_BF16)
            bytes += s->rows * s->cols * sizeof(float);
    }
    return bytes < CONVERT_BYTES;
}

/*
 * What was converted has been read once and need not stay in memory. A tied
 * folder's ignored output matrix was not read at all.
 */
static void
drop_pages(const struct model *m)
{
    for (size_t i = 0; !m->is_gguf && i < m->ck.n; i++)
        checkpoint_done(&m->ck.t[i]);
}

static int
load_weights(struct model *m, struct pool *pool, struct err *e)
{
    bool convert = !m->lazy && worth_converting(m);
    const struct stored *out = model_stored(m, ROLE_OUTPUT, false, -1);

    m->blocks = mem_calloc(m->c.layers, sizeof *m->blocks);
    if (load_vector(model_stored(m, ROLE_OUTPUT_NORM, false, -1),
        &m->output_norm, e) != 0 ||
        matrix_init(&m->embed, model_stored(m, ROLE_EMBED, false, -1),
        convert, false, pool, e) != 0)
        return e->code;
    if (out != NULL &&
        matrix_init(&m->output, out, convert, false, pool, e) != 0)
        return e->code;
    for (uint32_t i = 0; !m->lazy && i < m->c.layers; i++)
        if (model_load_block(m, &m->blocks[i], i, convert, false, pool,
            e) != 0)
            return e->code;
    if (convert)
        drop_pages(m);
    return 0;
}

/* Where the layers are in the plan, and whether any matrix is packed. */
static void
index_plan(struct model *m)
{
    while (m->plan.t[m->layer0].layer < 0)
        m->layer0++;
    while (m->plan.t[m->layer0 + m->per_layer].layer == 0)
        m->per_layer++;
    for (size_t i = 0; i < m->plan.n; i++)
        m->packed |= qtype_info(m->stored[i].type)->act != ACT_F32;
}

int
model_open(struct model **out, const char *path,
    const struct model_open_opts *opts, struct err *e)
{
    static const struct model_open_opts none;
    struct model *m = mem_calloc(1, sizeof *m);
    struct stat st;

    if (opts == NULL)
        opts = &none;
    *out = NULL;
    gemm_init();
    m->path = mem_strdup(path);
    m->lazy = opts->lazy;
    if (stat(path, &st) != 0)
        err_sys(e, path, "cannot open the model", NULL);
    else if (S_ISDIR(st.st_mode))
        open_hf(m, e);
    else
        open_gguf(m, e);
    if (e->code == 0 && !opts->no_tokenizer)
        open_tokenizer(m, e);
    if (e->code == 0 && open_rope(m, e) == 0) {
        index_plan(m);
        load_weights(m, opts->pool, e);
    }
    if (e->code != 0) {
        model_free(m);
        return e->code;
    }
    *out = m;
    return 0;
}

void
model_free(struct model *m)
{
    if (m == NULL)
        return;
    for (uint32_t i = 0; m->blocks != NULL && i < m->c.layers; i++)
        block_release(&m->blocks[i]);
    free(m->blocks);
    matrix_release(&m->embed);
    matrix_release(&m->output);
    free(m->output_norm);
    free(m->inv);
    tokenizer_free(m->tokenizer);
    free(m->stored);
    model_plan_release(&m->plan);
    checkpoint_close(&m->ck);
    gguf_close(&m->gguf);
    free(m->path);
    free(m);
}

const struct model_config *
model_config(const struct model *m)
{
    return &m->c;
}

const struct model_plan *
model_tensors(const struct model *m)
{
    return &m->plan;
}

struct tokenizer *
model_tokenizer(struct model *m)
{
    return m->tokenizer;
}

const char *
model_path(const struct model *m)
{
    return m->path;
}

const struct checkpoint *
model_checkpoint(const struct model *m)
{
    return m->is_gguf ? NULL : &m->ck;
}

const struct gguf *
model_gguf(const struct model *m)
{
    return m->is_gguf ? &m->gguf : NULL;
}

const char *
model_numeric(const struct model *m)
{
    return m->packed ? "int8-block" : "float32";
}

bool
model_is_eos(const struct model *m, int32_t id)
{
    for (unsigned i = 0; i < m->c.n_eos; i++)
        if (m->c.eos[i] == id)
            return true;
    return false;
}

uint64_t
model_weight_bytes(const struct model *m)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < m->plan.n; i++)
        bytes += stored_bytes(&m->stored[i]);
    return bytes;
}

const struct matrix *
model_output(const struct model *m)
{
    return m->c.tied ? &m->embed : &m->output;
}

void
model_embed_rows(const struct model *m, const int32_t *ids, size_t n,
    float *x)
{
    size_t h = m->c.hidden;

    for (size_t i = 0; i < n; i++) {
        size_t id = (size_t)ids[i];

        if (m->embed.f != NULL)
            memcpy(x + i * h, m->embed.f + id * h, h * sizeof *x);
        else
            stored_widen(x + i * h, &m->embed.at, id, 1);
    }
}

int
model_check_ids(const struct model *m, const int32_t *ids, size_t n,
    struct err *e)
{
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || (uint32_t)ids[i] >= m->c.vocab)
            return err_set(e, ERR_WORK, "%s: token id %d is not from 0 to %u; "
                "was the text tokenized for another model?", m->path, ids[i],
                m->c.vocab - 1);
    return 0;
}
