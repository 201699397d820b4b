/*
 * paired.h - how much worse is a candidate on the same items, with bounds
 *
 * n items were answered by both models; b of them only the baseline got right,
 * c only the candidate. The drop is d = (b - c) / n: positive is worse. Bounds
 * are Tango's score interval for paired proportions (Statistics in Medicine 17,
 * 1998), which keeps its error rate at the sizes and flip rates met here, where
 * Wald's interval and the bootstrap let twice as many bad candidates pass.
 *
 * All bounds are one-sided: `z` is normal_quantile(1 - alpha).
 */
#ifndef QUERN_JUDGE_PAIRED_H
#define QUERN_JUDGE_PAIRED_H

#include <stddef.h>
#include <stdint.h>

struct paired {
    uint64_t n; /* items both models answered */
    uint64_t b; /* baseline right, candidate wrong */
    uint64_t c; /* baseline wrong, candidate right */
};

double paired_drop(const struct paired *p);  /* (b - c) / n; 0 for n == 0 */
double paired_flips(const struct paired *p); /* (b + c) / n; 0 for n == 0 */

/*
 * paired_score - Tango's statistic at a true drop of D, -1 < D < 1
 *
 *   T(D) = (b - c - n D) / sqrt(n (2 q + D (1 - D)))
 *   q    = (sqrt(B B - 4 A C) - B) / (2 A)
 *   A = 2 n,  B = -b - c + (2 n - b + c) D,  C = -c D (1 - D)
 *
 * It falls as D grows. A drop below m is shown when T(m) <= -z, a drop above m
 * when T(m) >= z. Returns 0 for n == 0: nothing is shown by no items.
 */
double paired_score(const struct paired *p, double drop);

/* The drop is below (above) this with confidence 1 - alpha; in [-1, 1]. */
double paired_upper(const struct paired *p, double z);
double paired_lower(const struct paired *p, double z);

/* McNemar's exact two-sided p value: are the models different at all? */
double paired_mcnemar(const struct paired *p);

/*
 * paired_need - items at which a margin would be shown with power 1 - beta
 *
 *   n = (z_alpha + z_beta)^2 (psi - d^2) / (m - d)^2,  psi = (b+c+1)/(n+2)
 *
 * Returns 0 when d >= m: more items will not help. Never less than what a
 * flawless run needs, z^2 (1 - m) / m.
 */
uint64_t paired_need(const struct paired *p, double margin, double z_alpha,
    double z_beta);
/* The same for a planned flip rate and drop. */
uint64_t paired_plan(double flips, double drop, double margin, double z_alpha,
    double z_beta);

/*
 * holm - Holm's step-down correction of k p values
 * reject[i] becomes 1 for the hypotheses refused at family error `alpha`, else
 * 0. A NaN among the p values is never refused.
 */
void holm(const double *p, size_t k, double alpha, unsigned char *reject);

#endif
