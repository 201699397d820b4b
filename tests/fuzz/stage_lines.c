/* Any bytes as a stage file, and as a ledger: lines are found, or it is refused. */
#include <stdlib.h>
#include <string.h>

#include "lib/record/release.h"
#include "lib/record/stage_lines.h"
#include "tests/fuzz/fuzz.h"

int
fuzz_one(const uint8_t *data, size_t size)
{
    struct stage_lines l;
    struct record none = { .step = NULL };
    struct err e = { 0 };
    char step[] = "release";
    char *text = malloc(size + 1);
    char *path;

    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = 0;
    none.step = step;
    if (stage_lines_parse(&l, text, size, "fuzz", &e) == 0) {
        fuzz_require(strcmp(l.v[l.n - 1], "--end") == 0, "it is whole");
        path = stage_lines_in(&l, "dir", "policy.json");
        fuzz_require(path != NULL, "an input lies somewhere");
        free(path);
        stage_lines_match(&l, &none, "fuzz", &e);
    } else {
        fuzz_require(e.text[0] != 0, "an error says something");
    }
    stage_lines_release(&l);
    json_decref(ledger_last(text));
    json_decref(ledger_release(text, "0123"));
    free(text);
    return 0;
}
