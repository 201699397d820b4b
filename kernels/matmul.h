/*
 * matmul.h - products of packed weights with activations
 */
#ifndef QUERN_KERNELS_MATMUL_H
#define QUERN_KERNELS_MATMUL_H

#include <stddef.h>

#include "kernels/qtype.h"

/*
 * matmul_packed - y[a * ldy + r] = sum over c of w[r][c] * x[a][c]
 *
 * Shapes   w is the whole matrix, dense rows of qtype_row_bytes(t, cols) bytes;
 *          only rows [row0, row1) are read. act is [n_act] rows made by
 *          act_encode(qtype_info(t)->act, ..) with the same cols. y is indexed
 *          by the absolute row r, ldy >= row1 floats from one activation to
 *          the next; y outside [row0, row1) is not touched.
 * Needs    cols a multiple of the block of t, cols <= 2^20, no overlap, act
 *          aligned for float. Scratch is on the stack (under 192 KiB).
 * Speed    best when row1 - row0 is a multiple of 16 (and row0 too, to keep
 *          threads off each other's lines) and n_act of 4; 64 rows or more for
 *          each call. n_act = 1 (one token) runs at the speed of memory.
 * Numbers  integer parts are exact. Every output is its own chain over blocks
 *          in ascending order, so its bits do not depend on the ISA, on n_act
 *          or on how rows are split over calls:
 *            types of 32:  s = fma((float)isum, dw * da, s), and for Q4_1 and
 *                          Q5_1 then s = fma(m, sa, s)
 *            types of 256: s = fma((float)isum, dw * da, s), and for Q2_K,
 *                          Q4_K, Q5_K then s = fma((float)msum, -dmin * da, s)
 *            F32, F16, BF16: p = chain of fma(w, x, p) over 256 columns from
 *                          0, then s = s + p
 *          where isum (msum) is the exact sum of scale * code * activation
 *          code (min * activation code) over the block.
 * Twins    every ISA returns the same bytes: tests/kernels/matmul.c
 */
void matmul_packed(float *y, size_t ldy, const void *w, enum qtype t,
    size_t row0, size_t row1, size_t cols, const void *act, size_t n_act);

#endif
