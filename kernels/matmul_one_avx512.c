/*
 * Products of packed weights with one activation, AVX-512 with VNNI
 *
 * Sixteen rows are taken block by block straight from memory, each row's codes
 * meet the activation's in order, and registers of partial integer sums fold
 * into one of sixteen rows. Integers are exact, so the bits are those of
 * matmul_avx512.c; floats follow the same chain over blocks.
 */
#include "kernels/matmul.h"

#include "kernels/ops.h"

#if defined(__AVX2__)

#include <string.h>

#include "kernels/act.h"
#include "kernels/act_layout.h"
#include "kernels/avx512.h"
#include "kernels/block.h"
#include "kernels/ops_avx512.h"

/* ---- pieces ---- */

/* The same 16-bit number in each quarter of a register. */
INLINE __m512i
quarters(int a, int b, int c, int d)
{
    const int64_t ones = 0x0001000100010001;
    return _mm512_setr_epi64(a * ones, a * ones, b * ones, b * ones, c * ones,
        c * ones, d * ones, d * ones);
}

/* 32 bytes of nibbles, of two rows or sub-blocks, to 64 codes in order. */
INLINE __m512i
nibbles(__m256i v)
{
    const __m512i twice = _mm512_setr_epi64(0, 1, 0, 1, 2, 3, 2, 3);

    return low_bits(_mm512_srlv_epi16(_mm512_permutexvar_epi64(twice,
        _mm512_castsi256_si512(v)), quarters(0, 4, 0, 4)), 15);
}

/* The values of IQ4 codes, 128 too large. */
INLINE __m512i
iq4_lookup(__m512i q)
{
    __m128i table = _mm_xor_si128(load_half(iq4_values),
        _mm_set1_epi8((char)128));
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(table), q);
}

INLINE __m512i
quarter4(const void *a, const void *b, const void *c, const void *d)
{
    return _mm512_inserti64x4(_mm512_castsi256_si512(
        _mm256_set_m128i(load_half(b), load_half(a))),
        _mm256_set_m128i(load_half(d), load_half(c)), 1);
}

/* Lane 4 l + e = sum of the four lanes of quarter l of z[e]. */
INLINE __m512i
fold_quarters(const __m512i z[4])
{
    __m512i a = _mm512_add_epi32(_mm512_unpacklo_epi32(z[0], z[1]),
        _mm512_unpackhi_epi32(z[0], z[1]));
    __m512i b = _mm512_add_epi32(_mm512_unpacklo_epi32(z[2], z[3]),
        _mm512_unpackhi_epi32(z[2], z[3]));

    return _mm512_add_epi32(_mm512_unpacklo_epi64(a, b),
        _mm512_unpackhi_epi64(a, b));
}

/* Of two registers: both halves of a, folded to a quarter each, then of b. */
INLINE __m512i
fold_halves(__m512i a, __m512i b)
{
    return _mm512_add_epi32(_mm512_shuffle_i32x4(a, b, 0x88),
        _mm512_shuffle_i32x4(a, b, 0xdd));
}

INLINE __m512
sixteen_f16(const uint8_t *const x[16], size_t at)
{
    return _mm512_castsi512_ps(_mm512_inserti64x4(_mm512_castsi256_si512(
        _mm256_castps_si256(eight_f16(x, at))),
        _mm256_castps_si256(eight_f16(x + 8, at)), 1));
}

/* s = fma((float)sum, w * a, s) */
INLINE __m512
chain(__m512 s, __m512i sum, __m512 w, __m512 a)
{
    return _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), _mm512_mul_ps(w, a), s);
}

/* ---- types of 32 ---- */

/* 32 codes of two rows each, from their blocks. */
INLINE __m512i
codes_of_two(enum qtype t, const uint8_t *x, const uint8_t *y)
{
    const size_t at = t == QT_Q5_0 ? (size_t)Q5_0_QH : (size_t)Q5_1_QH;
    __m512i q;

    if (t == QT_Q8_0)
        return _mm512_xor_si512(load_two(x + Q8_0_QS, y + Q8_0_QS),
            _mm512_set1_epi8((char)128));
    q = nibbles(_mm256_set_m128i(load_half(y + at + 4),
        load_half(x + at + 4)));
    return _mm512_mask_add_epi8(q,
        (uint64_t)block_u32(y + at) << 32 | block_u32(x + at), q,
        _mm512_set1_epi8(16));
}

