/*
 * verify.c - one release, from its commit to the base model
 */
#include "lib/record/verify.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/record/items.h"
#include "lib/record/lfs.h"
#include "lib/record/stage_lines.h"
#include "lib/record/store.h"
#include "lib/record/waiver.h"

/* One file of a release's tree, in memory. */
struct tree_file {
    char *path, *data; /* owned */
    size_t len;
    struct digest digest; /* of the object where data is a pointer */
    uint64_t bytes;
    bool lfs;
    bool listed; /* the manifest names it */
};

/* A release while it is checked. */
struct checked {
    struct verify *v;
    struct tree_file *files; /* owned, sorted by path */
    size_t n, cap;
    json_t *manifest, *policy, *decision;
    struct chain chain;
    const char *label; /* "release 1" */
    const char *who;   /* signed the commit; "nobody" */
    bool baseline;     /* release 0 */
};

static const char *
str_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}

static int
take_file(void *ctx, const char *path, unsigned mode, const void *data,
    size_t len, struct err *e)
{
    struct checked *k = ctx;
    struct tree_file *f;

    if (!data) {
        finding_add(k->v->found, ERR_WORK, k->label, path, k->who, "%s",
            e->text);
        err_clear(e);
        return 0;
    }
    if (mode != 0100644)
        finding_add(k->v->found, ERR_WORK, k->label, path, k->who,
            "has mode %o; a release holds plain files only", mode);
    /* it could send `git lfs` elsewhere, or tell it to check nothing */
    if (strcmp(path_base(path), ".lfsconfig") == 0)
        finding_add(k->v->found, ERR_WORK, k->label, path, k->who,
            "does not belong into a release");
    if (k->n == k->cap) {
        k->cap = k->cap ? 2 * k->cap : 64;
        k->files = mem_realloc(k->files, k->cap, sizeof *k->files);
    }
    f = &k->files[k->n++];
    memset(f, 0, sizeof *f);
    f->path = mem_strdup(path);
    f->data = mem_strndup(data, len);
    f->len = len;
    f->digest = digest_of(data, len);
    f->bytes = len;
    if (str_starts(path, "artifact/") &&
        lfs_pointer_parse(data, len, &f->digest, &f->bytes))
        f->lfs = true;
    return 0;
}

static int
by_path(const void *a, const void *b)
{
    return strcmp(((const struct tree_file *)a)->path,
        ((const struct tree_file *)b)->path);
}

static int
match_path(const void *path, const void *file)
{
    return strcmp(path, ((const struct tree_file *)file)->path);
}

static struct tree_file *
find_file(const struct checked *k, const char *path)
{
    return k->n ?
        bsearch(path, k->files, k->n, sizeof *k->files, match_path) : NULL;
}

/* The parsed file, or NULL after a finding. */
static json_t *
tree_json(struct checked *k, const char *path, bool required)
{
    struct tree_file *f = find_file(k, path);
    struct err e = { 0 };
    json_t *v = f ? json_parse(f->data, f->len, path, &e) : NULL;

    if (!v && (f || required))
        finding_add(k->v->found, ERR_WORK, k->label, path, k->who, "%s",
            f ? e.text : "is missing from the release");
    return v;
}

/* Both ways: every listed file is there with its bytes, and no other. */
static void
check_manifest(struct checked *k)
{
    const json_t *row;
    size_t i;

    json_array_foreach(json_object_get(k->manifest, "files"), i, row) {
        struct tree_file *f = find_file(k, str_of(row, "path"));
        char hex[DIGEST_HEX];

        if (!f) {
            finding_add(k->v->found, ERR_WORK, k->label, str_of(row, "path"),
                k->who, "the manifest names it, the tree does not have it");
            continue;
        }
        f->listed = true;
        k->v->files++;
        if (strcmp(digest_hex(&f->digest, hex), str_of(row, "sha256")) != 0 ||
            f->lfs != json_is_true(json_object_get(row, "lfs")))
            finding_add(k->v->found, ERR_WORK, k->label, f->path, k->who,
                "has sha256 %s, the manifest says %s", hex,
                str_of(row, "sha256"));
    }
    for (i = 0; i < k->n; i++)
        if (!k->files[i].listed && strcmp(k->files[i].path, "manifest.json"))
            finding_add(k->v->found, ERR_WORK, k->label, k->files[i].path,
                k->who, "the manifest does not name it");
}

