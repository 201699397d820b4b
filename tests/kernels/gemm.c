/* OpenBLAS behind our tiles: near double sums, and the same bits any way */
#include "kernels/gemm.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/act.h"
#include "kernels/matmul.h"
#include "tests/kernels/lcg.h"

enum { ROWS = 300, ACTS = 270, COLS = 1200 };

static float w[ROWS * COLS], x[ACTS * COLS], y[ACTS * ROWS], z[ACTS * ROWS];

static int
make_inputs(void **state)
{
    uint64_t s = 2;

    (void)state;
    if (gemm_ready() != gemm_f32 || gemm_ready() != gemm_f32)
        return -1;
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

/* Sums differ from those of quern's own order by rounding only. */
static void
near_the_reproducible_product(void **state)
{
    float *act = malloc(5 * act_row_bytes(ACT_F32, COLS));

    (void)state;
    assert_non_null(act);
    print_message("# %s: %s\n", gemm_core_name(), gemm_version());
    act_encode(ACT_F32, act, x, 5, COLS);
    matmul_packed(z, ROWS, w, QT_F32, 0, ROWS, COLS, act, 5);
    gemm_f32(y, ROWS, x, COLS, 5, w, 0, ROWS, COLS);
    for (size_t i = 0; i < 5 * ROWS; i++)
        assert_true(fabsf(y[i] - z[i]) <= 2e-4f);
    free(act);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(near_double_products),
        cmocka_unit_test(splits_do_not_matter),
        cmocka_unit_test(near_the_reproducible_product),
    };

    if (!getenv("CMOCKA_MESSAGE_OUTPUT"))
        cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("kernels/gemm", tests, make_inputs,
        NULL);
}
