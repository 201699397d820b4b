/*
 * quern-release - commit the decision, the records and the artifact, signed
 *
 * Refuses unless every item of the policy is PASS or validly waived and every
 * record fits the others. The first release is preceded by release 0, the
 * archived full-precision model, so that a rollback always has a target. Before
 * `live` moves, the rollback is rehearsed on refs of its own and timed.
 *
 * Killed at any moment, the next run finishes a move of refs that was cut short,
 * finds its own commit by the manifest, and carries on.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/record/chain.h"
#include "lib/record/items.h"
#include "lib/record/release.h"
#include "lib/record/signers.h"
#include "lib/record/stage.h"
#include "lib/record/store.h"
#include "lib/record/waiver.h"

static const char *const params[] = { "author-name", "author-mail",
    "repository-ref", NULL };
static const char *const ins[] = { "!policy.json", "!decision.json",
    "!report.html", "!archive.json", "!keys/allowed_signers", "base/*", "att/*",
    "stages/*", "cand/*", "eval/*", "gate/*", "bench/*", "quant/*", "corpus/*",
    "stats/*", "waiver/*", "hardware.json", "traffic.json", "report.json",
    NULL };
static const char *const dsts[] = { "!store", "!repository", NULL };
static const char *const outs[] = { "!release.json", NULL };

static const char default_prefix[] = "refs/heads/quern";

/*
 * The release that release.json names must still be in the repository, whole.
 * Whether it is live is another matter: it may have been rolled back.
 */
static bool
still(struct stage *s, struct str *why)
{
    char *path = path_join(s->dir, "release.json");
    const char *prefix = stage_param(s, "repository-ref");
    struct release_refs refs = { 0 };
    struct git_repo *repo = NULL;
    struct err e = { 0 };
    struct digest d;
    json_t *receipt = json_read(path, 1 << 20, NULL, &e), *manifest = NULL;
    const char *oid = json_string_value(json_object_get(receipt, "commit"));
    bool ok = false;

    if (oid &&
        git_repo_open(&repo, stage_dst(s, "repository"), false, &e) == 0 &&
        release_refs_read(&refs, repo, prefix ? prefix : default_prefix, &e) ==
            0 &&
        refs.live_oid[0] && release_reachable(repo, &refs, oid, &e) &&
        (manifest = release_manifest(repo, oid, &d, &e)))
        ok = release_artifacts(repo, manifest, &e) == 0;
    if (!ok)
        str_addf(why, "the repository does not hold the release%s%s",
            e.code ? ": " : "", e.text);
    release_refs_free(&refs);
    git_repo_close(repo);
    json_decref(manifest);
    json_decref(receipt);
    free(path);
    return ok;
}

static const struct stage_spec spec = {
    .step = "release",
    .purpose = "commit the decision, the records and the artifact, signed",
    .params = params,
    .ins = ins,
    .dsts = dsts,
    .outs = outs,
    .still = still,
};

/* Everything a release needs to know, read once. */
struct job {
    struct stage *s;
    json_t *policy, *decision, *archive;
    const char *name, *winner;
    struct signers allowed;
    struct chain chain;
    struct git_repo *repo;
    struct release_refs refs;
    struct release_author who;
};

static void
job_release(struct job *j)
{
    release_refs_free(&j->refs);
    git_repo_close(j->repo);
    chain_release(&j->chain);
    signers_release(&j->allowed);
    json_decref(j->archive);
    json_decref(j->decision);
    json_decref(j->policy);
}

/* The first finding becomes the error. */
static void
first_finding(void *ctx, const struct finding *f)
{
    err_set(ctx, ERR_WORK, "%s: %s, signed by %s: %s", f->file, f->item,
        f->signer, f->reason);
}

