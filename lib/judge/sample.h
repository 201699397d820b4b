/*
 * sample.h - summaries of measured numbers and the ratio of two samples
 */
#ifndef QUERN_JUDGE_SAMPLE_H
#define QUERN_JUDGE_SAMPLE_H

#include <stddef.h>

double sample_mean(const double *x, size_t n);   /* NAN for n == 0 */
double sample_stddev(const double *x, size_t n); /* n - 1; 0 for n < 2 */
/* Linear interpolation between order statistics, 0 <= p <= 1; NAN for n == 0 */
double sample_percentile(const double *x, size_t n, double p);
double sample_median(const double *x, size_t n);

struct ratio {
    double value, lower, upper; /* of x / y; 95 % two-sided */
};

/*
 * sample_ratio - how many times larger are the x than the y?
 *
 * Hodges-Lehmann on logs: the median of ln x_i - ln y_j over all pairs; the
 * interval are the sorted differences at ranks K and mn + 1 - K,
 * K = floor(mn/2 - 1.96 sqrt(mn (m + n + 1) / 12)), at least 1. One slow run
 * cannot move it far. All numbers must be above zero; else all three are NAN.
 */
struct ratio sample_ratio(const double *x, size_t m, const double *y,
    size_t n);

/*
 * sample_mean_upper - bound that the true mean is below with confidence
 * 1 - alpha, by Student's t: mean + t(n - 1) s / sqrt(n). INFINITY for n < 2.
 */
double sample_mean_upper(const double *x, size_t n, double alpha);

#endif
