/*
 * random.h - seeded draws that are the same on every machine
 *
 * SplitMix64 (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number
 * generators", section 4). Two streams with different `stream` numbers under
 * one seed are independent for what quern uses them for: choosing samples.
 * Not for secrets.
 */
#ifndef QUERN_BASE_RANDOM_H
#define QUERN_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct random {
    uint64_t state;
};

static inline uint64_t
random_next(struct random *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline void
random_init(struct random *r, uint64_t seed, uint64_t stream)
{
    struct random s = { stream * 0xd1342543de82ef95u + 1 };

    r->state = seed ^ random_next(&s);
}

/* Uniform in [0, n), n > 0; without bias: draws below 2^64 mod n are redone. */
static inline uint64_t
random_below(struct random *r, uint64_t n)
{
    uint64_t least = (0 - n) % n, x;

    do
        x = random_next(r);
    while (x < least);
    return x % n;
}

/* Order of n indices: the first k entries are a uniform draw without return. */
static inline void
random_draw(struct random *r, size_t *index, size_t n, size_t k)
{
    for (size_t i = 0; i < k && i < n; i++) {
        size_t j = i + (size_t)random_below(r, n - i);
        size_t t = index[i];

        index[i] = index[j];
        index[j] = t;
    }
}

#endif
