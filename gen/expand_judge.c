/*
 * expand_judge.c - the stages from serving files to verdicts
 */
#include <string.h>

#include "gen/expand_private.h"

static void
set_bos(struct expansion *x)
{
    stager_set(x->s, "bos", schema_text(model_fields, x->p->model, "bos"));
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

    expansion_begin(x, NAME(x, "%s.%s.%s", q->stress ? "stress" : "evaluate",
        model, name), "evaluate", PHASE_SHIP, q->stress ? stress : task);
    stager_in_at(s, NAME(x, "suite/%s.jsonl", name),
        reserve ? q->reserve : q->data);
    add_model(x, c);
    if (reserve && c != NULL)
        stager_in(s, NAME(x, "gate/%s.first.json", c->name));
    else if (reserve)
        stager_ins(s, &x->firsts);
    stager_out(s, NAME(x, "eval/%s/%s.jsonl", model, name));
    expansion_result(x, NAME(x, "eval/%s/%s.json", model, name));
    stager_set(s, "model", model);
    stager_set(s, "suite", name);
    stager_set(s, "role", q->stress ? "stress" : "task");
    stager_set_int(s, "max-tokens", q->max_tokens);
    set_bos(x);
    expansion_products(x);
    expansion_end(x);
}

static void
perplexity(struct expansion *x, const struct candidate *c)
{
    static const char *const items[] = { "before.quality-budget", NULL };
    const struct yaml *v = yaml_get(x->p->budget, "perplexity");
    const struct yaml *kl = yaml_get(x->p->budget, "kl");
    const char *model = c != NULL ? c->name : "baseline";
    struct stager *s = x->s;

    expansion_begin(x, NAME(x, "evaluate.%s.perplexity", model), "evaluate",
        PHASE_SHIP, items);
    stager_in_at(s, "suite/perplexity.txt", yaml_get(v, "text")->text);
    if (c != NULL)
        stager_in(s, NAME(x, "cand/%s/model.gguf", c->name));
    stager_ins(s, &x->base);
    stager_in(s, "base/model.fp.json");
    stager_src(s, "base", x->source);
    expansion_result(x, NAME(x, "eval/%s/perplexity.json", model));
    stager_set(s, "model", model);
    stager_set(s, "suite", "perplexity");
    stager_set(s, "role", "perplexity");
    stager_set_int(s, "window", schema_int(perplexity_fields, v, "window"));
    stager_set_int(s, "limit", schema_int(perplexity_fields, v, "limit"));
    if (c != NULL)
        stager_set_int(s, "kl-tokens", schema_int(kl_fields, kl, "tokens"));
    expansion_products(x);
    expansion_end(x);
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

    expansion_begin(x, NAME(x, "benchmark.%s", c->name), "benchmark",
        PHASE_SHIP, items);
    stager_in(s, NAME(x, "cand/%s/model.gguf", c->name));
    stager_in(s, "hardware.json");
    stager_ins(s, &x->base);
    stager_in(s, "base/model.fp.json");
    stager_src(s, "base", x->source);
    expansion_result(x, NAME(x, "bench/%s.json", c->name));
    stager_set(s, "candidate", c->name);
    stager_set_int(s, "prefill", schema_int(benchmark_fields, v, "prefill"));
    stager_set_int(s, "decode", schema_int(benchmark_fields, v, "decode"));
    stager_set_int(s, "blocks", schema_int(benchmark_fields, v, "blocks"));
    expansion_end(x);
}

const char *
expansion_bottleneck(const struct expansion *x)
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

    stager_set(x->s, "bottleneck", expansion_bottleneck(x));
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

    expansion_begin(x, NAME(x, first ? "gate.%s.first" : "gate.%s", c->name),
        "gate", PHASE_SHIP, first ? first_items : items);
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
    expansion_result(x, NAME(x, first ? "gate/%s.first.json" : "gate/%s.json",
        c->name));
    stager_set(s, "candidate", c->name);
    stager_set(s, "look", first ? "first" : x->p->reserve ? "final" :
        "only");
    set_budget(x);
    set_target(x);
    if (!first && hardware != NULL && strcmp(hardware, "here") != 0)
        stager_set(s, "hardware", hardware);
    expansion_end(x);
}

void
expand_judgement(struct expansion *x)
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
