/*
 * signers.h - the owners: OpenSSH's allowed_signers file, read strictly
 *
 *   NAME[,NAME...] [namespaces="A,B"] ssh-ed25519 BASE64 [comment]
 *
 * Blank lines and lines that start with '#' are skipped. Refused, with the
 * line: patterns (`*`, `?`, `!`: one name would stand for anybody),
 * cert-authority, other key types, and valid-after and valid-before, because a
 * signature carries no time that could be held against them; an owner who
 * leaves is taken out of the file.
 */
#ifndef QUERN_RECORD_SIGNERS_H
#define QUERN_RECORD_SIGNERS_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"
#include "lib/base/hash.h"
#include "lib/record/key.h"

struct signers_entry {
    char *principal;  /* owned */
    char *namespaces; /* "git,file"; NULL: any; owned */
    struct pubkey key;
    size_t line;
};

struct signers {
    struct signers_entry *v; /* in file order; owned */
    size_t n;
    struct digest digest; /* of the file */
};

int signers_read(struct signers *a, const char *path, struct err *e);
/* The same for text in memory; `place` is what messages name. */
int signers_parse(struct signers *a, const char *text, size_t n,
    const char *place, struct err *e);
void signers_release(struct signers *a);
/*
 * The first line for this principal from index *i on whose namespaces hold
 * `ns` (NULL: whatever they hold); *i moves past it. NULL at the end.
 */
const struct signers_entry *signers_next(const struct signers *a,
    const char *principal, const char *ns, size_t *i);
/* The first key of this principal, whatever its namespaces, or NULL. */
const struct pubkey *signers_find(const struct signers *a,
    const char *principal);
/* Whether this principal may sign with this key in this namespace. */
bool signers_has(const struct signers *a, const char *principal,
    const char *ns, const struct pubkey *key);
/* Who this key belongs to, or NULL. */
const char *signers_principal(const struct signers *a,
    const struct pubkey *key);

#endif
