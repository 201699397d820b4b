/*
 * quern-gate - may this candidate ship? Three verdicts, none by guess
 *
 * Reads what evaluate left for the baseline and for one candidate, pairs the
 * items, and writes PASS, FAIL or INCONCLUSIVE for each suite, for all of them
 * together, for perplexity and divergence, and for the benchmark's target. Runs
 * that cannot be compared are an error (exit 1); a verdict of no is exit 0, and
 * stands in the file.
 *
 * Looks: with a reserve the error rate is halved, half for the look at the
 * suites alone (first), half for the look at suites and reserve together
 * (final), which only adds items where the first look could not decide.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/judge/gate.h"
#include "lib/record/stage.h"

enum { WORST_ITEMS = 10 };

enum look { LOOK_ONLY, LOOK_FIRST, LOOK_FINAL };

/* Everything about one candidate. */
struct judged {
    struct stage *s;
    const char *candidate;
    enum look look;
    bool reserve_used;
    struct comparison *c; /* [n] */
    double *margins;
    size_t n;
    struct gate gate;
    enum verdict target;
    json_t *bench;
    json_t *items;
    json_t *base_ppl, *cand_ppl;
};

/* Points in parameters are per hundred items; the gate computes in shares. */
static int
points_param(const struct stage *s, const char *name, double *out,
    struct err *e)
{
    if (stage_param_real(s, name, 0.0, 100.0, out, e) == 0)
        *out /= 100.0;
    return e->code;
}

static int
read_look(struct judged *j, struct err *e)
{
    const char *look = stage_param(j->s, "look");

    if (look == NULL || strcmp(look, "only") == 0)
        j->look = LOOK_ONLY;
    else if (strcmp(look, "first") == 0)
        j->look = LOOK_FIRST;
    else if (strcmp(look, "final") == 0)
        j->look = LOOK_FINAL;
    else
        return err_set(e, ERR_USAGE,
            "unknown look '%s'; write first, final or only", look);
    return 0;
}

static int
read_rules(struct judged *j, struct err *e)
{
    struct gate_rules r = { 0 };
    const struct stage *s = j->s;

    stage_param_real(s, "alpha", 1e-6, 0.5, &r.alpha, e);
    points_param(s, "pooled-drop", &r.pooled_drop, e);
    points_param(s, "flips-warn", &r.flips_warn, e);
    stage_param_real(s, "ppl-ratio", 1.0, 1e6, &r.ppl_ratio, e);
    stage_param_real(s, "kl", 0.0, 1e6, &r.kl, e);
    if (j->look != LOOK_ONLY)
        r.alpha /= 2.0;
    if (e->code == 0)
        gate_init(&j->gate, &r);
    return e->code;
}

/* The two files of one run; with a reserve that was not needed, no lines. */
static int
open_run(const struct stage *s, struct run *r, const char *model,
    const char *suite, struct err *e)
{
    char *role = mem_printf("eval/%s/%s.json", model, suite);
    char *lines_role = mem_printf("eval/%s/%s.jsonl", model, suite);
    const struct stage_file *summary = stage_in(s, role);
    const struct stage_file *lines = stage_in(s, lines_role);

    if (summary == NULL || lines == NULL)
        err_set(e, ERR_USAGE,
            "%s and %s are both needed; name them with --in", role,
            lines_role);
    else
        run_parse(r, summary->role, summary->map.p, summary->map.len,
            lines->role, lines->map.p, lines->map.len, e);
    free(role);
    free(lines_role);
    return e->code;
}

/* One file of a suite on both models, added to the comparison. */
static int
add_file(struct judged *j, struct comparison *c, const char *suite,
    const char *file, const char *role, struct err *e)
{
    struct run base = { 0 }, cand = { 0 };

    if (open_run(j->s, &base, "baseline", file, e) ||
        open_run(j->s, &cand, j->candidate, file, e))
        goto done;
    if (!run_used(&cand))
        goto done;
    if (!run_used(&base)) {
        err_set(e, ERR_WORK,
            "%s: was left out, but %s was not; evaluate the baseline again",
            base.path, cand.path);
        goto done;
    }
    if (role == NULL)
        role = json_get_str(base.summary, "role", base.path, e);
    if (e->code == 0 && file != suite)
        j->reserve_used = true;
    if (e->code == 0)
        comparison_add(c, suite,
            role && strcmp(role, "stress") == 0 ? "stress" : "task", &base,
            &cand, e);
done:
    run_release(&base);
    run_release(&cand);
    return e->code;
}

