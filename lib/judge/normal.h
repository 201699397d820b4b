/*
 * normal.h - tails and quantiles of the normal and Student's t distribution
 */
#ifndef QUERN_JUDGE_NORMAL_H
#define QUERN_JUDGE_NORMAL_H

/* P(Z > z) */
double normal_tail(double z);
/* z with P(Z <= z) = p, 0 < p < 1, by bisection to the last bit or so */
double normal_quantile(double p);
/* P(T > t) and t with P(T <= t) = p, for `df` >= 1 degrees of freedom */
double student_tail(double t, double df);
double student_quantile(double p, double df);

#endif
