/*
 * panel_avx512.h - 256 columns of 32 rows, opened up for vpdpbusd (private)
 *
 * As panel.h with sixteen rows to a register. Every code is an unsigned byte,
 * for vpdpbusd wants one on this side: what is signed is stored too large by a
 * constant, and taken off again by way of sums of activations. Where a scale
 * times a code still fits a byte (Q2_K, Q3_K) the product is stored, and no
 * scales are left.
 */
#ifndef QUERN_KERNELS_PANEL_AVX512_H
#define QUERN_KERNELS_PANEL_AVX512_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/qtype.h"

struct panel512 {
    uint8_t q[8][8][2][64];    /* [b][s][g][4 r + k]: column 32 b + 4 s + k */
    int32_t sc[8][2][2][16];   /* [b][half of 32][g][row] */
    int16_t corr[8][2][32];    /* [pair of sums][g], row r: two factors */
    float d[8][2][16];         /* [b, or 0 for types of 256][g][row] */
    float m[8][2][16];         /* added minimum: m of Q4_1, Q5_1; -dmin of K */
};

/*
 * Opens columns [256 chunk, 256 chunk + 32 blocks) of the sixteen rows w[0..15]
 * into group g. blocks is 8 for types of 256.
 *
 *   type            codes                 sc      corr times
 *   Q8_0, IQ4_NL    w + 128               -       -
 *   Q4, Q5 of 32    as packed             -       -
 *   Q4_K, Q5_K      as packed             of 32   sums of 32: the minima
 *   Q6_K            w + 32                of 16   sums of 16: -32 sc
 *   IQ4_XS          w + 128               of 32   sums of 32: -128 sc
 *   Q2_K            sc * code             -       sums of 16: the minima
 *   Q3_K            sc * code + 124       -       sums of 32: -124
 */
typedef void panel512_fn(struct panel512 *p, const uint8_t *const w[16],
    size_t g, size_t chunk, size_t blocks);

extern panel512_fn *const panel_avx512[QT_COUNT];
/* Of interleaved weights (interleave.h): w[0] and w[8] are groups. */
extern panel512_fn *const panel_side_avx512[QT_COUNT];

#endif