/* Sums of sixteen rows, two to a register. */
INLINE __m512i
sums_by_two(enum qtype t, const uint8_t *const x[16], const uint8_t *a)
{
    const __m512i act = _mm512_broadcast_i64x4(load_bytes(a));
    __m512i v[8], z[4];

    UNROLL
    for (size_t i = 0; i < 8; i++)
        v[i] = _mm512_dpbusd_epi32(_mm512_setzero_si512(),
            codes_of_two(t, x[low_row(i)], x[low_row(i) + 4]), act);
    UNROLL
    for (size_t i = 0; i < 4; i++)
        z[i] = fold_halves(v[i], v[i + 4]);
    return fold_quarters(z);
}

/* The same for types of bare nibbles, four to a register. */
INLINE __m512i
sums_by_four(enum qtype t, const uint8_t *const x[16], const uint8_t *a)
{
    const size_t at = t == QT_Q4_1 ? (size_t)Q4_1_QS : (size_t)Q4_0_QS;
    const __m512i low = _mm512_broadcast_i32x4(load_half(a));
    const __m512i high = _mm512_broadcast_i32x4(load_half(a + 16));
    __m512i z[4];

    UNROLL
    for (size_t e = 0; e < 4; e++) {
        __m512i q = quarter4(x[e] + at, x[e + 4] + at, x[e + 8] + at,
            x[e + 12] + at);
        __m512i u = low_bits(q, 15), v = bits_at(q, 4, 15);

        if (t == QT_IQ4_NL) {
            u = iq4_lookup(u);
            v = iq4_lookup(v);
        }
        z[e] = _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(_mm512_setzero_si512(),
            u, low), v, high);
    }
    return fold_quarters(z);
}

/* Sixteen outputs; w[r] are rows. t is a constant at every call. */
INLINE __m512
sixteen_32(enum qtype t, const uint8_t *const w[16], const uint8_t *act,
    size_t cols)
{
    const int off = t == QT_Q4_0 ? 8 : t == QT_Q5_0 ? 16
        : t == QT_Q8_0 || t == QT_IQ4_NL ? 128 : 0;
    const int mins = t == QT_Q4_1 || t == QT_Q5_1;
    const int four = t == QT_Q4_0 || t == QT_Q4_1 || t == QT_IQ4_NL;
    const size_t bytes = t == QT_Q8_0 ? 34 : t == QT_Q4_1 ? 20
        : t == QT_Q5_0 ? 22 : t == QT_Q5_1 ? 24 : 18;
    const uint8_t *d = act + act_off_d(cols), *s = act + act_off_sum(cols, 32);
    __m512 sum = _mm512_setzero_ps();

    for (size_t b = 0; b < cols / 32; b++) {
        const uint8_t *x[16];
        __m512i isum;

        UNROLL
        for (int r = 0; r < 16; r++)
            x[r] = w[r] + b * bytes;
        isum = four ? sums_by_four(t, x, act + 32 * b)
                    : sums_by_two(t, x, act + 32 * b);
        if (off != 0)
            isum = _mm512_sub_epi32(isum, _mm512_mullo_epi32(fill4(s + 4 * b),
                _mm512_set1_epi32(off)));
        sum = chain(sum, isum, sixteen_f16(x, 0), fill_float(d + 4 * b));
        if (mins)
            sum = _mm512_fmadd_ps(sixteen_f16(x, 2), fill_float(s + 4 * b),
                sum);
    }
    return sum;
}

/* ---- types of 256 ---- */

/* An activation's block: codes in the order the type wants, and their sums. */
struct act_block {
    __m512i q[4];
    __m256i sum16;
    __m128i sum32;
};

/* Sub-blocks a and b of 32 activations. */
INLINE __m512i
two_of(const uint8_t *q, int a, int b)
{
    return load_two(q + 32 * a, q + 32 * b);
}

