/* Tests of lib/base/pool.c. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/base/pool.h"

enum { TASKS = 1000 };

struct tally {
    atomic_uint times[TASKS];
    atomic_uint beyond; /* threads outside the pool's range */
    unsigned threads;
    struct pool *pool;
};

static void
count(void *ctx, size_t i, unsigned thread)
{
    struct tally *t = ctx;

    atomic_fetch_add(&t->times[i], 1);
    if (thread >= t->threads)
        atomic_fetch_add(&t->beyond, 1);
}

static void
every_task_once(void **state)
{
    /* Each task runs once, whatever the number of threads and rounds. */
    static const size_t sizes[] = { 0, 1, 2, 3, 17, TASKS };

    (void)state;
    for (unsigned threads = 1; threads <= 5; threads++) {
        struct pool *p = pool_new(threads);

        assert_int_equal(pool_threads(p), threads);
        for (int round = 0; round < 50; round++) {
            size_t n = sizes[round % 6];
            struct tally *t = mem_calloc(1, sizeof *t);

            t->threads = threads;
            pool_run(p, n, count, t);
            for (size_t i = 0; i < TASKS; i++)
                assert_int_equal(atomic_load(&t->times[i]), i < n);
            assert_int_equal(atomic_load(&t->beyond), 0);
            free(t);
        }
        pool_free(p);
    }
}

static void
late_workers(void **state)
{
    /* Rounds so short that most workers come too late for them: no task is
     * lost or run again, and nobody waits for ever. */
    struct pool *p = pool_new(16);
    struct tally *t = mem_calloc(1, sizeof *t);

    (void)state;
    t->threads = 16;
    for (unsigned round = 1; round <= 20000; round++) {
        size_t n = 2 + round % 3;

        pool_run(p, n, count, t);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(atomic_exchange(&t->times[i], 0), 1);
    }
    assert_int_equal(atomic_load(&t->beyond), 0);
    free(t);
    pool_free(p);
}

static void
no_pool_is_the_caller(void **state)
{
    /* Without a pool the caller does it all, as thread 0. */
    struct tally *t = mem_calloc(1, sizeof *t);

    (void)state;
    t->threads = 1;
    pool_run(NULL, 10, count, t);
    assert_int_equal(atomic_load(&t->times[9]), 1);
    assert_int_equal(atomic_load(&t->beyond), 0);
    assert_int_equal(pool_threads(NULL), 1);
    pool_free(NULL);
    free(t);
}

static void
nested(void *ctx, size_t i, unsigned thread)
{
    struct tally *t = ctx;

    (void)i;
    (void)thread;
    pool_run(t->pool, 20, count, t);
}

static void
nesting_does_not_wait(void **state)
{
    /* A task that uses the pool it runs in does its share itself. */
    struct tally *t = mem_calloc(1, sizeof *t);

    (void)state;
    t->pool = pool_new(3);
    t->threads = 3;
    pool_run(t->pool, 10, nested, t);
    for (size_t i = 0; i < 20; i++)
        assert_int_equal(atomic_load(&t->times[i]), 10);
    assert_int_equal(atomic_load(&t->beyond), 0);
    pool_free(t->pool);
    free(t);
}

static void *
one_caller(void *arg)
{
    struct tally *t = arg;

    for (int i = 0; i < 20; i++)
        pool_run(t->pool, 50, count, t);
    return NULL;
}

static void
callers_take_turns(void **state)
{
    /* Several threads may use one pool. */
    struct tally *t = mem_calloc(1, sizeof *t);
    pthread_t ids[4];

    (void)state;
    t->pool = pool_new(2);
    t->threads = 2;
    for (size_t i = 0; i < countof(ids); i++)
        assert_int_equal(pthread_create(&ids[i], NULL, one_caller, t), 0);
    for (size_t i = 0; i < countof(ids); i++)
        pthread_join(ids[i], NULL);
    for (size_t i = 0; i < 50; i++)
        assert_int_equal(atomic_load(&t->times[i]), 4 * 20);
    pool_free(t->pool);
    free(t);
}

static void
the_environment_may_ask(void **state)
{
    /* QUERN_THREADS sets the default; nonsense is not obeyed. */
    struct pool *p;

    (void)state;
    setenv("QUERN_THREADS", "3", 1);
    p = pool_new(0);
    assert_int_equal(pool_threads(p), 3);
    pool_free(p);
    setenv("QUERN_THREADS", "many", 1);
    p = pool_new(0);
    assert_true(pool_threads(p) >= 1);
    pool_free(p);
    unsetenv("QUERN_THREADS");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_task_once),
        cmocka_unit_test(late_workers),
        cmocka_unit_test(no_pool_is_the_caller),
        cmocka_unit_test(nesting_does_not_wait),
        cmocka_unit_test(callers_take_turns),
        cmocka_unit_test(the_environment_may_ask),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("lib/base/pool", tests, NULL, NULL);
}
