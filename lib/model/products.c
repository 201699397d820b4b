#include "lib/model/products.h"

#include <string.h>

int
products_choose(gemm_fn **blas, const char *reproducible, struct err *e)
{
    *blas = NULL;
    if (reproducible == NULL || strcmp(reproducible, "true") == 0)
        return 0;
    if (strcmp(reproducible, "false") != 0)
        return err_set(e, ERR_USAGE, "reproducible: '%.40s' is neither true "
            "nor false; write one of them", reproducible);
    *blas = gemm_ready();
    if (*blas == NULL)
        return err_set(e, ERR_WORK, "libopenblas.so.0: cannot be loaded, and "
            "'reproducible: false' asks for it; install libopenblas0 or leave "
            "'reproducible' out");
    return 0;
}
