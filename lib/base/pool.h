/*
 * pool.h - threads that share out independent work
 *
 * Work is cut into `n` tasks whose results must not depend on which thread runs
 * them or in which order: threads split rows, never a sum. That is why a result
 * does not depend on the number of threads.
 */
#ifndef QUERN_BASE_POOL_H
#define QUERN_BASE_POOL_H

#include <stddef.h>

struct pool;

/*
 * `threads` 0: QUERN_THREADS from the environment if set, else the CPUs this
 * process may run on. The calling thread is one of them.
 */
struct pool *pool_new(unsigned threads);
void pool_free(struct pool *p);
unsigned pool_threads(const struct pool *p);
/*
 * Runs fn(ctx, i, thread) for i in [0, n) and returns when all are done.
 * `thread` is in [0, pool_threads). A NULL pool runs them in the caller.
 */
void pool_run(struct pool *p, size_t n,
    void (*fn)(void *ctx, size_t i, unsigned thread), void *ctx);

#endif
