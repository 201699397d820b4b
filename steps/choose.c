/*
 * quern-choose - which candidate ships, and why
 *
 * Candidates that pass the gate are ranked by the figure that quantizing was
 * for, never by task differences that lie inside each other's interval. One
 * that fails only items with a waiver may ship when none passes; release checks
 * the waiver's signature. That none may ship is a decision too: exit 0.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/judge/gate.h"
#include "lib/record/items.h"
#include "lib/record/stage.h"

/* How far a candidate may go: lower is better. */
enum standing { STANDS_PASS, STANDS_WAIVED, STANDS_REFUSED };

struct candidate {
    char *name;          /* owned */
    json_t *gate, *bench; /* owned; bench may be NULL */
    enum verdict verdict;
    enum standing standing;
    double figure; /* of the bottleneck, lower is better; NAN unknown */
};

struct work {
    struct stage *s;
    enum bottleneck bottleneck;
    json_t *policy;
    struct candidate *c; /* best first once ranked */
    size_t n;
};

static const char *
text(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}

/* Whether the policy has a waiver for an item that may be waived. */
static bool
is_waived(const json_t *policy, const char *item)
{
    const json_t *row;
    size_t i;

    json_array_foreach(json_object_get(policy, "items"), i, row)
        if (strcmp(text(row, "id"), item) == 0)
            return json_is_object(json_object_get(row, "waiver")) &&
                !item_is_never_waivable(item);
    return false;
}

/*
 * Only what is the candidate's own doing counts: calibration data is shared by
 * all, so its verdict stops the release, not the choice.
 */
static enum standing
standing_of(const struct work *w, const struct candidate *c)
{
    const json_t *o;
    size_t i;

    if (c->verdict == VERDICT_PASS)
        return STANDS_PASS;
    json_array_foreach(json_object_get(c->gate, "items"), i, o) {
        if (str_starts(text(o, "item"), "calibration.") ||
            strcmp(text(o, "verdict"), "PASS") == 0)
            continue;
        if (!is_waived(w->policy, text(o, "item")))
            return STANDS_REFUSED;
    }
    return STANDS_WAIVED;
}

static int
add_candidate(struct work *w, const struct stage_file *f, struct err *e)
{
    struct candidate *c = &w->c[w->n++];
    char *role;

    c->gate = stage_in_json(w->s, f->role, e);
    c->name = mem_strdup(text(c->gate, "candidate"));
    c->verdict = verdict_from(json_get_str(c->gate, "verdict", f->role, e));
    if (e->code)
        return e->code;
    role = mem_printf("bench/%s.json", c->name);
    if (stage_in(w->s, role) != NULL)
        c->bench = stage_in_json(w->s, role, e);
    c->figure = c->bench ?
        bottleneck_figure(w->bottleneck, c->bench, false) :
        (double)NAN;
    c->standing = standing_of(w, c);
    free(role);
    return e->code;
}

static double
points(const struct candidate *c)
{
    const json_t *o = json_object_get(
        json_object_get(json_object_get(c->gate, "figures"), "candidate"),
        "points");

    return json_is_number(o) ? json_number_value(o) : 0.0;
}

/* Standing, then the figure; refused ones by quality; then by name. */
static int
by_rank(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;

    if (x->standing != y->standing)
        return x->standing < y->standing ? -1 : 1;
    if (x->standing == STANDS_REFUSED) {
        if (x->verdict != y->verdict)
            return x->verdict < y->verdict ? -1 : 1;
        if (points(x) > points(y) || points(x) < points(y))
            return points(x) > points(y) ? -1 : 1;
    } else if (x->figure < y->figure || x->figure > y->figure) {
        return x->figure < y->figure ? -1 : 1;
    }
    return strcmp(x->name, y->name);
}

static int
add_candidates(struct work *w, struct err *e)
{
    const struct stage_file *f;

    w->c = mem_calloc(w->s->in.n, sizeof *w->c);
    for (size_t i = 0; (f = stage_in_next(w->s, "gate/", &i)) != NULL;)
        if (!str_ends(f->role, ".first.json") && add_candidate(w, f, e))
            return e->code;
    if (w->n == 0)
        return err_set(e, ERR_USAGE,
            "no candidate to choose from; name gate/NAME.json with --in");
    qsort(w->c, w->n, sizeof *w->c, by_rank);
    return 0;
}

/* "12.3 MB", "812.5 tokens/s": a bottleneck's figure for people. */
static char *
figure_text(const struct work *w, const struct candidate *c)
{
    if (!isfinite(c->figure))
        return mem_strdup("no figure");
    switch (w->bottleneck) {
    case BOTTLENECK_MEMORY:
        return mem_printf("%.2f MB", c->figure / 1e6);
    case BOTTLENECK_THROUGHPUT:
        return mem_printf("%.0f tokens/s", 1.0 / c->figure);
    default:
        return mem_printf("%.0f byte seconds a token", c->figure);
    }
}

