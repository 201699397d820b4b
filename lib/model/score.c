#include "lib/model/score.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/bytes.h"
#include "lib/base/mem.h"

/* Token ids of one item. */
struct item_ids {
    struct ids prompt;
    struct ids *choices; /* [n_choices]; owned */
};

/* What all threads share; every item writes only its own places. */
struct work {
    const struct suite *s;
    const struct score_opts *o;
    struct model *m;
    struct item_ids *ids;
    struct item_score *out;
    struct session **sessions; /* one a thread */
    float **logits;            /* [vocab], one a thread */
    struct err *errors;        /* one a thread */
    size_t *error_item;
    atomic_size_t done;
    atomic_uint_fast64_t tokens;
    size_t shown; /* of `done`, by thread 0 */
};

static bool
begins_with(const struct ids *whole, const struct ids *start)
{
    return whole->n >= start->n && (start->n == 0 ||
        memcmp(whole->v, start->v, start->n * sizeof *start->v) == 0);
}

int
choice_tokens(struct tokenizer *t, const char *prompt_text,
    const char *choice_text, struct ids *prompt, struct ids *choice,
    struct err *e)
{
    size_t keep = strlen(prompt_text);
    struct str both = { 0 };
    struct ids whole = { 0 };

    while (keep > 0 && prompt_text[keep - 1] == ' ')
        keep--;
    ids_clear(prompt);
    ids_clear(choice);
    str_add(&both, prompt_text);
    str_add(&both, choice_text);
    if (tokenizer_encode(t, prompt_text, keep, false, prompt, e) ||
        tokenizer_encode(t, both.p, both.len, false, &whole, e))
        goto done;
    if (begins_with(&whole, prompt))
        ids_addn(choice, whole.v + prompt->n, whole.n - prompt->n);
    else if (tokenizer_encode(t, both.p + keep, both.len - keep, false,
                 choice, e))
        goto done;
    if (choice->n == 0)
        err_set(e, ERR_WORK,
            "choice '%.60s' adds no token to its prompt; write another",
            choice_text);
done:
    ids_release(&whole);
    str_release(&both);
    return e->code;
}

/* bos in front; an empty prompt is bos or eos, for something must be read. */
static int
finish_prompt(struct ids *prompt, struct model *m, bool bos, struct err *e)
{
    struct tokenizer *t = model_tokenizer(m);
    int32_t first = tokenizer_bos(t);
    struct ids with = { 0 };

    if (!bos && prompt->n > 0)
        return 0;
    if (first < 0 && bos)
        return err_set(e, ERR_WORK,
            "%s: the tokenizer has no bos token; set bos=no", model_path(m));
    if (first < 0)
        first = tokenizer_eos(t);
    if (first < 0)
        return err_set(e, ERR_WORK,
            "%s: an empty prompt needs a bos or eos token; the tokenizer has "
            "neither",
            model_path(m));
    ids_add(&with, first);
    ids_addn(&with, prompt->v, prompt->n);
    ids_release(prompt);
    *prompt = with;
    return 0;
}

static int
tokenize_item(struct work *w, size_t i, struct err *e)
{
    const struct suite_item *it = &w->s->items[i];
    struct item_ids *ids = &w->ids[i];
    struct tokenizer *t = model_tokenizer(w->m);

    if (it->kind == SUITE_CHOICE) {
        ids->choices = mem_calloc(it->n_choices, sizeof *ids->choices);
        for (size_t k = 0; k < it->n_choices; k++)
            if (choice_tokens(t, it->prompt, it->choices[k], &ids->prompt,
                    &ids->choices[k], e))
                return e->code;
    } else if (tokenizer_encode(t, it->prompt, strlen(it->prompt), false,
                   &ids->prompt, e)) {
        return e->code;
    }
    return finish_prompt(&ids->prompt, w->m, w->o->bos, e);
}

static int
tokenize(struct work *w, struct err *e)
{
    for (size_t i = 0; i < w->s->n; i++) {
        struct err why = { 0 };

        if (tokenize_item(w, i, &why))
            return err_set(e, why.code, "item '%s': %s", w->s->items[i].id,
                why.text);
    }
    return 0;
}

static bool
all_finite(const float *x, size_t n)
{
    float sum = 0.0f;

    for (size_t i = 0; i < n; i++)
        sum += x[i] * 0.0f; /* NaN as soon as one is NaN or infinite */
    return sum == 0.0f;
}

static struct digest
ids_digest(const struct ids *ids)
{
    struct hasher h;
    uint8_t b[4];

    hasher_init(&h);
    for (size_t i = 0; i < ids->n; i++) {
        store_u32le(b, (uint32_t)ids->v[i]);
        hasher_add(&h, b, sizeof b);
    }
    return hasher_final(&h);
}

