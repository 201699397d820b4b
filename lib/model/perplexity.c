#include "lib/model/perplexity.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/vec.h"
#include "lib/base/mem.h"

enum { DIVERGENCE_FLOATS = 4 << 20 }; /* of one model's logits held at once */

/* What all threads share; a window writes only its own places. */
struct work {
    const struct model *base, *cand;
    const int32_t *ids;
    const struct perplexity_opts *o;
    struct perplexity *p;
    struct divergence *d;
    struct session **sessions; /* two a thread, the second for divergence */
    struct err *errors;        /* one a thread */
    size_t per_window;
    atomic_size_t done, same;
    size_t shown;
};

static int
check_length(const struct model *m, size_t n, const struct perplexity_opts *o,
    struct err *e)
{
    const size_t positions = model_config(m)->positions;
    const size_t least = o->rule == PERPLEXITY_LLAMA_CPP ? 2 : 1;

    if (o->window < 2 || o->window > positions)
        return err_set(e, ERR_WORK,
            "%s: a window of %zu tokens does not fit the model; choose 2 to "
            "%zu",
            model_path(m), o->window, positions);
    if (n / o->window < least)
        return err_set(e, ERR_WORK,
            "%s: the text has %zu tokens, perplexity needs %zu; give it a "
            "longer text",
            model_path(m), n, least * o->window);
    return 0;
}

static void
finished(struct work *w, unsigned thread)
{
    atomic_fetch_add(&w->done, w->o->window);
    if (thread == 0 && w->o->progress != NULL) {
        const size_t done = atomic_load(&w->done);

        progress_add(w->o->progress, done - w->shown);
        w->shown = done;
    }
}

static void
score_window(void *ctx, size_t i, unsigned thread)
{
    struct work *w = ctx;
    struct err *e = &w->errors[thread];
    const size_t len = w->o->window, k = w->per_window, skip = len - 1 - k;
    int32_t *ids, *targets;
    struct token_score *t;
    double sum = 0.0;

    if (e->code)
        return;
    ids = mem_calloc(len, sizeof *ids);
    targets = mem_calloc(len, sizeof *targets);
    t = mem_calloc(len, sizeof *t);
    memcpy(ids, w->ids + i * len, len * sizeof *ids);
    for (size_t j = 0; j + 1 < len; j++)
        targets[j] = j < skip ? -1 : ids[j + 1];
    if (w->o->rule == PERPLEXITY_LLAMA_CPP && w->o->bos)
        ids[0] = model_config(w->base)->bos;
    session_reset(w->sessions[thread]);
    if (session_score(w->sessions[thread], ids, len - 1, targets, t, e) == 0)
        for (size_t j = 0; j < k; j++) {
            if (!t[skip + j].finite || !isfinite(t[skip + j].logprob))
                model_not_finite(w->base, i * len + skip + j, e);
            w->p->logprob[i * k + j] = t[skip + j].logprob;
            sum -= t[skip + j].logprob;
        }
    w->p->window_nll[i] = sum;
    finished(w, thread);
    free(t);
    free(targets);
    free(ids);
}

/* Runs fn over all windows with `each` sessions a thread. */
static int
run_windows(struct work *w, size_t windows, unsigned each,
    void (*fn)(void *ctx, size_t i, unsigned thread), struct err *e)
{
    const unsigned threads = w->o->pool ? pool_threads(w->o->pool) : 1;

    w->sessions = mem_calloc(threads * each, sizeof *w->sessions);
    w->errors = mem_calloc(threads, sizeof *w->errors);
    for (unsigned t = 0; t < threads * each; t++)
        w->sessions[t] =
            session_new(t % each ? w->cand : w->base, w->o->window, NULL);
    pool_run(w->o->pool, windows, fn, w);
    for (unsigned t = 0; t < threads; t++)
        if (w->errors[t].code && e->code == 0)
            *e = w->errors[t];
    for (unsigned t = 0; t < threads * each; t++)
        session_free(w->sessions[t]);
    free(w->sessions);
    free(w->errors);
    return e->code;
}

int
perplexity_run(struct perplexity *p, const struct model *m,
    const int32_t *ids, size_t n, const struct perplexity_opts *o,
    struct err *e)
{
    struct work w = { .base = m, .ids = ids, .o = o, .p = p };
    double sum = 0.0, squares = 0.0;

    if (check_length(m, n, o, e))
        return e->code;
    /* llama.cpp predicts ids window/2+1 .. window-1 from those before them */
    w.per_window = o->rule == PERPLEXITY_LLAMA_CPP ?
        o->window - 1 - o->window / 2 :
        o->window - 1;
    p->windows = n / o->window;
    p->window = o->window;
    p->per_window = w.per_window;
    p->logprob = mem_calloc(p->windows * w.per_window, sizeof *p->logprob);
    p->window_nll = mem_calloc(p->windows, sizeof *p->window_nll);
    if (run_windows(&w, p->windows, 1, score_window, e)) {
        perplexity_release(p);
        return e->code;
    }

