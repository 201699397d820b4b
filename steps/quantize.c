/*
 * quern-quantize - one layer (or the head) of one candidate, packed
 *
 * Weights come from the checkpoint and must equal the layer's fingerprint.
 * Written: a GGUF file with the layer's tensors as they will stand in the model,
 * and a report with each tensor's type and error.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/format/fingerprint.h"
#include "lib/format/imatrix.h"
#include "lib/model/quantize.h"
#include "lib/record/stage.h"

struct how {
    int layer; /* -1: head */
    enum qtype type;
    enum quantize_method method;
};

/* The one input or output whose role starts and ends so; NULL if none. */
static const struct stage_file *
file_like(const struct stage_files *files, const char *start, const char *end)
{
    for (size_t i = 0; i < files->n; i++)
        if (str_starts(files->v[i].role, start) &&
            str_ends(files->v[i].role, end))
            return &files->v[i];
    return NULL;
}

static int
type_named(const char *name, const char *param, enum qtype *t, struct err *e)
{
    struct str known = { 0 };

    if (qtype_from_name(name, t) == 0)
        return 0;
    for (size_t i = 0; i < QT_COUNT; i++)
        str_addf(&known, "%s%s", i == 0 ? "" : ", ",
            qtype_info((enum qtype)i)->name);
    err_set(e, ERR_USAGE, "%s: unknown type '%.40s'; write one of %s", param,
        name, str_get(&known));
    str_release(&known);
    return e->code;
}

static int
read_how(struct how *h, const struct stage *s, struct err *e)
{
    const char *layer = stage_param(s, "layer");
    const char *method = stage_param(s, "method");
    const char *rounding = stage_param(s, "rounding");
    unsigned long long n = 0;

    h->layer = -1;
    if (strcmp(layer, "head") != 0) {
        if (!str_to_u64(layer, MODEL_MAX_LAYERS - 1, &n))
            return err_set(e, ERR_USAGE, "layer: '%.40s' is neither a layer's "
                "number nor 'head'", layer);
        h->layer = (int)n;
    }
    if (quantize_method_from(method, &h->method))
        return err_set(e, ERR_USAGE, "method: unknown method '%.40s'; write "
            "rtn, imatrix or awq", method);
    if (rounding != NULL && strcmp(rounding, "compat") != 0)
        return err_set(e, ERR_USAGE, "rounding: unknown way '%.40s'; write "
            "compat", rounding);
    return type_named(stage_param(s, "type"), "type", &h->type, e);
}

/* What the weights are compared with, and the comparing. */
struct source {
    struct fingerprint part;
    struct fingerprint_check *check; /* a thread's, or NULL: done */
};

/*
 * Nothing made of the weights is kept unless all of them equal what was
 * fingerprinted. A head's one or two tensors are too few to be hashed fast
 * (hash_list.h): that goes on while they are encoded.
 */
static int
check_source(const struct stage *s, const struct how *h,
    const struct model *m, struct source *src, struct err *e)
{
    const struct checkpoint *ck = model_checkpoint(m);
    const struct stage_file *config = stage_in(s, "base/config.fp.json");
    const struct stage_file *part = file_like(&s->in,
        h->layer < 0 ? "base/head" : "base/layer", ".fp.json");
    struct fingerprint f = { 0 };

    if (part == NULL)
        return err_set(e, ERR_USAGE, "no fingerprint of the %s among the "
            "inputs; add --in=base/%s.fp.json", h->layer < 0 ? "head" : "layer",
            h->layer < 0 ? "head" : "layer.NNN");
    if (fingerprint_parse(&f, config->path, config->map.p, config->map.len,
            e) == 0)
        fingerprint_check_small(&f, ck, e);
    fingerprint_release(&f);
    if (e->code || fingerprint_parse(&src->part, part->path, part->map.p,
            part->map.len, e) != 0)
        return e->code;
    if (src->part.layer != h->layer)
        return err_set(e, ERR_WORK, "%s: is the fingerprint of layer %d, not "
            "of %d; run quern gen again", part->path, src->part.layer,
            h->layer);
    if (h->layer >= 0 || pool_threads(s->pool) < 2)
        return fingerprint_check(&src->part, ck, s->pool, e);
    src->check = fingerprint_check_begin(&src->part, ck);
    return 0;
}

/* Other weights than expected explain whatever else went wrong. */
static void
end_source(struct source *src, struct err *e)
{
    struct err other = { 0 };

    if (fingerprint_check_end(src->check, &other) != 0)
        *e = other;
    fingerprint_release(&src->part);
}

