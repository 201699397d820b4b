/*
 * A tokenizer: `=== tokenizer.json`, `=== tokenizer_config.json` and what may
 * stand beside them, and `=== text` to encode, as sections of one input.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/text/tokenizer.h"
#include "lib/text/utf8.h"
#include "tests/fuzz/fuzz.h"

static void
encode(struct tokenizer *t, const char *text, size_t n)
{
    struct ids ids = { 0 };
    struct str out = { 0 };
    struct err e = { 0 };

    if (tokenizer_encode(t, text, n, true, &ids, &e) != 0) {
        fuzz_require(ids.n == 0, "an error leaves no ids");
    } else {
        fuzz_require(utf8_check(text, n) == n, "only UTF-8 is encoded");
        for (size_t i = 0; i < ids.n; i++)
            fuzz_require(tokenizer_token(t, ids.v[i]) != NULL,
                "an id has a token");
        tokenizer_decode(t, ids.v, ids.n, false, &out);
        fuzz_require(utf8_check(str_get(&out), out.len) == out.len,
            "decoded text is UTF-8");
    }
    str_release(&out);
    ids_release(&ids);
}

/* All that the GGUF writer asks. */
static void
describe(const struct tokenizer *t)
{
    struct str s = { 0 };
    struct err e = { 0 };
    size_t n = tokenizer_size(t);

    (void)tokenizer_gguf_pre(t, &e);
    (void)tokenizer_gguf_model(t);
    for (size_t i = 0; i < n && i < 1000; i++) {
        tokenizer_gguf_token(t, (int32_t)i, &s);
        (void)tokenizer_gguf_type(t, (int32_t)i);
        (void)tokenizer_gguf_score(t, (int32_t)i);
    }
    for (size_t i = 0; i < tokenizer_merges(t); i++)
        tokenizer_merge(t, i, &s);
    str_release(&s);
}

int
fuzz_one(const uint8_t *data, size_t size)
{
    const char *dir = fuzz_folder(data, size);
    char *json = path_join(dir, "tokenizer.json");
    char *config = path_join(dir, "tokenizer_config.json");
    char *text = path_join(dir, "text");
    struct tokenizer *t = NULL;
    struct blob b = { 0 };
    struct err e = { 0 };

    if (tokenizer_open(&t, json, config, &e) != 0) {
        fuzz_require(e.text[0] != 0, "an error says something");
        fuzz_require(t == NULL, "an error leaves no tokenizer");
    } else {
        describe(t);
        encode(t, "Hello  w\xc3\xb6rld'S 123\n\n <s>", 25);
        if (blob_read(&b, text, 1 << 20, &e) == 0)
            encode(t, b.p, b.len);
        blob_release(&b);
        tokenizer_free(t);
    }
    free(json);
    free(config);
    free(text);
    return 0;
}