/* Reads every record among the inputs and checks that they fit together. */
static int
read_chain(struct job *j, struct err *e)
{
    struct findings found = { .report = first_finding, .ctx = e };
    const struct stage_file *f;
    size_t i = 0;

    while ((f = stage_in_next(j->s, "att/", &i))) {
        struct record r = { 0 };
        const struct stage_file *link;
        char *link_name;

        if (!str_ends(f->role, ".dsse.json"))
            continue;
        if (record_parse(&r, (const char *)f->map.p, f->map.len, f->path, e)) {
            record_release(&r);
            return e->code;
        }
        link_name = mem_printf("att/%s.%.8s.link", r.stage, r.keyid);
        link = stage_in(j->s, link_name);
        chain_add(&j->chain, f->role, (const char *)f->map.p, f->map.len,
            link_name, link ? (const char *)link->map.p : NULL,
            link ? link->map.len : 0, &j->allowed, &found);
        free(link_name);
        record_release(&r);
        if (e->code)
            return e->code;
    }
    chain_check(&j->chain, j->policy, &found);
    return e->code;
}

/* Every input that a record made must be the bytes that it made. */
static int
check_inputs(struct job *j, struct err *e)
{
    for (size_t i = 0; i < j->s->in.n; i++) {
        const struct stage_file *f = &j->s->in.v[i];
        const struct digest *d = NULL;
        const struct record *by = chain_maker(&j->chain, f->role, &d);

        if (by && !digest_equal(d, &f->digest))
            return err_set(e, ERR_WORK,
                "%s: is not what %s made, signed by %s; run 'ninja' again",
                f->path, by->stage, by->signer);
    }
    return 0;
}

/* waivers_check's way to a signature: the input waiver/ITEM.sig. */
static const char *
waiver_signature(void *ctx, const char *item, size_t *n)
{
    struct stage *s = ctx;
    char *role = mem_printf("waiver/%s.sig", item);
    const struct stage_file *f = stage_in(s, role);

    free(role);
    *n = f ? f->map.len : 0;
    return f ? (const char *)f->map.p : NULL;
}

/* No release while an item is open: the message names them all. */
static int
check_items(struct job *j, struct err *e)
{
    json_t *answers = chain_answers(&j->chain, j->winner);
    json_t *waivers = waivers_check(j->policy, &j->allowed, time(NULL),
        waiver_signature, j->s);
    struct items items = { 0 };

    /* the rehearsal below is what answers this one */
    json_object_set_new(answers, "ship.rollback",
        json_pack("{s:s, s:s}", "verdict", "PASS", "figure",
            "rehearsed before live moves"));
    json_object_set_new(answers, "team.required",
        json_pack("{s:s, s:s}", "verdict", "PASS", "figure",
            "this stage moves live"));
    if (items_judge(&items, j->policy, j->decision, answers, waivers, e) == 0 &&
        (!j->winner || items_insist(&items, j->policy, answers, e) == 0) &&
        items.open > 0) {
        char *open = items_open_text(&items);

        err_set(e, ERR_WORK, "policy '%s': no release: %s", j->name, open);
        free(open);
    }
    if (!e->code && !j->winner)
        err_set(e, ERR_WORK, "policy '%s': no release: no candidate won",
            j->name);
    items_release(&items);
    json_decref(waivers);
    json_decref(answers);
    return e->code;
}

/* Input files that every release carries, and those only release 0 needs. */
static bool
belongs(const char *role, bool baseline)
{
    static const char *const zero[] = { "base/", "att/fingerprint.",
        "att/archive.", "stages/fingerprint.", "stages/archive.", "keys/" };

    if (!baseline)
        return !str_starts(role, "cand/");
    for (size_t i = 0; i < countof(zero); i++)
        if (str_starts(role, zero[i]))
            return true;
    return strcmp(role, "archive.json") == 0 ||
        strcmp(role, "policy.json") == 0;
}

static void
add_inputs(struct job *j, struct release_files *files, bool baseline)
{
    static const char attributes[] =
        "artifact/*.gguf filter=lfs diff=lfs merge=lfs -text\n"
        "artifact/*.safetensors filter=lfs diff=lfs merge=lfs -text\n"
        "stats/*.safetensors -text\n";

    release_add(files, ".gitattributes", attributes, sizeof attributes - 1);
    for (size_t i = 0; i < j->s->in.n; i++) {
        const struct stage_file *f = &j->s->in.v[i];

        if (belongs(f->role, baseline))
            release_add(files, f->role, f->map.p, f->map.len);
    }
}

