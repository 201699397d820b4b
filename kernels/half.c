#include "kernels/half.h"

#include "kernels/block.h"
#include "kernels/ops.h"
#include "kernels/vec_ref.h"

void
f16_to_f32_row(float *dst, const void *src, size_t n)
{
    kernel_ops()->f16_row(dst, src, n);
}

void
f16_to_f32_row_ref(float *dst, const void *src, size_t n)
{
    const uint8_t *s = src;

    for (size_t i = 0; i < n; i++)
        dst[i] = f16_to_f32(block_u16(s + 2 * i));
}

void
bf16_to_f32_row(float *dst, const void *src, size_t n)
{
    const uint8_t *s = src;

    for (size_t i = 0; i < n; i++)
        dst[i] = bf16_to_f32(block_u16(s + 2 * i));
}

void
f16_from_f32_row(void *dst, const float *src, size_t n)
{
    uint8_t *d = dst;

    for (size_t i = 0; i < n; i++)
        block_put_u16(d + 2 * i, f16_from_f32(src[i]));
}

void
bf16_from_f32_row(void *dst, const float *src, size_t n)
{
    uint8_t *d = dst;

    for (size_t i = 0; i < n; i++)
        block_put_u16(d + 2 * i, bf16_from_f32(src[i]));
}
