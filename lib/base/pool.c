/*
 * pool.c - see pool.h
 *
 * One round at a time. Tasks are claimed from a shared counter. A worker that
 * comes too late for a round is not waited for: on a busy machine it may come a
 * time slice late, and a forward pass is hundreds of rounds a token. Workers
 * spin shortly for the next round before they sleep, and so does the caller for
 * the last tasks.
 */
#include "lib/base/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"

enum { THREADS_MAX = 1024, SPINS = 2000 };

/*
 * The state of the round in one word, so that joining and closing it exclude
 * each other: its number, whether it may be joined, how many workers are in it.
 */
static const uint64_t ROUND = 1ULL << 32, OPEN = 1ULL << 31;

struct pool {
    unsigned threads; /* with the caller */
    pthread_t *ids;   /* threads - 1; owned */
    pthread_mutex_t turn; /* callers take turns */

    atomic_uint_fast64_t state;
    pthread_mutex_t lock;       /* for sleeping, and nothing else */
    pthread_cond_t wake, done;
    atomic_uint asleep;         /* workers that need `wake` */
    atomic_bool waits;          /* the caller needs `done` */
    atomic_bool quit;

    /* of the round; written while no worker is in one */
    size_t n;
    atomic_size_t next; /* first task that is not claimed */
    void (*fn)(void *ctx, size_t i, unsigned thread);
    void *ctx;
};

struct worker {
    struct pool *pool;
    unsigned thread;
};

/* The pool whose task this thread is running, so that nesting cannot wait. */
static _Thread_local struct pool *inside;
static _Thread_local unsigned inside_thread;

static void
pause_briefly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    sched_yield();
#endif
}

static void
work(struct pool *p, unsigned thread)
{
    struct pool *outer = inside;
    unsigned outer_thread = inside_thread;

    inside = p;
    inside_thread = thread;
    for (;;) {
        size_t i = atomic_fetch_add(&p->next, 1);

        if (i >= p->n)
            break;
        p->fn(p->ctx, i, thread);
    }
    inside = outer;
    inside_thread = outer_thread;
}

/* Whether there is an open round other than the one numbered `seen`. */
static bool
has_round(uint64_t state, uint64_t seen)
{
    return (state & OPEN) != 0 && state / ROUND != seen;
}

/* Workers in the round. */
static uint64_t
workers_in(uint64_t state)
{
    return state % OPEN;
}

/* Sleeps until there is a round to join, or none will come. */
static void
sleep_for_round(struct pool *p, uint64_t seen)
{
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add(&p->asleep, 1);
    while (!has_round(atomic_load(&p->state), seen) && !atomic_load(&p->quit))
        pthread_cond_wait(&p->wake, &p->lock);
    atomic_fetch_sub(&p->asleep, 1);
    pthread_mutex_unlock(&p->lock);
}

/* Joins a round that is not `seen`: true, and its number; false to quit. */
static bool
join_round(struct pool *p, uint64_t *seen)
{
    for (int spins = 0; !atomic_load(&p->quit);) {
        uint64_t state = atomic_load(&p->state);

        if (has_round(state, *seen)) {
            if (!atomic_compare_exchange_weak(&p->state, &state, state + 1))
                continue;
            *seen = state / ROUND;
            return true;
        }
        if (spins++ < SPINS)
            pause_briefly();
        else
            sleep_for_round(p, *seen);
    }
    return false;
}

static void
leave_round(struct pool *p)
{
    uint64_t left = atomic_fetch_sub(&p->state, 1) - 1;

    if ((left & OPEN) != 0 || workers_in(left) > 0 || !atomic_load(&p->waits))
        return;
    pthread_mutex_lock(&p->lock);
    pthread_cond_signal(&p->done);
    pthread_mutex_unlock(&p->lock);
}

static void *
worker_main(void *arg)
{
    struct worker w = *(struct worker *)arg;
    uint64_t seen = 0;

    free(arg);
    while (join_round(w.pool, &seen)) {
        work(w.pool, w.thread);
        leave_round(w.pool);
    }
    return NULL;
}

static unsigned
default_threads(void)
{
    const char *text = getenv("QUERN_THREADS");
    unsigned long long n;
    cpu_set_t set;

    if (text != NULL && str_to_u64(text, THREADS_MAX, &n) && n > 0)
        return (unsigned)n;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return (unsigned)CPU_COUNT(&set);
    return 1;
}

struct pool *
pool_new(unsigned threads)
{
    struct pool *p = mem_calloc(1, sizeof *p);

    if (threads == 0)
        threads = default_threads();
    if (threads > THREADS_MAX)
        threads = THREADS_MAX;
    p->threads = 1;
    p->ids = mem_calloc(threads, sizeof *p->ids);
    pthread_mutex_init(&p->turn, NULL);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    pthread_cond_init(&p->done, NULL);
    while (p->threads < threads) {
        struct worker *w = mem_calloc(1, sizeof *w);

        *w = (struct worker){ p, p->threads };
        /* no more threads to be had: fewer do the same work */
        if (pthread_create(&p->ids[p->threads - 1], NULL, worker_main, w)) {
            free(w);
            break;
        }
        p->threads++;
    }
    return p;
}

void
pool_free(struct pool *p)
{
    if (p == NULL)
        return;
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->quit, true);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i + 1 < p->threads; i++)
        pthread_join(p->ids[i], NULL);
    pthread_cond_destroy(&p->done);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    pthread_mutex_destroy(&p->turn);
    free(p->ids);
    free(p);
}

unsigned
pool_threads(const struct pool *p)
{
    return p != NULL ? p->threads : 1;
}

static void
open_round(struct pool *p)
{
    uint64_t next = atomic_load(&p->state) / ROUND + 1;

    /* no worker is in a round: nobody else writes */
    atomic_store(&p->state, next * ROUND | OPEN);
    if (atomic_load(&p->asleep) == 0)
        return;
    pthread_mutex_lock(&p->lock);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
}

/* Lets no more workers in, and waits for those who are. */
static void
close_round(struct pool *p)
{
    uint64_t state = atomic_fetch_and(&p->state, ~OPEN);

    for (int i = 0; i < SPINS && workers_in(state) > 0; i++) {
        pause_briefly();
        state = atomic_load(&p->state);
    }
    if (workers_in(state) == 0)
        return;
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->waits, true);
    while (workers_in(atomic_load(&p->state)) > 0)
        pthread_cond_wait(&p->done, &p->lock);
    atomic_store(&p->waits, false);
    pthread_mutex_unlock(&p->lock);
}

void
pool_run(struct pool *p, size_t n,
    void (*fn)(void *ctx, size_t i, unsigned thread), void *ctx)
{
    if (p == NULL || inside == p) { /* alone, or from within a task */
        for (size_t i = 0; i < n; i++)
            fn(ctx, i, p != NULL ? inside_thread : 0);
        return;
    }
    pthread_mutex_lock(&p->turn);
    p->n = n;
    p->fn = fn;
    p->ctx = ctx;
    atomic_store(&p->next, 0);
    if (p->threads == 1 || n < 2)
        work(p, 0);
    else {
        open_round(p);
        work(p, 0);
        close_round(p);
    }
    pthread_mutex_unlock(&p->turn);
}