static const char *const best_words[BOTTLENECK_COUNT] = {
    [BOTTLENECK_MEMORY] = "smallest",
    [BOTTLENECK_THROUGHPUT] = "fastest",
    [BOTTLENECK_COST] = "cheapest to serve",
};

/* A row with one figure, and what it may be at most where that is estimated. */
static char *
limit_line(const json_t *row)
{
    const json_t *upper = json_object_get(row, "upper");
    char *bound = upper ? mem_printf(", at most %.4g", json_number_value(upper))
                        : mem_strdup("");
    char *line = mem_printf("%s %s: %.4g%s (limit %.4g)", text(row, "verdict"),
        text(row, "suite"), json_number_value(json_object_get(row, "value")),
        bound, json_number_value(json_object_get(row, "limit")));

    free(bound);
    return line;
}

/* Every row that is not PASS, in words. */
static json_t *
reasons(const struct candidate *c)
{
    json_t *list = json_array();
    const json_t *row;
    size_t i;

    json_array_foreach(json_object_get(c->gate, "rows"), i, row) {
        const json_t *need = json_object_get(row, "need_items");
        char *line;

        if (strcmp(text(row, "verdict"), "PASS") == 0)
            continue;
        if (json_object_get(row, "drop") != NULL)
            line = mem_printf("%s %s: %.1f points lost, between %.1f and %.1f "
                              "(limit %.1f)",
                text(row, "verdict"), text(row, "suite"),
                100.0 * json_number_value(json_object_get(row, "drop")),
                100.0 * json_number_value(json_object_get(row, "lower")),
                100.0 * json_number_value(json_object_get(row, "upper")),
                100.0 * json_number_value(json_object_get(row, "margin")));
        else
            line = limit_line(row);
        if (json_is_integer(need)) {
            char *more = mem_printf("%s; %lld items would decide", line,
                (long long)json_integer_value(need));

            free(line);
            line = more;
        }
        json_array_append_new(list, json_string(line));
        free(line);
    }
    return list;
}

static char *
why(const struct work *w)
{
    const struct candidate *best = &w->c[0];
    size_t pass = 0;
    char *figure, *line;
    json_t *list;

    for (size_t i = 0; i < w->n; i++)
        pass += w->c[i].standing == STANDS_PASS;
    if (best->standing == STANDS_REFUSED) {
        list = reasons(best);
        line = mem_printf("none of %zu candidates may ship; the best, %s, is "
                          "refused: %s",
            w->n, best->name,
            json_array_size(list) ?
                json_string_value(json_array_get(list, 0)) :
                "an item does not hold");
        json_decref(list);
        return line;
    }
    figure = figure_text(w, best);
    if (best->standing == STANDS_WAIVED)
        line = mem_printf("%s may ship only by waiver: none of %zu candidates "
                          "passes the gate; it is the %s of those that are "
                          "waived (%s)",
            best->name, w->n, best_words[w->bottleneck], figure);
    else if (pass == 1)
        line = mem_printf("%s is the only one of %zu candidates that passes "
                          "the gate (%s)",
            best->name, w->n, figure);
    else
        line = mem_printf("%s is the %s (%s) of the %zu candidates out of %zu "
                          "that pass the gate",
            best->name, best_words[w->bottleneck], figure, pass, w->n);
    free(figure);
    return line;
}

/* A member of the gate's figures, under its own name. */
static void
copy_figures(json_t *o, const json_t *from)
{
    static const char *const keys[] = { "points", "ppl", "kl", "bytes", "drop",
        "upper", "lower" };

    for (size_t i = 0; i < countof(keys); i++)
        if (json_object_get(from, keys[i]) != NULL)
            json_object_set(o, keys[i], json_object_get(from, keys[i]));
}

static void
copy_rates(json_t *o, const json_t *bench, const char *side)
{
    static const char *const rates[] = { "prefill", "decode" };
    static const char *const others[] = { "load_ms", "peak_bytes" };

    for (size_t i = 0; i < countof(rates); i++) {
        const json_t *v = json_object_get(
            json_object_get(json_object_get(bench, rates[i]), side), "median");

        if (v != NULL)
            json_object_set(o, rates[i], json_object_get(json_object_get(
                json_object_get(bench, rates[i]), side), "median"));
    }
    for (size_t i = 0; i < countof(others); i++)
        if (json_object_get(json_object_get(bench, others[i]), side))
            json_object_set(o, others[i],
                json_object_get(json_object_get(bench, others[i]), side));
}

