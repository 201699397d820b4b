/*
 * expand.c - from a checked policy to its stages
 *
 * docs/stages.md is the list of stages that these files carry out.
 */
#include "gen/expand.h"

#include <string.h>

#include "gen/expand_private.h"

/* The items of the checklist that a stage has to do with, if asked for. */
static void
add_items(struct expansion *x, const char *const *items)
{
    for (; *items != NULL; items++)
        for (size_t i = 0; i < x->p->n_items; i++)
            if (strcmp(x->p->items[i].def->id, *items) == 0)
                stager_item(x->s, *items);
}

void
expansion_begin(struct expansion *x, const char *id, const char *program,
    enum phase phase, const char *const *items)
{
    bool probe = strcmp(program, "fingerprint") == 0 ||
        strcmp(program, "hardware") == 0 || strcmp(program, "traffic") == 0;

    stager_begin(x->s, id, program, phase, probe);
    if (items != NULL)
        add_items(x, items);
}

int
expansion_end(struct expansion *x)
{
    return stager_end(x->s, x->e);
}

void
expansion_result(struct expansion *x, const char *role)
{
    stager_out(x->s, role);
    names_add(&x->results, role);
}

void
expansion_products(struct expansion *x)
{
    if (!x->p->reproducible)
        stager_set(x->s, "reproducible", "false");
}

bool
candidate_is_weighted(const struct candidate *c)
{
    return strcmp(c->method, "rtn") != 0;
}

bool
candidate_needs_statistics(const struct candidate *c)
{
    return candidate_is_weighted(c) && c->imatrix == NULL;
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

    expansion_begin(x, "fingerprint", "fingerprint", PHASE_BEFORE, items);
    stager_src(x->s, "base", x->source);
    for (size_t i = 0; i < x->base.n; i++)
        stager_out(x->s, x->base.v[i]);
    stager_out(x->s, "base/model.fp.json");
    if (expansion_end(x))
        return;
    expansion_begin(x, "hardware", "hardware", PHASE_SHIP, items);
    expansion_result(x, "hardware.json");
    if (expansion_end(x))
        return;
    expansion_begin(x, "traffic", "traffic", PHASE_AFTER, items);
    stager_in(x->s, "base/tokenizer.fp.json");
    stager_src(x->s, "base", x->source);
    stager_src(x->s, "traffic", yaml_get(in_domain, "production")->text);
    stager_out(x->s, "traffic.json");
    stager_set_int(x->s, "documents",
        schema_int(in_domain_fields, in_domain, "documents"));
    stager_set_int(x->s, "seed",
        schema_int(in_domain_fields, in_domain, "seed"));
    expansion_end(x);
}

static void
corpus(struct expansion *x)
{
    static const char *const items[] = { "calibration.samples",
        "calibration.in-domain", "calibration.variety",
        "calibration.no-duplicates", NULL };
    const struct yaml *samples = x->p->samples, *dup = x->p->no_duplicates;
    struct stager *s = x->s;

    expansion_begin(x, "corpus", "corpus", PHASE_CALIBRATION, items);
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
    expansion_result(x, "corpus/report.json");
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
    expansion_end(x);
}

static void
calibrate(struct expansion *x)
{
    static const char *const items[] = { "calibration.samples", NULL };
    bool needed = false;

    for (size_t i = 0; i < x->p->n_candidates; i++)
        needed = needed || candidate_needs_statistics(&x->p->candidates[i]);
    if (!needed)
        return;
    expansion_begin(x, "calibrate", "calibrate", PHASE_CALIBRATION, items);
    stager_in(x->s, "corpus/tokens.safetensors");
    for (size_t i = 0; i < x->base.n; i++)
        if (strcmp(x->base.v[i], "base/tokenizer.fp.json") != 0)
            stager_in(x->s, x->base.v[i]);
    stager_src(x->s, "base", x->source);
    for (unsigned i = 0; i < x->layers; i++)
        stager_out(x->s, NAME(x, "stats/%s.safetensors", x->layer[i]));
    stager_out(x->s, "stats/head.safetensors");
    expansion_products(x);
    expansion_end(x);
}

static void
choose(struct expansion *x)
{
    static const char *const items[] = { "after.decision", NULL };

    expansion_begin(x, "choose", "choose", PHASE_AFTER, items);
    for (size_t i = 0; i < x->p->n_candidates; i++) {
        const char *name = x->p->candidates[i].name;

        stager_in(x->s, NAME(x, "gate/%s.json", name));
        stager_in(x->s, NAME(x, "bench/%s.json", name));
    }
    stager_in(x->s, "policy.json");
    expansion_result(x, "decision.json");
    stager_set(x->s, "bottleneck", expansion_bottleneck(x));
    expansion_end(x);
}

static void
archive(struct expansion *x)
{
    static const char *const items[] = { "ship.archive", NULL };

    expansion_begin(x, "archive", "archive", PHASE_SHIP, items);
    stager_ins(x->s, &x->base);
    stager_in(x->s, "base/model.fp.json");
    stager_src(x->s, "base", x->source);
    stager_dst(x->s, "store", x->p->store);
    expansion_result(x, "archive.json");
    expansion_end(x);
}

static void
report(struct expansion *x)
{
    static const char *const items[] = { "team.answers", NULL };

    expansion_begin(x, "report", "report", PHASE_AFTER, items);
    stager_in(x->s, "policy.json");
    stager_ins(x->s, &x->results);
    if (x->shape->gguf) /* a quantized source is worth a warning */
        stager_in(x->s, "base/model.fp.json");
    stager_out(x->s, "report.html");
    stager_out(x->s, "report.json");
    stager_set(x->s, "title", x->p->title);
    expansion_end(x);
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

    expansion_begin(x, "release", "release", PHASE_SHIP, items);
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
    expansion_end(x);
}

int
expand(struct stager *s, const struct layout *shape, struct err *e)
{
    struct expansion x = { .s = s, .p = s->policy, .a = &s->g->arena, .e = e,
        .shape = shape, .layers = shape->layers };

    x.source = yaml_get(s->policy->model, "source")->text;
    name_parts(&x);
    if (expand_check_roles(&x))
        goto done;
    probes(&x);
    corpus(&x);
    calibrate(&x);
    expand_conversions(&x);
    expand_judgement(&x);
    choose(&x);
    archive(&x);
    report(&x);
    release(&x);

done:
    names_release(&x.base);
    names_release(&x.results);
    names_release(&x.firsts);
    return e->code;
}
