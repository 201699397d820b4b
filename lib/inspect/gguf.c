/*
 * gguf.c - GGUF files: keys, tensors, and the model if it is one
 */
#include <stdio.h>
#include <string.h>

#include "lib/base/bytes.h"
#include "lib/base/file.h"
#include "lib/format/gguf.h"
#include "lib/inspect/kinds.h"

enum {
    FEW = 8,       /* elements of an array that are shown without `all` */
    MOST = 1 << 22 /* with it, of all arrays: each takes some 40 bytes here */
};

static json_t *
scalar(enum gguf_kind kind, const uint8_t *p)
{
    double d;
    uint64_t u;

    switch (kind) {
    case GGUF_U8:
        return json_integer(p[0]);
    case GGUF_I8:
        return json_integer((int8_t)p[0]);
    case GGUF_U16:
        return json_integer(load_u16le(p));
    case GGUF_I16:
        return json_integer((int16_t)load_u16le(p));
    case GGUF_U32:
        return json_integer(load_u32le(p));
    case GGUF_I32:
        return json_integer((int32_t)load_u32le(p));
    case GGUF_F32:
        return value_real((double)load_f32le(p));
    case GGUF_BOOL:
        return json_boolean(p[0] != 0);
    case GGUF_U64:
        return value_count(load_u64le(p));
    case GGUF_I64:
        return json_integer((json_int_t)load_u64le(p));
    case GGUF_F64:
        u = load_u64le(p);
        memcpy(&d, &u, sizeof d);
        return value_real(d);
    default:
        return json_null();
    }
}

/* The first n elements. */
static json_t *
array(const struct gguf_kv *kv, uint64_t n)
{
    json_t *list = json_array();

    if (kv->elem == GGUF_STR) {
        struct gguf_strings it = gguf_strings(kv);

        for (uint64_t i = 0; i < n && gguf_next(&it); i++)
            json_array_append_new(list, value_text(it.p, it.len));
        return list;
    }
    for (uint64_t i = 0; i < n; i++)
        json_array_append_new(list,
            scalar(kv->elem, kv->raw + i * (kv->raw_bytes / kv->count)));
    return list;
}

static json_t *
keys(const struct gguf *g, bool all)
{
    json_t *list = json_array();
    uint64_t left = MOST;

    for (size_t i = 0; i < g->n_kv; i++) {
        const struct gguf_kv *kv = &g->kv[i];
        const uint64_t most = all ? left : FEW;
        const uint64_t shown = kv->count < most ? kv->count : most;
        json_t *o = json_object();

        value_set(o, "key", value_string(kv->key));
        value_set(o, "type", json_string(gguf_kind_name(kv->elem)));
        if (kv->kind == GGUF_ARRAY) {
            value_set(o, "count", value_count(kv->count));
            value_set(o, "value", array(kv, shown));
            left -= all ? shown : 0;
        } else if (kv->kind == GGUF_STR) {
            value_set(o, "value", value_text((const char *)kv->raw,
                (size_t)kv->raw_bytes));
        } else {
            value_set(o, "value", scalar(kv->kind, kv->raw));
        }
        json_array_append_new(list, o);
    }
    return list;
}

static void
add_tensors(json_t *v, const struct gguf *g)
{
    json_t *tensors = json_array();

    for (size_t i = 0; i < g->n; i++) {
        const struct gguf_tensor *t = &g->t[i];
        uint64_t shape[GGUF_MAX_DIMS];

        for (unsigned k = 0; k < t->n_dims; k++)
            shape[k] = t->dim[t->n_dims - 1 - k];
        weights_add(tensors, &(struct weight){ .name = t->name,
            .type = gguf_type_name(t->ggml_type), .rank = t->n_dims,
            .shape = shape, .bytes = t->bytes, .offset = t->offset,
            .file = g->n_more > 0 ? path_base(t->map->path) : NULL });
    }
    weights_set(v, tensors);
}