static json_t *
candidate_json(const struct candidate *c)
{
    static const char *const standings[] = { "passes", "waived", "refused" };
    json_t *o = json_object();

    json_object_set_new(o, "name", json_string(c->name));
    json_object_set_new(o, "verdict", json_string(verdict_name(c->verdict)));
    json_object_set_new(o, "standing", json_string(standings[c->standing]));
    copy_figures(o, json_object_get(json_object_get(c->gate, "figures"),
        "candidate"));
    copy_rates(o, c->bench, "candidate");
    json_object_set_new(o, "reasons", reasons(c));
    if (json_array_size(json_object_get(c->gate, "warnings")) > 0)
        json_object_set(o, "warnings", json_object_get(c->gate, "warnings"));
    return o;
}

/* The first candidate's items, each with the file that shows it. */
static json_t *
items_json(const struct candidate *c, const char *why_text, bool has_winner)
{
    char *evidence = mem_printf("gate/%s.json", c->name);
    json_t *list = json_array(), *o;
    const json_t *row;
    size_t i;

    json_array_foreach(json_object_get(c->gate, "items"), i, row) {
        o = json_object();
        json_object_set(o, "item", json_object_get(row, "item"));
        json_object_set(o, "verdict", json_object_get(row, "verdict"));
        json_object_set(o, "figure", json_object_get(row, "figure"));
        json_object_set_new(o, "evidence", json_string(evidence));
        json_array_append_new(list, o);
    }
    o = json_object();
    json_object_set_new(o, "item", json_string("after.decision"));
    json_object_set_new(o, "verdict",
        json_string(has_winner ? "PASS" : "FAIL"));
    json_object_set_new(o, "figure", json_string(why_text));
    json_object_set_new(o, "evidence", json_string("decision.json"));
    json_array_append_new(list, o);
    free(evidence);
    return list;
}

/* In the order of the policy, so that a table reads as its author wrote it. */
static json_t *
candidates_json(const struct work *w)
{
    json_t *list = json_array();
    const json_t *row;
    size_t i;

    json_array_foreach(json_object_get(w->policy, "candidates"), i, row)
        for (size_t k = 0; k < w->n; k++)
            if (strcmp(text(row, "name"), w->c[k].name) == 0)
                json_array_append_new(list, candidate_json(&w->c[k]));
    if (json_array_size(list) == w->n)
        return list;
    json_array_clear(list);
    for (size_t k = 0; k < w->n; k++)
        json_array_append_new(list, candidate_json(&w->c[k]));
    return list;
}

static int
decide(struct work *w, struct err *e)
{
    const struct candidate *best = &w->c[0];
    const bool has_winner = best->standing != STANDS_REFUSED;
    char *line = why(w);
    json_t *o = json_object(), *base = json_object();

    copy_figures(base, json_object_get(json_object_get(best->gate, "figures"),
        "baseline"));
    copy_rates(base, best->bench, "baseline");
    json_object_set_new(o, "schema", json_string("quern.decision/1"));
    json_object_set_new(o, "winner",
        has_winner ? json_string(best->name) : json_null());
    json_object_set_new(o, "why", json_string(line));
    json_object_set_new(o, "bottleneck",
        json_string(stage_param(w->s, "bottleneck")));
    json_object_set_new(o, "baseline", base);
    json_object_set_new(o, "candidates", candidates_json(w));
    json_object_set_new(o, "items", items_json(best, line, has_winner));
    stage_answer(w->s, "after.decision", has_winner ? "PASS" : "FAIL", "%s",
        line);
    stage_put_json(w->s, "decision.json", o, e);
    json_decref(o);
    free(line);
    return e->code;
}

static int
run(struct stage *s, struct err *e)
{
    struct work w = { .s = s };

    if (bottleneck_from(stage_param(s, "bottleneck"), &w.bottleneck, e) == 0 &&
        (w.policy = stage_in_json(s, "policy.json", e)) != NULL &&
        add_candidates(&w, e) == 0)
        decide(&w, e);
    for (size_t i = 0; i < w.n; i++) {
        free(w.c[i].name);
        json_decref(w.c[i].gate);
        json_decref(w.c[i].bench);
    }
    free(w.c);
    json_decref(w.policy);
    return e->code;
}

static const char *const params[] = { "!bottleneck", NULL };
static const char *const ins[] = { "!gate/*", "bench/*", "!policy.json", NULL };
static const char *const outs[] = { "!decision.json", NULL };

static const struct stage_spec spec = {
    .step = "choose",
    .purpose = "decide which candidate ships, and say why",
    .params = params,
    .ins = ins,
    .outs = outs,
};

int
main(int argc, char **argv)
{
    return stage_main(&spec, argc, argv, run);
}
