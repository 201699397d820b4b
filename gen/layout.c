/*
 * layout.c - what of a model shapes the graph
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "gen/expand.h"
#include "lib/base/file.h"
#include "lib/base/json.h"
#include "lib/format/gguf.h"
#include "lib/model/arch.h"

enum { CONFIG_MAX = 16 << 20 };

/* A number of config.json from 1 to `most`; `otherwise` if there is none. */
static int64_t
config_number(const json_t *config, const char *key, int64_t otherwise,
    const char *path, struct err *e)
{
    const json_t *v = json_object_get(config, key);

    if (v == NULL || json_is_null(v))
        return otherwise;
    return json_get_int(config, key, 1, 1 << 20, path, e);
}

static bool
config_has(const json_t *config, const char *key)
{
    return json_integer_value(json_object_get(config, key)) > 0;
}

/* A folder: numbers of its config.json. */
static void
folder_layout(struct layout *l, const char *dir, struct err *e)
{
    char *path = path_join(dir, "config.json");
    json_t *config = json_read(path, CONFIG_MAX, NULL, e);
    json_t *text = config != NULL ? config_text(config, path, e) : NULL;
    int64_t layers = 0, heads = 1, shared = 1;

    if (text != NULL) {
        json_decref(config);
        config = text;
    }
    if (config != NULL && e->code == 0) {
        const char *type = json_string_value(
            json_object_get(config, "model_type"));

        layers = json_get_int(config, "num_hidden_layers", 1, LAYERS_MAX,
            path, e);
        heads = config_number(config, "num_attention_heads", 1, path, e);
        shared = config_number(config, "num_key_value_heads", heads, path, e);
        l->experts = config_has(config, "num_local_experts") ||
            config_has(config, "num_experts");
        l->fused = type != NULL && strcmp(type, "phi3") == 0;
    }
    if (e->code == 0) {
        l->layers = (unsigned)layers;
        l->sharing = (unsigned)(heads / shared);
    }
    json_decref(config);
    free(path);
}

/* A GGUF file: its keys, read as the stages will read them. */
static void
gguf_layout(struct layout *l, const char *path, struct arena *names,
    struct err *e)
{
    struct gguf g = { 0 };
    struct model_config c;

    if (gguf_open(&g, path, e) == 0 && config_from_gguf(&c, &g, e) == 0) {
        l->layers = c.layers;
        l->sharing = c.heads / c.kv_heads;
        l->experts = c.experts > 0;
        l->fused = c.arch == ARCH_PHI3;
        l->gguf = true;
        l->parts = arena_alloc(names, g.n_more * sizeof *l->parts);
        for (; l->n_parts < g.n_more; l->n_parts++)
            l->parts[l->n_parts] = arena_strdup(names,
                g.more[l->n_parts].map.path);
    }
    gguf_close(&g);
}

int
expand_layout(struct policy *o, struct layout *l, struct err *e)
{
    const struct yaml *source = yaml_get(o->model, "source");
    const char *path = policy_path(o, source->text);
    struct err reason = { 0 };
    struct stat st;

    if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
        gguf_layout(l, path, &o->arena, &reason);
    else if (str_ends(path, ".gguf"))
        err_sys(&reason, path, "cannot open", "give the model's GGUF file");
    else
        folder_layout(l, path, &reason);
    if (reason.code != 0)
        err_set(e, ERR_WORK, "%s:%u:%u: %s", o->path, source->line,
            source->column, reason.text);
    return e->code;
}
