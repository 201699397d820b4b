/*
 * grid.h - columns of text for a terminal
 */
#ifndef QUERN_INSPECT_GRID_H
#define QUERN_INSPECT_GRID_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/str.h"

/* Cells are added row after row; a zeroed struct with `align` set is empty. */
struct grid {
    const char *align; /* one letter a column: l or r; borrowed */
    char **cell;       /* owned */
    size_t n, cap;
};

/* The next cell, any bytes; what a terminal would obey is escaped. */
void grid_add(struct grid *g, const char *text);
void grid_addf(struct grid *g, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Appends the lines, two spaces between columns, and releases the cells. */
void grid_text(struct grid *g, struct str *out);

/* Appends text with control characters and invalid UTF-8 as \xNN. */
void grid_escape(struct str *out, const char *text, size_t n);
/* Bytes of a text's beginning, at most `limit`, that end with a character. */
size_t grid_cut(const char *text, size_t limit);
/* "12 B", "7.35 MB" */
void grid_size(struct str *out, double bytes);

#endif