/* The full-precision files: weights by LFS, the small ones as they are. */
static int
add_baseline(struct job *j, struct release_files *files, struct err *e)
{
    const char *place = "archive.json";
    json_t *rows = json_get_array(j->archive, "files", place, e);
    const json_t *row;
    size_t i;

    json_array_foreach(rows, i, row) {
        const char *name = json_get_str(row, "name", place, e);
        const char *hex = json_get_str(row, "sha256", place, e);
        int64_t bytes = json_get_int(row, "bytes", 0, INT64_MAX, place, e);
        struct digest d;
        char *object, *path;

        if (e->code)
            return e->code;
        if (!path_is_plain(name) || !digest_parse(&d, hex))
            return err_set(e, ERR_WORK, "%s: bad file entry '%s'", place, name);
        object = store_path(stage_dst(j->s, "store"), &d);
        path = mem_printf("artifact/%s", name);
        if (str_ends(name, ".safetensors")) {
            release_add_lfs(files, path, git_repo_dir(j->repo), object, &d,
                (uint64_t)bytes, true, e);
        } else {
            struct blob b = { 0 };

            if (blob_read(&b, object, (size_t)bytes, e) == 0)
                release_add(files, path, b.p, b.len);
            blob_release(&b);
        }
        free(object);
        free(path);
        if (e->code)
            return e->code;
    }
    return e->code;
}

static int
add_winner(struct job *j, struct release_files *files, struct err *e)
{
    char *role = mem_printf("cand/%s/model.gguf", j->winner);
    const struct stage_file *f = stage_in(j->s, role);

    if (!f)
        err_set(e, ERR_WORK,
            "decision.json: the winner '%s' has no model among the inputs; run "
            "'quern gen' again",
            j->winner);
    else
        release_add_lfs(files, "artifact/model.gguf", git_repo_dir(j->repo),
            f->path, &f->digest, f->bytes, false, e);
    free(role);
    return e->code;
}

/*
 * On refs of its own: put the new release live, go back to the one before, and
 * see that it is whole. *ms is how long going back took.
 */
static int
rehearse(struct job *j, const char *oid, double *ms, struct err *e)
{
    const char *ref = "refs/quern/rehearsal";
    const struct release_author *w = &j->who;
    const char *before = j->refs.live_oid;
    struct timespec t0, t1;
    struct digest d;
    char old[GIT_OID_TEXT];
    struct git_move on = { ref, "", oid }, off = { ref, oid, before };
    json_t *manifest = NULL;

    /* a kill during an earlier rehearsal may have left the ref */
    if (git_ref_read(j->repo, ref, old, e) ||
        (old[0] && git_ref_remove(j->repo, ref, old, e)) ||
        git_refs_move(j->repo, &on, 1, w->name, w->mail, w->time, "rehearsal on",
            e))
        return e->code;
    clock_gettime(CLOCK_MONOTONIC, &t0);
    if (git_refs_move(j->repo, &off, 1, w->name, w->mail, w->time,
            "rehearsal off", e) == 0 &&
        (manifest = release_manifest(j->repo, before, &d, e)))
        release_artifacts(j->repo, manifest, e);
    clock_gettime(CLOCK_MONOTONIC, &t1);
    json_decref(manifest);
    if (e->code == 0)
        git_ref_remove(j->repo, ref, before, e);
    *ms = 1e3 * (double)(t1.tv_sec - t0.tv_sec) +
        1e-6 * (double)(t1.tv_nsec - t0.tv_nsec);
    return e->code;
}

/*
 * Makes a commit live and writes that into the ledger. The release ref moves
 * to it, too, unless a killed run got that far.
 */
static int
go_live(struct job *j, const char *oid, int number, const char *winner,
    struct err *e)
{
    bool on_top = strcmp(j->refs.release_oid, oid) == 0;
    json_t *entry = json_pack("{s:s, s:i, s:s, s:s}", "action", "release",
        "number", number, "commit", oid, "winner", winner);
    double ms = 0;

