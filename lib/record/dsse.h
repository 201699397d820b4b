/*
 * dsse.h - DSSE envelopes with one signature
 *
 *   {"payloadType": TYPE, "payload": base64,
 *    "signatures": [{"keyid": hex, "sig": base64 of 64 bytes}]}
 *
 * What is signed is the pre-authentication encoding, "DSSEv1", the type's
 * length and the type, the payload's length and the payload, separated by
 * blanks. Source: secure-systems-lab/dsse, protocol.md 1.0.2.
 */
#ifndef QUERN_RECORD_DSSE_H
#define QUERN_RECORD_DSSE_H

#include <jansson.h>
#include <stdbool.h>

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/record/key.h"

#define DSSE_INTOTO "application/vnd.in-toto+json"

void dsse_pae(struct str *out, const char *type, const void *payload,
    size_t n);
/* The envelope's text, in quern's one form of JSON. Caller frees; NULL: error.*/
char *dsse_seal(const struct signer *s, const char *type, const void *payload,
    size_t n, struct err *e);

struct dsse {
    struct str payload;          /* owned */
    char keyid[DIGEST_HEX];      /* a claim: dsse_verify compares it */
    uint8_t sig[SIGN_BYTES];
};

/*
 * Takes an envelope apart: exactly the three members, the type `type`, one
 * signature, strict base64. Nothing is verified yet. `v` is borrowed.
 */
int dsse_open(struct dsse *d, const json_t *v, const char *type,
    const char *place, struct err *e);
void dsse_release(struct dsse *d);
bool dsse_verify(const struct dsse *d, const char *type,
    const struct pubkey *key) __attribute__((warn_unused_result));

#endif
