#include "kernels/matmul.h"

#include <assert.h>

#include "kernels/ops.h"

void
matmul_packed(float *y, size_t ldy, const void *w, enum qtype t, size_t row0,
    size_t row1, size_t cols, const void *act, size_t n_act)
{
    assert(qtype_row_bytes(t, cols) > 0 && cols <= (size_t)1 << 20);
    if (row0 < row1 && n_act > 0)
        kernel_ops()->matmul(y, ldy, w, t, row0, row1, cols, act, n_act);
}
