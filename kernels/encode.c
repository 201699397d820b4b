#include "kernels/encode.h"

#include <assert.h>
#include <float.h>
#include <stdint.h>

#include "kernels/measure.h"
#include "kernels/ops.h"

size_t
qtype_encode(enum qtype t, void *dst, const float *w, size_t rows, size_t cols,
    const float *importance)
{
    size_t bytes = qtype_row_bytes(t, cols);
    float limit = t == QT_F32 ? FLT_MAX : t == QT_BF16 ? 0x1.fep127f : 65504.0f;
    uint8_t *d = dst;

    assert(bytes > 0);
    for (size_t r = 0; r < rows; r++) {
        const float *x = w + r * cols;
        size_t bad = first_beyond_f32(x, cols, limit);

        if (bad < cols)
            return r * cols + bad;
        kernel_ops()->encode_row(t, d + r * bytes, x, cols, importance);
    }
    return rows * cols;
}
