/*
 * Any bytes as documents, one a line: read, normalized, cut into shingles and
 * runs of ids.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/text/corpus.h"
#include "lib/text/jsonl.h"
#include "tests/fuzz/fuzz.h"

/* Ids that stand for a text here: its bytes. */
static void
look(struct overlap *o, const char *text, size_t len, bool add)
{
    int32_t *ids = mem_calloc(len, sizeof *ids);

    for (size_t i = 0; i < len; i++)
        ids[i] = (uint8_t)text[i];
    if (add) {
        overlap_add(o, ids, len);
    } else {
        overlap_note(o, ids, len);
        overlap_look(o, ids, len);
    }
    free(ids);
}

int
fuzz_one(const uint8_t *data, size_t size)
{
    struct jsonl it = jsonl_begin("fuzz", data, size);
    struct overlap o = { 0 };
    struct str norm = { 0 }, twice = { 0 };
    struct err e = { 0 };
    size_t n = 0;

    while (jsonl_next(&it)) {
        struct shingles words;
        json_t *doc;
        size_t len;
        const char *text = jsonl_text(&it, &doc, &len, &e);

        if (text == NULL) {
            fuzz_require(strncmp(e.text, "fuzz:", 5) == 0,
                "an error names file and line");
            break;
        }
        fuzz_require(corpus_normalize(text, len, &norm), "JSON is UTF-8");
        fuzz_require(corpus_normalize(str_get(&norm), norm.len, &twice),
            "normal text is text");
        corpus_shingles(&words, str_get(&norm), norm.len);
        fuzz_require(shingles_jaccard(&words, &words) == 1.0,
            "a text is like itself");
        shingles_release(&words);
        look(&o, text, len, n++ % 2 == 0);
        json_decref(doc);
    }
    overlap_release(&o);
    str_release(&norm);
    str_release(&twice);
    return 0;
}
