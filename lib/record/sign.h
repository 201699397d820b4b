/*
 * sign.h - Ed25519, and memory for secrets: all that quern takes of libsodium
 *
 * Signatures are pure Ed25519 over the whole message, which is what OpenSSH,
 * in-toto and DSSE verify (libsodium's streaming calls make Ed25519ph). All
 * functions may be called from any thread.
 */
#ifndef QUERN_RECORD_SIGN_H
#define QUERN_RECORD_SIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SIGN_PUBLIC = 32,
    SIGN_SEED = 32,
    SIGN_SECRET = 64, /* seed, then the public key */
    SIGN_BYTES = 64,
    SIGN_SHA512 = 64,
};

/*
 * Memory for a secret: zeroed, locked against swapping where the system allows
 * it, between guard pages, wiped by sign_secret_free. Never NULL.
 */
void *sign_secret_new(size_t n);
void sign_secret_free(void *p);
void sign_wipe(void *p, size_t n);

void sign_random(void *p, size_t n);
/* The key pair that belongs to a seed. `secret` is secret memory. */
void sign_pair(uint8_t public[SIGN_PUBLIC], uint8_t *secret,
    const uint8_t *seed);
void sign_message(uint8_t sig[SIGN_BYTES], const void *p, size_t n,
    const uint8_t *secret);
/* False also for non-canonical signatures and small-order keys. */
bool sign_verify(const uint8_t sig[SIGN_BYTES], const void *p, size_t n,
    const uint8_t public[SIGN_PUBLIC]) __attribute__((warn_unused_result));
void sign_sha512(uint8_t out[SIGN_SHA512], const void *p, size_t n);

#endif
