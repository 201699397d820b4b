/*
 * codes_avx2.h - taking packed codes apart with AVX2 (private)
 */
#ifndef QUERN_KERNELS_CODES_AVX2_H
#define QUERN_KERNELS_CODES_AVX2_H

#if defined(__AVX2__)

#include "kernels/avx2.h"
#include "kernels/block.h"

static inline __m256i
low_bits(__m256i v, int mask)
{
    return _mm256_and_si256(v, _mm256_set1_epi8((char)mask));
}

/* Bytes shifted right, then masked: the mask must hide what came across. */
static inline __m256i
bits_at(__m256i v, int shift, int mask)
{
    return low_bits(_mm256_srli_epi16(v, shift), mask);
}

/* 16 bytes of nibbles to 32 codes: low nibbles first. */
static inline __m256i
nibbles(const uint8_t *qs)
{
    __m128i v = load_half(qs);
    return low_bits(_mm256_set_m128i(_mm_srli_epi16(v, 4), v), 15);
}

/* Codes to values of the IQ4 table. */
static inline __m256i
iq4_lookup(__m256i q)
{
    return _mm256_shuffle_epi8(
        _mm256_broadcastsi128_si256(load_half(iq4_values)), q);
}

/* 16 where the bit of a column is set, from 32 bits. */
static inline __m256i
fifth_bits(const uint8_t *qh)
{
    const __m256i from = _mm256_setr_epi64x(0, 0x0101010101010101,
        0x0202020202020202, 0x0303030303030303);
    const __m256i bit = _mm256_set1_epi64x((int64_t)0x8040201008040201);
    __m256i v = _mm256_and_si256(_mm256_shuffle_epi8(spread4(qh), from), bit);

    return low_bits(_mm256_cmpeq_epi8(v, bit), 16);
}

/* Pairs of products, signed codes of 8 bits: |w| * (a with the sign of w). */
static inline __m256i
signed_pairs(__m256i w, __m256i a)
{
    return _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(a, w));
}

#endif
#endif
