/* Any bytes as a fingerprint file; what is accepted can be written again. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/format/fingerprint.h"
#include "tests/fuzz/fuzz.h"

int
fuzz_one(const uint8_t *data, size_t size)
{
    struct fingerprint f = { 0 }, again = { 0 };
    struct err e = { 0 };
    json_t *o;
    char *text;

    if (fingerprint_parse(&f, "fuzz", data, size, &e)) {
        fuzz_require(e.text[0] != 0, "an error says something");
        fuzz_require(f.arena.head == NULL, "an error holds nothing");
        return 0;
    }
    for (size_t i = 0; i < f.n; i++)
        fuzz_require(fingerprint_tensor(&f, f.t[i].name) != NULL,
            "every tensor is found");
    if (strcmp(f.kind, "model") == 0)
        f.kind = "config"; /* its digest over all parts is not written here */
    o = fingerprint_json(&f);
    text = json_text(o, false);
    fuzz_require(fingerprint_parse(&again, "again", text, strlen(text), &e) ==
        0, "what was accepted is accepted again");
    fuzz_require(again.n == f.n && again.n_files == f.n_files &&
        again.n_keys == f.n_keys,
        "nothing is lost");
    free(text);
    json_decref(o);
    fingerprint_release(&again);
    fingerprint_release(&f);
    return 0;
}
