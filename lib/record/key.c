/*
 * key.c - public keys and what signs; see key.h
 */
#include "lib/record/key.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/record/base64.h"
#include "lib/record/wire.h"

enum { PUBLIC_LIMIT = 16 * 1024 };

static const char type_name[] = "ssh-ed25519";

bool
pubkey_equal(const struct pubkey *a, const struct pubkey *b)
{
    return memcmp(a->b, b->b, SIGN_PUBLIC) == 0;
}

char *
pubkey_hex(const struct pubkey *k, char hex[DIGEST_HEX])
{
    struct digest d;

    _Static_assert(sizeof d.b == SIGN_PUBLIC, "both are 32 bytes");
    memcpy(d.b, k->b, sizeof d.b);
    return digest_hex(&d, hex);
}

char *
pubkey_id(const struct pubkey *k, char hex[DIGEST_HEX])
{
    char public[DIGEST_HEX];
    struct str s = { 0 };
    struct digest d;

    str_addf(&s,
        "{\"keyid_hash_algorithms\":[\"sha256\",\"sha512\"],"
        "\"keytype\":\"ed25519\",\"keyval\":{\"public\":\"%s\"},"
        "\"scheme\":\"ed25519\"}",
        pubkey_hex(k, public));
    d = digest_of(s.p, s.len);
    str_release(&s);
    return digest_hex(&d, hex);
}

void
pubkey_blob(const struct pubkey *k, uint8_t blob[KEY_BLOB])
{
    struct wire_out w = { .p = blob, .cap = KEY_BLOB };

    wire_put_text(&w, type_name);
    wire_put_string(&w, k->b, SIGN_PUBLIC);
}

bool
pubkey_from_blob(struct pubkey *k, const void *blob, size_t n)
{
    struct wire w = { .p = blob, .n = n };
    bool known = wire_is(&w, type_name);
    struct wire key = wire_string(&w);

    if (!known || w.bad || key.n != SIGN_PUBLIC || w.n != 0)
        return false;
    memcpy(k->b, key.p, SIGN_PUBLIC);
    return true;
}

void
pubkey_text(const struct pubkey *k, struct str *out)
{
    uint8_t blob[KEY_BLOB];

    pubkey_blob(k, blob);
    str_addf(out, "%s ", type_name);
    base64_encode(out, blob, sizeof blob, 0);
}

bool
pubkey_from_base64(struct pubkey *k, const char *text, size_t n)
{
    uint8_t blob[KEY_BLOB];
    size_t len;

    return base64_decode(blob, sizeof blob, &len, text, n) &&
        pubkey_from_blob(k, blob, len);
}

int
pubkey_read(struct pubkey *k, const char *path, struct err *e)
{
    struct blob b = { 0 };
    size_t skip = sizeof type_name; /* the name and a blank */
    bool good;

    if (blob_read(&b, path, PUBLIC_LIMIT, e) != 0)
        return e->code;
    good = str_starts(b.p, type_name) && b.len > skip && b.p[skip - 1] == ' ' &&
        pubkey_from_base64(k, b.p + skip, strcspn(b.p + skip, " \r\n"));
    blob_release(&b);
    if (good)
        return 0;
    return err_set(e, ERR_WORK,
        "%s: not an Ed25519 public key; write the line that "
        "'ssh-keygen -t ed25519' leaves in its .pub file",
        path);
}

void
signer_release(struct signer *s)
{
    if (s->secret != NULL)
        sign_secret_free(s->secret);
    free(s->path);
    *s = (struct signer){ 0 };
}

int
signer_sign(const struct signer *s, uint8_t sig[SIGN_BYTES], const void *p,
    size_t n, struct err *e)
{
    int code = s->sign(s, sig, p, n, e);

    if (code == 0 && !sign_verify(sig, p, n, s->public.b))
        code = err_set(e, ERR_WORK,
            "%s: its signature does not verify under its public key; "
            "use another key",
            s->path);
    return code;
}
