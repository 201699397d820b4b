/*
 * owners.h - two owners with throwaway keys, and who is allowed to sign
 */
#ifndef QUERN_TESTS_RECORD_OWNERS_H
#define QUERN_TESTS_RECORD_OWNERS_H

#include "lib/record/signers.h"
#include "tests/lib/record/fixture.h"

static struct signer alice, bob;
static struct signers allowed;

static inline void
owners_allow(struct str *text, const char *name, const char *options,
    const struct signer *s)
{
    str_addf(text, "%s %s", name, options);
    pubkey_text(&s->public, text);
    str_addc(text, '\n');
}

/* The scratch folder, both keys, and allowed_signers with these options. */
static inline int
owners_setup(void **state, const char *of_alice, const char *of_bob)
{
    struct str text = { 0 };
    struct err e = { 0 };
    int code;

    if (fixture_setup(state) != 0)
        return 1;
    alice = fixture_signer("alice");
    bob = fixture_signer("bob");
    owners_allow(&text, "alice", of_alice, &alice);
    owners_allow(&text, "bob", of_bob, &bob);
    code = signers_parse(&allowed, text.p, text.len, "signers", &e);
    str_release(&text);
    return code;
}

static inline int
owners_teardown(void **state)
{
    signers_release(&allowed);
    signer_release(&alice);
    signer_release(&bob);
    return fixture_teardown(state);
}

#endif
