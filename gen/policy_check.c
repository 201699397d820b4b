/*
 * policy_check.c - how a policy's values belong together
 *
 * The tables have passed by now, so every value is of its kind and in range.
 */
#include <stdlib.h>
#include <string.h>

#include "gen/answers.h"
#include "gen/kernels.h"
#include "gen/policy.h"
#include "lib/base/str.h"
#include "lib/record/signers.h"

/* The section of the policy that an item's answer stands in, and its key. */
static const struct yaml *
answer_of(const struct policy *o, const char *id)
{
    const char *dot = strchr(id, '.');
    char section[24];
    size_t n = (size_t)(dot - id);

    memcpy(section, id, n);
    section[n] = '\0';
    return yaml_get(yaml_get(o->root, section), dot + 1);
}

static bool
phase_is_asked(const struct policy *o, enum phase phase)
{
    const char *name = phase_name(phase);
    size_t n = strlen(name);

    for (size_t i = 0; i < n_item_defs; i++)
        if (strncmp(item_defs[i].id, name, n) == 0 &&
            item_defs[i].id[n] == '.' &&
            item_defs[i].ask[o->profile] != ASK_NOT)
            return true;
    return false;
}

static const char *
profile_name(const struct policy *o)
{
    return yaml_get(o->root, "profile")->text;
}

/* One owner: in the list of signers, with a key of its own name. */
static void
check_owner(struct policy *o, enum phase phase, const struct signers *list,
    struct problems *p)
{
    struct owner *owner = &o->owners[phase];
    const struct pubkey *key;

    if (owner->principal == NULL) {
        if (phase_is_asked(o, phase))
            problem_key(p, yaml_get(o->root, "owners"), "'%s' has no owner; "
                "write %s: {principal: modeling@example.org, key: "
                "keys/modeling}", phase_name(phase), phase_name(phase));
        return;
    }
    if (!phase_is_asked(o, phase)) {
        problem_key(p, owner->at, "the profile '%s' has no phase '%s'; take "
            "this owner out", profile_name(o), phase_name(phase));
        return;
    }
    key = signers_find(list, owner->principal);
    if (key == NULL) {
        problem(p, yaml_get(owner->at, "principal"), "'%s' is not in %s; add "
            "a line with that owner's public key", owner->principal,
            o->signers);
        return;
    }
    pubkey_id(key, owner->keyid);
    pubkey_hex(key, owner->public);
}

/* Links are named by eight digits of the key id: two keys must differ there. */
static void
check_key_ids(const struct policy *o, struct problems *p)
{
    for (size_t i = 0; i < PHASE_COUNT; i++)
        for (size_t k = 0; k < i; k++) {
            const char *a = o->owners[i].keyid, *b = o->owners[k].keyid;

            if (a[0] != '\0' && b[0] != '\0' && strncmp(a, b, 8) == 0 &&
                strcmp(a, b) != 0)
                problem(p, o->owners[i].at, "the keys of '%s' and '%s' have "
                    "ids with the same first eight digits; make one anew",
                    o->owners[i].principal, o->owners[k].principal);
        }
}

static void
check_owners(struct policy *o, struct problems *p)
{
    struct signers list = { 0 };
    struct err e = { 0 };

    if (signers_read(&list, policy_path(o, o->signers), &e)) {
        problem(p, yaml_get(o->record, "signers"), "%s", e.text);
        return;
    }
    o->signers_digest = list.digest;
    for (size_t i = 0; i < PHASE_COUNT; i++)
        check_owner(o, (enum phase)i, &list, p);
    check_key_ids(o, p);
    signers_release(&list);
}

static const struct waiver *
waiver_of(const struct policy *o, const struct item_def *item)
{
    for (size_t i = 0; i < o->n_waivers; i++)
        if (o->waivers[i].item == item)
            return &o->waivers[i];
    return NULL;
}

/* Sections that the profile does not have at all. */
static void
check_sections(const struct policy *o, struct problems *p)
{
    for (size_t i = 0; i < PHASE_COUNT; i++) {
        const struct yaml *v = yaml_get(o->root, phase_name((enum phase)i));

        if (v != NULL && !phase_is_asked(o, (enum phase)i))
            problem_key(p, v, "the profile '%s' has no '%s'; take it out or "
                "choose another profile", profile_name(o),
                phase_name((enum phase)i));
    }
}

