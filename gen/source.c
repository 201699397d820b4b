/*
 * source.c - the edges that compile quern itself; see source.h
 */
#include "gen/source.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "gen/includes.h"
#include "lib/base/file.h"

enum { LIST_MAX = 1 << 16 };

struct tree {
    struct graph *g;
    const struct paths *paths;
    const struct source_opts *o;
    struct includes inc;
};

/* A name relative to the tree, as the graph has it. Lives in the arena. */
static const char *
in_graph(struct tree *t, const char *rel)
{
    char *path = paths_graph(t->paths, t->o->dir, rel);
    const char *kept = arena_strdup(&t->g->arena, path);

    free(path);
    return kept;
}

/* An output: OUT/text. */
static const char *
output(struct tree *t, const char *dir, const char *rel, const char *suffix)
{
    size_t n = strlen(rel);

    if (str_ends(rel, ".c"))
        n -= 2;
    return arena_printf(&t->g->arena, "%s/%s%.*s%s", t->o->out, dir, (int)n,
        rel, suffix);
}

/*
 * Entries of a folder, relative to the tree, sorted: files that end in `suffix`
 * or, `suffix` NULL, folders. The folder itself becomes a source: a new file
 * changes its time. A folder that is not there has no entries.
 */
static void
list_folder(struct tree *t, const char *dir, const char *suffix,
    struct names *list)
{
    char *full = path_join(t->o->dir, dir);
    DIR *d = opendir(full);
    struct dirent *entry;

    while (d != NULL && (entry = readdir(d)) != NULL) {
        struct stat st;
        bool want;

        if (entry->d_name[0] == '.' ||
            fstatat(dirfd(d), entry->d_name, &st, 0) != 0)
            continue;
        want = suffix == NULL ? S_ISDIR(st.st_mode) :
            S_ISREG(st.st_mode) && str_ends(entry->d_name, suffix);
        if (want)
            names_add(list, arena_printf(&t->g->arena, "%s/%s", dir,
                entry->d_name));
    }
    if (d != NULL) {
        names_add(&t->g->sources, in_graph(t, dir));
        closedir(d);
    }
    names_sort(list);
    free(full);
}

/* Compiler flags of one file, "" for none; NULL: not for this target. */
static const char *
flags_of(const struct tree *t, const char *rel)
{
    bool x86 = strcmp(t->o->arch, "x86_64") == 0;
    bool arm = strcmp(t->o->arch, "aarch64") == 0;

    if (str_ends(rel, "_avx2.c"))
        return x86 ? "-mavx2 -mfma -mf16c" : NULL;
    if (str_ends(rel, "_avx512.c"))
        return x86 ? "-mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512vl "
            "-mavx512dq -mavx512vnni" : NULL;
    if (str_ends(rel, "_dot_neon.c"))
        return arm ? "-march=armv8.2-a+dotprod" : NULL;
    if (str_ends(rel, "_neon.c"))
        return arm ? "" : NULL;
    return "";
}

/* The edge for one object; its name, or NULL if it is not for this target. */
static const char *
compile(struct tree *t, const char *rel)
{
    const char *flags = flags_of(t, rel), *src = in_graph(t, rel);
    const char *obj = output(t, "obj/", rel, ".o");
    struct names headers = { 0 };

    names_add(&t->g->sources, src);
    if (flags == NULL)
        return NULL;
    includes_of(&t->inc, rel, &headers);
    for (size_t i = 0; i < headers.n; i++) {
        headers.v[i] = in_graph(t, headers.v[i]);
        names_add(&t->g->sources, headers.v[i]);
    }
    graph_edge(t->g, &(struct edge){ .rule = "quern_cc", .outs = &obj,
        .n_outs = 1, .ins = &src, .n_ins = 1, .more_ins = headers.v,
        .n_more_ins = headers.n });
    if (flags[0] != '\0')
        graph_bind(t->g, "flags", flags);
    names_release(&headers);
    return obj;
}

/* Objects of every C file directly in a folder. */
static void
compile_folder(struct tree *t, const char *dir, struct names *objects)
{
    struct names files = { 0 };

    list_folder(t, dir, ".c", &files);
    for (size_t i = 0; i < files.n; i++) {
        const char *obj = compile(t, files.v[i]);

        if (obj != NULL)
            names_add(objects, obj);
    }
    names_release(&files);
}

