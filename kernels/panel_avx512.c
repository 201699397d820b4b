/*
 * Opening packed rows into panels, AVX-512
 *
 * Codes are gathered row by row, 32 of two rows to a register, and then
 * transposed by 32-bit lanes. Scales are decoded with one row to a lane.
 */
#include "kernels/panel_avx512.h"

#if defined(__AVX2__)

#include "kernels/avx512.h"
#include "kernels/block.h"

/* ---- pieces ---- */

/* The same 16 bits in both halves of each 32-bit lane. */
INLINE __m512i
both(__m512i v)
{
    return _mm512_or_si512(_mm512_slli_epi32(v, 16),
        _mm512_and_si512(v, _mm512_set1_epi32(0xffff)));
}

INLINE __m512i
join(__m256i lower, __m256i upper)
{
    return _mm512_inserti64x4(_mm512_castsi256_si512(lower), upper, 1);
}

/* Sixteen rows of 32 codes into a sub-block, as they are. */
INLINE void
put_codes(struct panel512 *p, size_t b, size_t g, const __m512i rows[8])
{
    __m512i t[8];

    transpose16(rows, t);
    UNROLL
    for (int s = 0; s < 8; s++)
        store64(p->q[b][s][g], t[s]);
}

/* 16 bytes of nibbles of two rows to 32 codes of each: low nibbles first. */
INLINE __m512i
nibbles(const uint8_t *x, const uint8_t *y)
{
    const __m512i twice = _mm512_setr_epi64(0, 1, 0, 1, 2, 3, 2, 3);
    const __m512i shift = _mm512_setr_epi64(0, 0, 0x0004000400040004,
        0x0004000400040004, 0, 0, 0x0004000400040004, 0x0004000400040004);
    __m512i v = _mm512_castsi256_si512(_mm256_set_m128i(load_half(y),
        load_half(x)));

    return low_bits(_mm512_srlv_epi16(_mm512_permutexvar_epi64(twice, v),
        shift), 15);
}

/* The values of IQ4 codes, 128 too large. */
INLINE __m512i
iq4_lookup(__m512i q)
{
    __m128i table = _mm_xor_si128(load_half(iq4_values),
        _mm_set1_epi8((char)128));
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(table), q);
}

/* The same field of sixteen blocks. */
INLINE void
put_f16(float dst[16], const uint8_t *const x[16], size_t at)
{
    _mm256_storeu_ps(dst, eight_f16(x, at));
    _mm256_storeu_ps(dst + 8, eight_f16(x + 8, at));
}

INLINE __m512i
sixteen_u32(const uint8_t *const x[16], size_t at)
{
    return join(eight_u32(x, at), eight_u32(x + 8, at));
}

INLINE void
blocks_at(const uint8_t *x[16], const uint8_t *const w[16], size_t off)
{
    for (int r = 0; r < 16; r++)
        x[r] = w[r] + off;
}

/* ---- types of 32 ---- */

/* Q4_0 (qs at 2, no minimum) and Q4_1: two blocks at a time. */
INLINE void
open_nibbles(struct panel512 *p, const uint8_t *const w[16], size_t g,
    size_t chunk, size_t blocks, size_t bytes, size_t at, int mins)
{
    for (size_t b = 0; b < blocks; b += 2) {
        size_t two = b + 1 < blocks;
        const uint8_t *x[16], *y[16];
        __m512i rows[8], t[8];

        blocks_at(x, w, (8 * chunk + b) * bytes);
        blocks_at(y, w, (8 * chunk + b + two) * bytes);
        UNROLL
        for (size_t i = 0; i < 8; i++) {
            size_t r = low_row(i);
            rows[i] = join(_mm256_set_m128i(load_half(y[r] + at),
                load_half(x[r] + at)), _mm256_set_m128i(
                load_half(y[r + 4] + at), load_half(x[r + 4] + at)));
        }
        transpose16(rows, t);
        for (size_t i = 0; i <= two; i++) {
            for (size_t s = 0; s < 4; s++) {
                __m512i v = t[4 * i + s];
                store64(p->q[b + i][s][g], low_bits(v, 15));
                store64(p->q[b + i][s + 4][g], bits_at(v, 4, 15));
            }
            put_f16(p->d[b + i][g], i ? y : x, 0);
            if (mins)
                put_f16(p->m[b + i][g], i ? y : x, 2);
        }
    }
}

