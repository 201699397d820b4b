/*
 * quern-evaluate - score one model on one suite, or on a text
 *
 * The baseline is the checkpoint, a folder or a GGUF file, checked against its
 * fingerprints and computed in float32, also where a GGUF file is quantized. A
 * candidate is the GGUF file that would ship, computed from its packed weights
 * with the serving runtime's arithmetic. Which of the two it was stands in the
 * summary, beside the digests of model and program.
 *
 * Role perplexity scores a text instead, and measures how far a candidate's
 * predictions are from the baseline's on the first kl-tokens tokens.
 *
 * A reserve suite is only evaluated when the first look at a candidate could
 * not decide; otherwise the summary says used=false and nothing else.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/format/fingerprint.h"
#include "lib/judge/normal.h"
#include "lib/judge/sample.h"
#include "lib/model/model.h"
#include "lib/model/perplexity.h"
#include "lib/model/products.h"
#include "lib/model/score.h"
#include "lib/record/stage.h"

enum { MAX_NEW_TOKENS = 1 << 20 };

struct work {
    struct stage *s;
    const char *model, *suite, *role;
    bool is_baseline;
    const struct stage_file *data; /* the suite or the text */
    gemm_fn *blas;                 /* NULL: quern's own products */
    struct model *m, *base;        /* base: for the divergence, or NULL */
    char digest[DIGEST_HEX];       /* of m */
};

/* Compares the checkpoint with one fingerprint; kind "model" gives the digest. */
static int
check_part(struct work *w, const struct model *m, const struct stage_file *in,
    char digest[DIGEST_HEX], struct err *e)
{
    struct fingerprint f = { 0 };

    if (fingerprint_parse(&f, in->role, in->map.p, in->map.len, e) == 0) {
        if (strcmp(f.kind, "model") == 0)
            digest_hex(&f.model, digest);
        else
            fingerprint_check(&f, model_checkpoint(m), w->s->pool, e);
    }
    fingerprint_release(&f);
    return e->code;
}

/* Who multiplies floats, and a note of it where bits may differ elsewhere. */
static int
choose_products(struct work *w, struct err *e)
{
    if (products_choose(&w->blas, stage_param(w->s, "reproducible"), e) == 0 &&
        w->blas != NULL)
        stage_note(w->s, "openblas", "%s, %s, 1 thread: not reproducible",
            gemm_version(), gemm_core_name());
    return e->code;
}

static int
open_baseline(struct work *w, struct model **m, char digest[DIGEST_HEX],
    struct err *e)
{
    const struct model_open_opts opts = { .pool = w->s->pool,
        .exact = true, .blas = w->blas };
    const char *dir = stage_src(w->s, "base");
    const struct stage_file *f;

    if (dir == NULL)
        return err_set(e, ERR_USAGE,
            "the baseline is needed; name it with --src=base=DIR");
    if (model_open(m, dir, &opts, e))
        return e->code;
    for (size_t i = 0; (f = stage_in_next(w->s, "base/", &i)) != NULL;)
        if (check_part(w, *m, f, digest, e))
            return e->code;
    if (digest[0] == '\0')
        return err_set(e, ERR_USAGE,
            "base/model.fp.json is no input; name it with --in");
    return 0;
}

static int
open_candidate(struct work *w, struct err *e)
{
    const struct model_open_opts opts = { .pool = w->s->pool,
        .blas = w->blas };
    size_t i = 0;
    const struct stage_file *f = stage_in_next(w->s, "cand/", &i);

    if (f == NULL)
        return err_set(e, ERR_USAGE,
            "the candidate's file is needed; name cand/%s/model.gguf with --in",
            w->model);
    if (model_open(&w->m, f->path, &opts, e))
        return e->code;
    digest_hex(&f->digest, w->digest);
    return 0;
}

static int
open_model(struct work *w, struct err *e)
{
    return w->is_baseline ? open_baseline(w, &w->m, w->digest, e) :
                            open_candidate(w, e);
}

