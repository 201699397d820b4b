/*
 * model.c - opening a model; see model.h
 */
#include "lib/model/model.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/vec.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/model/model_impl.h"

enum {
    MAX_GENERATION_CONFIG = 1 << 20, /* bytes */
};
/*
 * Models with fewer weights are looked at when they are opened, and their packed
 * weights become float32 in memory where that is what multiplies.
 */
static const uint64_t FEW_WEIGHTS = 1u << 28;

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

    config_from_hf(&m->c, m->ck.config, place, e);
    free(place);
    if (e->code != 0 || read_generation_config(m, e) != 0)
        return e->code;
    if (m->c.names == NAMES_NESTED && checkpoint_find(&m->ck,
            "model.language_model.embed_tokens.weight") != NULL)
        m->c.names = NAMES_INNER;
    for (size_t i = 0; i < m->ck.n && m->c.experts > 0; i++)
        m->c.stacked |= str_ends(m->ck.t[i].name, ".mlp.experts.down_proj");
    model_plan(&m->plan, &m->c);
    m->stored = mem_calloc(m->plan.n, sizeof *m->stored);
    return model_bind_folder(m, e);
}

static int
open_gguf(struct model *m, struct err *e)
{
    if (config_from_gguf(&m->c, &m->ck.gguf, e) != 0)
        return e->code;
    m->reorder = m->exact && m->c.rope.pairs;
    if (m->reorder)
        m->c.rope.pairs = m->c.rope_local.pairs = false;
    model_plan(&m->plan, &m->c);
    m->stored = mem_calloc(m->plan.n, sizeof *m->stored);
    return model_bind_gguf(m, e);
}

