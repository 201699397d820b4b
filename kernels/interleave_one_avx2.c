/*
 * Products of interleaved weights with one activation, AVX2
 *
 * The work of decoding, meant to run at the speed of memory. Two groups of
 * eight rows go together, so that an activation is spread once for sixteen
 * rows; one output is one lane from the first column to the last. The
 * processor's own foresight leaves a third of memory's speed unused, so lines
 * are asked for AHEAD of their use.
 */
#include "kernels/interleave.h"

#include "kernels/ops.h"

#if defined(__AVX2__)

#include "kernels/act.h"
#include "kernels/act_layout.h"
#include "kernels/block.h"
#include "kernels/codes_avx2.h"
#include "kernels/interleave_avx2.h"
#include "kernels/matmul_avx2.h"

enum {
    PAIR = 2,     /* groups of packed types that go together */
    AHEAD = 16384 /* bytes of a stream: what memory brings in its latency */
};

/*
 * Groups that go together: stream g of n reads on at w[g] and, at its end, skips
 * what the others have read.
 */
struct streams {
    const uint8_t *const *w;
    size_t n, bytes; /* of a group */
};

/* Asks for what is read AHEAD of bytes [at, at + bytes) of every group. */
INLINE void
fetch(const struct streams *s, size_t at, size_t bytes)
{
    size_t skip = at + AHEAD < s->bytes ? 0 : (s->n - 1) * s->bytes;

    UNROLL
    for (size_t g = 0; g < s->n; g++)
        for (size_t i = 0; i < bytes; i += 64)
            _mm_prefetch((const char *)((uintptr_t)s->w[g] + at + AHEAD +
                skip + i), _MM_HINT_T1);
}

INLINE __m256i
add_pairs(__m256i c, __m256i w, __m256i x)
{
    return _mm256_add_epi16(c, _mm256_maddubs_epi16(w, x));
}

/* ---- types of 32 ---- */

INLINE void
pair_q8_0(__m256 s[PAIR], const uint8_t *const w[PAIR], const uint8_t *act,
    size_t cols)
{
    const struct streams all = { w, PAIR, cols / 32 * 272 };
    const __m256i one = _mm256_set1_epi16(1);
    const uint8_t *d = act + act_off_d(cols);

    for (size_t b = 0; b < cols / 32; b++) {
        __m256i sum[PAIR] = { _mm256_setzero_si256(), _mm256_setzero_si256() };

        fetch(&all, 272 * b, 272);
        UNROLL
        for (size_t k = 0; k < 8; k++) {
            __m256i x = spread4(act + 32 * b + 4 * k);

            UNROLL
            for (int g = 0; g < PAIR; g++)
                sum[g] = _mm256_add_epi32(sum[g], _mm256_madd_epi16(
                    signed_pairs(load_bytes(w[g] + 272 * b + 16 + 32 * k), x),
                    one));
        }
        UNROLL
        for (int g = 0; g < PAIR; g++)
            s[g] = chain(s[g], sum[g], side_f16(w[g] + 272 * b),
                spread_float(d + 4 * b));
    }
}

/* Eight maddubs results of 4-bit codes fit 16 bits: 8 * 2 * 15 * 127. */
INLINE void
pair_q4_0(__m256 s[PAIR], const uint8_t *const w[PAIR], const uint8_t *act,
    size_t cols)
{
    const struct streams all = { w, PAIR, cols / 32 * 144 };
    const __m256i one = _mm256_set1_epi16(1);
    const uint8_t *d = act + act_off_d(cols);
    const uint8_t *total = act + act_off_sum(cols, 32);

    for (size_t b = 0; b < cols / 32; b++) {
        __m256i c[PAIR] = { _mm256_setzero_si256(), _mm256_setzero_si256() };
        __m256i off = _mm256_slli_epi32(spread4(total + 4 * b), 3);

        fetch(&all, 144 * b, 144);
        UNROLL
        for (size_t k = 0; k < 4; k++) {
            __m256i x = spread4(act + 32 * b + 4 * k);
            __m256i z = spread4(act + 32 * b + 16 + 4 * k);

            UNROLL
            for (int g = 0; g < PAIR; g++) {
                __m256i q = load_bytes(w[g] + 144 * b + 16 + 32 * k);

                c[g] = add_pairs(c[g], low_bits(q, 15), x);
                c[g] = add_pairs(c[g], bits_at(q, 4, 15), z);
            }
        }
        UNROLL
        for (int g = 0; g < PAIR; g++)
            s[g] = chain(s[g], _mm256_sub_epi32(_mm256_madd_epi16(c[g], one),
                off), side_f16(w[g] + 144 * b), spread_float(d + 4 * b));
    }
}

