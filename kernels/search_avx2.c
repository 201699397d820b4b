#include "kernels/search_avx2.h"

#include "kernels/ops.h"

#if defined(__AVX2__)

#include "kernels/avx2.h"
#include "kernels/block.h"

#define INLINE static inline __attribute__((always_inline))

INLINE __m256
all(float v)
{
    return _mm256_set1_ps(v);
}

INLINE __m256
mul(__m256 a, __m256 b)
{
    return _mm256_mul_ps(a, b);
}

INLINE __m256
add(__m256 a, __m256 b)
{
    return _mm256_add_ps(a, b);
}

INLINE __m256
sub(__m256 a, __m256 b)
{
    return _mm256_sub_ps(a, b);
}

INLINE __m256
magnitude(__m256 v)
{
    return _mm256_andnot_ps(all(-0.0f), v);
}

INLINE __m256
greater(__m256 a, __m256 b)
{
    return _mm256_cmp_ps(a, b, _CMP_GT_OQ);
}

/* mask ? a : b */
INLINE __m256
pick(__m256 mask, __m256 a, __m256 b)
{
    return _mm256_blendv_ps(b, a, mask);
}

/* nearest() within [lo, hi] as floats, for |v| < 2^22. */
INLINE __m256
round_clamp(__m256 v, float lo, float hi)
{
    __m256 t = sub(add(v, all(12582912.0f)), all(12582912.0f));
    return _mm256_min_ps(_mm256_max_ps(t, all(lo)), all(hi));
}

void
lanes_load(__m256 *x, const float *const block[8], int n)
{
    for (int i = 0; i < n; i += 8) {
        __m256i rows[8], cols[8];

        UNROLL
        for (int r = 0; r < 8; r++)
            rows[r] = load_bytes(block[r] + i);
        transpose8(rows, cols);
        UNROLL
        for (int k = 0; k < 8; k++)
            x[i + k] = _mm256_castsi256_ps(cols[k]);
    }
}

void
lanes_weights(__m256 *a, const __m256 *h, const __m256 *x, int n,
    __m256 sigma2, __m256 *sum)
{
    *sum = _mm256_setzero_ps();
    for (int i = 0; i < n; i++) {
        a[i] = mul(h[i], _mm256_sqrt_ps(add(sigma2, mul(x[i], x[i]))));
        *sum = add(*sum, a[i]);
    }
}

/* Eight codes of eight lanes, as floats, to bytes q[lane * n + i ..]. */
INLINE void
put_codes8(uint8_t *q, int n, const __m256 code[8])
{
    __m256i rows[8], cols[8];

    UNROLL
    for (int k = 0; k < 8; k++)
        rows[k] = _mm256_cvtps_epi32(code[k]);
    transpose8(rows, cols);
    UNROLL
    for (int r = 0; r < 8; r++) {
        __m128i v = _mm_packs_epi32(_mm256_castsi256_si128(cols[r]),
            _mm256_extracti128_si256(cols[r], 1));
        _mm_storel_epi64((__m128i *)(void *)(q + r * n),
            _mm_packus_epi16(v, v));
    }
}

/* The first value of largest magnitude, lane by lane. */
INLINE __m256
extreme8(int n, const __m256 *x)
{
    __m256 top = _mm256_setzero_ps(), v = top;

    for (int i = 0; i < n; i++) {
        __m256 a = magnitude(x[i]), more = greater(a, top);
        top = pick(more, a, top);
        v = pick(more, x[i], v);
    }
    return v;
}

/* ---- x ~ scale * q, q signed ---- */

/* Sums for two trial scales; wx = w * x. */
INLINE void
signed_sums2(int n, int nmax, const __m256 *x, const __m256 *w,
    const __m256 *wx, const __m256 inv[2], __m256 xq[2], __m256 qq[2])
{
    __m256 a0 = _mm256_setzero_ps(), b0 = a0, a1 = a0, b1 = a0;
    const float lo = (float)-nmax, hi = (float)(nmax - 1);

    for (int i = 0; i < n; i++) {
        __m256 l = round_clamp(mul(inv[0], x[i]), lo, hi);
        __m256 m = round_clamp(mul(inv[1], x[i]), lo, hi);

        a0 = add(a0, mul(wx[i], l));
        b0 = add(b0, mul(mul(w[i], l), l));
        a1 = add(a1, mul(wx[i], m));
        b1 = add(b1, mul(mul(w[i], m), m));
    }
    xq[0] = a0;
    qq[0] = b0;
    xq[1] = a1;
    qq[1] = b1;
}

