#include "kernels/measure.h"

#include <math.h>

#include "kernels/ops.h"

size_t
first_beyond_ref(const float *x, size_t n, float limit)
{
    size_t i = 0;

    /* sixteen at a time; NaN fails the comparison */
    for (; i + 16 <= n; i += 16) {
        int ok = 1;
        for (size_t j = i; j < i + 16; j++)
            ok &= fabsf(x[j]) <= limit;
        if (!ok)
            break;
    }
    while (i < n && fabsf(x[i]) <= limit)
        i++;
    return i;
}

static inline void
add_square(float want, float got, double m, double *err, double *norm)
{
    double x = (double)want, d = x - (double)got;

    *err += d * d * m;
    *norm += x * x * m;
}

void
add_squares_ref(const float *want, const float *got, const double *m, size_t n,
    double err[4], double norm[4])
{
    size_t j = 0;

    for (; j + 4 <= n; j += 4)
        for (size_t l = 0; l < 4; l++)
            add_square(want[j + l], got[j + l], m == NULL ? 1 : m[j + l],
                &err[l], &norm[l]);
    for (; j < n; j++)
        add_square(want[j], got[j], m == NULL ? 1 : m[j], &err[j % 4],
            &norm[j % 4]);
}

size_t
first_beyond_f32(const float *x, size_t n, float limit)
{
    return kernel_ops()->first_beyond(x, n, limit);
}

void
add_squares_f32(const float *want, const float *got, const double *m, size_t n,
    double *err, double *norm)
{
    double e[4] = { 0 }, w[4] = { 0 };

    kernel_ops()->add_squares(want, got, m, n, e, w);
    *err += ((e[0] + e[1]) + e[2]) + e[3];
    *norm += ((w[0] + w[1]) + w[2]) + w[3];
}
