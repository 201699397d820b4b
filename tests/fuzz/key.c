/* Any bytes as an OpenSSH private key; one that is taken has to sign. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/record/key.h"
#include "tests/fuzz/fuzz.h"

int
fuzz_one(const uint8_t *data, size_t size)
{
    char *text = mem_calloc(size + 1, 1);
    uint8_t secret[SIGN_SECRET] = { 0 }, sig[SIGN_BYTES];
    struct pubkey k;
    struct err e = { 0 };

    if (size > 0)
        memcpy(text, data, size);
    if (key_parse(&k, secret, text, size, "fuzz", &e) == 0) {
        sign_message(sig, data, size, secret);
        fuzz_require(sign_verify(sig, data, size, k.b),
            "the parts of a key that is taken belong together");
    } else {
        fuzz_require(e.text[0] != '\0', "an error says something");
    }
    free(text);
    return 0;
}
