/*
 * hash_list.h - SHA-256 of many arrays
 *
 * One digest is one chain of steps, of which a core's SHA instructions can have
 * more under way than a chain gives them: two chains by turns are 1.6 times as
 * fast as one after the other. Where there are no such instructions, libcrypto
 * makes one digest after the other.
 */
#ifndef QUERN_BASE_HASH_LIST_H
#define QUERN_BASE_HASH_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/hash.h"
#include "lib/base/pool.h"

struct hash_item {
    const void *p; /* borrowed; NULL if n is 0 */
    uint64_t n;    /* bytes */
    bool mapped;   /* it lies in a mapping: map_done as it was read */
    struct digest digest;
};

/* Fills in the digests of v[0, n), shared out to the threads of `pool`. */
void digest_list(struct hash_item *v, size_t n, struct pool *pool);

/*
 * digest_list by a thread of its own while the caller goes on. v[0, n) is
 * borrowed until hash_later_wait, which frees; NULL is fine there.
 */
struct hash_later;
struct hash_later *hash_later_start(struct hash_item *v, size_t n);
void hash_later_wait(struct hash_later *h);

#endif
