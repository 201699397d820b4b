/*
 * Encoders against llama.cpp and against themselves
 *
 * The digests below are of the bytes that ggml_quantize_chunk makes of the same
 * seeded inputs (lcg.h): libggml-base.so of npm package
 * @node-llama-cpp/linux-x64 3.22.1, which is llama.cpp v0.5.0 built for plain
 * x86-64. Made and checked by tests/interop/ggml_encode.py.
 */
#include "kernels/encode.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/cpu.h"
#include "kernels/decode.h"
#include "kernels/encode_row.h"
#include "tests/kernels/lcg.h"

enum { ROWS = 8, COLS = 1024, WEIGHTS = ROWS * COLS };

struct vector {
    const char *type;
    uint64_t plain, weighted; /* fnv1a of the bytes, without and with h */
};

static const struct vector vectors[] = {
#include "tests/kernels/encode_vectors.h"
};

static float w[WEIGHTS], h[COLS], zero[COLS];
static uint8_t out[WEIGHTS * 4], ref[WEIGHTS * 4];
static float back[WEIGHTS];

static int
make_inputs(void **state)
{
    (void)state;
    lcg_weights(w, ROWS, COLS, 1);
    lcg_importance(h, COLS, 2);
    return 0;
}

static uint64_t
digest(enum qtype t, const float *importance)
{
    size_t n = ROWS * qtype_row_bytes(t, COLS);

    memset(out, 0xa5, sizeof out);
    assert_int_equal(qtype_encode(t, out, w, ROWS, COLS, importance), WEIGHTS);
    for (size_t i = n; i < sizeof out; i++)
        assert_int_equal(out[i], 0xa5);
    return fnv1a(out, n);
}

/* Every type gives the bytes llama.cpp gives, without and with importance. */
static void
same_as_llama(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        enum qtype t;

        assert_int_equal(qtype_from_name(vectors[i].type, &t), 0);
        print_message("# %s\n", vectors[i].type);
        assert_true(digest(t, NULL) == vectors[i].plain);
        assert_true(digest(t, h) == vectors[i].weighted);
    }
}

/* Every instruction set gives the bytes of the portable encoders. */
static void
same_on_every_isa(void **state)
{
    static const char *const isa[] = { "ref", "avx2", "avx512", "neon" };
    const char *was = cpu_isa();

    (void)state;
    for (size_t k = 0; k < 4; k++) {
        if (cpu_force(isa[k]) != 0)
            continue;
        for (unsigned t = 0; t < QT_COUNT; t++) {
            size_t n = qtype_row_bytes((enum qtype)t, COLS);
            const float *imp[] = { NULL, h, zero };

            for (size_t j = 0; j < 3; j++) {
                digest((enum qtype)t, imp[j]);
                for (size_t r = 0; r < ROWS; r++)
                    encode_row_ref((enum qtype)t, ref + r * n, w + r * COLS,
                        COLS, imp[j]);
                assert_memory_equal(out, ref, ROWS * n);
            }
        }
    }
    assert_int_equal(cpu_force(was), 0);
}

/* Rows do not depend on each other: one at a time gives the same bytes. */
static void
rows_alone(void **state)
{
    (void)state;
    for (unsigned t = 0; t < QT_COUNT; t++) {
        size_t n = qtype_row_bytes((enum qtype)t, COLS);

        for (size_t r = 0; r < ROWS; r++)
            qtype_encode((enum qtype)t, ref + r * n, w + r * COLS, 1, COLS, h);
        digest((enum qtype)t, h);
        assert_memory_equal(out, ref, ROWS * n);
    }
}

/* What is decoded lies as near to the weights as the type promises. */
static void
error_is_bounded(void **state)
{
    static const struct {
        enum qtype t;
        float rel; /* of the root mean square, for plain bell weights */
    } bound[] = {
        { QT_F32, 0.0f }, { QT_F16, 4e-4f }, { QT_BF16, 3e-3f },
        { QT_Q8_0, 0.006f }, { QT_Q6_K, 0.02f }, { QT_Q5_K, 0.04f },
        { QT_Q5_1, 0.04f }, { QT_Q5_0, 0.05f }, { QT_Q4_K, 0.08f },
        { QT_Q4_1, 0.08f }, { QT_IQ4_NL, 0.09f }, { QT_IQ4_XS, 0.09f },
        { QT_Q4_0, 0.1f }, { QT_Q3_K, 0.17f }, { QT_Q2_K, 0.3f },
    };

    (void)state;
    for (size_t k = 0; k < sizeof bound / sizeof *bound; k++) {
        double err = 0.0, all = 0.0;

        qtype_encode(bound[k].t, out, w, 1, COLS, NULL);
        qtype_decode(bound[k].t, back, out, COLS);
        for (size_t i = 0; i < COLS; i++) {
            double e = (double)back[i] - (double)w[i];
            err += e * e;
            all += (double)w[i] * (double)w[i];
        }
        double rel = sqrt(err / all);
        print_message("# %s %.5f\n", qtype_info(bound[k].t)->name, rel);
        assert_true(rel <= (double)bound[k].rel);
        assert_true(bound[k].t == QT_F32 || rel > 0.0);
    }
}

