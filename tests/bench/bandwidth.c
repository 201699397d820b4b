/*
 * How fast memory can be read: the limit of decoding
 *
 * usage: out/bench/bandwidth       QUERN_THREADS says with how many threads
 *
 * Every thread sums its part of 512 MiB of floats, once a round; wall time of
 * the fastest of five rounds, as CSV.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "kernels/vec.h"
#include "lib/base/mem.h"
#include "lib/base/pool.h"

enum { PIECES = 64, FLOATS = (512 << 20) / 4 / PIECES, ROUNDS = 5 };

static float *data, sums[PIECES];

static double
seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void
read_piece(void *ctx, size_t i, unsigned thread)
{
    (void)ctx;
    (void)thread;
    sums[i] = sum_f32(data + i * FLOATS, FLOATS);
}

int
main(void)
{
    struct pool *pool = pool_new(0);
    const size_t bytes = (size_t)PIECES * FLOATS * sizeof *data;
    double best = 0.0;

    data = mem_huge(bytes);
    for (size_t i = 0; i < (size_t)PIECES * FLOATS; i++)
        data[i] = 1.0f;
    for (int i = 0; i < ROUNDS; i++) {
        double start = seconds(), s;

        pool_run(pool, PIECES, read_piece, NULL);
        s = seconds() - start;
        best = best == 0.0 || s < best ? s : best;
    }
    for (size_t i = 0; i < PIECES; i++)
        if (sums[i] < (float)FLOATS || sums[i] > (float)FLOATS)
            return 1;
    puts("what,threads,GB_per_s");
    printf("read,%u,%.2f\n", pool_threads(pool),
        (double)bytes / best * 1e-9);
    free(data);
    pool_free(pool);
    return 0;
}
