/*
 * hash.h - SHA-256 through libcrypto, the one identity of a file in quern
 *
 * libcrypto uses the CPU's SHA instructions: 1.2 to 1.5 GB/s on one core. For
 * many arrays there is hash_list.h.
 */
#ifndef QUERN_BASE_HASH_H
#define QUERN_BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

enum { DIGEST_BYTES = 32, DIGEST_HEX = 65 }; /* hex with its NUL */

struct digest {
    uint8_t b[DIGEST_BYTES];
};

struct hasher {
    void *ctx; /* EVP_MD_CTX; owned, NULL when not started */
};

void hasher_init(struct hasher *h);
void hasher_add(struct hasher *h, const void *p, size_t n);
struct digest hasher_final(struct hasher *h); /* and releases */
void hasher_release(struct hasher *h);

struct digest digest_of(const void *p, size_t n);
/* Lower-case hex and its NUL. Returns `hex`. */
char *digest_hex(const struct digest *d, char hex[DIGEST_HEX]);
/* Exactly 64 lower-case hex digits. */
bool digest_parse(struct digest *d, const char *hex);
bool digest_equal(const struct digest *a, const struct digest *b);
/* Digest of everything that can be read from fd, with pread from 0. */
int digest_fd(struct digest *d, uint64_t *bytes, int fd, const char *path,
    struct err *e);
int digest_file(struct digest *d, uint64_t *bytes, const char *path,
    struct err *e);

#endif
