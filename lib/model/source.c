#include "lib/model/source.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "lib/base/file.h"
#include "lib/model/model_impl.h"

static int
from_folder(struct tokenizer **t, const struct fingerprint *f,
    const char *dir, struct err *e)
{
    char *json = path_join(dir, "tokenizer.json");
    char *config = path_join(dir, "tokenizer_config.json");

    if (fingerprint_check_files(f, dir, e) == 0 &&
        tokenizer_open(t, json, config, e) == 0)
        fingerprint_check_files(f, dir, e);
    free(json);
    free(config);
    return e->code;
}

static int
from_gguf(struct tokenizer **t, const struct fingerprint *f,
    const char *path, struct err *e)
{
    struct gguf g = { 0 };

    if (gguf_open(&g, path, e) == 0 &&
        fingerprint_check_keys(f, &g, e) == 0 &&
        gguf_tokenizer(t, &g, e) == 0)
        map_unchanged(&g.map, e);
    gguf_close(&g);
    return e->code;
}

int
source_tokenizer(struct tokenizer **t, const struct fingerprint *f,
    const char *path, struct err *e)
{
    struct stat st;

    *t = NULL;
    if (stat(path, &st) != 0)
        return err_sys(e, path, "cannot open the model", NULL);
    if (S_ISDIR(st.st_mode))
        from_folder(t, f, path, e);
    else
        from_gguf(t, f, path, e);
    if (e->code != 0) {
        tokenizer_free(*t);
        *t = NULL;
    }
    return e->code;
}
