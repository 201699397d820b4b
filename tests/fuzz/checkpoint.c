/*
 * A checkpoint folder: config.json, index and weight files, as sections
 * `=== NAME` of one input.
 */
#include <string.h>

#include "lib/format/checkpoint.h"
#include "tests/fuzz/fuzz.h"

int
fuzz_one(const uint8_t *data, size_t size)
{
    struct checkpoint c = { 0 };
    struct err e = { 0 };

    if (checkpoint_open(&c, fuzz_folder(data, size), &e)) {
        fuzz_require(e.text[0] != 0, "an error says something");
        return 0;
    }
    fuzz_require(c.n > 0 && json_is_object(c.config), "it has content");
    for (size_t i = 0; i < c.n; i++) {
        const struct ck_tensor *t = &c.t[i];

        fuzz_require(t->file < c.n_files && c.files[t->file].map != NULL &&
            strcmp(c.files[t->file].path, t->path) == 0,
            "a tensor knows its file");
        fuzz_require(checkpoint_find(&c, t->name) == t, "it is found by name");
        (void)checkpoint_layer_of(t->name);
        (void)digest_of(t->data, t->bytes); /* all of it can be read */
        map_done(t->data, t->bytes);
    }
    checkpoint_close(&c);
    return 0;
}
