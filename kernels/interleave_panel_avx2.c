/*
 * Opening interleaved groups into panels, AVX2
 *
 * The columns of eight rows already lie as a panel wants them: codes are only
 * taken apart, scales only widened. See panel.h; w[0] is the group.
 */
#include "kernels/panel.h"

#if defined(__AVX2__)

#include "kernels/codes_avx2.h"
#include "kernels/interleave_avx2.h"

static inline __m256i
high_nibble(__m256i v)
{
    return low_bits(_mm256_srli_epi16(v, 4), 15);
}

/* Byte i of each lane as a number, unsigned. */
static inline __m256i
byte_of(__m256i v, int i)
{
    return _mm256_and_si256(_mm256_srl_epi32(v, _mm_cvtsi32_si128(8 * i)),
        _mm256_set1_epi32(255));
}

/* (a, b) as two 16-bit numbers in each 32-bit lane. */
static inline void
put_pair(int16_t *dst, __m256i a, __m256i b)
{
    store_bytes(dst, _mm256_blend_epi16(a, _mm256_slli_epi32(b, 16), 0xaa));
}

static void
open_q4_0(struct panel *p, const uint8_t *const w[8], size_t g, size_t chunk,
    size_t blocks)
{
    for (size_t b = 0; b < blocks; b++) {
        const uint8_t *at = w[0] + 144 * (8 * chunk + b);

        _mm256_storeu_ps(p->d[b][g], side_f16(at));
        for (size_t s = 0; s < 4; s++) {
            __m256i q = load_bytes(at + 16 + 32 * s);

            store_bytes(p->q[b][g][s], low_bits(q, 15));
            store_bytes(p->q[b][g][s + 4], high_nibble(q));
        }
    }
}

static void
open_q4_k(struct panel *p, const uint8_t *const w[8], size_t g, size_t chunk,
    size_t blocks)
{
    const uint8_t *at = w[0] + 1152 * chunk;
    const __m256i six = _mm256_set1_epi8(63), four = _mm256_set1_epi8(15);
    const __m256i two = _mm256_set1_epi8(0x30);
    __m256i u0 = load_bytes(at + SIDE_Q4_K_SC);
    __m256i u1 = load_bytes(at + SIDE_Q4_K_SC + 32);
    __m256i u2 = load_bytes(at + SIDE_Q4_K_SC + 64);
    __m256i sc[2] = { _mm256_and_si256(u0, six),
        _mm256_or_si256(_mm256_and_si256(u2, four),
            _mm256_and_si256(_mm256_srli_epi16(u0, 2), two)) };
    __m256i mn[2] = { _mm256_and_si256(u1, six),
        _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(u2, 4), four),
            _mm256_and_si256(_mm256_srli_epi16(u1, 2), two)) };

    (void)blocks;
    for (int j = 0; j < 8; j++) {
        __m256i v = byte_of(sc[j / 4], j % 4);

        put_pair(p->sc[j][0][g], v, v);
        put_pair(p->sc[j][1][g], v, v);
    }
    for (int j = 0; j < 4; j++)
        put_pair(p->corr[j][g], byte_of(mn[j / 2], 2 * (j % 2)),
            byte_of(mn[j / 2], 2 * (j % 2) + 1));
    _mm256_storeu_ps(p->d[0][g], side_f16(at + SIDE_Q4_K_D));
    _mm256_storeu_ps(p->m[0][g], _mm256_xor_ps(side_f16(at + SIDE_Q4_K_DMIN),
        _mm256_set1_ps(-0.0f)));
    for (size_t b = 0; b < 8; b += 2)
        for (size_t s = 0; s < 8; s++) {
            __m256i q = load_bytes(at + SIDE_Q4_K_QS + 128 * b + 32 * s);

            store_bytes(p->q[b][g][s], low_bits(q, 15));
            store_bytes(p->q[b + 1][g][s], high_nibble(q));
        }
}

/* Sixteen signed scales, and -32 times them as the correction. */
static void
put_scales_q6_k(struct panel *p, size_t g, const uint8_t *sc)
{
    for (int j = 0; j < 8; j++) {
        __m256i u = load_bytes(sc + 32 * (j / 2));
        __m256i v = _mm256_srai_epi32(_mm256_sll_epi32(u,
            _mm_cvtsi32_si128(24 - 16 * (j % 2))), 24);
        __m256i z = _mm256_srai_epi32(_mm256_sll_epi32(u,
            _mm_cvtsi32_si128(16 - 16 * (j % 2))), 24);

        put_pair(p->sc[j][0][g], v, v);
        put_pair(p->sc[j][1][g], z, z);
        v = _mm256_sub_epi32(_mm256_setzero_si256(), _mm256_slli_epi32(v, 5));
        z = _mm256_sub_epi32(_mm256_setzero_si256(), _mm256_slli_epi32(z, 5));
        put_pair(p->corr[j][g], v, z);
    }
}

static void
open_q6_k(struct panel *p, const uint8_t *const w[8], size_t g, size_t chunk,
    size_t blocks)
{
    const uint8_t *at = w[0] + 1680 * chunk;

    (void)blocks;
    put_scales_q6_k(p, g, at + SIDE_Q6_K_SC);
    _mm256_storeu_ps(p->d[0][g], side_f16(at + SIDE_Q6_K_D));
    for (size_t n = 0; n < 2; n++)
        for (size_t s = 0; s < 8; s++) {
            const uint8_t *q = at + SIDE_Q6_K_Q + 96 * (8 * n + s);
            __m256i q0 = load_bytes(q), q1 = load_bytes(q + 32);
            __m256i qh = load_bytes(q + 64);

            store_bytes(p->q[4 * n][g][s], _mm256_or_si256(low_bits(q0, 15),
                low_bits(_mm256_slli_epi16(qh, 4), 0x30)));
            store_bytes(p->q[4 * n + 1][g][s], _mm256_or_si256(
                low_bits(q1, 15), low_bits(_mm256_slli_epi16(qh, 2), 0x30)));
            store_bytes(p->q[4 * n + 2][g][s], _mm256_or_si256(
                high_nibble(q0), low_bits(qh, 0x30)));
            store_bytes(p->q[4 * n + 3][g][s], _mm256_or_si256(
                high_nibble(q1), low_bits(_mm256_srli_epi16(qh, 2), 0x30)));
        }
}

panel_fn *const panel_side_avx2[QT_COUNT] = {
    [QT_Q4_0] = open_q4_0,
    [QT_Q4_K] = open_q4_k,
    [QT_Q6_K] = open_q6_k,
};

#endif
