#include "lib/record/verify.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/record/items.h"
#include "lib/record/lfs.h"
#include "lib/record/sshsig.h"
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
    struct tree_file *files; /* owned, in path order */
    size_t n, cap;
    json_t *manifest, *policy, *decision;
    struct chain chain;
    const char *label; /* "release 1" */
};

static const char *
str_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}

/* ---- history ---- */

/* The commit's signature, by anyone allowed to sign in namespace git. */
static void
check_commit(struct verify *v, const struct git_commit *c)
{
    char *name = mem_printf("commit %.10s", c->oid);
    const char *who = NULL;
    struct pubkey key;
    struct err e = { 0 };

    v->commits++;
    if (!c->signature) {
        finding_add(v->found, ERR_WORK, "team.owners", name, "nobody",
            "is not signed");
    } else if (sshsig_signer(&key, "git", c->signed_bytes, c->signed_len,
                   c->signature, strlen(c->signature), name, &e) != 0) {
        finding_add(v->found, ERR_WORK, "team.owners", name, "nobody", "%s",
            e.text);
    } else {
        who = signers_principal(&v->allowed, &key);
        if (!who || !signers_has(&v->allowed, who, "git", &key))
            finding_add(v->found, ERR_WORK, "team.owners", name,
                who ? who : "nobody",
                "signed by a key that allowed_signers does not allow to commit");
    }
    if (c->n_parents > 1)
        finding_add(v->found, ERR_WORK, "team.required", name, who ? who : "?",
            "is a merge; releases are linear");
    free(name);
}

/* Reads a commit and reports what is wrong with it. False: it has no text. */
static bool
read_commit(struct verify *v, const char *oid, struct git_commit *c)
{
    struct err e = { 0 };

    if (git_commit_read(v->repo, oid, c, &e) != 0) {
        finding_add(v->found, ERR_WORK, "team.required", oid, "nobody", "%s",
            e.text);
        return false;
    }
    check_commit(v, c);
    return true;
}

/* Down the release ref: numbers count down to 0, digests link backwards. */
static void
check_releases(struct verify *v)
{
    char at[GIT_OID_TEXT];
    json_t *above = NULL;
    bool live_seen = false;

    memcpy(at, v->refs.release_oid, sizeof at);
    while (at[0]) {
        struct git_commit c = { 0 };
        struct err e = { 0 };
        struct digest d;
        char hex[DIGEST_HEX];
        json_t *m = release_manifest(v->repo, at, &d, &e);

        if (!m)
            finding_add(v->found, ERR_WORK, "team.required", at, "nobody", "%s",
                e.text);
        else if (above &&
            (strcmp(str_of(above, "previous"), digest_hex(&d, hex)) != 0 ||
                json_integer_value(json_object_get(above, "number")) !=
                    json_integer_value(json_object_get(m, "number")) + 1))
            finding_add(v->found, ERR_WORK, "team.required", at, "nobody",
                "the release after it names another one as its predecessor");
        live_seen = live_seen || strcmp(at, v->refs.live_oid) == 0;
        if (!read_commit(v, at, &c))
            c.parent[0] = 0;
        memcpy(at, c.parent, sizeof at);
        git_commit_release(&c);
        if (!at[0] && m && json_integer_value(json_object_get(m, "number")) != 0)
            finding_add(v->found, ERR_WORK, "ship.rollback", "release ref",
                "nobody", "does not go back to release 0");
        json_decref(above);
        above = m;
        if (!m)
            break;
    }
    json_decref(above);
    if (!live_seen)
        finding_add(v->found, ERR_WORK, "team.required", v->refs.live, "nobody",
            "names no commit of %s", v->refs.release);
}

