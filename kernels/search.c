#include "kernels/search.h"

#include <math.h>

#include "kernels/block.h"

/* The value of largest magnitude, the first of equals; 0 if all are zero. */
static float
extreme(int n, const float *x)
{
    float top = 0.0f, v = 0.0f;

    for (int i = 0; i < n; i++) {
        float a = fabsf(x[i]);
        if (a > top) {
            top = a;
            v = x[i];
        }
    }
    return v;
}

/* sum w x q and sum w q^2 for q = nearest(inv * x) clamped to [-nmax, nmax). */
static void
signed_sums(int n, int nmax, const float *x, const float *w, float inv,
    float *xq, float *qq)
{
    *xq = *qq = 0.0f;
    for (int i = 0; i < n; i++) {
        float l = (float)clamp_int(nearest(inv * x[i]), -nmax, nmax - 1);
        float wi = w ? w[i] : x[i] * x[i];
        *xq += wi * x[i] * l;
        *qq += wi * l * l;
    }
}

float
search_signed(int n, int nmax, const float *x, const float *w, uint8_t *q)
{
    float v = extreme(n, x), xq, qq;

    if (fabsf(v) < SEARCH_TINY) {
        memset(q, 0, (size_t)n);
        return 0.0f;
    }
    float used = -(float)nmax / v;
    signed_sums(n, nmax, x, w, used, &xq, &qq);
    float scale = qq != 0.0f ? xq / qq : 0.0f;
    float best = scale * xq;

    for (int k = -9; k <= 9; k++) {
        if (k == 0)
            continue;
        float inv = -((float)nmax + 0.1f * (float)k) / v;
        signed_sums(n, nmax, x, w, inv, &xq, &qq);
        if (qq > 0.0f && xq * xq > best * qq) {
            used = inv;
            scale = xq / qq;
            best = scale * xq;
        }
    }
    for (int i = 0; i < n; i++)
        q[i] = (uint8_t)(nmax +
            clamp_int(nearest(used * x[i]), -nmax, nmax - 1));
    return scale;
}

float
search_moves(int n, int nmax, const float *x, uint8_t *q)
{
    float v = extreme(n, x);
    float xq = 0.0f, qq = 0.0f;
    int l[32];

    if (fabsf(v) < SEARCH_TINY) {
        memset(q, 0, (size_t)n);
        return 0.0f;
    }
    float inv = -(float)nmax / v;
    for (int i = 0; i < n; i++) {
        float w = x[i] * x[i];

        l[i] = clamp_int(nearest(inv * x[i]), -nmax, nmax - 1);
        xq += w * x[i] * (float)l[i];
        qq += w * (float)l[i] * (float)l[i];
    }
    for (int round = 0, moved = 1; round < 5 && moved; round++) {
        moved = 0;
        for (int i = 0; i < n; i++) {
            float w = x[i] * x[i], old = (float)l[i];
            float xq1 = xq - w * x[i] * old, qq1 = qq - w * old * old;

            if (!(xq1 > 0.0f))
                continue;
            int to = clamp_int(nearest(x[i] * qq1 / xq1), -nmax, nmax - 1);
            if (to == l[i])
                continue;
            xq1 += w * x[i] * (float)to;
            qq1 += w * (float)to * (float)to;
            if (qq1 > 0.0f && xq1 * xq1 * qq > xq * xq * qq1) {
                l[i] = to;
                xq = xq1;
                qq = qq1;
                moved = 1;
            }
        }
    }
    for (int i = 0; i < n; i++)
        q[i] = (uint8_t)(l[i] + nmax);
    return qq > 0.0f ? xq / qq : 0.0f;
}

float
search_positive(int n, int nmax, const float *x, const float *w, uint8_t *q)
{
    float top = 0.0f, used, best = 0.0f, xq = 0.0f, qq = 0.0f;

    for (int i = 0; i < n; i++)
        top = x[i] > top ? x[i] : top;
    if (top < SEARCH_TINY) {
        memset(q, 0, (size_t)n);
        return 0.0f;
    }
    used = (float)nmax / top;
    for (int i = 0; i < n; i++) {
        float e = x[i] - 1.0f / used * (float)(uint8_t)nearest(used * x[i]);
        best += w[i] * e * e;
    }
    for (int k = -4; k <= 4; k++) {
        float inv = (0.1f * (float)k + (float)nmax) / top, err = 0.0f;

        if (k == 0)
            continue;
        for (int i = 0; i < n; i++) {
            int l = nearest(inv * x[i]);
            float e = x[i] - 1.0f / inv * (float)(l < nmax ? l : nmax);
            err += w[i] * e * e;
        }
        if (err < best) {
            best = err;
            used = inv;
        }
    }
    for (int i = 0; i < n; i++) {
        int l = nearest(used * x[i]);

        l = l < nmax ? l : nmax;
        q[i] = (uint8_t)l;
        xq += w[i] * x[i] * (float)l;
        qq += w[i] * (float)l * (float)l;
    }
    for (int round = 0, moved = 1; round < 5 && moved; round++) {
        moved = 0;
        for (int i = 0; i < n; i++) {
            float old = (float)q[i];
            float xq1 = xq - w[i] * x[i] * old, qq1 = qq - w[i] * old * old;

            if (!(xq1 > 0.0f && qq1 > 0.0f))
                continue;
            int to = nearest(x[i] * qq1 / xq1);
            to = to < nmax ? to : nmax;
            if (to == q[i])
                continue;
            xq1 += w[i] * x[i] * (float)to;
            qq1 += w[i] * (float)to * (float)to;
            if (xq1 * xq1 * qq > xq * xq * qq1) {
                q[i] = (uint8_t)to;
                xq = xq1;
                qq = qq1;
                moved = 1;
            }
        }
    }
    return qq > 0.0f ? xq / qq : 0.0f;
}