    /* nothing is live before release 0, so there is no way back to rehearse */
    if (j->refs.live_oid[0] && strcmp(j->refs.live_oid, oid) != 0) {
        if (rehearse(j, oid, &ms, e))
            goto done;
        json_object_set_new(entry, "rehearsal",
            json_pack("{s:f, s:b}", "ms", ms, "ok", 1));
    }
    release_make_live(j->repo, &j->refs, on_top ? NULL : oid, oid, entry,
        &j->who, j->s->signer, e);
done:
    json_decref(entry);
    return e->code;
}

/* Release 0, unless the repository has one already. */
static int
release_zero(struct job *j, struct err *e)
{
    struct release_files files = { 0 };
    char oid[GIT_OID_TEXT];
    char *manifest = NULL, *title = NULL;

    if (j->refs.release_oid[0])
        return 0;
    add_inputs(j, &files, true);
    if (add_baseline(j, &files, e))
        goto done;
    title = mem_printf("release 0 of %s: full precision", j->name);
    manifest =
        release_manifest_text(&files, 0, j->name, "full-precision", NULL);
    if (release_commit(j->repo, &files, manifest, title, NULL, &j->who, oid,
            e) == 0)
        go_live(j, oid, 0, "full-precision", e);
done:
    release_files_free(&files);
    free(manifest);
    free(title);
    return e->code;
}

/*
 * What a killed run left behind: a move that was cut short is finished, and a
 * release that the ledger does not name yet goes live.
 */
static int
carry_on(struct job *j, struct err *e)
{
    char *ledger = NULL;
    json_t *tip = NULL, *entry = NULL;
    struct digest d;
    bool moved;

    if (release_repair(j->repo, &j->refs, &j->who, &moved, e) ||
        !j->refs.release_oid[0] || ledger_read(j->repo, &j->refs, &ledger, e))
        goto done;
    entry = ledger_release(ledger, j->refs.release_oid);
    if (!entry && (tip = release_manifest(j->repo, j->refs.release_oid, &d, e)))
        go_live(j, j->refs.release_oid,
            (int)json_integer_value(json_object_get(tip, "number")),
            json_get_str(tip, "winner", "manifest.json", e), e);
done:
    json_decref(tip);
    json_decref(entry);
    free(ledger);
    return e->code;
}

/* release.json: what the tip is, and how its rehearsal went. */
static int
put_receipt(struct job *j, struct err *e)
{
    const char *oid = j->refs.release_oid;
    struct git_commit c = { 0 };
    struct digest d;
    char hex[DIGEST_HEX];
    char *ledger = NULL;
    json_t *manifest = NULL, *entry = NULL, *v = NULL, *row;
    int number;
    size_t i;

    manifest = release_manifest(j->repo, oid, &d, e);
    if (!manifest || git_commit_read(j->repo, oid, &c, e) ||
        ledger_read(j->repo, &j->refs, &ledger, e))
        goto done;
    entry = ledger_release(ledger, oid);
    number = (int)json_integer_value(json_object_get(manifest, "number"));
    v = json_pack("{s:s, s:i, s:s, s:s, s:s, s:s, s:s}", "schema",
        "quern.release/1", "number", number, "commit", oid, "previous",
        c.parent, "winner", j->winner, "repository-ref", j->refs.release,
        "manifest", digest_hex(&d, hex));
    json_array_foreach(json_object_get(manifest, "files"), i, row)
        if (json_is_true(json_object_get(row, "lfs")))
            json_object_set_new(v, "artifact",
                json_pack("{s:O, s:O, s:O}", "name",
                    json_object_get(row, "path"), "bytes",
                    json_object_get(row, "bytes"), "sha256",
                    json_object_get(row, "sha256")));
    if (json_object_get(entry, "rehearsal")) {
        json_t *rehearsal = json_copy(json_object_get(entry, "rehearsal"));

        json_object_set_new(rehearsal, "from", json_integer(number));
        json_object_set_new(rehearsal, "to", json_integer(number - 1));
        json_object_set_new(v, "rehearsal", rehearsal);
    }
    stage_answer(j->s, "ship.rollback", "PASS",
        "one ref moves; rehearsed before release %d went live", number);
    stage_answer(j->s, "team.required", "PASS",
        "release %d went live through this stage and no other way", number);
    stage_put_json(j->s, "release.json", v, e);
done:
    json_decref(v);
    json_decref(entry);
    json_decref(manifest);
    git_commit_release(&c);
    free(ledger);
    return e->code;
}

