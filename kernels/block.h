/*
 * block.h - where the fields of a GGUF block lie (private to kernels/)
 *
 * Blocks are byte arrays, little-endian, without alignment; offsets are named
 * here once and used by decoders, encoders and products alike.
 */
#ifndef QUERN_KERNELS_BLOCK_H
#define QUERN_KERNELS_BLOCK_H

#include <stdint.h>
#include <string.h>

#include "kernels/half.h"

enum {
    Q8_0_D = 0, Q8_0_QS = 2,
    Q4_0_D = 0, Q4_0_QS = 2,
    Q4_1_D = 0, Q4_1_M = 2, Q4_1_QS = 4,
    Q5_0_D = 0, Q5_0_QH = 2, Q5_0_QS = 6,
    Q5_1_D = 0, Q5_1_M = 2, Q5_1_QH = 4, Q5_1_QS = 8,
    IQ4_NL_D = 0, IQ4_NL_QS = 2,
    Q2_K_SC = 0, Q2_K_QS = 16, Q2_K_D = 80, Q2_K_DMIN = 82,
    Q3_K_HM = 0, Q3_K_QS = 32, Q3_K_SC = 96, Q3_K_D = 108,
    Q4_K_D = 0, Q4_K_DMIN = 2, Q4_K_SC = 4, Q4_K_QS = 16,
    Q5_K_D = 0, Q5_K_DMIN = 2, Q5_K_SC = 4, Q5_K_QH = 16, Q5_K_QS = 48,
    Q6_K_QL = 0, Q6_K_QH = 128, Q6_K_SC = 192, Q6_K_D = 208,
    IQ4_XS_D = 0, IQ4_XS_SH = 2, IQ4_XS_SL = 4, IQ4_XS_QS = 8
};

/* The sixteen values of IQ4_NL and IQ4_XS codes. */
extern const int8_t iq4_values[16];

static inline uint16_t
block_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t
block_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
        (uint32_t)p[3] << 24;
}

static inline void
block_put_u16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static inline void
block_put_u32(uint8_t *p, uint32_t v)
{
    block_put_u16(p, (uint16_t)v);
    block_put_u16(p + 2, (uint16_t)(v >> 16));
}

static inline float
block_f16(const uint8_t *p)
{
    return f16_to_f32(block_u16(p));
}

static inline void
block_put_f16(uint8_t *p, float v)
{
    block_put_u16(p, f16_from_f32(v));
}

/* 6-bit scale and min of sub-block j (0..7) from the 12 bytes of Q4_K, Q5_K. */
static inline void
k4_scale_min(const uint8_t *s, unsigned j, uint8_t *sc, uint8_t *mn)
{
    if (j < 4) {
        *sc = s[j] & 63;
        *mn = s[j + 4] & 63;
    } else {
        *sc = (uint8_t)((s[j + 4] & 15) | (s[j - 4] >> 6) << 4);
        *mn = (uint8_t)(s[j + 4] >> 4 | (s[j] >> 6) << 4);
    }
}

/* Signed scale of sub-block j (0..15) from the 12 bytes of Q3_K. */
static inline int
k3_scale(const uint8_t *s, unsigned j)
{
    int low = j < 8 ? s[j] & 15 : s[j - 8] >> 4;
    int high = s[8 + j % 4] >> 2 * (j / 4) & 3;
    return (low | high << 4) - 32;
}

/* Signed scale of sub-block j (0..7) of an IQ4_XS block. */
static inline int
iq4_xs_scale(const uint8_t *b, unsigned j)
{
    int low = b[IQ4_XS_SL + j / 2] >> 4 * (j % 2) & 15;
    int high = block_u16(b + IQ4_XS_SH) >> 2 * j & 3;
    return (low | high << 4) - 32;
}

#endif