static void
open_q4_0(struct panel512 *p, const uint8_t *const w[16], size_t g,
    size_t chunk, size_t blocks)
{
    open_nibbles(p, w, g, chunk, blocks, 18, Q4_0_QS, 0);
}

static void
open_q4_1(struct panel512 *p, const uint8_t *const w[16], size_t g,
    size_t chunk, size_t blocks)
{
    open_nibbles(p, w, g, chunk, blocks, 20, Q4_1_QS, 1);
}

INLINE void
open_q5(struct panel512 *p, const uint8_t *const w[16], size_t g, size_t chunk,
    size_t blocks, size_t bytes, size_t at, int mins)
{
    const __m512i high = _mm512_set1_epi8(16);

    for (size_t b = 0; b < blocks; b++) {
        const uint8_t *x[16];
        __m512i rows[8];

        blocks_at(x, w, (8 * chunk + b) * bytes);
        UNROLL
        for (size_t i = 0; i < 8; i++) {
            const uint8_t *u = x[low_row(i)] + at, *v = x[low_row(i) + 4] + at;
            __m512i q = nibbles(u + 4, v + 4);

            rows[i] = _mm512_mask_add_epi8(q,
                (uint64_t)block_u32(v) << 32 | block_u32(u), q, high);
        }
        put_codes(p, b, g, rows);
        put_f16(p->d[b][g], x, 0);
        if (mins)
            put_f16(p->m[b][g], x, 2);
    }
}

static void
open_q5_0(struct panel512 *p, const uint8_t *const w[16], size_t g,
    size_t chunk, size_t blocks)
{
    open_q5(p, w, g, chunk, blocks, 22, Q5_0_QH, 0);
}

static void
open_q5_1(struct panel512 *p, const uint8_t *const w[16], size_t g,
    size_t chunk, size_t blocks)
{
    open_q5(p, w, g, chunk, blocks, 24, Q5_1_QH, 1);
}

static void
open_q8_0(struct panel512 *p, const uint8_t *const w[16], size_t g,
    size_t chunk, size_t blocks)
{
    const __m512i flip = _mm512_set1_epi8((char)128);

    for (size_t b = 0; b < blocks; b++) {
        const uint8_t *x[16];
        __m512i rows[8];

        blocks_at(x, w, (8 * chunk + b) * 34);
        UNROLL
        for (size_t i = 0; i < 8; i++)
            rows[i] = _mm512_xor_si512(flip, load_two(
                x[low_row(i)] + Q8_0_QS, x[low_row(i) + 4] + Q8_0_QS));
        put_codes(p, b, g, rows);
        put_f16(p->d[b][g], x, 0);
    }
}

static void
open_iq4_nl(struct panel512 *p, const uint8_t *const w[16], size_t g,
    size_t chunk, size_t blocks)
{
    for (size_t b = 0; b < blocks; b++) {
        const uint8_t *x[16];
        __m512i rows[8];

        blocks_at(x, w, (8 * chunk + b) * 18);
        UNROLL
        for (size_t i = 0; i < 8; i++)
            rows[i] = iq4_lookup(nibbles(x[low_row(i)] + IQ4_NL_QS,
                x[low_row(i) + 4] + IQ4_NL_QS));
        put_codes(p, b, g, rows);
        put_f16(p->d[b][g], x, 0);
    }
}

/* ---- types of 256 ---- */

INLINE __m512i
field(__m512i v, int shift, int mask)
{
    return _mm512_and_si512(_mm512_srlv_epi32(v, _mm512_set1_epi32(shift)),
        _mm512_set1_epi32(mask));
}

