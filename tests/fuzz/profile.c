/* Any bytes as a production profile; an accepted one can be compared with. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/text/profile.h"
#include "tests/fuzz/fuzz.h"

int
fuzz_one(const uint8_t *data, size_t size)
{
    struct profile p = { 0 };
    struct shift s;
    struct err e = { 0 };
    json_t *o;

    if (profile_parse(&p, "fuzz", data, size, &e)) {
        fuzz_require(e.text[0] != 0, "an error says something");
        fuzz_require(p.doc == NULL, "an error holds nothing");
        return 0;
    }
    if (p.n <= 64 && p.tokens < 100000) {
        shift_measure(&s, p.doc, p.n, p.doc, p.n, 4, 3, 0.99, 1);
        fuzz_require(!s.enough || (s.value >= 0 && s.null_top >= 0),
            "distances are no less than zero");
    }
    o = profile_json(&p);
    fuzz_require(o != NULL, "it can be written again");
    json_decref(o);
    profile_release(&p);
    return 0;
}
