#include "lib/model/score.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/bytes.h"
#include "lib/base/mem.h"

enum {
    BATCH = 32,              /* answers written together */
    BATCH_BYTES = 64 << 20,  /* of keys and values of one batch */
};

/* Token ids of one item. */
struct item_ids {
    struct ids prompt;
    struct ids *choices; /* [n_choices]; owned */
};

/* What one thread holds. */
struct seat {
    struct session *session[BATCH]; /* made when first used; owned */
    float *logits;                  /* [BATCH][vocab]; owned */
    struct err error;
    size_t error_item;
};

/* What all threads share; every item writes only its own places. */
struct work {
    const struct suite *s;
    const struct score_opts *o;
    struct model *m;
    struct item_ids *ids;
    struct item_score *out;
    size_t *start; /* [batches + 1] first item of each batch; owned */
    size_t batches;
    struct seat *seats; /* one a thread; owned */
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
read_prompt(struct work *w, size_t i, struct seat *seat, size_t place,
    size_t room, struct err *e)
{
    const struct ids *p = &w->ids[i].prompt;
    const struct model_config *c = model_config(w->m);
    const size_t most = c->positions > room ? c->positions - room : 1;
    const size_t skip = p->n > most ? p->n - most : 0;
    float *logits = seat->logits + place * c->vocab;

    if (seat->session[place] == NULL)
        seat->session[place] = session_new(w->m, 0, NULL);
    session_reset(seat->session[place]);
    w->out[i].cut = skip > 0;
    if (session_eval(seat->session[place], p->v + skip, p->n - skip, logits,
            LOGITS_LAST, e))
        return e->code;
    if (place > 0)
        session_trim(seat->session[place]); /* steps use the first one's room */
    atomic_fetch_add(&w->tokens, p->n - skip);
    w->out[i].finite = all_finite(logits, c->vocab);
    return 0;
}

/* Sum of log probabilities of one choice; the session is as before after. */
static int
score_one_choice(struct work *w, const struct seat *seat,
    const struct ids *c, struct item_score *r, double *sum, struct err *e)
{
    struct session *s = seat->session[0];
    const size_t vocab = model_config(w->m)->vocab, start = session_len(s);
    const size_t more = c->n - 1;
    struct token_score *t;

    if (c->v[0] < 0 || (size_t)c->v[0] >= vocab)
        return err_set(e, ERR_WORK,
            "token %d is outside the model's vocabulary of %zu",
            (int)c->v[0], vocab);
    *sum = logits_logprob(seat->logits, vocab, (size_t)c->v[0]);
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
score_choices(struct work *w, size_t i, struct seat *seat, struct err *e)
{
    const struct suite_item *it = &w->s->items[i];
    struct item_score *r = &w->out[i];
    size_t longest = 0;

    for (size_t k = 0; k < it->n_choices; k++)
        if (w->ids[i].choices[k].n > longest)
            longest = w->ids[i].choices[k].n;
    if (read_prompt(w, i, seat, 0, longest - 1, e))
        return e->code;
    r->ll = mem_calloc(it->n_choices, sizeof *r->ll);
    for (size_t k = 0; k < it->n_choices; k++) {
        if (score_one_choice(w, seat, &w->ids[i].choices[k], r, &r->ll[k], e))
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

/* One answer while it is written. */
struct answer {
    size_t item;
    struct session *s;
    struct ids ids;
    struct str text; /* all of it, uncut */
};

/* Takes the most likely id; whether another one is wanted after it. */
static bool
write_on(struct work *w, struct answer *a, const float *logits)
{
    struct item_score *r = &w->out[a->item];
    const struct model_config *c = model_config(w->m);
    const int32_t id = (int32_t)logits_argmax(logits, c->vocab);

    r->finite &= all_finite(logits, c->vocab);
    r->stop = STOP_LENGTH;
    if (!r->finite)
        return false;
    if (model_is_eos(w->m, id)) {
        r->stop = STOP_EOS;
        return false;
    }
    ids_add(&a->ids, id);
    decode(model_tokenizer(w->m), &a->ids, &a->text);
    if (find_stop(&w->s->items[a->item], str_get(&a->text)) != NULL) {
        r->stop = STOP_STRING;
        return false;
    }
    return a->ids.n < w->o->max_tokens && session_len(a->s) < c->positions;
}

/* Cuts, strips and checks an answer. */
static void
finish_answer(struct work *w, struct answer *a)
{
    const struct suite_item *it = &w->s->items[a->item];
    struct item_score *r = &w->out[a->item];
    const char *whole = str_get(&a->text);
    const char *stop = find_stop(it, whole);
    size_t len = stop ? (size_t)(stop - whole) : strlen(whole);
    const char *text = text_strip(whole, &len);

    r->tokens = a->ids.n;
    str_addn(&r->out, text, len);
    r->correct = check_run(&it->check, str_get(&r->out), &r->extracted,
                     &r->invalid) &&
        r->finite;
    ids_release(&a->ids);
    str_release(&a->text);
}

/*
 * A batch of answers is written together, so that the weights are gone through
 * once for a token of each. Which items make a batch depends on the suite and
 * the model alone.
 */
static void
score_answers(struct work *w, size_t first, size_t last, struct seat *seat,
    struct err *e)
{
    const size_t vocab = model_config(w->m)->vocab;
    struct answer a[BATCH] = { 0 };
    struct session *going[BATCH];
    int32_t next[BATCH];
    size_t n = 0;

    for (size_t i = first; i < last && e->code == 0; i++) {
        read_prompt(w, i, seat, i - first, 1, e);
        a[n++] = (struct answer){ .item = i, .s = seat->session[i - first] };
    }
    while (n > 0 && e->code == 0) {
        size_t more = 0;

        for (size_t k = 0; k < n; k++) {
            if (!write_on(w, &a[k], seat->logits + k * vocab)) {
                finish_answer(w, &a[k]);
                continue;
            }
            a[more] = a[k];
            going[more] = a[k].s;
            next[more] = a[k].ids.v[a[k].ids.n - 1];
            more++;
        }
        n = more;
        session_step(going, next, n, seat->logits, e);
        atomic_fetch_add(&w->tokens, n);
    }
    for (size_t k = 0; k < n; k++) {
        ids_release(&a[k].ids);
        str_release(&a[k].text);
    }
}

static void
show_progress(struct work *w, size_t n, unsigned thread)
{
    atomic_fetch_add(&w->done, n);
    if (thread == 0 && w->o->progress != NULL) {
        const size_t done = atomic_load(&w->done);

        progress_add(w->o->progress, done - w->shown);
        w->shown = done;
    }
}

static void
score_batch(void *ctx, size_t b, unsigned thread)
{
    struct work *w = ctx;
    struct seat *seat = &w->seats[thread];
    const size_t first = w->start[b], last = w->start[b + 1];
    struct err e = { 0 };

    if (seat->error.code)
        return;
    for (size_t i = first; i < last; i++) {
        w->out[i].prompt_tokens = w->ids[i].prompt.n;
        w->out[i].prompt = ids_digest(&w->ids[i].prompt);
        if (w->s->kind == SUITE_CHOICE && e.code == 0)
            score_choices(w, i, seat, &e);
    }
    if (w->s->kind == SUITE_GENERATE)
        score_answers(w, first, last, seat, &e);
    if (e.code) {
        err_set(&seat->error, e.code, "item '%s'%s: %s", w->s->items[first].id,
            last - first > 1 ? " or one after it" : "", e.text);
        seat->error_item = first;
    }
    show_progress(w, last - first, thread);
}

/* Positions that a session makes room for: it doubles as it grows. */
static uint64_t
room_for(uint64_t positions, uint64_t most)
{
    uint64_t room = 64;

    while (room < positions && room < most)
        room *= 2;
    return room;
}

/*
 * Cuts the suite into batches: choices one by one, answers as many together as
 * keep their keys and values within BATCH_BYTES.
 */
static void
cut_batches(struct work *w)
{
    const struct model_config *c = model_config(w->m);
    const uint64_t position =
        (uint64_t)c->layers * c->kv_heads * c->head_dim * 2 * sizeof(float);
    const size_t n = w->s->n;
    uint64_t bytes = 0;
    size_t in = 0;

    w->start = mem_calloc(n + 1, sizeof *w->start);
    for (size_t i = 0; i < n; i++) {
        const uint64_t own = position *
            room_for(w->ids[i].prompt.n + w->o->max_tokens, c->positions);

        if (i > 0 && (w->s->kind == SUITE_CHOICE || in == BATCH ||
                         bytes + own > BATCH_BYTES)) {
            w->start[++w->batches] = i;
            bytes = in = 0;
        }
        bytes += own;
        in++;
    }
    w->start[++w->batches] = n;
}

/* Of several threads' errors the one of the earliest item is reported. */
static int
first_error(const struct work *w, unsigned threads, struct err *e)
{
    unsigned best = threads;

    for (unsigned t = 0; t < threads; t++)
        if (w->seats[t].error.code &&
            (best == threads ||
                w->seats[t].error_item < w->seats[best].error_item))
            best = t;
    return best == threads ? 0 :
        err_set(e, w->seats[best].error.code, "%s", w->seats[best].error.text);
}

static int
score_all(struct work *w, struct err *e)
{
    const unsigned threads = w->o->pool ? pool_threads(w->o->pool) : 1;

    cut_batches(w);
    w->seats = mem_calloc(threads, sizeof *w->seats);
    for (unsigned t = 0; t < threads; t++)
        w->seats[t].logits = mem_calloc(
            BATCH * (size_t)model_config(w->m)->vocab, sizeof(float));
    pool_run(w->o->pool, w->batches, score_batch, w);
    first_error(w, threads, e);
    for (unsigned t = 0; t < threads; t++) {
        for (size_t k = 0; k < BATCH; k++)
            session_free(w->seats[t].session[k]);
        free(w->seats[t].logits);
    }
    free(w->seats);
    free(w->start);
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
