/*
 * options.c - the command line of quern-gen; see options.h
 */
#include "gen/options.h"

#include <getopt.h>
#include <string.h>
#include <sys/utsname.h>

/* What --set knows. A NULL default is found out. */
static const struct template_var known_vars[] = {
    { "CC", "cc" },
    { "AR", "ar" },
    { "CFLAGS", "-O2 -g" },
    { "LDFLAGS", "" },
    { "LIBS", "" },
    { "WARNINGS", "-Wall -Wextra" },
    { "ARCH", NULL },
    { "HEAVY", "2" },
};

static const struct option long_options[] = {
    { "source", required_argument, NULL, 's' },
    { "output", required_argument, NULL, 'o' },
    { "root", required_argument, NULL, 'r' },
    { "build", required_argument, NULL, 'b' },
    { "bin", required_argument, NULL, 'p' },
    { "out", required_argument, NULL, 'O' },
    { "set", required_argument, NULL, 'D' },
    { "today", required_argument, NULL, 't' },
    { "check", no_argument, NULL, 'c' },
    { "print", no_argument, NULL, 'P' },
    { "help", no_argument, NULL, 'h' },
    { NULL, 0, NULL, 0 },
};

void
options_usage(FILE *to)
{
    fputs("usage: quern-gen [-c | --print] [-o FILE] [--root DIR] "
        "[--build DIR]\n"
        "                 [--bin DIR] [--source DIR [--out DIR]] "
        "[--set NAME=VALUE]\n"
        "                 [--today DATE] [POLICY]\n"
        "Writes the ninja graph that carries out POLICY.\n"
        "  -o FILE      the graph (build/quern.ninja; with --source "
        "build.ninja)\n"
        "  -c, --check  check the policy and write nothing\n"
        "  --print      print the checked policy as JSON; its waivers need no\n"
        "               signatures yet\n"
        "  --root DIR   the folder that ninja will run in (.)\n"
        "  --build DIR  where stages and results lie (the graph's folder)\n"
        "  --bin DIR    where the step programs lie (beside quern-gen)\n"
        "  --source DIR compile quern from DIR in the same graph\n"
        "  --out DIR    where what is compiled goes (out)\n"
        "  --set N=V    CC, AR, CFLAGS, LDFLAGS, LIBS, WARNINGS, ARCH, or "
        "HEAVY:\n"
        "               how many heavy stages may run at once (2)\n"
        "  --today D    hold waivers against this date, YYYY-MM-DD\n", to);
}

static int
set_var(struct options *o, const char *text, struct err *e)
{
    const char *eq = strchr(text, '=');
    size_t n = eq != NULL ? (size_t)(eq - text) : strlen(text);
    bool known = false;

    for (size_t i = 0; i < countof(known_vars); i++)
        known = known || (strlen(known_vars[i].name) == n &&
            memcmp(known_vars[i].name, text, n) == 0);
    if (eq == NULL || !known)
        return err_set(e, ERR_USAGE, "--set '%s': unknown name; write "
            "CC, AR, CFLAGS, LDFLAGS, LIBS, WARNINGS, ARCH or HEAVY and "
            "=VALUE", text);
    for (size_t i = 0; i < o->n_vars; i++)
        if (strlen(o->vars[i].name) == n &&
            memcmp(o->vars[i].name, text, n) == 0)
            return err_set(e, ERR_USAGE, "--set '%s': given twice; give it "
                "once", text);
    o->vars[o->n_vars++] = (struct template_var){
        arena_strndup(&o->arena, text, n), eq + 1 };
    return 0;
}

/* Stores an option's value; a repeated option is an error. */
static int
once(const char **where, const char *name, struct err *e)
{
    if (*where != NULL)
        return err_set(e, ERR_USAGE, "%s: given twice; give it once", name);
    *where = optarg;
    return 0;
}

static int
take(struct options *o, int c, struct err *e)
{
    switch (c) {
    case 's':
        return once(&o->source, "--source", e);
    case 'o':
        return once(&o->output, "-o", e);
    case 'r':
        return once(&o->root, "--root", e);
    case 'b':
        return once(&o->build, "--build", e);
    case 'p':
        return once(&o->bin, "--bin", e);
    case 'O':
        return once(&o->out, "--out", e);
    case 't':
        return once(&o->today, "--today", e);
    case 'D':
        return set_var(o, optarg, e);
    case 'c':
        o->check = true;
        return 0;
    case 'P':
        o->print = true;
        return 0;
    default:
        o->help = true;
        return 0;
    }
}

static void
set_defaults(struct options *o)
{
    struct utsname machine;

    o->n_given = o->n_vars;
    if (uname(&machine) != 0)
        memcpy(machine.machine, "unknown", 8);
    for (size_t i = 0; i < countof(known_vars); i++) {
        struct template_var v = known_vars[i];

        if (options_var(o, v.name) != NULL)
            continue;
        if (v.value == NULL)
            v.value = arena_strdup(&o->arena, machine.machine);
        o->vars[o->n_vars++] = v;
    }
}

int
options_parse(struct options *o, int argc, char **argv, struct err *e)
{
    int c;

    opterr = 0;
    while ((c = getopt_long(argc, argv, ":o:ch", long_options, NULL)) != -1) {
        if (c == ':')
            return err_set(e, ERR_USAGE, "%s: needs a value; see -h",
                argv[optind - 1]);
        if (c == '?')
            return err_set(e, ERR_USAGE, "%s: unknown option; see -h",
                argv[optind - 1]);
        if (take(o, c, e))
            return e->code;
    }
    if (o->help)
        return 0;
    if (optind < argc)
        o->policy = argv[optind++];
    if (optind < argc)
        return err_set(e, ERR_USAGE, "%s: one policy at a time; make a graph "
            "for each", argv[optind]);
    if (o->policy == NULL && o->source == NULL)
        return err_set(e, ERR_USAGE, "no policy; name the policy.yaml");
    if ((o->check || o->print) && o->policy == NULL)
        return err_set(e, ERR_USAGE, "no policy to check; name the "
            "policy.yaml");
    if (o->output == NULL)
        o->output = o->source != NULL ? "build.ninja" : "build/quern.ninja";
    if (o->out == NULL)
        o->out = "out";
    set_defaults(o);
    return 0;
}

const char *
options_var(const struct options *o, const char *name)
{
    for (size_t i = 0; i < o->n_vars; i++)
        if (strcmp(o->vars[i].name, name) == 0)
            return o->vars[i].value;
    return NULL;
}

void
options_release(struct options *o)
{
    arena_release(&o->arena);
    *o = (struct options){ 0 };
}
