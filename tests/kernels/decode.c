/*
 * Decoders against the known answers of the GGUF block formats: a block filled
 * with bytes (7 k + 3) & 255, then d = 1 and m or dmin = 0.5. The answers come
 * from ggml's own decoder and from the gguf Python package, which agree.
 */
#include "kernels/decode.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/block.h"
#include "kernels/encode.h"
#include "tests/kernels/lcg.h"

struct answer {
    enum qtype t;
    int d, m; /* offsets of d and of m or dmin; -1 none */
    int at[8];
    float y[8];
    float sum;
};

static const struct answer answers[] = {
    { QT_Q8_0, 0, -1, { 0, 1, 16, 17, 31 }, { 17, 24, -127, -120, -22 }, -80 },
    { QT_Q4_0, 0, -1, { 0, 1, 16, 17, 31 }, { -7, 0, -7, -7, -1 }, -74 },
    { QT_Q4_1, 0, 2, { 0, 1, 16, 17, 31 }, { 15.5f, 6.5f, 1.5f, 2.5f, 8.5f },
        212 },
    { QT_Q5_0, 0, -1, { 0, 1, 16, 17, 31 }, { 13, -12, 2, 3, -7 }, -110 },
    { QT_Q5_1, 0, 2, { 0, 1, 16, 17, 31 },
        { 27.5f, 18.5f, 19.5f, 4.5f, 10.5f }, 480 },
    { QT_IQ4_NL, 0, -1, { 0, 1, 16, 17, 31 }, { -104, 1, -104, -104, -10 },
        -969 },
    { QT_Q2_K, 80, 82, { 0, 1, 31, 32, 100, 129, 200, 255 },
        { 9, 6, 0, -0.5f, 25, 20.5f, -2.5f, -3 }, 2588 },
    { QT_Q3_K, 108, -1, { 0, 1, 31, 32, 100, 129, 200, 255 },
        { 57, -38, -40, -0.0f, 39, 12, -27, 58 }, -2112 },
    { QT_Q4_K, 0, 2, { 0, 1, 31, 32, 100, 129, 200, 255 },
        { 63.5f, 280.5f, 342.5f, 265, 304, 67.5f, 44, 157 }, 48352 },
    { QT_Q5_K, 0, 2, { 0, 1, 31, 32, 100, 129, 200, 255 },
        { 559.5f, 280.5f, 342.5f, 797, 1032, 179.5f, 44, 133 }, 100992 },
    { QT_Q6_K, 208, -1, { 0, 1, 31, 32, 100, 129, 200, 255 },
        { 1273, 670, -1480, -2349, 1635, 1230, 105, 2100 }, -31104 },
    { QT_IQ4_XS, 0, -1, { 0, 1, 31, 32, 100, 129, 200, 255 },
        { -38, 83, -25, -1178, 300, 1577, 780, -1102 }, 4227 },
};

static void
fill_block(const struct answer *a, uint8_t *b)
{
    for (unsigned k = 0; k < qtype_info(a->t)->bytes; k++)
        b[k] = (uint8_t)(7 * k + 3);
    block_put_f16(b + a->d, 1.0f);
    if (a->m >= 0)
        block_put_f16(b + a->m, 0.5f);
}

/* Every type decodes the known block to the known numbers. */
static void
known_answers(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof answers / sizeof *answers; k++) {
        const struct answer *a = &answers[k];
        const struct qtype_info *q = qtype_info(a->t);
        uint8_t b[256];
        float y[256], sum = 0.0f;

        fill_block(a, b);
        qtype_decode(a->t, y, b, q->block);
        for (int j = 0; j < (q->block == 32 ? 5 : 8); j++)
            assert_int_equal(f32_bits(y[a->at[j]]), f32_bits(a->y[j]));
        for (unsigned i = 0; i < q->block; i++)
            sum += y[i];
        assert_true(sum == a->sum);
    }
}

/* Blocks follow each other, and w may have any alignment. */
static void
many_blocks_unaligned(void **state)
{
    static uint8_t mem[4 * 256 + 8];
    static float one[256], all[4 * 256];

    (void)state;
    for (size_t k = 0; k < sizeof answers / sizeof *answers; k++) {
        const struct answer *a = &answers[k];
        const struct qtype_info *q = qtype_info(a->t);

        for (unsigned i = 0; i < 4; i++) {
            fill_block(a, mem + 1 + i * q->bytes);
            mem[1 + i * q->bytes + 5] ^= (uint8_t)i;
        }
        qtype_decode(a->t, all, mem + 1, 4 * q->block);
        for (unsigned i = 0; i < 4; i++) {
            qtype_decode(a->t, one, mem + 1 + i * q->bytes, q->block);
            assert_memory_equal(one, all + i * q->block,
                q->block * sizeof *one);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),
        cmocka_unit_test(many_blocks_unaligned),
    };

    if (!getenv("CMOCKA_MESSAGE_OUTPUT"))
        cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("kernels/decode", tests, NULL, NULL);
}
