/*
 * options.h - the command line of quern-gen
 */
#ifndef QUERN_GEN_OPTIONS_H
#define QUERN_GEN_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "gen/template.h"
#include "lib/base/err.h"
#include "lib/base/mem.h"

struct options {
    const char *policy;   /* operand; NULL: programs only */
    const char *source;   /* --source: also compile quern from there */
    const char *output;   /* -o */
    const char *root;     /* --root: the folder ninja runs in */
    const char *build;    /* --build: folder of stages and results */
    const char *bin;      /* --bin: folder of the programs */
    const char *out;      /* --out: folder of what is compiled */
    const char *today;    /* --today: the date waivers are held against */
    bool check;           /* --check: judge the policy, write nothing */
    bool print;           /* --print: the checked policy as JSON */
    bool help;            /* -h */
    struct template_var vars[16]; /* --set NAME=VALUE, then defaults */
    size_t n_vars, n_given; /* all, and those from the command line */
    struct arena arena;   /* owns what is not argv's */
};

/* A wrong option is ERR_USAGE. `argv` must outlive `o`. */
int options_parse(struct options *o, int argc, char **argv, struct err *e);
void options_usage(FILE *to);
/* The value of a --set name or its default; never NULL for a known name. */
const char *options_var(const struct options *o, const char *name);
void options_release(struct options *o);

#endif
