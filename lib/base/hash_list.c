#include "lib/base/hash_list.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/hash_two.h"
#include "lib/base/mem.h"

enum {
    BLOCK = 64,
    PIECE = 4 << 20, /* bytes between two looks at what there is to do */
};

struct list {
    struct hash_item **order; /* [n], longest first */
    uint64_t *rest;           /* [n + 1]: bytes of order[i] and all behind it */
    size_t n;
    atomic_size_t next;
    unsigned threads;
    bool two;
};

/* An item on its way. */
struct chain {
    struct hash_item *item; /* NULL: none */
    uint64_t at;            /* bytes done */
    uint32_t h[8];
    struct hasher hasher;   /* where libcrypto does it */
};

static int
longest_first(const void *a, const void *b)
{
    const struct hash_item *x = *(struct hash_item *const *)a;
    const struct hash_item *y = *(struct hash_item *const *)b;

    return (x->n < y->n) - (x->n > y->n);
}

static void
take(struct list *l, struct chain *c)
{
    static const uint32_t start[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372,
        0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };
    size_t i = atomic_fetch_add(&l->next, 1);

    c->item = i < l->n ? l->order[i] : NULL;
    c->at = 0;
    memcpy(c->h, start, sizeof start);
    if (c->item != NULL && !l->two)
        hasher_init(&c->hasher);
}

static const uint8_t *
rest_of(const struct chain *c)
{
    return (const uint8_t *)c->item->p + c->at;
}

static void
advance(struct chain *c, size_t n)
{
    if (c->item->mapped)
        map_done(rest_of(c), n);
    c->at += n;
}

/* The last bytes with their padding: a bit, zeros, the length in bits. */
static void
finish(struct chain *c)
{
    uint8_t end[2 * BLOCK] = { 0 };
    size_t left = (size_t)(c->item->n - c->at);
    size_t n = left + 9 > BLOCK ? 2 * BLOCK : BLOCK;

    if (left > 0)
        memcpy(end, rest_of(c), left);
    end[left] = 0x80;
    for (size_t i = 0; i < 8; i++)
        end[n - 1 - i] = (uint8_t)(c->item->n * 8 >> 8 * i);
    hash_one(c->h, end, n / BLOCK);
    for (size_t i = 0; i < DIGEST_BYTES; i++)
        c->item->digest.b[i] = (uint8_t)(c->h[i / 4] >> (24 - i % 4 * 8));
    c->item = NULL;
}

static size_t
whole_blocks(const struct chain *c)
{
    uint64_t left = c->item->n - c->at;

    return (size_t)(left < PIECE ? left : PIECE) / BLOCK;
}

/* The next piece of one chain or of both. */
static void
go_on(struct chain *a, struct chain *b)
{
    size_t n = whole_blocks(a), m = b->item != NULL ? whole_blocks(b) : n;

    n = m < n ? m : n;
    if (b->item != NULL)
        hash_two(a->h, rest_of(a), b->h, rest_of(b), n);
    else
        hash_one(a->h, rest_of(a), n);
    advance(a, n * BLOCK);
    if (b->item != NULL)
        advance(b, n * BLOCK);
}

/*
 * Whether a thread that is at `c` should take a second item, which slows down
 * its first: not while another thread waits for work, nor when the others, who
 * do two at 1.6 times the speed of one, will have done all that is left before
 * this one item is through.
 */
static bool
pairs_up(struct list *l, const struct chain *c)
{
    size_t next = atomic_load(&l->next);

    if (next < l->threads || next >= l->n)
        return false;
    return c->item == NULL || l->threads == 1 ||
        l->rest[next] / (l->threads - 1) / 8 > (c->item->n - c->at) / 5;
}

static void
by_turns(void *ctx, size_t i, unsigned thread)
{
    struct list *l = ctx;
    struct chain c[2] = { { .item = NULL }, { .item = NULL } };

    (void)i;
    (void)thread;
    for (;;) {
        for (size_t k = 0; k < 2; k++) {
            while (c[k].item == NULL && atomic_load(&l->next) < l->n &&
                (k == 0 || pairs_up(l, &c[0]))) {
                take(l, &c[k]);
                if (c[k].item != NULL && c[k].item->n < BLOCK)
                    finish(&c[k]);
            }
        }
        if (c[0].item == NULL && c[1].item == NULL)
            return;
        if (c[0].item != NULL)
            go_on(&c[0], &c[1]);
        else
            go_on(&c[1], &c[0]);
        for (size_t k = 0; k < 2; k++)
            if (c[k].item != NULL && c[k].item->n - c[k].at < BLOCK)
                finish(&c[k]);
    }
}

static void
one_by_one(void *ctx, size_t i, unsigned thread)
{
    struct chain c;

    (void)i;
    (void)thread;
    for (take(ctx, &c); c.item != NULL; take(ctx, &c)) {
        while (c.at < c.item->n) {
            uint64_t left = c.item->n - c.at;
            size_t n = (size_t)(left < PIECE ? left : PIECE);

            hasher_add(&c.hasher, rest_of(&c), n);
            advance(&c, n);
        }
        c.item->digest = hasher_final(&c.hasher);
    }
}

void
digest_list_by(bool two, struct hash_item *v, size_t n, struct pool *pool)
{
    struct list l = { .order = mem_calloc(n, sizeof *l.order),
        .rest = mem_calloc(n + 1, sizeof *l.rest), .n = n,
        .threads = pool_threads(pool), .two = two };

    for (size_t i = 0; i < n; i++)
        l.order[i] = &v[i];
    if (n > 0)
        qsort(l.order, n, sizeof *l.order, longest_first);
    for (size_t i = n; i-- > 0;)
        l.rest[i] = l.rest[i + 1] + l.order[i]->n;
    pool_run(pool, l.threads, l.two ? by_turns : one_by_one, &l);
    free(l.order);
    free(l.rest);
}

void
digest_list(struct hash_item *v, size_t n, struct pool *pool)
{
    digest_list_by(hash_two_works(), v, n, pool);
}

struct hash_later {
    struct hash_item *v; /* [n], borrowed */
    size_t n;
    pthread_t id;
    bool apart; /* else it is done already */
};

static void *
hash_now(void *arg)
{
    struct hash_later *h = arg;

    digest_list(h->v, h->n, NULL);
    return NULL;
}

struct hash_later *
hash_later_start(struct hash_item *v, size_t n)
{
    struct hash_later *h = mem_calloc(1, sizeof *h);

    *h = (struct hash_later){ .v = v, .n = n };
    h->apart = pthread_create(&h->id, NULL, hash_now, h) == 0;
    if (!h->apart)
        hash_now(h);
    return h;
}

void
hash_later_wait(struct hash_later *h)
{
    if (h != NULL && h->apart)
        pthread_join(h->id, NULL);
    free(h);
}
