/*
 * includes.h - which headers a C file needs, found by reading it
 *
 * Follows `#include "..."` lines, first from the top of the tree, then from the
 * including file's folder. A header that is not there is left to the compiler
 * to report. Conditional compilation is not looked at: a header too many costs
 * a compile, one too few would cost a wrong program.
 */
#ifndef QUERN_GEN_INCLUDES_H
#define QUERN_GEN_INCLUDES_H

#include <stdbool.h>
#include <stddef.h>

#include "gen/graph.h"

struct include_file {
    const char *path; /* relative to the tree */
    size_t *next;     /* indices of the files it includes; owned */
    size_t n_next;
    unsigned seen;    /* stamp of the walk that met it last */
};

struct includes {
    const char *dir; /* the tree */
    struct include_file *v;
    size_t n, cap;
    size_t *slots;   /* hash table of index + 1; 0: free */
    size_t n_slots;
    unsigned stamp;
    struct arena arena;
};

/* All headers under `path`, sorted, added to `list`. */
void includes_of(struct includes *inc, const char *path, struct names *list);
void includes_release(struct includes *inc);

#endif
