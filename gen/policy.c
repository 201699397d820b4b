/*
 * policy.c - reading a policy into its struct; see policy.h
 */
#include "gen/policy.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"

static const char *const phase_names[PHASE_COUNT] = { "before", "calibration",
    "convert", "ship", "after", "training" };

const char *
phase_name(enum phase phase)
{
    return phase_names[phase];
}

const struct owner *
policy_owner(const struct policy *o, const char *phase)
{
    for (size_t i = 0; i < PHASE_COUNT; i++)
        if (strcmp(phase_names[i], phase) == 0)
            return &o->owners[i];
    return NULL;
}

const char *
policy_path(struct policy *o, const char *path)
{
    char *joined = path[0] == '/' ? mem_strdup(path) :
        path_join(o->dir, path);
    const char *kept = arena_strdup(&o->arena, joined);

    free(joined);
    return kept;
}

static enum profile
profile_of(const char *name)
{
    return strcmp(name, "internal") == 0 ? PROFILE_INTERNAL :
        strcmp(name, "qat") == 0 ? PROFILE_QAT : PROFILE_PRODUCTION;
}

static size_t
count(const struct yaml *list)
{
    size_t n = 0;

    for (const struct yaml *v = yaml_first(list); v != NULL; v = v->next)
        n++;
    return n;
}

static void
take_owners(struct policy *o)
{
    const struct yaml *owners = yaml_get(o->root, "owners");

    for (size_t i = 0; i < PHASE_COUNT; i++) {
        const struct yaml *v = yaml_get(owners, phase_names[i]);

        o->owners[i].principal = schema_text(owner_fields, v, "principal");
        o->owners[i].key = schema_text(owner_fields, v, "key");
        o->owners[i].at = v;
    }
}

static void
take_suite_list(struct policy *o, const char *name, bool stress)
{
    const struct yaml *list = yaml_get(yaml_get(o->root, "ship"), name);

    for (const struct yaml *v = yaml_first(list); v != NULL; v = v->next) {
        struct suite *s = &o->suites[o->n_suites++];

        s->name = schema_text(suite_fields, v, "name");
        s->data = schema_text(suite_fields, v, "data");
        s->reserve = schema_text(suite_fields, v, "reserve");
        s->covers = schema_text(suite_fields, v, "covers");
        s->max_tokens = schema_int(suite_fields, v, "max-tokens");
        s->stress = stress;
        s->at = v;
        o->reserve = o->reserve || s->reserve != NULL;
    }
}

static void
take_suites(struct policy *o)
{
    const struct yaml *ship = yaml_get(o->root, "ship");
    size_t n = count(yaml_get(ship, "tasks")) +
        count(yaml_get(ship, "stress"));

    o->suites = arena_alloc(&o->arena, (n + 1) * sizeof *o->suites);
    take_suite_list(o, "tasks", false);
    take_suite_list(o, "stress", true);
}

static int
by_role(const void *a, const void *b)
{
    const struct tensor_choice *x = a, *y = b;

    return strcmp(x->role, y->role);
}

static void
take_candidates(struct policy *o)
{
    const struct yaml *list = yaml_get(o->root, "candidates");
    const struct yaml *method = yaml_get(yaml_get(o->root, "convert"),
        "method");

    o->candidates = arena_alloc(&o->arena,
        (count(list) + 1) * sizeof *o->candidates);
    for (const struct yaml *v = yaml_first(list); v != NULL; v = v->next) {
        struct candidate *c = &o->candidates[o->n_candidates++];
        const struct yaml *tensors = yaml_get(v, "tensors");

        c->name = schema_text(candidate_fields, v, "name");
        c->type = quant_type_find(schema_text(candidate_fields, v, "type"));
        c->method = schema_text(candidate_fields, v, "method");
        if (c->method == NULL)
            c->method = schema_text(method_fields, method, "use");
        if (c->method == NULL)
            c->method = "imatrix";
        c->because = schema_text(candidate_fields, v, "because");
        c->imatrix = schema_text(candidate_fields, v, "imatrix");
        c->at = v;
        c->tensors = arena_alloc(&o->arena,
            (count(tensors) + 1) * sizeof *c->tensors);
        for (const struct yaml *t = yaml_first(tensors); t != NULL;
            t = t->next)
            c->tensors[c->n_tensors++] = (struct tensor_choice){ t->key,
                quant_type_find(t->text) };
        qsort(c->tensors, c->n_tensors, sizeof *c->tensors, by_role);
    }
}