INLINE void
signed8(int n, int nmax, const __m256 *x, const __m256 *w, uint8_t *q,
    float *scale)
{
    __m256 v = extreme8(n, x), zero = _mm256_setzero_ps();
    __m256 tiny = _mm256_cmp_ps(magnitude(v), all(SEARCH_TINY), _CMP_LT_OQ);
    __m256 wx[32], inv[2], xq[2], qq[2];

    for (int i = 0; i < n; i++)
        wx[i] = mul(w[i], x[i]);
    inv[0] = inv[1] = _mm256_div_ps(all(-(float)nmax), v);
    signed_sums2(n, nmax, x, w, wx, inv, xq, qq);
    __m256 used = inv[0];
    __m256 s = pick(_mm256_cmp_ps(qq[0], zero, _CMP_NEQ_UQ),
        _mm256_div_ps(xq[0], qq[0]), zero);
    __m256 best = mul(s, xq[0]);

    for (int k = -9; k <= 9; k += k == -1 ? 3 : 2) {
        /* trials k and k + 1, but never 0: -1 goes with 1 */
        int k1 = k == -1 ? 1 : k + 1;

        inv[0] = _mm256_div_ps(all(-((float)nmax + 0.1f * (float)k)), v);
        inv[1] = _mm256_div_ps(all(-((float)nmax + 0.1f * (float)k1)), v);
        signed_sums2(n, nmax, x, w, wx, inv, xq, qq);
        for (int j = 0; j < 2; j++) {
            __m256 better = _mm256_and_ps(greater(qq[j], zero),
                greater(mul(xq[j], xq[j]), mul(best, qq[j])));
            used = pick(better, inv[j], used);
            s = pick(better, _mm256_div_ps(xq[j], qq[j]), s);
            best = pick(better, mul(s, xq[j]), best);
        }
    }
    for (int i = 0; i < n; i += 8) {
        __m256 code[8];

        UNROLL
        for (int k = 0; k < 8; k++) {
            __m256 l = round_clamp(mul(used, x[i + k]), (float)-nmax,
                (float)(nmax - 1));
            code[k] = _mm256_andnot_ps(tiny, add(l, all((float)nmax)));
        }
        put_codes8(q + i, n, code);
    }
    _mm256_storeu_ps(scale, _mm256_andnot_ps(tiny, s));
}

void
search_signed8(int n, int nmax, const __m256 *x, const __m256 *w, uint8_t *q,
    float *scale)
{
    __m256 squares[32];

    if (!w) {
        for (int i = 0; i < n; i++)
            squares[i] = mul(x[i], x[i]);
        w = squares;
    }
    if (n == 16)
        signed8(16, nmax, x, w, q, scale);
    else
        signed8(32, nmax, x, w, q, scale);
}

/* ---- x ~ scale * q + low, q unsigned ---- */

/* What search.c calls a line, in eight lanes. */
struct lines {
    __m256 scale, low, inv, from;
};

/* Codes of a line into l; nothing but in-range products must be given. */
INLINE void
line_codes(__m256 *l, int n, int nmax, const __m256 *x, const struct lines *t)
{
    for (int i = 0; i < n; i++)
        l[i] = round_clamp(mul(t->inv, sub(x[i], t->from)), 0.0f,
            (float)nmax);
}

INLINE __m256
line_error(int n, const __m256 *x, const __m256 *w, const __m256 *l,
    const struct lines *t, int absolute)
{
    __m256 err = _mm256_setzero_ps();

    for (int i = 0; i < n; i++) {
        __m256 e = sub(add(mul(t->scale, l[i]), t->low), x[i]);
        err = add(err, mul(w[i], absolute ? magnitude(e) : mul(e, e)));
    }
    return err;
}

