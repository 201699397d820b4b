/*
 * key_file.c - reading an OpenSSH private key
 *
 * PROTOCOL.key of OpenSSH. Between the BEGIN and END lines stands base64 in
 * lines of 70 columns; decoded (`string` is a big-endian length and bytes):
 *
 *   "openssh-key-v1\0"
 *   string cipher "none"    string kdf "none"    string kdf options ""
 *   uint32 1                number of keys
 *   string public           string "ssh-ed25519", string key[32]
 *   string private          a multiple of 8 bytes:
 *     uint32 check, uint32 check again
 *     string "ssh-ed25519"  string key[32]  string seed[32] key[32]
 *     string comment        padding 1 2 3 ... of fewer than 8 bytes
 *
 * Everything that ever holds the secret is secret memory and wiped.
 */
#include "lib/record/key.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/record/base64.h"
#include "lib/record/wire.h"

enum { KEY_LIMIT = 16 * 1024 };

static const char begin_line[] = "-----BEGIN OPENSSH PRIVATE KEY-----\n";
static const char end_line[] = "-----END OPENSSH PRIVATE KEY-----";
static const char magic[] = "openssh-key-v1"; /* with its NUL */
static const char type_name[] = "ssh-ed25519";

static int
refuse(const char *path, const char *what, struct err *e)
{
    return err_set(e, ERR_WORK,
        "%s: %s; make a key with 'ssh-keygen -t ed25519 -N \"\"'", path, what);
}

/* The private section, after the outer wrapping is known to be right. */
static int
parse_private(struct pubkey *public, uint8_t *secret, struct wire w,
    const char *path, struct err *e)
{
    uint32_t check1 = wire_u32(&w), check2 = wire_u32(&w);
    bool known = wire_is(&w, type_name);
    struct wire pk = wire_string(&w), sk = wire_string(&w);
    struct pubkey derived;
    bool good;

    wire_string(&w); /* the comment */
    if (w.bad || check1 != check2 || !known || pk.n != SIGN_PUBLIC ||
        sk.n != SIGN_SECRET || w.n >= 8)
        return refuse(path, "is damaged", e);
    for (size_t i = 0; i < w.n; i++)
        if (w.p[i] != i + 1)
            return refuse(path, "is damaged", e);
    sign_pair(derived.b, secret, sk.p);
    good = memcmp(pk.p, public->b, SIGN_PUBLIC) == 0 &&
        memcmp(sk.p + SIGN_SEED, public->b, SIGN_PUBLIC) == 0 &&
        pubkey_equal(&derived, public);
    if (good)
        return 0;
    sign_wipe(secret, SIGN_SECRET);
    return refuse(path, "holds public and private parts of different keys", e);
}

static int
parse_blob(struct pubkey *public, uint8_t *secret, struct wire w,
    const char *path, struct err *e)
{
    struct wire key, private;
    bool open, kdf;
    uint32_t keys;

    if (!wire_match(&w, magic, sizeof magic))
        return refuse(path, "is not an OpenSSH private key", e);
    open = wire_is(&w, "none");
    kdf = wire_is(&w, "none");
    if (!w.bad && (!open || !kdf))
        return err_set(e, ERR_WORK,
            "%s: is encrypted and nobody is there to give the passphrase; "
            "take it off with 'ssh-keygen -p -N \"\"' or use another key",
            path);
    kdf = wire_is(&w, "");
    keys = wire_u32(&w);
    if (w.bad || !kdf || keys != 1)
        return refuse(path, "does not hold exactly one key", e);
    key = wire_string(&w);
    private = wire_string(&w);
    if (w.bad || w.n != 0 || private.n % 8 != 0)
        return refuse(path, "is damaged", e);
    if (!pubkey_from_blob(public, key.p, key.n))
        return refuse(path, "is not an Ed25519 key", e);
    return parse_private(public, secret, private, path, e);
}

int
key_parse(struct pubkey *public, uint8_t *secret, char *text, size_t n,
    const char *path, struct err *e)
{
    size_t begin = sizeof begin_line - 1, end = sizeof end_line - 1;
    size_t len = 0, bytes = 0;
    uint8_t *blob;
    char *body;
    int code;

    while (n > 0 && text[n - 1] == '\n')
        n--;
    if (n < begin + end || memcmp(text, begin_line, begin) != 0 ||
        memcmp(text + n - end, end_line, end) != 0)
        return refuse(path, "is not an OpenSSH private key", e);
    body = text + begin;
    n -= begin + end;
    for (size_t i = 0; i < n; i++) /* the line feeds go, in place */
        if (body[i] != '\n')
            body[len++] = body[i];
    blob = sign_secret_new(len / 4 * 3 + 3);
    if (base64_decode(blob, len / 4 * 3 + 3, &bytes, body, len))
        code = parse_blob(public, secret,
            (struct wire){ .p = blob, .n = bytes }, path, e);
    else
        code = refuse(path, "is damaged", e);
    sign_secret_free(blob);
    sign_wipe(body, n);
    return code;
}

static int
sign_with_secret(const struct signer *s, uint8_t sig[SIGN_BYTES],
    const void *p, size_t n, struct err *e)
{
    (void)e; /* a key in memory cannot fail to sign */
    sign_message(sig, p, n, s->secret);
    return 0;
}

/* Reads at most KEY_LIMIT + 1 bytes; returns how many, or -1. */
static ssize_t
read_key(int fd, char *text)
{
    size_t n = 0;

    while (n < KEY_LIMIT + 1) {
        ssize_t got = read(fd, text + n, KEY_LIMIT + 1 - n);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        n += (size_t)got;
    }
    return (ssize_t)n;
}

static int
load(struct signer *s, int fd, struct err *e)
{
    struct stat st;
    char *text;
    ssize_t n;
    int code;

    if (fstat(fd, &st) != 0)
        return err_sys(e, s->path, "cannot look at the key", NULL);
    if (!S_ISREG(st.st_mode))
        return refuse(s->path, "is not a file", e);
    if ((st.st_mode & 077) != 0)
        return err_set(e, ERR_WORK,
            "%s: others may read this private key (mode %04o); run "
            "'chmod 600' on it",
            s->path, (unsigned)st.st_mode & 07777);
    text = sign_secret_new(KEY_LIMIT + 1);
    n = read_key(fd, text);
    if (n < 0)
        code = err_sys(e, s->path, "cannot read the key", NULL);
    else if (n > KEY_LIMIT)
        code = refuse(s->path, "is too long for a key", e);
    else
        code = key_parse(&s->public, s->secret, text, (size_t)n, s->path, e);
    sign_secret_free(text);
    return code;
}

int
signer_open(struct signer *s, const char *path, struct err *e)
{
    int fd, code;

    *s = (struct signer){ .sign = sign_with_secret };
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_sys(e, path, "cannot open the private key",
            "put the owner's key there, or name its place in the policy");
    s->path = mem_strdup(path);
    s->secret = sign_secret_new(SIGN_SECRET);
    code = load(s, fd, e);
    close(fd);
    if (code == 0)
        pubkey_id(&s->public, s->keyid);
    else
        signer_release(s);
    return code;
}