/* The tip is this very release already: a run was killed after its commit. */
static bool
is_tip(struct job *j, struct release_files *files, const json_t *tip,
    const struct digest *tip_digest)
{
    int number = (int)json_integer_value(json_object_get(tip, "number"));
    const char *hex = json_string_value(json_object_get(tip, "previous"));
    struct digest previous, d;
    char *text;

    if (number < 1 || !hex || !digest_parse(&previous, hex))
        return false;
    text = release_manifest_text(files, number, j->name, j->winner, &previous);
    d = digest_of(text, strlen(text));
    free(text);
    return digest_equal(&d, tip_digest);
}

/* Release N + 1 on top of the tip, unless it stands there already. */
static int
release_winner(struct job *j, struct err *e)
{
    struct release_files files = { 0 };
    struct digest tip_digest;
    char oid[GIT_OID_TEXT];
    char *manifest = NULL, *title = NULL;
    json_t *tip = NULL;
    int number;

    add_inputs(j, &files, false);
    tip = release_manifest(j->repo, j->refs.release_oid, &tip_digest, e);
    if (!tip || add_winner(j, &files, e) ||
        is_tip(j, &files, tip, &tip_digest))
        goto done;
    number =
        (int)json_get_int(tip, "number", 0, INT32_MAX - 1, "manifest.json", e) +
        1;
    manifest = release_manifest_text(&files, number, j->name, j->winner,
        &tip_digest);
    title = mem_printf("release %d of %s: %s", number, j->name, j->winner);
    if (e->code == 0 &&
        release_commit(j->repo, &files, manifest, title, j->refs.release_oid,
            &j->who, oid, e) == 0)
        go_live(j, oid, number, j->winner, e);
done:
    json_decref(tip);
    release_files_free(&files);
    free(manifest);
    free(title);
    return e->code;
}

static int
run(struct stage *s, struct err *e)
{
    struct job j = { .s = s };
    const struct stage_file *signers = stage_in(s, "keys/allowed_signers");
    const char *prefix = stage_param(s, "repository-ref");
    const char *name = stage_param(s, "author-name");
    const char *mail = stage_param(s, "author-mail");

    j.policy = stage_in_json(s, "policy.json", e);
    j.decision = e->code ? NULL : stage_in_json(s, "decision.json", e);
    j.archive = e->code ? NULL : stage_in_json(s, "archive.json", e);
    if (e->code)
        goto done;
    j.name = json_get_str(j.policy, "name", "policy.json", e);
    j.winner = json_string_value(json_object_get(j.decision, "winner"));
    j.who = (struct release_author){ name ? name : s->signer,
        mail ? mail : s->signer, (int64_t)time(NULL), stage_signer(s) };
    if (e->code ||
        signers_parse(&j.allowed, (const char *)signers->map.p,
            signers->map.len, signers->path, e) ||
        read_chain(&j, e) || check_inputs(&j, e) || check_items(&j, e) ||
        git_repo_open(&j.repo, stage_dst(s, "repository"), true, e) ||
        release_refs_read(&j.refs, j.repo,
            prefix ? prefix : default_prefix, e) ||
        carry_on(&j, e) || release_zero(&j, e) || release_winner(&j, e))
        goto done;
    put_receipt(&j, e);

done:
    job_release(&j);
    return e->code;
}

int
main(int argc, char **argv)
{
    return stage_main(&spec, argc, argv, run);
}