/* The files of a split model. */
static void
add_parts(json_t *v, const struct gguf *g)
{
    json_t *files = json_array();
    uint64_t bytes = 0;

    for (size_t i = 0; i <= g->n_more; i++) {
        const struct map *m = i == 0 ? &g->map : &g->more[i - 1].map;
        json_t *f = json_object();

        value_set(f, "name", value_string(path_base(m->path)));
        value_set(f, "bytes", value_count(m->len));
        value_set(f, "weights", json_true());
        json_array_append_new(files, f);
        bytes += m->len;
    }
    value_set(v, "bytes", value_count(bytes));
    value_set(v, "files", files);
}

/* Whether it says how many layers there are: a stage's part of one does not. */
static bool
is_model(const struct gguf *g)
{
    const struct gguf_kv *arch = gguf_kv(g, "general.architecture");
    char key[96];

    if (arch == NULL || arch->str == NULL)
        return false;
    snprintf(key, sizeof key, "%.64s.block_count", arch->str);
    return gguf_kv(g, key) != NULL;
}

/* llama.cpp's name for what the file mostly holds (llama_ftype), or null. */
static json_t *
file_type(const struct gguf *g)
{
    static const char *const mix[] = { [11] = "Q3_K_S", [12] = "Q3_K_M",
        [13] = "Q3_K_L", [14] = "Q4_K_S", [15] = "Q4_K_M", [16] = "Q5_K_S",
        [17] = "Q5_K_M", [21] = "Q2_K_S" };
    const struct gguf_kv *kv = gguf_kv(g, "general.file_type");
    uint32_t n;

    if (kv == NULL || kv->kind != GGUF_U32)
        return json_null();
    n = load_u32le(kv->raw);
    if (n < countof(mix) && mix[n] != NULL)
        return json_string(mix[n]);
    for (enum qtype t = 0; t < QT_COUNT; t++)
        if (qtype_info(t)->file_type == n)
            return json_string(qtype_info(t)->name);
    return json_null();
}

/* A split model as a whole where its first part is given, else that part. */
static int
open_whole(struct gguf *g, const char *path, struct err *e)
{
    const struct gguf_kv *count, *no;

    if (gguf_open_part(g, path, e) != 0)
        return e->code;
    count = gguf_kv(g, "split.count");
    no = gguf_kv(g, "split.no");
    if (count == NULL || count->kind != GGUF_U16 || no == NULL ||
        no->kind != GGUF_U16 || load_u16le(count->raw) < 2 ||
        load_u16le(no->raw) != 0)
        return 0;
    gguf_close(g);
    return gguf_open(g, path, e);
}

int
inspect_gguf(json_t *v, const char *path, const struct inspect_opts *o,
    struct err *e)
{
    struct model_config c;
    struct gguf g = { 0 };
    struct err why = { 0 };
    const struct gguf_kv *type;

    if (open_whole(&g, path, e) != 0)
        return e->code;
    type = gguf_kv(&g, "general.type");
    if (type != NULL && type->str != NULL &&
        strcmp(type->str, "imatrix") == 0) {
        gguf_close(&g);
        return inspect_imatrix(v, path, o, e);
    }
    value_set(v, "kind", json_string("gguf"));
    value_set(v, "version", value_count(g.version));
    value_set(v, "alignment", value_count(g.alignment));
    value_set(v, "model", NULL);
    value_set(v, "tokenizer", NULL);
    value_set(v, "file_type", file_type(&g));
    if (is_model(&g)) {
        config_from_gguf(&c, &g, &why);
        model_set(v, &c, &why);
        model_set_runs(v, path);
    }
    if (gguf_kv(&g, "tokenizer.ggml.model") != NULL)
        tokenizer_set(v, path);
    value_set(v, "metadata", keys(&g, o->all));
    add_tensors(v, &g);
    if (g.n_more > 0)
        add_parts(v, &g);
    gguf_close(&g);
    return 0;
}