/* What a program is linked with besides its own objects. */
enum { LIBRARY = 1, GENERATOR = 2, CMOCKA = 4 };

static void
archive(struct tree *t, const char *name, const struct names *objects)
{
    graph_edge(t->g, &(struct edge){ .rule = "quern_ar", .outs = &name,
        .n_outs = 1, .ins = objects->v, .n_ins = objects->n });
}

static void
link_program(struct tree *t, const char *program, const char *const *objects,
    size_t n, unsigned with)
{
    struct names ins = { 0 };

    for (size_t i = 0; i < n; i++)
        names_add(&ins, objects[i]);
    if (with & GENERATOR)
        names_add(&ins, output(t, "", "libquern-gen", ".a"));
    if (with & LIBRARY)
        names_add(&ins, output(t, "", "libquern", ".a"));
    graph_edge(t->g, &(struct edge){ .rule = "quern_link", .outs = &program,
        .n_outs = 1, .ins = ins.v, .n_ins = ins.n });
    if (with & CMOCKA)
        str_add(&t->g->text, "  more_libs = $test_libs\n");
    names_release(&ins);
}

/* libquern.a */
static void
library(struct tree *t)
{
    const char *lib = output(t, "", "libquern", ".a");
    struct names objects = { 0 }, folders = { 0 };

    graph_comment(t->g, "the library: everything in kernels/ and lib/");
    compile_folder(t, "kernels", &objects);
    list_folder(t, "lib", NULL, &folders);
    for (size_t i = 0; i < folders.n; i++)
        compile_folder(t, folders.v[i], &objects);
    archive(t, lib, &objects);
    names_release(&objects);
    names_release(&folders);
}

/* One program per C file of a folder; names of the programs go to `made`. */
static void
programs_of(struct tree *t, const char *dir, const char *prefix,
    unsigned with, struct names *made)
{
    struct names files = { 0 };

    list_folder(t, dir, ".c", &files);
    for (size_t i = 0; i < files.n; i++) {
        const char *name = path_base(files.v[i]);
        bool front = strcmp(files.v[i], "commands/quern.c") == 0;
        const char *obj = compile(t, files.v[i]);
        const char *program = output(t, front ? "bin/" : prefix, name, "");

        if (obj == NULL)
            continue;
        link_program(t, program, &obj, 1, with);
        names_add(made, program);
    }
    names_release(&files);
}

/*
 * What gen/sources.txt lists (a line is a file, or a folder's C files with a star
 * for the name), the headers of all that, and the folders, so that a new file is
 * seen.
 */
static int
generator_sources(struct tree *t, const char *list, struct names *found,
    struct err *e)
{
    char *path = path_join(t->o->dir, list), *next;
    struct names files = { 0 }, headers = { 0 };
    struct blob text = { 0 };

    if (blob_read(&text, path, LIST_MAX, e) == 0) {
        for (char *line = text.p; line != NULL && *line != '\0';
            line = next) {
            next = strchr(line, '\n');
            if (next != NULL)
                *next++ = '\0';
            if (str_ends(line, "/*.c")) {
                char *dir = path_dir(line);

                list_folder(t, dir, ".c", &files);
                names_add(found, in_graph(t, dir));
                free(dir);
            } else if (*line != '\0') {
                names_add(&files, arena_strdup(&t->g->arena, line));
            }
        }
        for (size_t i = 0; i < files.n; i++) {
            names_add(found, in_graph(t, files.v[i]));
            includes_of(&t->inc, files.v[i], &headers);
        }
        for (size_t i = 0; i < headers.n; i++)
            names_add(found, in_graph(t, headers.v[i]));
        names_sort(found);
    }
    blob_release(&text);
    names_release(&files);
    names_release(&headers);
    free(path);
    return e->code;
}

/*
 * gen/: everything but main in an archive, for tests; and the program, by one
 * call of the compiler that finds its files itself. An edge with a list of
 * objects could not be linked after a file was added, and without the program
 * there would be no better edge; nor may a file that does not compile elsewhere
 * keep the graph from being made.
 */
