/*
 * gemm.h - float32 products through OpenBLAS
 *
 * The only file that sees CBLAS. OpenBLAS sums in another order on another core
 * type and for another number of rows, so what must have the same bits
 * everywhere is multiplied by matmul.h; this is for those who gave that up
 * (`reproducible: false`). It runs single-threaded on fixed tiles; callers share
 * out rows themselves.
 */
#ifndef QUERN_KERNELS_GEMM_H
#define QUERN_KERNELS_GEMM_H

#include <stddef.h>

/* The core type in force, as OpenBLAS names it; "none" where it is not loaded. */
const char *gemm_core_name(void);
/* Version and build line: "OpenBLAS 0.3.21 NO_LAPACKE ..", or "none". */
const char *gemm_version(void);

/* Rows of w that go through OpenBLAS at a time. */
enum { GEMM_TILE = 64 };

/*
 * gemm_f32 - y[a * ldy + r] = sum over c of x[a][c] * w[r][c]
 *
 * Shapes   x [n][cols], ldx >= cols floats apart; w [..][cols] dense, rows
 *          [row0, row1) are read; y indexed by the absolute row r, ldy >= row1.
 *          y outside [row0, row1) is not touched.
 * Needs    row0 a multiple of GEMM_TILE, and row1 too unless it is the last row
 *          of w; no overlap; all sizes below 2^31. May be called from many
 *          threads at once on different rows.
 * Numbers  given the core type: bits do not depend on threads or on how rows
 *          are split over calls (tests/kernels/gemm.c). They may depend on n
 *          and on the place of a row of x among the n: products whose bits
 *          must not are matmul_packed's with QT_F32, in quern's own order.
 */
typedef void gemm_fn(float *y, size_t ldy, const float *x, size_t ldx,
    size_t n, const float *w, size_t row0, size_t row1, size_t cols);
gemm_fn gemm_f32;

/*
 * gemm_ready - gemm_f32, with OpenBLAS loaded and set to one thread
 * NULL where it is not installed. To be called once, before threads; what
 * multiplies takes gemm_f32 from here, as a pointer.
 */
gemm_fn *gemm_ready(void);

#endif
