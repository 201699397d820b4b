/*
 * Opening interleaved groups into panels, AVX-512
 *
 * The columns of eight rows already lie as a panel wants them, so two groups
 * make a register: codes are only taken apart, scales only widened. See
 * panel_avx512.h; w[0] and w[8] are the groups. One activation goes AVX2's way,
 * which runs at the speed of memory.
 */
#include "kernels/panel_avx512.h"

#if defined(__AVX2__)

#include "kernels/avx512.h"
#include "kernels/interleave_avx2.h"

/* What lies at `off` in both groups. */
INLINE __m512i
side(const uint8_t *const w[16], size_t off)
{
    return load_two(w[0] + off, w[8] + off);
}

INLINE __m512
sixteen_f16(const uint8_t *const w[16], size_t off)
{
    return _mm512_cvtph_ps(_mm256_set_m128i(load_half(w[8] + off),
        load_half(w[0] + off)));
}

/* Byte i of each lane as a number, unsigned. */
INLINE __m512i
byte_of(__m512i v, int i)
{
    return _mm512_and_si512(_mm512_srlv_epi32(v, _mm512_set1_epi32(8 * i)),
        _mm512_set1_epi32(255));
}

static void
open_q8_0(struct panel512 *p, const uint8_t *const w[16], size_t g,
    size_t chunk, size_t blocks)
{
    const __m512i flip = _mm512_set1_epi8((char)128);

    for (size_t b = 0; b < blocks; b++) {
        size_t at = 272 * (8 * chunk + b);

        _mm512_storeu_ps(p->d[b][g], sixteen_f16(w, at));
        for (size_t s = 0; s < 8; s++)
            store64(p->q[b][s][g],
                _mm512_xor_si512(side(w, at + 16 + 32 * s), flip));
    }
}

static void
open_q4_0(struct panel512 *p, const uint8_t *const w[16], size_t g,
    size_t chunk, size_t blocks)
{
    for (size_t b = 0; b < blocks; b++) {
        size_t at = 144 * (8 * chunk + b);

        _mm512_storeu_ps(p->d[b][g], sixteen_f16(w, at));
        for (size_t s = 0; s < 4; s++) {
            __m512i q = side(w, at + 16 + 32 * s);

            store64(p->q[b][s][g], low_bits(q, 15));
            store64(p->q[b][s + 4][g], bits_at(q, 4, 15));
        }
    }
}

static void
open_q4_k(struct panel512 *p, const uint8_t *const w[16], size_t g,
    size_t chunk, size_t blocks)
{
    size_t at = 1152 * chunk;
    __m512i u0 = side(w, at + SIDE_Q4_K_SC);
    __m512i u1 = side(w, at + SIDE_Q4_K_SC + 32);
    __m512i u2 = side(w, at + SIDE_Q4_K_SC + 64);
    __m512i sc[2] = { low_bits(u0, 63),
        _mm512_or_si512(low_bits(u2, 15), bits_at(u0, 2, 0x30)) };
    __m512i mn[2] = { low_bits(u1, 63),
        _mm512_or_si512(bits_at(u2, 4, 15), bits_at(u1, 2, 0x30)) };

    (void)blocks;
    for (int j = 0; j < 8; j++)
        store64(p->sc[j][0][g], byte_of(sc[j / 4], j % 4));
    for (int j = 0; j < 4; j++)
        put_pair(p->corr[j][g], byte_of(mn[j / 2], 2 * (j % 2)),
            byte_of(mn[j / 2], 2 * (j % 2) + 1));
    _mm512_storeu_ps(p->d[0][g], sixteen_f16(w, at + SIDE_Q4_K_D));
    _mm512_storeu_ps(p->m[0][g], _mm512_xor_ps(
        sixteen_f16(w, at + SIDE_Q4_K_DMIN), _mm512_set1_ps(-0.0f)));
    for (size_t b = 0; b < 8; b += 2)
        for (size_t s = 0; s < 8; s++) {
            __m512i q = side(w, at + SIDE_Q4_K_QS + 128 * b + 32 * s);

            store64(p->q[b][s][g], low_bits(q, 15));
            store64(p->q[b + 1][s][g], bits_at(q, 4, 15));
        }
}

/* Byte i of each lane as a number, signed. */
INLINE __m512i
scale_of(__m512i v, int i)
{
    return _mm512_srai_epi32(_mm512_sllv_epi32(v,
        _mm512_set1_epi32(24 - 8 * i)), 24);
}

/* Sixteen signed scales, and -32 times them as the correction. */
INLINE void
put_scales_q6_k(struct panel512 *p, size_t g, const uint8_t *const w[16],
    size_t at)
{
    const __m512i less = _mm512_set1_epi32(-32);

    for (int j = 0; j < 8; j++) {
        __m512i v = side(w, at + 32 * (size_t)(j / 2));
        __m512i a = scale_of(v, 2 * (j % 2)), b = scale_of(v, 2 * (j % 2) + 1);

        store64(p->sc[j][0][g], a);
        store64(p->sc[j][1][g], b);
        put_pair(p->corr[j][g], _mm512_mullo_epi32(a, less),
            _mm512_mullo_epi32(b, less));
    }
}

static void
open_q6_k(struct panel512 *p, const uint8_t *const w[16], size_t g,
    size_t chunk, size_t blocks)
{
    size_t at = 1680 * chunk;

    (void)blocks;
    put_scales_q6_k(p, g, w, at + SIDE_Q6_K_SC);
    _mm512_storeu_ps(p->d[0][g], sixteen_f16(w, at + SIDE_Q6_K_D));
    for (size_t n = 0; n < 2; n++)
        for (size_t s = 0; s < 8; s++) {
            size_t q = at + SIDE_Q6_K_Q + 96 * (8 * n + s);
            __m512i q0 = side(w, q), q1 = side(w, q + 32);
            __m512i qh = side(w, q + 64);

            store64(p->q[4 * n][s][g], _mm512_or_si512(low_bits(q0, 15),
                bits_up(qh, 4, 0x30)));
            store64(p->q[4 * n + 1][s][g], _mm512_or_si512(low_bits(q1, 15),
                bits_up(qh, 2, 0x30)));
            store64(p->q[4 * n + 2][s][g], _mm512_or_si512(bits_at(q0, 4, 15),
                low_bits(qh, 0x30)));
            store64(p->q[4 * n + 3][s][g], _mm512_or_si512(bits_at(q1, 4, 15),
                bits_at(qh, 2, 0x30)));
        }
}

panel512_fn *const panel_side_avx512[QT_COUNT] = {
    [QT_Q8_0] = open_q8_0,
    [QT_Q4_0] = open_q4_0,
    [QT_Q4_K] = open_q4_k,
    [QT_Q6_K] = open_q6_k,
};

#endif
