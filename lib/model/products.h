/*
 * products.h - who multiplies floats: quern, with the same bits everywhere, or
 * OpenBLAS
 */
#ifndef QUERN_MODEL_PRODUCTS_H
#define QUERN_MODEL_PRODUCTS_H

#include "kernels/gemm.h"
#include "lib/base/err.h"

/*
 * products_choose - what the parameter `reproducible` asks for
 * "true" or NULL (not said): *blas is NULL, quern's own products. "false":
 * OpenBLAS's, whose bits may differ elsewhere. Errors: another value (usage),
 * OpenBLAS asked for and not installed. To be called before threads.
 */
int products_choose(gemm_fn **blas, const char *reproducible, struct err *e);

#endif
