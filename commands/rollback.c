/*
 * quern-rollback - make the previous release live, in one operation
 *
 * usage: quern rollback [-C DIR] [-r REPOSITORY] [-k KEY] [-s SIGNERS]
 *                       [-p PREFIX] [-n NUMBER] [-m REASON]
 * Moves `live` from the release it names to the one before it (or to -n NUMBER)
 * by compare-and-swap and appends a signed line to the ledger, under one lock. A
 * move that was cut short is finished first.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/err.h"
#include "lib/base/file.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/option.h"
#include "lib/base/str.h"
#include "lib/record/key.h"
#include "lib/record/release.h"
#include "lib/record/signers.h"
#include "lib/record/stage_lines.h"

static const char usage[] =
    "usage: quern rollback [-C DIR] [-r REPOSITORY] [-k KEY] [-s SIGNERS]\n"
    "                      [-p PREFIX] [-n NUMBER] [-m REASON]\n"
    "\n"
    "  -C DIR         build folder: its release stage names repository and key\n"
    "                 (default: build)\n"
    "  -r REPOSITORY  git repository that holds the releases\n"
    "  -k KEY         private key that signs the ledger\n"
    "  -s SIGNERS     allowed_signers that must list the key\n"
    "  -p PREFIX      where the refs stand (default: refs/heads/quern)\n"
    "  -n NUMBER      release to go back to (default: the one before)\n"
    "  -m REASON      why; kept in the ledger\n";

struct opts {
    const char *dir, *repo, *key, *signers, *prefix, *reason;
    long long number; /* -1: the one before */
};

/*
 * Fills what the command line left out from the release stage's file. The list
 * of signers may be missing: then nobody looks at whose key it is.
 */
static int
fill_from_stage(struct opts *o, struct stage_lines *lines, char **signers,
    struct err *e)
{
    char *path = mem_printf("%s/stages/release.stage", o->dir);

    if ((!o->repo || !o->key || file_exists(path)) &&
        stage_lines_read(lines, path, e) == 0) {
        if (!o->repo)
            o->repo = stage_lines_path(lines, "dst", "repository");
        if (!o->key)
            o->key = stage_lines_value(lines, "key");
        if (!o->repo || !o->key)
            err_set(e, ERR_WORK,
                "%s: names no repository or key; give -r and -k", path);
        *signers = stage_lines_in(lines, o->dir, "keys/allowed_signers");
        if (!o->signers && file_exists(*signers))
            o->signers = *signers;
    }
    free(path);
    return e->code;
}

/*
 * The owner whose key it is, or the key's id if no list was given; caller
 * frees. A key that verify would not accept must not sign the ledger.
 */
static char *
name_signer(const struct opts *o, const struct signer *signer, struct err *e)
{
    struct signers list = { 0 };
    const char *who;
    char *name = NULL;

    if (!o->signers)
        return mem_strdup(signer->keyid);
    if (signers_read(&list, o->signers, e) == 0) {
        who = signers_principal(&list, &signer->public);
        if (who && signers_has(&list, who, "git", &signer->public))
            name = mem_strdup(who);
        else
            err_set(e, ERR_WORK,
                "%s: is not a key that %s allows to commit; use an owner's key",
                o->key, o->signers);
    }
    signers_release(&list);
    return name;
}

/*
 * The commit to go back to: the one before what is live, or the one with this
 * number. Walks the release ref, which is linear.
 */
static int
find_target(const struct opts *o, struct git_repo *r,
    const struct release_refs *refs, char to[GIT_OID_TEXT], int *to_number,
    struct err *e)
{
    char at[GIT_OID_TEXT];
    bool below_live = false;

    memcpy(at, refs->release_oid, sizeof at);
    while (at[0]) {
        struct git_commit c = { 0 };
        struct digest d;
        json_t *m = release_manifest(r, at, &d, e);

        if (!m || git_commit_read(r, at, &c, e)) {
            json_decref(m);
            return e->code;
        }
        *to_number = (int)json_integer_value(json_object_get(m, "number"));
        if (o->number >= 0 ? o->number == *to_number : below_live) {
            memcpy(to, at, GIT_OID_TEXT);
            git_commit_release(&c);
            /* what goes live must be there to be served */
            release_artifacts(r, m, e);
            json_decref(m);
            e->code = e->code ? ERR_WORK : 0;
            return e->code;
        }
        json_decref(m);
        below_live = below_live || strcmp(at, refs->live_oid) == 0;
        memcpy(at, c.parent, sizeof at);
        git_commit_release(&c);
    }
    if (o->number >= 0)
        return err_set(e, ERR_WORK, "%s: there is no release %lld in %s",
            o->repo, o->number, refs->release);
    return err_set(e, ERR_WORK,
        "%s: live is release 0 already; there is nothing before it to go back "
        "to",
        o->repo);
}

