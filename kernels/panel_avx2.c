/*
 * Opening packed rows into panels, AVX2
 *
 * Codes are gathered row by row, 32 of one row to a register, and then
 * transposed by 32-bit lanes. Scales are decoded with one row to a lane.
 */
#include "kernels/panel.h"

#if defined(__AVX2__)

#include "kernels/avx2.h"
#include "kernels/block.h"
#include "kernels/codes_avx2.h"

/* ---- pieces ---- */

/* (a, b) as two 16-bit numbers in each 32-bit lane. */
static inline void
put_pair(int16_t *dst, __m256i a, __m256i b)
{
    store_bytes(dst, _mm256_or_si256(_mm256_slli_epi32(b, 16),
        _mm256_and_si256(a, _mm256_set1_epi32(0xffff))));
}

/* Eight rows of 32 codes into a sub-block, as they are. */
static inline void
put_codes(struct panel *p, size_t b, size_t g, const __m256i rows[8])
{
    __m256i t[8];

    transpose8(rows, t);
    UNROLL
    for (int s = 0; s < 8; s++)
        store_bytes(p->q[b][g][s], t[s]);
}

/* ---- types of 32 ---- */

static inline void
put_scale(float dst[8], const uint8_t *const b[8], size_t at)
{
    _mm256_storeu_ps(dst, eight_f16(b, at));
}

/* Q4_0 (qs at 2, no minimum) and Q4_1: two blocks at a time. */
static inline void
open_nibbles(struct panel *p, const uint8_t *const w[8], size_t g, size_t chunk,
    size_t blocks, size_t bytes, size_t at, int mins)
{
    for (size_t b = 0; b < blocks; b += 2) {
        size_t two = b + 1 < blocks;
        const uint8_t *x[8], *y[8];
        __m256i rows[8], t[8];

        UNROLL
        for (int r = 0; r < 8; r++) {
            x[r] = w[r] + (8 * chunk + b) * bytes;
            y[r] = x[r] + two * bytes;
            rows[r] = _mm256_set_m128i(load_half(y[r] + at),
                load_half(x[r] + at));
        }
        transpose8(rows, t);
        for (size_t i = 0; i <= two; i++) {
            for (size_t s = 0; s < 4; s++) {
                __m256i v = t[4 * i + s];
                store_bytes(p->q[b + i][g][s], low_bits(v, 15));
                store_bytes(p->q[b + i][g][s + 4], bits_at(v, 4, 15));
            }
            put_scale(p->d[b + i][g], i ? y : x, 0);
            if (mins)
                put_scale(p->m[b + i][g], i ? y : x, 2);
        }
    }
}

static void
open_q4_0(struct panel *p, const uint8_t *const w[8], size_t g, size_t chunk,
    size_t blocks)
{
    open_nibbles(p, w, g, chunk, blocks, 18, Q4_0_QS, 0);
}

static void
open_q4_1(struct panel *p, const uint8_t *const w[8], size_t g, size_t chunk,
    size_t blocks)
{
    open_nibbles(p, w, g, chunk, blocks, 20, Q4_1_QS, 1);
}

static inline void
open_q5(struct panel *p, const uint8_t *const w[8], size_t g, size_t chunk,
    size_t blocks, size_t bytes, size_t at, int mins)
{
    for (size_t b = 0; b < blocks; b++) {
        const uint8_t *x[8];
        __m256i rows[8];

        UNROLL
        for (int r = 0; r < 8; r++) {
            x[r] = w[r] + (8 * chunk + b) * bytes;
            rows[r] = _mm256_or_si256(nibbles(x[r] + at + 4),
                fifth_bits(x[r] + at));
        }
        put_codes(p, b, g, rows);
        put_scale(p->d[b][g], x, 0);
        if (mins)
            put_scale(p->m[b][g], x, 2);
    }
}

static void
open_q5_0(struct panel *p, const uint8_t *const w[8], size_t g, size_t chunk,
    size_t blocks)
{
    open_q5(p, w, g, chunk, blocks, 22, Q5_0_QH, 0);
}

static void
open_q5_1(struct panel *p, const uint8_t *const w[8], size_t g, size_t chunk,
    size_t blocks)
{
    open_q5(p, w, g, chunk, blocks, 24, Q5_1_QH, 1);
}

/* ---- types of 256 ---- */

/* One scale for all 32 columns of sub-block j. */
static inline void
put_scale32(struct panel *p, size_t j, size_t g, __m256i v)
{
    put_pair(p->sc[j][0][g], v, v);
    put_pair(p->sc[j][1][g], v, v);
}