static int
add_suite(struct judged *j, const char *suite, struct err *e)
{
    struct comparison *c = &j->c[j->n];
    char *name = mem_printf("role.%s", suite);
    const char *role = stage_param(j->s, name);
    char *reserve = mem_printf("reserve-%s", suite);
    char *reserve_role = mem_printf("eval/%s/%s.json", j->candidate, reserve);
    char *drop = mem_printf("suite-drop.%s", suite);

    j->n++;
    if (points_param(j->s, stage_param(j->s, drop) ? drop : "suite-drop",
            &j->margins[j->n - 1], e) == 0 &&
        add_file(j, c, suite, suite, role, e) == 0 && c->suite == NULL)
        err_set(e, ERR_WORK,
            "eval/%s/%s.json: says that it was not used; evaluate again",
            j->candidate, suite);
    if (e->code == 0 && j->look == LOOK_FINAL && stage_in(j->s, reserve_role))
        add_file(j, c, suite, reserve, role, e);
    free(name);
    free(reserve);
    free(reserve_role);
    free(drop);
    return e->code;
}

static int
same_models(const struct judged *j, struct err *e)
{
    for (size_t i = 1; i < j->n; i++)
        if (strcmp(j->c[i].base_sha256, j->c[0].base_sha256) != 0 ||
            strcmp(j->c[i].cand_sha256, j->c[0].cand_sha256) != 0)
            return err_set(e, ERR_WORK,
                "suites '%s' and '%s' were computed with different models; "
                "evaluate all of them again",
                j->c[0].suite, j->c[i].suite);
    return 0;
}

/* All suites that the baseline answered, in order of their names. */
static int
add_suites(struct judged *j, struct err *e)
{
    static const char prefix[] = "eval/baseline/";
    const struct stage_file *f;

    j->c = mem_calloc(j->s->in.n, sizeof *j->c);
    j->margins = mem_calloc(j->s->in.n, sizeof *j->margins);
    for (size_t i = 0; (f = stage_in_next(j->s, prefix, &i)) != NULL;) {
        const char *name = f->role + strlen(prefix);
        char *suite;

        if (!str_ends(name, ".json") || str_starts(name, "reserve-") ||
            strcmp(name, "perplexity.json") == 0)
            continue;
        suite = mem_strndup(name, strlen(name) - strlen(".json"));
        add_suite(j, suite, e);
        free(suite);
        if (e->code)
            return e->code;
    }
    if (j->n == 0)
        return err_set(e, ERR_USAGE,
            "no suite to judge; name eval/baseline/SUITE.json with --in");
    if (same_models(j, e) == 0)
        gate_suites(&j->gate, j->c, j->margins, j->n);
    return e->code;
}

static int
add_perplexity(struct judged *j, struct err *e)
{
    char *role = mem_printf("eval/%s/perplexity.json", j->candidate);
    const struct stage_file *f = stage_in(j->s, role);

    free(role);
    if (f == NULL)
        return 0;
    j->cand_ppl = stage_in_json(j->s, f->role, e);
    if (e->code == 0)
        j->base_ppl = stage_in_json(j->s, "eval/baseline/perplexity.json", e);
    return e->code ? e->code :
        gate_perplexity(&j->gate, j->base_ppl, "eval/baseline/perplexity.json",
            j->cand_ppl, f->role, e);
}

static void
add_item(struct judged *j, const char *item, enum verdict v,
    const char *figure)
{
    json_t *o = json_object();

    json_object_set_new(o, "item", json_string(item));
    json_object_set_new(o, "verdict", json_string(verdict_name(v)));
    json_object_set_new(o, "figure", json_string(figure));
    json_array_append_new(j->items, o);
    if (j->look != LOOK_FIRST)
        stage_answer(j->s, item, verdict_name(v), "%s", figure);
}

static int
add_target(struct judged *j, struct err *e)
{
    char *role = mem_printf("bench/%s.json", j->candidate);
    const char *kind = stage_param(j->s, "target-kind");
    const bool relative = kind == NULL || strcmp(kind, "relative") == 0;
    enum bottleneck b;
    double target;

    if (stage_in(j->s, role) != NULL &&
        bottleneck_from(stage_param(j->s, "bottleneck"), &b, e) == 0 &&
        stage_param_real(j->s, "target", 0.0, 1e18, &target, e) == 0 &&
        (j->bench = stage_in_json(j->s, role, e)) != NULL)
        j->target =
            gate_target(&j->gate, b, target, relative, j->bench, role, e);
    free(role);
    return e->code;
}