INLINE __m512i
high_bits(__m512i v, int shift)
{
    return _mm512_slli_epi32(field(v, shift, 3), 4);
}

/* 32 bytes of each row at `at`, in the order of transpose16. */
INLINE void
rows_at(__m512i rows[8], const uint8_t *const x[16], size_t at)
{
    UNROLL
    for (size_t i = 0; i < 8; i++)
        rows[i] = load_two(x[low_row(i)] + at, x[low_row(i) + 4] + at);
}

INLINE void
put_minimum(struct panel512 *p, size_t g, const uint8_t *const x[16], size_t at)
{
    const __m512 sign = _mm512_set1_ps(-0.0f);

    put_f16(p->m[0][g], x, at);
    _mm512_storeu_ps(p->m[0][g],
        _mm512_xor_ps(_mm512_loadu_ps(p->m[0][g]), sign));
}

/* d, dmin and the packed 6-bit scales and minima of Q4_K and Q5_K. */
INLINE void
open_k4_scales(struct panel512 *p, const uint8_t *const x[16], size_t g)
{
    __m512i s0 = sixteen_u32(x, Q4_K_SC), s1 = sixteen_u32(x, Q4_K_SC + 4);
    __m512i s2 = sixteen_u32(x, Q4_K_SC + 8), mn[8];

    for (int j = 0; j < 4; j++) {
        store64(p->sc[j][0][g], field(s0, 8 * j, 63));
        store64(p->sc[j + 4][0][g], _mm512_or_si512(field(s2, 8 * j, 15),
            high_bits(s0, 8 * j + 6)));
        mn[j] = field(s1, 8 * j, 63);
        mn[j + 4] = _mm512_or_si512(field(s2, 8 * j + 4, 15),
            high_bits(s1, 8 * j + 6));
    }
    for (int j = 0; j < 4; j++)
        put_pair(p->corr[j][g], mn[2 * j], mn[2 * j + 1]);
    put_f16(p->d[0][g], x, Q4_K_D);
    put_minimum(p, g, x, Q4_K_DMIN);
}

static void
open_q4_k(struct panel512 *p, const uint8_t *const w[16], size_t g,
    size_t chunk, size_t blocks)
{
    const uint8_t *x[16];

    (void)blocks;
    blocks_at(x, w, 144 * chunk);
    open_k4_scales(p, x, g);
    for (size_t b = 0; b < 8; b += 2) {
        __m512i rows[8], t[8];

        rows_at(rows, x, Q4_K_QS + 16 * b);
        transpose16(rows, t);
        UNROLL
        for (int s = 0; s < 8; s++) {
            store64(p->q[b][s][g], low_bits(t[s], 15));
            store64(p->q[b + 1][s][g], bits_at(t[s], 4, 15));
        }
    }
}

static void
open_q5_k(struct panel512 *p, const uint8_t *const w[16], size_t g,
    size_t chunk, size_t blocks)
{
    const uint8_t *x[16];
    __m512i high[8], th[8];

    (void)blocks;
    blocks_at(x, w, 176 * chunk);
    open_k4_scales(p, x, g);
    rows_at(high, x, Q5_K_QH);
    transpose16(high, th);
    for (int b = 0; b < 8; b += 2) {
        __m512i rows[8], t[8];

        rows_at(rows, x, Q5_K_QS + 16 * (size_t)b);
        transpose16(rows, t);
        for (int s = 0; s < 8; s++) {
            store64(p->q[b][s][g], _mm512_or_si512(low_bits(t[s], 15),
                _mm512_slli_epi16(bits_at(th[s], b, 1), 4)));
            store64(p->q[b + 1][s][g], _mm512_or_si512(bits_at(t[s], 4, 15),
                _mm512_slli_epi16(bits_at(th[s], b + 1, 1), 4)));
        }
    }
}