/* Codes, then the least-squares line through them; a mask of where it exists.*/
INLINE __m256
line_fit(__m256 *l, int n, int nmax, const __m256 *x, const __m256 *w,
    __m256 sw, __m256 sx, struct lines *t)
{
    __m256 zero = _mm256_setzero_ps(), sl = zero, sll = zero, sxl = zero;

    for (int i = 0; i < n; i++) {
        l[i] = round_clamp(mul(t->inv, sub(x[i], t->from)), 0.0f,
            (float)nmax);
        __m256 wl = mul(w[i], l[i]);
        sl = add(sl, wl);
        sll = add(sll, mul(wl, l[i]));
        sxl = add(sxl, mul(wl, x[i]));
    }
    __m256 det = sub(mul(sw, sll), mul(sl, sl));
    t->scale = _mm256_div_ps(sub(mul(sw, sxl), mul(sx, sl)), det);
    t->low = _mm256_div_ps(sub(mul(sll, sx), mul(sl, sxl)), det);
    __m256 above = greater(t->low, zero);
    t->low = _mm256_andnot_ps(above, t->low);
    t->scale = pick(above, _mm256_div_ps(sxl, sll), t->scale);
    return greater(det, zero);
}

/* Lanes whose codes nearest() could not round: |inv * (x - from)| >= 2^22. */
INLINE __m256
out_of_range(const struct lines *t, __m256 low, __m256 high)
{
    __m256 span = _mm256_max_ps(magnitude(sub(high, t->from)),
        magnitude(sub(low, t->from)));
    return _mm256_cmp_ps(mul(span, magnitude(t->inv)), all(4.0e6f),
        _CMP_NLT_UQ);
}

INLINE int
affine8(int n, int nmax, const __m256 *x, const __m256 *w,
    struct affine_walk walk, uint8_t *q, float *scale, float *min)
{
    __m256 low = x[0], high = x[0], sw = w[0], sx = mul(sw, x[0]);
    __m256 zero = _mm256_setzero_ps(), l[32];

    for (int i = 1; i < n; i++) {
        low = _mm256_min_ps(x[i], low);
        high = _mm256_max_ps(x[i], high);
        sw = add(sw, w[i]);
        sx = add(sx, mul(w[i], x[i]));
    }
    low = _mm256_andnot_ps(greater(low, zero), low);
    __m256 flat = _mm256_cmp_ps(high, low, _CMP_LE_OQ);
    struct lines best = { .low = low, .from = low };
    best.inv = _mm256_div_ps(all((float)nmax), sub(high, low));
    best.scale = _mm256_div_ps(all(1.0f), best.inv);
    __m256 odd = out_of_range(&best, low, high);
    line_codes(l, n, nmax, x, &best);
    __m256 err = line_error(n, x, w, l, &best, walk.absolute);

    for (int k = 0; k <= walk.last; k++) {
        struct lines t = { .from = best.low };
        float start = walk.start + walk.step * (float)k + (float)nmax;

        t.inv = _mm256_div_ps(all(start), sub(high, best.low));
        odd = _mm256_or_ps(odd, out_of_range(&t, low, high));
        __m256 ok = line_fit(l, n, nmax, x, w, sw, sx, &t);
        __m256 e = line_error(n, x, w, l, &t, walk.absolute);
        ok = _mm256_and_ps(ok, _mm256_cmp_ps(e, err, _CMP_LT_OQ));
        err = pick(ok, e, err);
        best.scale = pick(ok, t.scale, best.scale);
        best.low = pick(ok, t.low, best.low);
        best.inv = pick(ok, t.inv, best.inv);
        best.from = pick(ok, t.from, best.from);
    }
    if (_mm256_movemask_ps(_mm256_andnot_ps(flat, odd)) != 0)
        return 0;
    line_codes(l, n, nmax, x, &best);
    for (int i = 0; i < n; i += 8) {
        UNROLL
        for (int k = 0; k < 8; k++)
            l[i + k] = _mm256_andnot_ps(flat, l[i + k]);
        put_codes8(q + i, n, l + i);
    }
    _mm256_storeu_ps(scale, _mm256_andnot_ps(flat, best.scale));
    _mm256_storeu_ps(min, _mm256_xor_ps(pick(flat, low, best.low),
        all(-0.0f)));
    return 1;
}

int
search_affine8(int n, int nmax, const __m256 *x, const __m256 *w,
    struct affine_walk walk, uint8_t *q, float *scale, float *min)
{
    if (n == 16 && walk.absolute)
        return affine8(16, nmax, x, w, (struct affine_walk){ walk.start,
            walk.step, walk.last, 1 }, q, scale, min);
    walk.absolute = 0;
    if (n == 16)
        return affine8(16, nmax, x, w, walk, q, scale, min);
    return affine8(32, nmax, x, w, walk, q, scale, min);
}

