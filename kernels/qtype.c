#include "kernels/qtype.h"

#include <assert.h>
#include <string.h>

static const struct qtype_info table[QT_COUNT] = {
    /* name, ggml id, block, bytes, activations, file type */
    [QT_F32] = { "F32", 0, 1, 4, ACT_F32, 0 },
    [QT_F16] = { "F16", 1, 1, 2, ACT_F32, 1 },
    [QT_BF16] = { "BF16", 30, 1, 2, ACT_F32, 32 },
    [QT_Q8_0] = { "Q8_0", 8, 32, 34, ACT_Q8_0, 7 },
    [QT_Q4_0] = { "Q4_0", 2, 32, 18, ACT_Q8_0, 2 },
    [QT_Q4_1] = { "Q4_1", 3, 32, 20, ACT_Q8_1, 3 },
    [QT_Q5_0] = { "Q5_0", 6, 32, 22, ACT_Q8_0, 8 },
    [QT_Q5_1] = { "Q5_1", 7, 32, 24, ACT_Q8_1, 9 },
    [QT_Q2_K] = { "Q2_K", 10, 256, 84, ACT_Q8_K, 10 },
    [QT_Q3_K] = { "Q3_K", 11, 256, 110, ACT_Q8_K, 11 },
    [QT_Q4_K] = { "Q4_K", 12, 256, 144, ACT_Q8_K, 14 },
    [QT_Q5_K] = { "Q5_K", 13, 256, 176, ACT_Q8_K, 16 },
    [QT_Q6_K] = { "Q6_K", 14, 256, 210, ACT_Q8_K, 18 },
    [QT_IQ4_NL] = { "IQ4_NL", 20, 32, 18, ACT_Q8_0, 25 },
    [QT_IQ4_XS] = { "IQ4_XS", 23, 256, 136, ACT_Q8_K, 30 },
};

const struct qtype_info *
qtype_info(enum qtype t)
{
    assert((unsigned)t < QT_COUNT);
    return &table[t];
}

int
qtype_from_name(const char *name, enum qtype *t)
{
    for (unsigned i = 0; i < QT_COUNT; i++) {
        if (strcmp(name, table[i].name) == 0) {
            *t = (enum qtype)i;
            return 0;
        }
    }
    return -1;
}

int
qtype_from_ggml(uint32_t id, enum qtype *t)
{
    for (unsigned i = 0; i < QT_COUNT; i++) {
        if (table[i].ggml_id == id) {
            *t = (enum qtype)i;
            return 0;
        }
    }
    return -1;
}

size_t
qtype_row_bytes(enum qtype t, size_t cols)
{
    const struct qtype_info *q = qtype_info(t);

    if (cols == 0 || cols % q->block != 0 ||
        cols / q->block > SIZE_MAX / q->bytes)
        return 0;
    return cols / q->block * q->bytes;
}
