/*
 * plot.h - pictures drawn by gnuplot, as SVG to stand inside a page
 */
#ifndef QUERN_JUDGE_PLOT_H
#define QUERN_JUDGE_PLOT_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"
#include "lib/base/str.h"

/* A model in the picture of size against quality. */
struct plot_point {
    const char *name;
    double bytes;
    double points, low, high; /* items right in percent, with bounds */
    const char *color;        /* "#2f7d4f" */
};

/* `limit`: the points below which no candidate may be shown to be. */
int plot_size_quality(const struct plot_point *p, size_t n, double limit,
    struct str *svg, struct err *e);

/* One line in the picture of errors by layer. */
struct plot_line {
    const char *name;
    double *error; /* [layers + 1], the last is the head; NAN: none */
    const char *color;
};

int plot_layer_errors(const struct plot_line *l, size_t n, size_t layers,
    struct str *svg, struct err *e);

#endif