/* The last line of the ledger must name what is live. */
static void
check_ledger(struct verify *v)
{
    struct git_commit c = { 0 };
    struct err e = { 0 };
    char *text = NULL;
    const char *last;
    json_t *entry = NULL;

    if (!v->refs.ledger_oid[0] || !read_commit(v, v->refs.ledger_oid, &c) ||
        ledger_read(v->repo, &v->refs, &text, &e) != 0 || !*text) {
        finding_add(v->found, ERR_WORK, "team.required", v->refs.ledger,
            "nobody", "%s", e.code ? e.text : "there is no ledger");
        goto done;
    }
    for (last = text + strlen(text) - 1; last > text && last[-1] != '\n';)
        last--;
    entry = json_parse(last, strlen(last), "ledger.jsonl", &e);
    if (strcmp(str_of(entry, "commit"), v->refs.live_oid) != 0)
        finding_add(v->found, ERR_WORK, "team.required", v->refs.live, "nobody",
            "is %.10s, but the ledger's last line says %.10s: it was moved by "
            "hand, or a move was cut short; run `quern rollback` or the release "
            "again",
            v->refs.live_oid, str_of(entry, "commit"));
done:
    json_decref(entry);
    git_commit_release(&c);
    free(text);
}

void
verify_history(struct verify *v)
{
    if (!v->refs.release_oid[0]) {
        finding_add(v->found, ERR_UNCHECKED, "ship.rollback", v->refs.release,
            "nobody", "there is no release yet; run the graph");
        return;
    }
    check_releases(v);
    check_ledger(v);
}

/* ---- one release ---- */

static int
take_file(void *ctx, const char *path, unsigned mode, const void *data,
    size_t len, struct err *e)
{
    struct checked *k = ctx;
    struct tree_file *f;

    (void)e;
    if (mode != 0100644)
        finding_add(k->v->found, ERR_WORK, "team.required", path, "nobody",
            "has mode %o; a release holds plain files only", mode);
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

static struct tree_file *
find_file(const struct checked *k, const char *path)
{
    for (size_t i = 0; i < k->n; i++)
        if (strcmp(k->files[i].path, path) == 0)
            return &k->files[i];
    return NULL;
}

/* The parsed file, or NULL after a finding. */
static json_t *
tree_json(struct checked *k, const char *path, bool required)
{
    struct tree_file *f = find_file(k, path);
    struct err e = { 0 };
    json_t *v = f ? json_parse(f->data, f->len, path, &e) : NULL;

    if (!v && (f || required))
        finding_add(k->v->found, ERR_WORK, k->label, path, "nobody", "%s",
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
                "nobody", "the manifest names it, the tree does not have it");
            continue;
        }
        f->listed = true;
        k->v->files++;
        if (strcmp(digest_hex(&f->digest, hex), str_of(row, "sha256")) != 0 ||
            f->lfs != json_is_true(json_object_get(row, "lfs")))
            finding_add(k->v->found, ERR_WORK, k->label, f->path, "nobody",
                "has sha256 %s, the manifest says %s", hex,
                str_of(row, "sha256"));
    }
    for (i = 0; i < k->n; i++)
        if (!k->files[i].listed && strcmp(k->files[i].path, "manifest.json"))
            finding_add(k->v->found, ERR_WORK, k->label, k->files[i].path,
                "nobody", "the manifest does not name it");
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

/*
 * Files that records made or read, as the tree holds them. A stage file's own
 * text is among what records read.
 */
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

/* LFS objects, read back. */
static void
check_objects(struct checked *k)
{
    for (size_t i = 0; i < k->n; i++) {
        struct tree_file *f = &k->files[i];
        struct err e = { 0 };

        if (!f->lfs)
            continue;
        k->v->objects++;
        k->v->bytes += f->bytes;
        if (lfs_check(git_repo_dir(k->v->repo), &f->digest, f->bytes, &e) != 0)
            finding_add(k->v->found, e.code, k->label, f->path, "nobody", "%s",
                e.text);
    }
}

