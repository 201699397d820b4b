/*
 * expand.c - from a checked policy to its stages
 *
 * docs/stages.md is the list of stages that this file carries out.
 */
#include "gen/expand.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/json.h"

enum { CONFIG_MAX = 16 << 20 };

static const char *const bos = "bos";

struct expansion {
    struct stager *s;
    struct policy *p;
    struct arena *a;
    struct err *e;
    const char *source;       /* checkpoint folder, as the policy has it */
    unsigned layers;
    const char **layer;       /* "layer.000", ... */
    struct names base;        /* base/... without model.fp.json */
    struct names results;     /* JSON files for report and release */
    struct names firsts;      /* gate/CAND.first.json of all candidates */
    size_t *layer_of, *head_of; /* whose quantized parts a candidate uses */
};

int
expand_layers(struct policy *o, unsigned *layers, struct err *e)
{
    const struct yaml *source = yaml_get(o->model, "source");
    const char *dir = policy_path(o, source->text);
    char *path = path_join(dir, "config.json");
    struct err reason = { 0 };
    json_t *config = json_read(path, CONFIG_MAX, NULL, &reason);
    int64_t n = 0;

    if (config != NULL)
        n = json_get_int(config, "num_hidden_layers", 1, LAYERS_MAX, path,
            &reason);
    if (reason.code != 0)
        err_set(e, ERR_WORK, "%s:%u:%u: %s", o->path, source->line,
            source->column, reason.text);
    *layers = (unsigned)n;
    json_decref(config);
    free(path);
    return e->code;
}

/* Role or ID in the graph's arena. */
#define NAME(x, ...) arena_printf((x)->a, __VA_ARGS__)

/* The items of the checklist that a stage has to do with, if asked for. */
static void
add_items(struct expansion *x, const char *const *items)
{
    for (; *items != NULL; items++)
        for (size_t i = 0; i < x->p->n_items; i++)
            if (strcmp(x->p->items[i].def->id, *items) == 0)
                stager_item(x->s, *items);
}

static void
begin(struct expansion *x, const char *id, const char *program,
    enum phase phase, const char *const *items)
{
    bool probe = strcmp(program, "fingerprint") == 0 ||
        strcmp(program, "hardware") == 0 || strcmp(program, "traffic") == 0;

    stager_begin(x->s, id, program, phase, probe);
    if (items != NULL)
        add_items(x, items);
}

static int
end(struct expansion *x)
{
    return stager_end(x->s, x->e);
}

static void
result(struct expansion *x, const char *role)
{
    stager_out(x->s, role);
    names_add(&x->results, role);
}

static void
set_bos(struct expansion *x)
{
    stager_set(x->s, bos, schema_text(model_fields, x->p->model, "bos"));
}

static void
name_parts(struct expansion *x)
{
    x->layer = arena_alloc(x->a, x->layers * sizeof *x->layer);
    names_add(&x->base, "base/config.fp.json");
    names_add(&x->base, "base/tokenizer.fp.json");
    names_add(&x->base, "base/head.fp.json");
    for (unsigned i = 0; i < x->layers; i++) {
        x->layer[i] = NAME(x, "layer.%03u", i);
        names_add(&x->base, NAME(x, "base/%s.fp.json", x->layer[i]));
    }
}

static void
probes(struct expansion *x)
{
    static const char *const items[] = { "after.triggers", NULL };
    const struct yaml *in_domain = x->p->in_domain;

    begin(x, "fingerprint", "fingerprint", PHASE_BEFORE, items);
    stager_src(x->s, "base", x->source);
    for (size_t i = 0; i < x->base.n; i++)
        stager_out(x->s, x->base.v[i]);
    stager_out(x->s, "base/model.fp.json");
    if (end(x))
        return;
    begin(x, "hardware", "hardware", PHASE_SHIP, items);
    result(x, "hardware.json");
    if (end(x))
        return;
    begin(x, "traffic", "traffic", PHASE_AFTER, items);
    stager_in(x->s, "base/tokenizer.fp.json");
    stager_src(x->s, "base", x->source);
    stager_src(x->s, "traffic", yaml_get(in_domain, "production")->text);
    stager_out(x->s, "traffic.json");
    stager_set_int(x->s, "documents",
        schema_int(in_domain_fields, in_domain, "documents"));
    stager_set_int(x->s, "seed",
        schema_int(in_domain_fields, in_domain, "seed"));
    end(x);
}