static void
read_records(struct checked *k)
{
    for (size_t i = 0; i < k->n; i++) {
        struct tree_file *f = &k->files[i];
        struct record r = { 0 };
        struct err e = { 0 };
        struct tree_file *link = NULL;
        char *name = NULL;

        if (!str_starts(f->path, "att/") || !str_ends(f->path, ".dsse.json"))
            continue;
        if (record_parse(&r, f->data, f->len, f->path, &e) == 0) {
            name = mem_printf("att/%s.%.8s.link", r.stage, r.keyid);
            link = find_file(k, name);
        }
        chain_add(&k->chain, f->path, f->data, f->len, name ? name : f->path,
            link ? link->data : NULL, link ? link->len : 0, &k->v->allowed,
            k->v->found);
        k->v->records++;
        free(name);
        record_release(&r);
    }
}

/* Files that records made or read, as the tree holds them. */
static void
check_bytes(struct checked *k)
{
    for (size_t i = 0; i < k->chain.n; i++) {
        const struct record *r = &k->chain.v[i];
        const struct record_files *lists[] = { &r->products, &r->materials };

        for (size_t l = 0; l < countof(lists); l++)
            for (size_t j = 0; j < lists[l]->n; j++) {
                const struct record_file *want = &lists[l]->v[j];
                struct tree_file *f = find_file(k, want->name);

                if (f && !digest_equal(&f->digest, &want->digest))
                    finding_add(k->v->found, ERR_WORK, r->stage, f->path,
                        r->signer, "is not the file that this stage %s",
                        l == 0 ? "made" : "read");
            }
    }
}

/* The stage files that were released must say what the records say. */
static void
check_arguments(struct checked *k)
{
    for (size_t i = 0; i < k->chain.n; i++) {
        const struct record *r = &k->chain.v[i];
        char *path = mem_printf("stages/%s.stage", r->stage);
        struct tree_file *f = find_file(k, path);
        struct stage_lines lines = { 0 };
        struct err e = { 0 };

        if (!f)
            err_set(&e, ERR_WORK, "is missing from the release");
        else if (stage_lines_parse(&lines, f->data, f->len, path, &e) == 0)
            stage_lines_match(&lines, r, path, &e);
        if (e.code)
            finding_add(k->v->found, ERR_WORK, r->stage, path, r->signer, "%s",
                e.text);
        stage_lines_release(&lines);
        free(path);
    }
}

/* The commit belongs to the owner of the phase that releases. */
static void
check_committer(struct checked *k, const struct git_commit *c)
{
    const char *owner = str_of(
        json_object_get(json_object_get(k->policy, "owners"), "ship"),
        "principal");
    char *name = mem_printf("commit %.10s", c->oid);

    /* a signature that does not hold was reported with the history */
    if (k->policy && strcmp(k->who, "nobody") != 0 &&
        strcmp(k->who, owner) != 0)
        finding_add(k->v->found, ERR_WORK, "team.owners", name, k->who,
            "releases belong to %s, who did not sign this", owner);
    free(name);
}

/* The shipped file is what assemble made of the winner. */
static void
check_artifact(struct checked *k)
{
    const char *winner = str_of(k->manifest, "winner");
    char *role = mem_printf("cand/%s/model.gguf", winner);
    struct tree_file *f = find_file(k, "artifact/model.gguf");
    const struct digest *made = NULL;
    const struct record *by = chain_maker(&k->chain, role, &made);

    if (!f || !f->lfs)
        finding_add(k->v->found, ERR_WORK, "convert.serving-format",
            "artifact/model.gguf", "nobody", "is missing or is no LFS pointer");
    else if (!by)
        finding_add(k->v->found, ERR_WORK, "convert.serving-format", role,
            "nobody", "no record says who made the artifact");
    else if (!digest_equal(&f->digest, made))
        finding_add(k->v->found, ERR_WORK, "convert.serving-format",
            "artifact/model.gguf", by->signer,
            "is not the model that %s made", by->stage);
    free(role);
}

