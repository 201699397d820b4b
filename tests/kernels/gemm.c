/* OpenBLAS behind our tiles: near double sums, and the same bits any way */
#include "kernels/gemm.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/kernels/lcg.h"

enum { ROWS = 300, ACTS = 270, COLS = 1200 };

static float w[ROWS * COLS], x[ACTS * COLS], y[ACTS * ROWS], z[ACTS * ROWS];

static int
make_inputs(void **state)
{
    uint64_t s = 2;

    (void)state;
    gemm_init();
    for (size_t i = 0; i < ROWS * COLS; i++)
        w[i] = lcg_bell(&s);
    for (size_t i = 0; i < ACTS * COLS; i++)
        x[i] = lcg_bell(&s);
    return 0;
}

/* Products are those of double arithmetic to float accuracy. */
static void
near_double_products(void **state)
{
    (void)state;
    gemm_f32(y, ROWS, x, COLS, 7, w, 0, 20, COLS);
    for (size_t a = 0; a < 7; a++) {
        for (size_t r = 0; r < 20; r++) {
            double dot = 0.0;

            for (size_t c = 0; c < COLS; c++)
                dot += (double)x[a * COLS + c] * (double)w[r * COLS + c];
            assert_true(fabs((double)y[a * ROWS + r] - dot) <= 1e-4);
        }
    }
}

/* Bits do not depend on how rows are split over calls. */
static void
splits_do_not_matter(void **state)
{
    static const size_t cols[] = { 1200, 512, 384, 100, 33 };
    static const size_t acts[] = { 1, 5, 12, 100, 270 };

    (void)state;
    for (size_t k = 0; k < 25; k++) {
        size_t c = cols[k / 5], n = acts[k % 5];

        for (size_t i = 0; i < ACTS * ROWS; i++)
            y[i] = z[i] = -1.0f;
        gemm_f32(y, ROWS, x, COLS, n, w, 0, ROWS, c);
        for (size_t r = 0, e, step = 1; r < ROWS; r = e, step++) {
            e = r + step * GEMM_TILE < ROWS ? r + step * GEMM_TILE : ROWS;
            gemm_f32(z, ROWS, x, COLS, n, w, r, e, c);
        }
        assert_memory_equal(y, z, sizeof y);
    }
}

/* The core in force is the one that was asked for, and has a name. */
static void
core_is_pinned(void **state)
{
    (void)state;
    print_message("# %s: %s\n", gemm_core_name(), gemm_version());
    assert_string_equal(gemm_core_name(), gemm_pinned_core());
    assert_string_equal(getenv("OPENBLAS_CORETYPE"), gemm_pinned_core());
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(near_double_products),
        cmocka_unit_test(splits_do_not_matter),
        cmocka_unit_test(core_is_pinned),
    };

    (void)argc;
    if (gemm_pin(argv) != 0)
        return 1;
    if (!getenv("CMOCKA_MESSAGE_OUTPUT"))
        cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("kernels/gemm", tests, make_inputs,
        NULL);
}