/*
 * A line x ~ scale * q + low through the codes q that (inv, from) lead to:
 * nearest(inv * (x - from)) within [0, nmax].
 */
struct line {
    float scale, low, inv, from;
};

static float
affine_code(int nmax, const struct line *t, float x)
{
    return (float)clamp_int(nearest(t->inv * (x - t->from)), 0, nmax);
}

/* Weighted error of a line. */
static float
affine_error(int n, int nmax, const float *x, const float *w,
    const struct line *t, int absolute)
{
    float err = 0.0f;

    for (int i = 0; i < n; i++) {
        float e = t->scale * affine_code(nmax, t, x[i]) + t->low - x[i];
        err += w[i] * (absolute ? fabsf(e) : e * e);
    }
    return err;
}

/* Least-squares line through its codes, low at most 0; 0 if there is none. */
static int
affine_fit(int n, int nmax, const float *x, const float *w, float sw, float sx,
    struct line *t)
{
    float sl = 0.0f, sll = 0.0f, sxl = 0.0f;

    for (int i = 0; i < n; i++) {
        float l = affine_code(nmax, t, x[i]);
        sl += w[i] * l;
        sll += w[i] * l * l;
        sxl += w[i] * l * x[i];
    }
    float det = sw * sll - sl * sl;
    if (!(det > 0.0f))
        return 0;
    t->scale = (sw * sxl - sx * sl) / det;
    t->low = (sll * sx - sl * sxl) / det;
    if (t->low > 0.0f) {
        t->low = 0.0f;
        t->scale = sxl / sll;
    }
    return 1;
}

float
search_affine(int n, int nmax, const float *x, const float *w,
    struct affine_walk walk, uint8_t *q, float *min)
{
    float low = x[0], high = x[0], sw = w[0], sx = sw * x[0];

    for (int i = 1; i < n; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
        sw += w[i];
        sx += w[i] * x[i];
    }
    if (low > 0.0f)
        low = 0.0f;
    if (high <= low) {
        memset(q, 0, (size_t)n);
        *min = -low;
        return 0.0f;
    }
    struct line best = { .low = low, .from = low };
    best.inv = (float)nmax / (high - low);
    best.scale = 1.0f / best.inv;
    float err = affine_error(n, nmax, x, w, &best, walk.absolute);

    for (int k = 0; k <= walk.last; k++) {
        /* the range starts where the best line so far does, as in llama.cpp */
        struct line t = { .from = best.low };

        t.inv = (walk.start + walk.step * (float)k + (float)nmax) /
            (high - best.low);
        if (!affine_fit(n, nmax, x, w, sw, sx, &t))
            continue;
        float e = affine_error(n, nmax, x, w, &t, walk.absolute);
        if (e < err) {
            err = e;
            best = t;
        }
    }
    for (int i = 0; i < n; i++)
        q[i] = (uint8_t)affine_code(nmax, &best, x[i]);
    *min = -best.low;
    return best.scale;
}

uint8_t
nearest_iq4(float x)
{
    int lo = 0, hi = 15;

    if (x <= (float)iq4_values[0])
        return 0;
    if (x >= (float)iq4_values[15])
        return 15;
    while (hi - lo > 1) {
        int mid = (lo + hi) / 2;
        if (x < (float)iq4_values[mid])
            hi = mid;
        else
            lo = mid;
    }
    return (uint8_t)(x - (float)iq4_values[lo] < (float)iq4_values[hi] - x
            ? lo : hi);
}

float
search_iq4(int n, const float *x, const float *w)
{
    float v = extreme(n, x), scale = 0.0f, best = 0.0f;

    if (fabsf(v) < SEARCH_TINY)
        return 0.0f;
    for (int k = -8; k <= 7; k++) {
        /* the first trial, k = -8, is 1 / (v / 127) and always taken */
        float inv = k == -8 ? 1.0f / (-v / (float)iq4_values[0])
                            : (float)(k + iq4_values[0]) / v;
        float xq = 0.0f, qq = 0.0f;

        for (int i = 0; i < n; i++) {
            float l = (float)iq4_values[nearest_iq4(inv * x[i])];
            xq += w[i] * l * x[i];
            qq += w[i] * l * l;
        }
        if (k == -8 || (qq > 0.0f && xq * xq > best * qq)) {
            scale = qq > 0.0f ? xq / qq : 0.0f;
            best = scale * xq;
        }
    }
    return scale;
}
