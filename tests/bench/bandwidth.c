/*
 * How fast memory can be read: the limit of decoding
 *
 * usage: out/bench/bandwidth          QUERN_THREADS says with how many threads
 *
 * Every thread reads its part of 512 MiB, once a round; wall time of the
 * fastest of five rounds, as CSV.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/mem.h"
#include "lib/base/pool.h"

enum { PIECES = 64, WORDS = (512 << 20) / 8 / PIECES, ROUNDS = 5 };

static uint64_t *words, found[PIECES];

static double
seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Sixteen sums side by side: one alone would wait for itself. */
static void
read_piece(void *ctx, size_t i, unsigned thread)
{
    const uint64_t *p = words + i * WORDS;
    uint64_t s[16] = { 0 };

    (void)ctx;
    (void)thread;
    for (size_t k = 0; k < WORDS; k += 16)
        for (size_t l = 0; l < 16; l++)
            s[l] |= p[k + l];
    for (size_t l = 0; l < 16; l++)
        found[i] |= s[l];
}

int
main(void)
{
    struct pool *pool = pool_new(0);
    double best = 0.0;

    words = mem_huge((size_t)PIECES * WORDS * 8);
    memset(words, 0x11, (size_t)PIECES * WORDS * 8);
    for (int i = 0; i < ROUNDS; i++) {
        double start = seconds(), s;

        pool_run(pool, PIECES, read_piece, NULL);
        s = seconds() - start;
        best = best == 0.0 || s < best ? s : best;
    }
    for (size_t i = 0; i < PIECES; i++)
        if (found[i] != 0x1111111111111111)
            return 1;
    puts("what,threads,GB_per_s");
    printf("read,%u,%.2f\n", pool_threads(pool),
        (double)PIECES * WORDS * 8 / best * 1e-9);
    free(words);
    pool_free(pool);
    return 0;
}
