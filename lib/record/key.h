/*
 * key.h - owners' keys: ordinary OpenSSH Ed25519 keys
 *
 * A public key is 32 bytes; its in-toto key id is the SHA-256 of the canonical
 * JSON of in-toto 1.x's key object. A private key is a file as ssh-keygen
 * writes it, without passphrase, that nobody but its owner may read.
 */
#ifndef QUERN_RECORD_KEY_H
#define QUERN_RECORD_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/hash.h"
#include "lib/base/str.h"
#include "lib/record/sign.h"

struct pubkey {
    uint8_t b[SIGN_PUBLIC];
};

enum { KEY_BLOB = 51 }; /* SSH's form: string "ssh-ed25519", string key */

bool pubkey_equal(const struct pubkey *a, const struct pubkey *b);
/* in-toto key id, 64 hex digits; returns `hex`. Its first 8 name link files. */
char *pubkey_id(const struct pubkey *k, char hex[DIGEST_HEX]);
/* 64 lower-case hex digits; returns `hex`. */
char *pubkey_hex(const struct pubkey *k, char hex[DIGEST_HEX]);
void pubkey_blob(const struct pubkey *k, uint8_t blob[KEY_BLOB]);
bool pubkey_from_blob(struct pubkey *k, const void *blob, size_t n);
/* Appends "ssh-ed25519 BASE64", as in .pub and allowed_signers files. */
void pubkey_text(const struct pubkey *k, struct str *out);
/* The base64 word of such a line. */
bool pubkey_from_base64(struct pubkey *k, const char *text, size_t n);
/* The key of a .pub file: "ssh-ed25519 BASE64 [comment]". */
int pubkey_read(struct pubkey *k, const char *path, struct err *e);

/*
 * Something that signs with one key. signer_open reads a key file; another way
 * to sign (an agent, a token) fills the same struct with its own `sign`.
 */
struct signer {
    struct pubkey public;
    char keyid[DIGEST_HEX];
    char *path;      /* what messages name; owned */
    uint8_t *secret; /* secret memory, SIGN_SECRET bytes; owned; may be NULL */
    int (*sign)(const struct signer *s, uint8_t sig[SIGN_BYTES], const void *p,
        size_t n, struct err *e);
};

/*
 * Refuses keys that others may read, encrypted ones, other types, several keys
 * in one file, and files whose public and secret parts do not belong together
 * (signing with such a key would give the key away).
 */
int signer_open(struct signer *s, const char *path, struct err *e);
void signer_release(struct signer *s);
/* Signs, and checks the signature under the public key before giving it out. */
int signer_sign(const struct signer *s, uint8_t sig[SIGN_BYTES], const void *p,
    size_t n, struct err *e);

/*
 * The text of a private key file, for signer_open and the fuzzer. `text` is
 * wiped as far as it was read. `secret` gets SIGN_SECRET bytes.
 */
int key_parse(struct pubkey *public, uint8_t *secret, char *text, size_t n,
    const char *path, struct err *e);

/*
 * record_keygen - make a key pair: PATH (0600) and PATH.pub, as ssh-keygen does
 * `seed` of SIGN_SEED bytes makes a known key for tests; NULL: a random one.
 * An existing file is never overwritten.
 */
int record_keygen(const char *path, const char *comment, const uint8_t *seed,
    struct err *e);

#endif
