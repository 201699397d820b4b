/*
 * search.h - searches for block scales (private to kernels/)
 *
 * All minimise a weighted squared (or absolute) error of one block by trying a
 * few scales, as llama.cpp does; sums run in ascending order, so that the
 * result is the same to the last bit. x is [n], codes go to `q` [n].
 */
#ifndef QUERN_KERNELS_SEARCH_H
#define QUERN_KERNELS_SEARCH_H

#include <stdint.h>
#include <string.h>

#include "kernels/half.h"

/* Blocks whose largest magnitude is below this are stored as zeros. */
#define SEARCH_TINY 1e-15f

/*
 * Nearest integer, ties to even, for |v| < 2^22: adding 1.5 * 2^23 leaves the
 * integer in the low mantissa bits.
 */
static inline int
nearest(float v)
{
    return (int)(f32_bits(v + 12582912.0f) & 0x7fffffu) - 0x400000;
}

static inline int
clamp_int(int v, int lo, int hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

/*
 * x ~ scale * q with q in [-nmax, nmax - 1], stored as q + nmax. 19 trial
 * scales around the one that maps the extreme value to -nmax; each is scored
 * by (sum w x q)^2 / (sum w q^2). w NULL means x^2. Returns the scale.
 */
float search_signed(int n, int nmax, const float *x, const float *w,
    uint8_t *q);
/*
 * The same without trial scales: starts from the plain one, weights x^2, and
 * moves single codes while that helps, at most five rounds.
 */
float search_moves(int n, int nmax, const float *x, uint8_t *q);
/*
 * x ~ scale * q, x >= 0, q in [0, nmax]: eight more trial scales, then moves of
 * single codes. Used for the scales of sub-blocks.
 */
float search_positive(int n, int nmax, const float *x, const float *w,
    uint8_t *q);

/* How search_affine walks: trial k maps the range to start + step k + nmax. */
struct affine_walk {
    float start, step;
    int last;     /* trials k = 0 .. last */
    int absolute; /* error is |e| instead of e^2 */
};
/*
 * x ~ scale * q - *min, q in [0, nmax], *min >= 0: for each trial the codes,
 * then the weighted least-squares line through them. Returns the scale.
 */
float search_affine(int n, int nmax, const float *x, const float *w,
    struct affine_walk walk, uint8_t *q, float *min);
/* Index of the entry of iq4_values nearest to x; the higher one on a tie. */
uint8_t nearest_iq4(float x);
/*
 * x ~ scale * iq4_values[q]: 16 trial scales; w as given. Returns the scale; q
 * is not made, since callers round again. 0 for a tiny block.
 */
float search_iq4(int n, const float *x, const float *w);

#endif
