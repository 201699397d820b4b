/*
 * policy_json.c - the checked policy in one form, for steps and people
 */
#include "gen/policy_json.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"

static json_t *
owners(const struct policy *o)
{
    json_t *all = json_object();

    for (size_t i = 0; i < PHASE_COUNT; i++) {
        const struct owner *w = &o->owners[i];

        if (w->principal != NULL)
            json_object_set_new(all, phase_name((enum phase)i),
                json_pack("{s:s, s:s, s:s}", "principal", w->principal,
                "keyid", w->keyid, "public", w->public));
    }
    return all;
}

/* The stages that measure an item; none if it is not carried out. */
static json_t *
stages_of(const struct policy_item *item, const struct names *ids)
{
    json_t *list = json_array();

    for (size_t i = 0; i < ids->n && item->why_not == NULL; i++) {
        const char *space = strchr(ids->v[i], ' ');
        char program[24];
        size_t n = (size_t)(space - ids->v[i]);

        memcpy(program, ids->v[i], n);
        program[n] = '\0';
        /* a first look decides nothing by itself */
        if (item_measured_by(item->def, program) &&
            !str_ends(ids->v[i], ".first"))
            json_array_append_new(list, json_string(space + 1));
    }
    return list;
}

/* CAND stands for each candidate. */
static json_t *
evidence_of(const struct policy *o, const char *pattern)
{
    const char *at = strstr(pattern, "CAND");
    json_t *list = json_array();

    for (size_t i = 0; i < o->n_candidates && at != NULL; i++)
        json_array_append_new(list, json_sprintf("%.*s%s%s",
            (int)(at - pattern), pattern, o->candidates[i].name, at + 4));
    if (at == NULL)
        json_array_append_new(list, json_string(pattern));
    return list;
}

/* `path` is where its owner's signature lies, seen from where ninja runs. */
static json_t *
waiver_json(const struct policy *o, const struct waiver *w,
    const struct paths *paths)
{
    char *path = paths_graph(paths, o->dir, w->signature);
    json_t *row = json_pack("{s:s, s:s, s:o, s:s}", "because", w->because,
        "until", w->until, "signature", json_sprintf("waiver/%s.sig",
        w->item->id), "path", path);

    free(path);
    return row;
}

static json_t *
item_json(const struct policy *o, const struct policy_item *item,
    const struct paths *paths, const struct names *ids)
{
    const struct waiver *w = item->waiver;
    const struct yaml *at = item->at != NULL ? item->at :
        w != NULL ? w->at : o->root;
    bool enforced = item->why_not == NULL && (item->at != NULL ||
        item->def->automatic);
    json_t *row = json_pack("{s:s, s:s, s:s, s:s, s:b, s:b, s:o, s:o, s:s, "
        "s:i}", "id", item->def->id, "phase", item->def->phase, "owner",
        policy_owner(o, item->def->phase)->principal, "answer", item->words,
        "enforced", enforced, "never_waivable", item->def->never_waivable,
        "stages", stages_of(item, ids), "evidence",
        evidence_of(o, item->def->evidence), "file", path_base(o->path),
        "line", (int)(at->key_line > 0 ? at->key_line : at->line));

    if (item->why_not != NULL)
        json_object_set_new(row, "why_not", json_string(item->why_not));
    else if (!enforced)
        json_object_set_new(row, "why_not", json_string("not answered"));
    if (item->checked != NULL)
        json_object_set_new(row, "checked", json_string(item->checked));
    json_object_set_new(row, "waiver",
        w == NULL ? json_null() : waiver_json(o, w, paths));
    return row;
}

static json_t *
candidates(const struct policy *o)
{
    json_t *list = json_array();

    for (size_t i = 0; i < o->n_candidates; i++) {
        const struct candidate *c = &o->candidates[i];
        json_t *row = json_pack("{s:s, s:s, s:s, s:i, s:i}", "name", c->name,
            "type", c->type->name, "method", c->method, "bits",
            (int)c->type->bits, "group", (int)c->type->group);

        if (c->because != NULL)
            json_object_set_new(row, "because", json_string(c->because));
        if (c->imatrix != NULL)
            json_object_set_new(row, "imatrix", json_string(c->imatrix));
        if (c->kernel != NULL)
            json_object_set_new(row, "kernel", json_string(c->kernel));
        json_array_append_new(list, row);
    }
    return list;
}

static json_t *
suites(const struct policy *o)
{
    json_t *list = json_array();

    for (size_t i = 0; i < o->n_suites; i++) {
        const struct suite *q = &o->suites[i];
        json_t *row = json_pack("{s:s, s:s, s:b}", "name", q->name, "role",
            q->stress ? "stress" : "task", "reserve", q->reserve != NULL);

        if (q->covers != NULL)
            json_object_set_new(row, "covers", json_string(q->covers));
        json_array_append_new(list, row);
    }
    return list;
}

json_t *
policy_json(const struct policy *o, const struct paths *paths,
    const struct names *ids)
{
    char policy_hex[DIGEST_HEX], signers_hex[DIGEST_HEX];
    const char *what = schema_text(bottleneck_fields, o->bottleneck, "what");
    json_t *items = json_array();

    for (size_t i = 0; i < o->n_items; i++)
        json_array_append_new(items, item_json(o, &o->items[i],
            paths, ids));
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:f, s:o, "
        "s:o, s:o, s:o}", "schema", "quern.policy/1", "name", o->name,
        "profile", yaml_get(o->root, "profile")->text, "title", o->title,
        "model", schema_text(model_fields, o->model, "name"),
        "bottleneck", what != NULL ? what : "memory", "policy_sha256",
        digest_hex(&o->digest, policy_hex), "signers_sha256",
        digest_hex(&o->signers_digest, signers_hex), "alpha", o->alpha,
        "owners", owners(o), "items", items, "candidates", candidates(o),
        "suites", suites(o));
}