static void
take_waivers(struct policy *o)
{
    const struct yaml *list = yaml_get(o->root, "waivers");

    o->waivers = arena_alloc(&o->arena,
        (count(list) + 1) * sizeof *o->waivers);
    for (const struct yaml *v = yaml_first(list); v != NULL; v = v->next) {
        struct waiver *w = &o->waivers[o->n_waivers++];
        const char *id = schema_text(waiver_fields, v, "item");

        w->item = item_find(id);
        w->because = schema_text(waiver_fields, v, "because");
        w->until = schema_text(waiver_fields, v, "until");
        w->signature = schema_text(waiver_fields, v, "signature");
        if (w->signature == NULL)
            w->signature = arena_printf(&o->arena, "waivers/%s.sig", id);
        w->at = v;
    }
}

static void
take_record(struct policy *o)
{
    o->record = yaml_get(o->root, "record");
    o->signers = schema_text(record_fields, o->record, "signers");
    o->repository = schema_text(record_fields, o->record, "repository");
    o->ref = schema_text(record_fields, o->record, "ref");
    o->author = schema_text(record_fields, o->record, "author");
    if (o->author == NULL && o->owners[PHASE_SHIP].principal != NULL)
        o->author = arena_printf(&o->arena, "quern <%s>",
            o->owners[PHASE_SHIP].principal);
}

/* Only for values that the tables have passed. */
static void
take(struct policy *o)
{
    const struct yaml *r = o->root, *ship = yaml_get(r, "ship");
    const struct yaml *calibration = yaml_get(r, "calibration");

    o->name = schema_text(policy_fields, r, "name");
    o->title = schema_text(policy_fields, r, "title");
    o->reproducible = strcmp(schema_text(policy_fields, r, "reproducible"),
        "false") != 0;
    o->profile = profile_of(schema_text(policy_fields, r, "profile"));
    o->model = yaml_get(r, "model");
    if (o->title == NULL)
        o->title = schema_text(model_fields, o->model, "name");
    o->budget = yaml_get(yaml_get(r, "before"), "quality-budget");
    o->bottleneck = yaml_get(yaml_get(r, "before"), "bottleneck");
    o->samples = yaml_get(calibration, "samples");
    o->in_domain = yaml_get(calibration, "in-domain");
    o->no_duplicates = yaml_get(calibration, "no-duplicates");
    o->benchmark = yaml_get(ship, "benchmark");
    o->store = schema_text(archive_fields, yaml_get(ship, "archive"),
        "store");
    take_owners(o);
    take_record(o);
    take_suites(o);
    take_candidates(o);
    take_waivers(o);
}

int
policy_read(struct policy *o, const char *path, const struct policy_env *env,
    struct problems *p, struct err *e)
{
    struct blob b = { 0 };
    char *dir = path_dir(path);

    *o = (struct policy){ 0 };
    o->path = arena_strdup(&o->arena, path);
    o->dir = arena_strdup(&o->arena, dir);
    free(dir);
    *p = (struct problems){ .file = o->path };
    if (blob_read(&b, path, YAML_MAX_BYTES, e) == 0 &&
        yaml_parse(&o->yaml, o->path, b.p, b.len, e) == 0) {
        o->digest = b.digest;
        o->root = o->yaml.root;
        if (o->root->kind != YAML_MAP)
            problem(p, o->root, "a policy is a mapping, this is %s; copy one "
                "with 'quern init'", yaml_kind_name(o->root));
        else
            schema_map(p, policy_fields, o->root);
        if (p->n == 0) {
            take(o);
            policy_check(o, env, p, e);
        }
    }
    blob_release(&b);
    return e->code;
}

void
policy_release(struct policy *o)
{
    yaml_release(&o->yaml);
    arena_release(&o->arena);
    *o = (struct policy){ 0 };
}
