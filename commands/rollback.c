/*
 * quern-rollback - make the previous release live, in one operation
 *
 * usage: quern rollback [-C DIR] [-r REPOSITORY] [-k KEY] [-p PREFIX] [-n NUMBER]
 *                       [-m REASON]
 * Moves `live` from the release it names to the one before it (or to -n NUMBER)
 * by compare-and-swap and appends a signed line to the ledger, under one lock.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/err.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/record/key.h"
#include "lib/record/release.h"
#include "lib/record/stage_lines.h"

static const char usage[] =
    "usage: quern rollback [-C DIR] [-r REPOSITORY] [-k KEY] [-p PREFIX]\n"
    "                      [-n NUMBER] [-m REASON]\n"
    "\n"
    "  -C DIR         build folder: its release stage names repository and key\n"
    "                 (default: build)\n"
    "  -r REPOSITORY  git repository that holds the releases\n"
    "  -k KEY         private key that signs the ledger\n"
    "  -p PREFIX      where the refs stand (default: refs/heads/quern)\n"
    "  -n NUMBER      release to go back to (default: the one before)\n"
    "  -m REASON      why; kept in the ledger\n";

struct opts {
    const char *dir, *repo, *key, *prefix, *number, *reason;
};

/* Fills what the command line left out from the release stage's file. */
static int
fill_from_stage(struct opts *o, struct stage_lines *lines, struct err *e)
{
    char *path;

    if (o->repo && o->key)
        return 0;
    path = mem_printf("%s/stages/release.stage", o->dir);
    if (stage_lines_read(lines, path, e) == 0) {
        if (!o->repo)
            o->repo = stage_lines_path(lines, "dst", "repository");
        if (!o->key)
            o->key = stage_lines_value(lines, "key");
        if (!o->repo || !o->key)
            err_set(e, ERR_WORK,
                "%s: names no repository or key; give -r and -k", path);
    }
    free(path);
    return e->code;
}

/*
 * The commit to go back to: the one before what is live, or the one with this
 * number. Walks the release ref, which is linear.
 */
static int
find_target(struct git_repo *r, const struct release_refs *refs,
    const char *number, char to[GIT_OID_TEXT], int *to_number, struct err *e)
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
        json_decref(m);
        if (number ? atol(number) == *to_number : below_live) {
            memcpy(to, at, GIT_OID_TEXT);
            git_commit_release(&c);
            return 0;
        }
        below_live = below_live || strcmp(at, refs->live_oid) == 0;
        memcpy(at, c.parent, sizeof at);
        git_commit_release(&c);
    }
    if (number)
        return err_set(e, ERR_WORK, "there is no release %s", number);
    return err_set(e, ERR_WORK,
        "nothing to go back to: live is the first release");
}

static int
roll_back(const struct opts *o, struct err *e)
{
    struct git_repo *repo = NULL;
    struct release_refs refs = { 0 };
    struct signer signer = { 0 };
    struct release_author who;
    char to[GIT_OID_TEXT];
    char *was = NULL;
    json_t *entry = NULL;
    struct timespec t0, t1;
    int number = 0;

    if (signer_open(&signer, o->key, e) ||
        git_repo_open(&repo, o->repo, false, e) ||
        release_refs_read(&refs, repo, o->prefix, e))
        goto done;
    if (!refs.live_oid[0]) {
        err_set(e, ERR_WORK, "%s: nothing was released under %s", o->repo,
            o->prefix);
        goto done;
    }
    if (find_target(repo, &refs, o->number, to, &number, e))
        goto done;
    if (strcmp(to, refs.live_oid) == 0) {
        err_set(e, ERR_WORK, "release %d is live already", number);
        goto done;
    }
    was = mem_strdup(refs.live_oid);
    who = (struct release_author){ "quern rollback", "quern@localhost",
        (int64_t)time(NULL), &signer };
    entry = json_pack("{s:s, s:i, s:s, s:s, s:s}", "action", "rollback",
        "number", number, "commit", to, "previous", was, "why",
        o->reason ? o->reason : "");
    clock_gettime(CLOCK_MONOTONIC, &t0);
    if (release_make_live(repo, &refs, NULL, to, entry, &who, signer.keyid, e))
        goto done;
    clock_gettime(CLOCK_MONOTONIC, &t1);
    printf("live: release %d (%.10s), was %.10s, moved in %.1f ms\n", number, to,
        was,
        1e3 * (double)(t1.tv_sec - t0.tv_sec) +
            1e-6 * (double)(t1.tv_nsec - t0.tv_nsec));
done:
    json_decref(entry);
    free(was);
    release_refs_free(&refs);
    git_repo_close(repo);
    signer_release(&signer);
    return e->code;
}

int
main(int argc, char **argv)
{
    struct opts o = { .dir = "build", .prefix = "refs/heads/quern" };
    struct stage_lines lines = { 0 };
    struct err e = { 0 };
    int c;

    while ((c = getopt(argc, argv, "hC:r:k:p:n:m:")) != -1) {
        unsigned long long ignored;

        if (c == 'h') {
            fputs(usage, stdout);
            return 0;
        } else if (c == 'C') {
            o.dir = optarg;
        } else if (c == 'r') {
            o.repo = optarg;
        } else if (c == 'k') {
            o.key = optarg;
        } else if (c == 'p') {
            o.prefix = optarg;
        } else if (c == 'n' && str_to_u64(optarg, 1000000, &ignored)) {
            o.number = optarg;
        } else if (c == 'm') {
            o.reason = optarg;
        } else {
            fputs(usage, stderr);
            return ERR_USAGE;
        }
    }
    if (optind != argc) {
        fputs(usage, stderr);
        return ERR_USAGE;
    }
    file_catch_signals();
    if (fill_from_stage(&o, &lines, &e) == 0)
        roll_back(&o, &e);
    stage_lines_release(&lines);
    return err_exit("quern-rollback", &e);
}
