/*
 * score.c - the items of a suite shared out to threads; see score.h
 */
#include "lib/model/score.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/bytes.h"
#include "lib/base/mem.h"
#include "lib/model/score_impl.h"

enum { BATCH_BYTES = 64 << 20 }; /* of keys and values of one batch */

static int
tokenize(struct score_work *w, struct err *e)
{
    for (size_t i = 0; i < w->s->n; i++) {
        struct err why = { 0 };

        if (score_item_ids(w, i, &why))
            return err_set(e, why.code, "item '%s': %s", w->s->items[i].id,
                why.text);
    }
    return 0;
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

static void
show_progress(struct score_work *w, size_t n, unsigned thread)
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
    struct score_work *w = ctx;
    struct score_seat *seat = &w->seats[thread];
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
cut_batches(struct score_work *w)
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

        if (i > 0 && (w->s->kind == SUITE_CHOICE || in == SCORE_BATCH ||
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
first_error(const struct score_work *w, unsigned threads, struct err *e)
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
score_all(struct score_work *w, struct err *e)
{
    const unsigned threads = w->o->pool ? pool_threads(w->o->pool) : 1;

    cut_batches(w);
    w->seats = mem_calloc(threads, sizeof *w->seats);
    for (unsigned t = 0; t < threads; t++)
        w->seats[t].logits = mem_calloc(
            SCORE_BATCH * (size_t)model_config(w->m)->vocab, sizeof(float));
    pool_run(w->o->pool, w->batches, score_batch, w);
    first_error(w, threads, e);
    for (unsigned t = 0; t < threads; t++) {
        for (size_t k = 0; k < SCORE_BATCH; k++)
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
    struct score_work w = { .s = s, .o = o, .m = m };

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
