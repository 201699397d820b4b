/* Any bytes as a safetensors file; what opens must lie within the file. */
#include <string.h>

#include "lib/format/safetensors.h"
#include "tests/fuzz/fuzz.h"

int
fuzz_one(const uint8_t *data, size_t size)
{
    struct safetensors s = { 0 };
    struct err e = { 0 };
    uint64_t total = 0;

    if (safetensors_open(&s, fuzz_file(data, size), &e)) {
        fuzz_require(e.text[0] != 0 && strchr(e.text, '\n') == NULL,
            "an error is one line");
        return 0;
    }
    for (size_t i = 0; i < s.n; i++) {
        const struct st_tensor *t = &s.t[i];

        fuzz_require(t->offset <= size && t->bytes <= size - t->offset,
            "a tensor lies in the file");
        fuzz_require(st_elements(t) * t->bits / 8 == t->bytes,
            "its shape gives its bytes");
        fuzz_require(safetensors_find(&s, t->name) == t, "it is found by name");
        total += t->bytes;
    }
    fuzz_require(total <= size, "tensors do not overlap");
    safetensors_close(&s);
    return 0;
}
