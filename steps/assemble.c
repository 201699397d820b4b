/*
 * quern-assemble - the packed layers of a candidate as one file to serve
 *
 * Writes a GGUF version 3 file that llama.cpp loads: the model's numbers, the
 * tokenizer, the model card, then every tensor, streamed from the layers' files
 * one file at a time. What a GGUF source says of model, tokenizer and origin is
 * carried over as it is. The layers may belong to another candidate that has them
 * in common with this one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/format/checkpoint.h"
#include "lib/model/arch.h"
#include "lib/model/gguf_keys.h"
#include "lib/model/source.h"
#include "lib/record/stage.h"

struct work {
    struct stage *s;
    struct checkpoint ck;
    struct model_config c;
    struct model_plan plan;
    struct tokenizer *tok;
    const struct stage_file **part; /* [layers + 1]: layers, then the head */
    struct gguf_writer w;
    bool packed; /* a tensor has a quantized type */
    struct gguf_extra extra[2];
    size_t n_extra;
};

static int
read_config(struct work *w, const struct fingerprint *f, const char *base,
    struct err *e)
{
    char *config;

    if (checkpoint_open(&w->ck, base, e) != 0 ||
        fingerprint_check_small(f, &w->ck, e) != 0)
        return e->code;
    if (w->ck.is_gguf)
        return config_from_gguf(&w->c, &w->ck.gguf, e);
    config = path_join(base, "config.json");
    config_from_hf(&w->c, w->ck.config, config, e);
    free(config);
    return e->code;
}

static int
open_source(struct work *w, struct err *e)
{
    const char *base = stage_src(w->s, "base");
    const struct stage_file *in[] = { stage_in(w->s, "base/config.fp.json"),
        stage_in(w->s, "base/tokenizer.fp.json") };
    struct fingerprint f[2] = { 0 };

    for (size_t i = 0; i < 2 && !e->code; i++)
        fingerprint_parse(&f[i], in[i]->path, in[i]->map.p, in[i]->map.len, e);
    if (!e->code && read_config(w, &f[0], base, e) == 0 &&
        source_tokenizer(&w->tok, &f[1], base, e) == 0)
        model_plan(&w->plan, &w->c);
    for (size_t i = 0; i < 2; i++)
        fingerprint_release(&f[i]);
    return e->code;
}

/* Which part a role is: ".../layer.003.gguf", ".../head.gguf"; or -1. */
static long
part_of(const struct work *w, const char *role)
{
    const char *name = path_base(role);
    unsigned long long n;
    char *digits;
    long part = -1;

    if (strcmp(name, "head.gguf") == 0)
        return (long)w->c.layers;
    if (!str_starts(name, "layer.") || !str_ends(name, ".gguf"))
        return -1;
    digits = mem_strndup(name + 6, strlen(name) - 11);
    if (str_to_u64(digits, w->c.layers - 1, &n))
        part = (long)n;
    free(digits);
    return part;
}

static int
find_parts(struct work *w, struct err *e)
{
    const struct stage_file *f;

    w->part = mem_calloc((size_t)w->c.layers + 1, sizeof *w->part);
    for (size_t i = 0; (f = stage_in_next(w->s, "quant/", &i)) != NULL;) {
        long part = part_of(w, f->role);

        if (part < 0 || w->part[part] != NULL)
            return err_set(e, ERR_WORK, "%s: is no layer of a model with %u "
                "layers, or is there twice; run quern gen again", f->path,
                w->c.layers);
        w->part[part] = f;
    }
    for (uint32_t i = 0; i <= w->c.layers; i++)
        if (w->part[i] == NULL)
            return err_set(e, ERR_WORK, i == w->c.layers
                    ? "the head is missing among the inputs (of %u layers); "
                      "run quern gen again"
                    : "layer %u is missing among the inputs; run quern gen "
                      "again", i);
    return 0;
}

/* A part's file has exactly the tensors that the model has there. */
static int
check_part(const struct work *w, uint32_t part, const struct gguf *g,
    struct err *e)
{
    int layer = part == w->c.layers ? -1 : (int)part;
    size_t want = 0;

    for (size_t i = 0; i < w->plan.n; i++)
        want += w->plan.t[i].layer == layer && w->plan.t[i].expert == 0;
    for (size_t i = 0; i < g->n; i++) {
        const struct tensor_plan *p = plan_find_gguf(&w->plan, g->t[i].name);

        if (p == NULL || p->layer != layer)
            return err_set(e, ERR_WORK, "%s: tensor '%s' does not belong "
                "there; delete the file and run ninja again", g->map.path,
                g->t[i].name);
        if (g->t[i].dim[0] != (p->rank == 2 ? p->cols : p->rows) ||
            g->t[i].dim[1] != (p->rank == 2 ? p->rows : 1) ||
            g->t[i].dim[2] != (p->experts > 0 ? p->experts : 1) ||
            g->t[i].type == QT_COUNT)
            return err_set(e, ERR_WORK, "%s: tensor '%s' has another shape "
                "than the model; delete the file and run ninja again",
                g->map.path, g->t[i].name);
    }
    if (g->n != want)
        return err_set(e, ERR_WORK, "%s: has %zu tensors, the model has %zu "
            "there; delete the file and run ninja again", g->map.path, g->n,
            want);
    return 0;
}

