/*
 * quern-report - one page about what was measured and what was decided
 *
 * Reads the results of all stages but release, and writes a self-contained HTML
 * page and the same table as JSON. It is there before a refusal, so that people
 * can read why.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/judge/page.h"
#include "lib/judge/plot.h"
#include "lib/record/items.h"
#include "lib/record/stage.h"

static const char *const line_colors[] = { "#2563a8", "#c4731a", "#2f7d4f",
    "#8a4fa3", "#6b7280", "#b0413e", "#0f8b8d", "#a58a00" };

struct work {
    struct stage *s;
    json_t *policy, *decision, *corpus, *hardware, *archive; /* owned */
    json_t *model;     /* owned: base/model.fp.json of a GGUF source */
    struct str warning; /* that the source is quantized, or "" */
    json_t *gates;     /* owned: {"candidate": gate/CAND.json} */
    struct table table;
    struct items items;
    struct page_item *shown; /* owned */
    struct str quality, layers; /* SVG */
};

static const char *
text(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}

static double
number(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);

    return json_is_number(v) ? json_number_value(v) : (double)NAN;
}

/* An input that some profiles do not have. */
static json_t *
optional(const struct stage *s, const char *role, struct err *e)
{
    return stage_in(s, role) != NULL && e->code == 0 ?
        stage_in_json(s, role, e) :
        NULL;
}

/* Losses are measured against a file that has lost something already. */
static void
warn_of_source(struct work *w)
{
    const char *name;
    json_t *n;

    str_add(&w->warning, "The source is quantized itself (tensors:");
    json_object_foreach(json_object_get(w->model, "types"), name, n)
        str_addf(&w->warning, " %s %lld", name,
            (long long)json_integer_value(n));
    str_add(&w->warning, "). Candidates are compared with that file, computed "
        "in float32, and not with the model that it was made from, whose "
        "quality nothing here measures.");
}

static int
open_results(struct work *w, struct err *e)
{
    const json_t *o;
    size_t i;

    w->policy = stage_in_json(w->s, "policy.json", e);
    if (e->code == 0)
        w->decision = stage_in_json(w->s, "decision.json", e);
    w->corpus = optional(w->s, "corpus/report.json", e);
    w->hardware = optional(w->s, "hardware.json", e);
    w->archive = optional(w->s, "archive.json", e);
    w->model = optional(w->s, "base/model.fp.json", e);
    if (json_is_true(json_object_get(w->model, "quantized")))
        warn_of_source(w);
    w->gates = json_object();
    json_array_foreach(json_object_get(w->decision, "candidates"), i, o) {
        char *role = mem_printf("gate/%s.json", text(o, "name"));

        if (stage_in(w->s, role) != NULL && e->code == 0)
            json_object_set_new(w->gates, text(o, "name"),
                stage_in_json(w->s, role, e));
        free(role);
    }
    return e->code ? e->code :
        table_from_decision(&w->table, w->decision, "decision.json", e);
}

static const char *
verdict_color(const char *verdict)
{
    if (strcmp(verdict, "PASS") == 0)
        return "#1f7a4d";
    return strcmp(verdict, "FAIL") == 0 ? "#b0302c" : "#b07a00";
}

/* Baseline and candidates that have both a size and points. */
static int
draw_quality(struct work *w, struct err *e)
{
    const json_t *base = json_object_get(w->decision, "baseline");
    const json_t *list = json_object_get(w->decision, "candidates"), *o;
    const json_t *first = json_object_get(w->gates,
        text(json_array_get(list, 0), "name"));
    const double full = number(base, "points");
    const double margin = 100.0 * number(json_array_get(
        json_object_get(first, "rows"), 0), "margin");
    struct plot_point *p =
        mem_calloc(json_array_size(list) + 1, sizeof *p);
    size_t n = 0, i;

    if (isfinite(full) && isfinite(number(base, "bytes")))
        p[n++] = (struct plot_point){ "baseline", number(base, "bytes"), full,
            full, full, "#374151" };
    json_array_foreach(list, i, o) {
        const struct plot_point one = { text(o, "name"), number(o, "bytes"),
            number(o, "points"), full - 100.0 * number(o, "upper"),
            full - 100.0 * number(o, "lower"),
            verdict_color(text(o, "verdict")) };

        if (isfinite(one.bytes) && isfinite(one.low) && isfinite(one.high))
            p[n++] = one;
    }
    if (n > 1 && isfinite(margin))
        plot_size_quality(p, n, full - margin, &w->quality, e);
    free(p);
    return e->code;
}

