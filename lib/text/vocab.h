/*
 * vocab.h - token texts by id and ids by text; merges by pair
 */
#ifndef QUERN_TEXT_VOCAB_H
#define QUERN_TEXT_VOCAB_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/mem.h"

enum { VOCAB_IDS_MOST = 1 << 22 };

/* Tokens; a zeroed struct is empty. */
struct vocab {
    struct arena texts;
    char **text;     /* [cap] text of id, NULL for a hole; array owned */
    uint32_t *len;   /* [cap] bytes; owned */
    size_t n, cap;   /* n: largest id + 1 */
    size_t count;    /* ids that have a text */
    uint32_t *slot;  /* hash table of id + 1; owned */
    size_t n_slot;   /* power of two or 0 */
};

/*
 * vocab_add - give `id` a text; returns the id that already has this text, or
 * -2 if the id already has another text, or -1: all is well
 * Needs 0 <= id < VOCAB_IDS_MOST.
 */
int32_t vocab_add(struct vocab *v, int32_t id, const char *s, size_t n);
int32_t vocab_find(const struct vocab *v, const char *s, size_t n); /* or -1 */
void vocab_release(struct vocab *v);

/* What a pair of ids becomes. `rank` UINT32_MAX: an empty slot. */
struct merge {
    uint32_t left, right, rank, id;
};

/* Merges by pair; a zeroed struct is empty. */
struct merges {
    struct merge *slot; /* owned */
    size_t n_slot;      /* power of two or 0 */
    size_t n;
};

void merges_reserve(struct merges *m, size_t n);
/* A pair that is there already takes the new rank, as in the library. */
void merges_add(struct merges *m, uint32_t left, uint32_t right, uint32_t rank,
    uint32_t id);
void merges_release(struct merges *m);

static inline uint64_t
merges_hash(uint32_t left, uint32_t right)
{
    uint64_t h = ((uint64_t)left << 32 | right) * 0x9e3779b97f4a7c15U;

    return h ^ h >> 32;
}

/* NULL if this pair does not merge. */
static inline const struct merge *
merges_find(const struct merges *m, uint32_t left, uint32_t right)
{
    size_t i;

    if (m->n_slot == 0)
        return NULL;
    i = (size_t)merges_hash(left, right) & (m->n_slot - 1);
    while (m->slot[i].rank != UINT32_MAX) {
        if (m->slot[i].left == left && m->slot[i].right == right)
            return &m->slot[i];
        i = (i + 1) & (m->n_slot - 1);
    }
    return NULL;
}

/* A fast hash of bytes; the same in every run, on every machine. */
uint64_t bytes_hash(const char *s, size_t n);

#endif
