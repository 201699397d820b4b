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
 * The last step of each 256-type, shared with faster searches: stores the
 * sub-block scales, rounds the codes again with what was stored, packs.
 * Shapes as named; q holds codes for sub-blocks whose stored scale is zero.
 */
void pack_q2_k(uint8_t *b, const float *x, float d, float dmin,
    const uint8_t sc[16], const uint8_t mn[16], uint8_t q[256]);
void pack_q3_k(uint8_t *b, const float *x, float d, const uint8_t sc[16],
    uint8_t q[256]);
void pack_q45_k(uint8_t *b, int bits, const float *x, float d, float dmin,
    const uint8_t sc[8], const uint8_t mn[8], uint8_t q[256]);
void pack_q6_k(uint8_t *b, const float *x, float inv, const float scale[16],
    uint8_t q[256]);

/* sum of x[i]^2, in ascending order. */
float encode_sum_squares(const float *x, size_t n);
/* a[i] = h[i] * sqrt(sigma2 + x[i]^2); returns the sum of a, ascending. */
float encode_weights(float *a, const float *h, const float *x, size_t n,
    float sigma2);

#endif
