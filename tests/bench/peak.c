/*
 * How fast the processor multiplies floats: the limit of a prompt in F16, BF16
 *
 * usage: out/bench/peak            QUERN_THREADS says with how many threads
 *
 * Every thread multiplies and adds in registers, without memory; wall time of
 * the fastest of many rounds of a millisecond, as CSV: billions of
 * multiplications with addition a second, in float32, of the instruction set in
 * force.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "kernels/cpu.h"
#include "lib/base/pool.h"

/*
 * A result waits for the one before it in its chain: so many chains keep two
 * units of four or five cycles busy.
 */
enum { CHAINS = 12, STEPS = 400000, ROUNDS = 300 };

static double
seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* The compiler may neither drop nor gather what it cannot see through. */
#define CHAIN(v) (v) = FMA(v, x); __asm__ volatile("" : REGISTER(v));
#define LOOP(type, half) do { \
        type x = half; \
        type a = x, b = x, c = x, d = x, e = x, f = x; \
        type g = x, h = x, i = x, j = x, k = x, l = x; \
        for (int n = 0; n < STEPS; n++) { \
            CHAIN(a) CHAIN(b) CHAIN(c) CHAIN(d) CHAIN(e) CHAIN(f) \
            CHAIN(g) CHAIN(h) CHAIN(i) CHAIN(j) CHAIN(k) CHAIN(l) \
        } \
    } while (0)

#if defined(__x86_64__)

#include <immintrin.h>

#define REGISTER "+v"

#define FMA(v, x) _mm512_fmadd_ps(v, x, x)
__attribute__((target("avx512f"))) static void
multiply_avx512(void *ctx, size_t task, unsigned thread)
{
    const __m512 half = _mm512_set1_ps(0.5f);

    (void)ctx, (void)task, (void)thread;
    LOOP(__m512, half);
}
#undef FMA

#define FMA(v, x) _mm256_fmadd_ps(v, x, x)
__attribute__((target("avx2,fma"))) static void
multiply_avx2(void *ctx, size_t task, unsigned thread)
{
    const __m256 half = _mm256_set1_ps(0.5f);

    (void)ctx, (void)task, (void)thread;
    LOOP(__m256, half);
}

static void (*kernel(size_t *lanes))(void *, size_t, unsigned)
{
    *lanes = strcmp(cpu_isa(), "avx512") == 0 ? 16 : 8;
    if (*lanes == 16)
        return multiply_avx512;
    return strcmp(cpu_isa(), "avx2") == 0 ? multiply_avx2 : NULL;
}

#else

#include <arm_neon.h>

#define REGISTER "+w"
#define FMA(v, x) vfmaq_f32(x, v, x)

static void
multiply_neon(void *ctx, size_t task, unsigned thread)
{
    const float32x4_t half = vdupq_n_f32(0.5f);

    (void)ctx, (void)task, (void)thread;
    LOOP(float32x4_t, half);
}

static void (*kernel(size_t *lanes))(void *, size_t, unsigned)
{
    *lanes = 4;
    return multiply_neon;
}

#endif

int
main(void)
{
    size_t lanes;
    void (*fn)(void *, size_t, unsigned) = kernel(&lanes);
    struct pool *pool = pool_new(0);
    double n = (double)pool_threads(pool) * CHAINS * STEPS, best = 0.0;

    if (fn == NULL) {
        fprintf(stderr, "peak: nothing to measure without SIMD\n");
        return 1;
    }
    for (int i = 0; i < ROUNDS; i++) {
        double start = seconds(), s;

        pool_run(pool, pool_threads(pool), fn, NULL);
        s = seconds() - start;
        best = best == 0.0 || s < best ? s : best;
    }
    puts("what,threads,billion_per_s");
    printf("fma,%u,%.2f\n", pool_threads(pool),
        n * (double)lanes / best * 1e-9);
    pool_free(pool);
    return 0;
}
