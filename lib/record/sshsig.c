/*
 * sshsig.c - see sshsig.h
 *
 * The signature file holds, in base64 between its two lines:
 *
 *   "SSHSIG"  uint32 1
 *   string public key   string namespace   string reserved ""
 *   string hash name    string ( string "ssh-ed25519", string signature[64] )
 *
 * and Ed25519 signs
 *
 *   "SSHSIG"  string namespace  string ""  string hash name  string H(message)
 */
#include "lib/record/sshsig.h"

#include <string.h>

#include "lib/base/mem.h"
#include "lib/record/base64.h"
#include "lib/record/wire.h"

enum { BLOB_LIMIT = 2048, NAME_LIMIT = 256, COLUMNS = 70 };

static const char begin_line[] = "-----BEGIN SSH SIGNATURE-----\n";
static const char end_line[] = "-----END SSH SIGNATURE-----\n";
static const char type_name[] = "ssh-ed25519";
static const char magic[] = { 'S', 'S', 'H', 'S', 'I', 'G' };

/* What Ed25519 signs; `w` has room for BLOB_LIMIT bytes. */
static void
build_message(struct wire_out *w, const char *ns, const char *hash_name,
    const void *p, size_t n)
{
    wire_put(w, magic, sizeof magic);
    wire_put_text(w, ns);
    wire_put_text(w, "");
    wire_put_text(w, hash_name);
    if (strcmp(hash_name, "sha512") == 0) {
        uint8_t hash[SIGN_SHA512];

        sign_sha512(hash, p, n);
        wire_put_string(w, hash, sizeof hash);
    } else {
        struct digest d = digest_of(p, n);

        wire_put_string(w, d.b, sizeof d.b);
    }
}

static void
add_armor(struct str *out, const void *blob, size_t n)
{
    str_add(out, begin_line);
    base64_encode(out, blob, n, COLUMNS);
    str_add(out, end_line);
}

int
sshsig_sign(const struct signer *s, const char *ns, const void *p, size_t n,
    struct str *armor, struct err *e)
{
    uint8_t message[BLOB_LIMIT], blob[BLOB_LIMIT], mark[128], key[KEY_BLOB];
    uint8_t sig[SIGN_BYTES];
    struct wire_out m = { .p = message, .cap = sizeof message };
    struct wire_out b = { .p = blob, .cap = sizeof blob };
    struct wire_out k = { .p = mark, .cap = sizeof mark };

    if (*ns == '\0' || strlen(ns) > NAME_LIMIT)
        return err_set(e, ERR_WORK,
            "%s: a signature's namespace has 1 to %d bytes", s->path,
            NAME_LIMIT);
    build_message(&m, ns, "sha512", p, n);
    if (signer_sign(s, sig, message, m.n, e) != 0)
        return e->code;
    pubkey_blob(&s->public, key);
    wire_put_text(&k, type_name);
    wire_put_string(&k, sig, sizeof sig);
    wire_put(&b, magic, sizeof magic);
    wire_put_u32(&b, 1);
    wire_put_string(&b, key, sizeof key);
    wire_put_text(&b, ns);
    wire_put_text(&b, "");
    wire_put_text(&b, "sha512");
    wire_put_string(&b, mark, k.n);
    add_armor(armor, blob, b.n);
    return 0;
}

static int
refuse(const char *place, const char *what, struct err *e)
{
    return err_set(e, ERR_WORK, "%s: %s; sign the file again", place, what);
}