/* ---- x ~ scale * iq4_values[q] ---- */

/* 2 k + 1 where x >= t, 2 k elsewhere. */
INLINE __m256i
halve(__m256i k, __m256 x, __m256 t)
{
    __m256i b = _mm256_castps_si256(_mm256_cmp_ps(x, t, _CMP_GE_OQ));
    return _mm256_sub_epi32(_mm256_add_epi32(k, k), b);
}

/*
 * Index of the nearest value: four comparisons with the midpoints between
 * values, which are exact in float32. A tie goes to the higher value, as in
 * nearest_iq4. *upper is the highest bit of the index as a mask.
 */
INLINE __m256i
iq4_index(__m256 x, __m256 *upper)
{
    const __m256 mid4 = _mm256_setr_ps(-93.5f, -28.5f, 19.0f, 79.0f,
        -93.5f, -28.5f, 19.0f, 79.0f);
    const __m256 mid8 = _mm256_setr_ps(-115.5f, -74.0f, -42.0f, -16.0f,
        7.0f, 31.5f, 61.0f, 101.0f);
    __m256i k;

    *upper = _mm256_cmp_ps(x, all(-4.5f), _CMP_GE_OQ);
    k = _mm256_srli_epi32(_mm256_castps_si256(*upper), 31);
    k = halve(k, x, pick(*upper, all(45.5f), all(-57.0f)));
    k = halve(k, x, _mm256_permutevar8x32_ps(mid4, k));
    return halve(k, x, _mm256_permutevar8x32_ps(mid8, k));
}

/* iq4_values[nearest index of x] */
INLINE __m256
iq4_value(__m256 x)
{
    const __m256 low = _mm256_setr_ps(-127.0f, -104.0f, -83.0f, -65.0f,
        -49.0f, -35.0f, -22.0f, -10.0f);
    const __m256 high = _mm256_setr_ps(1.0f, 13.0f, 25.0f, 38.0f, 53.0f,
        69.0f, 89.0f, 113.0f);
    __m256 upper;
    __m256i k = iq4_index(x, &upper); /* permutes look at three bits */

    return pick(upper, _mm256_permutevar8x32_ps(high, k),
        _mm256_permutevar8x32_ps(low, k));
}

void
search_iq4_8(int n, const __m256 *x, const __m256 *w, float *scale)
{
    __m256 v = extreme8(n, x), zero = _mm256_setzero_ps();
    __m256 tiny = _mm256_cmp_ps(magnitude(v), all(SEARCH_TINY), _CMP_LT_OQ);
    __m256 s = zero, best = zero;

    for (int k = -8; k <= 7; k++) {
        __m256 inv, xq = zero, qq = zero;

        if (k == -8)
            inv = _mm256_div_ps(all(1.0f), _mm256_div_ps(
                _mm256_xor_ps(v, all(-0.0f)), all((float)iq4_values[0])));
        else
            inv = _mm256_div_ps(all((float)(k + iq4_values[0])), v);
        for (int i = 0; i < n; i++) {
            __m256 l = iq4_value(mul(inv, x[i])), wl = mul(w[i], l);
            xq = add(xq, mul(wl, x[i]));
            qq = add(qq, mul(wl, l));
        }
        __m256 some = greater(qq, zero);
        __m256 better = k == -8 ? _mm256_cmp_ps(zero, zero, _CMP_EQ_OQ)
            : _mm256_and_ps(some, greater(mul(xq, xq), mul(best, qq)));
        s = pick(better, _mm256_and_ps(some, _mm256_div_ps(xq, qq)), s);
        best = pick(better, mul(s, xq), best);
    }
    _mm256_storeu_ps(scale, _mm256_andnot_ps(tiny, s));
}

void
nearest_iq4_32(uint8_t *q, const float *x, float inv)
{
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    __m256i k[4];

    for (int i = 0; i < 4; i++) {
        __m256 upper;
        k[i] = iq4_index(mul(all(inv), _mm256_loadu_ps(x + 8 * i)), &upper);
    }
    store_bytes(q, _mm256_permutevar8x32_epi32(_mm256_packus_epi16(
        _mm256_packs_epi32(k[0], k[1]), _mm256_packs_epi32(k[2], k[3])),
        order));
}

#endif
