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

struct squares
squares_of_lanes(const double e[4], const double w[4])
{
    return (struct squares){ ((e[0] + e[1]) + e[2]) + e[3],
        ((w[0] + w[1]) + w[2]) + w[3] };
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

void
row_squares_ref(struct squares *s, const float *want, const float *got,
    const double *m, size_t rows, size_t n)
{
    for (size_t r = 0; r < rows; r++) {
        double e[4] = { 0 }, w[4] = { 0 };

        add_squares_ref(want + r * n, got + r * n, m, n, e, w);
        s[r] = squares_of_lanes(e, w);
    }
}

size_t
first_beyond_f32(const float *x, size_t n, float limit)
{
    return kernel_ops()->first_beyond(x, n, limit);
}

void
row_squares_f32(struct squares *s, const float *want, const float *got,
    const double *m, size_t rows, size_t n)
{
    kernel_ops()->row_squares(s, want, got, m, rows, n);
}
