/*
 * tokenizer_config.c - the files beside tokenizer.json: which tokens are bos,
 * eos, unk and pad, and the chat template
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/text/tokenizer_impl.h"
#include "lib/text/utf8.h"

/* A tokenizer_config.json spells out every added token: a few million bytes. */
enum { CONFIG_MOST = 32 << 20, CHAT_MOST = 4 << 20 };

/* Which token `key` names, a text or an object with a text: its id in *id. */
static int
read_token(const struct tokenizer *t, const json_t *config, const char *key,
    const char *path, int32_t *id, struct err *e)
{
    const json_t *v = json_object_get(config, key);

    if (json_is_object(v))
        v = json_object_get(v, "content");
    if (v == NULL || json_is_null(v) || *id >= 0)
        return 0;
    if (!json_is_string(v))
        return err_set(e, ERR_WORK,
            "%s: '%s' is not a token's text; repair the file", path, key);
    *id = tokenizer_id(t, json_string_value(v));
    if (*id < 0)
        return err_set(e, ERR_WORK,
            "%s: '%s' names '%.60s', which is no token of tokenizer.json; "
            "repair the file",
            path, key, json_string_value(v));
    return 0;
}

static int
read_tokens(struct tokenizer *t, const json_t *config, const char *path,
    struct err *e)
{
    if (!json_is_object(config))
        return err_set(e, ERR_WORK, "%s: is not a JSON object; fetch it again",
            path);
    if (read_token(t, config, "bos_token", path, &t->bos, e) == 0 &&
        read_token(t, config, "eos_token", path, &t->eos, e) == 0 &&
        read_token(t, config, "unk_token", path, &t->unk, e) == 0)
        read_token(t, config, "pad_token", path, &t->pad, e);
    return e->code;
}

/* A text, or a list of named ones of which "default" is taken. */
static void
read_template(struct tokenizer *t, const json_t *config)
{
    const json_t *v = json_object_get(config, "chat_template"), *each;
    size_t i;

    json_array_foreach(v, i, each) {
        const json_t *name = json_object_get(each, "name");

        if (json_is_string(name) &&
            strcmp(json_string_value(name), "default") == 0) {
            v = json_object_get(each, "template");
            break;
        }
    }
    if (json_is_string(v))
        t->chat_template = mem_strdup(json_string_value(v));
}

static int
read_jinja(struct tokenizer *t, const char *path, struct err *e)
{
    struct blob b = { 0 };
    size_t valid;

    if (!file_exists(path))
        return 0;
    if (blob_read(&b, path, CHAT_MOST, e) != 0)
        return e->code;
    valid = utf8_check(b.p, b.len);
    if (valid < b.len) {
        err_set(e, ERR_WORK,
            "%s: byte %zu is not valid UTF-8; fetch the file again", path,
            valid);
    } else {
        free(t->chat_template);
        t->chat_template = mem_strndup(b.p, b.len);
    }
    blob_release(&b);
    return e->code;
}

/* Adds what the JSON file says, if there is such a file. */
static int
read_file(struct tokenizer *t, const char *path, bool template,
    struct err *e)
{
    json_t *j;

    if (!file_exists(path))
        return 0;
    j = json_read(path, CONFIG_MOST, NULL, e);
    if (j != NULL && read_tokens(t, j, path, e) == 0 && template)
        read_template(t, j);
    json_decref(j);
    return e->code;
}

int
tokenizer_read_config(struct tokenizer *t, const char *json_path,
    const char *config_path, struct err *e)
{
    char *dir = path_dir(json_path);
    char *map = path_join(dir, "special_tokens_map.json");
    char *jinja = path_join(dir, "chat_template.jinja");

    /* earlier files win for tokens; the template's own file wins for it */
    if (config_path == NULL || read_file(t, config_path, true, e) == 0) {
        if (read_file(t, map, false, e) == 0)
            read_jinja(t, jinja, e);
    }
    if (t->unk < 0)
        t->unk = t->bpe.unk;
    free(dir);
    free(map);
    free(jinja);
    return e->code;
}
