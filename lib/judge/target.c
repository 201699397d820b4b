/*
 * target.c - the figure that quantizing was for, and whether it is reached; see
 * gate.h
 */
#include <math.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/judge/gate.h"

static const char *const names[BOTTLENECK_COUNT] = {
    [BOTTLENECK_MEMORY] = "memory",
    [BOTTLENECK_THROUGHPUT] = "throughput",
    [BOTTLENECK_COST] = "cost",
};

int
bottleneck_from(const char *name, enum bottleneck *b, struct err *e)
{
    for (unsigned i = 0; name && i < BOTTLENECK_COUNT; i++)
        if (strcmp(name, names[i]) == 0) {
            *b = (enum bottleneck)i;
            return 0;
        }
    return err_set(e, ERR_USAGE,
        "unknown bottleneck '%s'; write memory, throughput or cost",
        name ? name : "");
}

/* A number at a path of up to three keys; NAN if it is not there. */
static double
number(const json_t *o, const char *a, const char *b, const char *c)
{
    const json_t *v = json_object_get(o, a);

    if (b)
        v = json_object_get(v, b);
    if (c)
        v = json_object_get(v, c);
    return json_is_number(v) ? json_number_value(v) : (double)NAN;
}

double
bottleneck_figure(enum bottleneck b, const json_t *bench, bool relative)
{
    const double bytes = relative ? number(bench, "bytes", "ratio", NULL) :
                                    number(bench, "bytes", "candidate", NULL);
    const double rate = relative ?
        number(bench, "decode", "ratio", "value") :
        number(bench, "decode", "candidate", "median");

    switch (b) {
    case BOTTLENECK_MEMORY:
        return bytes;
    case BOTTLENECK_THROUGHPUT:
        return 1.0 / rate;
    default:
        return bytes / rate;
    }
}

/* The rate that is sure: the interval's lower end, or the slowest run. */
static double
sure_rate(const json_t *bench, bool relative)
{
    const json_t *samples = json_object_get(
        json_object_get(json_object_get(bench, "decode"), "candidate"),
        "samples");
    const json_t *v;
    double least = (double)NAN;
    size_t i;

    if (relative)
        return number(bench, "decode", "ratio", "lower");
    json_array_foreach(samples, i, v) {
        least = i ? fmin(least, json_number_value(v)) : json_number_value(v);
    }
    return least;
}

enum verdict
gate_target(struct gate *g, enum bottleneck b, double target, bool relative,
    const json_t *bench, const char *path, struct err *e)
{
    static const char *const metrics[BOTTLENECK_COUNT][2] = {
        [BOTTLENECK_MEMORY] = { "file bytes", "file bytes ratio" },
        [BOTTLENECK_THROUGHPUT] = { "decode tokens/s",
            "decode tokens/s ratio" },
        [BOTTLENECK_COST] = { "byte seconds per token",
            "byte seconds per token ratio" },
    };
    const double figure = bottleneck_figure(b, bench, relative);
    const double rate = sure_rate(bench, relative);
    const double bytes = bottleneck_figure(BOTTLENECK_MEMORY, bench, relative);
    json_t *row = json_object();
    double value = figure, sure = figure;
    bool met;

    if (b == BOTTLENECK_THROUGHPUT) {
        value = 1.0 / figure;
        sure = rate;
    } else if (b == BOTTLENECK_COST) {
        sure = bytes / rate;
    }
    if (!isfinite(value) || !isfinite(sure)) {
        err_set(e, ERR_WORK,
            "%s: has no figure for the bottleneck '%s'; benchmark again", path,
            names[b]);
        json_decref(row);
        return VERDICT_INCONCLUSIVE;
    }
    met = b == BOTTLENECK_THROUGHPUT ? sure >= target : sure <= target;

    const enum verdict v = met ? VERDICT_PASS : VERDICT_FAIL;

    json_object_set_new(row, "item", json_string("before.bottleneck"));
    json_object_set_new(row, "suite", json_string("bottleneck"));
    json_object_set_new(row, "metric", json_string(metrics[b][relative]));
    json_object_set_new(row, "value", json_real(value));
    json_object_set_new(row, "bound", json_real(sure));
    json_object_set_new(row, "limit", json_real(target));
    json_object_set_new(row, "verdict", json_string(verdict_name(v)));
    json_array_append_new(g->rows, row);
    return v;
}
