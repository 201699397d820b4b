/*
 * signtool - SSH signatures from a command line, for tests in other tongues
 *
 * usage: signtool sign KEY NAMESPACE FILE            armor on stdout
 *        signtool verify PUBKEY NAMESPACE FILE SIG   exit 0 or 1
 *        signtool keygen PATH COMMENT
 *        signtool keyid PUBKEY                       in-toto's key id
 */
#include <stdio.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/record/key.h"
#include "lib/record/sshsig.h"

enum { FILE_LIMIT = 1 << 26 };

static int
sign(char **argv, struct err *e)
{
    struct signer s = { 0 };
    struct blob b = { 0 };
    struct str armor = { 0 };

    if (signer_open(&s, argv[0], e) == 0 &&
        blob_read(&b, argv[2], FILE_LIMIT, e) == 0 &&
        sshsig_sign(&s, argv[1], b.p, b.len, &armor, e) == 0)
        fputs(armor.p, stdout);
    str_release(&armor);
    blob_release(&b);
    signer_release(&s);
    return e->code;
}

static int
verify(char **argv, struct err *e)
{
    struct pubkey k;
    struct blob b = { 0 }, sig = { 0 };

    if (pubkey_read(&k, argv[0], e) == 0 &&
        blob_read(&b, argv[2], FILE_LIMIT, e) == 0 &&
        blob_read(&sig, argv[3], FILE_LIMIT, e) == 0)
        sshsig_verify(&k, argv[1], b.p, b.len, sig.p, sig.len, argv[3], e);
    blob_release(&b);
    blob_release(&sig);
    return e->code;
}

static int
keyid(const char *path, struct err *e)
{
    struct pubkey k;
    char hex[DIGEST_HEX];

    if (pubkey_read(&k, path, e) == 0)
        puts(pubkey_id(&k, hex));
    return e->code;
}

int
main(int argc, char **argv)
{
    struct err e = { 0 };

    if (argc == 5 && strcmp(argv[1], "sign") == 0)
        sign(argv + 2, &e);
    else if (argc == 6 && strcmp(argv[1], "verify") == 0)
        verify(argv + 2, &e);
    else if (argc == 4 && strcmp(argv[1], "keygen") == 0)
        record_keygen(argv[2], argv[3], NULL, &e);
    else if (argc == 3 && strcmp(argv[1], "keyid") == 0)
        keyid(argv[2], &e);
    else
        err_set(&e, ERR_USAGE, "usage: sign, verify, keygen or keyid");
    return err_exit("signtool", &e);
}
