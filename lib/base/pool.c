/*
 * pool.c - see pool.h
 *
 * One round at a time. Tasks are claimed from a shared counter; workers spin
 * shortly for the next round before they sleep, because a forward pass is many
 * short rounds.
 */
#include "lib/base/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"

enum { THREADS_MAX = 1024, SPINS = 2000 };

struct pool {
    unsigned threads; /* with the caller */
    pthread_t *ids;   /* threads - 1; owned */
    pthread_mutex_t turn; /* callers take turns */

    pthread_mutex_t lock;
    pthread_cond_t wake, done;
    atomic_uint round; /* changes when there is work; under lock */
    bool quit;
    atomic_uint busy; /* workers that have not finished this round */

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

static void *
worker_main(void *arg)
{
    struct worker w = *(struct worker *)arg;
    struct pool *p = w.pool;
    unsigned seen = 0;

    free(arg);
    for (;;) {
        for (int i = 0; i < SPINS && atomic_load(&p->round) == seen; i++)
            pause_briefly();
        pthread_mutex_lock(&p->lock);
        while (atomic_load(&p->round) == seen && !p->quit)
            pthread_cond_wait(&p->wake, &p->lock);
        seen = atomic_load(&p->round);
        if (p->quit) {
            pthread_mutex_unlock(&p->lock);
            return NULL;
        }
        pthread_mutex_unlock(&p->lock);

        work(p, w.thread);

        pthread_mutex_lock(&p->lock);
        if (atomic_fetch_sub(&p->busy, 1) == 1)
            pthread_cond_signal(&p->done);
        pthread_mutex_unlock(&p->lock);
    }
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
    p->quit = true;
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
    if (p->threads == 1 || n < 2) {
        work(p, 0);
        pthread_mutex_unlock(&p->turn);
        return;
    }
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->busy, p->threads - 1);
    atomic_fetch_add(&p->round, 1);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);

    work(p, 0);

    /* the others are about to finish: sleeping would cost more */
    for (int i = 0; i < SPINS && atomic_load(&p->busy) > 0; i++)
        pause_briefly();
    pthread_mutex_lock(&p->lock);
    while (atomic_load(&p->busy) > 0)
        pthread_cond_wait(&p->done, &p->lock);
    pthread_mutex_unlock(&p->lock);
    pthread_mutex_unlock(&p->turn);
}