/* Which model, which program, which arithmetic: the same for all summaries. */
static void
add_origin(const struct work *w, json_t *o)
{
    char hex[DIGEST_HEX];

    json_object_set_new(o, "model", json_string(w->model));
    json_object_set_new(o, "model_sha256", json_string(w->digest));
    json_object_set_new(o, "engine",
        json_string(digest_hex(stage_program(w->s), hex)));
    json_object_set_new(o, "numeric", json_string(model_numeric(w->m)));
}

static int
put(struct work *w, const char *suffix, json_t *o, struct err *e)
{
    char *role = mem_printf("eval/%s/%s%s", w->model, w->suite, suffix);

    stage_put_json(w->s, role, o, e);
    free(role);
    json_decref(o);
    return e->code;
}

static int
put_lines(struct work *w, const struct suite *s, const struct suite_score *r,
    struct err *e)
{
    char *role = mem_printf("eval/%s/%s.jsonl", w->model, w->suite);
    struct outfile *out = stage_out(w->s, role, e);

    free(role);
    for (size_t i = 0; out != NULL && i < r->n; i++) {
        json_t *o = item_score_json(&s->items[i], &r->items[i]);
        char *text = json_text(o, true);

        outfile_write(out, text, strlen(text));
        free(text);
        json_decref(o);
    }
    return e->code;
}

static json_t *
summary(const struct work *w, bool used)
{
    json_t *o = json_object();

    json_object_set_new(o, "schema", json_string("quern.evaluate/1"));
    json_object_set_new(o, "suite", json_string(w->suite));
    json_object_set_new(o, "role", json_string(w->role));
    json_object_set_new(o, "used", json_boolean(used));
    return o;
}

/* The parameter must say yes or no; prompts start with bos unless it says no.*/
static int
read_bos(const struct stage *s, bool *bos, struct err *e)
{
    const char *v = stage_param(s, "bos");

    *bos = v == NULL || strcmp(v, "yes") == 0;
    if (v != NULL && !*bos && strcmp(v, "no") != 0)
        return err_set(e, ERR_USAGE, "unknown bos '%s'; write yes or no", v);
    return 0;
}

static int
run_suite(struct work *w, struct err *e)
{
    struct suite suite = { 0 };
    struct suite_score r = { 0 };
    struct score_opts o = { .pool = w->s->pool, .progress = &w->s->progress };
    char hex[DIGEST_HEX];
    int64_t most = 64;
    json_t *sum, *totals;

    if (stage_param(w->s, "max-tokens") &&
        stage_param_int(w->s, "max-tokens", 1, MAX_NEW_TOKENS, &most, e))
        goto done;
    o.max_tokens = (size_t)most;
    if (read_bos(w->s, &o.bos, e) ||
        suite_parse(&suite, w->data->path, w->data->map.p, w->data->map.len,
            e) ||
        open_model(w, e))
        goto done;
    stage_progress(w->s, w->suite, "items", suite.n);
    if (suite_score(&r, &suite, w->m, &o, e) || put_lines(w, &suite, &r, e))
        goto done;

    sum = summary(w, true);
    totals = suite_score_json(&suite, &r);
    json_object_update(sum, totals);
    json_decref(totals);
    json_object_set_new(sum, "suite_sha256",
        json_string(digest_hex(&suite.digest, hex)));
    json_object_set_new(sum, "tokens", json_integer((json_int_t)r.tokens));
    add_origin(w, sum);
    put(w, ".json", sum, e);

done:
    suite_score_release(&r);
    suite_release(&suite);
    return e->code;
}

/* Mean, stderr and one-sided 95 % bound of windows' means. */
static json_t *
ratio_json(const struct divergence *d)
{
    double *x = mem_calloc(d->windows, sizeof *x);
    json_t *o = json_object();
    double upper;

    for (size_t i = 0; i < d->windows; i++)
        x[i] = sample_mean(d->ln_ratio + i * d->per_window, d->per_window);
    upper = sample_mean_upper(x, d->windows, 0.05);
    json_object_set_new(o, "value", json_real(sample_mean(x, d->windows)));
    json_object_set_new(o, "stderr",
        json_real(sample_stddev(x, d->windows) / sqrt((double)d->windows)));
    json_object_set_new(o, "upper",
        isfinite(upper) ? json_real(upper) : json_null());
    json_object_set_new(o, "tokens", json_integer((json_int_t)d->tokens));
    free(x);
    return o;
}

