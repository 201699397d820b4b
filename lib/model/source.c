#include "lib/model/source.h"

#include <stdlib.h>

#include "lib/base/file.h"

int
source_tokenizer(struct tokenizer **t, const struct fingerprint *f,
    const char *dir, struct err *e)
{
    char *json = path_join(dir, "tokenizer.json");
    char *config = path_join(dir, "tokenizer_config.json");

    *t = NULL;
    if (fingerprint_check_files(f, dir, e) == 0 &&
        tokenizer_open(t, json, config, e) == 0 &&
        fingerprint_check_files(f, dir, e) != 0) {
        tokenizer_free(*t);
        *t = NULL;
    }
    free(json);
    free(config);
    return e->code;
}
