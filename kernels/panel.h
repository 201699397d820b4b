/*
 * panel.h - 256 columns of 8 or 16 rows, opened up for a product (private)
 *
 * Codes of eight rows are interleaved by four columns, so that one load feeds
 * eight outputs and no sum ever crosses lanes:
 *
 *   q[b][g][s][4 r + k] = code of row r (of group g), column 32 b + 4 s + k
 *
 * Codes are unsigned, of at most six bits.
 */
#ifndef QUERN_KERNELS_PANEL_H
#define QUERN_KERNELS_PANEL_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/qtype.h"

struct panel {
    uint8_t q[8][2][8][32];
    int16_t sc[8][2][2][16]; /* [b][half of 32][g], row r at 2r and 2r + 1 */
    int16_t corr[8][2][16];  /* [pair of sums][g], row r: two factors */
    float d[8][2][8];        /* [b, or 0 for types of 256][g][row] */
    float m[8][2][8];        /* added minimum: m of Q4_1, Q5_1; -dmin of K */
};

/*
 * Opens columns [256 chunk, 256 chunk + 32 blocks) of the eight rows w[0..7]
 * into group g. blocks is 8 for types of 256. Types with codes of eight bits
 * have none.
 */
typedef void panel_fn(struct panel *p, const uint8_t *const w[8], size_t g,
    size_t chunk, size_t blocks);

#if defined(__x86_64__)
extern panel_fn *const panel_avx2[QT_COUNT];
/* Of interleaved weights (interleave.h): w[0] is the group, the rest unused. */
extern panel_fn *const panel_side_avx2[QT_COUNT];
#endif

#endif
