/* Interleaved rows: the same bytes reordered, the same products */
#include "kernels/interleave.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/act.h"
#include "kernels/cpu.h"
#include "kernels/encode.h"
#include "kernels/matmul.h"
#include "tests/kernels/lcg.h"

enum { ROWS = 72, COLS = 1024, ACTS = 11, LDY = ROWS + 3 };

static const char *const isas[] = { "ref", "avx2", "avx512", "neon" };
static float w[ROWS * COLS], x[ACTS * COLS];
static uint8_t packed[ROWS * COLS * 4], side[ROWS * COLS * 4];
static _Alignas(64) uint8_t act[ACTS * (COLS * 4 + 64)];
static float y[ACTS * LDY], z[ACTS * LDY];

static int
make_inputs(void **state)
{
    uint64_t s = 5;

    (void)state;
    lcg_weights(w, ROWS, COLS, 1);
    for (size_t i = 0; i < ACTS * COLS; i++)
        x[i] = lcg_bell(&s) * (i % 61 == 0 ? 30.0f : 1.0f);
    return 0;
}

static int
by_byte(const void *a, const void *b)
{
    return *(const uint8_t *)a - *(const uint8_t *)b;
}

/* Reordering moves the bytes of each group and changes none. */
static void
bytes_are_moved(void **state)
{
    (void)state;
    for (unsigned t = 0; t < QT_COUNT; t++) {
        size_t n = INTERLEAVE * qtype_row_bytes((enum qtype)t, 512);

        if (!interleave_has((enum qtype)t))
            continue;
        qtype_encode((enum qtype)t, packed, w, 16, 512, NULL);
        memset(side, 0x5a, 3 * n);
        interleave_rows(side, packed, (enum qtype)t, 0, 16, 512);
        assert_int_equal(side[2 * n], 0x5a);
        for (size_t g = 0; g < 2; g++) {
            qsort(side + g * n, n, 1, by_byte);
            qsort(packed + g * n, n, 1, by_byte);
        }
        assert_memory_equal(side, packed, 2 * n);
    }
}

/* One shape and type on the ISA in force against the rows in order. */
static void
same_product(enum qtype t, size_t cols, size_t r0, size_t r1, size_t n)
{
    qtype_encode(t, packed, w, ROWS, cols, NULL);
    act_encode(qtype_info(t)->act, act, x, ACTS, cols);
    interleave_rows(side, packed, t, 0, ROWS, cols);
    for (size_t i = 0; i < ACTS * LDY; i++)
        y[i] = z[i] = -777.0f;
    matmul_packed(z, LDY, packed, t, r0, r1, cols, act, n);
    matmul_interleaved(y, LDY, side, t, r0, r1, cols, act, n);
    assert_memory_equal(y, z, sizeof y);
}

/* Products have the bits of matmul_packed, any shape, wherever there are any. */
static void
products_are_the_same(void **state)
{
    static const size_t cols[] = { 1024, 256, 768, 32, 96, 288, 1, 7, 257 };
    static const size_t rows[] = { 8, 16, 24, 32, 40, 64, 72 };
    static const size_t acts[] = { 1, 2, 3, 4, 7, 11 };
    const char *was = cpu_isa();
    size_t compared = 0;

    (void)state;
    for (size_t k = 0; k < sizeof isas / sizeof *isas; k++)
        for (unsigned t = 0; t < QT_COUNT && cpu_force(isas[k]) == 0; t++)
            for (size_t i = 0; i < 63 && interleave_has((enum qtype)t); i++) {
                size_t c = cols[i % 9], r = rows[i / 9];

                if (qtype_row_bytes((enum qtype)t, c) == 0)
                    continue;
                same_product((enum qtype)t, c, i % 2 && r > 8 ? 8 : 0, r,
                    acts[i % 6]);
                compared++;
            }
    assert_true(compared > 100 || cpu_force("avx2") != 0);
    assert_int_equal(cpu_force(was), 0);
}

/* Codes at their limits overflow nothing on the way. */
static void
extreme_codes(void **state)
{
    static float peak[ACTS * 256];

    (void)state;
    for (size_t i = 0; i < ACTS * 256; i++)
        peak[i] = i / 256 % 2 ? -127.0f : 127.0f;
    for (unsigned t = QT_Q8_0; t < QT_COUNT; t++) {
        if (!interleave_has((enum qtype)t))
            continue;
        act_encode(qtype_info((enum qtype)t)->act, act, peak, ACTS, 256);
        for (unsigned byte = 0; byte < 256; byte += 5) {
            if ((byte & 0x7c) == 0x7c)
                continue; /* as float16 scales these are NaN or infinite */
            memset(packed, (int)byte, sizeof packed);
            interleave_rows(side, packed, (enum qtype)t, 0, ROWS, 256);
            for (size_t n = 1; n <= ACTS; n += 5) {
                matmul_packed(z, LDY, packed, (enum qtype)t, 0, ROWS, 256, act,
                    n);
                matmul_interleaved(y, LDY, side, (enum qtype)t, 0, ROWS, 256,
                    act, n);
                for (size_t a = 0; a < n; a++)
                    assert_memory_equal(y + a * LDY, z + a * LDY,
                        ROWS * sizeof *y);
            }
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_moved),
        cmocka_unit_test(products_are_the_same),
        cmocka_unit_test(extreme_codes),
    };

    return cmocka_run_group_tests_name("kernels/interleave", tests,
        make_inputs, NULL);
}