/* Moves live to `to` and prints how long that took. */
static int
move(const struct opts *o, struct git_repo *repo, struct release_refs *refs,
    const char *to, int number, const struct release_author *who, struct err *e)
{
    char *was = mem_strdup(refs->live_oid);
    json_t *entry = json_pack("{s:s, s:i, s:s, s:s, s:s}", "action", "rollback",
        "number", number, "commit", to, "previous", was, "why",
        o->reason ? o->reason : "");
    struct timespec t0, t1;

    if (!entry) {
        err_set(e, ERR_USAGE, "reason: is not UTF-8; convert it");
        goto done;
    }
    clock_gettime(CLOCK_MONOTONIC, &t0);
    if (release_make_live(repo, refs, NULL, to, entry, who, who->mail, e))
        goto done;
    clock_gettime(CLOCK_MONOTONIC, &t1);
    printf("live: release %d (%.10s), was %.10s, moved in %.1f ms\n", number, to,
        was,
        1e3 * (double)(t1.tv_sec - t0.tv_sec) +
            1e-6 * (double)(t1.tv_nsec - t0.tv_nsec));
done:
    json_decref(entry);
    free(was);
    return e->code;
}

static int
roll_back(const struct opts *o, struct err *e)
{
    struct git_repo *repo = NULL;
    struct release_refs refs = { 0 };
    struct signer signer = { 0 };
    struct release_author who = { .name = "quern rollback",
        .time = (int64_t)time(NULL), .signer = &signer };
    char to[GIT_OID_TEXT];
    char *name = NULL;
    bool moved = false;
    int number = 0;

    if (signer_open(&signer, o->key, e) ||
        !(name = name_signer(o, &signer, e)) ||
        git_repo_open(&repo, o->repo, false, e) ||
        release_refs_read(&refs, repo, o->prefix, e))
        goto done;
    who.mail = name;
    if (!refs.live_oid[0] && !refs.ledger_oid[0]) {
        err_set(e, ERR_WORK, "%s: nothing was released under %s; run the graph",
            o->repo, o->prefix);
        goto done;
    }
    if (release_repair(repo, &refs, &who, &moved, e))
        goto done;
    if (moved)
        printf("live: put to %.10s, where the ledger says\n", refs.live_oid);
    if (find_target(o, repo, &refs, to, &number, e))
        goto done;
    if (strcmp(to, refs.live_oid) != 0)
        move(o, repo, &refs, to, number, &who, e);
    else if (!moved)
        err_set(e, ERR_WORK, "%s: release %d is live already", o->repo, number);
done:
    free(name);
    release_refs_free(&refs);
    git_repo_close(repo);
    signer_release(&signer);
    return e->code;
}

int
main(int argc, char **argv)
{
    struct opts o = { .dir = "build", .prefix = "refs/heads/quern",
        .number = -1 };
    struct option_scan scan = { .prog = "quern-rollback", .usage = usage,
        .known = ":hC:r:k:s:p:n:m:" };
    struct stage_lines lines = { 0 };
    struct err e = { 0 };
    char *signers = NULL;
    int c;

    while ((c = option_next(&scan, argc, argv)) != -1) {
        unsigned long long number;

        if (c == 'C')
            o.dir = optarg;
        else if (c == 'r')
            o.repo = optarg;
        else if (c == 'k')
            o.key = optarg;
        else if (c == 's')
            o.signers = optarg;
        else if (c == 'p')
            o.prefix = optarg;
        else if (c == 'm')
            o.reason = optarg;
        else if (str_to_u64(optarg, INT32_MAX, &number))
            o.number = (long long)number;
        else
            return option_wrong(&scan, "-n '%s': no release's number", optarg);
    }
    if (scan.stop)
        return scan.status;
    if (optind != argc)
        return option_wrong(&scan, "'%s': unexpected", argv[optind]);
    file_catch_signals();
    if (fill_from_stage(&o, &lines, &signers, &e) == 0)
        roll_back(&o, &e);
    stage_lines_release(&lines);
    free(signers);
    return err_exit("quern-rollback", &e);
}