static void
corpus(struct expansion *x)
{
    static const char *const items[] = { "calibration.samples",
        "calibration.in-domain", "calibration.variety",
        "calibration.no-duplicates", NULL };
    const struct yaml *samples = x->p->samples, *dup = x->p->no_duplicates;
    struct stager *s = x->s;

    begin(x, "corpus", "corpus", PHASE_CALIBRATION, items);
    stager_in_at(s, "data/calibration.jsonl",
        yaml_get(samples, "source")->text);
    stager_in(s, "base/tokenizer.fp.json");
    stager_in(s, "traffic.json");
    for (size_t i = 0; i < x->p->n_suites; i++) {
        const struct suite *q = &x->p->suites[i];

        stager_in_at(s, NAME(x, "suite/%s.jsonl", q->name), q->data);
        if (q->reserve != NULL)
            stager_in_at(s, NAME(x, "suite/reserve-%s.jsonl", q->name),
                q->reserve);
    }
    stager_src(s, "base", x->source);
    stager_out(s, "corpus/tokens.safetensors");
    result(x, "corpus/report.json");
    stager_set_int(s, "count", schema_int(samples_fields, samples, "count"));
    stager_set_int(s, "window",
        schema_int(samples_fields, samples, "window"));
    stager_set_int(s, "seed", schema_int(samples_fields, samples, "seed"));
    stager_set_int(s, "min-count",
        schema_int(samples_fields, samples, "at-least"));
    stager_set_real(s, "largest-share", dup != NULL ?
        schema_real(no_duplicates_fields, dup, "largest-share") : 100.0);
    stager_set_real(s, "near-duplicate",
        schema_real(no_duplicates_fields, dup, "near"));
    stager_set_real(s, "quantile",
        schema_real(in_domain_fields, x->p->in_domain, "quantile"));
    stager_set_int(s, "draws",
        schema_int(in_domain_fields, x->p->in_domain, "draws"));
    end(x);
}

static bool
needs_statistics(const struct candidate *c)
{
    return strcmp(c->method, "rtn") != 0;
}

static void
calibrate(struct expansion *x)
{
    static const char *const items[] = { "calibration.samples", NULL };
    bool needed = false;

    for (size_t i = 0; i < x->p->n_candidates; i++)
        needed = needed || needs_statistics(&x->p->candidates[i]);
    if (!needed)
        return;
    begin(x, "calibrate", "calibrate", PHASE_CALIBRATION, items);
    stager_in(x->s, "corpus/tokens.safetensors");
    for (size_t i = 0; i < x->base.n; i++)
        if (strcmp(x->base.v[i], "base/tokenizer.fp.json") != 0)
            stager_in(x->s, x->base.v[i]);
    stager_src(x->s, "base", x->source);
    for (unsigned i = 0; i < x->layers; i++)
        stager_out(x->s, NAME(x, "stats/%s.safetensors", x->layer[i]));
    stager_out(x->s, "stats/head.safetensors");
    end(x);
}

/* Whether two candidates treat their layers, or their heads, alike. */
static bool
same_part(const struct candidate *a, const struct candidate *b, bool head)
{
    size_t i = 0, k = 0;

    if (a->type != b->type || strcmp(a->method, b->method) != 0)
        return false;
    for (;; i++, k++) {
        while (i < a->n_tensors &&
            tensor_role_is_head(a->tensors[i].role) != head)
            i++;
        while (k < b->n_tensors &&
            tensor_role_is_head(b->tensors[k].role) != head)
            k++;
        if (i == a->n_tensors || k == b->n_tensors)
            return i == a->n_tensors && k == b->n_tensors;
        if (strcmp(a->tensors[i].role, b->tensors[k].role) != 0 ||
            a->tensors[i].type != b->tensors[k].type)
            return false;
    }
}

/* Identical parts are made once, by the first candidate that asks for them. */
static void
share_parts(struct expansion *x)
{
    const struct candidate *c = x->p->candidates;
    size_t n = x->p->n_candidates;

    x->layer_of = arena_alloc(x->a, n * sizeof *x->layer_of);
    x->head_of = arena_alloc(x->a, n * sizeof *x->head_of);
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;

        while (!same_part(&c[k], &c[i], false))
            k++;
        x->layer_of[i] = k;
        for (k = 0; !same_part(&c[k], &c[i], true); k++)
            ;
        x->head_of[i] = k;
    }
}