static void
open_q6_k(struct panel512 *p, const uint8_t *const w[16], size_t g,
    size_t chunk, size_t blocks)
{
    const uint8_t *x[16];

    (void)blocks;
    blocks_at(x, w, 210 * chunk);
    for (int j = 0; j < 16; j += 2) {
        __m512i v = sixteen_u32(x, Q6_K_SC + (size_t)j / 4 * 4), sc[2];

        for (int i = 0; i < 2; i++) {
            sc[i] = _mm512_srai_epi32(_mm512_sllv_epi32(v,
                _mm512_set1_epi32(24 - 8 * ((j + i) % 4))), 24);
            store64(p->sc[j / 2][i][g], sc[i]);
            sc[i] = _mm512_mullo_epi32(sc[i], _mm512_set1_epi32(-32));
        }
        put_pair(p->corr[j / 2][g], sc[0], sc[1]);
    }
    put_f16(p->d[0][g], x, Q6_K_D);
    for (int n = 0; n < 2; n++) {
        __m512i rows[8], high[8], th[8], t[2][8];

        rows_at(high, x, Q6_K_QH + 32 * (size_t)n);
        transpose16(high, th);
        for (int i = 0; i < 2; i++) {
            rows_at(rows, x, Q6_K_QL + 64 * (size_t)n + 32 * (size_t)i);
            transpose16(rows, t[i]);
        }
        for (int part = 0; part < 4; part++)
            for (int s = 0; s < 8; s++)
                store64(p->q[4 * n + part][s][g], _mm512_or_si512(
                    bits_at(t[part & 1][s], 4 * (part >> 1), 15),
                    _mm512_slli_epi16(bits_at(th[s], 2 * part, 3), 4)));
    }
}

/* Scales in both halves of a row's lane, so that a 16-bit product is one of
 * two codes at once. */
static void
open_q2_k(struct panel512 *p, const uint8_t *const w[16], size_t g,
    size_t chunk, size_t blocks)
{
    const uint8_t *x[16];
    __m512i sc[16], mn[16], v = _mm512_setzero_si512();

    (void)blocks;
    blocks_at(x, w, 84 * chunk);
    for (int j = 0; j < 16; j++) {
        if (j % 4 == 0)
            v = sixteen_u32(x, Q2_K_SC + (size_t)j);
        sc[j] = both(field(v, 8 * (j % 4), 15));
        mn[j] = field(v, 8 * (j % 4) + 4, 15);
    }
    for (int j = 0; j < 8; j++)
        put_pair(p->corr[j][g], mn[2 * j], mn[2 * j + 1]);
    put_f16(p->d[0][g], x, Q2_K_D);
    put_minimum(p, g, x, Q2_K_DMIN);
    for (int n = 0; n < 2; n++) {
        __m512i rows[8], t[8];

        rows_at(rows, x, Q2_K_QS + 32 * (size_t)n);
        transpose16(rows, t);
        /* 15 * 3 does not reach the code beside it */
        for (int j = 4 * n; j < 4 * n + 4; j++)
            for (int s = 0; s < 8; s++)
                store64(p->q[j][s][g], _mm512_mullo_epi16(
                    bits_at(t[s], 2 * (j % 4), 3), sc[2 * j + s / 4]));
    }
}

/* Sixteen scales of Q3_K, one register for each; both halves of a lane. */
INLINE void
k3_scales(__m512i sc[16], const uint8_t *const x[16])
{
    const __m512i low[2] = { sixteen_u32(x, Q3_K_SC),
        sixteen_u32(x, Q3_K_SC + 4) };
    const __m512i hi = sixteen_u32(x, Q3_K_SC + 8);

    for (int j = 0; j < 16; j++) {
        __m512i lo = low[j % 8 / 4];
        __m512i v = _mm512_or_si512(field(lo, 8 * (j % 4) + j / 8 * 4, 15),
            high_bits(hi, 8 * (j % 4) + 2 * (j / 4)));
        sc[j] = both(_mm512_sub_epi32(v, _mm512_set1_epi32(32)));
    }
}

