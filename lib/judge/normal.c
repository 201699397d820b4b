#include "lib/judge/normal.h"

#include <math.h>

double
normal_tail(double z)
{
    return 0.5 * erfc(z / sqrt(2.0));
}

double
normal_quantile(double p)
{
    double low = -40.0, high = 40.0;

    for (int i = 0; i < 100; i++) {
        double mid = 0.5 * (low + high);

        if (normal_tail(mid) > 1.0 - p)
            low = mid;
        else
            high = mid;
    }
    return 0.5 * (low + high);
}

/* ln Gamma without lgamma's hidden global sign. */
static double
log_gamma(double x)
{
    int sign;
    return lgamma_r(x, &sign);
}

/*
 * Continued fraction of the incomplete beta function by Lentz's method
 * (Numerical Recipes, betacf): converges fast for x < (a + 1) / (a + b + 2).
 */
static double
beta_fraction(double a, double b, double x)
{
    const double tiny = 1e-300;
    double c = 1.0, d = 1.0 - (a + b) * x / (a + 1.0), h;

    d = 1.0 / (fabs(d) < tiny ? tiny : d);
    h = d;
    for (int m = 1; m <= 500; m++) {
        double even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m));
        double odd = -(a + m) * (a + b + m) * x /
            ((a + 2 * m) * (a + 2 * m + 1.0));

        d = 1.0 + even * d;
        c = 1.0 + even / c;
        d = 1.0 / (fabs(d) < tiny ? tiny : d);
        c = fabs(c) < tiny ? tiny : c;
        h *= d * c;
        d = 1.0 + odd * d;
        c = 1.0 + odd / c;
        d = 1.0 / (fabs(d) < tiny ? tiny : d);
        c = fabs(c) < tiny ? tiny : c;
        h *= d * c;
        if (fabs(d * c - 1.0) < 1e-15)
            break;
    }
    return h;
}

/* Regularized incomplete beta I_x(a, b). */
static double
beta_inc(double a, double b, double x)
{
    if (x <= 0.0)
        return 0.0;
    if (x >= 1.0)
        return 1.0;

    double front = exp(log_gamma(a + b) - log_gamma(a) - log_gamma(b) +
        a * log(x) + b * log1p(-x));

    if (x < (a + 1.0) / (a + b + 2.0))
        return front * beta_fraction(a, b, x) / a;
    return 1.0 - front * beta_fraction(b, a, 1.0 - x) / b;
}

double
student_tail(double t, double df)
{
    double half = 0.5 * beta_inc(df / 2.0, 0.5, df / (df + t * t));

    return t >= 0.0 ? half : 1.0 - half;
}

double
student_quantile(double p, double df)
{
    double low = -1e6, high = 1e6;

    for (int i = 0; i < 200; i++) {
        double mid = 0.5 * (low + high);

        if (student_tail(mid, df) > 1.0 - p)
            low = mid;
        else
            high = mid;
    }
    return 0.5 * (low + high);
}
