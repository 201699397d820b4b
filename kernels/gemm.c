#include "kernels/gemm.h"

#include <assert.h>
#include <dlfcn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cblas.h>

/*
 * Every call to OpenBLAS is for one tile of at most TILE_X rows of x and
 * GEMM_TILE rows of w, beginning at multiples of these. Its Haswell kernels
 * work on 12 x 8 outputs and sum the last rows of a call in another order (seen
 * in 0.3.21), so the bits of an output hang on the size of the call it is in.
 */
enum { TILE_X = 240 };

/*
 * Loaded when it is asked for and never before: its start takes threads and
 * tens of megabytes, and where those cannot be had it waits for ever (seen in
 * 0.3.21).
 */
static struct {
    __typeof__(&cblas_sgemm) sgemm;
    __typeof__(&openblas_get_corename) core;
    __typeof__(&openblas_get_config) config;
    __typeof__(&openblas_set_num_threads) set_threads;
} blas;

const char *
gemm_core_name(void)
{
    return blas.sgemm != NULL ? blas.core() : "none";
}

const char *
gemm_version(void)
{
    return blas.sgemm != NULL ? blas.config() : "none";
}

/* POSIX lets an object pointer of dlsym stand for a function's, C does not. */
static bool
find(void *library, const char *name, void *function)
{
    void *at = dlsym(library, name);

    memcpy(function, &at, sizeof at);
    return at != NULL;
}

gemm_fn *
gemm_ready(void)
{
    const char *asked = getenv("OPENBLAS_NUM_THREADS");
    void *library;

    if (blas.sgemm != NULL)
        return gemm_f32;
    /* before it makes threads that nobody needs */
    if (asked == NULL)
        setenv("OPENBLAS_NUM_THREADS", "1", 1);
    library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    if (asked == NULL)
        unsetenv("OPENBLAS_NUM_THREADS");
    if (library == NULL)
        return NULL;
    if (!find(library, "openblas_get_corename", &blas.core) ||
        !find(library, "openblas_get_config", &blas.config) ||
        !find(library, "openblas_set_num_threads", &blas.set_threads) ||
        !find(library, "cblas_sgemm", &blas.sgemm)) {
        blas.sgemm = NULL;
        dlclose(library);
        return NULL;
    }
    blas.set_threads(1);
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
    assert(blas.sgemm != NULL && row0 % GEMM_TILE == 0);
    for (size_t r = row0, re; r < row1; r = re) {
        re = tile_end(r, GEMM_TILE, row1);
        for (size_t a = 0, ae; a < n; a = ae) {
            ae = tile_end(a, TILE_X, n);
            blas.sgemm(CblasRowMajor, CblasNoTrans, CblasTrans,
                (blasint)(ae - a), (blasint)(re - r), (blasint)cols, 1.0f,
                x + a * ldx, (blasint)ldx, w + r * cols, (blasint)cols, 0.0f,
                y + a * ldy + r, (blasint)ldy);
        }
    }
}
