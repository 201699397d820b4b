/*
 * key_make.c - writing an OpenSSH key pair; the form is in key_file.c
 */
#include "lib/record/key.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/record/base64.h"
#include "lib/record/wire.h"

enum { COMMENT_LIMIT = 200, BLOB_LIMIT = 512, COLUMNS = 70 };

static const char magic[] = "openssh-key-v1"; /* with its NUL */

/* Fills `w`, which is secret memory of BLOB_LIMIT bytes. */
static void
build_blob(struct wire_out *w, const struct pubkey *public,
    const uint8_t *secret, const char *comment)
{
    uint8_t *private = sign_secret_new(BLOB_LIMIT);
    struct wire_out in = { .p = private, .cap = BLOB_LIMIT };
    uint8_t blob[KEY_BLOB];
    struct digest check = digest_of(public->b, SIGN_PUBLIC);

    pubkey_blob(public, blob);
    /* any two equal words do; taken from the key, a seed gives one file */
    wire_put(&in, check.b, 4);
    wire_put(&in, check.b, 4);
    wire_put(&in, blob, sizeof blob);
    wire_put_string(&in, secret, SIGN_SECRET);
    wire_put_text(&in, comment);
    for (uint8_t pad = 1; in.n % 8 != 0; pad++)
        wire_put(&in, &pad, 1);

    wire_put(w, magic, sizeof magic);
    wire_put_text(w, "none");
    wire_put_text(w, "none");
    wire_put_text(w, "");
    wire_put_u32(w, 1);
    wire_put_string(w, blob, sizeof blob);
    wire_put_string(w, private, in.n);
    sign_secret_free(private);
}

static int
write_private(const char *path, const struct pubkey *public,
    const uint8_t *secret, const char *comment, struct err *e)
{
    uint8_t *blob = sign_secret_new(BLOB_LIMIT);
    struct wire_out w = { .p = blob, .cap = BLOB_LIMIT };
    struct outfile o = { .slot = -1 };
    struct str text = { 0 };

    build_blob(&w, public, secret, comment);
    if (outfile_create_mode(&o, path, 0600, e) == 0) {
        /* room first, so that no grown-out-of buffer keeps a copy */
        for (int i = 0; i < 2 * BLOB_LIMIT; i++)
            str_addc(&text, ' ');
        str_clear(&text);
        str_add(&text, "-----BEGIN OPENSSH PRIVATE KEY-----\n");
        base64_encode(&text, blob, w.n, COLUMNS);
        str_add(&text, "-----END OPENSSH PRIVATE KEY-----\n");
        outfile_write(&o, text.p, text.len);
        outfile_commit(&o, e);
        sign_wipe(text.p, text.len);
        str_release(&text);
    }
    outfile_release(&o);
    sign_secret_free(blob);
    return e->code;
}

/* The comment goes into a line of text and, of the .pub file, to people. */
static bool
comment_is_fine(const char *s)
{
    if (strlen(s) > COMMENT_LIMIT)
        return false;
    for (; *s != '\0'; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return false;
    return true;
}

static int
must_be_free(const char *path, struct err *e)
{
    struct stat st;

    if (lstat(path, &st) != 0)
        return 0;
    return err_set(e, ERR_WORK,
        "%s: is there already; a key is never overwritten: move it away or "
        "choose another name",
        path);
}

int
record_keygen(const char *path, const char *comment, const uint8_t *seed,
    struct err *e)
{
    char *public_path = mem_printf("%s.pub", path);
    uint8_t *fresh = sign_secret_new(SIGN_SEED);
    uint8_t *secret = sign_secret_new(SIGN_SECRET);
    struct pubkey public;
    struct str line = { 0 };

    if (!comment_is_fine(comment)) {
        err_set(e, ERR_WORK,
            "%s: a key's comment is one line of at most %d bytes", path,
            COMMENT_LIMIT);
        goto done;
    }
    if (must_be_free(path, e) != 0 || must_be_free(public_path, e) != 0)
        goto done;
    if (seed != NULL)
        memcpy(fresh, seed, SIGN_SEED);
    else
        sign_random(fresh, SIGN_SEED);
    sign_pair(public.b, secret, fresh);
    if (write_private(path, &public, secret, comment, e) != 0)
        goto done;
    pubkey_text(&public, &line);
    if (*comment != '\0')
        str_addf(&line, " %s", comment);
    str_addc(&line, '\n');
    file_write(public_path, line.p, line.len, e);

done:
    str_release(&line);
    sign_secret_free(secret);
    sign_secret_free(fresh);
    free(public_path);
    return e->code;
}
