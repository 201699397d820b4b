/* What is looked at in rows of weights: against plain loops, on every ISA */
#include "kernels/measure.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/cpu.h"
#include "tests/kernels/lcg.h"

enum { MOST = 100 };

static const char *const isas[] = { "ref", "avx2", "avx512", "neon" };

/* Runs a check on every instruction set there is. */
static void
on_every_isa(void (*check)(void))
{
    const char *was = cpu_isa();

    for (size_t k = 0; k < sizeof isas / sizeof *isas; k++)
        if (cpu_force(isas[k]) == 0)
            check();
    assert_int_equal(cpu_force(was), 0);
}

static void
find_each(void)
{
    static const float bad[] = { 2.5f, -2.5f, NAN, INFINITY, -INFINITY };
    float x[MOST] = { 0 };

    for (size_t n = 0; n <= MOST; n++) {
        for (size_t i = 0; i < n; i++)
            x[i] = i % 2 ? -2.0f : 2.0f;
        assert_int_equal(first_beyond_f32(x, n, 2.0f), n);
        for (size_t i = 0; i < n; i++) {
            float was = x[i];

            x[i] = bad[i % 5];
            x[n - 1] = i + 1 < n ? NAN : x[n - 1]; /* not the first */
            assert_int_equal(first_beyond_f32(x, n, 2.0f), i);
            x[n - 1] = n % 2 ? 2.0f : -2.0f;
            x[i] = was;
        }
    }
    x[0] = FLT_MAX;
    assert_int_equal(first_beyond_f32(x, 1, FLT_MAX), 1);
}

/* The first value beyond the limit is found in every place of every length. */
static void
first_beyond(void **state)
{
    (void)state;
    on_every_isa(find_each);
}

/* The order of sums as measure.h has it, one value after the other. */
static struct squares
plain_squares(const float *a, const float *b, const double *m, size_t n)
{
    double e[4] = { 0 }, w[4] = { 0 };

    for (size_t j = 0; j < n; j++) {
        double x = (double)a[j], d = x - (double)b[j];
        double weight = m == NULL ? 1 : m[j];

        e[j % 4] += d * d * weight;
        w[j % 4] += x * x * weight;
    }
    return (struct squares){ ((e[0] + e[1]) + e[2]) + e[3],
        ((w[0] + w[1]) + w[2]) + w[3] };
}

static void
sum_each(void)
{
    float a[5 * MOST], b[5 * MOST];
    struct squares got[6];
    double m[MOST];
    uint64_t s = 5;

    for (size_t i = 0; i < 5 * MOST; i++) {
        a[i] = lcg_bell(&s) * 3.0f;
        b[i] = a[i] + lcg_bell(&s) * 0.01f;
        m[i % MOST] = (double)lcg_bell(&s) + 3.0;
    }
    for (size_t n = 0; n <= MOST; n++) {
        for (size_t k = 0; k < 12; k++) {
            const double *weight = k % 2 ? m : NULL;

            got[k / 2].err = -1.0; /* behind the last row */
            row_squares_f32(got, a, b, weight, k / 2, n);
            assert_true(got[k / 2].err == -1.0);
            for (size_t r = 0; r < k / 2; r++) {
                struct squares want = plain_squares(a + r * n, b + r * n,
                    weight, n);

                assert_memory_equal(&got[r], &want, sizeof want);
            }
        }
    }
}

/* Sums of squares have one order on every instruction set, weighted or not. */
static void
sums_of_squares(void **state)
{
    (void)state;
    on_every_isa(sum_each);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_beyond),
        cmocka_unit_test(sums_of_squares),
    };

    if (!getenv("CMOCKA_MESSAGE_OUTPUT"))
        cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("kernels/measure", tests, NULL, NULL);
}