INLINE void
open_act(struct act_block *a, enum qtype t, const uint8_t *act, size_t cols,
    size_t b)
{
    const uint8_t *q = act + 256 * b;

    UNROLL
    for (int i = 0; i < 4; i++)
        a->q[i] = t == QT_Q2_K || t == QT_Q3_K ? two_of(q, i, i + 4)
            : t == QT_Q4_K || t == QT_Q5_K
            ? two_of(q, i / 2 * 4 + i % 2, i / 2 * 4 + i % 2 + 2)
            : load64(q + 64 * i);
    a->sum16 = load_bytes(act + act_off_sum(cols, 256) + 32 * b);
    a->sum32 = load_half(act + act_off_sum32(cols) + 16 * b);
}

/*
 * sum += 64 unsigned codes times register i of the activation, times scales:
 * those numbered in `which`, for 16 columns each.
 */
INLINE __m512i
scaled(__m512i sum, __m512i codes, const struct act_block *a, int i,
    __m512i sc, __m512i which)
{
    return _mm512_dpwssd_epi32(sum, _mm512_maddubs_epi16(codes, a->q[i]),
        _mm512_permutexvar_epi16(which, sc));
}

INLINE __m512i
lower_half(__m256i v)
{
    return _mm512_inserti64x4(_mm512_setzero_si512(), v, 0);
}

/* The two halves of a register shifted right by n and n + step. */
INLINE __m512i
halves_at(__m512i v, int n, int step)
{
    return _mm512_srlv_epi16(v, quarters(n, n, n + step, n + step));
}

/* *m = partial sums of minima times sums of activations. */
INLINE __m512i
row_q45_k(enum qtype t, const uint8_t *b, const struct act_block *a, __m128i *m)
{
    /* scales in the lower half, minima in the upper */
    const __m256i sm = _mm256_cvtepu8_epi16(k4_bytes(b + Q4_K_SC));
    const __m512i sc = _mm512_castsi256_si512(sm);
    const uint8_t *qs = b + (t == QT_Q5_K ? (int)Q5_K_QS : (int)Q4_K_QS);
    __m512i sum = _mm512_setzero_si512();

    *m = _mm_madd_epi16(_mm256_extracti128_si256(sm, 1), a->sum32);
    UNROLL
    for (int h = 0; h < 2; h++) {
        __m512i q = load64(qs + 64 * h);
        __m512i u = low_bits(q, 15), v = bits_at(q, 4, 15);

        if (t == QT_Q5_K) {
            __m512i x = halves_at(_mm512_broadcast_i64x4(
                load_bytes(b + Q5_K_QH)), 4 * h, 2);
            u = _mm512_or_si512(u, bits_up(x, 4, 16));
            v = _mm512_or_si512(v, bits_up(x, 3, 16));
        }
        sum = scaled(sum, u, a, 2 * h, sc,
            quarters(4 * h, 4 * h, 4 * h + 2, 4 * h + 2));
        sum = scaled(sum, v, a, 2 * h + 1, sc,
            quarters(4 * h + 1, 4 * h + 1, 4 * h + 3, 4 * h + 3));
    }
    return sum;
}

/* -2^shift * (16 scales times 16 sums of activations), and sixteen scales. */
INLINE __m512i
offset(__m512i *sc, __m128i scales, const struct act_block *a, int shift)
{
    __m256i s = _mm256_cvtepi8_epi16(scales);
    __m256i v = _mm256_madd_epi16(s, a->sum16);

    *sc = _mm512_castsi256_si512(s);
    return lower_half(_mm256_sub_epi32(_mm256_setzero_si256(),
        _mm256_slli_epi32(v, shift)));
}

INLINE __m512i
row_q6_k(const uint8_t *b, const struct act_block *a)
{
    __m512i sc, sum = offset(&sc, load_half(b + Q6_K_SC), a, 5);

    UNROLL
    for (int n = 0; n < 2; n++) {
        __m512i q = load64(b + Q6_K_QL + 64 * n);
        __m512i x = halves_at(_mm512_broadcast_i64x4(
            load_bytes(b + Q6_K_QH + 32 * n)), 0, 2);
        __m512i u = _mm512_or_si512(low_bits(q, 15), bits_up(x, 4, 48));
        __m512i v = _mm512_or_si512(bits_at(q, 4, 15), low_bits(x, 48));
        int s = 8 * n;

        sum = scaled(sum, u, a, 2 * n, sc, quarters(s, s + 1, s + 2, s + 3));
        sum = scaled(sum, v, a, 2 * n + 1, sc,
            quarters(s + 4, s + 5, s + 6, s + 7));
    }
    return sum;
}