/* How many layers have results, at most those of the inputs. */
static size_t
count_layers(const struct stage *s)
{
    const struct stage_file *f;
    size_t most = 0;

    for (size_t i = 0; (f = stage_in_next(s, "quant/", &i)) != NULL;) {
        const char *at = strstr(f->role, "/layer.");
        const unsigned long layer =
            at ? strtoul(at + strlen("/layer."), NULL, 10) : 0;

        if (at != NULL && layer + 1 > most && layer < 100000)
            most = layer + 1;
    }
    return most;
}

/* relative_error of one part, NAN if there is none. */
static int
read_error(const struct work *w, const char *folder, const char *part,
    double *out, struct err *e)
{
    char *role = mem_printf("quant/%s/%s.json", folder, part);
    json_t *o = optional(w->s, role, e);

    *out = number(o, "relative_error");
    json_decref(o);
    free(role);
    return e->code;
}

/* One line for each folder under quant/: candidates may share one. */
static int
draw_layers(struct work *w, struct err *e)
{
    const size_t layers = count_layers(w->s);
    const json_t *list = json_object_get(w->decision, "candidates"), *o;
    struct plot_line *l = mem_calloc(json_array_size(list), sizeof *l);
    size_t n = 0, i;

    json_array_foreach(list, i, o) {
        double *error = mem_calloc(layers + 1, sizeof *error);
        const char *name = text(o, "name");
        bool any = false;

        for (size_t k = 0; k <= layers && e->code == 0; k++) {
            char part[32];

            if (k < layers)
                snprintf(part, sizeof part, "layer.%03zu", k);
            else
                snprintf(part, sizeof part, "head");
            read_error(w, name, part, &error[k], e);
            any |= isfinite(error[k]);
        }
        if (any)
            l[n++] = (struct plot_line){ name, error,
                line_colors[i % countof(line_colors)] };
        else
            free(error);
    }
    if (e->code == 0 && n > 0 && layers > 0)
        plot_layer_errors(l, n, layers, &w->layers, e);
    for (size_t k = 0; k < n; k++)
        free(l[k].error);
    free(l);
    return e->code;
}

/* What is known now about items that no candidate's gate answers. */
static json_t *
answers(const struct work *w)
{
    json_t *o = json_object();

    if (w->archive != NULL)
        json_object_set_new(o, "ship.archive",
            json_pack("{ss so}", "verdict",
                json_is_true(json_object_get(w->archive, "verified")) ?
                    "PASS" :
                    "FAIL",
                "figure",
                json_sprintf("%zu files stored and read back",
                    json_array_size(json_object_get(w->archive, "files")))));
    return o;
}

/* Waivers are taken as they stand: release checks their signatures. */
static json_t *
waivers(const struct work *w)
{
    json_t *o = json_object();
    const json_t *row;
    size_t i;

    json_array_foreach(json_object_get(w->policy, "items"), i, row)
        if (json_is_object(json_object_get(row, "waiver")))
            json_object_set_new(o, text(row, "id"),
                json_pack("{sb}", "ok", 1));
    return o;
}

/* Whether only the release can answer this item. */
static bool
is_for_release(const struct work *w, const char *id)
{
    const json_t *row, *stage;
    size_t i, k;

    json_array_foreach(json_object_get(w->policy, "items"), i, row)
        if (strcmp(text(row, "id"), id) == 0)
            json_array_foreach(json_object_get(row, "stages"), k, stage)
                if (strcmp(json_string_value(stage), "release") == 0)
                    return true;
    return false;
}

static int
judge_items(struct work *w, struct err *e)
{
    json_t *known = answers(w), *waived = waivers(w);

    items_judge(&w->items, w->policy, w->decision, known, waived, e);
    json_decref(known);
    json_decref(waived);
    if (e->code)
        return e->code;
    w->shown = mem_calloc(w->items.n, sizeof *w->shown);
    for (size_t i = 0; i < w->items.n; i++) {
        const struct item *it = &w->items.v[i];
        const bool later = it->verdict == ITEM_INCONCLUSIVE &&
            it->enforced && is_for_release(w, it->id);

        w->shown[i] = (struct page_item){ it->id, it->answer, it->owner,
            later ? "at release" : item_verdict_name(it->verdict),
            later ? "" : it->figure };
    }
    return 0;
}

