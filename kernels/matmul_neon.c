/* Products of packed weights on any 64-bit Arm; see matmul_neon.h */
#include "kernels/matmul_neon.h"

#if defined(__aarch64__)

void
matmul_neon(float *y, size_t ldy, const void *w, enum qtype t, size_t row0,
    size_t row1, size_t cols, const void *act, size_t n_act)
{
    if (qtype_info(t)->act == ACT_F32)
        matmul_float_neon(y, ldy, w, t, row0, row1, cols, act, n_act);
    else
        packed(y, ldy, w, t, row0, row1, cols, act, n_act);
}

#endif