/* The table of tensors, from the tables of all parts. */
static int
add_tensors(struct work *w, struct err *e)
{
    for (uint32_t i = 0; i <= w->c.layers; i++) {
        struct gguf g = { 0 };

        if (gguf_open(&g, w->part[i]->path, e) ||
            check_part(w, i, &g, e)) {
            gguf_close(&g);
            return e->code;
        }
        for (size_t k = 0; k < g.n; k++) {
            gguf_add_tensor(&w->w, g.t[k].name, g.t[k].type, g.t[k].n_dims,
                g.t[k].dim);
            w->packed = w->packed || qtype_info(g.t[k].type)->block > 1;
        }
        gguf_close(&g);
    }
    w->n_extra = gguf_extras(&w->c, w->extra);
    for (size_t i = 0; i < w->n_extra; i++) {
        uint64_t dim = w->extra[i].n;

        gguf_add_tensor(&w->w, w->extra[i].name, QT_F32, 1, &dim);
    }
    return 0;
}

static int
copy_tensors(struct work *w, struct err *e)
{
    stage_progress(w->s, "parts", "part", w->c.layers + 1);
    for (uint32_t i = 0; i <= w->c.layers; i++) {
        struct gguf g = { 0 };

        if (gguf_open(&g, w->part[i]->path, e))
            return e->code;
        for (size_t k = 0; k < g.n; k++) {
            gguf_copy_data(&w->w, &g.map, gguf_data(&g.t[k]),
                (size_t)g.t[k].bytes);
            map_done(gguf_data(&g.t[k]), g.t[k].bytes);
        }
        map_unchanged(&g.map, e);
        gguf_close(&g);
        if (e->code)
            return e->code;
        progress_add(&w->s->progress, 1);
    }
    for (size_t i = 0; i < w->n_extra; i++)
        gguf_write_data(&w->w, w->extra[i].v,
            w->extra[i].n * sizeof *w->extra[i].v);
    return 0;
}

/* llama.cpp's number for what the file mostly is. */
static int
file_type(const char *name, uint32_t *out, struct err *e)
{
    static const struct {
        const char *name;
        uint32_t number;
    } mix[] = { { "Q3_K_S", 11 }, { "Q3_K_M", 12 }, { "Q3_K_L", 13 },
        { "Q4_K_S", 14 }, { "Q4_K_M", 15 }, { "Q5_K_S", 16 },
        { "Q5_K_M", 17 } };
    enum qtype t;

    for (size_t i = 0; i < countof(mix); i++)
        if (strcmp(mix[i].name, name) == 0) {
            *out = mix[i].number;
            return 0;
        }
    if (qtype_from_name(name, &t))
        return err_set(e, ERR_USAGE, "type: unknown type '%.40s'; write one "
            "such as Q4_K, Q4_K_M or Q8_0", name);
    *out = qtype_info(t)->file_type;
    return 0;
}

/* "3.7M", "1.1B": as llama.cpp's converter writes it. */
static char *
size_label(uint64_t parameters)
{
    static const struct {
        double unit;
        char letter;
    } scale[] = { { 1e12, 'T' }, { 1e9, 'B' }, { 1e6, 'M' }, { 1e3, 'K' } };

    for (size_t i = 0; i < countof(scale); i++)
        if ((double)parameters >= scale[i].unit) {
            double v = (double)parameters / scale[i].unit;

            return mem_printf(v < 10 ? "%.1f%c" : "%.0f%c", v,
                scale[i].letter);
        }
    return mem_printf("%u", (unsigned)parameters);
}

