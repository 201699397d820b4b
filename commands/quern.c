/*
 * quern - the front: `quern NAME ...` runs quern-NAME, as git does
 *
 * The program is looked for beside this one first, then on PATH, so that a
 * build folder and an installed copy do not mix.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/err.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

#define VERSION "0.1.0"

enum { WIDTH = 78 };

/* What a person types; the steps are listed by what lies in the folder. */
static const struct {
    const char *name, *what;
} porcelain[] = {
    { "init", "put a policy, keys and allowed_signers into a folder" },
    { "gen", "check a policy and write its graph" },
    { "build", "run the graph: ninja with a lock, progress and a summary" },
    { "status", "every checklist item: answer, owner, evidence, state" },
    { "why", "what made a stage run" },
    { "table", "the outcome: baseline and candidates side by side" },
    { "waive", "sign the waivers of a policy" },
    { "verify", "walk from the release to the base model" },
    { "rollback", "make the previous release live" },
    { "keygen", "make an owner's key" },
    { "inspect", "what a file holds: a model, statistics, a record ..." },
    { "imatrix", "statistics as an importance matrix of llama.cpp" },
    { "tokenize", "token ids of each line of a text" },
    { "logits", "logits of a list of token ids" },
    { "perplexity", "perplexity of a model on a text" },
    { "generate", "continue a prompt" },
};

/* The folder this program lies in; freshly allocated, or NULL. */
static char *
own_folder(void)
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);

    if (n < 0)
        return NULL;
    path[n] = 0;
    return path_dir(path);
}

static bool
is_porcelain(const char *name)
{
    for (size_t i = 0; i < countof(porcelain); i++)
        if (strcmp(porcelain[i].name, name) == 0)
            return true;
    return false;
}

static int
by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Prints the steps that lie beside this program, sorted, as one paragraph. */
static void
print_steps(FILE *f, const char *folder)
{
    char *names[128];
    size_t n = 0;
    DIR *d = opendir(folder);
    struct dirent *entry;

    while (d && n < countof(names) && (entry = readdir(d)))
        if (str_starts(entry->d_name, "quern-") &&
            !is_porcelain(entry->d_name + 6))
            names[n++] = mem_strdup(entry->d_name + 6);
    if (d)
        closedir(d);
    qsort(names, n, sizeof *names, by_name);
    for (size_t i = 0, column = 0; i < n; i++) {
        size_t len = strlen(names[i]) + 1;
        bool wraps = column + len > WIDTH;

        column = wraps || i == 0 ? 1 + len : column + len;
        fprintf(f, "%s%s", wraps ? "\n  " : i ? " " : "  ", names[i]);
        free(names[i]);
    }
    fprintf(f, "\n");
}

static const char synopsis[] =
    "usage: quern COMMAND [ARGUMENT ...]\n"
    "       quern help [COMMAND]\n"
    "       quern --version\n";

/* Whether quern-NAME lies in the folder. */
static bool
is_there(const char *folder, const char *name)
{
    char *path = mem_printf("%s/quern-%s", folder, name);
    bool there = file_exists(path);

    free(path);
    return there;
}

static void
usage(FILE *f)
{
    char *folder = own_folder();

    fprintf(f, "%s\nA checklist for quantizing language models that nobody can "
               "skip.\n\ncommands:\n", synopsis);
    for (size_t i = 0; i < countof(porcelain); i++)
        if (!folder || is_there(folder, porcelain[i].name))
            fprintf(f, "  %-11s %s\n", porcelain[i].name, porcelain[i].what);
    if (folder) {
        fprintf(f, "\nsteps, which the graph runs:\n");
        print_steps(f, folder);
    }
    free(folder);
}

/* Replaces this process; returns only on failure. */
static int
run(const char *name, char **argv, struct err *e)
{
    char *program = mem_printf("quern-%s", name);
    char *folder = own_folder();

    if (strchr(name, '/') == NULL && folder) {
        char *path = path_join(folder, program);

        argv[0] = path;
        execv(path, argv);
        free(path);
    }
    if (strchr(name, '/') == NULL) {
        argv[0] = program;
        execvp(program, argv);
    }
    err_set(e, ERR_USAGE, "no command '%s'; `quern help` lists them", name);
    free(folder);
    free(program);
    return e->code;
}

int
main(int argc, char **argv)
{
    struct err e = { 0 };
    char *help[] = { NULL, NULL, NULL };
    char flag[] = "-h";

    if (argc < 2) {
        usage(stderr);
        return ERR_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("quern " VERSION "\n");
        return err_exit("quern", &e);
    }
    if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 ||
        strcmp(argv[1], "-h") == 0) {
        if (argc < 3) {
            usage(stdout);
            return err_exit("quern", &e);
        }
        help[1] = flag;
        run(argv[2], help, &e);
    } else {
        run(argv[1], argv + 1, &e);
    }
    err_exit("quern", &e);
    fputs(synopsis, stderr);
    return e.code;
}
