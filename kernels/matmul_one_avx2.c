/*
 * Products of packed weights with one activation, AVX2
 *
 * For one or two activations opening a panel costs more than the product. Here
 * eight rows are taken block by block straight from memory: each row's codes
 * meet the activation's in order, and eight registers of partial integer sums
 * fold into one of eight rows. Integers are exact, so the bits are those of
 * matmul_avx2.c; floats follow the same chain over blocks.
 */
#include "kernels/matmul.h"

#include "kernels/ops.h"

#if defined(__AVX2__)

#include <string.h>

#include "kernels/act.h"
#include "kernels/act_layout.h"
#include "kernels/avx2.h"
#include "kernels/block.h"
#include "kernels/codes_avx2.h"
#include "kernels/matmul_avx2.h"
#include "kernels/ops_avx2.h"

/* ---- types of 32 ---- */

/* 16-bit pair sums of one block with 32 activation codes. */
INLINE __m256i
pairs_32(enum qtype t, const uint8_t *b, __m256i a)
{
    switch (t) {
    case QT_Q8_0: return signed_pairs(load_bytes(b + Q8_0_QS), a);
    case QT_IQ4_NL: return signed_pairs(iq4_lookup(nibbles(b + IQ4_NL_QS)), a);
    case QT_Q4_0: return _mm256_maddubs_epi16(nibbles(b + Q4_0_QS), a);
    case QT_Q4_1: return _mm256_maddubs_epi16(nibbles(b + Q4_1_QS), a);
    case QT_Q5_0:
        return _mm256_maddubs_epi16(_mm256_or_si256(nibbles(b + Q5_0_QS),
            fifth_bits(b + Q5_0_QH)), a);
    default:
        return _mm256_maddubs_epi16(_mm256_or_si256(nibbles(b + Q5_1_QS),
            fifth_bits(b + Q5_1_QH)), a);
    }
}

/* Eight outputs; w[r] are rows. t is a constant at every call. */
INLINE __m256
eight_32(enum qtype t, const uint8_t *const w[8], const uint8_t *act,
    size_t cols)
{
    const int off = t == QT_Q4_0 ? 8 : t == QT_Q5_0 ? 16 : 0;
    const int mins = t == QT_Q4_1 || t == QT_Q5_1;
    const size_t bytes = t == QT_Q8_0 ? 34 : t == QT_Q4_1 ? 20
        : t == QT_Q5_0 ? 22 : t == QT_Q5_1 ? 24 : 18;
    const __m256i one = _mm256_set1_epi16(1);
    const uint8_t *d = act + act_off_d(cols), *s = act + act_off_sum(cols, 32);
    __m256 sum = _mm256_setzero_ps();

    for (size_t b = 0; b < cols / 32; b++) {
        __m256i a = load_bytes(act + 32 * b), v[8], isum;
        __m256 da = spread_float(d + 4 * b);
        const uint8_t *x[8];

        UNROLL
        for (int r = 0; r < 8; r++) {
            x[r] = w[r] + b * bytes;
            v[r] = _mm256_madd_epi16(pairs_32(t, x[r], a), one);
        }
        isum = fold_rows(v);
        if (off != 0) {
            int32_t total;
            memcpy(&total, s + 4 * b, 4);
            isum = _mm256_sub_epi32(isum, _mm256_set1_epi32(off * total));
        }
        sum = chain(sum, isum, eight_f16(x, 0), da);
        if (mins)
            sum = _mm256_fmadd_ps(eight_f16(x, 2), spread_float(s + 4 * b),
                sum);
    }
    return sum;
}

/* ---- types of 256 ---- */

/* An activation's block: codes, and its sums by 16 and by 32. */
struct act_block {
    const uint8_t *q;
    __m256i sum16; /* of types that correct by 16 */
    __m128i sum32;
};

/* sum += pairs of (unsigned codes, activations of sub-block j) * scale */
INLINE __m256i
scaled(__m256i sum, __m256i codes, const struct act_block *a, int j,
    __m256i scale)
{
    __m256i p = _mm256_maddubs_epi16(codes, load_bytes(a->q + 32 * j));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(p, scale));
}

