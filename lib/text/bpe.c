#include "lib/text/bpe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/text/bytemap.h"
#include "lib/text/utf8.h"

enum {
    CACHE_SLOTS = 1 << 16,
    KEY_MOST = 24,
    IDS_MOST = 8,
    SCAN_MOST = 48, /* symbols up to which looking at all pairs is faster */
    JOIN_BITS = 20,
};

/* A word and its ids in one cache line. `len` 0: empty. */
struct bpe_cached {
    uint32_t tag; /* high bits of the hash */
    uint8_t len, n;
    char key[KEY_MOST];
    int32_t ids[IDS_MOST];
};

static size_t
join_bit(uint32_t left, uint32_t right)
{
    uint32_t h = left * 0x9e3779b1U ^ right * 0x85ebca77U;

    return (h ^ h >> 15) >> (32 - JOIN_BITS) ^ (right & 0xff);
}

void
bpe_add_merge(struct bpe *b, uint32_t left, uint32_t right, uint32_t id)
{
    if (b->n_pair == b->cap_pair) {
        b->cap_pair = b->cap_pair == 0 ? 1024 : b->cap_pair * 2;
        b->pair = mem_realloc(b->pair, b->cap_pair, sizeof *b->pair);
    }
    bpe_add_ranked(b, left, right, (uint32_t)b->n_pair, id);
    b->pair[b->n_pair++] = (struct bpe_pair){ left, right };
}

void
bpe_add_ranked(struct bpe *b, uint32_t left, uint32_t right, uint32_t rank,
    uint32_t id)
{
    merges_add(&b->merges, left, right, rank, id);
}

/* Symbols of single bytes: of the alphabet, or <0xHH>. */
static void
find_bytes(struct bpe *b)
{
    b->has_bytes = true;
    for (unsigned i = 0; i < 256; i++) {
        char text[8];
        size_t n;

        if (b->byte_level)
            n = utf8_put(text, bytemap_char((uint8_t)i));
        else
            n = (size_t)snprintf(text, sizeof text, "<0x%02X>", i);
        b->byte_id[i] = vocab_find(&b->vocab, text, n);
        if (b->byte_id[i] < 0)
            b->has_bytes = false;
    }
}

static void
find_chars(struct bpe *b)
{
    b->bmp = mem_realloc(NULL, 65536, sizeof *b->bmp);
    for (size_t i = 0; i < 65536; i++)
        b->bmp[i] = -1;
    for (size_t id = 0; id < b->vocab.n; id++) {
        const char *s = b->vocab.text[id];
        size_t at = 0;
        uint32_t cp;

        if (s == NULL || b->vocab.len[id] == 0 ||
            utf8_size(s[0]) != b->vocab.len[id])
            continue;
        cp = utf8_next(s, &at);
        if (cp < 65536)
            b->bmp[cp] = (int32_t)id;
    }
}

static bool
is_byte_token(const struct bpe *b, uint32_t id)
{
    for (int i = 0; i < 256; i++) {
        if (b->byte_id[i] == (int32_t)id)
            return true;
    }
    return false;
}

/*
 * Note which characters some merge joins. A cut elsewhere is safe only if no
 * symbol stands for a character it does not spell (<0xHH>) and takes part in a
 * merge. bpe_word sees to characters that are dropped or become an unk.
 */
static void
find_joins(struct bpe *b)
{
    const struct vocab *v = &b->vocab;

    if (b->ignore_merges)
        return;
    b->joins = mem_calloc((1U << JOIN_BITS) / 64, sizeof *b->joins);
    for (size_t i = 0; i < b->merges.n_slot; i++) {
        const struct merge *m = &b->merges.slot[i];
        size_t first = 0, last, bit;

        if (m->rank == UINT32_MAX)
            continue;
        if (v->len[m->left] == 0 || v->len[m->right] == 0 ||
            (v->len[m->left] == 6 && is_byte_token(b, m->left)) ||
            (v->len[m->right] == 6 && is_byte_token(b, m->right))) {
            free(b->joins);
            b->joins = NULL;
            return;
        }
        last = utf8_before(v->text[m->left], v->len[m->left]);
        bit = join_bit(utf8_next(v->text[m->left], &last),
            utf8_next(v->text[m->right], &first));
        b->joins[bit / 64] |= 1ULL << bit % 64;
    }
}

void
bpe_finish(struct bpe *b)
{
    find_bytes(b);
    if (!b->byte_level) {
        find_chars(b);
        find_joins(b);
    }
}

void
bpe_release(struct bpe *b)
{
    vocab_release(&b->vocab);
    merges_release(&b->merges);
    free(b->pair);
    free(b->bmp);
    free(b->joins);
    free(b->cache);
    ids_release(&b->sym);
    free(b->prev);
    free(b->next);
    free(b->heap);
    free(b->mapped);
    *b = (struct bpe){ 0 };
}

