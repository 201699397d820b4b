#include "kernels/encode_row.h"

#include <string.h>

#include "kernels/half.h"

static void
encode_f32(uint8_t *dst, const float *w, size_t cols, const float *h)
{
    (void)h;
    memcpy(dst, w, cols * sizeof *w);
}

static void
encode_f16(uint8_t *dst, const float *w, size_t cols, const float *h)
{
    (void)h;
    f16_from_f32_row(dst, w, cols);
}

static void
encode_bf16(uint8_t *dst, const float *w, size_t cols, const float *h)
{
    (void)h;
    bf16_from_f32_row(dst, w, cols);
}

typedef void encode_row_fn(uint8_t *dst, const float *w, size_t cols,
    const float *h);

static encode_row_fn *const rows_ref[QT_COUNT] = {
    [QT_F32] = encode_f32,
    [QT_F16] = encode_f16,
    [QT_BF16] = encode_bf16,
    [QT_Q8_0] = encode_q8_0_ref,
    [QT_Q4_0] = encode_q4_0_ref,
    [QT_Q4_1] = encode_q4_1_ref,
    [QT_Q5_0] = encode_q5_0_ref,
    [QT_Q5_1] = encode_q5_1_ref,
    [QT_Q2_K] = encode_q2_k_ref,
    [QT_Q3_K] = encode_q3_k_ref,
    [QT_Q4_K] = encode_q4_k_ref,
    [QT_Q5_K] = encode_q5_k_ref,
    [QT_Q6_K] = encode_q6_k_ref,
    [QT_IQ4_NL] = encode_iq4_nl_ref,
    [QT_IQ4_XS] = encode_iq4_xs_ref,
};

void
encode_row_ref(enum qtype t, uint8_t *dst, const float *w, size_t cols,
    const float *h)
{
    rows_ref[t](dst, w, cols, h);
}
