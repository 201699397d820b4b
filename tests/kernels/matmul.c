/* Products of packed weights: against decoded weights, and ISA against ISA */
#include "kernels/matmul.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/act.h"
#include "kernels/cpu.h"
#include "kernels/decode.h"
#include "kernels/encode.h"
#include "tests/kernels/lcg.h"

enum { ROWS = 37, COLS = 1024, ACTS = 11, LDY = ROWS + 3 };

static float w[ROWS * COLS], x[ACTS * COLS];
static uint8_t packed[ROWS * COLS * 4 + 1];
static _Alignas(64) uint8_t act[ACTS * (COLS * 4 + 64)];
static float y[ACTS * LDY], z[ACTS * LDY];

static int
make_inputs(void **state)
{
    uint64_t s = 3;

    (void)state;
    lcg_weights(w, ROWS, COLS, 1);
    for (size_t i = 0; i < ACTS * COLS; i++)
        x[i] = lcg_bell(&s) * (i % 61 == 0 ? 30.0f : 1.0f);
    for (size_t i = 3 * COLS; i < 3 * COLS + 300; i++)
        x[i] = 0.0f; /* blocks without scale */
    return 0;
}

static void
fill(float *p)
{
    for (size_t i = 0; i < ACTS * LDY; i++)
        p[i] = -777.0f;
}

/* Packs what `cols` leaves room for; weights may then lie at odd addresses. */
static const void *
pack(enum qtype t, size_t cols)
{
    assert_int_equal(qtype_encode(t, packed + 1, w, ROWS, cols, NULL),
        ROWS * cols);
    act_encode(qtype_info(t)->act, act, x, ACTS, cols);
    return packed + 1;
}

/* Half a step of the activation codes in the block that column c lies in. */
static double
half_step(enum qtype t, const float *row, size_t c)
{
    size_t block = qtype_info(t)->act == ACT_Q8_K ? 256 : 32;
    double top = 0.0;

    for (size_t i = c / block * block; i < (c / block + 1) * block; i++)
        top = fmax(top, fabs((double)row[i]));
    return qtype_info(t)->act == ACT_F32 ? top * 1e-6 : top / 254.0;
}

/* Products are near those of the decoded weights with the exact activations. */
static void
near_exact_products(void **state)
{
    static float back[COLS];
    static double step[ACTS][COLS];

    (void)state;
    for (unsigned t = 0; t < QT_COUNT; t++) {
        const uint8_t *p = pack((enum qtype)t, COLS);
        size_t wb = qtype_row_bytes((enum qtype)t, COLS);

        for (size_t i = 0; i < ACTS * COLS; i++)
            step[i / COLS][i % COLS] = half_step((enum qtype)t,
                x + i / COLS * COLS, i % COLS);
        matmul_packed(y, LDY, p, (enum qtype)t, 0, ROWS, COLS, act, ACTS);
        for (size_t r = 0; r < ROWS; r++) {
            qtype_decode((enum qtype)t, back, p + r * wb, COLS);
            for (size_t a = 0; a < ACTS; a++) {
                double dot = 0.0, var = 0.0;

                for (size_t c = 0; c < COLS; c++) {
                    double e = (double)back[c] * step[a][c];

                    dot += (double)back[c] * (double)x[a * COLS + c];
                    var += e * e;
                }
                /* rounding errors are independent: 4 sigma, sigma e / 3 */
                double tol = 4.0 * sqrt(var / 3.0) + 1e-3 * fabs(dot);
                assert_true(fabs((double)y[a * LDY + r] - dot) <= tol);
            }
        }
    }
}

/* Every instruction set gives the bits of the portable code, any shape. */
static void
same_on_every_isa(void **state)
{
    static const char *const isa[] = { "avx2", "avx512", "neon",
        "neon-dot" };
    static const size_t cols[] = { 1024, 256, 768, 32, 64, 96, 288, 416, 1, 7,
        255, 257 };
    static const size_t rows[] = { 1, 7, 8, 9, 15, 16, 17, 37 };
    static const size_t acts[] = { 1, 2, 3, 4, 5, 6, 7, 11 };
    const char *was = cpu_isa();

    (void)state;
    for (size_t k = 0; k < sizeof isa / sizeof *isa; k++) {
        for (unsigned t = 0; t < QT_COUNT && cpu_force(isa[k]) == 0; t++) {
            for (size_t c = 0; c < sizeof cols / sizeof *cols; c++) {
                if (qtype_row_bytes((enum qtype)t, cols[c]) == 0)
                    continue;
                const void *p = pack((enum qtype)t, cols[c]);
                for (size_t i = 0; i < 8; i++) {
                    size_t n = acts[(i + c) % 8], r = rows[i], r0 = i % 3;

                    r0 = r0 < r ? r0 : 0;
                    fill(y);
                    fill(z);
                    cpu_force("ref");
                    matmul_packed(z, LDY, p, (enum qtype)t, r0, r, cols[c],
                        act, n);
                    cpu_force(isa[k]);
                    matmul_packed(y, LDY, p, (enum qtype)t, r0, r, cols[c],
                        act, n);
                    assert_memory_equal(y, z, sizeof y);
                }
            }
        }
    }
    assert_int_equal(cpu_force(was), 0);
}

