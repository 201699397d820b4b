#include "lib/judge/paired.h"

#include <math.h>
#include <string.h>

double
paired_drop(const struct paired *p)
{
    return p->n ? ((double)p->b - (double)p->c) / (double)p->n : 0.0;
}

double
paired_flips(const struct paired *p)
{
    return p->n ? ((double)p->b + (double)p->c) / (double)p->n : 0.0;
}

double
paired_score(const struct paired *p, double drop)
{
    const double n = (double)p->n, b = (double)p->b, c = (double)p->c;

    if (p->n == 0)
        return 0.0;

    const double qa = 2.0 * n;
    const double qb = -b - c + (2.0 * n - b + c) * drop;
    const double qc = -c * drop * (1.0 - drop);
    const double under = fmax(qb * qb - 4.0 * qa * qc, 0.0);
    const double q = (sqrt(under) - qb) / (2.0 * qa);
    const double var = n * (2.0 * q + drop * (1.0 - drop));
    const double top = b - c - n * drop;

    if (var > 0.0)
        return top / sqrt(var);
    return top > 0.0 ? HUGE_VAL : top < 0.0 ? -HUGE_VAL : 0.0;
}

double
paired_upper(const struct paired *p, double z)
{
    double low = paired_drop(p), high = 1.0;

    if (p->n == 0)
        return 1.0;
    for (int i = 0; i < 200; i++) {
        double mid = 0.5 * (low + high);

        if (paired_score(p, mid) > -z)
            low = mid;
        else
            high = mid;
    }
    return 0.5 * (low + high);
}

double
paired_lower(const struct paired *p, double z)
{
    const struct paired swapped = { .n = p->n, .b = p->c, .c = p->b };

    return -paired_upper(&swapped, z);
}

double
paired_mcnemar(const struct paired *p)
{
    const uint64_t k = p->b + p->c, least = p->b < p->c ? p->b : p->c;
    double sum = 0.0;
    int sign;

    for (uint64_t i = 0; i <= least; i++)
        sum += exp(lgamma_r((double)k + 1.0, &sign) -
            lgamma_r((double)i + 1.0, &sign) -
            lgamma_r((double)(k - i) + 1.0, &sign) - (double)k * log(2.0));
    return fmin(1.0, 2.0 * sum);
}

uint64_t
paired_plan(double flips, double drop, double margin, double z_alpha,
    double z_beta)
{
    if (!(drop < margin))
        return 0;

    const double z = z_alpha + z_beta, gap = margin - drop;
    const double least = ceil(z_alpha * z_alpha * (1.0 - margin) / margin);
    const double n = ceil(z * z * (flips - drop * drop) / (gap * gap));
    const double need = fmax(least, n);

    return need < 1e15 ? (uint64_t)need : 0;
}

uint64_t
paired_need(const struct paired *p, double margin, double z_alpha,
    double z_beta)
{
    const double flips =
        ((double)p->b + (double)p->c + 1.0) / ((double)p->n + 2.0);

    return paired_plan(flips, paired_drop(p), margin, z_alpha, z_beta);
}

void
holm(const double *p, size_t k, double alpha, unsigned char *reject)
{
    memset(reject, 0, k);
    for (size_t done = 0; done < k; done++) {
        size_t best = k;

        for (size_t i = 0; i < k; i++)
            if (!reject[i] && !isnan(p[i]) && (best == k || p[i] < p[best]))
                best = i;
        if (best == k || !(p[best] <= alpha / (double)(k - done)))
            return;
        reject[best] = 1;
    }
}
