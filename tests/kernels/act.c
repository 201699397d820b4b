/* Activations to 8 bits: ISA against ISA, and the codes themselves */
#include "kernels/act.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/act_layout.h"
#include "kernels/cpu.h"
#include "tests/kernels/lcg.h"

enum { ROWS = 8, COLS = 1024 };

static float x[ROWS * COLS];
static uint8_t a[ROWS * (COLS * 4 + 64)], b[ROWS * (COLS * 4 + 64)];

/* Sizes follow the layout; odd widths have none. */
static void
row_sizes(void **state)
{
    (void)state;
    assert_int_equal(act_row_bytes(ACT_F32, 3), 64);
    assert_int_equal(act_row_bytes(ACT_F32, 17), 128);
    assert_int_equal(act_row_bytes(ACT_Q8_0, 1024), 1024 + 256);
    assert_int_equal(act_row_bytes(ACT_Q8_1, 32), 64);
    assert_int_equal(act_row_bytes(ACT_Q8_K, 1024), 1024 + 16 + 128 + 64 + 48);
    assert_int_equal(act_row_bytes(ACT_Q8_0, 33), 0);
    assert_int_equal(act_row_bytes(ACT_Q8_K, 32), 0);
    assert_int_equal(act_row_bytes(ACT_Q8_K, 0), 0);
}

/* Every instruction set gives the bytes of the portable code. */
static void
same_on_every_isa(void **state)
{
    static const char *const isa[] = { "avx2", "avx512", "neon" };
    const char *was = cpu_isa();

    (void)state;
    for (uint64_t seed = 1; seed < 20; seed++) {
        lcg_weights(x, ROWS, COLS, seed);
        x[5] = 3e38f;
        x[700] = 1e-42f;
        for (size_t i = 2048; i < 2048 + 256; i++)
            x[i] = (float)((int)(i % 255) - 127) * 0.5f; /* ties */
        x[2048] = 127.0f;
        for (size_t k = 0; k < 3; k++) {
            for (unsigned t = 0; t < ACT_COUNT; t++) {
                size_t n = ROWS * act_row_bytes((enum act_type)t, COLS);

                memset(a, 1, sizeof a);
                memset(b, 2, sizeof b);
                cpu_force("ref");
                act_encode((enum act_type)t, a, x, ROWS, COLS);
                if (cpu_force(isa[k]) != 0)
                    continue;
                act_encode((enum act_type)t, b, x, ROWS, COLS);
                assert_memory_equal(a, b, n);
                assert_int_equal(b[n], 2);
            }
        }
    }
    assert_int_equal(cpu_force(was), 0);
}

/*
 * Codes, scales and scaled sums are those of ggml's reference quantizers.
 * Digests made by tests/interop/ggml_encode.py from libggml-base.so of npm
 * package @node-llama-cpp/linux-x64 3.22.1 (llama.cpp v0.5.0).
 */
static void
same_as_ggml(void **state)
{
    static const struct {
        enum act_type t;
        uint64_t digest;
    } vectors[] = {
#include "tests/kernels/act_vectors.h"
    };

    (void)state;
    lcg_weights(x, ROWS, COLS, 1);
    for (size_t k = 0; k < sizeof vectors / sizeof *vectors; k++) {
        enum act_type t = vectors[k].t;
        size_t bytes = act_row_bytes(t, COLS);
        size_t scales = t == ACT_Q8_K ? COLS / 256 * 4 : COLS / 32 * 4, n = 0;

        act_encode(t, a, x, ROWS, COLS);
        for (size_t r = 0; r < ROWS; r++, n += COLS)
            memcpy(b + n, a + r * bytes, COLS);
        for (size_t r = 0; r < ROWS; r++, n += scales)
            memcpy(b + n, a + r * bytes + act_off_d(COLS), scales);
        for (size_t r = 0; r < ROWS && t == ACT_Q8_1; r++, n += scales)
            memcpy(b + n, a + r * bytes + act_off_sum(COLS, 32), scales);
        assert_true(fnv1a(b, n) == vectors[k].digest);
    }
}

/* The largest value has code 127 or -127, halves go away from zero in Q8_0. */
static void
codes_of_known_values(void **state)
{
    int8_t q[256];
    float d;
    int32_t sum;
    int16_t s16;

    (void)state;
    memset(x, 0, sizeof x);
    x[0] = 127.0f;
    x[1] = 2.5f;
    x[2] = -2.5f;
    x[3] = 0.49999997f;
    x[31] = -1.0f;
    act_encode(ACT_Q8_0, a, x, 1, 32);
    memcpy(q, a, 32);
    memcpy(&d, a + act_off_d(32), 4);
    memcpy(&sum, a + act_off_sum(32, 32), 4);
    assert_true(d == 1.0f);
    assert_int_equal(q[0], 127);
    assert_int_equal(q[1], 3);
    assert_int_equal(q[2], -3);
    assert_int_equal(q[3], 0);
    assert_int_equal(q[31], -1);
    assert_int_equal(sum, 126);
    act_encode(ACT_Q8_K, a, x, 1, 256);
    memcpy(q, a, 256);
    memcpy(&d, a + act_off_d(256), 4);
    memcpy(&s16, a + act_off_sum(256, 256), 2);
    assert_true(d == -1.0f);
    assert_int_equal(q[0], -127);
    assert_int_equal(q[1], -2);
    assert_int_equal(q[2], 2);
    assert_int_equal(q[31], 1);
    assert_int_equal(s16, -127);
}

/* NaN and infinity give some codes, not a crash. */
static void
odd_values_are_survived(void **state)
{
    static const char *const isa[] = { "ref", "avx2", "avx512", "neon" };
    const char *was = cpu_isa();

    (void)state;
    for (size_t k = 0; k < 4; k++) {
        if (cpu_force(isa[k]) != 0)
            continue;
        for (unsigned t = 0; t < ACT_COUNT; t++) {
            const float odd[] = { NAN, INFINITY, -INFINITY, 3.4e38f };

            for (size_t i = 0; i < 4; i++) {
                lcg_weights(x, 1, 256, 5);
                x[i * 17] = odd[i];
                act_encode((enum act_type)t, a, x, 1, 256);
                for (size_t c = 0; c < 256 && t != ACT_F32; c++)
                    assert_true((int8_t)a[c] >= -127);
            }
        }
    }
    assert_int_equal(cpu_force(was), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(row_sizes),
        cmocka_unit_test(same_on_every_isa),
        cmocka_unit_test(same_as_ggml),
        cmocka_unit_test(codes_of_known_values),
        cmocka_unit_test(odd_values_are_survived),
    };

    if (!getenv("CMOCKA_MESSAGE_OUTPUT"))
        cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("kernels/act", tests, NULL, NULL);
}