/*
 * The prompt goes in, but for what does not fit before `room` more ids: then
 * its end stays, as the question stands there.
 */
static int
read_prompt(struct work *w, size_t i, unsigned thread, size_t room,
    struct err *e)
{
    const struct ids *p = &w->ids[i].prompt;
    const size_t positions = model_config(w->m)->positions;
    const size_t most = positions > room ? positions - room : 1;
    const size_t skip = p->n > most ? p->n - most : 0;

    w->out[i].cut = skip > 0;
    session_reset(w->sessions[thread]);
    if (session_eval(w->sessions[thread], p->v + skip, p->n - skip,
            w->logits[thread], LOGITS_LAST, e))
        return e->code;
    atomic_fetch_add(&w->tokens, p->n - skip);
    w->out[i].finite =
        all_finite(w->logits[thread], model_config(w->m)->vocab);
    return 0;
}

/* Sum of log probabilities of one choice; the session is as before after. */
static int
score_one_choice(struct work *w, unsigned thread, const struct ids *c,
    struct item_score *r, double *sum, struct err *e)
{
    struct session *s = w->sessions[thread];
    const size_t vocab = model_config(w->m)->vocab, start = session_len(s);
    const size_t more = c->n - 1;
    struct token_score *t;

    if (c->v[0] < 0 || (size_t)c->v[0] >= vocab)
        return err_set(e, ERR_WORK,
            "token %d is outside the model's vocabulary of %zu",
            (int)c->v[0], vocab);
    *sum = logits_logprob(w->logits[thread], vocab, (size_t)c->v[0]);
    r->tokens += c->n;
    if (more == 0)
        return 0;

    t = mem_calloc(more, sizeof *t);
    if (session_score(s, c->v, more, c->v + 1, t, e) == 0) {
        for (size_t j = 0; j < more; j++) {
            *sum += t[j].logprob;
            r->finite &= t[j].finite;
        }
        atomic_fetch_add(&w->tokens, more);
        session_truncate(s, start);
    }
    free(t);
    return e->code;
}

static int
score_choices(struct work *w, size_t i, unsigned thread, struct err *e)
{
    const struct suite_item *it = &w->s->items[i];
    struct item_score *r = &w->out[i];
    size_t longest = 0;

    for (size_t k = 0; k < it->n_choices; k++)
        if (w->ids[i].choices[k].n > longest)
            longest = w->ids[i].choices[k].n;
    if (read_prompt(w, i, thread, longest - 1, e))
        return e->code;
    r->ll = mem_calloc(it->n_choices, sizeof *r->ll);
    for (size_t k = 0; k < it->n_choices; k++) {
        if (score_one_choice(w, thread, &w->ids[i].choices[k], r, &r->ll[k],
                e))
            return e->code;
        if (r->ll[k] > r->ll[r->pick])
            r->pick = k;
    }
    r->correct = r->finite && r->pick == it->answer;
    return 0;
}

/* Where the first of the item's stop texts begins, or NULL. */
static const char *
find_stop(const struct suite_item *it, const char *text)
{
    const char *first = NULL;

    for (size_t k = 0; k < it->n_stops; k++) {
        const char *at = strstr(text, it->stops[k]);

        if (at != NULL && (first == NULL || at < first))
            first = at;
    }
    return first;
}

/* What was written, as text; a NUL, which ends no text here, becomes U+FFFD. */
static void
decode(const struct tokenizer *t, const struct ids *ids, struct str *text)
{
    struct str raw = { 0 };

    tokenizer_decode(t, ids->v, ids->n, true, &raw);
    str_clear(text);
    for (size_t i = 0; i < raw.len; i++) {
        if (raw.p[i] != '\0')
            str_addc(text, raw.p[i]);
        else
            str_add(text, "\xef\xbf\xbd");
    }
    str_release(&raw);
}

/* Writes on greedily; `text` is the whole answer, uncut. */
static int
write_answer(struct work *w, size_t i, unsigned thread, struct str *text,
    struct err *e)
{
    struct session *s = w->sessions[thread];
    struct item_score *r = &w->out[i];
    const struct model_config *c = model_config(w->m);
    struct ids ids = { 0 };

    r->stop = STOP_LENGTH;
    while (r->finite && ids.n < w->o->max_tokens) {
        const int32_t id =
            (int32_t)logits_argmax(w->logits[thread], c->vocab);

        if (model_is_eos(w->m, id)) {
            r->stop = STOP_EOS;
            break;
        }
        ids_add(&ids, id);
        decode(model_tokenizer(w->m), &ids, text);
        if (find_stop(&w->s->items[i], str_get(text)) != NULL) {
            r->stop = STOP_STRING;
            break;
        }
        if (ids.n == w->o->max_tokens || session_len(s) == c->positions)
            break;
        if (session_eval(s, &id, 1, w->logits[thread], LOGITS_LAST, e))
            break;
        atomic_fetch_add(&w->tokens, 1);
        r->finite = all_finite(w->logits[thread], c->vocab);
    }
    r->tokens = ids.n;
    ids_release(&ids);
    return e->code;
}

