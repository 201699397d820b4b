/*
 * score_ask.c - a question put to the model, and its answer; see score.h
 */
#include <float.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/measure.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/model/score_impl.h"

static bool
is_finite(const float *x, size_t n)
{
    return first_beyond_f32(x, n, FLT_MAX) == n;
}

/*
 * The prompt goes in, but for what does not fit before `room` more ids: then
 * its end stays, as the question stands there.
 */
static int
read_prompt(struct score_work *w, size_t i, struct score_seat *seat,
    size_t place, size_t room, struct err *e)
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
    w->out[i].finite = is_finite(logits, c->vocab);
    return 0;
}

/* Sum of log probabilities of one choice; the session is as before after. */
static int
score_one_choice(struct score_work *w, const struct score_seat *seat,
    const struct ids *c, struct item_score *r, double *sum, struct err *e)
{
    struct session *s = seat->session[0];
    const size_t vocab = model_config(w->m)->vocab, start = session_len(s);
    const size_t more = c->n - 1;
    struct token_score *t;

    if (c->v[0] < 0 || (size_t)c->v[0] >= vocab)
        return err_set(e, ERR_WORK,
            "token %d is outside the model's vocabulary of %zu; the tokenizer "
            "is of another model, fetch both again",
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

int
score_choices(struct score_work *w, size_t i, struct score_seat *seat,
    struct err *e)
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
write_on(struct score_work *w, struct answer *a, const float *logits)
{
    struct item_score *r = &w->out[a->item];
    const struct model_config *c = model_config(w->m);
    const int32_t id = (int32_t)logits_argmax(logits, c->vocab);

    r->finite &= is_finite(logits, c->vocab);
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
finish_answer(struct score_work *w, struct answer *a)
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

void
score_answers(struct score_work *w, size_t first, size_t last,
    struct score_seat *seat, struct err *e)
{
    const size_t vocab = model_config(w->m)->vocab;
    struct answer a[SCORE_BATCH] = { 0 };
    struct session *going[SCORE_BATCH];
    int32_t next[SCORE_BATCH];
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