INLINE __m512i
row_q2_k(const uint8_t *b, const struct act_block *a, __m128i *m)
{
    const __m128i s = load_half(b + Q2_K_SC), low = _mm_set1_epi8(15);
    const __m512i sc = _mm512_castsi256_si512(
        _mm256_cvtepu8_epi16(_mm_and_si128(s, low)));
    const __m512i q = load64(b + Q2_K_QS);
    __m256i mn = _mm256_madd_epi16(_mm256_cvtepu8_epi16(
        _mm_and_si128(_mm_srli_epi16(s, 4), low)), a->sum16);
    __m512i sum = _mm512_setzero_si512();

    *m = _mm_add_epi32(_mm256_castsi256_si128(mn),
        _mm256_extracti128_si256(mn, 1));
    UNROLL
    for (int j = 0; j < 4; j++)
        sum = scaled(sum, bits_at(q, 2 * j, 3), a, j, sc,
            quarters(2 * j, 2 * j + 1, 2 * j + 8, 2 * j + 9));
    return sum;
}

INLINE __m512i
row_q3_k(const uint8_t *b, const struct act_block *a)
{
    const __m512i q = load64(b + Q3_K_QS);
    const __m512i hm = halves_at(_mm512_broadcast_i64x4(
        load_bytes(b + Q3_K_HM)), 0, 4);
    __m512i sc, sum = offset(&sc, k3_bytes(b + Q3_K_SC), a, 2);

    UNROLL
    for (int j = 0; j < 4; j++) {
        __m512i high = j < 2 ? bits_up(hm, 2 - j, 4)
                             : bits_at(hm, j - 2, 4);

        sum = scaled(sum,
            _mm512_or_si512(bits_at(q, 2 * j, 3), high), a, j, sc,
            quarters(2 * j, 2 * j + 1, 2 * j + 8, 2 * j + 9));
    }
    return sum;
}

/* Its values need eight bits: sums of 32 bits first, then times scales. */
INLINE __m512i
row_iq4_xs(const uint8_t *b, const struct act_block *a)
{
    const __m256i four = _mm256_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28);
    const __m256i two = _mm256_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14);
    __m256i low = _mm256_and_si256(_mm256_srlv_epi32(spread4(b + IQ4_XS_SL),
        four), _mm256_set1_epi32(15));
    __m256i high = _mm256_and_si256(_mm256_srlv_epi32(_mm256_set1_epi32(
        two_bytes(b + IQ4_XS_SH)), two), _mm256_set1_epi32(3));
    __m256i sc = _mm256_sub_epi32(_mm256_or_si256(low,
        _mm256_slli_epi32(high, 4)), _mm256_set1_epi32(32));
    __m256i more = _mm256_slli_epi32(_mm256_mullo_epi32(sc,
        _mm256_cvtepi16_epi32(a->sum32)), 7);
    __m512i sum = lower_half(_mm256_sub_epi32(_mm256_setzero_si256(), more));

    UNROLL
    for (int i = 0; i < 4; i++) {
        __m512i u = iq4_lookup(nibbles(load_bytes(b + IQ4_XS_QS + 32 * i)));
        __m512i v = _mm512_dpbusd_epi32(_mm512_setzero_si512(), u, a->q[i]);
        __m512i which = _mm512_inserti64x4(_mm512_set1_epi32(2 * i),
            _mm256_set1_epi32(2 * i + 1), 1);

        sum = _mm512_add_epi32(sum, _mm512_mullo_epi32(v,
            _mm512_permutexvar_epi32(which, _mm512_castsi256_si512(sc))));
    }
    return sum;
}

INLINE __m512i
row_256(enum qtype t, const uint8_t *b, const struct act_block *a, __m128i *m)
{
    switch (t) {
    case QT_Q2_K: return row_q2_k(b, a, m);
    case QT_Q3_K: return row_q3_k(b, a);
    case QT_Q4_K: return row_q45_k(QT_Q4_K, b, a, m);
    case QT_Q5_K: return row_q45_k(QT_Q5_K, b, a, m);
    case QT_Q6_K: return row_q6_k(b, a);
    default: return row_iq4_xs(b, a);
    }
}