/* True the first time: releases share objects, and reading one takes long. */
static bool
is_new_object(struct verify *v, const char *where, const struct digest *d)
{
    char hex[DIGEST_HEX];
    char *name = mem_printf("%s %s", where, digest_hex(d, hex));

    for (size_t i = 0; i < v->n_objects_seen; i++)
        if (strcmp(v->objects_seen[i], name) == 0) {
            free(name);
            return false;
        }
    v->objects_seen = mem_realloc(v->objects_seen, v->n_objects_seen + 1,
        sizeof *v->objects_seen);
    v->objects_seen[v->n_objects_seen++] = name;
    return true;
}

/* LFS objects, read back. */
static void
check_objects(struct checked *k)
{
    for (size_t i = 0; i < k->n; i++) {
        struct tree_file *f = &k->files[i];
        struct err e = { 0 };

        if (!f->lfs || !is_new_object(k->v, "lfs", &f->digest))
            continue;
        k->v->objects++;
        k->v->bytes += f->bytes;
        if (lfs_check(git_repo_dir(k->v->repo), &f->digest, f->bytes, &e) != 0)
            finding_add(k->v->found, e.code, k->label, f->path, k->who, "%s",
                e.text);
    }
}

/* One file of the base model, in the archive. */
static void
check_stored(struct checked *k, const char *name, const struct digest *d,
    uint64_t bytes, const char *signer)
{
    struct err e = { 0 };

    if (!k->v->store || !is_new_object(k->v, "store", d))
        return;
    k->v->objects++;
    k->v->bytes += bytes;
    if (store_check(k->v->store, d, bytes, &e) != 0)
        finding_add(k->v->found, e.code, "ship.archive", name, signer, "%s",
            e.text);
}

/* The same file in the checkpoint folder, as it lies there now. */
static void
check_checkpoint(struct checked *k, const char *name, const struct digest *d,
    const char *signer)
{
    char *path, *dir;
    struct digest got;
    struct err e = { 0 };
    uint64_t n = 0;

    if (!k->v->base || !is_new_object(k->v, name, d))
        return;
    dir = path_folder(k->v->base);
    path = path_join(dir, name);
    free(dir);
    if (digest_file(&got, &n, path, &e) != 0)
        finding_add(k->v->found, ERR_UNCHECKED, "after.triggers", path, signer,
            "%s", e.text);
    else if (!digest_equal(&got, d))
        finding_add(k->v->found, ERR_WORK, "after.triggers", path, signer,
            "is not the base model that was released; restore it, or run "
            "'ninja' for the new one");
    k->v->files++;
    k->v->bytes += n;
    free(path);
}

/* Release 0 ships the archived files themselves. */
static void
check_baseline(struct checked *k, const char *name, const struct digest *d,
    const char *signer)
{
    char *path = mem_printf("artifact/%s", name);
    struct tree_file *f = find_file(k, path);

    if (!f || !digest_equal(&f->digest, d))
        finding_add(k->v->found, ERR_WORK, "ship.rollback", path, signer,
            f ? "is not the file that was archived"
              : "is missing from release 0");
    free(path);
}

/*
 * The base model: what the fingerprint names is what was archived, what lies
 * in the archive, and, for the release that is live, in the checkpoint folder.
 */
static void
check_archive(struct checked *k, bool live)
{
    json_t *archive = tree_json(k, "archive.json", true);
    json_t *model = tree_json(k, "base/model.fp.json", true);
    const json_t *named = json_object_get(model, "files"), *row;
    const struct digest *unused;
    const struct record *by = chain_maker(&k->chain, "archive.json", &unused);
    const char *signer = by ? by->signer : "nobody";
    size_t i, rows = json_array_size(json_object_get(archive, "files"));

    if (rows != json_object_size(named))
        finding_add(k->v->found, ERR_WORK, "ship.archive", "archive.json",
            signer, "holds %zu files, the fingerprint names %zu", rows,
            json_object_size(named));
    json_array_foreach(json_object_get(archive, "files"), i, row) {
        const char *name = str_of(row, "name"), *hex = str_of(row, "sha256");
        uint64_t bytes =
            (uint64_t)json_integer_value(json_object_get(row, "bytes"));
        struct digest d;

        if (!path_is_plain(name) || !digest_parse(&d, hex) ||
            strcmp(str_of(json_object_get(named, name), "sha256"), hex) != 0) {
            finding_add(k->v->found, ERR_WORK, "ship.archive", "archive.json",
                signer, "'%s' is not the file that the fingerprint names",
                name);
            continue;
        }
        check_stored(k, name, &d, bytes, signer);
        if (live)
            check_checkpoint(k, name, &d, signer);
        if (k->baseline)
            check_baseline(k, name, &d, signer);
    }
    if (!k->v->store && live)
        finding_add(k->v->found, ERR_UNCHECKED, "ship.archive", "archive.json",
            signer, "no archive was given to read the base model from; use -a");
    json_decref(model);
    json_decref(archive);
}

