/*
 * bytes.h - little-endian loads and stores that never care about alignment
 */
#ifndef QUERN_BASE_BYTES_H
#define QUERN_BASE_BYTES_H

#include <stdint.h>
#include <string.h>

static inline uint16_t
load_u16le(const void *p)
{
    const uint8_t *b = p;
    return (uint16_t)(b[0] | b[1] << 8);
}

static inline uint32_t
load_u32le(const void *p)
{
    const uint8_t *b = p;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 |
        (uint32_t)b[3] << 24;
}

static inline uint64_t
load_u64le(const void *p)
{
    return (uint64_t)load_u32le(p) |
        (uint64_t)load_u32le((const uint8_t *)p + 4) << 32;
}

static inline void
store_u16le(void *p, uint16_t v)
{
    uint8_t *b = p;
    b[0] = (uint8_t)v;
    b[1] = (uint8_t)(v >> 8);
}

static inline void
store_u32le(void *p, uint32_t v)
{
    store_u16le(p, (uint16_t)v);
    store_u16le((uint8_t *)p + 2, (uint16_t)(v >> 16));
}

static inline void
store_u64le(void *p, uint64_t v)
{
    store_u32le(p, (uint32_t)v);
    store_u32le((uint8_t *)p + 4, (uint32_t)(v >> 32));
}

static inline float
load_f32le(const void *p)
{
    uint32_t u = load_u32le(p);
    float f;
    memcpy(&f, &u, 4);
    return f;
}

static inline void
store_f32le(void *p, float f)
{
    uint32_t u;
    memcpy(&u, &f, 4);
    store_u32le(p, u);
}

#endif
