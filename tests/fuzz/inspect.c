/*
 * Any bytes as a file to look at, or `=== NAME` sections as a folder: what is
 * shown is JSON that can be written, and text that no terminal obeys.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/inspect/inspect.h"
#include "tests/fuzz/fuzz.h"

static void
check_text(const json_t *v, bool all)
{
    struct str text = { 0 };

    inspect_text(v, all, &text);
    fuzz_require(text.len > 0, "something is shown");
    for (size_t i = 0; i < text.len; i++) {
        const unsigned char c = (unsigned char)text.p[i];

        fuzz_require((c >= 0x20 && c != 0x7f) || c == '\n',
            "nothing controls the terminal");
    }
    str_release(&text);
}

int
fuzz_one(const uint8_t *data, size_t size)
{
    const bool folder = size >= 4 && memcmp(data, "=== ", 4) == 0;
    struct inspect_opts o = { .all = size % 2 == 1 };
    struct err e = { 0 };
    json_t *v = inspect_path(folder ? fuzz_folder(data, size) :
        fuzz_file(data, size), &o, &e);
    char *text;

    if (v == NULL) {
        fuzz_require(e.text[0] != 0, "an error says something");
        return 0;
    }
    fuzz_require(json_is_string(json_object_get(v, "kind")),
        "what is shown has a kind");
    text = json_text(v, false);
    fuzz_require(strlen(text) > 0, "it can be written");
    free(text);
    check_text(v, false);
    check_text(v, true);
    json_decref(v);
    return 0;
}
