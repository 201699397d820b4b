#include "lib/record/chain.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"

void
finding_add(struct findings *f, int code, const char *item, const char *file,
    const char *signer, const char *fmt, ...)
{
    char reason[2048];
    struct finding finding = { item, file, signer, reason, code };
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(reason, sizeof reason, fmt, ap);
    va_end(ap);
    if (code == ERR_UNCHECKED)
        f->unchecked++;
    else
        f->wrong++;
    f->report(f->ctx, &finding);
}

/* The record's signature, under the key of the owner it names. */
static void
check_signature(const struct record *r, const char *name,
    const struct signers *allowed, struct findings *found)
{
    const struct signers_entry *entry;
    size_t i = 0;

    if (!signers_find(allowed, r->signer)) {
        finding_add(found, ERR_WORK, r->stage, name, r->signer,
            "no key of this owner in allowed_signers; add it if you trust it");
        return;
    }
    while ((entry = signers_next(allowed, r->signer, NULL, &i)))
        if (record_verify(r, &entry->key))
            return;
    finding_add(found, ERR_WORK, r->stage, name, r->signer,
        "bad signature: the file was changed or signed by another key");
}

/* The classic link beside the envelope must say the same. */
static void
check_link(const struct record *r, const char *name, const char *link, size_t n,
    const struct signers *allowed, struct findings *found)
{
    struct record other = { 0 };
    struct err e = { 0 };

    if (record_parse(&other, link, n, name, &e) != 0) {
        finding_add(found, ERR_WORK, r->stage, name, r->signer, "%s", e.text);
    } else {
        check_signature(&other, name, allowed, found);
        if (!record_same(r, &other))
            finding_add(found, ERR_WORK, r->stage, name, r->signer,
                "says something else than its envelope");
    }
    record_release(&other);
}

bool
chain_add(struct chain *c, const char *name, const char *envelope,
    size_t n_envelope, const char *link_name, const char *link, size_t n_link,
    const struct signers *allowed, struct findings *found)
{
    const size_t before = found->wrong;
    struct record r = { 0 };
    struct err e = { 0 };

    if (record_parse(&r, envelope, n_envelope, name, &e) != 0) {
        finding_add(found, ERR_WORK, "team.owners", name, "nobody", "%s",
            e.text);
        record_release(&r);
        return false;
    }
    check_signature(&r, name, allowed, found);
    if (link)
        check_link(&r, link_name, link, n_link, allowed, found);
    else
        finding_add(found, ERR_WORK, r.stage, link_name, r.signer,
            "the link beside the envelope is missing; run 'ninja' again");
    if (c->n == c->cap) {
        c->cap = c->cap ? 2 * c->cap : 64;
        c->v = mem_realloc(c->v, c->cap, sizeof *c->v);
    }
    c->v[c->n++] = r;
    return found->wrong == before;
}

void
chain_release(struct chain *c)
{
    for (size_t i = 0; i < c->n; i++)
        record_release(&c->v[i]);
    free(c->v);
    free(c->made);
    memset(c, 0, sizeof *c);
}

static int
by_name(const void *a, const void *b)
{
    const struct chain_file *x = a, *y = b;
    int order = strcmp(x->name, y->name);

    return order ? order : strcmp(x->by->stage, y->by->stage);
}

/* All products, or all materials, of all records, sorted; caller frees. */
static struct chain_file *
list_files(const struct chain *c, bool products, size_t *n)
{
    struct chain_file *v;
    size_t total = 0;

    for (size_t i = 0; i < c->n; i++)
        total += products ? c->v[i].products.n : c->v[i].materials.n;
    v = mem_calloc(total, sizeof *v);
    *n = 0;
    for (size_t i = 0; i < c->n; i++) {
        const struct record_files *f =
            products ? &c->v[i].products : &c->v[i].materials;

        for (size_t j = 0; j < f->n; j++)
            v[(*n)++] = (struct chain_file){ f->v[j].name, &f->v[j].digest,
                &c->v[i] };
    }
    if (total)
        qsort(v, total, sizeof *v, by_name);
    return v;
}

static int
match_name(const void *key, const void *entry)
{
    return strcmp(key, ((const struct chain_file *)entry)->name);
}

static const struct chain_file *
find_made(const struct chain *c, const char *name)
{
    return c->n_made ?
        bsearch(name, c->made, c->n_made, sizeof *c->made, match_name) : NULL;
}

/*
 * What nobody in the graph makes: data that people bring, and what the
 * generator writes. A release keeps the generator's files, so their digests
 * are compared there.
 */
static bool
is_source(const char *role)
{
    static const char *const sources[] = { "data/", "suite/", "stages/",
        "waiver/", "keys/" };

    for (size_t i = 0; i < countof(sources); i++)
        if (str_starts(role, sources[i]))
            return true;
    return strcmp(role, "policy.json") == 0;
}

static void
check_materials(const struct chain *c, const struct record *r,
    struct findings *found)
{
    for (size_t i = 0; i < r->materials.n; i++) {
        const struct record_file *f = &r->materials.v[i];
        const struct chain_file *made = find_made(c, f->name);
        char was[DIGEST_HEX], is[DIGEST_HEX];

        if (made && !digest_equal(made->digest, &f->digest))
            finding_add(found, ERR_WORK, r->stage, f->name, r->signer,
                "read sha256 %s, but %s made %s; run 'ninja' again",
                digest_hex(&f->digest, was), made->by->stage,
                digest_hex(made->digest, is));
        else if (!made && !is_source(f->name) && !str_starts(f->name, "att/"))
            finding_add(found, ERR_WORK, r->stage, f->name, r->signer,
                "no record says who made this input; run 'ninja' again");
    }
}