/* Bits do not depend on how rows and activations are split over calls. */
static void
splits_do_not_matter(void **state)
{
    (void)state;
    for (unsigned t = 0; t < QT_COUNT; t++) {
        const void *p = pack((enum qtype)t, COLS);
        size_t ab = act_row_bytes(qtype_info((enum qtype)t)->act, COLS);

        fill(y);
        fill(z);
        matmul_packed(y, LDY, p, (enum qtype)t, 0, ROWS, COLS, act, ACTS);
        for (size_t r = 0, e; r < ROWS; r = e) {
            e = r + 1 + r % 5 < ROWS ? r + 1 + r % 5 : ROWS;
            for (size_t a = 0, b; a < ACTS; a = b) {
                b = a + 1 + r % 3 < ACTS ? a + 1 + r % 3 : ACTS;
                matmul_packed(z + a * LDY, LDY, p, (enum qtype)t, r, e, COLS,
                    act + a * ab, b - a);
            }
        }
        assert_memory_equal(y, z, sizeof y);
    }
}

/* Extreme codes on both sides do not overflow the narrow sums. */
static void
extreme_codes(void **state)
{
    static const char *const isa[] = { "avx2", "avx512", "neon",
        "neon-dot" };
    static float peak[ACTS * 256];
    const char *was = cpu_isa();

    (void)state;
    for (size_t i = 0; i < ACTS * 256; i++)
        peak[i] = i / 256 % 2 ? -127.0f : 127.0f;
    for (unsigned t = QT_Q8_0; t < QT_COUNT; t++) {
        size_t wb = qtype_row_bytes((enum qtype)t, 256);

        act_encode(qtype_info((enum qtype)t)->act, act, peak, ACTS, 256);
        for (unsigned byte = 0; byte < 256; byte += 15) {
            if ((byte & 0x7c) == 0x7c)
                continue; /* as float16 scales these are NaN or infinite */
            memset(packed, (int)byte, ROWS * wb);
            for (size_t k = 0; k < sizeof isa / sizeof *isa; k++) {
                fill(y);
                fill(z);
                cpu_force("ref");
                matmul_packed(z, LDY, packed, (enum qtype)t, 0, ROWS, 256, act,
                    ACTS);
                if (cpu_force(isa[k]) != 0)
                    continue;
                matmul_packed(y, LDY, packed, (enum qtype)t, 0, ROWS, 256, act,
                    ACTS);
                assert_memory_equal(y, z, sizeof y);
            }
        }
        /* all codes 255 with a sound scale */
        memset(packed, 255, ROWS * wb);
        for (size_t b = 0; b < ROWS * wb / qtype_info((enum qtype)t)->bytes;
             b++) {
            uint8_t *q = packed + b * qtype_info((enum qtype)t)->bytes;
            size_t at = t == QT_Q2_K ? 80 : t == QT_Q3_K ? 108
                : t == QT_Q6_K ? 208 : 0;

            q[at] = q[at + 2] = 0;
            q[at + 1] = 0x3c;
            if (t == QT_Q4_1 || t == QT_Q5_1 || t == QT_Q4_K || t == QT_Q5_K ||
                t == QT_Q2_K)
                q[at + 3] = 0x38;
        }
        for (size_t k = 0; k < sizeof isa / sizeof *isa; k++) {
            fill(y);
            fill(z);
            cpu_force("ref");
            matmul_packed(z, LDY, packed, (enum qtype)t, 0, ROWS, 256, act,
                ACTS);
            if (cpu_force(isa[k]) != 0)
                continue;
            matmul_packed(y, LDY, packed, (enum qtype)t, 0, ROWS, 256, act,
                ACTS);
            assert_memory_equal(y, z, sizeof y);
        }
    }
    assert_int_equal(cpu_force(was), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(near_exact_products),
        cmocka_unit_test(same_on_every_isa),
        cmocka_unit_test(splits_do_not_matter),
        cmocka_unit_test(extreme_codes),
    };

    if (!getenv("CMOCKA_MESSAGE_OUTPUT"))
        cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("kernels/matmul", tests, make_inputs,
        NULL);
}