static double
figure_of(const json_t *row, const char *key)
{
    const json_t *v = json_object_get(row, key);

    return json_is_number(v) ? json_number_value(v) : (double)NAN;
}

static const char *
word_of(const json_t *row, const char *key)
{
    const char *s = json_string_value(json_object_get(row, key));

    return s ? s : "";
}

/* One row: "facts drop 0.40, at most 1.90 (limit 5.00) points of 300". */
static void
row_text(struct str *s, const json_t *row)
{
    str_addf(s, "%s%s ", s->len ? "; " : "", word_of(row, "suite"));
    if (json_object_get(row, "drop") != NULL)
        str_addf(s, "drop %.2f, at most %.2f (limit %.2f) points of %lld",
            100.0 * figure_of(row, "drop"), 100.0 * figure_of(row, "upper"),
            100.0 * figure_of(row, "margin"),
            (long long)json_integer_value(json_object_get(row, "n")));
    else {
        str_addf(s, "%.4g", figure_of(row, "value"));
        if (json_object_get(row, "upper") != NULL)
            str_addf(s, ", at most %.4g", figure_of(row, "upper"));
        str_addf(s, " (limit %.4g)", figure_of(row, "limit"));
    }
}

/*
 * The worst verdict of the rows that belong to an item, and their figures: role
 * NULL for the whole budget, where only rows over all suites are spelt out.
 */
static void
quality_item(struct judged *j, const char *item, const char *role)
{
    enum verdict worst = VERDICT_PASS;
    struct str text = { 0 };
    const json_t *row;
    size_t i, n = 0;

    json_array_foreach(j->gate.rows, i, row) {
        const char *of = word_of(row, "role");

        if (strcmp(word_of(row, "item"), "before.quality-budget") != 0)
            continue;
        if (role != NULL && strcmp(of, role) != 0)
            continue;
        n++;
        worst = verdict_worse(worst, verdict_from(word_of(row, "verdict")));
        if (role != NULL || of[0] == '\0')
            row_text(&text, row);
    }
    if (n > 0)
        add_item(j, item, worst, str_get(&text));
    str_release(&text);
}

static void
benchmark_item(struct judged *j)
{
    const char *wanted = stage_param(j->s, "hardware");
    const char *seen = word_of(j->bench, "hardware");
    char *figure;

    if (wanted != NULL && strcmp(wanted, seen) != 0) {
        figure = mem_printf("measured on hardware %.12s, production is %.12s",
            seen, wanted);
        add_item(j, "ship.benchmark", VERDICT_FAIL, figure);
    } else {
        figure = mem_printf("hardware %.12s%s; %lld runs in order %s", seen,
            wanted ? ", as in production" : "",
            (long long)strlen(word_of(j->bench, "order")),
            word_of(j->bench, "order"));
        add_item(j, "ship.benchmark", VERDICT_PASS, figure);
    }
    free(figure);
    if (json_is_false(json_object_get(j->bench, "quiet"))) {
        figure = mem_printf("benchmark: other work took %.0f %% of a core "
                            "meanwhile; speeds may be off",
            100.0 * json_number_value(json_object_get(j->bench,
                "other_load")));
        json_array_append_new(j->gate.warnings, json_string(figure));
        free(figure);
    }
}

static void
target_items(struct judged *j)
{
    const json_t *row =
        json_array_get(j->gate.rows, json_array_size(j->gate.rows) - 1);
    char *figure = mem_printf("%s %.4g, sure %.4g (target %.4g)",
        word_of(row, "metric"), figure_of(row, "value"),
        figure_of(row, "bound"), figure_of(row, "limit"));

    add_item(j, "before.bottleneck", j->target, figure);
    add_item(j, "ship.target-met", j->target, figure);
    free(figure);
}

/* What corpus found about the calibration data holds for each candidate. */
static int
calibration_items(struct judged *j, struct err *e)
{
    json_t *report;
    const json_t *o;
    size_t i;

    if (stage_in(j->s, "corpus/report.json") == NULL)
        return 0;
    report = stage_in_json(j->s, "corpus/report.json", e);
    json_array_foreach(json_object_get(report, "items"), i, o) {
        add_item(j, word_of(o, "item"), verdict_from(word_of(o, "verdict")),
            word_of(o, "figure"));
    }
    json_decref(report);
    return e->code;
}

