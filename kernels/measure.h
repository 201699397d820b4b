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

/*
 * add_squares_f32 - sums of squares of an error and of what it is an error of
 *
 *   *err += sum of (want[j] - got[j])^2 m[j]     *norm += sum of want[j]^2 m[j]
 *
 * Shapes   want, got and m are [n]; m may be NULL: 1.
 * Numbers  in double, each operation rounded on its own. Column j is summed in
 *          lane j % 4, the lanes are added in ascending order.
 */
void add_squares_f32(const float *want, const float *got, const double *m,
    size_t n, double *err, double *norm);

#endif