/* `layer` -1: what lies outside the layers. */
static void
quantize(struct expansion *x, const struct candidate *c, int layer)
{
    static const char *const items[] = { "convert.group-size",
        "convert.method", "convert.settings", NULL };
    const bool head = layer < 0;
    const char *part = head ? "head" : x->layer[layer];
    struct stager *s = x->s;

    begin(x, head ? NAME(x, "quantize.%s.head", c->name) :
        NAME(x, "quantize.%s.l%03d", c->name, layer), "quantize",
        PHASE_CONVERT, items);
    stager_in(s, "base/config.fp.json");
    stager_in(s, NAME(x, "base/%s.fp.json", part));
    if (needs_statistics(c))
        stager_in(s, NAME(x, "stats/%s.safetensors", part));
    stager_src(s, "base", x->source);
    stager_out(s, NAME(x, "quant/%s/%s.gguf", c->name, part));
    result(x, NAME(x, "quant/%s/%s.json", c->name, part));
    stager_set(s, "layer", head ? "head" : NAME(x, "%03d", layer));
    stager_set(s, "type", c->type->name);
    for (size_t i = 0; i < c->n_tensors; i++)
        if (tensor_role_is_head(c->tensors[i].role) == head)
            stager_set(s, NAME(x, "type.%s", c->tensors[i].role),
                c->tensors[i].type->name);
    stager_set(s, "method", c->method);
    stager_set(s, "rounding", "compat");
    end(x);
}

static void
card(struct expansion *x, const char *key, const char *field)
{
    const char *text = schema_text(model_fields, x->p->model, field);

    if (text != NULL)
        stager_set(x->s, NAME(x, "card.%s", key), text);
}

static void
assemble(struct expansion *x, size_t at)
{
    static const char *const items[] = { "before.format",
        "convert.serving-format", NULL };
    const struct candidate *c = &x->p->candidates[at];
    const char *layers = x->p->candidates[x->layer_of[at]].name;
    const char *head = x->p->candidates[x->head_of[at]].name;
    struct stager *s = x->s;

    begin(x, NAME(x, "assemble.%s", c->name), "assemble", PHASE_CONVERT,
        items);
    for (unsigned i = 0; i < x->layers; i++)
        stager_in(s, NAME(x, "quant/%s/%s.gguf", layers, x->layer[i]));
    stager_in(s, NAME(x, "quant/%s/head.gguf", head));
    stager_in(s, "base/config.fp.json");
    stager_in(s, "base/tokenizer.fp.json");
    stager_src(s, "base", x->source);
    stager_out(s, NAME(x, "cand/%s/model.gguf", c->name));
    stager_set(s, "name", schema_text(model_fields, x->p->model, "name"));
    stager_set(s, "candidate", c->name);
    stager_set(s, "type", c->type->name);
    card(x, "license", "license");
    card(x, "base_model", "base-model");
    card(x, "quantized_by", "quantized-by");
    end(x);
}

/* The model that is evaluated: full precision (c NULL) or a candidate. */
static void
add_model(struct expansion *x, const struct candidate *c)
{
    if (c != NULL) {
        stager_in(x->s, NAME(x, "cand/%s/model.gguf", c->name));
        return;
    }
    stager_ins(x->s, &x->base);
    stager_in(x->s, "base/model.fp.json");
    stager_src(x->s, "base", x->source);
}

static void
evaluate(struct expansion *x, const struct candidate *c,
    const struct suite *q, bool reserve)
{
    static const char *const task[] = { "ship.tasks", NULL };
    static const char *const stress[] = { "ship.stress", NULL };
    const char *model = c != NULL ? c->name : "baseline";
    const char *name = reserve ? NAME(x, "reserve-%s", q->name) : q->name;
    struct stager *s = x->s;

    begin(x, NAME(x, "%s.%s.%s", q->stress ? "stress" : "evaluate", model,
        name), "evaluate", PHASE_SHIP, q->stress ? stress : task);
    stager_in_at(s, NAME(x, "suite/%s.jsonl", name),
        reserve ? q->reserve : q->data);
    add_model(x, c);
    if (reserve && c != NULL)
        stager_in(s, NAME(x, "gate/%s.first.json", c->name));
    else if (reserve)
        stager_ins(s, &x->firsts);
    stager_out(s, NAME(x, "eval/%s/%s.jsonl", model, name));
    result(x, NAME(x, "eval/%s/%s.json", model, name));
    stager_set(s, "model", model);
    stager_set(s, "suite", name);
    stager_set(s, "role", q->stress ? "stress" : "task");
    stager_set_int(s, "max-tokens", q->max_tokens);
    set_bos(x);
    end(x);
}