/* ---- types of 256 ---- */

/* The 6-bit scales and minima of Q4_K of eight rows, four to a lane. */
struct k4 {
    __m256i sc[2], mn[2];
};

INLINE struct k4
k4_scales(const uint8_t *sc)
{
    const __m256i six = _mm256_set1_epi8(63), four = _mm256_set1_epi8(15);
    const __m256i two = _mm256_set1_epi8(0x30);
    __m256i u0 = load_bytes(sc), u1 = load_bytes(sc + 32);
    __m256i u2 = load_bytes(sc + 64);

    return (struct k4){
        { _mm256_and_si256(u0, six),
            _mm256_or_si256(_mm256_and_si256(u2, four),
                _mm256_and_si256(_mm256_srli_epi16(u0, 2), two)) },
        { _mm256_and_si256(u1, six),
            _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(u2, 4), four),
                _mm256_and_si256(_mm256_srli_epi16(u1, 2), two)) }
    };
}

/* Bytes i and j of each lane as two unsigned numbers of 16 bits. */
INLINE __m256i
two_of(__m256i v, int i, int j)
{
    const __m256i lane = _mm256_setr_epi32(0, 0x00040004, 0x00080008,
        0x000c000c, 0, 0x00040004, 0x00080008, 0x000c000c);

    return _mm256_shuffle_epi8(v, _mm256_add_epi8(lane,
        _mm256_set1_epi32((int)(0x80008000u | (unsigned)j << 16 |
            (unsigned)i))));
}

/* Minima times sums of activations, exact. */
INLINE __m256i
minima(const struct k4 *k, const uint8_t *sum32)
{
    __m256i v = _mm256_madd_epi16(two_of(k->mn[0], 0, 1), spread4(sum32));

    v = _mm256_add_epi32(v, _mm256_madd_epi16(two_of(k->mn[0], 2, 3),
        spread4(sum32 + 4)));
    v = _mm256_add_epi32(v, _mm256_madd_epi16(two_of(k->mn[1], 0, 1),
        spread4(sum32 + 8)));
    return _mm256_add_epi32(v, _mm256_madd_epi16(two_of(k->mn[1], 2, 3),
        spread4(sum32 + 12)));
}

/*
 * Sub-blocks 2j and 2j + 1 of both groups; sc: their scales. The loop is not
 * unrolled: compilers would keep more in hand than there are registers.
 */
INLINE void
two_q4_k(__m256i sum[PAIR], const uint8_t *const qs[PAIR],
    __m256i sc[PAIR][8], const uint8_t *x, size_t j)
{
    __m256i lo[PAIR], hi[PAIR];

    UNROLL
    for (int g = 0; g < PAIR; g++)
        lo[g] = hi[g] = _mm256_setzero_si256();
    for (size_t i = 0; i < 8; i++) {
        __m256i x0 = spread4(x + 64 * j + 4 * i);
        __m256i x1 = spread4(x + 64 * j + 32 + 4 * i);

        UNROLL
        for (int g = 0; g < PAIR; g++) {
            __m256i q = load_bytes(qs[g] + 256 * j + 32 * i);

            lo[g] = add_pairs(lo[g], low_bits(q, 15), x0);
            hi[g] = add_pairs(hi[g], bits_at(q, 4, 15), x1);
        }
    }
    UNROLL
    for (int g = 0; g < PAIR; g++) {
        sum[g] = _mm256_add_epi32(sum[g], _mm256_madd_epi16(lo[g],
            sc[g][2 * j]));
        sum[g] = _mm256_add_epi32(sum[g], _mm256_madd_epi16(hi[g],
            sc[g][2 * j + 1]));
    }
}

INLINE void
pair_q4_k(__m256 s[PAIR], const uint8_t *const w[PAIR], const uint8_t *act,
    size_t cols)
{
    const uint8_t *d = act + act_off_d(cols), *sums = act + act_off_sum32(cols);
    const struct streams all = { w, PAIR, cols / 256 * 1152 };

    for (size_t b = 0; b < cols / 256; b++) {
        __m256i sum[PAIR] = { _mm256_setzero_si256(), _mm256_setzero_si256() };
        const uint8_t *at[PAIR], *qs[PAIR];
        __m256i low[PAIR], sc[PAIR][8];

        UNROLL
        for (int g = 0; g < PAIR; g++) {
            struct k4 k;

            at[g] = w[g] + 1152 * b;
            qs[g] = at[g] + SIDE_Q4_K_QS;
            k = k4_scales(at[g] + SIDE_Q4_K_SC);
            UNROLL
            for (int i = 0; i < 8; i++)
                sc[g][i] = two_of(k.sc[i / 4], i % 4, i % 4);
            low[g] = minima(&k, sums + 16 * b);
        }
        for (size_t j = 0; j < 4; j++) {
            fetch(&all, 1152 * b + 288 * j, 288);
            two_q4_k(sum, qs, sc, act + 256 * b, j);
        }
        UNROLL
        for (int g = 0; g < PAIR; g++) {
            __m256 a = spread_float(d + 4 * b);

            s[g] = chain(s[g], sum[g], side_f16(at[g] + SIDE_Q4_K_D), a);
            s[g] = chain(s[g], low[g], _mm256_xor_ps(
                side_f16(at[g] + SIDE_Q4_K_DMIN), _mm256_set1_ps(-0.0f)), a);
        }
    }
}