static json_t *
table_json(const struct work *w)
{
    json_t *list = json_array();

    for (size_t i = 0; i < w->table.n; i++) {
        json_t *o = json_object();

        for (int c = 0; c < TABLE_COLUMNS; c++)
            json_object_set_new(o, table_head((enum table_column)c),
                json_string(w->table.rows[i].cell[c]));
        json_object_set_new(o, "winner",
            json_boolean(w->table.rows[i].is_winner));
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *
items_json(const struct work *w)
{
    json_t *list = json_array();

    for (size_t i = 0; i < w->items.n; i++) {
        json_t *o = json_object();

        json_object_set_new(o, "item", json_string(w->shown[i].id));
        json_object_set_new(o, "verdict", json_string(w->shown[i].verdict));
        json_object_set_new(o, "figure", json_string(w->shown[i].figure));
        json_object_set_new(o, "owner", json_string(w->shown[i].owner));
        json_array_append_new(list, o);
    }
    return list;
}

static int
put_json(struct work *w, struct err *e)
{
    json_t *o = json_object();

    json_object_set_new(o, "schema", json_string("quern.report/1"));
    json_object_set_new(o, "title", json_string(stage_param(w->s, "title")));
    json_object_set(o, "winner", json_object_get(w->decision, "winner"));
    json_object_set(o, "why", json_object_get(w->decision, "why"));
    json_object_set_new(o, "table", table_json(w));
    json_object_set_new(o, "items", items_json(w));
    if (w->warning.len > 0)
        json_object_set_new(o, "warning", json_string(str_get(&w->warning)));
    stage_put_json(w->s, "report.json", o, e);
    json_decref(o);
    return e->code;
}

static int
put_page(struct work *w, struct err *e)
{
    const struct page p = { .title = stage_param(w->s, "title"),
        .policy = w->policy, .decision = w->decision, .corpus = w->corpus,
        .hardware = w->hardware, .archive = w->archive, .gates = w->gates,
        .types = json_object_get(w->model, "types"),
        .base_warning = str_get(&w->warning),
        .table = &w->table, .items = w->shown, .n_items = w->items.n,
        .quality_svg = str_get(&w->quality),
        .layers_svg = str_get(&w->layers) };
    struct str html = { 0 };

    page_write(&p, &html);
    stage_put(w->s, "report.html", html.p, html.len, e);
    str_release(&html);
    return e->code;
}

static void
answer(struct work *w)
{
    size_t pass = 0, waived = 0;

    for (size_t i = 0; i < w->items.n; i++) {
        pass += w->items.v[i].verdict == ITEM_PASS;
        waived += w->items.v[i].verdict == ITEM_WAIVED;
    }
    stage_answer(w->s, "team.answers", "PASS",
        "%zu items: %zu hold, %zu are waived, the others show what is missing",
        w->items.n, pass, waived);
}

static int
run(struct stage *s, struct err *e)
{
    struct work w = { .s = s };

    if (open_results(&w, e) == 0 && judge_items(&w, e) == 0 &&
        draw_quality(&w, e) == 0 && draw_layers(&w, e) == 0 &&
        put_page(&w, e) == 0 && put_json(&w, e) == 0)
        answer(&w);
    str_release(&w.quality);
    str_release(&w.layers);
    items_release(&w.items);
    free(w.shown);
    table_release(&w.table);
    json_decref(w.gates);
    str_release(&w.warning);
    json_decref(w.model);
    json_decref(w.archive);
    json_decref(w.hardware);
    json_decref(w.corpus);
    json_decref(w.decision);
    json_decref(w.policy);
    return e->code;
}

static const char *const params[] = { "!title", NULL };
static const char *const ins[] = { "!policy.json", "!decision.json",
    "archive.json", "hardware.json", "corpus/report.json", "base/model.fp.json",
    "gate/*", "bench/*", "eval/*", "quant/*", "traffic.json", NULL };
static const char *const outs[] = { "!report.html", "!report.json", NULL };

static const struct stage_spec spec = {
    .step = "report",
    .purpose = "write the page that shows what was measured and decided",
    .params = params,
    .ins = ins,
    .outs = outs,
};

int
main(int argc, char **argv)
{
    return stage_main(&spec, argc, argv, run);
}
