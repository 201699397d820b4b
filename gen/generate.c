/*
 * generate.c - from the command line to the files on disk
 *
 * The graph is put together in memory: the template's section, the edges of
 * the source tree, those of the policy, last the edge that makes the file
 * itself. The file is replaced only if its text changed.
 */
#include "gen/generate.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "gen/expand.h"
#include "gen/graph.h"
#include "gen/paths.h"
#include "gen/policy_json.h"
#include "gen/source.h"
#include "lib/base/file.h"
#include "lib/base/json.h"

enum { TEMPLATE_MAX = 1 << 20, DAY = 86400 };

struct run {
    const struct options *o;
    struct paths paths;
    struct graph g;
    char *self;     /* folder of this program; owned */
    char *template; /* path of build.ninja.in; owned */
    struct blob template_text;
    char *kernels;  /* path of kernels.tsv; owned */
    char *build;    /* build folder, seen from here; owned */
    struct policy policy;
    struct problems *problems;
    struct stagefiles files;
    const char *out, *file, *program, *bin; /* as the graph names them */
    const char *prefix; /* of global names: quern_NAME */
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

/* Whether what this graph compiles is for a processor of another kind. */
static bool
foreign(const struct options *o)
{
    struct utsname u;

    return o->source != NULL && uname(&u) == 0 &&
        strcmp(u.machine, options_var(o, "ARCH")) != 0;
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
    r->build = o->build != NULL ? mem_strdup(o->build) :
        path_dir(o->output);
    if (o->source != NULL)
        r->bin = arena_printf(&r->g.arena, "%s/bin", r->out);
    else if (o->bin != NULL || r->self != NULL)
        r->bin = graph_name(r, o->bin != NULL ? o->bin : r->self);
    else
        return err_set(e, ERR_WORK, "cannot tell where the programs lie; "
            "name their folder with --bin");
    /* a generator for another machine could not keep this graph up to date */
    r->program = arena_printf(&r->g.arena, "%s/quern-gen",
        foreign(o) && r->self != NULL ? graph_name(r, r->self) : r->bin);
    return 0;
}

/* A path quoted for the shell and escaped for ninja, in the arena. */
static const char *
quoted(struct run *r, const char *path)
{
    struct str shell = { 0 }, ninja = { 0 };
    const char *kept;

    shell_quote(&shell, path);
    ninja_value(&ninja, str_get(&shell));
    kept = arena_strdup(&r->g.arena, str_get(&ninja));
    str_release(&shell);
    str_release(&ninja);
    return kept;
}

/* A path as the value of a ninja variable. */
static const char *
escaped(struct run *r, const char *path)
{
    struct str ninja = { 0 };
    const char *kept;

    ninja_value(&ninja, path);
    kept = arena_strdup(&r->g.arena, str_get(&ninja));
    str_release(&ninja);
    return kept;
}

/* One section of the template with everything that it may ask for. */
static int
section(struct run *r, const char *name, struct err *e)
{
    const struct options *o = r->o;
    struct template_var vars[32];
    size_t n = 0;

    for (; n < o->n_vars; n++) {
        struct str value = { 0 };

        ninja_value(&value, o->vars[n].value);
        vars[n] = (struct template_var){ o->vars[n].name,
            arena_strdup(&r->g.arena, str_get(&value)) };
        str_release(&value);
    }
    vars[n++] = (struct template_var){ "SOURCE", quoted(r,
        graph_name(r, o->source != NULL ? o->source : ".")) };
    vars[n++] = (struct template_var){ "OUT", quoted(r, r->out) };
    vars[n++] = (struct template_var){ "LOG", o->source != NULL ?
        escaped(r, r->out) : escaped(r, graph_name(r, r->build)) };
    vars[n++] = (struct template_var){ "BIN", quoted(r, r->bin) };
    vars[n++] = (struct template_var){ "BUILD",
        quoted(r, graph_name(r, r->build)) };
    vars[n++] = (struct template_var){ "PREFIX", r->prefix };
    return template_section(&r->g.text, r->template, r->template_text.p,
        name, vars, n, e);
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
    for (size_t i = 0; i < o->n_given; i++) {
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
 * The edge that makes this file. What it read are its inputs. In a source tree
 * each of those is also the output of a phony edge without inputs, so that a
 * file that is gone asks for a new graph instead of stopping ninja; a graph of
 * stages alone must not, because a bigger build may make its inputs.
 */
static void
end(struct run *r)
{
    struct graph *g = &r->g;
    char *command = again(r);

    names_add(&g->sources, graph_name(r, r->template));
    names_sort(&g->sources);
    graph_comment(g, "this file");
    for (size_t i = 0; i < g->sources.n && r->o->source != NULL; i++)
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

/* Writes a file unless it has this very text already. */
static int
put_file(const char *path, const char *text, size_t n, struct err *e)
{
    struct err quiet = { 0 };
    struct map old = { .fd = -1 };
    bool same = false;

    if (file_exists(path) && map_open(&old, path, &quiet) == 0) {
        same = old.len == n && (n == 0 || memcmp(old.p, text, n) == 0);
        map_close(&old);
    }
    return same ? 0 : file_write(path, text, n, e);
}

static int
read_policy(struct run *r, struct err *e)
{
    const struct options *o = r->o;
    struct policy_env env = { .build = r->build, .unsigned_ok = o->print };

    r->kernels = find_data(r, "policies/kernels.tsv");
    if (r->kernels == NULL)
        return err_set(e, ERR_WORK, "policies/kernels.tsv: not found beside "
            "this program (../share/quern); install quern whole");
    env.kernels = r->kernels;
    env.today = (int64_t)time(NULL) / DAY;
    if (o->today != NULL && !date_parse(o->today, &env.today))
        return err_set(e, ERR_USAGE, "--today '%s': no date; write "
            "YYYY-MM-DD", o->today);
    if (policy_read(&r->policy, o->policy, &env, r->problems, e))
        return e->code;
    if (r->problems->n > r->problems->unsigned_n) {
        *e = r->problems->v[0];
        return e->code;
    }
    if (r->policy.profile == PROFILE_QAT) {
        r->problems->n = 0; /* nothing but signatures, for nothing to run */
        return err_set(e, ERR_WORK, "%s: the policy is in order, but "
            "training is not carried out by this version; train outside, then "
            "use the profile production", o->policy);
    }
    r->prefix = arena_printf(&r->g.arena, "quern_%s", r->policy.name);
    return 0;
}

/* What the generator looked at for the policy's part of the graph. */
static void
add_sources(struct run *r, const struct layout *shape)
{
    struct policy *o = &r->policy;
    const char *model = policy_path(o, yaml_get(o->model, "source")->text);
    char *config = shape->gguf ? mem_strdup(model) :
        path_join(model, "config.json");
    struct names *l = &r->g.sources;

    names_add(l, graph_name(r, r->o->policy));
    names_add(l, graph_name(r, r->kernels));
    names_add(l, graph_name(r, config));
    for (size_t i = 0; i < shape->n_parts; i++)
        names_add(l, graph_name(r, shape->parts[i]));
    names_add(l, graph_name(r, policy_path(o, o->signers)));
    for (size_t i = 0; i < o->n_waivers; i++)
        names_add(l, graph_name(r, policy_path(o, o->waivers[i].signature)));
    free(config);
}

/*
 * The list of signers beside the records that it is held against, so that the
 * build folder can be checked by itself.
 */
static int
copy_signers(struct run *r, struct stager *s, struct err *e)
{
    const char *from = policy_path(&r->policy, r->policy.signers);
    char *to = path_join(r->build, "keys/allowed_signers");
    char *a = paths_absolute(&r->paths, from);
    char *b = paths_absolute(&r->paths, to);
    struct blob text = { 0 };

    if (strcmp(a, b) != 0 && blob_read(&text, from, TEMPLATE_MAX, e) == 0 &&
        put_file(to, text.p, text.len, e) == 0)
        names_add(&r->g.outputs, stager_role(s, "keys/allowed_signers"));
    blob_release(&text);
    free(a);
    free(b);
    free(to);
    return e->code;
}

static int
write_policy(struct run *r, struct stager *s, struct err *e)
{
    char *path = path_join(r->build, "policy.json");
    json_t *v = policy_json(&r->policy, &r->paths, &s->ids);
    char *text = json_text(v, false);

    put_file(path, text, strlen(text), e);
    names_add(&r->g.outputs, stager_role(s, "policy.json"));
    free(text);
    json_decref(v);
    free(path);
    return e->code;
}

/* Names for a person to type, and what a bare `ninja` makes. */
static void
aliases(struct run *r, struct stager *s)
{
    const char *report = stager_role(s, "report.html");
    const char *release = stager_role(s, "release.json");
    const char *name = arena_printf(&r->g.arena, "%s_report", r->prefix);

    graph_comment(&r->g, "what to ask for by name");
    graph_edge(&r->g, &(struct edge){ .rule = "phony", .outs = &r->prefix,
        .n_outs = 1, .ins = &release, .n_ins = 1 });
    graph_edge(&r->g, &(struct edge){ .rule = "phony", .outs = &name,
        .n_outs = 1, .ins = &report, .n_ins = 1 });
    names_add(&r->g.defaults, r->prefix);
}

/* The policy's part: stage files, edges, policy.json. */
static int
stages(struct run *r, struct err *e)
{
    char *folder = path_join(r->build, "stages");
    struct stager s = { .g = &r->g, .policy = &r->policy,
        .paths = &r->paths, .files = &r->files, .bin = r->bin };
    struct layout shape = { 0 };

    s.build = graph_name(r, r->build);
    s.always = arena_printf(&r->g.arena, "%s_always", r->prefix);
    if (section(r, "stages", e) == 0 &&
        expand_layout(&r->policy, &shape, e) == 0 &&
        stagefiles_open(&r->files, folder, e) == 0) {
        graph_comment(&r->g, "the stages");
        expand(&s, &shape, e);
    }
    /* a name that cannot be written is found before any old file goes */
    if (e->code == 0 && graph_check(&r->g, e) == 0 &&
        write_policy(r, &s, e) == 0 && copy_signers(r, &s, e) == 0) {
        add_sources(r, &shape);
        aliases(r, &s);
        stagefiles_finish(&r->files, e);
    }
    stagefiles_close(&r->files);
    stager_release(&s);
    free(folder);
    return e->code;
}

/* What -c and --print answer with. */
static int
only_look(struct run *r, struct err *e)
{
    const struct policy *o = &r->policy;
    struct names none = { 0 };
    size_t open = 0;

    if (r->problems->n > 0) {
        *e = r->problems->v[0];
        return e->code;
    }
    if (r->o->print) {
        json_t *v = policy_json(o, &r->paths, &none);
        char *text = json_text(v, false);

        fputs(text, stdout);
        free(text);
        json_decref(v);
        return 0;
    }
    for (size_t i = 0; i < o->n_items; i++)
        open += o->items[i].why_not != NULL;
    printf("%s: in order: %zu items, %zu candidates, %zu waivers; %zu items "
        "are not carried out by this version\n", r->o->policy, o->n_items,
        o->n_candidates, o->n_waivers, open);
    return 0;
}

static void
release(struct run *r)
{
    blob_release(&r->template_text);
    free(r->template);
    free(r->kernels);
    free(r->build);
    free(r->self);
    policy_release(&r->policy);
    graph_release(&r->g);
    paths_release(&r->paths);
}

int
generate(const struct options *o, struct problems *problems, struct err *e)
{
    struct run r = { .o = o, .problems = problems, .files.fd = -1,
        .prefix = "quern" };

    if (begin(&r, e) || (o->policy != NULL && read_policy(&r, e)))
        goto done;
    if (o->check || o->print) {
        only_look(&r, e);
        goto done;
    }
    if (section(&r, NULL, e))
        goto done;
    if (o->source != NULL) {
        struct source_opts so = { o->source, r.out, options_var(o, "ARCH") };

        if (section(&r, "source", e) ||
            source_emit(&r.g, &r.paths, &so, e))
            goto done;
    }
    if (o->policy != NULL && stages(&r, e))
        goto done;
    /* policy.json is there now for owners to sign by; a graph is not */
    if (r.problems->n > 0)
        *e = r.problems->v[0];
    else
        end(&r);
    if (e->code == 0 && graph_check(&r.g, e) == 0)
        put_file(o->output, r.g.text.p, r.g.text.len, e);

done:
    release(&r);
    return e->code;
}
