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

#include "lib/base/file.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/option.h"
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
    "  -n NUMBER      the release to check (default: every one)\n"
    "  -R             releases only, not the build folder\n";

struct opts {
    const char *dir, *repo, *signers, *archive, *base, *prefix;
    bool dir_given, releases_only;
    long long number; /* -1: all */
};

/* Text from a repository may hold anything; a terminal gets to see letters. */
static void
print_plain(const char *text)
{
    for (const char *s = text; *s; s++) {
        unsigned char c = (unsigned char)*s;

        if (c < 0x20 || c == 0x7f)
            printf("\\x%02x", c);
        else
            putchar(c);
    }
}

/* One line per finding: what, item, file, signer, reason. */
static void
print_finding(void *ctx, const struct finding *f)
{
    (void)ctx;
    printf("%s: ", f->code == ERR_UNCHECKED ? "unchecked" : "WRONG");
    print_plain(f->item);
    printf(": ");
    print_plain(f->file);
    printf(": signed by ");
    print_plain(f->signer);
    printf(": ");
    print_plain(f->reason);
    putchar('\n');
}

/*
 * What the command line left out, from the build folder's stage files. The list
 * of signers there is the generator's copy of what the policy names.
 */
static void
fill_from_stages(struct opts *o, struct stage_lines lines[2], char **signers)
{
    static const char *const stages[] = { "release", "fingerprint" };
    struct err e = { 0 };

    for (size_t i = 0; i < countof(stages); i++) {
        char *path = mem_printf("%s/stages/%s.stage", o->dir, stages[i]);

        /* a damaged one is found with the others, by verify_work */
        if (file_exists(path))
            stage_lines_read(&lines[i], path, &e);
        free(path);
    }
    if (!o->repo)
        o->repo = stage_lines_path(&lines[0], "dst", "repository");
    if (!o->archive)
        o->archive = stage_lines_path(&lines[0], "dst", "store");
    if (!o->signers) {
        *signers = stage_lines_in(&lines[0], o->dir, "keys/allowed_signers");
        o->signers = file_exists(*signers) ? *signers : NULL;
    }
    if (!o->base)
        o->base = stage_lines_path(&lines[1], "src", "base");
}

/* Every release, or the one that was asked for. */
static void
verify_releases(const struct opts *o, struct verify *v)
{
    bool met = o->number < 0;

    for (size_t i = 0; i < v->n_releases; i++)
        if (o->number < 0 || v->releases[i].number == o->number) {
            met = true;
            verify_release(v, v->releases[i].oid);
        }
    if (!met)
        finding_add(v->found, ERR_UNCHECKED, "ship.rollback", v->refs.release,
            "nobody", "there is no release %lld", o->number);
}

static void
verify_all(const struct opts *o, struct verify *v)
{
    struct err e = { 0 };

    if (signers_read(&v->allowed, o->signers, &e) != 0)
        finding_add(v->found, ERR_UNCHECKED, "team.owners", o->signers,
            "nobody", "%s", e.text);
    else if (git_repo_open(&v->repo, o->repo, false, &e) != 0)
        finding_add(v->found, ERR_UNCHECKED, "ship.rollback", o->repo,
            "nobody", "%s", e.text);
    else if (release_refs_read(&v->refs, v->repo, o->prefix, &e) != 0)
        finding_add(v->found, ERR_WORK, "team.required", o->prefix, "nobody",
            "%s", e.text);
    if (!e.code) {
        verify_history(v);
        verify_releases(o, v);
    }
    if (v->allowed.n && v->work && !o->releases_only)
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

/* False: main returns scan->status. */
static bool
read_options(struct opts *o, struct option_scan *scan, int argc, char **argv)
{
    unsigned long long number;
    int c;

    while ((c = option_next(scan, argc, argv)) != -1) {
        if (c == 'C') {
            o->dir = optarg;
            o->dir_given = true;
        } else if (c == 'r') {
            o->repo = optarg;
        } else if (c == 's') {
            o->signers = optarg;
        } else if (c == 'a') {
            o->archive = optarg;
        } else if (c == 'b') {
            o->base = optarg;
        } else if (c == 'p') {
            o->prefix = optarg;
        } else if (c == 'R') {
            o->releases_only = true;
        } else if (str_to_u64(optarg, INT32_MAX, &number)) {
            o->number = (long long)number;
        } else {
            scan->status = option_wrong(scan, "-n '%s': no release's number",
                optarg);
            return false;
        }
    }
    if (!scan->stop && optind != argc) {
        scan->status = option_wrong(scan, "'%s': unexpected", argv[optind]);
        return false;
    }
    return !scan->stop;
}

int
main(int argc, char **argv)
{
    struct opts o = { .dir = "build", .prefix = "refs/heads/quern",
        .number = -1 };
    struct findings found = { .report = print_finding };
    struct verify v = { .found = &found };
    struct stage_lines lines[2] = { 0 };
    struct err e = { 0 };
    char *signers = NULL;
    struct option_scan scan = { .prog = "quern-verify", .usage = usage,
        .known = ":hC:r:s:a:b:p:n:R" };
    int status = 0;

    if (!read_options(&o, &scan, argc, argv))
        return scan.status;
    fill_from_stages(&o, lines, &signers);
    v.store = o.archive;
    v.base = o.base;
    v.work = file_exists(o.dir) ? o.dir : NULL;
    if (o.dir_given && !v.work)
        err_set(&e, ERR_UNCHECKED, "%s: is not there; name the build folder",
            o.dir);
    else if (!o.repo || !o.signers)
        err_set(&e, ERR_UNCHECKED,
            "%s: no graph there to say where things lie; give -r REPOSITORY and "
            "-s SIGNERS",
            o.dir);
    else
        verify_all(&o, &v);
    if (e.code == 0)
        status = say_result(&v);
    if (status == 0)
        status = err_exit("quern-verify", &e);
    verify_release_memory(&v);
    release_refs_free(&v.refs);
    git_repo_close(v.repo);
    signers_release(&v.allowed);
    stage_lines_release(&lines[0]);
    stage_lines_release(&lines[1]);
    free(signers);
    return status;
}
