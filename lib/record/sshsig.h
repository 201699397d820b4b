/*
 * sshsig.h - signatures over files as ssh-keygen -Y makes and checks them
 *
 * Armored in lines of 70 columns and with SHA-512 the bytes are those that
 * `ssh-keygen -Y sign -n NAMESPACE` writes. Source: PROTOCOL.sshsig of OpenSSH.
 * A signature carries no time; it is told from others by key, namespace and
 * digest, never by its own bytes.
 */
#ifndef QUERN_RECORD_SSHSIG_H
#define QUERN_RECORD_SSHSIG_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/record/key.h"

enum { SSHSIG_LIMIT = 4096 }; /* bytes of a signature's text */

/* Appends the armored signature, with its last line feed. */
int sshsig_sign(const struct signer *s, const char *ns, const void *p,
    size_t n, struct str *armor, struct err *e);

/*
 * sshsig_verify - whether `key` signed these bytes in this namespace
 * Stricter than ssh-keygen, which lets unauthenticated bits through: version 1,
 * nothing reserved, sha256 or sha512, this namespace, this very armor. `place`
 * is what messages name.
 */
int sshsig_verify(const struct pubkey *key, const char *ns, const void *p,
    size_t n, const char *armor, size_t n_armor, const char *place,
    struct err *e);
/*
 * The same when the key is not known beforehand: on success *key validly
 * signed the bytes; whether it may is the caller's question.
 */
int sshsig_signer(struct pubkey *key, const char *ns, const void *p, size_t n,
    const char *armor, size_t n_armor, const char *place, struct err *e);

/* What a signature says of itself. */
struct sshsig {
    struct pubkey key;       /* which claims to have signed */
    char ns[257];            /* namespace: what it was signed for */
    const char *hash_name;   /* "sha512" or "sha256"; static */
    uint8_t sig[SIGN_BYTES];
};

/* sshsig_read - take the armor apart; whether it holds is not looked at. */
int sshsig_read(struct sshsig *s, const char *armor, size_t n_armor,
    const char *place, struct err *e);

#endif