static int
open_tokenizer(struct model *m, struct err *e)
{
    if (m->ck.is_gguf) {
        gguf_tokenizer(&m->tokenizer, &m->ck.gguf, e);
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

static void
open_rope(struct model *m)
{
    const struct rope_config *r = &m->c.rope;

    for (size_t i = 0; i < ROPE_KINDS; i++) {
        if ((i == ROPE_FAR && r->type != ROPE_LONGROPE) ||
            (i == ROPE_LOCAL && !m->c.two_ropes))
            continue;
        m->inv[i] = mem_calloc(r->dims / 2, sizeof(float));
        rope_frequencies(i == ROPE_LOCAL ? &m->c.rope_local : r,
            i == ROPE_FAR, m->inv[i]);
    }
}

const struct stored *
model_stored(const struct model *m, const struct tensor_plan *p)
{
    return &m->stored[p - m->plan.t];
}

int
model_vector(const struct model *m, const struct tensor_plan *p, float *out,
    struct err *e)
{
    stored_to_f32(out, model_stored(m, p), 0, 1, e);
    if (p->plus_one && !m->ck.is_gguf)
        for (uint64_t i = 0; i < p->rows; i++)
            out[i] += 1.0f;
    return e->code;
}

/* The entry outside the layers with this role, or NULL. */
static const struct tensor_plan *
head_tensor(const struct model *m, enum tensor_role role)
{
    for (size_t i = 0; i < m->plan.n; i++)
        if (m->plan.t[i].role == role && m->plan.t[i].layer < 0)
            return &m->plan.t[i];
    return NULL;
}

static int
load_rows(const struct making *how, struct matrix *to, const struct stored *s,
    uint64_t row0, uint64_t rows, struct err *e)
{
    const struct stored part = stored_slice(s, row0, rows);

    return matrix_init(to, &part, how, e);
}

/* Rows in the order of rope pairs that are wanted in a folder's. */
static bool
needs_order(const struct model *m, const struct tensor_plan *p)
{
    return m->reorder && p->permute_heads > 0;
}

/* One matrix of the file, which may be several that are multiplied. */
static int
load_matrix(const struct model *m, struct block *b,
    const struct tensor_plan *p, const struct making *how, struct err *e)
{
    const struct model_config *c = &m->c;
    const struct stored *s = model_stored(m, p);
    uint64_t q = (uint64_t)c->heads * c->head_dim;
    uint64_t kv = (uint64_t)c->kv_heads * c->head_dim;
    struct expert *x = p->experts > 0 ? &b->experts[p->expert] : NULL;

    switch (p->role) {
    case ROLE_QKV:
        if (load_rows(how, &b->m[ROLE_Q], s, 0, q, e) != 0 ||
            load_rows(how, &b->m[ROLE_K], s, q, kv, e) != 0)
            return e->code;
        return load_rows(how, &b->m[ROLE_V], s, q + kv, kv, e);
    case ROLE_GATE_UP:
        if (load_rows(how, &b->m[ROLE_GATE], s, 0, c->ffn, e) != 0)
            return e->code;
        return load_rows(how, &b->m[ROLE_UP], s, c->ffn, c->ffn, e);
    case ROLE_GATE_EXPERT:
        return load_rows(how, &x->gate, s, 0, s->rows, e);
    case ROLE_UP_EXPERT:
        return load_rows(how, &x->up, s, 0, s->rows, e);
    case ROLE_DOWN_EXPERT:
        return load_rows(how, &x->down, s, 0, s->rows, e);
    default:
        if (needs_order(m, p))
            return matrix_init_reordered(&b->m[p->role], s, c->head_dim, how,
                e);
        return load_rows(how, &b->m[p->role], s, 0, s->rows, e);
    }
}

/* A norm or bias in the order of the rows it belongs to. */
static int
load_vector(const struct model *m, const struct tensor_plan *p, float *out,
    struct err *e)
{
    float *stored;

    if (!needs_order(m, p))
        return model_vector(m, p, out, e);
    stored = mem_aligned((size_t)p->rows, sizeof *stored);
    if (model_vector(m, p, stored, e) == 0)
        for (uint64_t r = 0; r < p->rows; r++)
            out[arch_source_row(r, m->c.head_dim)] = stored[r];
    free(stored);
    return e->code;
}

int
model_load_block(const struct model *m, struct block *b, uint32_t layer,
    const struct making *how, struct err *e)
{
    b->local = config_is_local(&m->c, layer);
    if (config_has_experts(&m->c, layer)) {
        b->n_experts = m->c.experts;
        b->experts = mem_calloc(b->n_experts, sizeof *b->experts);
    }
    for (size_t i = m->first[layer]; i < m->first[layer + 1]; i++) {
        const struct tensor_plan *p = &m->plan.t[i];
        float **vector = p->bias ? &b->bias[p->role] : &b->norm[p->role];

        if (p->rank == 2) {
            load_matrix(m, b, p, how, e);
        } else {
            *vector = mem_aligned((size_t)p->rows, sizeof **vector);
            load_vector(m, p, *vector, e);
        }
        if (e->code != 0)
            return e->code;
    }
    for (size_t i = 0; i < ROLE_COUNT; i++)
        b->m[i].bias = b->bias[i];
    return 0;
}

/* Of the weights that multiply as floats. */
static bool
has_few_weights(const struct model *m)
{
    uint64_t n = 0;

    for (size_t i = 0; i < m->plan.n; i++) {
        const struct stored *s = &m->stored[i];

        /* at most 2^22 * 2^16 values each, and 2^20 tensors: no overflow */
        if (m->exact || qtype_info(s->type)->act == ACT_F32)
            n += s->rows * s->cols;
    }
    return n < FEW_WEIGHTS;
}

/* Calls fn on every matrix that multiplies. */
static void
each_matrix(struct model *m, void (*fn)(struct matrix *m, void *ctx),
    void *ctx)
{
    for (uint32_t i = 0; !m->lazy && i < m->c.layers; i++) {
        struct block *b = &m->blocks[i];

        for (size_t r = 0; r < ROLE_COUNT; r++)
            fn(&b->m[r], ctx);
        for (uint32_t x = 0; x < b->n_experts; x++) {
            fn(&b->experts[x].gate, ctx);
            fn(&b->experts[x].up, ctx);
            fn(&b->experts[x].down, ctx);
        }
    }
    fn(m->c.tied ? &m->embed : &m->output, ctx);
}

static void
add_bytes(struct matrix *m, void *ctx)
{
    size_t *bytes = ctx;

    *bytes += matrix_interleave_bytes(m);
}

/* What is left of the room for interleaved copies. */
struct side_room {
    uint8_t *at;
    struct pool *pool;
};

static void
copy_aside(struct matrix *m, void *ctx)
{
    struct side_room *room = ctx;
    const size_t bytes = matrix_interleave_bytes(m);

    if (bytes > 0)
        matrix_interleave(m, room->at, room->pool);
    room->at += bytes;
}

/* One piece of memory for all: huge pages would round each of them up. */
static void
interleave_all(struct model *m, struct pool *pool)
{
    struct side_room room = { .pool = pool };
    size_t bytes = 0;

    each_matrix(m, add_bytes, &bytes);
    if (bytes == 0)
        return;
    m->side = mem_huge(bytes);
    room.at = m->side;
    each_matrix(m, copy_aside, &room);
}

static int
load_weights(struct model *m, struct pool *pool, struct err *e)
{
    const bool few = !m->lazy && has_few_weights(m);
    const struct making how = { m->exact, few, few, pool };
    const struct tensor_plan *out = head_tensor(m, ROLE_OUTPUT);
    const struct tensor_plan *norm = head_tensor(m, ROLE_OUTPUT_NORM);
    const struct tensor_plan *embed = head_tensor(m, ROLE_EMBED);

    m->blocks = mem_calloc(m->c.layers, sizeof *m->blocks);
    m->output_norm = mem_aligned(m->c.hidden, sizeof *m->output_norm);
    if (model_vector(m, norm, m->output_norm, e) != 0 ||
        matrix_init(&m->embed, model_stored(m, embed), &how, e) != 0)
        return e->code;
    if (out != NULL &&
        matrix_init(&m->output, model_stored(m, out), &how, e) != 0)
        return e->code;
    for (uint32_t i = 0; !m->lazy && i < m->c.layers; i++)
        if (model_load_block(m, &m->blocks[i], i, &how, e) != 0)
            return e->code;
    if (m->decodes)
        interleave_all(m, pool);
    return 0;
}

/* Where the layers are in the plan, and whether any matrix is packed. */
static void
index_plan(struct model *m)
{
    size_t at = 0;

    m->first = mem_calloc((size_t)m->c.layers + 1, sizeof *m->first);
    while (m->plan.t[at].layer < 0)
        at++;
    for (uint32_t i = 0; i < m->c.layers; i++) {
        m->first[i] = at;
        while (m->plan.t[at].layer == (int)i)
            at++;
    }
    m->first[m->c.layers] = at;
    for (size_t i = 0; i < m->plan.n; i++)
        m->packed |= !m->exact &&
            qtype_info(m->stored[i].type)->act != ACT_F32;
}

int
model_open(struct model **out, const char *path,
    const struct model_open_opts *opts, struct err *e)
{
    static const struct model_open_opts none;
    struct model *m = mem_calloc(1, sizeof *m);

    if (opts == NULL)
        opts = &none;
    *out = NULL;
    m->path = mem_strdup(path);
    m->lazy = opts->lazy;
    m->exact = opts->exact || opts->lazy;
    m->decodes = opts->decodes;
    m->blas = opts->blas;
    if (checkpoint_open(&m->ck, path, e) == 0)
        m->ck.is_gguf ? open_gguf(m, e) : open_hf(m, e);
    if (e->code == 0 && !opts->no_tokenizer)
        open_tokenizer(m, e);
    if (e->code == 0) {
        open_rope(m);
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
    free(m->side);
    free(m->output_norm);
    for (size_t i = 0; i < ROPE_KINDS; i++)
        free(m->inv[i]);
    free(m->first);
    tokenizer_free(m->tokenizer);
    free(m->stored);
    model_plan_release(&m->plan);
    checkpoint_close(&m->ck);
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
    return &m->ck;
}

const struct gguf *
model_gguf(const struct model *m)
{
    return m->ck.is_gguf ? &m->ck.gguf : NULL;
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
        stored_widen(x + i * h, &m->embed.at, (uint64_t)ids[i], 1);
        if (m->c.embed_scale != 1.0)
            scale_f32(x + i * h, (float)m->c.embed_scale, x + i * h, h);
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
