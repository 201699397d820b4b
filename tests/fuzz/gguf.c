/* Any bytes as a GGUF file; what opens must lie within the file. */
#include <string.h>

#include "lib/format/gguf.h"
#include "tests/fuzz/fuzz.h"

static void
walk_keys(const struct gguf *g, size_t size)
{
    for (size_t i = 0; i < g->n_kv; i++) {
        const struct gguf_kv *kv = &g->kv[i];
        const size_t at = (size_t)(kv->raw - g->map.p);
        struct str text = { 0 };
        struct err e = { 0 };

        fuzz_require(at <= size && kv->raw_bytes <= size - at,
            "a value lies in the file");
        fuzz_require(gguf_kv(g, kv->key) == kv, "a key is found");
        gguf_kv_text(kv, 40, &text);
        str_release(&text);
        (void)gguf_u32_or(g, kv->key, 0, &e);
        if (kv->kind == GGUF_ARRAY && kv->elem == GGUF_STR)
            for (struct gguf_strings it = gguf_strings(kv); gguf_next(&it);)
                fuzz_require(it.len <= size, "a string lies in the file");
    }
}

int
fuzz_one(const uint8_t *data, size_t size)
{
    struct gguf g = { 0 };
    struct err e = { 0 };

    if (gguf_open(&g, fuzz_file(data, size), &e)) {
        fuzz_require(e.text[0] != 0, "an error says something");
        return 0;
    }
    walk_keys(&g, size);
    for (size_t i = 0; i < g.n; i++) {
        const struct gguf_tensor *t = &g.t[i];

        fuzz_require(t->offset <= size && t->bytes <= size - t->offset,
            "a tensor lies in the file");
        fuzz_require(gguf_find(&g, t->name) == t, "it is found by name");
        fuzz_require(t->type == QT_COUNT || gguf_elements(t) == 0 ||
            t->bytes == qtype_row_bytes(t->type, (size_t)t->dim[0]) *
                (gguf_elements(t) / t->dim[0]),
            "its dimensions give its bytes");
    }
    gguf_close(&g);
    return 0;
}
