#include "lib/judge/gate.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/judge/normal.h"
#include "lib/judge/sample.h"

static const double POWER = 0.8; /* with which the needed items would decide */
static const double INVALID_RISE = 0.02;
static const double LENGTH_LOW = 0.9, LENGTH_HIGH = 1.1;

static const char *const names[VERDICT_COUNT] = {
    [VERDICT_PASS] = "PASS",
    [VERDICT_INCONCLUSIVE] = "INCONCLUSIVE",
    [VERDICT_FAIL] = "FAIL",
};

const char *
verdict_name(enum verdict v)
{
    return names[v];
}

enum verdict
verdict_from(const char *name)
{
    for (unsigned i = 0; name && i < VERDICT_COUNT; i++)
        if (strcmp(name, names[i]) == 0)
            return (enum verdict)i;
    return VERDICT_INCONCLUSIVE;
}

enum verdict
verdict_worse(enum verdict a, enum verdict b)
{
    return a > b ? a : b;
}

void
gate_init(struct gate *g, const struct gate_rules *rules)
{
    g->rules = *rules;
    g->rows = json_array();
    g->warnings = json_array();
    g->quality = VERDICT_PASS;
}

void
gate_release(struct gate *g)
{
    json_decref(g->rows);
    json_decref(g->warnings);
    memset(g, 0, sizeof *g);
}