static void
ask(struct policy *o, const struct item_def *def, struct problems *p)
{
    const char *key = strchr(def->id, '.') + 1;
    struct policy_item *item = &o->items[o->n_items];
    const struct yaml *section, *at = answer_of(o, def->id);
    const struct waiver *waiver = waiver_of(o, def);
    enum ask must = def->ask[o->profile];
    char name[24];
    size_t n = (size_t)(key - 1 - def->id);

    memcpy(name, def->id, n);
    name[n] = '\0';
    section = yaml_get(o->root, name);
    if (must == ASK_NOT || (must == ASK_MAY && at == NULL && waiver == NULL &&
        !def->automatic))
        return;
    if (at == NULL && waiver == NULL && !def->automatic) {
        const struct field *top = schema_find(policy_fields, name);
        const struct field *f = schema_find(top->fields, key);

        problem_key(p, section, "%s is not answered (%s); write under %s: "
            "%s: %s", def->id, f->what, name, key, f->example);
        return;
    }
    *item = (struct policy_item){ .def = def, .at = at, .waiver = waiver,
        .why_not = def->why_not };
    o->n_items++;
}

static void
check_items(struct policy *o, struct problems *p)
{
    o->items = arena_alloc(&o->arena, n_item_defs * sizeof *o->items);
    check_sections(o, p);
    for (size_t i = 0; i < n_item_defs; i++)
        ask(o, &item_defs[i], p);
}

static struct policy_item *
item_of(const struct policy *o, const char *id)
{
    for (size_t i = 0; i < o->n_items; i++)
        if (strcmp(o->items[i].def->id, id) == 0)
            return &o->items[i];
    return NULL;
}

static void
check_waiver(struct policy *o, struct waiver *w, const struct policy_env *env,
    struct problems *p)
{
    const struct yaml *id = yaml_get(w->at, "item");
    const char *near;
    int64_t until = 0;

    if (w->item == NULL) {
        near = nearest_name(id->text, item_defs, n_item_defs,
            sizeof *item_defs);
        problem(p, id, "no item is called '%s'; %s%s", id->text,
            near != NULL ? "did you mean " : "write phase.name as in 'quern "
            "status'", near != NULL ? near : "");
        return;
    }
    if (w->item->never_waivable) {
        problem(p, id, "%s can never be waived; answer it", w->item->id);
        return;
    }
    if (w->item->ask[o->profile] == ASK_NOT)
        problem(p, id, "the profile '%s' does not ask for %s; take the waiver "
            "out", profile_name(o), w->item->id);
    for (struct waiver *other = o->waivers; other < w; other++)
        if (other->item == w->item)
            problem(p, id, "%s is waived twice, first in line %u; keep one",
                w->item->id, other->at->line);
    date_parse(w->until, &until);
    if (until < env->today)
        problem(p, yaml_get(w->at, "until"), "the waiver of %s ended on %s; "
            "carry the item out, or have its owner sign a new date",
            w->item->id, w->until);
    else if (!env->unsigned_ok &&
        !file_exists(policy_path(o, w->signature))) {
        size_t before = p->n;

        problem(p, w->at, "the waiver of %s is not signed: no %s; its owner "
            "runs 'quern waive -k KEY -C %s'", w->item->id, w->signature,
            env->build);
        p->unsigned_n += p->n - before;
    }
}

/* The suites' names, and what they cover together. */
static void
check_suites(struct policy *o, struct problems *p)
{
    static const char *const strains[] = { "reasoning", "instructions",
        "retrieval", "edge" };
    const struct yaml *limits = yaml_get(o->budget, "suites");
    const struct policy_item *stress = item_of(o, "ship.stress");

    for (size_t i = 0; i < o->n_suites; i++) {
        const char *name = o->suites[i].name;
        const struct yaml *at = yaml_get(o->suites[i].at, "name");

        for (size_t k = 0; k < i; k++)
            if (strcmp(o->suites[k].name, name) == 0)
                problem(p, at, "a suite '%s' stands in line %u already; "
                    "rename one", name, o->suites[k].at->line);
        if (strcmp(name, "perplexity") == 0 || str_starts(name, "reserve-"))
            problem(p, at, "a suite cannot be called '%s'; rename it", name);
    }
    for (const struct yaml *v = yaml_first(limits); v != NULL; v = v->next) {
        bool found = false;
        const char *near;

        for (size_t i = 0; i < o->n_suites; i++)
            found = found || strcmp(o->suites[i].name, v->key) == 0;
        near = nearest_name(v->key, o->suites, o->n_suites,
            sizeof *o->suites);
        if (!found)
            problem_key(p, v, "no suite is called '%s'; %s%s", v->key,
                near != NULL ? "did you mean " : "take the limit out or add "
                "the suite", near != NULL ? near : "");
    }
    for (size_t s = 0; s < countof(strains) && stress != NULL &&
        stress->at != NULL; s++) {
        bool covered = false;

        for (size_t i = 0; i < o->n_suites; i++)
            covered = covered || (o->suites[i].covers != NULL &&
                strcmp(o->suites[i].covers, strains[s]) == 0);
        if (!covered)
            problem_key(p, stress->at, "no suite covers %s; write 'covers: "
                "%s' at the one that does, or add one", strains[s],
                strains[s]);
    }
}

