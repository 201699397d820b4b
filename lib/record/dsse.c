/*
 * dsse.c - see dsse.h
 */
#include "lib/record/dsse.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/record/base64.h"

void
dsse_pae(struct str *out, const char *type, const void *payload, size_t n)
{
    str_addf(out, "DSSEv1 %zu %s %zu ", strlen(type), type, n);
    str_addn(out, payload, n);
}

char *
dsse_seal(const struct signer *s, const char *type, const void *payload,
    size_t n, struct err *e)
{
    struct str pae = { 0 }, body = { 0 }, mark = { 0 };
    uint8_t sig[SIGN_BYTES];
    char *text = NULL;

    dsse_pae(&pae, type, payload, n);
    if (signer_sign(s, sig, pae.p, pae.len, e) == 0) {
        json_t *v;

        base64_encode(&body, payload, n, 0);
        base64_encode(&mark, sig, sizeof sig, 0);
        v = json_pack("{ss ss s[{ss ss}]}", "payloadType", type, "payload",
            str_get(&body), "signatures", "keyid", s->keyid, "sig",
            str_get(&mark));
        text = json_text(v, false);
        json_decref(v);
    }
    str_release(&pae);
    str_release(&body);
    str_release(&mark);
    return text;
}

static int
refuse(const char *place, const char *what, struct err *e)
{
    return err_set(e, ERR_WORK, "%s: not a signed record: %s", place, what);
}

static int
open_signature(struct dsse *d, const json_t *list, const char *place,
    struct err *e)
{
    const json_t *one = json_array_get(list, 0);
    const char *keyid = json_string_value(json_object_get(one, "keyid"));
    const json_t *sig = json_object_get(one, "sig");
    struct digest id;
    size_t n = 0;

    if (json_array_size(list) != 1 || json_object_size(one) != 2 ||
        keyid == NULL || !json_is_string(sig))
        return refuse(place, "it needs one signature with its key id", e);
    if (!digest_parse(&id, keyid) ||
        !base64_decode(d->sig, SIGN_BYTES, &n, json_string_value(sig),
            json_string_length(sig)) ||
        n != SIGN_BYTES)
        return refuse(place, "its signature is malformed", e);
    memcpy(d->keyid, keyid, DIGEST_HEX);
    return 0;
}

int
dsse_open(struct dsse *d, const json_t *v, const char *type,
    const char *place, struct err *e)
{
    const char *have = json_string_value(json_object_get(v, "payloadType"));
    const json_t *payload = json_object_get(v, "payload");
    size_t cap, n = 0;
    char *bytes;

    *d = (struct dsse){ 0 };
    if (json_object_size(v) != 3 || have == NULL || !json_is_string(payload))
        return refuse(place,
            "it needs payloadType, payload and signatures, and no more", e);
    if (strcmp(have, type) != 0)
        return refuse(place, "its payload is of another type", e);
    if (open_signature(d, json_object_get(v, "signatures"), place, e) != 0)
        return e->code;
    cap = json_string_length(payload) / 4 * 3 + 1;
    bytes = mem_calloc(cap, 1);
    if (base64_decode(bytes, cap, &n, json_string_value(payload),
            json_string_length(payload)))
        str_addn(&d->payload, bytes, n);
    else
        refuse(place, "its payload is not strict base64", e);
    free(bytes);
    return e->code;
}

void
dsse_release(struct dsse *d)
{
    str_release(&d->payload);
}

bool
dsse_verify(const struct dsse *d, const char *type, const struct pubkey *key)
{
    struct str pae = { 0 };
    char keyid[DIGEST_HEX];
    bool good;

    dsse_pae(&pae, type, str_get(&d->payload), d->payload.len);
    good = strcmp(pubkey_id(key, keyid), d->keyid) == 0 &&
        sign_verify(d->sig, pae.p, pae.len, key->b);
    str_release(&pae);
    return good;
}
