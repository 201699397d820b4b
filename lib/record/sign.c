/*
 * sign.c - the one file that sees libsodium; see sign.h
 */
#include "lib/record/sign.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(SIGN_PUBLIC == crypto_sign_PUBLICKEYBYTES, "public key");
_Static_assert(SIGN_SECRET == crypto_sign_SECRETKEYBYTES, "secret key");
_Static_assert(SIGN_SEED == crypto_sign_SEEDBYTES, "seed");
_Static_assert(SIGN_BYTES == crypto_sign_BYTES, "signature");
_Static_assert(SIGN_SHA512 == crypto_hash_sha512_BYTES, "digest");

/* Safe to repeat and from many threads. Without a random source no key is safe,
 * and a signature that cannot be trusted must not be made: end here. */
static void
start(void)
{
    if (sodium_init() < 0)
        abort();
}

void *
sign_secret_new(size_t n)
{
    void *p;

    start();
    p = sodium_malloc(n > 0 ? n : 1);
    if (p == NULL)
        abort();
    memset(p, 0, n);
    return p;
}

void
sign_secret_free(void *p)
{
    sodium_free(p);
}

void
sign_wipe(void *p, size_t n)
{
    sodium_memzero(p, n);
}

void
sign_random(void *p, size_t n)
{
    start();
    randombytes_buf(p, n);
}

void
sign_pair(uint8_t public[SIGN_PUBLIC], uint8_t *secret, const uint8_t *seed)
{
    start();
    crypto_sign_seed_keypair(public, secret, seed);
}

void
sign_message(uint8_t sig[SIGN_BYTES], const void *p, size_t n,
    const uint8_t *secret)
{
    start();
    crypto_sign_detached(sig, NULL, p, n, secret);
}

bool
sign_verify(const uint8_t sig[SIGN_BYTES], const void *p, size_t n,
    const uint8_t public[SIGN_PUBLIC])
{
    start();
    return crypto_sign_verify_detached(sig, p, n, public) == 0;
}

void
sign_sha512(uint8_t out[SIGN_SHA512], const void *p, size_t n)
{
    start();
    crypto_hash_sha512(out, p, n);
}
