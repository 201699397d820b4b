#include "kernels/gemm.h"

#include <assert.h>

#include <cblas.h>

/*
 * Every call to OpenBLAS is for one tile of at most TILE_X rows of x and
 * GEMM_TILE rows of w, beginning at multiples of these. Its Haswell kernels
 * work on 12 x 8 outputs and sum the last rows of a call in another order (seen
 * in 0.3.21), so the bits of an output hang on the size of the call it is in.
 */
enum { TILE_X = 240 };

const char *
gemm_core_name(void)
{
    return openblas_get_corename();
}

const char *
gemm_version(void)
{
    return openblas_get_config();
}

gemm_fn *
gemm_ready(void)
{
    openblas_set_num_threads(1);
    return gemm_f32;
}

static size_t
tile_end(size_t i, size_t tile, size_t end)
{
    size_t next = (i / tile + 1) * tile;
    return next < end ? next : end;
}

void
gemm_f32(float *y, size_t ldy, const float *x, size_t ldx, size_t n,
    const float *w, size_t row0, size_t row1, size_t cols)
{
    assert(row0 % GEMM_TILE == 0);
    for (size_t r = row0, re; r < row1; r = re) {
        re = tile_end(r, GEMM_TILE, row1);
        for (size_t a = 0, ae; a < n; a = ae) {
            ae = tile_end(a, TILE_X, n);
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans,
                (blasint)(ae - a), (blasint)(re - r), (blasint)cols, 1.0f,
                x + a * ldx, (blasint)ldx, w + r * cols, (blasint)cols, 0.0f,
                y + a * ldy + r, (blasint)ldy);
        }
    }
}