static inline __m256i
field(__m256i v, int shift, int mask)
{
    return _mm256_and_si256(_mm256_srl_epi32(v, _mm_cvtsi32_si128(shift)),
        _mm256_set1_epi32(mask));
}

static inline __m256i
high_bits(__m256i v, int shift)
{
    return _mm256_slli_epi32(field(v, shift, 3), 4);
}

/* d, dmin and the packed 6-bit scales and minima of Q4_K and Q5_K. */
static inline void
open_k4_scales(struct panel *p, const uint8_t *const x[8], size_t g)
{
    __m256i s0 = eight_u32(x, Q4_K_SC), s1 = eight_u32(x, Q4_K_SC + 4);
    __m256i s2 = eight_u32(x, Q4_K_SC + 8), mn[8];

    for (int j = 0; j < 4; j++) {
        put_scale32(p, (size_t)j, g, field(s0, 8 * j, 63));
        put_scale32(p, (size_t)j + 4, g, _mm256_or_si256(
            field(s2, 8 * j, 15), high_bits(s0, 8 * j + 6)));
        mn[j] = field(s1, 8 * j, 63);
        mn[j + 4] = _mm256_or_si256(field(s2, 8 * j + 4, 15),
            high_bits(s1, 8 * j + 6));
    }
    for (int j = 0; j < 4; j++)
        put_pair(p->corr[j][g], mn[2 * j], mn[2 * j + 1]);
    _mm256_storeu_ps(p->d[0][g], eight_f16(x, Q4_K_D));
    _mm256_storeu_ps(p->m[0][g], _mm256_xor_ps(eight_f16(x, Q4_K_DMIN),
        _mm256_set1_ps(-0.0f)));
}

static inline void
blocks_at(const uint8_t *x[8], const uint8_t *const w[8], size_t off)
{
    UNROLL
    for (int r = 0; r < 8; r++)
        x[r] = w[r] + off;
}

static void
open_q4_k(struct panel *p, const uint8_t *const w[8], size_t g, size_t chunk,
    size_t blocks)
{
    const uint8_t *x[8];

    (void)blocks;
    blocks_at(x, w, 144 * chunk);
    open_k4_scales(p, x, g);
    for (size_t b = 0; b < 8; b += 2) {
        __m256i rows[8], t[8];

        UNROLL
        for (int r = 0; r < 8; r++)
            rows[r] = load_bytes(x[r] + Q4_K_QS + 16 * b);
        transpose8(rows, t);
        UNROLL
        for (int s = 0; s < 8; s++) {
            store_bytes(p->q[b][g][s], low_bits(t[s], 15));
            store_bytes(p->q[b + 1][g][s], bits_at(t[s], 4, 15));
        }
    }
}

static void
open_q5_k(struct panel *p, const uint8_t *const w[8], size_t g, size_t chunk,
    size_t blocks)
{
    const uint8_t *x[8];

    (void)blocks;
    blocks_at(x, w, 176 * chunk);
    open_k4_scales(p, x, g);
    for (int j = 0; j < 8; j++) {
        __m256i rows[8];

        UNROLL
        for (int r = 0; r < 8; r++) {
            __m256i lo = load_bytes(x[r] + Q5_K_QS + 32 * (j / 2));
            __m256i hi = bits_at(load_bytes(x[r] + Q5_K_QH), j, 1);
            rows[r] = _mm256_or_si256(bits_at(lo, 4 * (j & 1), 15),
                _mm256_slli_epi16(hi, 4));
        }
        put_codes(p, (size_t)j, g, rows);
    }
}

/*
 * Scales of sixteen sub-blocks, one register for each, factor times them as the
 * correction for codes that are stored with an offset.
 */
static inline void
put_scales16(struct panel *p, size_t g, const __m256i sc[16], int factor)
{
    const __m256i f = _mm256_set1_epi32(factor);

    for (size_t j = 0; j < 8; j++) {
        put_pair(p->sc[j][0][g], sc[2 * j], sc[2 * j]);
        put_pair(p->sc[j][1][g], sc[2 * j + 1], sc[2 * j + 1]);
        put_pair(p->corr[j][g], _mm256_mullo_epi32(sc[2 * j], f),
            _mm256_mullo_epi32(sc[2 * j + 1], f));
    }
}

