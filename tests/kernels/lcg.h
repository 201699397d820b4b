/*
 * lcg.h - seeded test inputs, the same in C and in tests/interop/ggml_encode.py
 */
#ifndef QUERN_TESTS_KERNELS_LCG_H
#define QUERN_TESTS_KERNELS_LCG_H

#include <stddef.h>
#include <stdint.h>

/* Knuth's 64-bit linear congruential generator; the top bits are best. */
static inline uint32_t
lcg_next(uint64_t *s)
{
    *s = *s * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*s >> 40); /* 24 bits */
}

/* Sum of four uniform numbers, about a bell; exact in float32, |v| <= 2. */
static inline float
lcg_bell(uint64_t *s)
{
    int32_t v = -(1 << 23);

    for (int i = 0; i < 4; i++)
        v += (int32_t)(lcg_next(s) >> 2);
    return (float)v * 0x1p-22f;
}

/*
 * Weights [rows][cols] in eight patterns, row r has pattern r % 8: plain; wide
 * range; with zero blocks; constant runs; positive; tiny; outliers; integers.
 */
static inline void
lcg_weights(float *w, size_t rows, size_t cols, uint64_t seed)
{
    uint64_t s = seed;

    for (size_t r = 0; r < rows; r++) {
        float run = 0.0f;
        for (size_t c = 0; c < cols; c++) {
            float v = lcg_bell(&s);
            uint32_t u = lcg_next(&s);

            switch (r % 8) {
            case 0: v *= 0x1p-6f; break;
            case 1: v *= 1.0f / (float)(1u << u % 12); break;
            case 2: v = c / 32 % 3 == 0 ? 0.0f : v; break;
            case 3: run = c % 16 == 0 ? v : run; v = run; break;
            case 4: v = v < 0.0f ? -v : v; break;
            case 5: v *= c / 64 % 2 ? 0x1p-60f : 0x1p-20f; break;
            case 6: v *= u % 97 == 0 ? 64.0f : 0x1p-3f; break;
            default: v = (float)((int)(u % 19) - 9); break;
            }
            w[r * cols + c] = v;
        }
    }
}

/* Importance [cols]: squares of a bell, with a run of zeros from 1/4 on. */
static inline void
lcg_importance(float *h, size_t cols, uint64_t seed)
{
    uint64_t s = seed;

    for (size_t c = 0; c < cols; c++) {
        float v = lcg_bell(&s);
        h[c] = c >= cols / 4 && c < cols / 4 + 40 ? 0.0f : v * v;
    }
}

/* 64-bit FNV-1a of bytes. */
static inline uint64_t
fnv1a(const void *p, size_t n)
{
    const uint8_t *b = p;
    uint64_t h = 14695981039346656037u;

    for (size_t i = 0; i < n; i++)
        h = (h ^ b[i]) * 1099511628211u;
    return h;
}

#endif
