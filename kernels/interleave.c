#include "kernels/interleave.h"

#include <assert.h>
#include <string.h>

#include "kernels/block.h"
#include "kernels/ops.h"

enum { FIELDS = 2 + 16 * 3 };

/* Bytes [at, at + bytes) of a block, reordered by `unit` bytes. */
struct field {
    unsigned at, bytes, unit;
};

/* Columns 4k .. 4k + 3 of each 32 of half n. */
#define Q6_K_AT(n, k) { Q6_K_QL + 64 * (n) + 4 * (k), 4, 4 }, \
        { Q6_K_QL + 64 * (n) + 32 + 4 * (k), 4, 4 }, \
        { Q6_K_QH + 32 * (n) + 4 * (k), 4, 4 }
#define Q6_K_FOUR(n, k) Q6_K_AT(n, k), Q6_K_AT(n, (k) + 1), \
        Q6_K_AT(n, (k) + 2), Q6_K_AT(n, (k) + 3)
#define Q6_K_HALF(n) Q6_K_FOUR(n, 0), Q6_K_FOUR(n, 4)

static const struct field layout[QT_COUNT][FIELDS] = {
    [QT_F32] = { { 0, 4, 4 } },
    [QT_F16] = { { 0, 2, 2 } },
    [QT_BF16] = { { 0, 2, 2 } },
    [QT_Q8_0] = { { Q8_0_D, 2, 2 }, { Q8_0_QS, 32, 4 } },
    [QT_Q4_0] = { { Q4_0_D, 2, 2 }, { Q4_0_QS, 16, 4 } },
    [QT_Q4_K] = { { Q4_K_D, 4, 2 }, { Q4_K_SC, 12, 4 }, { Q4_K_QS, 128, 4 } },
    [QT_Q6_K] = { { Q6_K_D, 2, 2 }, { Q6_K_SC, 16, 4 }, Q6_K_HALF(0),
        Q6_K_HALF(1) },
};
#undef Q6_K_HALF
#undef Q6_K_FOUR
#undef Q6_K_AT

bool
interleave_has(enum qtype t)
{
    return kernel_ops()->interleaved && layout[t][0].unit > 0;
}

/* One field of a block: dst in order, src one row's field after `stride`. */
static uint8_t *
put_field(uint8_t *dst, const uint8_t *src, size_t stride,
    const struct field *f)
{
    for (size_t at = 0; at < f->bytes; at += f->unit)
        for (size_t r = 0; r < INTERLEAVE; r++, dst += f->unit)
            if (f->unit == 4)
                memcpy(dst, src + r * stride + f->at + at, 4);
            else
                memcpy(dst, src + r * stride + f->at + at, 2);
    return dst;
}

void
interleave_rows(void *dst, const void *src, enum qtype t, size_t row0,
    size_t row1, size_t cols)
{
    const struct field *fields = layout[t];
    size_t row = qtype_row_bytes(t, cols), bytes = qtype_info(t)->bytes;

    assert(row0 % INTERLEAVE == 0 && row1 % INTERLEAVE == 0);
    for (size_t r = row0; r < row1; r += INTERLEAVE) {
        const uint8_t *from = (const uint8_t *)src + r * row;
        uint8_t *to = (uint8_t *)dst + r * row;

        for (size_t b = 0; b < row; b += bytes)
            for (size_t i = 0; i < FIELDS && fields[i].unit > 0; i++)
                to = put_field(to, from + b, row, &fields[i]);
    }
}

void
matmul_interleaved(float *y, size_t ldy, const void *w, enum qtype t,
    size_t row0, size_t row1, size_t cols, const void *act, size_t n_act)
{
    assert(interleave_has(t) && row0 % INTERLEAVE == 0 &&
        row1 % INTERLEAVE == 0);
    if (row0 < row1 && n_act > 0)
        kernel_ops()->interleaved(y, ldy, w, t, row0, row1, cols, act, n_act);
}