static int32_t
char_id(const struct bpe *b, const char *s, size_t size)
{
    size_t at = 0;

    if (size < 4)
        return b->bmp[utf8_next(s, &at)];
    return vocab_find(&b->vocab, s, size);
}

/* The <0xHH> symbols of a character; false if one does not exist. */
static bool
add_bytes(struct bpe *b, const char *s, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (b->byte_id[(uint8_t)s[i]] < 0)
            return false;
    }
    for (size_t i = 0; i < size; i++)
        ids_add(&b->sym, b->byte_id[(uint8_t)s[i]]);
    return true;
}

/*
 * The word's symbols into b->sym. An unk waits until a known character or the
 * end: so fused ones count once, and bytes come before it, as in the library.
 */
static void
symbols(struct bpe *b, const char *s, size_t n)
{
    bool unk = false;
    size_t size;

    ids_clear(&b->sym);
    for (size_t i = 0; i < n; i += size) {
        int32_t id;

        size = b->byte_level ? 1 : utf8_size(s[i]);
        id = b->byte_level ? b->byte_id[(uint8_t)s[i]]
                           : char_id(b, s + i, size);
        if (id >= 0) {
            if (unk)
                ids_add(&b->sym, b->unk);
            unk = false;
            ids_add(&b->sym, id);
            continue;
        }
        if (b->byte_fallback && !b->byte_level && add_bytes(b, s + i, size))
            continue;
        if (b->unk < 0)
            continue;
        if (unk && !b->fuse_unk)
            ids_add(&b->sym, b->unk);
        unk = true;
    }
    if (unk)
        ids_add(&b->sym, b->unk);
}

/* Merge sym[0..n), n <= SCAN_MOST, in place; returns what is left. */
static size_t
merge_short(const struct merges *merges, int32_t *sym, size_t n)
{
    uint32_t rank[SCAN_MOST], id[SCAN_MOST];
    const struct merge *m;

    for (size_t i = 0; i + 1 < n; i++) {
        m = merges_find(merges, (uint32_t)sym[i], (uint32_t)sym[i + 1]);
        rank[i] = m == NULL ? UINT32_MAX : m->rank;
        id[i] = m == NULL ? 0 : m->id;
    }
    while (n > 1) {
        uint32_t best = UINT32_MAX;
        size_t at = 0;

        for (size_t i = 0; i + 1 < n; i++) {
            if (rank[i] < best) {
                best = rank[i];
                at = i;
            }
        }
        if (best == UINT32_MAX)
            break;
        sym[at] = (int32_t)id[at];
        n--;
        for (size_t i = at + 1; i < n; i++) {
            sym[i] = sym[i + 1];
            rank[i - 1] = rank[i];
            id[i - 1] = id[i];
        }
        /* the pairs on both sides are new ones */
        for (size_t i = at > 0 ? at - 1 : 0; i <= at && i + 1 < n; i++) {
            m = merges_find(merges, (uint32_t)sym[i], (uint32_t)sym[i + 1]);
            rank[i] = m == NULL ? UINT32_MAX : m->rank;
            id[i] = m == NULL ? 0 : m->id;
        }
    }
    return n;
}