static int
score_answer(struct work *w, size_t i, unsigned thread, struct err *e)
{
    const struct suite_item *it = &w->s->items[i];
    struct item_score *r = &w->out[i];
    struct str text = { 0 };

    if (read_prompt(w, i, thread, 1, e) == 0 &&
        write_answer(w, i, thread, &text, e) == 0) {
        const char *whole = str_get(&text);
        const char *stop = find_stop(it, whole);
        size_t len = stop ? (size_t)(stop - whole) : strlen(whole);
        const char *answer = text_strip(whole, &len);

        str_addn(&r->out, answer, len);
        r->correct = check_run(&it->check, str_get(&r->out), &r->extracted,
                         &r->invalid) &&
            r->finite;
    }
    str_release(&text);
    return e->code;
}

static void
score_item(void *ctx, size_t i, unsigned thread)
{
    struct work *w = ctx;
    const struct suite_item *it = &w->s->items[i];
    struct err e = { 0 };

    if (w->errors[thread].code)
        return;
    w->out[i].prompt_tokens = w->ids[i].prompt.n;
    w->out[i].prompt = ids_digest(&w->ids[i].prompt);
    if (it->kind == SUITE_CHOICE)
        score_choices(w, i, thread, &e);
    else
        score_answer(w, i, thread, &e);
    if (e.code) {
        err_set(&w->errors[thread], e.code, "item '%s': %s", it->id, e.text);
        w->error_item[thread] = i;
    }
    atomic_fetch_add(&w->done, 1);
    if (thread == 0 && w->o->progress != NULL) {
        const size_t done = atomic_load(&w->done);

        progress_add(w->o->progress, done - w->shown);
        w->shown = done;
    }
}

/* Of several threads' errors the one of the earliest item is reported. */
static int
first_error(const struct work *w, unsigned threads, struct err *e)
{
    unsigned best = threads;

    for (unsigned t = 0; t < threads; t++)
        if (w->errors[t].code &&
            (best == threads || w->error_item[t] < w->error_item[best]))
            best = t;
    return best == threads ? 0 :
        err_set(e, w->errors[best].code, "%s", w->errors[best].text);
}

static int
score_all(struct work *w, struct err *e)
{
    const unsigned threads = w->o->pool ? pool_threads(w->o->pool) : 1;

    w->sessions = mem_calloc(threads, sizeof *w->sessions);
    w->logits = mem_calloc(threads, sizeof *w->logits);
    w->errors = mem_calloc(threads, sizeof *w->errors);
    w->error_item = mem_calloc(threads, sizeof *w->error_item);
    for (unsigned t = 0; t < threads; t++) {
        w->sessions[t] = session_new(w->m, 0, NULL);
        w->logits[t] = mem_calloc(model_config(w->m)->vocab, sizeof(float));
    }
    pool_run(w->o->pool, w->s->n, score_item, w);
    first_error(w, threads, e);
    for (unsigned t = 0; t < threads; t++) {
        session_free(w->sessions[t]);
        free(w->logits[t]);
    }
    free(w->sessions);
    free(w->logits);
    free(w->errors);
    free(w->error_item);
    return e->code;
}

int
suite_score(struct suite_score *r, const struct suite *s, struct model *m,
    const struct score_opts *o, struct err *e)
{
    struct work w = { .s = s, .o = o, .m = m };

    r->n = s->n;
    r->items = mem_calloc(s->n, sizeof *r->items);
    w.out = r->items;
    w.ids = mem_calloc(s->n, sizeof *w.ids);
    if (tokenize(&w, e) == 0)
        score_all(&w, e);
    r->tokens = atomic_load(&w.tokens);
    for (size_t i = 0; i < s->n; i++) {
        for (size_t k = 0; w.ids[i].choices && k < s->items[i].n_choices; k++)
            ids_release(&w.ids[i].choices[k]);
        free(w.ids[i].choices);
        ids_release(&w.ids[i].prompt);
    }
    free(w.ids);
    if (e->code)
        suite_score_release(r);
    return e->code;
}

void
suite_score_release(struct suite_score *r)
{
    for (size_t i = 0; i < r->n; i++) {
        free(r->items[i].ll);
        str_release(&r->items[i].out);
        str_release(&r->items[i].extracted);
    }
    free(r->items);
    memset(r, 0, sizeof *r);
}