/* Byte i of each lane, with its sign, twice. */
INLINE __m256i
scale_q6_k(__m256i sc, int i)
{
    __m256i v = _mm256_srai_epi32(_mm256_slli_epi32(sc, 24 - 8 * i), 24);

    return _mm256_blend_epi16(v, _mm256_slli_epi32(v, 16), 0xaa);
}

/*
 * Sixteen columns of each of the four parts of half n: columns 16 h + 0..15 of
 * every 32. Codes of 6 bits: two maddubs results fit 16 bits.
 */
INLINE __m256i
quarter_q6_k(const uint8_t *b, const uint8_t *x, int n, int h)
{
    __m256i c[4][2], sum = _mm256_setzero_si256();
    __m256i sc[2] = { load_bytes(b + SIDE_Q6_K_SC + 64 * n),
        load_bytes(b + SIDE_Q6_K_SC + 64 * n + 32) };

    UNROLL
    for (int i = 0; i < 4; i++) {
        int k = 4 * h + i;
        const uint8_t *q = b + SIDE_Q6_K_Q + 96 * (8 * n + k);
        __m256i q0 = load_bytes(q), q1 = load_bytes(q + 32);
        __m256i qh = load_bytes(q + 64);
        const uint8_t *a = x + 128 * n + 4 * k;
        __m256i v[4] = {
            _mm256_or_si256(low_bits(q0, 15),
                low_bits(_mm256_slli_epi16(qh, 4), 0x30)),
            _mm256_or_si256(low_bits(q1, 15),
                low_bits(_mm256_slli_epi16(qh, 2), 0x30)),
            _mm256_or_si256(bits_at(q0, 4, 15), low_bits(qh, 0x30)),
            _mm256_or_si256(bits_at(q1, 4, 15),
                low_bits(_mm256_srli_epi16(qh, 2), 0x30)) };

        UNROLL
        for (int p = 0; p < 4; p++) {
            __m256i m = _mm256_maddubs_epi16(v[p], spread4(a + 32 * p));

            c[p][i / 2] = i % 2 ? _mm256_add_epi16(c[p][i / 2], m) : m;
        }
    }
    UNROLL
    for (int p = 0; p < 4; p++) {
        __m256i scale = scale_q6_k(sc[p / 2], 2 * (p % 2) + h);

        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(c[p][0], scale));
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(c[p][1], scale));
    }
    return sum;
}

/* 32 times the scales times the sums of activations, which codes have extra. */
INLINE __m256i
extra_q6_k(const uint8_t *sc, const uint8_t *sum16)
{
    __m256i v = _mm256_setzero_si256();

    UNROLL
    for (int j = 0; j < 4; j++) {
        __m256i s = load_bytes(sc + 32 * j);
        __m256i even = _mm256_srai_epi16(_mm256_slli_epi16(s, 8), 8);
        __m256i odd = _mm256_srai_epi16(s, 8);
        /* bytes 0, 2 of a lane meet sums 0, 2; bytes 1, 3 sums 1, 3 */
        __m256i a = spread4(sum16 + 8 * j), c = spread4(sum16 + 8 * j + 4);

        v = _mm256_add_epi32(v, _mm256_madd_epi16(even, _mm256_blend_epi16(a,
            _mm256_slli_epi32(c, 16), 0xaa)));
        v = _mm256_add_epi32(v, _mm256_madd_epi16(odd, _mm256_blend_epi16(
            _mm256_srli_epi32(a, 16), c, 0xaa)));
    }
    return _mm256_slli_epi32(v, 5);
}

