/*
 * measure.h - what is looked at in a row of weights beside its values
 *
 * Same bits on every ISA. Nothing allocates.
 */
#ifndef QUERN_KERNELS_MEASURE_H
#define QUERN_KERNELS_MEASURE_H

#include <stddef.h>

/*
 * first_beyond_f32 - index of the first x[i] that is NaN or larger in magnitude
 * than `limit`; n if there is none. A limit of FLT_MAX finds what is not finite.
 */
size_t first_beyond_f32(const float *x, size_t n, float limit);

struct squares {
    double err, norm;
};

/*
 * row_squares_f32 - sums of squares of errors and of what they are errors of
 *
 *   s[r].err  = sum over j of (want[r][j] - got[r][j])^2 m[j]
 *   s[r].norm = sum over j of want[r][j]^2 m[j]
 *
 * Shapes   want and got are [rows][n], dense; m is [n] or NULL: 1; s is [rows].
 * Numbers  in double, each operation rounded on its own. Column j is summed in
 *          lane j % 4, the lanes are added in ascending order.
 */
void row_squares_f32(struct squares *s, const float *want, const float *got,
    const double *m, size_t rows, size_t n);

#endif