static int
override_types(const struct stage *s, struct quantize *q, struct err *e)
{
    static const char prefix[] = "type.";
    enum qtype type;

    for (size_t i = 0; i < s->n_params; i++) {
        const char *name = s->params[i].name;

        if (!str_starts(name, prefix))
            continue;
        if (type_named(s->params[i].value, name, &type, e))
            return e->code;
        if (!quantize_override(q, name + strlen(prefix), type))
            return err_set(e, ERR_WORK, "%s: the model has no matrix '%s'; "
                "GGUF's names are attn_q, attn_k, attn_v, attn_qkv, "
                "attn_output, ffn_gate, ffn_up, ffn_down (with experts "
                "ffn_gate_exps ..), token_embd, output", name,
                name + strlen(prefix));
    }
    return 0;
}

static int
write_layer(struct stage *s, struct quantize *q, const struct stage_file *out,
    struct err *e)
{
    struct outfile whole = { .slot = -1 };
    struct gguf_writer w = { 0 };

    stage_progress(s, "tensors", "tensor", q->n);
    if (gguf_writer_open(&w, stage_out_path(s, out->role), e) == 0) {
        gguf_put_str(&w, "general.architecture",
            arch_gguf_name(model_config(q->model)->arch));
        gguf_put_str(&w, "general.type", "model");
        if (quantize_write(q, &w, s->pool, &s->progress, e) == 0 &&
            gguf_writer_hand_over(&w, &whole, e) == 0)
            stage_out_take(s, out->role, &whole, e);
    }
    gguf_writer_release(&w);
    outfile_release(&whole);
    return e->code;
}

static int
write_report(struct stage *s, const struct quantize *q, const struct how *h,
    const struct stage_file *out, struct err *e)
{
    struct outfile *f = stage_out(s, out->role, e);
    json_t *o = quantize_json(q);
    char *text;

    json_object_set_new(o, "type", json_string(qtype_info(h->type)->name));
    text = json_text(o, false);
    if (f != NULL)
        outfile_write(f, text, strlen(text));
    free(text);
    json_decref(o);
    return e->code;
}

static int
run(struct stage *s, struct err *e)
{
    const struct stage_file *gguf = file_like(&s->out, "quant/", ".gguf");
    const struct stage_file *report = file_like(&s->out, "quant/", ".json");
    const struct stage_file *stats = file_like(&s->in, "stats/", "");
    const struct stage_file *foreign = file_like(&s->in, "imatrix/", "");
    const struct model_open_opts opts = { .no_tokenizer = true, .lazy = true,
        .pool = s->pool };
    struct source src = { .check = NULL };
    struct statistics_file sf = { 0 };
    struct imatrix im = { 0 };
    struct quantize q = { 0 };
    struct model *m = NULL;
    struct how h;

    if (read_how(&h, s, e))
        return e->code;
    if (gguf == NULL || report == NULL)
        return err_set(e, ERR_USAGE, "outputs are missing; add "
            "--out=quant/NAME/layer.NNN.gguf and .json");
    if (foreign != NULL && (stats != NULL || h.method != METHOD_IMATRIX))
        return err_set(e, ERR_USAGE, "an importance matrix goes with method "
            "imatrix and takes the place of statistics; take one input out");
    if (stats == NULL && foreign == NULL && h.method != METHOD_RTN)
        return err_set(e, ERR_USAGE, "method %s needs statistics; add "
            "--in=stats/layer.NNN.safetensors",
            quantize_method_name(h.method));
    if (model_open(&m, stage_src(s, "base"), &opts, e) ||
        check_source(s, &h, m, &src, e) ||
        (stats != NULL && statistics_open(&sf, stats->path, e)) ||
        quantize_init(&q, m, h.layer, h.type, h.method,
            stats == NULL ? NULL : &sf, e) ||
        (foreign != NULL && (imatrix_open(&im, foreign->path, e) ||
            quantize_importance(&q, &im, e))) ||
        override_types(s, &q, e) || quantize_scale(&q, s->pool, e) ||
        write_layer(s, &q, gguf, e) ||
        checkpoint_unchanged(model_checkpoint(m), e))
        goto done;
    write_report(s, &q, &h, report, e);
done:
    end_source(&src, e);
    quantize_release(&q);
    statistics_close(&sf);
    imatrix_close(&im);
    model_free(m);
    return e->code;
}

static const char *const params[] = { "!layer", "!type", "type.*", "!method",
    "rounding", NULL };
static const char *const ins[] = { "!base/config.fp.json", "base/head.fp.json",
    "base/layer.*", "stats/*", "imatrix/*", NULL };
static const char *const srcs[] = { "!base", NULL };
static const char *const outs[] = { "quant/*", NULL };

static const struct stage_spec spec = {
    .step = "quantize",
    .purpose = "one layer of one candidate, packed",
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