static const char *
waiver_signature(void *ctx, const char *item, size_t *n)
{
    char *path = mem_printf("waiver/%s.sig", item);
    struct tree_file *f = find_file(ctx, path);

    free(path);
    *n = f ? f->len : 0;
    return f ? f->data : NULL;
}

/*
 * Items: PASS or validly waived on the day of the commit, and the three that
 * may never be waived by a signed record of their own.
 */
static void
check_items(struct checked *k, int64_t day)
{
    json_t *answers = chain_answers(&k->chain, str_of(k->manifest, "winner"));
    json_t *waivers =
        waivers_check(k->policy, &k->v->allowed, day, waiver_signature, k);
    struct items items = { 0 };
    struct err e = { 0 };
    const char *here[] = { "ship.rollback", "team.required" };

    /* shown by the history and the ledger, which were walked */
    for (size_t i = 0; i < countof(here); i++)
        json_object_set_new(answers, here[i],
            json_pack("{s:s, s:s}", "verdict", "PASS", "figure", "history"));
    if (items_judge(&items, k->policy, k->decision, answers, waivers, &e) !=
            0 ||
        items_insist(&items, k->policy, answers, &e) != 0)
        finding_add(k->v->found, ERR_WORK, k->label, "policy.json", k->who,
            "%s", e.text);
    for (size_t i = 0; i < items.n; i++) {
        const struct item *item = &items.v[i];

        if (item->verdict != ITEM_PASS && item->verdict != ITEM_WAIVED)
            finding_add(k->v->found, ERR_WORK, item->id,
                item->evidence ? item->evidence : "policy.json", item->owner,
                "%s: %s", item_verdict_name(item->verdict), item->figure);
    }
    items_release(&items);
    json_decref(waivers);
    json_decref(answers);
}

static void
check_contents(struct checked *k, const struct git_commit *c)
{
    check_manifest(k);
    k->policy = tree_json(k, "policy.json", true);
    k->decision = tree_json(k, "decision.json", !k->baseline);
    read_records(k);
    chain_check(&k->chain, k->policy, k->v->found);
    check_committer(k, c);
    check_bytes(k);
    check_arguments(k);
    check_objects(k);
    check_archive(k, strcmp(c->oid, k->v->refs.live_oid) == 0);
    if (!k->baseline) {
        check_artifact(k);
        check_items(k, c->time);
    }
}

void
verify_release(struct verify *v, const char *oid)
{
    struct checked k = { .v = v, .who = "nobody" };
    struct git_commit c = { 0 };
    struct err e = { 0 }, unsigned_ = { 0 };
    struct digest d;
    char keyid[DIGEST_HEX];
    const char *who;
    char *label = NULL;

    k.manifest = release_manifest(v->repo, oid, &d, &e);
    if (!k.manifest || git_commit_read(v->repo, oid, &c, &e) != 0)
        goto done; /* the history has this finding */
    label = mem_printf("release %lld",
        (long long)json_integer_value(json_object_get(k.manifest, "number")));
    k.label = label;
    k.baseline = strcmp(label, "release 0") == 0;
    who = verify_signer(v, &c, keyid, &unsigned_);
    if (who)
        k.who = who;
    if (git_commit_walk(v->repo, oid, take_file, &k, &e) != 0) {
        char *name = mem_printf("commit %.10s", oid);

        /* half a tree would only give findings about the other half */
        finding_add(v->found, ERR_WORK, label, name, k.who, "%s", e.text);
        free(name);
        goto done;
    }
    if (k.n)
        qsort(k.files, k.n, sizeof *k.files, by_path);
    check_contents(&k, &c);

done:
    for (size_t i = 0; i < k.n; i++) {
        free(k.files[i].path);
        free(k.files[i].data);
    }
    free(k.files);
    chain_release(&k.chain);
    json_decref(k.decision);
    json_decref(k.policy);
    json_decref(k.manifest);
    git_commit_release(&c);
    free(label);
}