static void
perplexity(struct expansion *x, const struct candidate *c)
{
    static const char *const items[] = { "before.quality-budget", NULL };
    const struct yaml *v = yaml_get(x->p->budget, "perplexity");
    const struct yaml *kl = yaml_get(x->p->budget, "kl");
    const char *model = c != NULL ? c->name : "baseline";
    struct stager *s = x->s;

    begin(x, NAME(x, "evaluate.%s.perplexity", model), "evaluate",
        PHASE_SHIP, items);
    stager_in_at(s, "suite/perplexity.txt", yaml_get(v, "text")->text);
    if (c != NULL)
        stager_in(s, NAME(x, "cand/%s/model.gguf", c->name));
    stager_ins(s, &x->base);
    stager_in(s, "base/model.fp.json");
    stager_src(s, "base", x->source);
    result(x, NAME(x, "eval/%s/perplexity.json", model));
    stager_set(s, "model", model);
    stager_set(s, "suite", "perplexity");
    stager_set(s, "role", "perplexity");
    stager_set_int(s, "window", schema_int(perplexity_fields, v, "window"));
    stager_set_int(s, "limit", schema_int(perplexity_fields, v, "limit"));
    if (c != NULL)
        stager_set_int(s, "kl-tokens", schema_int(kl_fields, kl, "tokens"));
    end(x);
}

/* Everything that one model is asked before the first look. */
static void
evaluate_model(struct expansion *x, const struct candidate *c)
{
    for (size_t i = 0; i < x->p->n_suites && x->e->code == 0; i++)
        evaluate(x, c, &x->p->suites[i], false);
    perplexity(x, c);
}

static void
evaluate_reserve(struct expansion *x, const struct candidate *c)
{
    for (size_t i = 0; i < x->p->n_suites && x->e->code == 0; i++)
        if (x->p->suites[i].reserve != NULL)
            evaluate(x, c, &x->p->suites[i], true);
}

static void
benchmark(struct expansion *x, const struct candidate *c)
{
    static const char *const items[] = { "ship.benchmark", NULL };
    const struct yaml *v = x->p->benchmark;
    struct stager *s = x->s;

    begin(x, NAME(x, "benchmark.%s", c->name), "benchmark", PHASE_SHIP,
        items);
    stager_in(s, NAME(x, "cand/%s/model.gguf", c->name));
    stager_in(s, "hardware.json");
    stager_ins(s, &x->base);
    stager_in(s, "base/model.fp.json");
    stager_src(s, "base", x->source);
    result(x, NAME(x, "bench/%s.json", c->name));
    stager_set(s, "candidate", c->name);
    stager_set_int(s, "prefill", schema_int(benchmark_fields, v, "prefill"));
    stager_set_int(s, "decode", schema_int(benchmark_fields, v, "decode"));
    stager_set_int(s, "blocks", schema_int(benchmark_fields, v, "blocks"));
    end(x);
}

static const char *
bottleneck_name(const struct expansion *x)
{
    const char *name = schema_text(bottleneck_fields, x->p->bottleneck,
        "what");

    return name != NULL ? name : "memory";
}

/* Without an answer the target is: no larger than the baseline. */
static void
set_target(struct expansion *x)
{
    const struct yaml *target = yaml_get(x->p->bottleneck, "target");
    const bool absolute = yaml_get(target, "absolute") != NULL;
    double v = schema_real(target_fields, target,
        absolute ? "absolute" : "relative");

    stager_set(x->s, "bottleneck", bottleneck_name(x));
    stager_set_real(x->s, "target", target != NULL ? v : 1.0);
    stager_set(x->s, "target-kind", absolute ? "absolute" : "relative");
}

