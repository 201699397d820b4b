/* Any bytes as an allowed_signers file: nobody may stand for everybody. */
#include <string.h>

#include "lib/record/signers.h"
#include "tests/fuzz/fuzz.h"

int
fuzz_one(const uint8_t *data, size_t size)
{
    struct signers a = { 0 };
    struct err e = { 0 };

    if (signers_parse(&a, (const char *)data, size, "fuzz", &e) != 0) {
        fuzz_require(e.text[0] != '\0', "an error says something");
        fuzz_require(a.v == NULL, "an error holds nothing");
        return 0;
    }
    for (size_t i = 0; i < a.n; i++) {
        const char *name = a.v[i].principal;

        fuzz_require(strpbrk(name, "*?!, \t\n") == NULL && *name != '\0',
            "a principal is one plain name");
        fuzz_require(signers_has(&a, name, NULL, &a.v[i].key),
            "who is listed is found");
    }
    signers_release(&a);
    return 0;
}
