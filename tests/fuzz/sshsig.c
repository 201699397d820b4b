/*
 * Any bytes as an SSH signature over "abc". One that verifies has one spelling
 * only, and is over these bytes in this namespace.
 */
#include "lib/record/sshsig.h"
#include "tests/fuzz/fuzz.h"

int
fuzz_one(const uint8_t *data, size_t size)
{
    struct pubkey k;
    struct err e = { 0 };

    if (sshsig_signer(&k, "file", "abc", 3, (const char *)data, size, "fuzz",
            &e) != 0) {
        fuzz_require(e.text[0] != '\0', "an error says something");
        return 0;
    }
    fuzz_require(sshsig_verify(&k, "file", "abc", 3, (const char *)data, size,
                     "fuzz", &e) == 0, "its key verifies it");
    fuzz_require(sshsig_verify(&k, "git", "abc", 3, (const char *)data, size,
                     "fuzz", &e) != 0, "it is for one namespace");
    return 0;
}