static json_t *
kl_json(const struct divergence *d)
{
    json_t *o = json_object();

    json_object_set_new(o, "tokens", json_integer((json_int_t)d->tokens));
    json_object_set_new(o, "mean", json_real(sample_mean(d->kl, d->tokens)));
    json_object_set_new(o, "max",
        json_real(sample_percentile(d->kl, d->tokens, 1.0)));
    json_object_set_new(o, "p99",
        json_real(sample_percentile(d->kl, d->tokens, 0.99)));
    json_object_set_new(o, "median",
        json_real(sample_median(d->kl, d->tokens)));
    json_object_set_new(o, "same_top", json_real(d->same_top));
    return o;
}

/* A candidate beside the baseline, on the beginning of the same text. */
static int
add_divergence(struct work *w, const struct ids *ids, size_t kl_tokens,
    const struct perplexity_opts *o, json_t *out, struct err *e)
{
    const size_t n = kl_tokens < ids->n ? kl_tokens : ids->n;
    struct divergence d = { 0 };
    char digest[DIGEST_HEX] = "";

    json_object_set_new(out, "kl", json_null());
    json_object_set_new(out, "ln_ratio", json_null());
    if (w->is_baseline || n < o->window)
        return 0;
    if (open_baseline(w, &w->base, digest, e))
        return e->code;
    stage_progress(w->s, "divergence", "tokens", n);
    if (divergence_run(&d, w->base, w->m, ids->v, n, o, e))
        return e->code;
    json_object_set_new(out, "kl", kl_json(&d));
    json_object_set_new(out, "ln_ratio", ratio_json(&d));
    divergence_release(&d);
    return 0;
}

static json_t *
perplexity_json(const struct work *w, const struct perplexity *p, size_t tokens)
{
    json_t *o = json_object(), *windows = json_array();
    char hex[DIGEST_HEX];

    for (size_t i = 0; i < p->windows; i++)
        json_array_append_new(windows, json_real(p->window_nll[i]));
    json_object_set_new(o, "schema", json_string("quern.perplexity/1"));
    json_object_set_new(o, "text_sha256",
        json_string(digest_hex(&w->data->digest, hex)));
    json_object_set_new(o, "tokens", json_integer((json_int_t)tokens));
    json_object_set_new(o, "scored",
        json_integer((json_int_t)(p->windows * p->per_window)));
    json_object_set_new(o, "window", json_integer((json_int_t)p->window));
    json_object_set_new(o, "nll", json_real(p->nll));
    json_object_set_new(o, "ppl", json_real(exp(p->nll)));
    json_object_set_new(o, "stderr_nll", json_real(p->stderr_nll));
    json_object_set_new(o, "per_window", windows);
    add_origin(w, o);
    return o;
}

static int
run_perplexity(struct work *w, struct err *e)
{
    struct perplexity_opts o = { .rule = PERPLEXITY_WINDOWS,
        .pool = w->s->pool, .progress = &w->s->progress };
    int64_t window = 512, limit = 0, kl_tokens = 0;
    struct perplexity p = { 0 };
    struct ids ids = { 0 };
    json_t *out;

    if ((stage_param(w->s, "window") &&
            stage_param_int(w->s, "window", 2, INT32_MAX, &window, e)) ||
        (stage_param(w->s, "limit") &&
            stage_param_int(w->s, "limit", 0, INT64_MAX, &limit, e)) ||
        (stage_param(w->s, "kl-tokens") &&
            stage_param_int(w->s, "kl-tokens", 0, INT64_MAX, &kl_tokens, e)) ||
        open_model(w, e) ||
        tokenizer_encode(model_tokenizer(w->m), (const char *)w->data->map.p,
            w->data->map.len, false, &ids, e))
        goto done;
    if (limit > 0 && ids.n > (size_t)limit)
        ids.n = (size_t)limit;
    if ((size_t)window > model_config(w->m)->positions)
        window = model_config(w->m)->positions;
    o.window = (size_t)window;
    stage_progress(w->s, "perplexity", "tokens", ids.n);
    if (perplexity_run(&p, w->m, ids.v, ids.n, &o, e))
        goto done;
    out = perplexity_json(w, &p, ids.n);
    if (add_divergence(w, &ids, (size_t)kl_tokens, &o, out, e) == 0)
        put(w, ".json", out, e);
    else
        json_decref(out);

done:
    perplexity_release(&p);
    ids_release(&ids);
    return e->code;
}

