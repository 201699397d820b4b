/* Vector operations: against double arithmetic, and ISA against ISA */
#include "kernels/vec.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/cpu.h"
#include "kernels/half.h"
#include "tests/kernels/lcg.h"

enum { N = 300 };

static const char *const isas[] = { "ref", "avx2", "avx512", "neon" };
static const size_t sizes[] = { 1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33,
    63, 64, 65, 127, 128, 255, 256, 257, 300 };
static float a[N + 1], b[N + 1], c[N + 1];

static int
make_inputs(void **state)
{
    uint64_t s = 9;

    (void)state;
    for (size_t i = 0; i <= N; i++) {
        a[i] = lcg_bell(&s) * 4.0f;
        b[i] = lcg_bell(&s);
        c[i] = lcg_bell(&s) * 0.1f + 1.0f;
    }
    a[17] = -0.0f;
    b[40] = 1e-30f;
    a[40] = -1e-30f; /* a product below the smallest float */
    return 0;
}

/* Results of every operation on n values one float off alignment, in `out`. */
static size_t
all_operations(float *out, size_t n)
{
    float *o = out;
    size_t half = n / 2;

    *o++ = dot_f32(a + 1, b + 1, n);
    *o++ = sum_f32(a + 1, n);
    *o++ = max_f32(a + 1, n);
    memcpy(o, c + 1, n * sizeof *o);
    axpy_f32(o, 0.3f, a + 1, n), o += n;
    add_f32(o, a + 1, b + 1, n), o += n;
    mul_f32(o, a + 1, b + 1, n), o += n;
    scale_f32(o, 1.7f, a + 1, n), o += n;
    scale_f32(o, 25.0f, a + 1, n);
    exp_f32_row(o, o, n), o += n;
    rmsnorm_f32(o, a + 1, c + 1, n, 1e-5f), o += n;
    memcpy(o, a + 1, n * sizeof *o);
    softmax_f32(o, n), o += n;
    silu_mul_f32(o, a + 1, b + 1, n), o += n;
    gelu_tanh_mul_f32(o, a + 1, b + 1, n), o += n;
    memcpy(o, a + 1, n * sizeof *o);
    rope_half_f32(o, 1, 2 * half, b + 1, c + 1), o += n;
    memcpy(o, a + 1, n * sizeof *o);
    rope_pairs_f32(o, 1, 2 * half, b + 1, c + 1), o += n;
    return (size_t)(o - out);
}

/* Every instruction set gives the bits of the portable code, at any length. */
static void
same_on_every_isa(void **state)
{
    static float ref[16 * N], got[16 * N];
    const char *was = cpu_isa();

    (void)state;
    for (size_t k = 1; k < 4; k++) {
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            memset(ref, 1, sizeof ref);
            memset(got, 1, sizeof got);
            cpu_force("ref");
            size_t n = all_operations(ref, sizes[i]);
            if (cpu_force(isas[k]) != 0)
                continue;
            assert_int_equal(all_operations(got, sizes[i]), n);
            for (size_t j = 0; j < n; j++)
                assert_int_equal(f32_bits(ref[j]), f32_bits(got[j]));
            assert_memory_equal(ref, got, sizeof ref);
        }
    }
    assert_int_equal(cpu_force(was), 0);
}

