/*
 * The bounds agree with reference values computed by the R package PropCIs and
 * with tables of planned item numbers.
 */
#include "lib/judge/paired.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/judge/normal.h"

static void
assert_near(double got, double want, double tol)
{
    if (!(fabs(got - want) <= tol))
        fail_msg("got %.9g, want %.9g", got, want);
}

/* Quantiles of the normal and t distribution are those of the tables. */
static void
quantiles(void **state)
{
    (void)state;
    assert_near(normal_quantile(0.95), 1.6448536269514722, 1e-12);
    assert_near(normal_quantile(0.975), 1.9599639845400545, 1e-12);
    assert_near(normal_quantile(0.8), 0.8416212335729143, 1e-12);
    assert_near(normal_quantile(0.5), 0.0, 1e-12);
    assert_near(student_quantile(0.95, 1), 6.313751514675, 1e-8);
    assert_near(student_quantile(0.975, 10), 2.228138851965, 1e-9);
    assert_near(student_quantile(0.95, 127), 1.656940344, 1e-6);
    assert_near(student_tail(0.0, 5), 0.5, 1e-15);
}

/* Drop, both bounds and McNemar's p equal the reference for eight tables. */
static void
reference(void **state)
{
    static const struct {
        struct paired p;
        double drop, upper, lower, mcnemar;
    } rows[] = {
        { { 200, 0, 0 }, 0, .013347, -.013347, 1 },
        { { 200, 3, 0 }, .015, .036937, .001453, .25 },
        { { 500, 8, 6 }, .004, .017652, -.009067, .790527 },
        { { 500, 0, 5 }, -.01, -.004564, -.020398, .0625 },
        { { 1319, 30, 28 }, .00152, .011241, -.008150, .895683 },
        { { 1319, 52, 30 }, .01668, .028317, .005475, .019827 },
        { { 1319, 70, 28 }, .03184, .044565, .019793, .000026 },
        { { 50, 12, 2 }, .2, .320413, .085474, .012939 },
    };
    const double z = normal_quantile(0.95);

    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        assert_near(paired_drop(&rows[i].p), rows[i].drop, 6e-6);
        assert_near(paired_upper(&rows[i].p, z), rows[i].upper, 6e-7);
        assert_near(paired_lower(&rows[i].p, z), rows[i].lower, 6e-7);
        assert_near(paired_mcnemar(&rows[i].p), rows[i].mcnemar, 6e-7);
    }

    const struct paired last = { 50, 12, 2 };
    const double z2 = normal_quantile(0.975);

    assert_near(paired_upper(&last, z2), .344709, 6e-7);
    assert_near(paired_lower(&last, z2), .061112, 6e-7);
}

/* Testing a margin is the same as comparing the bound with it. */
static void
margin_is_bound(void **state)
{
    const double z = normal_quantile(0.95);

    (void)state;
    for (uint64_t b = 0; b < 40; b += 3)
        for (uint64_t c = 0; c < 40; c += 7)
            for (int m = 1; m < 10; m++) {
                const struct paired p = { 400, b, c };
                const double margin = m / 100.0;

                assert_int_equal(paired_score(&p, margin) <= -z,
                    paired_upper(&p, z) <= margin);
                assert_int_equal(paired_score(&p, margin) >= z,
                    paired_lower(&p, z) >= margin);
            }
}

/* Extremes give finite bounds inside [-1, 1], and no items show nothing. */
static void
extremes(void **state)
{
    static const struct paired rows[] = { { 1, 1, 0 }, { 1, 0, 1 },
        { 1, 0, 0 }, { 7, 7, 0 }, { 7, 0, 7 }, { 100000, 50000, 50000 } };
    const struct paired none = { 0, 0, 0 };
    const double z = normal_quantile(0.95);

    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        const double up = paired_upper(&rows[i], z);
        const double down = paired_lower(&rows[i], z);

        assert_true(up <= 1.0 && down >= -1.0 && down <= up);
        assert_true(paired_drop(&rows[i]) <= up + 1e-12);
        assert_true(paired_mcnemar(&rows[i]) > 0.0);
    }
    assert_near(paired_score(&none, 0.02), 0.0, 0.0);
    assert_near(paired_upper(&none, z), 1.0, 0.0);
    assert_near(paired_lower(&none, z), -1.0, 0.0);
    assert_near(paired_mcnemar(&none), 1.0, 1e-12);
}

/* Planned item numbers are those of the published table. */
static void
planned_items(void **state)
{
    static const struct {
        double flips, drop, margin, power;
        uint64_t n;
    } rows[] = {
        { .02, 0, .02, .8, 310 }, { .02, .005, .02, .8, 549 },
        { .02, .01, .02, .8, 1231 }, { .04, 0, .02, .8, 619 },
        { .04, .005, .02, .8, 1099 }, { .06, 0, .02, .8, 928 },
        { .08, 0, .02, .8, 1237 }, { .08, .005, .02, .8, 2198 },
        { .10, 0, .02, .8, 1546 }, { .10, .01, .02, .8, 6177 },
        { 0, 0, .02, .8, 133 }, { 0, 0, .05, .8, 52 },
        { .04, 0, .05, .95, 174 }, { .08, 0, .05, .95, 347 },
        { .10, 0, .05, .95, 433 }, { .15, 0, .05, .95, 650 },
    };
    const double za = normal_quantile(0.95);

    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        uint64_t n = paired_plan(rows[i].flips, rows[i].drop, rows[i].margin,
            za, normal_quantile(rows[i].power));

        assert_in_range(n, rows[i].n - 1, rows[i].n + 1);
    }

    const struct paired seen = { 1319, 52, 30 }, worse = { 1000, 40, 10 };
    const double zb = normal_quantile(0.8);

    assert_in_range(paired_need(&seen, 0.02, za, zb), 35000, 35150);
    assert_int_equal(paired_need(&worse, 0.02, za, zb), 0);
}

/* A flawless run passes a margin exactly from the item number planned for it. */
static void
flawless(void **state)
{
    const double z = normal_quantile(0.95);
    const struct paired enough = { 133, 0, 0 }, few = { 132, 0, 0 };

    (void)state;
    assert_true(paired_score(&enough, 0.02) <= -z);
    assert_false(paired_score(&few, 0.02) <= -z);
}

/* Holm's correction refuses in order of size and stops at the first kept. */
static void
step_down(void **state)
{
    const double p[] = { .01, .04, .03, .005 }, nan_p[] = { nan(""), .001 };
    unsigned char r[4];

    (void)state;
    holm(p, 4, .05, r);
    assert_int_equal(r[0], 1);
    assert_int_equal(r[1], 0);
    assert_int_equal(r[2], 0);
    assert_int_equal(r[3], 1);
    holm(nan_p, 2, .05, r);
    assert_int_equal(r[0], 0);
    assert_int_equal(r[1], 1);
    holm(p, 0, .05, r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles),
        cmocka_unit_test(reference),
        cmocka_unit_test(margin_is_bound),
        cmocka_unit_test(extremes),
        cmocka_unit_test(planned_items),
        cmocka_unit_test(flawless),
        cmocka_unit_test(step_down),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("judge/paired", tests, NULL, NULL);
}