/* The index of the first NaN, infinity or too large weight is returned. */
static void
refuses_what_cannot_be_stored(void **state)
{
    static float x[3 * 256];

    (void)state;
    for (unsigned t = 0; t < QT_COUNT; t++) {
        const float bad[] = { NAN, INFINITY, -INFINITY, 65520.0f, -1e6f };
        size_t kinds = t == QT_F32 || t == QT_BF16 ? 3 : 5;

        for (size_t k = 0; k < kinds; k++) {
            static const size_t place[] = { 0, 15, 16, 255, 256, 300, 767 };

            for (size_t j = 0; j < sizeof place / sizeof *place; j++) {
                memset(x, 0, sizeof x);
                x[place[j]] = bad[k];
                x[767] = bad[k];
                assert_int_equal(
                    qtype_encode((enum qtype)t, out, x, 3, 256, NULL),
                    place[j]);
            }
        }
        memset(x, 0, sizeof x);
        x[5] = 65504.0f;
        x[6] = -65504.0f;
        assert_int_equal(qtype_encode((enum qtype)t, out, x, 3, 256, NULL),
            768);
        qtype_decode((enum qtype)t, back, out, 768);
        for (size_t i = 0; i < 768; i++)
            assert_true(fabsf(back[i]) <= 1e5f);
    }
}

/* Weights of no size at all, subnormals included, decode to finite numbers. */
static void
tiny_weights(void **state)
{
    static float x[256];

    (void)state;
    for (unsigned t = 0; t < QT_COUNT; t++) {
        for (int e = -149; e < -10; e++) {
            for (size_t i = 0; i < 256; i++)
                x[i] = ldexpf((float)((int)(i * 37 % 17) - 8), e);
            for (int k = 0; k < 2; k++) {
                const float *imp = k ? h : NULL;

                assert_int_equal(
                    qtype_encode((enum qtype)t, out, x, 1, 256, imp), 256);
                qtype_decode((enum qtype)t, back, out, 256);
                for (size_t i = 0; i < 256; i++)
                    assert_true(fabsf(back[i]) <= 64.0f * ldexpf(1.0f, e) +
                            1e-4f);
            }
        }
    }
}

/* Zeros of either sign, and the largest on both sides, whichever comes first. */
static void
ties_and_zeros(void **state)
{
    static const char *const isa[] = { "ref", "avx2", "avx512", "neon" };
    static float x[256];
    const char *was = cpu_isa();

    (void)state;
    for (size_t i = 0; i < 256; i++) {
        x[i] = i % 32 == i / 32 * 3 ? -2.0f : i % 32 == 31 - i / 32 ? 2.0f :
            (float)(i % 5) * 0.3f;
        if (i >= 192)
            x[i] = i % 3 == 0 ? -0.0f : 0.0f;
    }
    for (unsigned t = 0; t < QT_COUNT; t++) {
        size_t n = qtype_row_bytes((enum qtype)t, 256);

        encode_row_ref((enum qtype)t, ref, x, 256, NULL);
        for (size_t k = 0; k < 4; k++) {
            if (cpu_force(isa[k]) != 0)
                continue;
            qtype_encode((enum qtype)t, out, x, 1, 256, NULL);
            assert_memory_equal(out, ref, n);
        }
    }
    assert_int_equal(cpu_force(was), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_as_llama),
        cmocka_unit_test(same_on_every_isa),
        cmocka_unit_test(rows_alone),
        cmocka_unit_test(error_is_bounded),
        cmocka_unit_test(refuses_what_cannot_be_stored),
        cmocka_unit_test(tiny_weights),
        cmocka_unit_test(ties_and_zeros),
    };

    if (!getenv("CMOCKA_MESSAGE_OUTPUT"))
        cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("kernels/encode", tests, make_inputs,
        NULL);
}