/* Attention helpers give the portable code's bits, masked ends included. */
static void
attention_on_every_isa(void **state)
{
    enum { Q = 5, K = 13, D = 80, LD = 83 };
    static float q[Q * LD], k[K * LD], v[K * LD];
    static float s[4][Q * LD], y[4][Q * LD];
    static const size_t dims[] = { 80, 64, 32, 16, 20, 7 };
    const char *was = cpu_isa();
    uint64_t seed = 4;

    (void)state;
    for (size_t i = 0; i < K * LD; i++) {
        k[i] = lcg_bell(&seed);
        v[i] = lcg_bell(&seed);
        q[i % (Q * LD)] = lcg_bell(&seed);
    }
    for (size_t d = 0; d < 6; d++) {
        for (size_t n = 1; n <= K; n++) {
            for (size_t i = 0; i < 4; i++) {
                memset(s[i], 0, sizeof s[i]);
                memset(y[i], 0, sizeof y[i]);
                if (cpu_force(isas[i]) != 0)
                    continue;
                attn_scores_f32(s[i], LD, q, LD, Q, k, LD, n, dims[d], 0.25f);
                attn_mix_f32(y[i], LD, s[i], LD, Q, v, LD, n, dims[d]);
                assert_memory_equal(s[0], s[i], sizeof s[i]);
                assert_memory_equal(y[0], y[i], sizeof y[i]);
            }
            /* one at a time, and with a zero weight behind: the same bits */
            for (size_t i = 0; i < Q; i++) {
                float one[K + 1] = { 0 }, mix[D];

                attn_scores_f32(one, K, q + i * LD, LD, 1, k, LD, n, dims[d],
                    0.25f);
                assert_memory_equal(one, s[0] + i * LD, n * sizeof *one);
                attn_mix_f32(mix, D, one, K, 1, v, LD, n < K ? n + 1 : n,
                    dims[d]);
                assert_memory_equal(mix, y[0] + i * LD,
                    dims[d] * sizeof *mix);
            }
        }
    }
    assert_int_equal(cpu_force(was), 0);
}

/* exp is within one unit in the last place wherever the result is normal. */
static void
exp_is_accurate(void **state)
{
    double worst = 0.0;

    (void)state;
    for (uint32_t i = 0; i < 400000; i++) {
        float x = -87.3f + (float)i * (88.7f + 87.3f) / 400000.0f;
        double want = exp((double)x), got = (double)exp_f32(x);
        double ulp = ldexp(1.0, ilogb(want) - 23);

        worst = fmax(worst, fabs(got - want) / ulp);
    }
    print_message("# worst %.3f ulp\n", worst);
    assert_true(worst <= 1.0);
    assert_true(exp_f32(0.0f) == 1.0f);
    assert_true(exp_f32(-100.0f) == 0.0f && exp_f32(-INFINITY) == 0.0f);
    assert_true(isinf(exp_f32(89.0f)) && isinf(exp_f32(INFINITY)));
    assert_true(isnan(exp_f32(NAN)));
    assert_true(isfinite(exp_f32(88.7228f)));
}

/* log keeps its promise, near 1 too. */
static void
log_is_accurate(void **state)
{
    uint64_t s = 1;

    (void)state;
    for (int i = 0; i < 200000; i++) {
        double x = ldexp(1.0 + (double)lcg_next(&s) * 0x1p-24 +
                (double)lcg_next(&s) * 0x1p-48,
            (int)(lcg_next(&s) % 600) - 300);
        double want = log(x), got = log_f64(x);
        double near1 = 1.0 + (double)lcg_bell(&s) * 0.01;

        assert_true(fabs(got - want) <= fabs(want) * 0x1p-51 + 0x1p-54);
        assert_true(fabs(log_f64(near1) - log(near1)) <= 0x1p-54);
    }
    assert_true(log_f64(1.0) == 0.0);
}