/* Lane r = sum of all lanes of v[r]. */
INLINE __m512i
fold_rows(const __m512i v[16])
{
    __m512i z[4];

    UNROLL
    for (int e = 0; e < 4; e++) {
        __m512i a = v[e], b = v[4 + e], c = v[8 + e], d = v[12 + e];

        z[e] = fold_halves(
            _mm512_add_epi32(_mm512_shuffle_i32x4(a, b, 0x44),
                _mm512_shuffle_i32x4(a, b, 0xee)),
            _mm512_add_epi32(_mm512_shuffle_i32x4(c, d, 0x44),
                _mm512_shuffle_i32x4(c, d, 0xee)));
    }
    return fold_quarters(z);
}

INLINE __m512i
fold_minima(const __m128i m[16])
{
    __m512i z[4];

    UNROLL
    for (int e = 0; e < 4; e++)
        z[e] = quarter4(&m[e], &m[4 + e], &m[8 + e], &m[12 + e]);
    return fold_quarters(z);
}

INLINE __m512
sixteen_256(enum qtype t, const uint8_t *const w[16], const uint8_t *act,
    size_t cols)
{
    const int mins = t == QT_Q2_K || t == QT_Q4_K || t == QT_Q5_K;
    const size_t bytes = t == QT_Q2_K ? 84 : t == QT_Q3_K ? 110
        : t == QT_Q4_K ? 144 : t == QT_Q5_K ? 176 : t == QT_Q6_K ? 210 : 136;
    const size_t d_at = t == QT_Q2_K ? Q2_K_D : t == QT_Q3_K ? Q3_K_D
        : t == QT_Q6_K ? Q6_K_D : 0;
    __m512 sum = _mm512_setzero_ps();

    for (size_t b = 0; b < cols / 256; b++) {
        __m512 da = fill_float(act + act_off_d(cols) + 4 * b);
        struct act_block a;
        const uint8_t *x[16];
        __m512i v[16];
        __m128i m[16];

        open_act(&a, t, act, cols, b);
        for (int r = 0; r < 16; r++) {
            x[r] = w[r] + b * bytes;
            v[r] = row_256(t, x[r], &a, &m[r]);
        }
        sum = chain(sum, fold_rows(v), sixteen_f16(x, d_at), da);
        if (mins)
            sum = chain(sum, fold_minima(m), _mm512_xor_ps(
                sixteen_f16(x, d_at + 2), _mm512_set1_ps(-0.0f)), da);
    }
    return sum;
}

static __m512
sixteen_rows(enum qtype t, const uint8_t *const w[16], const uint8_t *act,
    size_t cols)
{
    switch (t) {
    case QT_Q8_0: return sixteen_32(QT_Q8_0, w, act, cols);
    case QT_Q4_0: return sixteen_32(QT_Q4_0, w, act, cols);
    case QT_Q4_1: return sixteen_32(QT_Q4_1, w, act, cols);
    case QT_Q5_0: return sixteen_32(QT_Q5_0, w, act, cols);
    case QT_Q5_1: return sixteen_32(QT_Q5_1, w, act, cols);
    case QT_IQ4_NL: return sixteen_32(QT_IQ4_NL, w, act, cols);
    case QT_Q2_K: return sixteen_256(QT_Q2_K, w, act, cols);
    case QT_Q3_K: return sixteen_256(QT_Q3_K, w, act, cols);
    case QT_Q4_K: return sixteen_256(QT_Q4_K, w, act, cols);
    case QT_Q5_K: return sixteen_256(QT_Q5_K, w, act, cols);
    case QT_Q6_K: return sixteen_256(QT_Q6_K, w, act, cols);
    default: return sixteen_256(QT_IQ4_XS, w, act, cols);
    }
}

void
matmul_one_avx512(float *y, const uint8_t *w, enum qtype t, size_t row0,
    size_t row1, size_t cols, const uint8_t *act)
{
    size_t wb = qtype_row_bytes(t, cols);

    for (size_t r = row0; r < row1; r += 16) {
        size_t n = row1 - r;
        const uint8_t *wr[16];

        /* rows that are not there: the last one again, thrown away */
        for (size_t i = 0; i < 16; i++)
            wr[i] = w + (r + (i < n ? i : n - 1)) * wb;
        store_first(y + r, sixteen_rows(t, wr, act, cols), n);
    }
}

#endif