/* 16-bit number j of eight, in all lanes. */
INLINE __m256i
spread16(__m256i v, int j)
{
    return _mm256_shuffle_epi8(v,
        _mm256_set1_epi16((short)((2 * j + 1) << 8 | 2 * j)));
}

/* Signed byte 2j in the low half, byte 2j + 1 in the high half, as 16 bits. */
INLINE __m256i
spread_two(__m128i v, int j)
{
    const int64_t ones = 0x0101010101010101;
    return _mm256_cvtepi8_epi16(_mm_shuffle_epi8(v,
        _mm_set_epi64x((2 * j + 1) * ones, 2 * j * ones)));
}

/* *m = partial sums of minima times sums of activations. */
INLINE __m256i
row_q4_k(const uint8_t *b, const struct act_block *a, __m256i *m)
{
    /* scales in the lower half, minima in the upper */
    __m256i sm = _mm256_cvtepu8_epi16(k4_bytes(b + Q4_K_SC));
    __m256i sc = _mm256_permute4x64_epi64(sm, 0x44);
    __m256i sum = _mm256_setzero_si256();

    *m = _mm256_zextsi128_si256(_mm_madd_epi16(
        _mm256_extracti128_si256(sm, 1), a->sum32));
#define TWO(j) do { \
        __m256i q = load_bytes(b + Q4_K_QS + 16 * (j)); \
        sum = scaled(sum, low_bits(q, 15), a, j, spread16(sc, j)); \
        sum = scaled(sum, bits_at(q, 4, 15), a, (j) + 1, \
            spread16(sc, (j) + 1)); \
    } while (0)
    TWO(0);
    TWO(2);
    TWO(4);
    TWO(6);
#undef TWO
    return sum;
}

INLINE __m256i
row_q5_k(const uint8_t *b, const struct act_block *a, __m256i *m)
{
    /* scales in the lower half, minima in the upper */
    __m256i sm = _mm256_cvtepu8_epi16(k4_bytes(b + Q5_K_SC));
    __m256i sc = _mm256_permute4x64_epi64(sm, 0x44);
    __m256i sum = _mm256_setzero_si256();
    __m256i qh = load_bytes(b + Q5_K_QH);

    *m = _mm256_zextsi128_si256(_mm_madd_epi16(
        _mm256_extracti128_si256(sm, 1), a->sum32));
#define FIFTH(j) _mm256_slli_epi16(bits_at(qh, j, 1), 4)
#define TWO(j) do { \
        __m256i q = load_bytes(b + Q5_K_QS + 16 * (j)); \
        sum = scaled(sum, _mm256_or_si256(low_bits(q, 15), FIFTH(j)), a, j, \
            spread16(sc, j)); \
        sum = scaled(sum, _mm256_or_si256(bits_at(q, 4, 15), \
            FIFTH((j) + 1)), a, (j) + 1, spread16(sc, (j) + 1)); \
    } while (0)
    TWO(0);
    TWO(2);
    TWO(4);
    TWO(6);
#undef TWO
#undef FIFTH
    return sum;
}

/* sum - 2^shift * (16 scales times 16 sums of activations) */
INLINE __m256i
less_offset(__m256i sum, __m128i sc, const struct act_block *a, int shift)
{
    __m256i v = _mm256_madd_epi16(_mm256_cvtepi8_epi16(sc), a->sum16);
    return _mm256_sub_epi32(sum, _mm256_slli_epi32(v, shift));
}

