/*
 * encode_row.h - one row of weights into blocks (private to kernels/)
 *
 * w is [cols], h the importance [cols] or NULL. Weights are finite and at most
 * 65504 in magnitude. encode_row_ref calls the portable function of the type.
 */
#ifndef QUERN_KERNELS_ENCODE_ROW_H
#define QUERN_KERNELS_ENCODE_ROW_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/qtype.h"
#include "kernels/search.h"

void encode_row_ref(enum qtype t, uint8_t *dst, const float *w, size_t cols,
    const float *h);

void encode_q8_0_ref(uint8_t *dst, const float *w, size_t cols,
    const float *h);
void encode_q4_0_ref(uint8_t *dst, const float *w, size_t cols,
    const float *h);
void encode_q4_1_ref(uint8_t *dst, const float *w, size_t cols,
    const float *h);
void encode_q5_0_ref(uint8_t *dst, const float *w, size_t cols,
    const float *h);
void encode_q5_1_ref(uint8_t *dst, const float *w, size_t cols,
    const float *h);
void encode_iq4_nl_ref(uint8_t *dst, const float *w, size_t cols,
    const float *h);
void encode_iq4_xs_ref(uint8_t *dst, const float *w, size_t cols,
    const float *h);
void encode_q2_k_ref(uint8_t *dst, const float *w, size_t cols,
    const float *h);
void encode_q3_k_ref(uint8_t *dst, const float *w, size_t cols,
    const float *h);
void encode_q4_k_ref(uint8_t *dst, const float *w, size_t cols,
    const float *h);
void encode_q5_k_ref(uint8_t *dst, const float *w, size_t cols,
    const float *h);
void encode_q6_k_ref(uint8_t *dst, const float *w, size_t cols,
    const float *h);

/*
 * q[i] = nearest((x[i] + m) / d) within [lo, hi], plus off; n a multiple of 16.
 * Leaves q alone if d is 0.
 */
typedef void encode_round_fn(uint8_t *q, const float *x, int n, float d,
    float m, int lo, int hi, int off);
encode_round_fn encode_round_ref;

/*
 * The last steps of each 256-type, shared with faster searches: from the scales
 * s (and minima m) found for the sub-blocks to the block b. sw holds the sum of
 * weights of each sub-block when there is an importance, else it is NULL. q
 * holds the codes found, for sub-blocks whose stored scale is zero; all others
 * are rounded again with what was stored.
 */
void finish_q2_k(uint8_t *b, const float *x, const float s[16],
    const float m[16], const float *sw, uint8_t q[256], encode_round_fn *round);
void finish_q3_k(uint8_t *b, const float *x, const float s[16],
    const float *sw, uint8_t q[256], encode_round_fn *round);
void finish_q45_k(uint8_t *b, int bits, const float *x, const float s[8],
    const float m[8], const float *sw, uint8_t q[256], encode_round_fn *round);
void finish_q6_k(uint8_t *b, const float *x, const float s[16],
    uint8_t q[256], encode_round_fn *round);
/*
 * For IQ4_XS d and the scales go to the block; the inverse of each sub-block's
 * stored scale to inv, with which the caller makes the codes.
 */
void finish_iq4_xs(uint8_t *b, const float s[8], float inv[8]);

/* How lines are tried, with importance and without. */
extern const struct affine_walk walk_weighted, walk_q2_k, walk_q4_k, walk_q5_k;

/* qs[i] = q[i] | q[i + 16] << 4; bit i of qh = bit 4 of q[i]. */
void put_nibbles(uint8_t qs[16], const uint8_t q[32]);
void put_fifth_bits(uint8_t qh[4], const uint8_t q[32]);

/* sum of x[i]^2, in ascending order. */
float encode_sum_squares(const float *x, size_t n);
/* a[i] = h[i] * sqrt(sigma2 + x[i]^2); returns the sum of a, ascending. */
float encode_weights(float *a, const float *h, const float *x, size_t n,
    float sigma2);

#endif
