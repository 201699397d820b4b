/*
 * graph.h - the text of a build.ninja while it grows
 *
 * Only what ninja 1.7 and samurai know is written: rules from the template,
 * build statements with implicit outputs and inputs, order-only inputs, phony,
 * default. Names are escaped for ninja ($, space and colon with $; a bar comes
 * in through a variable, because it cannot be escaped) and, inside commands,
 * quoted for the shell before that.
 */
#ifndef QUERN_GEN_GRAPH_H
#define QUERN_GEN_GRAPH_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

/* A growing list of borrowed or arena-owned names. */
struct names {
    const char **v; /* array owned; names are not */
    size_t n, cap;
};

void names_add(struct names *l, const char *name);
void names_sort(struct names *l); /* by bytes, equal ones merged */
void names_release(struct names *l);

struct graph {
    struct str text;      /* build.ninja so far */
    struct names sources; /* files and folders the generator looked at */
    struct names outputs; /* further files the generator writes */
    struct names defaults;
    struct arena arena;   /* owns names */
    bool bad_name;        /* a path held a newline; graph_check reports */
    char *bad;            /* that path; owned */
};

void graph_release(struct graph *g);

/* ` NAME` escaped as a path. */
void graph_path(struct graph *g, const char *path);
/* `  name = value` of the edge before, with value escaped. */
void graph_bind(struct graph *g, const char *name, const char *value);
void graph_comment(struct graph *g, const char *text);

/* One build statement. NULL lists are empty. */
struct edge {
    const char *rule;
    const char *const *outs, *const *more_outs; /* explicit, implicit */
    const char *const *ins, *const *more_ins, *const *after; /* ||: after */
    size_t n_outs, n_more_outs, n_ins, n_more_ins, n_after;
};

void graph_edge(struct graph *g, const struct edge *edge);

/* Escapes for a ninja value or, `quoted` for the shell as well, a command. */
void ninja_value(struct str *s, const char *text);
void shell_quote(struct str *s, const char *text);

/* Error if a path cannot be written (a newline); names it. */
int graph_check(const struct graph *g, struct err *e);

#endif
