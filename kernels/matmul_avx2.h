/*
 * matmul_avx2.h - what the AVX2 products share (private)
 */
#ifndef QUERN_KERNELS_MATMUL_AVX2_H
#define QUERN_KERNELS_MATMUL_AVX2_H

#if defined(__AVX2__)

#include <stdbool.h>

#include "kernels/avx2.h"
#include "kernels/matmul.h"

enum {
    ACTS = 128, /* activations of a tile */
    TILE = 16,  /* rows of a tile: two groups of eight */
    TILES = 8   /* of codes of 8 bits, for which activations are widened once */
};

#define INLINE static inline __attribute__((always_inline))

/* Encoded activations, and where in a row the parts of a chunk lie. */
struct act_rows {
    const uint8_t *row;  /* the first */
    size_t n, row_bytes; /* rows, and bytes from one to the next */
    size_t d, d_chunk;   /* scales: offset of chunk 0, bytes for a chunk */
    size_t s, s_chunk;   /* sums, of the kind the type corrects with */
};

/* What a kernel needs to know of four activations at one chunk of columns. */
struct act4 {
    const int8_t *q[4];
    const uint8_t *d[4]; /* floats, of the first block of the chunk */
    const uint8_t *s[4]; /* sums, likewise */
};

/* One register for each activation (number) and group of rows (letter). */
struct sums {
    __m256i a0, b0, a1, b1, a2, b2, a3, b3;
};

INLINE void
clear(struct sums *s)
{
    s->a0 = s->b0 = s->a1 = s->b1 = _mm256_setzero_si256();
    s->a2 = s->b2 = s->a3 = s->b3 = _mm256_setzero_si256();
}

/*
 * Says to the compiler that the sums may have changed. Without it gcc turns the
 * chains of integer sums into trees, for which there are not enough registers.
 */
INLINE void
hold(struct sums *s)
{
    __asm__("" : "+x"(s->a0), "+x"(s->b0), "+x"(s->a1), "+x"(s->b1),
            "+x"(s->a2), "+x"(s->b2), "+x"(s->a3), "+x"(s->b3));
}

/* f = fma((float)sum, w * a, f), eight rows */
INLINE void
accumulate(float *f, __m256i sum, const float *w, __m256 a)
{
    __m256 scale = _mm256_mul_ps(_mm256_loadu_ps(w), a);

    _mm256_storeu_ps(f, _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), scale,
        _mm256_loadu_ps(f)));
}

INLINE __m256
spread_float(const uint8_t *p)
{
    return _mm256_castsi256_ps(spread4(p));
}

/* Lane r = sum of the eight lanes of v[r]. */
INLINE __m256i
fold_rows(const __m256i v[8])
{
    __m256i a = _mm256_hadd_epi32(_mm256_hadd_epi32(v[0], v[1]),
        _mm256_hadd_epi32(v[2], v[3]));
    __m256i b = _mm256_hadd_epi32(_mm256_hadd_epi32(v[4], v[5]),
        _mm256_hadd_epi32(v[6], v[7]));

    return _mm256_add_epi32(_mm256_permute2x128_si256(a, b, 0x20),
        _mm256_permute2x128_si256(a, b, 0x31));
}

/* s = fma((float)sum, w * a, s) */
INLINE __m256
chain(__m256 s, __m256i sum, __m256 w, __m256 a)
{
    return _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), _mm256_mul_ps(w, a), s);
}

/* Four activations from `first` on at a chunk; behind the last, the last. */
INLINE void
locate(struct act4 *v, const struct act_rows *a, size_t first, size_t chunk)
{
    for (size_t k = 0; k < 4; k++) {
        size_t i = first + k < a->n ? first + k : a->n - 1;
        const uint8_t *row = a->row + i * a->row_bytes;

        v->q[k] = (const int8_t *)row + 256 * chunk;
        v->d[k] = row + a->d + a->d_chunk * chunk;
        v->s[k] = row + a->s + a->s_chunk * chunk;
    }
}

/*
 * Sixteen rows. Interleaved ones (`side`) are two groups: row[0] and row[8].
 */
struct rows {
    const uint8_t *row[TILE];
    bool side;
};

/*
 * Adds all columns of `tiles` <= TILES tiles of sixteen rows and a->n <= ACTS
 * activations to f[tile][ACTS][r]; activations are rounded up to four.
 */
void tiles_wide_avx2(float *f, const struct rows *w, size_t tiles, enum qtype t,
    size_t cols, const struct act_rows *a);

#endif
#endif