static void
set_budget(struct expansion *x)
{
    const struct yaml *b = x->p->budget, *suites = yaml_get(b, "suites");
    struct stager *s = x->s;

    stager_set_real(s, "alpha", x->p->alpha);
    stager_set_real(s, "pooled-drop",
        schema_real(budget_fields, b, "pooled-drop"));
    stager_set_real(s, "suite-drop",
        schema_real(budget_fields, b, "suite-drop"));
    for (size_t i = 0; i < x->p->n_suites; i++) {
        const struct suite *q = &x->p->suites[i];
        const struct yaml *own = yaml_get(suites, q->name);

        if (own != NULL)
            stager_set(s, NAME(x, "suite-drop.%s", q->name), own->text);
        stager_set(s, NAME(x, "role.%s", q->name),
            q->stress ? "stress" : "task");
    }
    stager_set_real(s, "ppl-ratio", schema_real(perplexity_fields,
        yaml_get(b, "perplexity"), "ratio"));
    stager_set_real(s, "kl", schema_real(kl_fields, yaml_get(b, "kl"),
        "mean"));
    stager_set_real(s, "flips-warn",
        schema_real(budget_fields, b, "flips-warn"));
}

/* Results of one model on the suites or on their reserves. */
static void
add_results(struct expansion *x, const char *model, bool reserve)
{
    for (size_t i = 0; i < x->p->n_suites; i++) {
        const struct suite *q = &x->p->suites[i];
        const char *name = reserve ? "reserve-" : "";

        if (reserve && q->reserve == NULL)
            continue;
        stager_in(x->s, NAME(x, "eval/%s/%s%s.json", model, name, q->name));
        stager_in(x->s, NAME(x, "eval/%s/%s%s.jsonl", model, name,
            q->name));
    }
    if (!reserve)
        stager_in(x->s, NAME(x, "eval/%s/perplexity.json", model));
}

static void
gate(struct expansion *x, const struct candidate *c, bool first)
{
    static const char *const items[] = { "before.quality-budget",
        "before.bottleneck", "calibration.samples", "calibration.in-domain",
        "calibration.no-duplicates", "ship.tasks", "ship.stress",
        "ship.benchmark", "ship.target-met", NULL };
    static const char *const first_items[] = { "before.quality-budget",
        NULL };
    const char *hardware = schema_text(benchmark_fields, x->p->benchmark,
        "hardware");
    struct stager *s = x->s;

    begin(x, NAME(x, first ? "gate.%s.first" : "gate.%s", c->name), "gate",
        PHASE_SHIP, first ? first_items : items);
    add_results(x, "baseline", false);
    add_results(x, c->name, false);
    if (!first && x->p->reserve) {
        add_results(x, "baseline", true);
        add_results(x, c->name, true);
        stager_in(s, NAME(x, "gate/%s.first.json", c->name));
    }
    if (!first) {
        stager_in(s, NAME(x, "bench/%s.json", c->name));
        stager_in(s, "corpus/report.json");
    }
    result(x, NAME(x, first ? "gate/%s.first.json" : "gate/%s.json",
        c->name));
    stager_set(s, "candidate", c->name);
    stager_set(s, "look", first ? "first" : x->p->reserve ? "final" :
        "only");
    set_budget(x);
    set_target(x);
    if (!first && hardware != NULL && strcmp(hardware, "here") != 0)
        stager_set(s, "hardware", hardware);
    end(x);
}

static void
choose(struct expansion *x)
{
    static const char *const items[] = { "after.decision", NULL };

    begin(x, "choose", "choose", PHASE_AFTER, items);
    for (size_t i = 0; i < x->p->n_candidates; i++) {
        const char *name = x->p->candidates[i].name;

        stager_in(x->s, NAME(x, "gate/%s.json", name));
        stager_in(x->s, NAME(x, "bench/%s.json", name));
    }
    stager_in(x->s, "policy.json");
    result(x, "decision.json");
    stager_set(x->s, "bottleneck", bottleneck_name(x));
    end(x);
}

static void
archive(struct expansion *x)
{
    static const char *const items[] = { "ship.archive", NULL };

    begin(x, "archive", "archive", PHASE_SHIP, items);
    stager_ins(x->s, &x->base);
    stager_in(x->s, "base/model.fp.json");
    stager_src(x->s, "base", x->source);
    stager_dst(x->s, "store", x->p->store);
    result(x, "archive.json");
    end(x);
}