/* Norm, softmax, gates and sums agree with double arithmetic. */
static void
near_double_arithmetic(void **state)
{
    float y[N];
    double ss = 0.0, sum = 0.0;

    (void)state;
    for (size_t i = 0; i < N; i++) {
        ss += (double)a[i] * (double)a[i];
        sum += exp((double)a[i]);
    }
    rmsnorm_f32(y, a, c, N, 1e-5f);
    for (size_t i = 0; i < N; i++) {
        double want = (double)a[i] / sqrt(ss / N + 1e-5) * (double)c[i];
        assert_true(fabs((double)y[i] - want) <= 1e-6 * fabs(want));
    }
    memcpy(y, a, sizeof y);
    y[3] = -INFINITY;
    sum -= exp((double)a[3]);
    softmax_f32(y, N);
    for (size_t i = 0; i < N; i++) {
        double want = i == 3 ? 0.0 : exp((double)a[i]) / sum;
        assert_true(fabs((double)y[i] - want) <= 1e-6 * want);
    }
    memcpy(y, a, sizeof y);
    y[3] = -INFINITY;
    assert_true(fabs(logsumexp_f32(y, N) - log(sum)) <= 1e-7);
    silu_mul_f32(y, a, b, N);
    for (size_t i = 0; i < N; i++) {
        double g = (double)a[i], want = g / (1 + exp(-g)) * (double)b[i];
        assert_true(fabs((double)y[i] - want) <= 1e-6 * fabs(want) + 1e-38);
    }
    gelu_tanh_mul_f32(y, a, b, N);
    for (size_t i = 0; i < N; i++) {
        double g = (double)a[i];
        double z = sqrt(2 / 3.14159265358979) * (g + 0.044715 * g * g * g);
        double want = 0.5 * g * (1 + tanh(z)) * (double)b[i];
        assert_true(fabs((double)y[i] - want) <= 2e-6 * fabs((double)a[i]));
    }
}

/* Both rotary layouts turn each pair by the given angle, in every head. */
static void
rope_turns_pairs(void **state)
{
    float cs[8], sn[8], x[32], y[32];

    (void)state;
    for (int i = 0; i < 8; i++) {
        cs[i] = cosf((float)i);
        sn[i] = sinf((float)i);
    }
    memcpy(x, a, sizeof x);
    memcpy(y, a, sizeof y);
    rope_half_f32(x, 2, 16, cs, sn);
    rope_pairs_f32(y, 2, 16, cs, sn);
    for (int h = 0; h < 2; h++) {
        for (int i = 0; i < 8; i++) {
            const float *o = a + 16 * h;

            assert_true(x[16 * h + i] == o[i] * cs[i] - o[i + 8] * sn[i]);
            assert_true(x[16 * h + i + 8] == o[i] * sn[i] + o[i + 8] * cs[i]);
            assert_true(y[16 * h + 2 * i] ==
                o[2 * i] * cs[i] - o[2 * i + 1] * sn[i]);
            assert_true(y[16 * h + 2 * i + 1] ==
                o[2 * i] * sn[i] + o[2 * i + 1] * cs[i]);
        }
    }
}

/* A row of float16 becomes the same floats on every instruction set. */
static void
f16_rows_on_every_isa(void **state)
{
    static uint16_t h[65536];
    static float ref[65536], got[65536];
    const char *was = cpu_isa();

    (void)state;
    for (uint32_t i = 0; i < 65536; i++)
        h[i] = (uint16_t)i;
    for (size_t k = 0; k < 4; k++) {
        if (cpu_force(isas[k]) != 0)
            continue;
        f16_to_f32_row(k ? got : ref, h, 65533);
        if (k)
            assert_memory_equal(ref, got, sizeof ref);
    }
    assert_int_equal(cpu_force(was), 0);
}

/* An ISA that is not there is refused and changes nothing. */
static void
unknown_isa(void **state)
{
    const char *was = cpu_isa();

    (void)state;
    assert_int_equal(cpu_force("sse9"), -1);
    assert_string_equal(cpu_isa(), was);
    assert_int_equal(cpu_force("ref"), 0);
    assert_string_equal(cpu_isa(), "ref");
    assert_int_equal(cpu_force(was), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_on_every_isa),
        cmocka_unit_test(attention_on_every_isa),
        cmocka_unit_test(exp_is_accurate),
        cmocka_unit_test(log_is_accurate),
        cmocka_unit_test(near_double_arithmetic),
        cmocka_unit_test(rope_turns_pairs),
        cmocka_unit_test(f16_rows_on_every_isa),
        cmocka_unit_test(unknown_isa),
    };

    if (!getenv("CMOCKA_MESSAGE_OUTPUT"))
        cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("kernels/vec", tests, make_inputs, NULL);
}
