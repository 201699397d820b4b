/*
 * hash_two.c - see hash_two.h
 *
 * FIPS 180-4, section 6.2, in the order of x86's SHA instructions: two rounds
 * at a time on the state as (a b e f) and (c d g h), four words of the message
 * schedule at a time.
 */
#include "lib/base/hash_two.h"

#if defined(__x86_64__)

#include <cpuid.h>
#include <immintrin.h>

#define SHA __attribute__((target("sha,sse4.1"), always_inline)) static inline

/* Unrolled, or the words of the schedule would not stay in registers. */
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

static const _Alignas(16) uint32_t constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
    0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
    0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
    0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
    0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
    0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
    0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
    0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
    0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2
};

struct lane {
    __m128i abef, cdgh, was_abef, was_cdgh;
    __m128i w[4]; /* the schedule, sixteen words that move on */
};

bool
hash_two_works(void)
{
    unsigned a, b, c, d;

    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (b & bit_SHA) == 0)
        return false;
    return __builtin_cpu_supports("sse4.1");
}

SHA void
lane_open(struct lane *l, const uint32_t h[8])
{
    __m128i badc = _mm_shuffle_epi32(
        _mm_loadu_si128((const __m128i *)(const void *)h), 0xb1);
    __m128i efgh = _mm_shuffle_epi32(
        _mm_loadu_si128((const __m128i *)(const void *)(h + 4)), 0x1b);

    l->abef = _mm_alignr_epi8(badc, efgh, 8);
    l->cdgh = _mm_blend_epi16(efgh, badc, 0xf0);
}

SHA void
lane_close(const struct lane *l, uint32_t h[8])
{
    __m128i feba = _mm_shuffle_epi32(l->abef, 0x1b);
    __m128i dchg = _mm_shuffle_epi32(l->cdgh, 0xb1);

    _mm_storeu_si128((__m128i *)(void *)h,
        _mm_blend_epi16(feba, dchg, 0xf0));
    _mm_storeu_si128((__m128i *)(void *)(h + 4),
        _mm_alignr_epi8(dchg, feba, 8));
}

SHA void
block_begin(struct lane *l, const uint8_t *p)
{
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0bLL,
        0x0405060700010203LL); /* words are big-endian */

    for (int i = 0; i < 4; i++)
        l->w[i] = _mm_shuffle_epi8(_mm_loadu_si128(
            (const __m128i *)(const void *)(p + 16 * i)), swap);
    l->was_abef = l->abef;
    l->was_cdgh = l->cdgh;
}

/* Rounds 4 i to 4 i + 3, and the schedule for later ones. */
SHA void
four_rounds(struct lane *l, int i)
{
    __m128i *const w = l->w;
    const __m128i wk = _mm_add_epi32(w[i & 3],
        _mm_load_si128((const __m128i *)(const void *)(constants + 4 * i)));

    l->cdgh = _mm_sha256rnds2_epu32(l->cdgh, l->abef, wk);
    if (i >= 3 && i < 15)
        w[(i + 1) & 3] = _mm_sha256msg2_epu32(_mm_add_epi32(w[(i + 1) & 3],
            _mm_alignr_epi8(w[i & 3], w[(i + 3) & 3], 4)), w[i & 3]);
    l->abef = _mm_sha256rnds2_epu32(l->abef, l->cdgh,
        _mm_shuffle_epi32(wk, 0x0e));
    if (i >= 1 && i < 13)
        w[(i + 3) & 3] = _mm_sha256msg1_epu32(w[(i + 3) & 3], w[i & 3]);
}

SHA void
block_end(struct lane *l)
{
    l->abef = _mm_add_epi32(l->abef, l->was_abef);
    l->cdgh = _mm_add_epi32(l->cdgh, l->was_cdgh);
}

__attribute__((target("sha,sse4.1"))) void
hash_one(uint32_t h[8], const uint8_t *p, size_t blocks)
{
    struct lane l;

    lane_open(&l, h);
    for (; blocks > 0; blocks--, p += 64) {
        block_begin(&l, p);
        UNROLL
        for (int i = 0; i < 16; i++)
            four_rounds(&l, i);
        block_end(&l);
    }
    lane_close(&l, h);
}

__attribute__((target("sha,sse4.1"))) void
hash_two(uint32_t h0[8], const uint8_t *p0, uint32_t h1[8], const uint8_t *p1,
    size_t blocks)
{
    struct lane a, b;

    lane_open(&a, h0);
    lane_open(&b, h1);
    for (; blocks > 0; blocks--, p0 += 64, p1 += 64) {
        block_begin(&a, p0);
        block_begin(&b, p1);
        UNROLL
        for (int i = 0; i < 16; i++) {
            four_rounds(&a, i);
            four_rounds(&b, i);
        }
        block_end(&a);
        block_end(&b);
    }
    lane_close(&a, h0);
    lane_close(&b, h1);
}

#else

/* Other processors: libcrypto alone. */
bool
hash_two_works(void)
{
    return false;
}

void
hash_one(uint32_t h[8], const uint8_t *p, size_t blocks)
{
    (void)h;
    (void)p;
    (void)blocks;
}

void
hash_two(uint32_t h0[8], const uint8_t *p0, uint32_t h1[8], const uint8_t *p1,
    size_t blocks)
{
    hash_one(h0, p0, blocks);
    hash_one(h1, p1, blocks);
}

#endif
