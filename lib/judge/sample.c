#include "lib/judge/sample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/judge/normal.h"

double
sample_mean(const double *x, size_t n)
{
    double sum = 0.0;

    for (size_t i = 0; i < n; i++)
        sum += x[i];
    return n ? sum / (double)n : (double)NAN;
}

double
sample_stddev(const double *x, size_t n)
{
    const double mean = sample_mean(x, n);
    double sum = 0.0;

    for (size_t i = 0; i < n; i++)
        sum += (x[i] - mean) * (x[i] - mean);
    return n < 2 ? 0.0 : sqrt(sum / (double)(n - 1));
}

static int
by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* A sorted copy; caller frees. */
static double *
sorted(const double *x, size_t n)
{
    double *s = mem_calloc(n, sizeof *s);

    if (n)
        memcpy(s, x, n * sizeof *s);
    qsort(s, n, sizeof *s, by_value);
    return s;
}

static double
percentile_sorted(const double *s, size_t n, double p)
{
    const double at = p * (double)(n - 1);
    const size_t i = (size_t)floor(at);

    if (i + 1 >= n)
        return s[n - 1];
    return s[i] + (at - (double)i) * (s[i + 1] - s[i]);
}

double
sample_percentile(const double *x, size_t n, double p)
{
    if (n == 0)
        return (double)NAN;

    double *s = sorted(x, n);
    const double v = percentile_sorted(s, n, p);

    free(s);
    return v;
}

double
sample_median(const double *x, size_t n)
{
    return sample_percentile(x, n, 0.5);
}

struct ratio
sample_ratio(const double *x, size_t m, const double *y, size_t n)
{
    const double none = (double)NAN;
    struct ratio r = { none, none, none };
    const size_t pairs = m * n;
    double *d;

    for (size_t i = 0; i < m; i++)
        if (!(x[i] > 0.0))
            return r;
    for (size_t j = 0; j < n; j++)
        if (!(y[j] > 0.0))
            return r;
    if (pairs == 0)
        return r;

    d = mem_calloc(pairs, sizeof *d);
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++)
            d[i * n + j] = log(x[i]) - log(y[j]);
    qsort(d, pairs, sizeof *d, by_value);

    const double mn = (double)pairs;
    const double z = normal_quantile(0.975);
    const double rank =
        floor(mn / 2.0 - z * sqrt(mn * (double)(m + n + 1) / 12.0));
    const size_t k = rank < 1.0 ? 1 : (size_t)rank;

    r.value = exp(percentile_sorted(d, pairs, 0.5));
    r.lower = exp(d[k - 1]);
    r.upper = exp(d[pairs - k]);
    free(d);
    return r;
}

double
sample_mean_upper(const double *x, size_t n, double alpha)
{
    if (n < 2)
        return HUGE_VAL;
    return sample_mean(x, n) + student_quantile(1.0 - alpha, (double)(n - 1)) *
        sample_stddev(x, n) / sqrt((double)n);
}