static int
add_items(struct judged *j, struct err *e)
{
    j->items = json_array();
    quality_item(j, "before.quality-budget", NULL);
    quality_item(j, "ship.tasks", "task");
    quality_item(j, "ship.stress", "stress");
    if (j->bench != NULL) {
        target_items(j);
        benchmark_item(j);
    }
    return calibration_items(j, e);
}

/* One model's line in the tables of choose and report. */
static json_t *
model_figures(const struct judged *j, const json_t *pooled, const char *side,
    const json_t *ppl, const char *bench_side)
{
    const json_t *bytes = json_object_get(j->bench, "bytes");
    json_t *o = json_object();

    json_object_set_new(o, "points",
        json_real(100.0 * figure_of(pooled, side)));
    if (ppl != NULL)
        json_object_set(o, "ppl", json_object_get(ppl, "ppl"));
    if (json_object_get(ppl, "kl") && !json_is_null(
            json_object_get(ppl, "kl")))
        json_object_set(o, "kl",
            json_object_get(json_object_get(ppl, "kl"), "mean"));
    if (bytes != NULL)
        json_object_set(o, "bytes", json_object_get(bytes, bench_side));
    return o;
}

static json_t *
verdict_json(struct judged *j)
{
    static const char *const looks[] = { "only", "first", "final" };
    const json_t *pooled = json_array_get(j->gate.rows, 0);
    const enum verdict v = verdict_worse(j->gate.quality, j->target);
    json_t *o = json_object(), *figures = json_object();
    json_t *cand = model_figures(j, pooled, "cand", j->cand_ppl, "candidate");

    json_object_set(cand, "drop", json_object_get(pooled, "drop"));
    json_object_set(cand, "upper", json_object_get(pooled, "upper"));
    json_object_set(cand, "lower", json_object_get(pooled, "lower"));
    json_object_set_new(figures, "baseline",
        model_figures(j, pooled, "base", j->base_ppl, "baseline"));
    json_object_set_new(figures, "candidate", cand);
    json_object_set_new(o, "schema", json_string("quern.gate/1"));
    json_object_set_new(o, "candidate", json_string(j->candidate));
    json_object_set_new(o, "look", json_string(looks[j->look]));
    json_object_set_new(o, "reserve_used", json_boolean(j->reserve_used));
    json_object_set_new(o, "verdict", json_string(verdict_name(v)));
    json_object_set(o, "rows", j->gate.rows);
    json_object_set(o, "warnings", j->gate.warnings);
    json_object_set(o, "items", j->items);
    json_object_set_new(o, "figures", figures);
    json_object_set_new(o, "worst",
        comparison_worst(j->c, j->n, WORST_ITEMS));
    return o;
}

static int
put(struct judged *j, struct err *e)
{
    char *role = mem_printf("gate/%s%s.json", j->candidate,
        j->look == LOOK_FIRST ? ".first" : "");
    json_t *o = verdict_json(j);

    stage_put_json(j->s, role, o, e);
    json_decref(o);
    free(role);
    return e->code;
}

static int
run(struct stage *s, struct err *e)
{
    struct judged j = { .s = s, .candidate = stage_param(s, "candidate") };

    if (read_look(&j, e) || read_rules(&j, e) || add_suites(&j, e) ||
        add_perplexity(&j, e))
        goto done;
    if (j.look != LOOK_FIRST && add_target(&j, e))
        goto done;
    if (add_items(&j, e) == 0)
        put(&j, e);

done:
    for (size_t i = 0; i < j.n; i++)
        comparison_release(&j.c[i]);
    free(j.c);
    free(j.margins);
    gate_release(&j.gate);
    json_decref(j.bench);
    json_decref(j.items);
    json_decref(j.base_ppl);
    json_decref(j.cand_ppl);
    return e->code;
}

static const char *const params[] = { "!candidate", "look", "!alpha",
    "!pooled-drop", "!suite-drop", "suite-drop.*", "!ppl-ratio", "!kl",
    "!flips-warn", "!bottleneck", "!target", "target-kind", "role.*",
    "hardware", NULL };
static const char *const ins[] = { "eval/*", "gate/*", "bench/*",
    "corpus/report.json", NULL };
static const char *const outs[] = { "gate/*", NULL };
static const char *const none[] = { NULL };

static const struct stage_spec spec = {
    .step = "gate",
    .purpose = "judge one candidate against the baseline",
    .params = params,
    .ins = ins,
    .srcs = none,
    .dsts = none,
    .outs = outs,
};

int
main(int argc, char **argv)
{
    return stage_main(&spec, argc, argv, run);
}
