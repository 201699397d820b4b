/*
 * verify_work.c - a build folder against the records that lie in it
 *
 * The stages are those that have a stage file: a record of a stage that the
 * graph no longer has says nothing about what is there.
 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/record/stage_lines.h"
#include "lib/record/verify.h"

enum { POLICY_LIMIT = 64 << 20 };

/* A file as one record knows it. */
struct use {
    char *path; /* owned */
    const char *role;
    const struct digest *want;
    const struct record *by;
    bool made; /* a product, not a material */
};

struct work {
    struct verify *v;
    struct chain chain;
    struct stage_lines *lines; /* per stage file; owned */
    char **stages;             /* per stage file: the stage; owned */
    size_t n;
    struct use *uses; /* owned */
    size_t n_uses;
};

static const char *
str_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}

static const struct stage_lines *
lines_of(const struct work *w, const char *stage)
{
    for (size_t i = 0; i < w->n; i++)
        if (strcmp(w->stages[i], stage) == 0)
            return &w->lines[i];
    return NULL;
}

/* The stage's envelope and link into the chain. */
static void
add_record(struct work *w, const char *stage)
{
    struct verify *v = w->v;
    char *path = record_path(v->work, stage);
    char *link_path = NULL;
    struct blob envelope = { 0 }, link = { 0 };
    struct record r = { 0 };
    struct err e = { 0 }, missing = { 0 };

    if (!file_exists(path)) {
        finding_add(v->found, ERR_UNCHECKED, stage, path, "nobody",
            "the stage has left no record; run 'ninja'");
        goto done;
    }
    if (blob_read(&envelope, path, RECORD_LIMIT, &e) != 0) {
        finding_add(v->found, ERR_UNCHECKED, stage, path, "nobody", "%s",
            e.text);
        goto done;
    }
    if (record_parse(&r, envelope.p, envelope.len, path, &e) == 0) {
        link_path = record_link_path(v->work, r.stage, r.keyid);
        blob_read(&link, link_path, RECORD_LIMIT, &missing);
        if (strcmp(r.stage, stage) != 0)
            finding_add(v->found, ERR_WORK, stage, path, r.signer,
                "is the record of %s", r.stage);
    }
    chain_add(&w->chain, path, envelope.p, envelope.len,
        link_path ? link_path : path, link.p, link.len, &v->allowed, v->found);
    v->records++;
done:
    record_release(&r);
    blob_release(&envelope);
    blob_release(&link);
    free(link_path);
    free(path);
}

static void
add_stage(struct work *w, const char *name)
{
    char *path = mem_printf("%s/stages/%s", w->v->work, name);
    struct stage_lines *l = &w->lines[w->n];
    char *stage = mem_strndup(name, strlen(name) - strlen(".stage"));
    struct err e = { 0 };

    if (stage_lines_read(l, path, &e) != 0)
        finding_add(w->v->found, ERR_WORK, stage, path, "nobody", "%s", e.text);
    w->stages[w->n++] = stage;
    add_record(w, stage);
    free(path);
}

/*
 * What no record holds: the folder, and where an owner's key lies. The graph
 * writes them alike into every stage file, and the release reads all others.
 */
static void
check_alike(struct work *w, size_t i, const char *name)
{
    const char *mine = stage_lines_value(&w->lines[i], name);
    const char *signer = stage_lines_value(&w->lines[i], "signer");
    bool others = false;
    char *path;

    for (size_t k = 0; k < w->n && signer; k++) {
        const char *theirs = stage_lines_value(&w->lines[k], name);
        const char *who = stage_lines_value(&w->lines[k], "signer");

        if (k == i || !who || strcmp(who, signer) != 0)
            continue;
        if (mine && theirs && strcmp(mine, theirs) == 0)
            return;
        others = true;
    }
    if (!others)
        return; /* a signer that is wrong differs from the record */
    path = mem_printf("%s/stages/%s.stage", w->v->work, w->stages[i]);
    finding_add(w->v->found, ERR_WORK, w->stages[i], path, signer,
        "its --%s is not that of this owner's other stages; run `quern gen` "
        "again",
        name);
    free(path);
}

/* Every record was made from what its stage file says. */
static void
check_arguments(struct work *w)
{
    for (size_t i = 0; i < w->chain.n; i++) {
        const struct record *r = &w->chain.v[i];
        const struct stage_lines *l = lines_of(w, r->stage);
        char *path = mem_printf("%s/stages/%s.stage", w->v->work, r->stage);
        struct err e = { 0 };

        if (l && l->n && stage_lines_match(l, r, path, &e) != 0)
            finding_add(w->v->found, ERR_WORK, r->stage, path, r->signer, "%s",
                e.text);
        free(path);
    }
}

static void
list_uses(struct work *w)
{
    size_t total = 0;

    for (size_t i = 0; i < w->chain.n; i++)
        total +=
            w->chain.v[i].products.n + w->chain.v[i].materials.n;
    w->uses = mem_calloc(total, sizeof *w->uses);
    for (size_t i = 0; i < w->chain.n; i++) {
        const struct record *r = &w->chain.v[i];
        const struct stage_lines *l = lines_of(w, r->stage);

        for (size_t k = 0; k < r->products.n; k++) {
            const struct record_file *f = &r->products.v[k];

            w->uses[w->n_uses++] = (struct use){ path_join(w->v->work, f->name),
                f->name, &f->digest, r, true };
        }
        for (size_t k = 0; l && k < r->materials.n; k++) {
            const struct record_file *f = &r->materials.v[k];

            w->uses[w->n_uses++] =
                (struct use){ stage_lines_in(l, w->v->work, f->name), f->name,
                    &f->digest, r, false };
        }
    }
}