static void
report(struct expansion *x)
{
    static const char *const items[] = { "team.answers", NULL };

    begin(x, "report", "report", PHASE_AFTER, items);
    stager_in(x->s, "policy.json");
    stager_ins(x->s, &x->results);
    stager_out(x->s, "report.html");
    stager_out(x->s, "report.json");
    stager_set(x->s, "title", x->p->title);
    end(x);
}

/* "Name <mail>" in two. */
static void
set_author(struct expansion *x)
{
    const char *author = x->p->author, *open = strchr(author, '<');
    const char *shut = open != NULL ? strchr(open, '>') : NULL;
    size_t n = open != NULL ? (size_t)(open - author) : strlen(author);

    while (n > 0 && author[n - 1] == ' ')
        n--;
    stager_set(x->s, "author-name", NAME(x, "%.*s", (int)n, author));
    stager_set(x->s, "author-mail", shut != NULL ? NAME(x, "%.*s",
        (int)(shut - open - 1), open + 1) :
        x->p->owners[PHASE_SHIP].principal);
}

static void
release(struct expansion *x)
{
    static const char *const items[] = { "ship.rollback", "team.required",
        "team.owners", NULL };
    struct stager *s = x->s;

    begin(x, "release", "release", PHASE_SHIP, items);
    stager_in(s, "policy.json");
    stager_in(s, "keys/allowed_signers");
    stager_in(s, "report.html");
    stager_in(s, "report.json");
    stager_in(s, "traffic.json");
    stager_ins(s, &x->base);
    stager_in(s, "base/model.fp.json");
    stager_ins(s, &x->results);
    for (size_t i = 0; i < x->p->n_candidates; i++)
        stager_in(s, NAME(x, "cand/%s/model.gguf",
            x->p->candidates[i].name));
    stager_ins(s, &s->records);
    stager_ins(s, &s->stages);
    for (size_t i = 0; i < x->p->n_waivers; i++)
        stager_in_at(s, NAME(x, "waiver/%s.sig", x->p->waivers[i].item->id),
            x->p->waivers[i].signature);
    stager_dst(s, "store", x->p->store);
    stager_dst(s, "repository", x->p->repository);
    stager_out(s, "release.json");
    set_author(x);
    stager_set(s, "repository-ref", x->p->ref);
    end(x);
}

static void
conversions(struct expansion *x)
{
    share_parts(x);
    for (size_t i = 0; i < x->p->n_candidates; i++) {
        const struct candidate *c = &x->p->candidates[i];

        for (unsigned k = 0; k < x->layers && x->layer_of[i] == i &&
            x->e->code == 0; k++)
            quantize(x, c, (int)k);
        if (x->head_of[i] == i)
            quantize(x, c, -1);
        assemble(x, i);
    }
}

static void
judgement(struct expansion *x)
{
    const struct candidate *c = x->p->candidates;
    const size_t n = x->p->n_candidates;

    evaluate_model(x, NULL);
    for (size_t i = 0; i < n; i++) {
        evaluate_model(x, &c[i]);
        benchmark(x, &c[i]);
        names_add(&x->firsts, NAME(x, "gate/%s.first.json", c[i].name));
    }
    for (size_t i = 0; i < n && x->p->reserve; i++)
        gate(x, &c[i], true);
    if (x->p->reserve)
        evaluate_reserve(x, NULL);
    for (size_t i = 0; i < n; i++) {
        if (x->p->reserve)
            evaluate_reserve(x, &c[i]);
        gate(x, &c[i], false);
    }
}

int
expand(struct stager *s, unsigned layers, struct err *e)
{
    struct expansion x = { .s = s, .p = s->policy, .a = &s->g->arena, .e = e,
        .layers = layers };

    x.source = yaml_get(s->policy->model, "source")->text;
    name_parts(&x);
    probes(&x);
    corpus(&x);
    calibrate(&x);
    conversions(&x);
    judgement(&x);
    choose(&x);
    archive(&x);
    report(&x);
    release(&x);
    names_release(&x.base);
    names_release(&x.results);
    names_release(&x.firsts);
    return e->code;
}
