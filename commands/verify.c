/*
 * quern-verify - does the release still hold, down to the base model?
 *
 * usage: quern verify [-C DIR] [-r REPOSITORY] [-s SIGNERS] [-a ARCHIVE]
 *                     [-b CHECKPOINT] [-p PREFIX] [-n NUMBER] [-R]
 *
 * Exit status: 0 holds, 1 something is wrong, 2 wrong usage, 3 something could
 * not be checked (and nothing that was checked is wrong).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/record/stage_lines.h"
#include "lib/record/verify.h"

static const char usage[] =
    "usage: quern verify [-C DIR] [-r REPOSITORY] [-s SIGNERS] [-a ARCHIVE]\n"
    "                    [-b CHECKPOINT] [-p PREFIX] [-n NUMBER] [-R]\n"
    "\n"
    "  -C DIR         build folder: its files are checked, and its stage files\n"
    "                 say where the rest lies (default: build, if it is there)\n"
    "  -r REPOSITORY  git repository or clone that holds the releases\n"
    "  -s SIGNERS     allowed_signers that you trust\n"
    "  -a ARCHIVE     store that keeps the full-precision weights\n"
    "  -b CHECKPOINT  the base model's folder\n"
    "  -p PREFIX      where the refs stand (default: refs/heads/quern)\n"
    "  -n NUMBER      the release to check (default: the one that is live)\n"
    "  -R             releases only, not the build folder\n";

struct opts {
    const char *dir, *repo, *signers, *archive, *base, *prefix, *number;
    bool releases_only;
};

/* One line per finding: what, item, file, signer, reason. */
static void
print_finding(void *ctx, const struct finding *f)
{
    (void)ctx;
    printf("%s: %s: %s: signed by %s: %s\n",
        f->code == ERR_UNCHECKED ? "unchecked" : "WRONG", f->item, f->file,
        f->signer, f->reason);
}

/* What the command line left out, from the build folder's stage files. */
static void
fill_from_stages(struct opts *o, struct stage_lines lines[2])
{
    static const char *const stages[] = { "release", "fingerprint" };
    struct err e = { 0 };

    for (size_t i = 0; i < countof(stages); i++) {
        char *path = mem_printf("%s/stages/%s.stage", o->dir, stages[i]);

        if (file_exists(path))
            stage_lines_read(&lines[i], path, &e);
        free(path);
    }
    if (!o->repo)
        o->repo = stage_lines_path(&lines[0], "dst", "repository");
    if (!o->archive)
        o->archive = stage_lines_path(&lines[0], "dst", "store");
    if (!o->signers)
        o->signers =
            stage_lines_path(&lines[0], "in", "keys/allowed_signers");
    if (!o->base)
        o->base = stage_lines_path(&lines[1], "src", "base");
}

/* The commit of release NUMBER, walking down from the tip. */
static const char *
find_release(struct verify *v, const char *number, char oid[GIT_OID_TEXT],
    struct err *e)
{
    if (!number)
        return v->refs.live_oid;
    memcpy(oid, v->refs.release_oid, GIT_OID_TEXT);
    while (oid[0]) {
        struct git_commit c = { 0 };
        struct digest d;
        json_t *m = release_manifest(v->repo, oid, &d, e);
        bool found = m &&
            json_integer_value(json_object_get(m, "number")) == atol(number);

        json_decref(m);
        if (found)
            return oid;
        if (git_commit_read(v->repo, oid, &c, e) != 0)
            return NULL;
        memcpy(oid, c.parent, GIT_OID_TEXT);
        git_commit_release(&c);
    }
    err_set(e, ERR_WORK, "there is no release %s", number);
    return NULL;
}

static void
verify_all(const struct opts *o, struct verify *v, struct err *e)
{
    char oid[GIT_OID_TEXT];
    const char *which;

    if (signers_read(&v->allowed, o->signers, e) ||
        git_repo_open(&v->repo, o->repo, false, e) ||
        release_refs_read(&v->refs, v->repo, o->prefix, e)) {
        e->code = ERR_UNCHECKED;
        return;
    }
    verify_history(v);
    if (v->refs.release_oid[0]) {
        which = find_release(v, o->number, oid, e);
        if (!which)
            return;
        verify_release(v, which);
    }
    if (v->work && !o->releases_only)
        verify_work(v);
}

static int
say_result(const struct verify *v)
{
    printf("%s: %zu commits, %zu records, %zu files, %zu objects, %.1f MB "
           "read back; %zu wrong, %zu unchecked\n",
        v->found->wrong        ? "does not hold"
            : v->found->unchecked ? "holds as far as it could be checked"
                                  : "holds",
        v->commits, v->records, v->files, v->objects,
        (double)v->bytes / 1e6, v->found->wrong, v->found->unchecked);
    if (v->found->wrong)
        return ERR_WORK;
    return v->found->unchecked ? ERR_UNCHECKED : 0;
}

int
main(int argc, char **argv)
{
    struct opts o = { .dir = "build", .prefix = "refs/heads/quern" };
    struct findings found = { .report = print_finding };
    struct verify v = { .found = &found };
    struct stage_lines lines[2] = { 0 };
    struct err e = { 0 };
    int c, status = ERR_UNCHECKED;

    while ((c = getopt(argc, argv, "hC:r:s:a:b:p:n:R")) != -1) {
        unsigned long long ignored;

        if (c == 'h') {
            fputs(usage, stdout);
            return 0;
        } else if (c == 'C') {
            o.dir = optarg;
        } else if (c == 'r') {
            o.repo = optarg;
        } else if (c == 's') {
            o.signers = optarg;
        } else if (c == 'a') {
            o.archive = optarg;
        } else if (c == 'b') {
            o.base = optarg;
        } else if (c == 'p') {
            o.prefix = optarg;
        } else if (c == 'n' && str_to_u64(optarg, 1000000, &ignored)) {
            o.number = optarg;
        } else if (c == 'R') {
            o.releases_only = true;
        } else {
            fputs(usage, stderr);
            return ERR_USAGE;
        }
    }
    if (optind != argc) {
        fputs(usage, stderr);
        return ERR_USAGE;
    }
    fill_from_stages(&o, lines);
    v.store = o.archive;
    v.base = o.base;
    v.work = file_exists(o.dir) ? o.dir : NULL;
    if (!o.repo || !o.signers)
        err_set(&e, ERR_UNCHECKED,
            "%s: no graph there to say where things lie; give -r REPOSITORY and "
            "-s SIGNERS",
            o.dir);
    else
        verify_all(&o, &v, &e);
    if (e.code)
        status = err_exit("quern-verify", &e);
    else
        status = say_result(&v);
    release_refs_free(&v.refs);
    git_repo_close(v.repo);
    signers_release(&v.allowed);
    stage_lines_release(&lines[0]);
    stage_lines_release(&lines[1]);
    return status;
}