    const double scored = (double)p->windows * (double)w.per_window;

    for (size_t i = 0; i < p->windows; i++)
        sum += p->window_nll[i];
    p->nll = sum / scored;
    for (size_t i = 0; i < p->windows * w.per_window; i++) {
        const double off = -p->logprob[i] - p->nll;

        squares += off * off;
    }
    p->stderr_nll =
        scored > 1.0 ? sqrt(squares / scored / (scored - 1.0)) : 0.0;
    return 0;
}

void
perplexity_release(struct perplexity *p)
{
    free(p->logprob);
    free(p->window_nll);
    memset(p, 0, sizeof *p);
}

/*
 * One position: KL in nats, the candidate's loss less the baseline's. False
 * when either row is not finite.
 */
static bool
compare_row(const float *b, const float *c, size_t vocab, int32_t target,
    double *kl, double *ln_ratio)
{
    const double lse_b = logsumexp_f32(b, vocab);
    const double lse_c = logsumexp_f32(c, vocab);
    double sum = 0.0;

    for (size_t v = 0; v < vocab; v++) {
        const double lb = (double)b[v] - lse_b, lc = (double)c[v] - lse_c;

        sum += (double)exp_f32((float)lb) * (lb - lc);
    }
    *kl = sum;
    *ln_ratio = ((double)b[target] - lse_b) - ((double)c[target] - lse_c);
    return isfinite(sum) && isfinite(*ln_ratio);
}

static void
compare_window(void *ctx, size_t i, unsigned thread)
{
    struct work *w = ctx;
    struct err *e = &w->errors[thread];
    const size_t len = w->o->window, k = len - 1;
    const size_t vocab = model_config(w->base)->vocab;
    const int32_t *ids = w->ids + i * len;
    struct session *b = w->sessions[2 * thread];
    struct session *c = w->sessions[2 * thread + 1];
    size_t step = DIVERGENCE_FLOATS / vocab;
    float *rows_b, *rows_c;

    if (e->code)
        return;
    step = step < 1 ? 1 : step > k ? k : step;
    rows_b = mem_calloc(step * vocab, sizeof *rows_b);
    rows_c = mem_calloc(step * vocab, sizeof *rows_c);
    session_reset(b);
    session_reset(c);
    for (size_t at = 0; at < k && e->code == 0; at += step) {
        const size_t n = k - at < step ? k - at : step;

        if (session_eval(b, ids + at, n, rows_b, LOGITS_ALL, e) ||
            session_eval(c, ids + at, n, rows_c, LOGITS_ALL, e))
            break;
        for (size_t j = 0; j < n; j++) {
            const float *x = rows_b + j * vocab, *y = rows_c + j * vocab;
            const size_t out = i * k + at + j;

            if (!compare_row(x, y, vocab, ids[at + j + 1], &w->d->kl[out],
                    &w->d->ln_ratio[out]) &&
                logits_check(w->base, x, i * len + at + j, e) == 0)
                model_not_finite(w->cand, i * len + at + j, e);
            if (logits_argmax(x, vocab) == logits_argmax(y, vocab))
                atomic_fetch_add(&w->same, 1);
        }
    }
    finished(w, thread);
    free(rows_b);
    free(rows_c);
}

int
divergence_run(struct divergence *d, const struct model *base,
    const struct model *cand, const int32_t *ids, size_t n,
    const struct perplexity_opts *o, struct err *e)
{
    struct work w = { .base = base, .cand = cand, .ids = ids, .o = o, .d = d };

    if (check_length(base, n, o, e) || check_length(cand, n, o, e))
        return e->code;
    if (model_config(base)->vocab != model_config(cand)->vocab)
        return err_set(e, ERR_WORK,
            "%s: has a vocabulary of %u tokens, the baseline %u: not the same "
            "model; make it again from this baseline",
            model_path(cand), model_config(cand)->vocab,
            model_config(base)->vocab);
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || (uint32_t)ids[i] >= model_config(base)->vocab)
            return err_set(e, ERR_WORK,
                "%s: token %d is outside the vocabulary of %u; give a text of "
                "this model's tokens",
                model_path(base), (int)ids[i], model_config(base)->vocab);
    d->windows = n / o->window;
    d->per_window = o->window - 1;
    d->tokens = d->windows * d->per_window;
    d->kl = mem_calloc(d->tokens, sizeof *d->kl);
    d->ln_ratio = mem_calloc(d->tokens, sizeof *d->ln_ratio);
    if (run_windows(&w, d->windows, 2, compare_window, e))
        divergence_release(d);
    else
        d->same_top = (double)atomic_load(&w.same) / (double)d->tokens;
    return e->code;
}

void
divergence_release(struct divergence *d)
{
    free(d->kl);
    free(d->ln_ratio);
    memset(d, 0, sizeof *d);
}
