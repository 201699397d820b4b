/*
 * hash_two.h - the steps of SHA-256 by a processor's own instructions (private
 * to lib/base)
 *
 * h is the state of a chain, eight words; p has `blocks` blocks of 64 bytes.
 * Only where hash_two_works().
 */
#ifndef QUERN_BASE_HASH_TWO_H
#define QUERN_BASE_HASH_TWO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool hash_two_works(void);
void hash_one(uint32_t h[8], const uint8_t *p, size_t blocks);
/* Two chains by turns. */
void hash_two(uint32_t h0[8], const uint8_t *p0, uint32_t h1[8],
    const uint8_t *p1, size_t blocks);

struct hash_item;
struct pool;
/* digest_list by these instructions, or by libcrypto. */
void digest_list_by(bool two, struct hash_item *v, size_t n,
    struct pool *pool);

#endif