static void
check_tensors(const struct candidate *c, struct problems *p)
{
    const struct yaml *list = yaml_get(c->at, "tensors");

    for (const struct yaml *v = yaml_first(list); v != NULL; v = v->next) {
        char names[256];
        bool known = false;
        size_t n = 0;

        for (; tensor_roles[n] != NULL; n++)
            known = known || strcmp(tensor_roles[n], v->key) == 0;
        if (!known) {
            const char *near = nearest_name(v->key, tensor_roles, n,
                sizeof *tensor_roles);

            problem_key(p, v, "no tensor is called '%s'; %s%s", v->key,
                near != NULL ? "did you mean " : "write ", near != NULL ?
                near : schema_or(names, sizeof names, tensor_roles));
        }
    }
}

/* The names of the candidates and what each one asks for. */
static void
check_candidate(struct policy *o, struct candidate *c, struct problems *p)
{
    const struct policy_item *group = item_of(o, "convert.group-size");
    const struct policy_item *bits = item_of(o, "before.precision");
    const struct yaml *type = yaml_get(c->at, "type");
    const struct yaml *method = yaml_get(c->at, "method");
    unsigned long long most;

    for (const struct candidate *k = o->candidates; k < c; k++)
        if (strcmp(k->name, c->name) == 0)
            problem(p, yaml_get(c->at, "name"), "a candidate '%s' stands in "
                "line %u already; rename one", c->name, k->at->line);
    if (strcmp(c->name, "baseline") == 0)
        problem(p, yaml_get(c->at, "name"), "a candidate cannot be called "
            "'baseline', which is the model itself; rename it");
    if (!quant_method_is_made(c->method))
        problem(p, method != NULL ? method : c->at, "the method '%s' is not "
            "carried out by this version; write imatrix, awq or rtn",
            c->method);
    if (strcmp(c->method, "rtn") == 0 && c->because == NULL)
        problem(p, method != NULL ? method : c->at, "plain rounding (rtn) "
            "needs a reason; add because: \"...\" or use imatrix");
    if (c->imatrix != NULL && strcmp(c->method, "imatrix") != 0)
        problem_key(p, yaml_get(c->at, "imatrix"), "the method '%s' takes no "
            "importance matrix; write method: imatrix", c->method);
    if (c->imatrix != NULL && c->because == NULL)
        problem_key(p, yaml_get(c->at, "imatrix"), "a foreign importance "
            "matrix needs a reason, for nobody can hold its texts against "
            "production; add because: \"...\" or take it out");
    if (group != NULL && group->at != NULL &&
        str_to_u64(group->at->text, 1024, &most) && c->type->group > most)
        problem(p, type, "%s shares a scale among %u weights, "
            "convert.group-size allows %s; choose a finer type",
            c->type->name, c->type->group, group->at->text);
    if (bits != NULL && bits->at != NULL && c->type->bits < (unsigned)
        schema_int(precision_fields, bits->at, "bits"))
        problem(p, type, "%s has %u bits, before.precision allows no fewer "
            "than %d; choose a wider type or answer before.precision anew",
            c->type->name, c->type->bits,
            (int)schema_int(precision_fields, bits->at, "bits"));
    check_tensors(c, p);
}

/* before.precision, before.format, before.kernel-support, convert.*. */
static void
check_format(struct policy *o, const struct policy_env *env,
    struct problems *p, struct err *e)
{
    const struct yaml *before = yaml_get(o->root, "before");
    const struct yaml *format = yaml_get(before, "format");
    const struct yaml *serving = answer_of(o, "convert.serving-format");
    const char *container = schema_text(format_fields, format, "container");
    const char *device = schema_text(format_fields, format, "device");
    struct policy_item *support = item_of(o, "before.kernel-support");
    struct kernels kernels = { 0 };
    struct str seen = { 0 };
    unsigned cc = (unsigned)schema_int(format_fields, format,
        "compute-capability");

