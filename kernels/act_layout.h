/*
 * act_layout.h - what lies inside a row of encoded activations (private)
 *
 *   F32   float x[cols]
 *   Q8_0  int8 q[cols], float d[cols / 32], int32 sum[cols / 32]
 *   Q8_1  int8 q[cols], float d[cols / 32], float s[cols / 32]
 *   Q8_K  int8 q[cols], float d[cols / 256], int16 sum16[cols / 16],
 *         int16 sum32[cols / 32]
 *
 * sum, sum16, sum32: sums of codes over 32, 16, 32 of them. s: float16 rounding
 * of (unrounded d) * sum. Codes are in [-127, 127]: kernels count on it.
 */
#ifndef QUERN_KERNELS_ACT_LAYOUT_H
#define QUERN_KERNELS_ACT_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

/* Rows with smaller largest magnitude are zeros: scales would be subnormal. */
#define ACT_TINY 1e-30f

static inline size_t
act_off_d(size_t cols)
{
    return cols;
}

static inline size_t
act_off_sum(size_t cols, size_t block)
{
    return cols + cols / block * 4;
}

static inline size_t
act_off_sum32(size_t cols)
{
    return act_off_sum(cols, 256) + cols / 16 * 2;
}

#endif