static void
open_q6_k(struct panel *p, const uint8_t *const w[8], size_t g, size_t chunk,
    size_t blocks)
{
    const uint8_t *x[8];
    __m256i sc[16], v = _mm256_setzero_si256();

    (void)blocks;
    blocks_at(x, w, 210 * chunk);
    for (int j = 0; j < 16; j++) {
        if (j % 4 == 0)
            v = eight_u32(x, Q6_K_SC + (size_t)j);
        sc[j] = _mm256_srai_epi32(
            _mm256_sll_epi32(v, _mm_cvtsi32_si128(24 - 8 * (j % 4))), 24);
    }
    put_scales16(p, g, sc, -32);
    _mm256_storeu_ps(p->d[0][g], eight_f16(x, Q6_K_D));
    for (int j = 0; j < 8; j++) {
        int n = j / 4, part = j % 4;
        __m256i rows[8];

        UNROLL
        for (int r = 0; r < 8; r++) {
            const uint8_t *ql = x[r] + Q6_K_QL + 64 * n + 32 * (part & 1);
            __m256i lo = load_bytes(ql);
            __m256i hi = load_bytes(x[r] + Q6_K_QH + 32 * n);
            rows[r] = _mm256_or_si256(bits_at(lo, 4 * (part >> 1), 15),
                _mm256_slli_epi16(bits_at(hi, 2 * part, 3), 4));
        }
        put_codes(p, (size_t)j, g, rows);
    }
}

static void
open_q2_k(struct panel *p, const uint8_t *const w[8], size_t g, size_t chunk,
    size_t blocks)
{
    const uint8_t *x[8];
    __m256i mn[16], v = _mm256_setzero_si256();

    (void)blocks;
    blocks_at(x, w, 84 * chunk);
    for (int j = 0; j < 16; j++) {
        if (j % 4 == 0)
            v = eight_u32(x, Q2_K_SC + (size_t)j);
        __m256i sc = field(v, 8 * (j % 4), 15);

        put_pair(p->sc[j / 2][j & 1][g], sc, sc);
        mn[j] = field(v, 8 * (j % 4) + 4, 15);
    }
    for (int j = 0; j < 8; j++)
        put_pair(p->corr[j][g], mn[2 * j], mn[2 * j + 1]);
    _mm256_storeu_ps(p->d[0][g], eight_f16(x, Q2_K_D));
    _mm256_storeu_ps(p->m[0][g], _mm256_xor_ps(eight_f16(x, Q2_K_DMIN),
        _mm256_set1_ps(-0.0f)));
    for (int j = 0; j < 8; j++) {
        __m256i rows[8];

        UNROLL
        for (int r = 0; r < 8; r++)
            rows[r] = bits_at(load_bytes(x[r] + Q2_K_QS + 32 * (j / 4)),
                2 * (j % 4), 3);
        put_codes(p, (size_t)j, g, rows);
    }
}

static void
open_q3_k(struct panel *p, const uint8_t *const w[8], size_t g, size_t chunk,
    size_t blocks)
{
    const uint8_t *x[8];
    __m256i sc[16];

    (void)blocks;
    blocks_at(x, w, 110 * chunk);
    const __m256i low[2] = { eight_u32(x, Q3_K_SC), eight_u32(x, Q3_K_SC + 4) };
    const __m256i hi = eight_u32(x, Q3_K_SC + 8);
    for (int j = 0; j < 16; j++) {
        __m256i lo = low[j % 8 / 4];
        __m256i v = _mm256_or_si256(field(lo, 8 * (j % 4) + j / 8 * 4, 15),
            high_bits(hi, 8 * (j % 4) + 2 * (j / 4)));
        sc[j] = _mm256_sub_epi32(v, _mm256_set1_epi32(32));
    }
    put_scales16(p, g, sc, -4);
    _mm256_storeu_ps(p->d[0][g], eight_f16(x, Q3_K_D));
    for (int j = 0; j < 8; j++) {
        __m256i rows[8];

        UNROLL
        for (int r = 0; r < 8; r++) {
            __m256i lo = load_bytes(x[r] + Q3_K_QS + 32 * (j / 4));
            __m256i h = bits_at(load_bytes(x[r] + Q3_K_HM), j, 1);
            rows[r] = _mm256_or_si256(bits_at(lo, 2 * (j % 4), 3),
                _mm256_slli_epi16(h, 2));
        }
        put_codes(p, (size_t)j, g, rows);
    }
}

panel_fn *const panel_avx2[QT_COUNT] = {
    [QT_Q4_0] = open_q4_0,
    [QT_Q4_1] = open_q4_1,
    [QT_Q5_0] = open_q5_0,
    [QT_Q5_1] = open_q5_1,
    [QT_Q2_K] = open_q2_k,
    [QT_Q3_K] = open_q3_k,
    [QT_Q4_K] = open_q4_k,
    [QT_Q5_K] = open_q5_k,
    [QT_Q6_K] = open_q6_k,
};

#endif