    if (format == NULL)
        return;
    if (strcmp(container, "gguf") != 0)
        problem(p, yaml_get(format, "container"), "%s is not written by this "
            "version; write gguf", container);
    if (serving != NULL && strcmp(serving->text, container) != 0)
        problem(p, serving, "before.format serves %s, this writes %s; write "
            "the same", container, serving->text);
    if (strcmp(device, "cuda") == 0 && cc == 0)
        problem(p, yaml_get(format, "device"), "a CUDA device needs its "
            "compute capability; add compute-capability: 89 or what yours "
            "has, times 10");
    if (kernels_read(&kernels, env->kernels, e))
        goto done;
    for (size_t i = 0; i < o->n_candidates; i++) {
        struct candidate *c = &o->candidates[i];
        const struct kernel_row *row = kernels_find(&kernels,
            schema_text(format_fields, format, "runtime"), device, container,
            quant_type_plain(c->type), cc);

        if (row == NULL && strcmp(container, "gguf") == 0 &&
            (support == NULL || support->waiver == NULL))
            problem(p, yaml_get(c->at, "type"), "%s has no kernel for %s in "
                "%s on %s; choose another type, runtime or device",
                schema_text(format_fields, format, "runtime"), c->type->name,
                container, device);
        if (row == NULL)
            continue;
        c->kernel = arena_printf(&o->arena, "%s (kernels.tsv:%zu, %s %s)",
            row->kernel, row->line, row->runtime, row->version);
        str_addf(&seen, "%s%s: %s; %s", seen.len > 0 ? "; " : "",
            c->type->name, c->kernel, row->condition);
    }
    if (support != NULL && seen.len > 0)
        support->checked = arena_strdup(&o->arena, str_get(&seen));

done:
    str_release(&seen);
    kernels_release(&kernels);
}

static void
check_answers(struct policy *o, struct problems *p)
{
    const struct yaml *precision = answer_of(o, "before.precision");
    const struct yaml *target = yaml_get(o->bottleneck, "target");
    const struct yaml *method = answer_of(o, "convert.method");
    const struct yaml *hardware = yaml_get(o->benchmark, "hardware");
    struct digest fingerprint;

    if (precision != NULL &&
        schema_int(precision_fields, precision, "bits") < 4 &&
        (yaml_get(precision, "because") == NULL ||
        yaml_get(precision, "qat-plan") == NULL))
        problem(p, precision, "fewer than 4 bits need a reason and a plan for "
            "training; add because: \"...\" and qat-plan: \"...\"");
    if (target != NULL && (yaml_get(target, "relative") != NULL) ==
        (yaml_get(target, "absolute") != NULL))
        problem(p, target, "the target is one of two; write {relative: 0.4} "
            "or {absolute: 2 GiB}");
    if (method != NULL &&
        strcmp(yaml_get(method, "use")->text, "rtn") == 0 &&
        yaml_get(method, "because") == NULL)
        problem(p, yaml_get(method, "use"), "plain rounding (rtn) needs a "
            "reason; add because: \"...\" or use imatrix");
    if (hardware != NULL && strcmp(hardware->text, "here") != 0 &&
        !digest_parse(&fingerprint, hardware->text))
        problem(p, hardware, "the production hardware is '%s'; write here, or "
            "the 64 digits of 'digest' in its hardware.json", hardware->text);
}

/* A trigger re-opens the first phase that the profile has. */
static void
check_triggers(const struct policy *o, struct problems *p)
{
    static const char *const keys[] = { "base-model", "traffic" };
    const struct yaml *triggers = answer_of(o, "after.triggers");
    const char *first = o->profile == PROFILE_QAT ? "training" :
        "calibration";

    for (size_t i = 0; i < countof(keys); i++) {
        const struct yaml *v = yaml_get(triggers, keys[i]);

        if (v != NULL && strcmp(v->text, first) != 0)
            problem(p, v, "the profile '%s' has no phase '%s'; write %s",
                profile_name(o), v->text, first);
    }
}

void
policy_check(struct policy *o, const struct policy_env *env,
    struct problems *p, struct err *e)
{
    const double looks = o->reserve ? 2.0 : 1.0;
    const char *correction = schema_text(budget_fields, o->budget,
        "correction");

    check_owners(o, p);
    check_items(o, p);
    for (size_t i = 0; i < o->n_waivers; i++)
        check_waiver(o, &o->waivers[i], env, p);
    check_suites(o, p);
    for (size_t i = 0; i < o->n_candidates; i++)
        check_candidate(o, &o->candidates[i], p);
    check_format(o, env, p, e);
    check_answers(o, p);
    check_triggers(o, p);
    o->alpha = schema_real(budget_fields, o->budget, "alpha") / looks;
    if (strcmp(correction, "candidates") == 0 && o->n_candidates > 0)
        o->alpha /= (double)o->n_candidates;
    if (p->n == p->unsigned_n)
        answers_in_words(o);
}