/* The blob behind the armor, only if its armor is the one we would write. */
static int
read_armor(uint8_t blob[BLOB_LIMIT], size_t *n, const char *armor,
    size_t n_armor, const char *place, struct err *e)
{
    size_t begin = sizeof begin_line - 1, end = sizeof end_line - 1, len = 0;
    char body[SSHSIG_LIMIT];
    struct str again = { 0 };
    bool same;

    if (n_armor > SSHSIG_LIMIT || n_armor < begin + end)
        return refuse(place, "is not an SSH signature", e);
    for (size_t i = begin; i < n_armor - end; i++)
        if (armor[i] != '\n')
            body[len++] = armor[i];
    if (!base64_decode(blob, BLOB_LIMIT, n, body, len))
        return refuse(place, "is not an SSH signature", e);
    add_armor(&again, blob, *n);
    same = again.len == n_armor && memcmp(again.p, armor, n_armor) == 0;
    str_release(&again);
    return same ? 0 : refuse(place,
        "is not an SSH signature as ssh-keygen writes it", e);
}

static int
read_blob(struct sshsig *s, struct wire w, const char *place, struct err *e)
{
    bool head = wire_match(&w, magic, sizeof magic) && wire_u32(&w) == 1;
    struct wire key = wire_string(&w), name = wire_string(&w);
    bool reserved = !wire_is(&w, "");
    struct wire hash = wire_string(&w), mark = wire_string(&w);
    bool type = wire_is(&mark, type_name);
    struct wire sig = wire_string(&mark);

    if (!head || w.bad || w.n != 0 || reserved || !type || mark.bad ||
        mark.n != 0 || sig.n != SIGN_BYTES ||
        !pubkey_from_blob(&s->key, key.p, key.n))
        return refuse(place, "is not an Ed25519 SSH signature", e);
    if (hash.n != 6 || (memcmp(hash.p, "sha512", 6) != 0 &&
            memcmp(hash.p, "sha256", 6) != 0))
        return refuse(place, "uses a hash that is not taken", e);
    if (name.n == 0 || name.n > NAME_LIMIT ||
        memchr(name.p, 0, name.n) != NULL)
        return refuse(place, "says not what it was signed for", e);
    memcpy(s->ns, name.p, name.n);
    s->ns[name.n] = 0;
    s->hash_name = memcmp(hash.p, "sha512", 6) == 0 ? "sha512" : "sha256";
    memcpy(s->sig, sig.p, SIGN_BYTES);
    return 0;
}

int
sshsig_read(struct sshsig *s, const char *armor, size_t n_armor,
    const char *place, struct err *e)
{
    uint8_t blob[BLOB_LIMIT];
    size_t n = 0;

    if (read_armor(blob, &n, armor, n_armor, place, e) != 0)
        return e->code;
    return read_blob(s, (struct wire){ .p = blob, .n = n }, place, e);
}

int
sshsig_signer(struct pubkey *key, const char *ns, const void *p, size_t n,
    const char *armor, size_t n_armor, const char *place, struct err *e)
{
    uint8_t message[BLOB_LIMIT];
    struct wire_out m = { .p = message, .cap = sizeof message };
    struct sshsig s;

    if (*ns == '\0' || strlen(ns) > NAME_LIMIT)
        return err_set(e, ERR_WORK,
            "%s: a signature's namespace has 1 to %d bytes", place,
            NAME_LIMIT);
    if (sshsig_read(&s, armor, n_armor, place, e) != 0)
        return e->code;
    if (strcmp(s.ns, ns) != 0)
        return err_set(e, ERR_WORK,
            "%s: was signed for another purpose than '%s'; sign the file "
            "again with -n %s", place, ns, ns);
    build_message(&m, ns, s.hash_name, p, n);
    if (!sign_verify(s.sig, message, m.n, s.key.b))
        return refuse(place, "the signature does not belong to these bytes", e);
    *key = s.key;
    return 0;
}

int
sshsig_verify(const struct pubkey *key, const char *ns, const void *p,
    size_t n, const char *armor, size_t n_armor, const char *place,
    struct err *e)
{
    struct pubkey by;

    if (sshsig_signer(&by, ns, p, n, armor, n_armor, place, e) != 0)
        return e->code;
    if (!pubkey_equal(&by, key))
        return refuse(place, "is signed with another key than its owner's", e);
    return 0;
}
