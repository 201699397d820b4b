/* The type table and the 16-bit floats */
#include "kernels/qtype.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/half.h"

/* Names and GGUF numbers lead back to the type, and are all different. */
static void
names_and_numbers(void **state)
{
    enum qtype t;

    (void)state;
    for (unsigned i = 0; i < QT_COUNT; i++) {
        const struct qtype_info *q = qtype_info((enum qtype)i);

        assert_int_equal(qtype_from_name(q->name, &t), 0);
        assert_int_equal(t, i);
        assert_int_equal(qtype_from_ggml(q->ggml_id, &t), 0);
        assert_int_equal(t, i);
    }
    assert_int_equal(qtype_from_name("q4_0", &t), -1);
    assert_int_equal(qtype_from_name("", &t), -1);
    assert_int_equal(qtype_from_ggml(4, &t), -1); /* Q4_2, long gone */
    assert_int_equal(qtype_from_ggml(UINT32_MAX, &t), -1);
}

/* A row has whole blocks or no size at all. */
static void
row_sizes(void **state)
{
    (void)state;
    assert_int_equal(qtype_row_bytes(QT_F32, 3), 12);
    assert_int_equal(qtype_row_bytes(QT_Q8_0, 64), 68);
    assert_int_equal(qtype_row_bytes(QT_Q8_0, 33), 0);
    assert_int_equal(qtype_row_bytes(QT_Q6_K, 512), 420);
    assert_int_equal(qtype_row_bytes(QT_Q6_K, 128), 0);
    assert_int_equal(qtype_row_bytes(QT_Q6_K, 0), 0);
    assert_int_equal(qtype_row_bytes(QT_F32, SIZE_MAX / 2), 0);
}

/* Every float16 survives the way through float32; NaN stays NaN. */
static void
f16_round_trip(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        float f = f16_to_f32((uint16_t)h);

        if ((h & 0x7fff) > 0x7c00)
            assert_true(isnan(f) && isnan(f16_to_f32(f16_from_f32(f))));
        else
            assert_int_equal(f16_from_f32(f), h);
    }
}

/* Between two neighbours the nearer wins, and the even one on a tie. */
static void
f16_rounds_to_nearest_even(void **state)
{
    (void)state;
    for (uint16_t h = 0; h < 0x7bff; h++) {
        float a = f16_to_f32(h), b = f16_to_f32((uint16_t)(h + 1));
        float mid = (a + b) / 2.0f; /* exact */

        assert_int_equal(f16_from_f32(mid), h + (h & 1));
        assert_int_equal(f16_from_f32(nextafterf(mid, 0.0f)), h);
        assert_int_equal(f16_from_f32(nextafterf(mid, 1e9f)), h + 1);
        assert_int_equal(f16_from_f32(-mid), 0x8000 | (h + (h & 1)));
    }
    assert_int_equal(f16_from_f32(65519.996f), 0x7bff);
    assert_int_equal(f16_from_f32(65520.0f), 0x7c00);
    assert_int_equal(f16_from_f32(-INFINITY), 0xfc00);
}

/* bfloat16 likewise. */
static void
bf16_rounds_to_nearest_even(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        float f = bf16_to_f32((uint16_t)h);

        if (isnan(f))
            assert_true(isnan(bf16_to_f32(bf16_from_f32(f))));
        else
            assert_int_equal(bf16_from_f32(f), h);
    }
    assert_int_equal(bf16_from_f32(f32_from_bits(0x3f808000)), 0x3f80);
    assert_int_equal(bf16_from_f32(f32_from_bits(0x3f818000)), 0x3f82);
    assert_int_equal(bf16_from_f32(f32_from_bits(0x3f808001)), 0x3f81);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_numbers),
        cmocka_unit_test(row_sizes),
        cmocka_unit_test(f16_round_trip),
        cmocka_unit_test(f16_rounds_to_nearest_even),
        cmocka_unit_test(bf16_rounds_to_nearest_even),
    };

    if (!getenv("CMOCKA_MESSAGE_OUTPUT"))
        cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("kernels/qtype", tests, NULL, NULL);
}
