#include "lib/judge/sample.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void
assert_near(double got, double want, double tol)
{
    if (!(fabs(got - want) <= tol))
        fail_msg("got %.9g, want %.9g", got, want);
}

/* Mean, deviation, median and percentiles are those of the textbook. */
static void
summaries(void **state)
{
    const double x[] = { 4, 1, 3, 2 };

    (void)state;
    assert_near(sample_mean(x, 4), 2.5, 0);
    assert_near(sample_stddev(x, 4), 1.2909944487358056, 1e-15);
    assert_near(sample_median(x, 4), 2.5, 0);
    assert_near(sample_percentile(x, 4, 0.0), 1, 0);
    assert_near(sample_percentile(x, 4, 1.0), 4, 0);
    assert_near(sample_percentile(x, 4, 0.99), 3.97, 1e-12);
    assert_true(isnan(sample_mean(x, 0)) && isnan(sample_median(x, 0)));
    assert_near(sample_stddev(x, 1), 0, 0);
}

/* The ratio of a sample and its double is 2, and the interval holds it. */
static void
doubled(void **state)
{
    const double y[] = { 10, 11, 9, 10.5, 9.5, 10.2 };
    double x[6];

    (void)state;
    for (int i = 0; i < 6; i++)
        x[i] = 2 * y[i];

    const struct ratio r = sample_ratio(x, 6, y, 6);

    assert_near(r.value, 2.0, 1e-12);
    assert_true(r.lower < 2.0 && r.upper > 2.0);
    assert_near(r.lower * r.upper, 4.0, 1e-9); /* symmetric on logs */
}

/* For six against six runs the interval ends at ranks 5 and 32 of 36. */
static void
ranks(void **state)
{
    double x[6], y[6], d[36];
    size_t n = 0;

    (void)state;
    for (int i = 0; i < 6; i++) {
        x[i] = exp(0.1 * i);
        y[i] = exp(0.01 * i);
    }
    for (int i = 0; i < 6; i++)
        for (int j = 5; j >= 0; j--)
            d[n++] = 0.1 * i - 0.01 * j; /* ascending as it stands */

    const struct ratio r = sample_ratio(x, 6, y, 6);

    /* floor(18 - 1.96 * sqrt(36 * 13 / 12)) = 5 */
    assert_near(log(r.lower), d[4], 1e-12);
    assert_near(log(r.upper), d[31], 1e-12);
    assert_near(log(r.value), (d[17] + d[18]) / 2, 1e-12);
}

/* One run in six that is ten times slower barely moves the ratio. */
static void
robust(void **state)
{
    const double x[] = { 20, 20, 20, 20, 20, 2 };
    const double y[] = { 10, 10, 10, 10, 10, 10 };

    (void)state;
    assert_near(sample_ratio(x, 6, y, 6).value, 2.0, 1e-12);
}

/* Zero, negative or missing figures give no ratio rather than a wrong one. */
static void
refused(void **state)
{
    const double x[] = { 1, 0 }, y[] = { 1, 2 }, bad[] = { 1, nan("") };

    (void)state;
    assert_true(isnan(sample_ratio(x, 2, y, 2).value));
    assert_true(isnan(sample_ratio(y, 2, x, 2).lower));
    assert_true(isnan(sample_ratio(y, 2, bad, 2).upper));
    assert_true(isnan(sample_ratio(y, 0, y, 2).value));
}

/* The bound on a mean is Student's. */
static void
mean_bound(void **state)
{
    const double x[] = { 1, 2, 3, 4, 5 };

    (void)state;
    assert_near(sample_mean_upper(x, 5, 0.05),
        3 + 2.131846786 * sqrt(2.5) / sqrt(5), 1e-7);
    assert_true(isinf(sample_mean_upper(x, 1, 0.05)));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(summaries),
        cmocka_unit_test(doubled),
        cmocka_unit_test(ranks),
        cmocka_unit_test(robust),
        cmocka_unit_test(refused),
        cmocka_unit_test(mean_bound),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("judge/sample", tests, NULL, NULL);
}
