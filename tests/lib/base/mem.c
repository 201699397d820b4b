/* Tests of lib/base/mem.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/base/mem.h"

static void
sizes_do_not_wrap(void **state)
{
    /* Checked sizes tell of overflow and then leave the result alone. */
    size_t v = 7;

    (void)state;
    assert_true(size_mul(SIZE_MAX, 2, &v));
    assert_true(size_mul(SIZE_MAX / 2 + 1, 2, &v));
    assert_true(size_add(SIZE_MAX, 1, &v));
    assert_int_equal(v, 7);
    assert_false(size_mul(SIZE_MAX, 1, &v));
    assert_true(v == SIZE_MAX);
    assert_false(size_mul(0, SIZE_MAX, &v));
    assert_int_equal(v, 0);
    assert_false(size_add(SIZE_MAX - 1, 1, &v));
    assert_true(v == SIZE_MAX);
    assert_false(size_from_u64(123, &v));
    assert_int_equal(v, 123);
}

static void
nothing_is_something(void **state)
{
    /* Allocations of no bytes still give a pointer that can be freed. */
    void *p[] = { mem_calloc(0, 8), mem_calloc(8, 0),
        mem_realloc(NULL, 0, 1), mem_aligned(0, 4), mem_strndup("", 0) };

    (void)state;
    for (size_t i = 0; i < countof(p); i++) {
        assert_non_null(p[i]);
        free(p[i]);
    }
}

static void
aligned_is_aligned(void **state)
{
    /* Memory for kernels starts on a cache line. */
    (void)state;
    for (size_t n = 1; n < 300; n += 37) {
        char *p = mem_aligned(n, 3);

        assert_int_equal((uintptr_t)p % 64, 0);
        memset(p, 1, n * 3);
        free(p);
    }
}

static void
out_of_memory_ends_it(void **state)
{
    /* What cannot be had ends the process with status 1, in one place. */
    (void)state;
    for (int i = 0; i < 3; i++) {
        int status;
        pid_t pid = fork();

        if (pid == 0) {
            int ok = close(2);
            size_t huge = SIZE_MAX / 4;

            if (i == 0)
                (void)!mem_calloc(huge, 8);
            else if (i == 1)
                (void)!mem_realloc(NULL, huge, 8);
            else
                (void)!mem_aligned(huge, 3);
            _exit(ok);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 1);
    }
}

static void
arena_holds_everything(void **state)
{
    /* An arena gives zeroed, aligned pieces that do not overlap. */
    struct arena a = { 0 };
    unsigned char *p[2000];

    (void)state;
    for (size_t i = 0; i < countof(p); i++) {
        size_t n = i % 97 == 0 ? 70000 : i % 200;

        p[i] = arena_alloc(&a, n);
        assert_int_equal((uintptr_t)p[i] % 16, 0);
        for (size_t j = 0; j < n; j++)
            assert_int_equal(p[i][j], 0);
        memset(p[i], (int)(i & 255), n);
    }
    for (size_t i = 0; i < countof(p); i++)
        if (i % 97 != 0 && i % 200 != 0)
            assert_int_equal(p[i][i % 200 - 1], i & 255);
    assert_string_equal(arena_strndup(&a, "abc", 2), "ab");
    assert_string_equal(arena_printf(&a, "%s-%d", "x", 5), "x-5");
    arena_release(&a);
    arena_release(&a);
    assert_null(a.head);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_do_not_wrap),
        cmocka_unit_test(nothing_is_something),
        cmocka_unit_test(aligned_is_aligned),
        cmocka_unit_test(out_of_memory_ends_it),
        cmocka_unit_test(arena_holds_everything),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("lib/base/mem", tests, NULL, NULL);
}