/*
 * Whether a reserve is needed: a first look at this candidate (for the
 * baseline: at any) could not decide. A suite that is no reserve always is.
 */
static int
is_needed(const struct work *w, bool *needed, struct err *e)
{
    const struct stage_file *f;
    bool any = false;

    *needed = false;
    for (size_t i = 0; (f = stage_in_next(w->s, "gate/", &i)) != NULL;) {
        json_t *o = stage_in_json(w->s, f->role, e);
        const char *who = json_get_str(o, "candidate", f->role, e);
        const char *verdict = json_get_str(o, "verdict", f->role, e);

        any = true;
        if (e->code == 0 && strcmp(verdict, "INCONCLUSIVE") == 0 &&
            (w->is_baseline || strcmp(who, w->model) == 0))
            *needed = true;
        json_decref(o);
        if (e->code)
            return e->code;
    }
    *needed |= !any;
    return 0;
}

static int
put_unused(struct work *w, struct err *e)
{
    char *role = mem_printf("eval/%s/%s.jsonl", w->model, w->suite);

    stage_put(w->s, role, "", 0, e);
    free(role);
    return e->code ? e->code : put(w, ".json", summary(w, false), e);
}

static int
check_role(const char *role, struct err *e)
{
    static const char *const known[] = { "task", "stress", "perplexity" };

    for (size_t i = 0; i < countof(known); i++)
        if (strcmp(known[i], role) == 0)
            return 0;
    return err_set(e, ERR_USAGE, "role: '%.40s' is none of task, stress and "
        "perplexity; write one of them", role);
}

static int
run(struct stage *s, struct err *e)
{
    struct work w = { .s = s, .model = stage_param(s, "model"),
        .suite = stage_param(s, "suite"), .role = stage_param(s, "role") };
    bool needed;
    size_t i = 0;

    if (check_role(w.role, e))
        return e->code;
    w.is_baseline = strcmp(w.model, "baseline") == 0;
    w.data = stage_in_next(s, "suite/", &i);
    if (w.data == NULL)
        return err_set(e, ERR_USAGE,
            "a suite is needed; name suite/%s.jsonl with --in", w.suite);
    if (choose_products(&w, e) || is_needed(&w, &needed, e))
        return e->code;
    if (!needed)
        put_unused(&w, e);
    else if (strcmp(w.role, "perplexity") == 0)
        run_perplexity(&w, e);
    else
        run_suite(&w, e);
    model_free(w.m);
    model_free(w.base);
    return e->code;
}

static const char *const params[] = { "!model", "!suite", "!role",
    "max-tokens", "window", "limit", "kl-tokens", "bos", "reproducible", NULL };
static const char *const ins[] = { "suite/*", "base/*", "cand/*", "gate/*",
    NULL };
static const char *const srcs[] = { "base", NULL };
static const char *const outs[] = { "eval/*", NULL };

static const struct stage_spec spec = {
    .step = "evaluate",
    .purpose = "score one model on a task suite or a text",
    .params = params,
    .ins = ins,
    .srcs = srcs,
    .outs = outs,
    .heavy = true,
};

int
main(int argc, char **argv)
{
    return stage_main(&spec, argc, argv, run);
}
