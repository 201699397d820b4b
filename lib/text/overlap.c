/*
 * overlap.c - prompts of the suites in documents of the pool (see corpus.h)
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/text/corpus.h"

static const size_t nowhere = SIZE_MAX;

struct overlap_run {
    uint64_t hash;      /* 0: free */
    uint64_t last;      /* number of the document that was counted last */
    size_t place;       /* first of a list */
    uint32_t documents; /* of the pool, that have it */
};

/* An occurrence of a run. */
struct overlap_place {
    size_t prompt, token; /* token: among the tokens of all prompts */
    size_t next;          /* another place of the same run, or nowhere */
};

struct overlap_prompt {
    size_t from, len; /* its tokens among all */
    size_t shared;    /* covered by the document that is looked at */
};

/* Never 0. Two runs of one hash are two in 2^64. */
static uint64_t
run_hash(const int32_t *ids)
{
    uint64_t h = 0;

    for (size_t i = 0; i < CORPUS_RUN; i++) {
        h = (h ^ (uint32_t)ids[i]) * 0x9e3779b97f4a7c15u;
        h ^= h >> 32;
    }
    return h == 0 ? 1 : h;
}

/* The entry of a hash, or the free one where it belongs. */
static struct overlap_run *
run_entry(const struct overlap *o, uint64_t hash)
{
    size_t i = (size_t)hash & (o->cap - 1);

    while (o->run[i].hash != 0 && o->run[i].hash != hash)
        i = (i + 1) & (o->cap - 1);
    return &o->run[i];
}

static void
runs_grow(struct overlap *o)
{
    struct overlap old = *o;

    o->cap = old.cap == 0 ? 4096 : 2 * old.cap;
    o->run = mem_calloc(o->cap, sizeof *o->run);
    for (size_t i = 0; i < old.cap; i++)
        if (old.run[i].hash != 0)
            *run_entry(o, old.run[i].hash) = old.run[i];
    free(old.run);
}

static void
place_add(struct overlap *o, struct overlap_run *r, size_t token)
{
    if (o->n_places == o->cap_places) {
        o->cap_places = o->cap_places == 0 ? 4096 : 2 * o->cap_places;
        o->place = mem_realloc(o->place, o->cap_places, sizeof *o->place);
    }
    o->place[o->n_places] = (struct overlap_place){ o->n_prompts, token,
        r->place };
    r->place = o->n_places++;
}

void
overlap_add(struct overlap *o, const int32_t *ids, size_t n)
{
    for (size_t i = 0; i + CORPUS_RUN <= n; i++) {
        uint64_t hash = run_hash(ids + i);
        struct overlap_run *r;

        if (2 * o->n >= o->cap)
            runs_grow(o);
        r = run_entry(o, hash);
        if (r->hash == 0) {
            *r = (struct overlap_run){ .hash = hash, .place = nowhere };
            o->n++;
        }
        place_add(o, r, o->tokens + i);
    }
    if (o->n_prompts == o->cap_prompts) {
        o->cap_prompts = o->cap_prompts == 0 ? 1024 : 2 * o->cap_prompts;
        o->prompt = mem_realloc(o->prompt, o->cap_prompts, sizeof *o->prompt);
    }
    o->prompt[o->n_prompts++] = (struct overlap_prompt){ o->tokens, n, 0 };
    o->covered = mem_realloc(o->covered, o->tokens + n + 1, 1);
    memset(o->covered + o->tokens, 0, n + 1);
    o->tokens += n;
}

void
overlap_note(struct overlap *o, const int32_t *ids, size_t n)
{
    o->documents++;
    for (size_t i = 0; i + CORPUS_RUN <= n && o->n > 0; i++) {
        struct overlap_run *r = run_entry(o, run_hash(ids + i));

        if (r->hash == 0 || r->last == o->documents)
            continue;
        r->last = o->documents;
        r->documents++;
    }
}

/* Marks the tokens of all prompts that have this run. */
static void
cover(struct overlap *o, const struct overlap_run *r, bool yes)
{
    for (size_t k = r->place; k != nowhere; k = o->place[k].next) {
        struct overlap_prompt *p = &o->prompt[o->place[k].prompt];
        uint8_t *c = o->covered + o->place[k].token;

        for (size_t i = 0; i < CORPUS_RUN; i++) {
            p->shared += yes && c[i] == 0;
            c[i] = yes;
        }
        if (!yes)
            p->shared = 0;
    }
}

static bool
gives_away(const struct overlap *o, const struct overlap_prompt *p)
{
    size_t stretch = 0;

    if (100 * p->shared >= CORPUS_COVERAGE * p->len)
        return true;
    for (size_t i = 0; i < p->len && p->shared >= CORPUS_STRETCH; i++) {
        stretch = o->covered[p->from + i] ? stretch + 1 : 0;
        if (stretch >= CORPUS_STRETCH)
            return true;
    }
    return false;
}

/* The run at ids, if it is a prompt's and no stock phrase; else NULL. */
static const struct overlap_run *
telling_run(const struct overlap *o, const int32_t *ids)
{
    const struct overlap_run *r = run_entry(o, run_hash(ids));

    return r->hash != 0 && r->documents <= CORPUS_STOCK ? r : NULL;
}

enum overlap_verdict
overlap_look(struct overlap *o, const int32_t *ids, size_t n)
{
    enum overlap_verdict v = OVERLAP_NONE;
    const struct overlap_run *r;

    if (o->n == 0)
        return v;
    for (size_t i = 0; i + CORPUS_RUN <= n; i++)
        if ((r = telling_run(o, ids + i)) != NULL) {
            cover(o, r, true);
            v = OVERLAP_PHRASE;
        }
    for (size_t i = 0; i + CORPUS_RUN <= n && v == OVERLAP_PHRASE; i++)
        if ((r = telling_run(o, ids + i)) != NULL)
            for (size_t k = r->place; k != nowhere; k = o->place[k].next)
                if (gives_away(o, &o->prompt[o->place[k].prompt]))
                    v = OVERLAP_LEAK;
    for (size_t i = 0; i + CORPUS_RUN <= n && v != OVERLAP_NONE; i++)
        if ((r = telling_run(o, ids + i)) != NULL)
            cover(o, r, false);
    return v;
}

void
overlap_release(struct overlap *o)
{
    free(o->run);
    free(o->place);
    free(o->prompt);
    free(o->covered);
    memset(o, 0, sizeof *o);
}
