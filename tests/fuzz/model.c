/* Any bytes as the GGUF file of a model: what opens can be run. */
#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/model/model.h"
#include "tests/fuzz/fuzz.h"

int
fuzz_one(const uint8_t *data, size_t size)
{
    static const int32_t ids[] = { 0, 1, 0 };
    struct model *m = NULL;
    struct err e = { 0 };
    struct session *s;
    float *logits;

    if (model_open(&m, fuzz_file(data, size), NULL, &e) != 0) {
        fuzz_require(e.text[0] != 0 && m == NULL, "an error says something");
        return 0;
    }
    logits = mem_calloc(model_config(m)->vocab, sizeof *logits);
    s = session_new(m, 4, NULL);
    if (session_eval(s, ids, 3, logits, LOGITS_LAST, &e) != 0)
        fuzz_require(session_len(s) == 0, "an error leaves the session alone");
    else
        fuzz_require(session_len(s) == 3, "three ids are read");
    session_free(s);
    free(logits);
    model_free(m);
    return 0;
}