/* A suite, say, that two stages read must be the same one. */
static void
check_sources(const struct chain *c, struct findings *found)
{
    size_t n;
    struct chain_file *v = list_files(c, false, &n);
    char was[DIGEST_HEX], is[DIGEST_HEX];

    for (size_t i = 1; i < n; i++)
        if (strcmp(v[i - 1].name, v[i].name) == 0 &&
            !find_made(c, v[i].name) &&
            !digest_equal(v[i - 1].digest, v[i].digest))
            finding_add(found, ERR_WORK, v[i].by->stage, v[i].name,
                v[i].by->signer,
                "read sha256 %s, but %s read %s; run 'ninja' again",
                digest_hex(v[i].digest, was), v[i - 1].by->stage,
                digest_hex(v[i - 1].digest, is));
    free(v);
}

static int
by_step(const void *a, const void *b)
{
    const struct record *const *x = a, *const *y = b;
    int order = strcmp((*x)->step, (*y)->step);

    return order ? order : strcmp((*x)->stage, (*y)->stage);
}

/* One program for all stages of a step: figures of two cannot be compared. */
static void
check_programs(const struct chain *c, struct findings *found)
{
    const struct record **v = mem_calloc(c->n, sizeof *v);

    for (size_t i = 0; i < c->n; i++)
        v[i] = &c->v[i];
    if (c->n)
        qsort(v, c->n, sizeof *v, by_step);
    for (size_t i = 1; i < c->n; i++)
        if (strcmp(v[i - 1]->step, v[i]->step) == 0 &&
            !digest_equal(&v[i - 1]->program, &v[i]->program)) {
            char *name = mem_printf("_tool/quern-%s", v[i]->step);

            finding_add(found, ERR_WORK, v[i]->stage, name, v[i]->signer,
                "is not the program that did %s; run 'ninja' again",
                v[i - 1]->stage);
            free(name);
        }
    free(v);
}

/* The owner that the policy names for the record's phase. */
static void
check_owner(const struct record *r, const json_t *policy,
    struct findings *found)
{
    const json_t *owner = json_object_get(
        json_object_get(policy, "owners"), r->phase ? r->phase : "");
    const char *principal =
        json_string_value(json_object_get(owner, "principal"));

    if (!principal)
        finding_add(found, ERR_WORK, r->stage, "policy.json", r->signer,
            "the policy names no owner for phase '%s'",
            r->phase ? r->phase : "");
    else if (strcmp(principal, r->signer) != 0)
        finding_add(found, ERR_WORK, r->stage, "policy.json", r->signer,
            "phase '%s' belongs to %s, who did not sign this", r->phase,
            principal);
}

static int
by_stage(const void *a, const void *b)
{
    return strcmp(((const struct record *)a)->stage,
        ((const struct record *)b)->stage);
}

void
chain_check(struct chain *c, const json_t *policy, struct findings *found)
{
    if (c->n)
        qsort(c->v, c->n, sizeof *c->v, by_stage);
    free(c->made);
    c->made = list_files(c, true, &c->n_made);
    for (size_t i = 1; i < c->n; i++)
        if (strcmp(c->v[i - 1].stage, c->v[i].stage) == 0)
            finding_add(found, ERR_WORK, c->v[i].stage, c->v[i].stage,
                c->v[i].signer, "there are two records for one stage");
    for (size_t i = 1; i < c->n_made; i++)
        if (strcmp(c->made[i - 1].name, c->made[i].name) == 0)
            finding_add(found, ERR_WORK, c->made[i].by->stage, c->made[i].name,
                c->made[i].by->signer, "%s claims to have made this, too",
                c->made[i - 1].by->stage);
    for (size_t i = 0; i < c->n; i++) {
        check_owner(&c->v[i], policy, found);
        check_materials(c, &c->v[i], found);
    }
    check_sources(c, found);
    check_programs(c, found);
}

const struct record *
chain_maker(const struct chain *c, const char *role,
    const struct digest **digest)
{
    const struct chain_file *f = find_made(c, role);

    if (!f)
        return NULL;
    *digest = f->digest;
    return f->by;
}

/* Does this stage speak for the model that is released? */
static bool
speaks_for(const char *stage, const char *winner)
{
    const char *dot = strchr(stage, '.');
    size_t n;

    if (!dot || str_starts(stage, "quantize.") ||
        str_starts(stage, "evaluate.baseline.") ||
        str_starts(stage, "stress.baseline."))
        return true;
    n = winner ? strlen(winner) : 0;
    return n && strncmp(dot + 1, winner, n) == 0 &&
        (dot[1 + n] == '.' || dot[1 + n] == 0);
}

/* 0 PASS, 1 anything else but FAIL, 2 FAIL */
static int
badness(const json_t *answer)
{
    const char *v = json_string_value(json_object_get(answer, "verdict"));

    if (v && strcmp(v, "PASS") == 0)
        return 0;
    return v && strcmp(v, "FAIL") == 0 ? 2 : 1;
}

json_t *
chain_answers(const struct chain *c, const char *winner)
{
    json_t *all = json_object();

    for (size_t i = 0; i < c->n; i++) {
        const char *item;
        json_t *answer;

        if (!speaks_for(c->v[i].stage, winner))
            continue;
        json_object_foreach(c->v[i].answers, item, answer) {
            const json_t *had = json_object_get(all, item);
            json_t *copy;

            if (had && badness(had) >= badness(answer))
                continue;
            copy = json_deep_copy(answer);
            json_object_set_new(copy, "evidence",
                json_sprintf("att/%s.dsse.json", c->v[i].stage));
            json_object_set_new(all, item, copy);
        }
    }
    return all;
}