INLINE __m256i
row_q6_k(const uint8_t *b, const struct act_block *a, __m256i *m)
{
    __m128i sc = load_half(b + Q6_K_SC);
    __m256i sum = less_offset(_mm256_setzero_si256(), sc, a, 5);

    (void)m;
#define HIGH(v, shift) _mm256_slli_epi16(bits_at(v, shift, 3), 4)
#define FOUR(n) do { \
        __m256i q0 = load_bytes(b + Q6_K_QL + 64 * (n)); \
        __m256i q1 = load_bytes(b + Q6_K_QL + 64 * (n) + 32); \
        __m256i qh = load_bytes(b + Q6_K_QH + 32 * (n)); \
        sum = scaled(sum, _mm256_or_si256(low_bits(q0, 15), HIGH(qh, 0)), a, \
            4 * (n), spread_two(sc, 4 * (n))); \
        sum = scaled(sum, _mm256_or_si256(low_bits(q1, 15), HIGH(qh, 2)), a, \
            4 * (n) + 1, spread_two(sc, 4 * (n) + 1)); \
        sum = scaled(sum, _mm256_or_si256(bits_at(q0, 4, 15), HIGH(qh, 4)), \
            a, 4 * (n) + 2, spread_two(sc, 4 * (n) + 2)); \
        sum = scaled(sum, _mm256_or_si256(bits_at(q1, 4, 15), HIGH(qh, 6)), \
            a, 4 * (n) + 3, spread_two(sc, 4 * (n) + 3)); \
    } while (0)
    FOUR(0);
    FOUR(1);
#undef FOUR
#undef HIGH
    return sum;
}

INLINE __m256i
row_q2_k(const uint8_t *b, const struct act_block *a, __m256i *m)
{
    __m128i s = load_half(b + Q2_K_SC), low = _mm_set1_epi8(15);
    __m128i sc = _mm_and_si128(s, low);
    __m128i mn = _mm_and_si128(_mm_srli_epi16(s, 4), low);
    __m256i sum = _mm256_setzero_si256();

    *m = _mm256_madd_epi16(_mm256_cvtepi8_epi16(mn), a->sum16);
#define FOUR(n) do { \
        __m256i q = load_bytes(b + Q2_K_QS + 32 * (n)); \
        sum = scaled(sum, low_bits(q, 3), a, 4 * (n), \
            spread_two(sc, 4 * (n))); \
        sum = scaled(sum, bits_at(q, 2, 3), a, 4 * (n) + 1, \
            spread_two(sc, 4 * (n) + 1)); \
        sum = scaled(sum, bits_at(q, 4, 3), a, 4 * (n) + 2, \
            spread_two(sc, 4 * (n) + 2)); \
        sum = scaled(sum, bits_at(q, 6, 3), a, 4 * (n) + 3, \
            spread_two(sc, 4 * (n) + 3)); \
    } while (0)
    FOUR(0);
    FOUR(1);
#undef FOUR
    return sum;
}

INLINE __m256i
row_q3_k(const uint8_t *b, const struct act_block *a, __m256i *m)
{
    __m128i sc = k3_bytes(b + Q3_K_SC);
    __m256i sum = less_offset(_mm256_setzero_si256(), sc, a, 2);
    __m256i hm = load_bytes(b + Q3_K_HM);

    (void)m;
#define HIGH(j) _mm256_slli_epi16(bits_at(hm, j, 1), 2)
#define FOUR(n) do { \
        __m256i q = load_bytes(b + Q3_K_QS + 32 * (n)); \
        sum = scaled(sum, _mm256_or_si256(low_bits(q, 3), HIGH(4 * (n))), \
            a, 4 * (n), spread_two(sc, 4 * (n))); \
        sum = scaled(sum, _mm256_or_si256(bits_at(q, 2, 3), \
            HIGH(4 * (n) + 1)), a, 4 * (n) + 1, spread_two(sc, 4 * (n) + 1)); \
        sum = scaled(sum, _mm256_or_si256(bits_at(q, 4, 3), \
            HIGH(4 * (n) + 2)), a, 4 * (n) + 2, spread_two(sc, 4 * (n) + 2)); \
        sum = scaled(sum, _mm256_or_si256(bits_at(q, 6, 3), \
            HIGH(4 * (n) + 3)), a, 4 * (n) + 3, spread_two(sc, 4 * (n) + 3)); \
    } while (0)
    FOUR(0);
    FOUR(1);
#undef FOUR
#undef HIGH
    return sum;
}

INLINE __m256i
row_iq4_xs(const uint8_t *b, const struct act_block *a, __m256i *m)
{
    __m256i sum = _mm256_setzero_si256();

    (void)m;
    for (unsigned j = 0; j < 8; j++) {
        __m256i w = iq4_lookup(nibbles(b + IQ4_XS_QS + 16 * j));
        __m256i p = signed_pairs(w, load_bytes(a->q + 32 * j));
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(p,
            _mm256_set1_epi16((short)iq4_xs_scale(b, j))));
    }
    return sum;
}