/* The base model: in the archive, and where a checkpoint folder is given. */
static void
check_archive(struct checked *k)
{
    json_t *archive = tree_json(k, "archive.json", true);
    const json_t *row;
    size_t i;

    json_array_foreach(json_object_get(archive, "files"), i, row) {
        struct digest d, got;
        uint64_t n, bytes =
            (uint64_t)json_integer_value(json_object_get(row, "bytes"));
        struct err e = { 0 };
        char *path;

        if (!digest_parse(&d, str_of(row, "sha256")) ||
            !path_is_plain(str_of(row, "name")))
            continue; /* the receipt's own digest is checked elsewhere */
        if (k->v->store) {
            k->v->objects++;
            k->v->bytes += bytes;
            if (store_check(k->v->store, &d, bytes, &e) != 0)
                finding_add(k->v->found, e.code, "ship.archive",
                    str_of(row, "name"), "nobody", "%s", e.text);
        }
        if (!k->v->base)
            continue;
        path = path_join(k->v->base, str_of(row, "name"));
        err_clear(&e);
        if (digest_file(&got, &n, path, &e) != 0)
            finding_add(k->v->found, ERR_UNCHECKED, "after.triggers", path,
                "nobody", "%s", e.text);
        else if (!digest_equal(&got, &d))
            finding_add(k->v->found, ERR_WORK, "after.triggers", path, "nobody",
                "is not the base model that was released; restore it, or run "
                "'ninja' for the new one");
        free(path);
    }
    if (!k->v->store)
        finding_add(k->v->found, ERR_UNCHECKED, "ship.archive", "archive.json",
            "nobody", "no archive was given to read the base model from; use -a");
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
    if (items_judge(&items, k->policy, k->decision, answers, waivers, &e) != 0)
        finding_add(k->v->found, ERR_WORK, k->label, "policy.json", "nobody",
            "%s", e.text);
    for (size_t i = 0; i < items.n; i++) {
        const struct item *item = &items.v[i];

        if (item->verdict != ITEM_PASS && item->verdict != ITEM_WAIVED)
            finding_add(k->v->found, ERR_WORK, item->id,
                item->evidence ? item->evidence : "policy.json", item->owner,
                "%s: %s", item_verdict_name(item->verdict), item->figure);
        if (item->never_waivable && strcmp(item->id, "ship.rollback") != 0 &&
            !json_object_get(answers, item->id))
            finding_add(k->v->found, ERR_WORK, item->id, "att/", item->owner,
                "no signed record answers this item, which may never be waived");
    }
    items_release(&items);
    json_decref(waivers);
    json_decref(answers);
}

static void
check_contents(struct checked *k, const struct git_commit *c)
{
    bool baseline =
        json_integer_value(json_object_get(k->manifest, "number")) == 0;

    check_manifest(k);
    k->policy = tree_json(k, "policy.json", true);
    k->decision = tree_json(k, "decision.json", !baseline);
    read_records(k);
    chain_check(&k->chain, k->policy, k->v->found);
    check_bytes(k);
    check_objects(k);
    check_archive(k);
    if (!baseline) {
        check_artifact(k);
        check_items(k, c->time);
    }
}

void
verify_release(struct verify *v, const char *oid)
{
    struct checked k = { .v = v };
    struct git_commit c = { 0 };
    struct err e = { 0 };
    struct digest d;
    char *label = NULL;

    k.manifest = release_manifest(v->repo, oid, &d, &e);
    if (!k.manifest || git_commit_read(v->repo, oid, &c, &e) != 0) {
        finding_add(v->found, ERR_WORK, "team.required", oid, "nobody", "%s",
            e.text);
        goto done;
    }
    label = mem_printf("release %lld",
        (long long)json_integer_value(json_object_get(k.manifest, "number")));
    k.label = label;
    if (git_commit_walk(v->repo, oid, take_file, &k, &e) != 0)
        finding_add(v->found, ERR_WORK, label, oid, "nobody", "%s", e.text);
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
