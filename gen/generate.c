/*
 * generate.c - from the command line to the files on disk
 *
 * The graph is put together in memory: the template's section, the edges of
 * the source tree, those of the policy, last the edge that makes the file
 * itself. The file is replaced only if its text changed.
 */
#include "gen/generate.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gen/graph.h"
#include "gen/paths.h"
#include "gen/source.h"
#include "lib/base/file.h"

enum { TEMPLATE_MAX = 1 << 20, GRAPH_MAX = 1 << 30 };

struct run {
    const struct options *o;
    struct paths paths;
    struct graph g;
    char *self;     /* folder of this program; owned */
    char *template; /* path of build.ninja.in; owned */
    struct blob template_text;
    const char *out, *file, *program; /* as the graph names them */
};

/* Folder of the running program; NULL if it cannot be told. */
static char *
own_folder(void)
{
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);

    if (n <= 0)
        return NULL;
    path[n] = '\0';
    return path_dir(path);
}

/* Data that goes with the program: installed, or in the source tree. */
static char *
find_data(const struct run *r, const char *name)
{
    const char *tries[] = { "../share/quern", "../.." };

    if (r->o->source != NULL)
        return path_join(r->o->source, name);
    for (size_t i = 0; i < countof(tries) && r->self != NULL; i++) {
        char *dir = path_join(r->self, tries[i]);
        char *path = path_join(dir, name);

        free(dir);
        if (file_exists(path))
            return path;
        free(path);
    }
    return NULL;
}

static const char *
graph_name(struct run *r, const char *path)
{
    char *name = paths_graph(&r->paths, NULL, path);
    const char *kept = arena_strdup(&r->g.arena, name);

    free(name);
    return kept;
}

static int
begin(struct run *r, struct err *e)
{
    const struct options *o = r->o;

    if (paths_init(&r->paths, o->root, e))
        return e->code;
    r->self = own_folder();
    r->template = find_data(r, "build.ninja.in");
    if (r->template == NULL)
        return err_set(e, ERR_WORK, "build.ninja.in: not found beside this "
            "program (../share/quern); install quern whole");
    if (blob_read(&r->template_text, r->template, TEMPLATE_MAX, e))
        return e->code;
    r->out = graph_name(r, o->out);
    r->file = graph_name(r, o->output);
    if (o->source != NULL) {
        r->program = arena_printf(&r->g.arena, "%s/bin/quern-gen", r->out);
    } else {
        const char *bin = o->bin != NULL ? o->bin : r->self;

        r->program = bin == NULL ? "quern-gen" : arena_printf(&r->g.arena,
            "%s/quern-gen", graph_name(r, bin));
    }
    return 0;
}

/* One section of the template with everything that it may ask for. */
static int
section(struct run *r, const char *name, struct err *e)
{
    struct template_var vars[24];
    struct str source = { 0 }, out = { 0 }, values[16] = { { 0 } };
    size_t n = 0;

    for (; n < r->o->n_vars && n < countof(values); n++) {
        ninja_value(&values[n], r->o->vars[n].value);
        vars[n] = (struct template_var){ r->o->vars[n].name,
            str_get(&values[n]) };
    }
    if (r->o->source != NULL) {
        struct str quoted = { 0 };

        shell_quote(&quoted, graph_name(r, r->o->source));
        ninja_value(&source, str_get(&quoted));
        str_release(&quoted);
    }
    vars[n++] = (struct template_var){ "SOURCE", str_get(&source) };
    ninja_value(&out, r->out);
    vars[n++] = (struct template_var){ "OUT", str_get(&out) };
    vars[n++] = (struct template_var){ "STAGES", "" };
    template_section(&r->g.text, r->template, r->template_text.p, name, vars,
        n, e);
    for (size_t i = 0; i < countof(values); i++)
        str_release(&values[i]);
    str_release(&source);
    str_release(&out);
    return e->code;
}

static void
add_option(struct str *command, const char *option, const char *value)
{
    str_addc(command, ' ');
    str_add(command, option);
    str_addc(command, ' ');
    shell_quote(command, value);
}

/* The command that makes this file again, run from the root. */
static char *
again(struct run *r)
{
    const struct options *o = r->o;
    struct str s = { 0 };

    shell_quote(&s, r->program);
    if (o->source != NULL)
        add_option(&s, "--source", graph_name(r, o->source));
    if (strcmp(r->out, "out") != 0)
        add_option(&s, "--out", r->out);
    if (o->build != NULL)
        add_option(&s, "--build", graph_name(r, o->build));
    if (o->bin != NULL)
        add_option(&s, "--bin", graph_name(r, o->bin));
    for (size_t i = 0; i < o->n_vars; i++) {
        struct str var = { 0 };

        str_addf(&var, "%s=%s", o->vars[i].name, o->vars[i].value);
        add_option(&s, "--set", str_get(&var));
        str_release(&var);
    }
    if (o->today != NULL)
        add_option(&s, "--today", o->today);
    add_option(&s, "-o", r->file);
    if (o->policy != NULL) {
        str_addc(&s, ' ');
        shell_quote(&s, graph_name(r, o->policy));
    }
    return str_detach(&s);
}

/*
 * The edge that makes this file. What it read are its inputs; each of those is
 * also the output of a phony edge without inputs, so that a file that is gone
 * asks for a new graph instead of stopping ninja.
 */
static void
end(struct run *r)
{
    struct graph *g = &r->g;
    char *command = again(r);

    names_add(&g->sources, graph_name(r, r->template));
    names_sort(&g->sources);
    graph_comment(g, "this file");
    for (size_t i = 0; i < g->sources.n; i++)
        graph_edge(g, &(struct edge){ .rule = "phony",
            .outs = &g->sources.v[i], .n_outs = 1 });
    names_sort(&g->outputs);
    graph_edge(g, &(struct edge){ .rule = "quern_generate", .outs = &r->file,
        .n_outs = 1, .more_outs = g->outputs.v, .n_more_outs = g->outputs.n,
        .more_ins = g->sources.v, .n_more_ins = g->sources.n,
        .ins = &r->program, .n_ins = 1 });
    graph_bind(g, "quern_again", command);
    if (g->defaults.n > 0) {
        str_add(&g->text, "\ndefault");
        for (size_t i = 0; i < g->defaults.n; i++)
            graph_path(g, g->defaults.v[i]);
        str_addc(&g->text, '\n');
    }
    free(command);
}

/* Writes the graph unless the file has this very text already. */
static int
write_graph(const struct run *r, struct err *e)
{
    struct err quiet = { 0 };
    struct map old = { .fd = -1 };
    bool same = false;

    if (file_exists(r->o->output) &&
        map_open(&old, r->o->output, &quiet) == 0) {
        same = old.len == r->g.text.len &&
            memcmp(old.p, r->g.text.p, old.len) == 0;
        map_close(&old);
    }
    if (same)
        return 0;
    return file_write(r->o->output, r->g.text.p, r->g.text.len, e);
}

int
generate(const struct options *o, struct err *e)
{
    struct run r = { .o = o };

    if (begin(&r, e) || section(&r, NULL, e))
        goto done;
    if (o->source != NULL) {
        struct source_opts so = { o->source, r.out, options_var(o, "ARCH") };

        if (section(&r, "source", e) ||
            source_emit(&r.g, &r.paths, &so, e))
            goto done;
    }
    end(&r);
    if (graph_check(&r.g, e) == 0)
        write_graph(&r, e);

done:
    blob_release(&r.template_text);
    free(r.template);
    free(r.self);
    graph_release(&r.g);
    paths_release(&r.paths);
    return e->code;
}
