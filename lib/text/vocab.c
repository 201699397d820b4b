#include "lib/text/vocab.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/bytes.h"

uint64_t
bytes_hash(const char *s, size_t n)
{
    uint64_t h = n * 0x9e3779b97f4a7c15U;

    for (; n >= 8; s += 8, n -= 8) {
        h = (h ^ load_u64le(s)) * 0xff51afd7ed558ccdU;
        h ^= h >> 32;
    }
    if (n >= 4) {
        h = (h ^ load_u32le(s)) * 0xff51afd7ed558ccdU;
        h ^= h >> 32;
        s += 4;
        n -= 4;
    }
    for (; n > 0; s++, n--)
        h = (h ^ (unsigned char)*s) * 0xff51afd7ed558ccdU;
    return h ^ h >> 29;
}

/* Slot that holds the text, or the empty slot where it belongs. */
static size_t
find_slot(const struct vocab *v, const char *s, size_t n)
{
    size_t i = (size_t)bytes_hash(s, n) & (v->n_slot - 1);

    while (v->slot[i] != 0) {
        uint32_t id = v->slot[i] - 1;

        if (v->len[id] == n && memcmp(v->text[id], s, n) == 0)
            break;
        i = (i + 1) & (v->n_slot - 1);
    }
    return i;
}

static void
grow_slots(struct vocab *v)
{
    size_t old_n = v->n_slot;
    uint32_t *old = v->slot;

    v->n_slot = old_n == 0 ? 1024 : old_n * 2;
    v->slot = mem_calloc(v->n_slot, sizeof *v->slot);
    for (size_t i = 0; i < old_n; i++) {
        if (old[i] != 0) {
            uint32_t id = old[i] - 1;

            v->slot[find_slot(v, v->text[id], v->len[id])] = old[i];
        }
    }
    free(old);
}

static void
grow_ids(struct vocab *v, size_t n)
{
    size_t cap = v->cap == 0 ? 1024 : v->cap * 2;

    if (n <= v->cap)
        return;
    if (cap < n)
        cap = n;
    v->text = mem_realloc(v->text, cap, sizeof *v->text);
    v->len = mem_realloc(v->len, cap, sizeof *v->len);
    for (size_t i = v->cap; i < cap; i++) {
        v->text[i] = NULL;
        v->len[i] = 0;
    }
    v->cap = cap;
}

int32_t
vocab_add(struct vocab *v, int32_t id, const char *s, size_t n)
{
    size_t at, i = (size_t)id;

    if (v->count * 2 >= v->n_slot)
        grow_slots(v);
    at = find_slot(v, s, n);
    if (v->slot[at] != 0)
        return v->slot[at] - 1 == (uint32_t)id ? -1
                                               : (int32_t)(v->slot[at] - 1);
    grow_ids(v, i + 1);
    if (v->text[i] != NULL)
        return -2;
    v->text[i] = arena_strndup(&v->texts, s, n);
    v->len[i] = (uint32_t)n;
    v->slot[at] = (uint32_t)id + 1;
    v->count++;
    if (i >= v->n)
        v->n = i + 1;
    return -1;
}

int32_t
vocab_find(const struct vocab *v, const char *s, size_t n)
{
    return v->n_slot == 0 ? -1 : (int32_t)v->slot[find_slot(v, s, n)] - 1;
}

void
vocab_release(struct vocab *v)
{
    arena_release(&v->texts);
    free(v->text);
    free(v->len);
    free(v->slot);
    *v = (struct vocab){ 0 };
}

void
merges_reserve(struct merges *m, size_t n)
{
    struct merges big = { .n_slot = 16 };

    while (big.n_slot < n * 2)
        big.n_slot *= 2;
    if (big.n_slot <= m->n_slot)
        return;
    big.slot = mem_calloc(big.n_slot, sizeof *big.slot);
    for (size_t i = 0; i < big.n_slot; i++)
        big.slot[i].rank = UINT32_MAX;
    for (size_t i = 0; i < m->n_slot; i++) {
        const struct merge *old = &m->slot[i];

        if (old->rank != UINT32_MAX)
            merges_add(&big, old->left, old->right, old->rank, old->id);
    }
    merges_release(m);
    *m = big;
}

void
merges_add(struct merges *m, uint32_t left, uint32_t right, uint32_t rank,
    uint32_t id)
{
    size_t i;

    if ((m->n + 1) * 2 > m->n_slot)
        merges_reserve(m, (m->n + 1) * 2);
    i = (size_t)merges_hash(left, right) & (m->n_slot - 1);
    while (m->slot[i].rank != UINT32_MAX &&
        !(m->slot[i].left == left && m->slot[i].right == right))
        i = (i + 1) & (m->n_slot - 1);
    m->n += m->slot[i].rank == UINT32_MAX;
    m->slot[i] = (struct merge){ left, right, rank, id };
}

void
merges_release(struct merges *m)
{
    free(m->slot);
    *m = (struct merges){ 0 };
}