INLINE void
pair_q6_k(__m256 s[PAIR], const uint8_t *const w[PAIR], const uint8_t *act,
    size_t cols)
{
    const struct streams all = { w, PAIR, cols / 256 * 1680 };
    const uint8_t *d = act + act_off_d(cols);
    const uint8_t *sums = act + act_off_sum(cols, 256);

    for (size_t b = 0; b < cols / 256; b++) {
        const uint8_t *x = act + 256 * b;

        for (int g = 0; g < PAIR; g++) {
            const uint8_t *at = w[g] + 1680 * b;
            __m256i sum = extra_q6_k(at + SIDE_Q6_K_SC, sums + 32 * b);

            sum = _mm256_sub_epi32(_mm256_setzero_si256(), sum);
            UNROLL
            for (int j = 0; j < 4; j++) {
                fetch(&all, 1680 * b + 840 * (size_t)g + 210 * (size_t)j, 210);
                sum = _mm256_add_epi32(sum, quarter_q6_k(at, x, j / 2, j % 2));
            }
            s[g] = chain(s[g], sum, side_f16(at + SIDE_Q6_K_D),
                spread_float(d + 4 * b));
        }
    }
}

static void
pair_packed(__m256 s[PAIR], enum qtype t, const uint8_t *const w[PAIR],
    const uint8_t *act, size_t cols)
{
    s[0] = s[1] = _mm256_setzero_ps();
    switch (t) {
    case QT_Q8_0: pair_q8_0(s, w, act, cols); break;
    case QT_Q4_0: pair_q4_0(s, w, act, cols); break;
    case QT_Q4_K: pair_q4_k(s, w, act, cols); break;
    default: pair_q6_k(s, w, act, cols); break;
    }
}

/* ---- float types ---- */

enum { FOUR = 4 }; /* groups that go together: a chain of fma has latency */

/* Eight weights of a column. */
INLINE __m256
column(enum qtype t, const uint8_t *w, size_t c)
{
    if (t == QT_F32)
        return _mm256_loadu_ps((const float *)(const void *)(w + 32 * c));
    if (t == QT_F16)
        return side_f16(w + 16 * c);
    return _mm256_castsi256_ps(_mm256_slli_epi32(
        _mm256_cvtepu16_epi32(load_half(w + 16 * c)), 16));
}

INLINE void
four_floats(__m256 s[FOUR], enum qtype t, const uint8_t *const w[FOUR],
    const float *x, size_t cols)
{
    const size_t unit = t == QT_F32 ? 32 : 16; /* bytes of a column */
    const struct streams all = { w, FOUR, unit * cols };

    UNROLL
    for (int g = 0; g < FOUR; g++)
        s[g] = _mm256_setzero_ps();
    for (size_t c = 0; c < cols; c += 256) {
        size_t end = cols - c < 256 ? cols : c + 256;
        __m256 p[FOUR];

        UNROLL
        for (int g = 0; g < FOUR; g++)
            p[g] = _mm256_setzero_ps();
        for (size_t k = c; k < end; k++) {
            __m256 v = _mm256_broadcast_ss(x + k);

            if (k % 4 == 0)
                fetch(&all, unit * k, 4 * unit);
            UNROLL
            for (int g = 0; g < FOUR; g++)
                p[g] = _mm256_fmadd_ps(column(t, w[g], k), v, p[g]);
        }
        UNROLL
        for (int g = 0; g < FOUR; g++)
            s[g] = _mm256_add_ps(s[g], p[g]);
    }
}

static void
four_groups(__m256 s[FOUR], enum qtype t, const uint8_t *const w[FOUR],
    const uint8_t *act, size_t cols)
{
    const float *x = (const float *)(const void *)act;

    if (t == QT_F32)
        four_floats(s, QT_F32, w, x, cols);
    else if (t == QT_F16)
        four_floats(s, QT_F16, w, x, cols);
    else
        four_floats(s, QT_BF16, w, x, cols);
}

void
matmul_one_side_avx2(float *y, const uint8_t *w, enum qtype t, size_t row0,
    size_t row1, size_t cols, const uint8_t *act)
{
    size_t wb = qtype_row_bytes(t, cols);
    size_t groups = qtype_info(t)->act == ACT_F32 ? FOUR : PAIR;

    for (size_t r = row0; r < row1; r += INTERLEAVE * groups) {
        const uint8_t *at[FOUR];
        __m256 s[FOUR];
        size_t last = (row1 - r) / INTERLEAVE - 1;

        /* groups that are not there: the last one again, thrown away */
        for (size_t g = 0; g < groups; g++)
            at[g] = w + (r + INTERLEAVE * (g < last ? g : last)) * wb;
        if (groups == FOUR)
            four_groups(s, t, at, act, cols);
        else
            pair_packed(s, t, at, act, cols);
        for (size_t g = 0; g < groups && g <= last; g++)
            _mm256_storeu_ps(y + r + INTERLEAVE * g, s[g]);
    }
}

#endif