static void
generator(struct tree *t, struct names *made, struct err *e)
{
    const char *program = output(t, "bin/quern-", "gen", "");
    const char *list = in_graph(t, "gen/sources.txt");
    struct names objects = { 0 }, parts = { 0 }, sources = { 0 };

    graph_comment(t->g, "the generator");
    compile_folder(t, "gen", &objects);
    for (size_t i = 0; i < objects.n; i++)
        if (!str_ends(objects.v[i], "/gen/main.o"))
            names_add(&parts, objects.v[i]);
    archive(t, output(t, "", "libquern-gen", ".a"), &parts);
    if (generator_sources(t, "gen/sources.txt", &sources, e) == 0)
        graph_edge(t->g, &(struct edge){ .rule = "quern_gen",
            .outs = &program, .n_outs = 1, .ins = &list, .n_ins = 1,
            .more_ins = sources.v, .n_more_ins = sources.n });
    names_add(&t->g->sources, list);
    names_add(made, program);
    names_release(&objects);
    names_release(&parts);
    names_release(&sources);
}

static void
fuzz_targets(struct tree *t, struct names *made)
{
    struct names files = { 0 };
    const char *objects[2] = { NULL, NULL };

    list_folder(t, "tests/fuzz", ".c", &files);
    for (size_t i = 0; i < files.n; i++)
        if (strcmp(files.v[i], "tests/fuzz/driver.c") == 0)
            objects[1] = compile(t, files.v[i]);
    for (size_t i = 0; i < files.n && objects[1] != NULL; i++) {
        const char *program;

        if (strcmp(files.v[i], "tests/fuzz/driver.c") == 0)
            continue;
        objects[0] = compile(t, files.v[i]);
        program = output(t, "tests/fuzz/", path_base(files.v[i]), "");
        link_program(t, program, objects, 2, LIBRARY |
            (str_ends(files.v[i], "/policy.c") ? GENERATOR : 0));
        names_add(made, program);
    }
    names_release(&files);
}

/* tests/ mirrors the tree, so folders are walked to any depth. */
static void
tests_below(struct tree *t, const char *dir, struct names *tests,
    struct names *bench)
{
    struct names folders = { 0 };
    const char *prefix = arena_printf(&t->g->arena, "%s/", dir);
    bool of_gen = strcmp(dir, "tests/gen") == 0;

    if (strcmp(dir, "tests/fuzz") == 0)
        fuzz_targets(t, tests);
    else if (strcmp(dir, "tests/bench") == 0)
        programs_of(t, dir, "bench/", LIBRARY, bench);
    else if (strcmp(dir, "tests/tools") == 0)
        programs_of(t, dir, prefix, LIBRARY | CMOCKA, tests);
    else
        programs_of(t, dir, prefix, LIBRARY | CMOCKA |
            (of_gen ? GENERATOR : 0), tests);
    if (strcmp(dir, "tests/data") != 0)
        list_folder(t, dir, NULL, &folders);
    for (size_t i = 0; i < folders.n; i++)
        tests_below(t, folders.v[i], tests, bench);
    names_release(&folders);
}

static void
alias(struct graph *g, const char *name, struct names *what)
{
    names_sort(what);
    graph_edge(g, &(struct edge){ .rule = "phony", .outs = &name, .n_outs = 1,
        .ins = what->v, .n_ins = what->n });
    names_release(what);
}

int
source_emit(struct graph *g, const struct paths *paths,
    const struct source_opts *o, struct err *e)
{
    struct tree t = { .g = g, .paths = paths, .o = o };
    struct names made = { 0 }, tests = { 0 }, bench = { 0 };

    t.inc.dir = o->dir;
    library(&t);
    generator(&t, &made, e);
    graph_comment(g, "steps and commands");
    programs_of(&t, "steps", "bin/quern-", LIBRARY, &made);
    programs_of(&t, "commands", "bin/quern-", LIBRARY, &made);
    graph_comment(g, "tests and benchmarks");
    tests_below(&t, "tests", &tests, &bench);
    graph_comment(g, "what to ask for by name");
    alias(g, "quern_programs", &made);
    alias(g, "quern_tests", &tests);
    alias(g, "quern_bench", &bench);
    names_add(&g->defaults, "quern_programs");
    includes_release(&t.inc);
    return e->code != 0 ? e->code : graph_check(g, e);
}