/* A min-heap of rank << 32 | position. */
static void
heap_push(struct bpe *b, uint64_t key)
{
    size_t i = b->n_heap++;

    if (b->n_heap > b->cap_heap) {
        b->cap_heap = b->cap_heap == 0 ? 256 : b->cap_heap * 2;
        b->heap = mem_realloc(b->heap, b->cap_heap, sizeof *b->heap);
    }
    while (i > 0 && b->heap[(i - 1) / 2] > key) {
        b->heap[i] = b->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    b->heap[i] = key;
}

static uint64_t
heap_pop(struct bpe *b)
{
    uint64_t top = b->heap[0], last = b->heap[--b->n_heap];
    size_t i = 0;

    for (;;) {
        size_t child = i * 2 + 1;

        if (child >= b->n_heap)
            break;
        if (child + 1 < b->n_heap && b->heap[child + 1] < b->heap[child])
            child++;
        if (b->heap[child] >= last)
            break;
        b->heap[i] = b->heap[child];
        i = child;
    }
    b->heap[i] = last;
    return top;
}

static void
push_pair(struct bpe *b, uint32_t at, uint32_t after)
{
    const struct merge *m = merges_find(&b->merges, (uint32_t)b->sym.v[at],
        (uint32_t)b->sym.v[after]);

    if (m != NULL)
        heap_push(b, (uint64_t)m->rank << 32 | at);
}

/* Merge b->sym in place with a heap; a symbol that is gone becomes -1. */
static size_t
merge_long(struct bpe *b)
{
    const uint32_t n = (uint32_t)b->sym.n;
    int32_t *sym = b->sym.v;
    size_t left = 0;

    if (n > b->cap_link) {
        b->cap_link = n;
        b->prev = mem_realloc(b->prev, n, sizeof *b->prev);
        b->next = mem_realloc(b->next, n, sizeof *b->next);
    }
    b->n_heap = 0;
    for (uint32_t i = 0; i < n; i++) {
        b->prev[i] = i - 1; /* n stands for none: wraps at 0, see below */
        b->next[i] = i + 1;
        if (i + 1 < n)
            push_pair(b, i, i + 1);
    }
    while (b->n_heap > 0) {
        uint64_t top = heap_pop(b);
        uint32_t at = (uint32_t)top, after;
        const struct merge *m;

        if (sym[at] < 0 || (after = b->next[at]) >= n)
            continue;
        m = merges_find(&b->merges, (uint32_t)sym[at], (uint32_t)sym[after]);
        if (m == NULL || m->rank != top >> 32)
            continue; /* one of the two has been merged since */
        sym[at] = (int32_t)m->id;
        sym[after] = -1;
        b->next[at] = b->next[after];
        if (b->next[at] < n) {
            b->prev[b->next[at]] = at;
            push_pair(b, at, b->next[at]);
        }
        if (b->prev[at] < n)
            push_pair(b, b->prev[at], at);
    }
    for (uint32_t i = 0; i < n; i++) {
        if (sym[i] >= 0)
            sym[left++] = sym[i];
    }
    return left;
}

/* The id of a whole word in the vocabulary, or -1. */
static int32_t
whole_word(struct bpe *b, const char *s, size_t n)
{
    size_t len = 0;

    if (!b->byte_level)
        return vocab_find(&b->vocab, s, n);
    if (n * 2 > b->cap_mapped) {
        b->cap_mapped = n * 2;
        b->mapped = mem_realloc(b->mapped, b->cap_mapped, 1);
    }
    for (size_t i = 0; i < n; i++)
        len += utf8_put(b->mapped + len, bytemap_char((uint8_t)s[i]));
    return vocab_find(&b->vocab, b->mapped, len);
}

/* Encode without the cache; the ids are left in b->sym. */
static void
encode(struct bpe *b, const char *s, size_t n)
{
    int32_t id = b->ignore_merges ? whole_word(b, s, n) : -1;

    if (id >= 0) {
        ids_clear(&b->sym);
        ids_add(&b->sym, id);
        return;
    }
    symbols(b, s, n);
    if (b->sym.n <= SCAN_MOST)
        b->sym.n = merge_short(&b->merges, b->sym.v, b->sym.n);
    else
        b->sym.n = merge_long(b);
}

/* One word or part of one that no merge leaves. */
static void
part(struct bpe *b, const char *s, size_t n, struct ids *out)
{
    struct bpe_cached *c;
    uint64_t hash;

    if (n > KEY_MOST) {
        encode(b, s, n);
        ids_addn(out, b->sym.v, b->sym.n);
        return;
    }
    hash = bytes_hash(s, n);
    c = &b->cache[hash & (CACHE_SLOTS - 1)];
    if (c->len != n || c->tag != hash >> 32 || memcmp(c->key, s, n) != 0) {
        encode(b, s, n);
        if (b->sym.n > IDS_MOST) {
            ids_addn(out, b->sym.v, b->sym.n);
            return;
        }
        c->tag = (uint32_t)(hash >> 32);
        c->len = (uint8_t)n;
        c->n = (uint8_t)b->sym.n;
        memcpy(c->key, s, n);
        if (b->sym.n > 0) /* a word of unknown bytes has no ids, no memory */
            memcpy(c->ids, b->sym.v, b->sym.n * sizeof *c->ids);
    }

    int32_t *to = ids_reserve(out, IDS_MOST);

    memcpy(to, c->ids, sizeof c->ids);
    out->n += c->n;
}

/* Do the characters on both sides of s[at] have symbols of their own? */
static bool
both_known(const struct bpe *b, const char *s, size_t at)
{
    size_t before = utf8_before(s, at);

    return char_id(b, s + before, at - before) >= 0 &&
        char_id(b, s + at, utf8_size(s[at])) >= 0;
}

void
bpe_word(struct bpe *b, const char *s, size_t n, struct ids *out)
{
    /* then no character is dropped, and no unk could be fused over a cut */
    const bool all_known = b->byte_fallback && b->has_bytes;
    size_t start = 0, i = 0;
    uint32_t left, right;

    if (b->cache == NULL) {
        b->cache = mem_aligned(CACHE_SLOTS, sizeof *b->cache);
        memset(b->cache, 0, CACHE_SLOTS * sizeof *b->cache);
    }
    if (b->joins == NULL) {
        part(b, s, n, out);
        return;
    }
    left = utf8_next(s, &i);
    while (i < n) {
        size_t at = i, bit;

        right = utf8_next(s, &i);
        bit = join_bit(left, right);
        if ((b->joins[bit / 64] >> bit % 64 & 1) == 0 &&
            (all_known || both_known(b, s, at))) {
            part(b, s + start, at - start, out);
            start = at;
        }
        left = right;
    }
    part(b, s + start, n - start, out);
}