static void __attribute__((format(printf, 2, 3)))
warn(struct gate *g, const char *fmt, ...)
{
    char line[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    json_array_append_new(g->warnings, json_string(line));
}

static void
set_real(json_t *o, const char *key, double v)
{
    json_object_set_new(o, key, isfinite(v) ? json_real(v) : json_null());
}

static void
set_count(json_t *o, const char *key, uint64_t v)
{
    json_object_set_new(o, key, json_integer((json_int_t)v));
}

static double
share(uint64_t part, uint64_t whole)
{
    return whole ? (double)part / (double)whole : 0.0;
}

/* The figures that every paired row has. */
static json_t *
paired_row(const struct gate *g, const struct paired *p, uint64_t base_right,
    uint64_t cand_right, double margin)
{
    const double z = normal_quantile(1.0 - g->rules.alpha);
    json_t *o = json_object();

    json_object_set_new(o, "item", json_string("before.quality-budget"));
    set_count(o, "n", p->n);
    set_count(o, "b", p->b);
    set_count(o, "c", p->c);
    set_real(o, "base", share(base_right, p->n));
    set_real(o, "cand", share(cand_right, p->n));
    set_real(o, "drop", paired_drop(p));
    set_real(o, "upper", paired_upper(p, z));
    set_real(o, "lower", paired_lower(p, z));
    set_real(o, "margin", margin);
    set_real(o, "alpha", g->rules.alpha);
    set_real(o, "flips", paired_flips(p));
    set_real(o, "mcnemar_p", paired_mcnemar(p));
    return o;
}

static enum verdict
paired_verdict(const struct gate *g, const struct paired *p, double margin,
    bool is_worse)
{
    const double z = normal_quantile(1.0 - g->rules.alpha);

    if (is_worse)
        return VERDICT_FAIL;
    return paired_score(p, margin) <= -z ? VERDICT_PASS : VERDICT_INCONCLUSIVE;
}

/* Verdict, and what would settle an open one. */
static void
finish_row(struct gate *g, json_t *row, const char *what,
    const struct paired *p, double margin, enum verdict v)
{
    json_object_set_new(row, "verdict", json_string(verdict_name(v)));
    if (v == VERDICT_INCONCLUSIVE) {
        const uint64_t need = paired_need(p, margin,
            normal_quantile(1.0 - g->rules.alpha), normal_quantile(POWER));

        if (need > 0) {
            set_count(row, "need_items", need);
        } else {
            json_object_set_new(row, "need_items", json_null());
            json_object_set_new(row, "note",
                json_string("more items will not help: the observed drop is "
                            "not below the margin"));
        }
    }
    if (paired_flips(p) >= g->rules.flips_warn)
        warn(g, "%s: %.1f %% of the answers flipped (warning from %.1f %%)",
            what, 100.0 * paired_flips(p), 100.0 * g->rules.flips_warn);
    g->quality = verdict_worse(g->quality, v);
}

static void
warn_about(struct gate *g, const struct comparison *c, json_t *row)
{
    const double n = (double)c->pairs.n;
    const double rise =
        ((double)c->cand_invalid - (double)c->base_invalid) / n;

    set_count(row, "base_invalid", c->base_invalid);
    set_count(row, "cand_invalid", c->cand_invalid);
    if (rise > INVALID_RISE)
        warn(g, "%s: answers without anything to check rose by %.1f points",
            c->suite, 100.0 * rise);
    if (c->base_tokens > 0.0) {
        const double ratio = c->cand_tokens / c->base_tokens;

        set_real(row, "length_ratio", ratio);
        if (ratio < LENGTH_LOW || ratio > LENGTH_HIGH)
            warn(g, "%s: answers are %.2f times as long as the baseline's",
                c->suite, ratio);
    }
    if (c->cand_nonfinite > 0) {
        set_count(row, "nonfinite", c->cand_nonfinite);
        json_object_set_new(row, "note",
            json_string("logits were not finite"));
    }
}

static void
suite_row(struct gate *g, const struct comparison *c, double margin,
    bool is_worse)
{
    json_t *row = paired_row(g, &c->pairs, c->base_right, c->cand_right,
        margin);

    json_object_set_new(row, "suite", json_string(c->suite));
    json_object_set_new(row, "role", json_string(c->role));
    json_object_set_new(row, "metric", json_string(c->metric));
    if (json_array_size(c->digests) == 1)
        json_object_set(row, "suite_sha256", json_array_get(c->digests, 0));
    else
        json_object_set(row, "suite_sha256", c->digests);
    json_object_set_new(row, "base_sha256", json_string(c->base_sha256));
    json_object_set_new(row, "cand_sha256", json_string(c->cand_sha256));
    warn_about(g, c, row);
    finish_row(g, row, c->suite, &c->pairs, margin,
        paired_verdict(g, &c->pairs, margin, is_worse || c->cand_nonfinite));
    json_array_append_new(g->rows, row);
}

static void
pooled_row(struct gate *g, const struct comparison *c, size_t n)
{
    const double margin = g->rules.pooled_drop;
    const double z = normal_quantile(1.0 - g->rules.alpha);
    struct paired all = { 0 };
    uint64_t base = 0, cand = 0;
    json_t *row;

    for (size_t i = 0; i < n; i++) {
        all.n += c[i].pairs.n;
        all.b += c[i].pairs.b;
        all.c += c[i].pairs.c;
        base += c[i].base_right;
        cand += c[i].cand_right;
    }
    row = paired_row(g, &all, base, cand, margin);
    json_object_set_new(row, "suite", json_string("pooled"));
    json_object_set_new(row, "metric", json_string("items right"));
    if (n > 0) {
        json_object_set_new(row, "base_sha256",
            json_string(c[0].base_sha256));
        json_object_set_new(row, "cand_sha256",
            json_string(c[0].cand_sha256));
    }
    finish_row(g, row, "all suites", &all, margin,
        paired_verdict(g, &all, margin, paired_score(&all, margin) >= z));
    json_array_append_new(g->rows, row);
}

void
gate_suites(struct gate *g, const struct comparison *c,
    const double *margins, size_t n)
{
    double *p = mem_calloc(n, sizeof *p);
    unsigned char *is_worse = mem_calloc(n, 1);

    for (size_t i = 0; i < n; i++)
        p[i] = normal_tail(paired_score(&c[i].pairs, margins[i]));
    holm(p, n, g->rules.alpha, is_worse);
    pooled_row(g, c, n);
    for (size_t i = 0; i < n; i++)
        suite_row(g, &c[i], margins[i], is_worse[i]);
    free(p);
    free(is_worse);
}

/* The largest relative difference of losses, window by window, with a bound. */
static int
ln_ratio(const struct gate *g, const json_t *base, const json_t *cand,
    const char *path, double *mean, double *upper, struct err *e)
{
    const json_t *b = json_get_array(base, "per_window", path, e);
    const json_t *c = json_get_array(cand, "per_window", path, e);
    const int64_t window = json_get_int(cand, "window", 2, INT32_MAX, path, e);
    const size_t n = json_array_size(c);
    double *x;

    if (e->code)
        return e->code;
    if (n == 0 || json_array_size(b) != n)
        return err_set(e, ERR_WORK,
            "%s: has %zu windows, the baseline %zu; evaluate both again", path,
            n, json_array_size(b));
    x = mem_calloc(n, sizeof *x);
    for (size_t i = 0; i < n; i++)
        x[i] = (json_number_value(json_array_get(c, i)) -
                   json_number_value(json_array_get(b, i))) /
            (double)(window - 1);
    *mean = sample_mean(x, n);
    *upper = sample_mean_upper(x, n, g->rules.alpha);
    free(x);
    return 0;
}

static void
limit_row(struct gate *g, const char *suite, json_t *row, double value,
    double upper, double limit)
{
    /* accepted only when it is within: NaN falls on the failing side */
    const enum verdict v = upper <= limit ? VERDICT_PASS : VERDICT_FAIL;

    json_object_set_new(row, "item", json_string("before.quality-budget"));
    json_object_set_new(row, "suite", json_string(suite));
    set_real(row, "value", value);
    set_real(row, "limit", limit);
    json_object_set_new(row, "verdict", json_string(verdict_name(v)));
    json_array_append_new(g->rows, row);
    g->quality = verdict_worse(g->quality, v);
}

int
gate_perplexity(struct gate *g, const json_t *base, const char *base_path,
    const json_t *cand, const char *cand_path, struct err *e)
{
    static const char *const same[] = { "text_sha256", "engine" };
    const json_t *kl = json_object_get(cand, "kl");
    double mean = 0.0, upper = 0.0;
    json_t *row;

    for (size_t i = 0; i < countof(same); i++) {
        const char *x = json_get_str(base, same[i], base_path, e);
        const char *y = json_get_str(cand, same[i], cand_path, e);

        if (e->code)
            return e->code;
        if (strcmp(x, y) != 0)
            return err_set(e, ERR_WORK,
                "%s: not comparable with %s: %s differs (%.64s, %.64s); "
                "evaluate both with the same program on the same text",
                cand_path, base_path, same[i], y, x);
    }
    if (ln_ratio(g, base, cand, cand_path, &mean, &upper, e))
        return e->code;

    row = json_object();
    set_real(row, "base",
        json_get_real(base, "ppl", 0.0, HUGE_VAL, base_path, e));
    set_real(row, "cand",
        json_get_real(cand, "ppl", 0.0, HUGE_VAL, cand_path, e));
    json_object_set_new(row, "metric", json_string("perplexity ratio"));
    json_object_set(row, "n", json_object_get(cand, "scored"));
    set_real(row, "upper", exp(upper));
    set_real(row, "alpha", g->rules.alpha);
    limit_row(g, "perplexity", row, exp(mean), exp(upper), g->rules.ppl_ratio);
    if (e->code == 0 && json_is_object(kl)) {
        const double d = json_get_real(kl, "mean", -1.0, HUGE_VAL, cand_path,
            e);

        row = json_object();
        json_object_set_new(row, "metric", json_string("mean KL, nats"));
        json_object_set(row, "n", json_object_get(kl, "tokens"));
        limit_row(g, "kl", row, d, d, g->rules.kl);
    }
    return e->code;
}