/*
 * Four columns of sixteen rows: scale * (code - 4) + 124, in 0..252, each byte
 * on its own because products may be negative. `bias` is 124 - 4 * scale.
 */
INLINE __m512i
scaled_q3(__m512i codes, __m512i scale, __m512i bias)
{
    __m512i even = _mm512_and_si512(codes, _mm512_set1_epi16(0xff));
    __m512i odd = _mm512_srli_epi16(codes, 8);

    even = _mm512_add_epi16(_mm512_mullo_epi16(even, scale), bias);
    odd = _mm512_add_epi16(_mm512_mullo_epi16(odd, scale), bias);
    return _mm512_or_si512(even, _mm512_slli_epi16(odd, 8));
}

static void
open_q3_k(struct panel512 *p, const uint8_t *const w[16], size_t g,
    size_t chunk, size_t blocks)
{
    const __m512i less = _mm512_set1_epi16(-124);
    const uint8_t *x[16];
    __m512i sc[16], high[8], th[8];

    (void)blocks;
    blocks_at(x, w, 110 * chunk);
    k3_scales(sc, x);
    for (int j = 0; j < 4; j++)
        store64(p->corr[j][g], less);
    put_f16(p->d[0][g], x, Q3_K_D);
    rows_at(high, x, Q3_K_HM);
    transpose16(high, th);
    for (int n = 0; n < 2; n++) {
        __m512i rows[8], t[8];

        rows_at(rows, x, Q3_K_QS + 32 * (size_t)n);
        transpose16(rows, t);
        for (int j = 4 * n; j < 4 * n + 4; j++) {
            for (int s = 0; s < 8; s++) {
                __m512i q = _mm512_or_si512(bits_at(t[s], 2 * (j % 4), 3),
                    _mm512_slli_epi16(bits_at(th[s], j, 1), 2));
                __m512i scale = sc[2 * j + s / 4];
                __m512i bias = _mm512_sub_epi16(_mm512_set1_epi16(124),
                    _mm512_slli_epi16(scale, 2));

                store64(p->q[j][s][g], scaled_q3(q, scale, bias));
            }
        }
    }
}

static void
open_iq4_xs(struct panel512 *p, const uint8_t *const w[16], size_t g,
    size_t chunk, size_t blocks)
{
    const uint8_t *x[16];

    (void)blocks;
    blocks_at(x, w, 136 * chunk);
    put_f16(p->d[0][g], x, IQ4_XS_D);
    for (unsigned j = 0; j < 8; j++) {
        __m512i rows[8];

        for (size_t r = 0; r < 16; r++) {
            int sc = iq4_xs_scale(x[r], j);
            p->sc[j][0][g][r] = sc;
            p->corr[j / 2][g][2 * r + j % 2] = (int16_t)(-128 * sc);
        }
        UNROLL
        for (size_t i = 0; i < 8; i++)
            rows[i] = iq4_lookup(nibbles(x[low_row(i)] + IQ4_XS_QS + 16 * j,
                x[low_row(i) + 4] + IQ4_XS_QS + 16 * j));
        put_codes(p, j, g, rows);
    }
}

panel512_fn *const panel_avx512[QT_COUNT] = {
    [QT_Q8_0] = open_q8_0,
    [QT_Q4_0] = open_q4_0,
    [QT_Q4_1] = open_q4_1,
    [QT_Q5_0] = open_q5_0,
    [QT_Q5_1] = open_q5_1,
    [QT_Q2_K] = open_q2_k,
    [QT_Q3_K] = open_q3_k,
    [QT_Q4_K] = open_q4_k,
    [QT_Q5_K] = open_q5_k,
    [QT_Q6_K] = open_q6_k,
    [QT_IQ4_NL] = open_iq4_nl,
    [QT_IQ4_XS] = open_iq4_xs,
};

#endif
