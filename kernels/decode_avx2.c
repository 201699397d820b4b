/*
 * Blocks back to floats on AVX2, for the types that are most used
 *
 * A product rounded once has the same bits however many are made at a time.
 */
#include "kernels/decode.h"

#include "kernels/ops.h"
#include "kernels/ops_avx2.h"

#if defined(__AVX2__)

#include "kernels/avx2.h"
#include "kernels/block.h"

static inline __m256
scale_of(const uint8_t *p)
{
    return _mm256_broadcastss_ps(_mm_cvtph_ps(_mm_cvtsi32_si128(block_u16(p))));
}

/* y[0..7] = d * code, the codes being the first eight bytes of q. */
static inline void
put8(float *y, __m128i q, __m256 d)
{
    _mm256_storeu_ps(y, _mm256_mul_ps(d,
        _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(q))));
}

static inline void
put16(float *y, __m128i q, __m256 d)
{
    put8(y, q, d);
    put8(y + 8, _mm_srli_si128(q, 8), d);
}

static void
decode_q8_0(float *y, const uint8_t *b, size_t n)
{
    for (size_t i = 0; i < n; i += 32, b += 34) {
        __m256 d = scale_of(b + Q8_0_D);

        put16(y + i, load_half(b + Q8_0_QS), d);
        put16(y + i + 16, load_half(b + Q8_0_QS + 16), d);
    }
}

static void
decode_q4_0(float *y, const uint8_t *b, size_t n)
{
    const __m128i low = _mm_set1_epi8(15), off = _mm_set1_epi8(8);

    for (size_t i = 0; i < n; i += 32, b += 18) {
        __m256 d = scale_of(b + Q4_0_D);
        __m128i q = load_half(b + Q4_0_QS);

        put16(y + i, _mm_sub_epi8(_mm_and_si128(q, low), off), d);
        put16(y + i + 16, _mm_sub_epi8(_mm_and_si128(_mm_srli_epi16(q, 4), low),
            off), d);
    }
}

void
decode_avx2(enum qtype t, float *y, const uint8_t *b, size_t n)
{
    if (t == QT_Q8_0)
        decode_q8_0(y, b, n);
    else if (t == QT_Q4_0)
        decode_q4_0(y, b, n);
    else
        decode_ref(t, y, b, n);
}

#endif