INLINE __m256i
row_256(enum qtype t, const uint8_t *b, const struct act_block *a, __m256i *m)
{
    switch (t) {
    case QT_Q2_K: return row_q2_k(b, a, m);
    case QT_Q3_K: return row_q3_k(b, a, m);
    case QT_Q4_K: return row_q4_k(b, a, m);
    case QT_Q5_K: return row_q5_k(b, a, m);
    case QT_Q6_K: return row_q6_k(b, a, m);
    default: return row_iq4_xs(b, a, m);
    }
}

INLINE __m256
eight_256(enum qtype t, const uint8_t *const w[8], const uint8_t *act,
    size_t cols)
{
    const int mins = t == QT_Q2_K || t == QT_Q4_K || t == QT_Q5_K;
    const size_t bytes = t == QT_Q2_K ? 84 : t == QT_Q3_K ? 110
        : t == QT_Q4_K ? 144 : t == QT_Q5_K ? 176 : t == QT_Q6_K ? 210 : 136;
    const size_t d_at = t == QT_Q2_K ? Q2_K_D : t == QT_Q3_K ? Q3_K_D
        : t == QT_Q6_K ? Q6_K_D : 0;
    __m256 sum = _mm256_setzero_ps();

    for (size_t b = 0; b < cols / 256; b++) {
        struct act_block a = { act + 256 * b,
            load_bytes(act + act_off_sum(cols, 256) + 32 * b),
            load_half(act + act_off_sum32(cols) + 16 * b) };
        __m256 da = spread_float(act + act_off_d(cols) + 4 * b);
        __m256i v[8], m[8];
        const uint8_t *x[8];

        UNROLL
        for (int r = 0; r < 8; r++) {
            x[r] = w[r] + b * bytes;
            v[r] = row_256(t, x[r], &a, &m[r]);
        }
        sum = chain(sum, fold_rows(v), eight_f16(x, d_at), da);
        if (mins)
            sum = chain(sum, fold_rows(m), _mm256_xor_ps(
                eight_f16(x, d_at + 2), _mm256_set1_ps(-0.0f)), da);
    }
    return sum;
}

static __m256
eight_rows(enum qtype t, const uint8_t *const w[8], const uint8_t *act,
    size_t cols)
{
    switch (t) {
    case QT_Q8_0: return eight_32(QT_Q8_0, w, act, cols);
    case QT_Q4_0: return eight_32(QT_Q4_0, w, act, cols);
    case QT_Q4_1: return eight_32(QT_Q4_1, w, act, cols);
    case QT_Q5_0: return eight_32(QT_Q5_0, w, act, cols);
    case QT_Q5_1: return eight_32(QT_Q5_1, w, act, cols);
    case QT_IQ4_NL: return eight_32(QT_IQ4_NL, w, act, cols);
    case QT_Q2_K: return eight_256(QT_Q2_K, w, act, cols);
    case QT_Q3_K: return eight_256(QT_Q3_K, w, act, cols);
    case QT_Q4_K: return eight_256(QT_Q4_K, w, act, cols);
    case QT_Q5_K: return eight_256(QT_Q5_K, w, act, cols);
    case QT_Q6_K: return eight_256(QT_Q6_K, w, act, cols);
    default: return eight_256(QT_IQ4_XS, w, act, cols);
    }
}

void
matmul_one_avx2(float *y, const uint8_t *w, enum qtype t, size_t row0,
    size_t row1, size_t cols, const uint8_t *act)
{
    size_t wb = qtype_row_bytes(t, cols);

    for (size_t r = row0; r < row1; r += 8) {
        size_t n = row1 - r;
        const uint8_t *wr[8];

        /* rows that are not there: the last one again, thrown away */
        for (size_t i = 0; i < 8; i++)
            wr[i] = w + (r + (i < n ? i : n - 1)) * wb;
        store_some(y + r, eight_rows(t, wr, act, cols), n);
    }
}

#endif
