#include "lib/model/read_tokenizer.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "lib/base/file.h"
#include "lib/base/str.h"
#include "lib/model/model_impl.h"

static int
from_files(struct tokenizer **t, const char *folder, const char *json,
    struct err *e)
{
    char *config = path_join(folder, "tokenizer_config.json");

    tokenizer_open(t, json, config, e);
    free(config);
    return e->code;
}

int
read_tokenizer(struct tokenizer **t, const char *path, struct err *e)
{
    struct gguf g = { 0 };
    struct stat st;
    char *other;

    *t = NULL;
    if (stat(path, &st) != 0)
        return err_sys(e, path, "cannot open", NULL);
    if (S_ISDIR(st.st_mode)) {
        other = path_join(path, "tokenizer.json");
        from_files(t, path, other, e);
        free(other);
    } else if (str_ends(path, ".json")) {
        other = path_dir(path);
        from_files(t, other, path, e);
        free(other);
    } else if (gguf_open(&g, path, e) == 0) {
        gguf_tokenizer(t, &g, e);
        gguf_close(&g);
    }
    return e->code;
}