/* By path; who made a file comes before who read it. */
static int
by_path(const void *a, const void *b)
{
    const struct use *x = a, *y = b;
    int order = strcmp(x->path, y->path);

    if (order == 0 && x->made != y->made)
        return x->made ? -1 : 1;
    return order ? order : strcmp(x->by->stage, y->by->stage);
}

/*
 * Each file is read once, and one finding on it is enough: that readers and
 * maker agree was checked with the chain.
 */
static void
check_files(struct work *w)
{
    struct verify *v = w->v;
    char hex[DIGEST_HEX], was[DIGEST_HEX];

    if (w->n_uses)
        qsort(w->uses, w->n_uses, sizeof *w->uses, by_path);
    for (size_t i = 0; i < w->n_uses; i++) {
        const struct use *u = &w->uses[i];
        struct digest got;
        struct err e = { 0 };
        uint64_t bytes = 0;

        if (i > 0 && strcmp(w->uses[i - 1].path, u->path) == 0)
            continue;
        if (digest_file(&got, &bytes, u->path, &e) != 0)
            finding_add(v->found, ERR_UNCHECKED, u->by->stage, u->path,
                u->by->signer, "%s", e.text);
        else if (!digest_equal(&got, u->want))
            finding_add(v->found, ERR_WORK, u->by->stage, u->path,
                u->by->signer, "has sha256 %s, signed was %s; %s",
                digest_hex(&got, hex), digest_hex(u->want, was),
                u->made ? "remove it and run 'ninja' again"
                        : "put it back, or run 'ninja' for the new one");
        v->files++;
        v->bytes += bytes;
    }
}

/* The production sample stays outside; its profile names it by digest. */
static void
check_traffic(struct work *w)
{
    const struct stage_lines *l = lines_of(w, "traffic");
    const char *path = l ? stage_lines_path(l, "src", "traffic") : NULL;
    const struct digest *unused;
    const struct record *by = chain_maker(&w->chain, "traffic.json", &unused);
    char *profile_path = path_join(w->v->work, "traffic.json");
    struct err e = { 0 };
    json_t *profile = NULL;
    struct digest got;
    char hex[DIGEST_HEX];
    uint64_t bytes = 0;

    /* a profile that cannot be read was found with the other files */
    if (path && by)
        profile = json_read(profile_path, POLICY_LIMIT, NULL, &e);
    if (profile && digest_file(&got, &bytes, path, &e) != 0)
        finding_add(w->v->found, ERR_UNCHECKED, "traffic", path, by->signer,
            "%s", e.text);
    else if (profile &&
        strcmp(digest_hex(&got, hex),
            str_of(profile, "source_sha256")) != 0)
        finding_add(w->v->found, ERR_WORK, "traffic", path, by->signer,
            "is not the sample that traffic.json describes; put it back, or "
            "run 'ninja' for the new one");
    w->v->files += profile != NULL;
    w->v->bytes += bytes;
    json_decref(profile);
    free(profile_path);
}

static int
is_stage_file(const struct dirent *d)
{
    return d->d_name[0] != '.' && str_ends(d->d_name, ".stage");
}

static void
work_release(struct work *w)
{
    for (size_t i = 0; i < w->n; i++) {
        stage_lines_release(&w->lines[i]);
        free(w->stages[i]);
    }
    for (size_t i = 0; i < w->n_uses; i++)
        free(w->uses[i].path);
    free(w->lines);
    free(w->stages);
    free(w->uses);
    chain_release(&w->chain);
}

void
verify_work(struct verify *v)
{
    struct work w = { .v = v };
    struct dirent **names = NULL;
    char *folder = path_join(v->work, "stages");
    char *policy_path = path_join(v->work, "policy.json");
    struct err e = { 0 };
    json_t *policy = json_read(policy_path, POLICY_LIMIT, NULL, &e);
    int n = scandir(folder, &names, is_stage_file, alphasort);

    if (!policy)
        finding_add(v->found, ERR_UNCHECKED, "team.answers", policy_path,
            "nobody", "%s", e.text);
    if (n <= 0)
        finding_add(v->found, ERR_UNCHECKED, "team.answers", folder, "nobody",
            "holds no stages; make the graph with `quern gen`");
    w.lines = mem_calloc(n > 0 ? (size_t)n : 0, sizeof *w.lines);
    w.stages = mem_calloc(n > 0 ? (size_t)n : 0, sizeof *w.stages);
    for (int i = 0; i < n; i++) {
        add_stage(&w, names[i]->d_name);
        free(names[i]);
    }
    free(names);
    if (policy)
        chain_check(&w.chain, policy, v->found);
    check_arguments(&w);
    for (size_t i = 0; i < w.n; i++) {
        check_alike(&w, i, "dir");
        check_alike(&w, i, "key");
    }
    list_uses(&w);
    check_files(&w);
    check_traffic(&w);
    work_release(&w);
    json_decref(policy);
    free(folder);
    free(policy_path);
}