/* The model card: general.* keys. */
static void
put_card(struct work *w, uint32_t type)
{
    uint64_t parameters = 0;
    char *label;

    for (size_t i = 0; i < w->plan.n; i++)
        parameters += w->plan.t[i].rows * w->plan.t[i].cols;
    label = size_label(parameters);
    gguf_put_str(&w->w, "general.architecture", arch_gguf_name(w->c.arch));
    gguf_put_str(&w->w, "general.type", "model");
    gguf_put_str(&w->w, "general.name", stage_param(w->s, "name"));
    gguf_put_str(&w->w, "general.size_label", label);
    gguf_put_u32(&w->w, "general.file_type", type);
    if (w->packed)
        gguf_put_u32(&w->w, "general.quantization_version", 2);
    if (stage_param(w->s, "candidate") != NULL)
        gguf_put_str(&w->w, "quern.candidate",
            stage_param(w->s, "candidate"));
    for (size_t i = 0; i < w->s->n_params; i++) {
        const char *name = w->s->params[i].name;
        char *key;

        if (!str_starts(name, "card."))
            continue;
        if (strcmp(name, "card.base_model") == 0) {
            gguf_put_u32(&w->w, "general.base_model.count", 1);
            key = mem_strdup("general.base_model.0.name");
        } else {
            key = mem_printf("general.%s", name + 5);
        }
        gguf_put_str(&w->w, key, w->s->params[i].value);
        free(key);
    }
    free(label);
}

/* What the weights were when they came: of a GGUF source. */
static int
put_origin(struct work *w, struct err *e)
{
    static const char role[] = "base/model.fp.json";
    struct str list = { 0 };
    const char *name;
    json_t *o, *types, *n;

    if (stage_in(w->s, role) == NULL)
        return err_set(e, ERR_USAGE, "the source is a GGUF file; add --in=%s",
            role);
    o = stage_in_json(w->s, role, e);
    types = json_object_get(o, "types");
    json_object_foreach (types, name, n)
        str_addf(&list, "%s%s %lld", list.len > 0 ? ", " : "", name,
            (long long)json_integer_value(n));
    if (e->code == 0) {
        gguf_put_str(&w->w, "quern.source.types", str_get(&list));
        gguf_put_bool(&w->w, "quern.source.quantized",
            json_is_true(json_object_get(o, "quantized")));
    }
    str_release(&list);
    json_decref(o);
    return e->code;
}

/* Keys of the source that are of its own bytes, not of the model. */
static bool
stays_behind(const char *key)
{
    static const char *const names[] = { "general.alignment",
        "general.quantization_version", "general.quantized_by",
        "general.repo_url" };

    for (size_t i = 0; i < countof(names); i++)
        if (strcmp(key, names[i]) == 0)
            return true;
    return str_starts(key, "split.") || str_starts(key, "quantize.") ||
        str_starts(key, "quern.");
}

/* Everything else that the source says and the card has not said. */
static void
carry_keys(struct work *w)
{
    const struct gguf *g = &w->ck.gguf;

    for (size_t i = 0; i < g->n_kv; i++)
        if (!stays_behind(g->kv[i].key) &&
            !gguf_has_put(&w->w, g->kv[i].key))
            gguf_put_raw(&w->w, &g->kv[i]);
}

static int
put_keys(struct work *w, uint32_t type, struct err *e)
{
    put_card(w, type);
    if (!w->ck.is_gguf) {
        if (gguf_put_config(&w->w, &w->c, w->ck.dir, e) == 0)
            gguf_put_tokenizer(&w->w, w->tok, &w->c, w->ck.dir, e);
    } else if (put_origin(w, e) == 0) {
        carry_keys(w);
    }
    return e->code;
}

static int
run(struct stage *s, struct err *e)
{
    struct outfile whole = { .slot = -1 };
    struct work w = { .s = s };
    const char *role = NULL;
    uint32_t type = 0;

    for (size_t i = 0; i < s->out.n; i++)
        role = s->out.v[i].role;
    if (file_type(stage_param(s, "type"), &type, e) || open_source(&w, e) ||
        find_parts(&w, e) ||
        gguf_writer_open(&w.w, stage_out_path(s, role), e) ||
        add_tensors(&w, e))
        goto done;
    w.w.out.pool = s->pool;
    if (put_keys(&w, type, e) == 0 && gguf_write_header(&w.w, e) == 0 &&
        copy_tensors(&w, e) == 0 &&
        gguf_writer_hand_over(&w.w, &whole, e) == 0)
        stage_out_take(s, role, &whole, e);
done:
    gguf_writer_release(&w.w);
    outfile_release(&whole);
    free(w.part);
    tokenizer_free(w.tok);
    model_plan_release(&w.plan);
    checkpoint_close(&w.ck);
    return e->code;
}

static const char *const params[] = { "!name", "candidate", "!type", "card.*",
    NULL };
static const char *const ins[] = { "!quant/*", "!base/config.fp.json",
    "!base/tokenizer.fp.json", "base/model.fp.json", NULL };
static const char *const srcs[] = { "!base", NULL };
static const char *const outs[] = { "!cand/*", NULL };

static const struct stage_spec spec = {
    .step = "assemble",
    .purpose = "the packed layers of a candidate as one file to serve",
    .params = params,
    .ins = ins,
    .srcs = srcs,
    .outs = outs,
    .heavy = true,
};

int
main(int argc, char **argv)
{
    return stage_main(&spec, argc, argv, run);
}
