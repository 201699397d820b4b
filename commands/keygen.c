/*
 * quern-keygen - make an owner's key and enter it in allowed_signers
 *
 * usage: quern keygen [-s SIGNERS] FILE PRINCIPAL
 * The key is an ordinary OpenSSH Ed25519 key, as `ssh-keygen -t ed25519 -N ''`
 * makes it: FILE (mode 0600) and FILE.pub.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/err.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/option.h"
#include "lib/base/str.h"
#include "lib/record/key.h"

enum { SIGNERS_LIMIT = 1 << 20 };

static const char usage[] =
    "usage: quern keygen [-s SIGNERS] FILE PRINCIPAL\n"
    "\n"
    "  -s SIGNERS  allowed_signers file to add the public key to\n"
    "  FILE        private key to make; FILE.pub is the public one\n"
    "  PRINCIPAL   the owner's name, e.g. modeling@example.org\n";

/* What a key of quern may sign; ssh-keygen and git read the same line. */
static const char namespaces[] = "git,file,waiver@quern";

/* A principal is matched as a pattern by ssh-keygen: allow plain names only. */
static bool
is_principal(const char *s)
{
    if (!*s)
        return false;
    return strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                     "0123456789@._+-") == strlen(s);
}

static int
add_signer(const char *signers, const char *principal, const char *pub,
    struct err *e)
{
    struct pubkey key;
    struct blob old = { 0 };
    struct str text = { 0 };

    if (pubkey_read(&key, pub, e))
        return e->code;
    if (file_exists(signers)) {
        if (blob_read(&old, signers, SIGNERS_LIMIT, e))
            return e->code;
        str_addn(&text, old.p, old.len);
        if (text.len && text.p[text.len - 1] != '\n')
            str_addc(&text, '\n');
    }
    str_addf(&text, "%s namespaces=\"%s\" ", principal, namespaces);
    pubkey_text(&key, &text);
    str_addc(&text, '\n');
    file_write(signers, text.p, text.len, e);
    str_release(&text);
    blob_release(&old);
    return e->code;
}

int
main(int argc, char **argv)
{
    struct option_scan o = { .prog = "quern-keygen", .usage = usage,
        .known = ":hs:" };
    const char *signers = NULL;
    struct err e = { 0 };
    char *pub = NULL;
    char *dir = NULL;

    while (option_next(&o, argc, argv) != -1)
        signers = optarg;
    if (o.stop)
        return o.status;
    if (argc - optind != 2)
        return option_wrong(&o, "give FILE and PRINCIPAL");
    file_catch_signals();
    if (!is_principal(argv[optind + 1])) {
        err_set(&e, ERR_USAGE,
            "principal '%s': only letters, digits and @ . _ + - are allowed",
            argv[optind + 1]);
        return err_exit("quern-keygen", &e);
    }
    dir = path_dir(argv[optind]);
    pub = mem_printf("%s.pub", argv[optind]);
    if (file_mkdirs(dir, &e) == 0 &&
        record_keygen(argv[optind], argv[optind + 1], NULL, &e) == 0 && signers)
        add_signer(signers, argv[optind + 1], pub, &e);
    free(dir);
    free(pub);
    return err_exit("quern-keygen", &e);
}
