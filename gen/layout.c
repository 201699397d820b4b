/*
 * layout.c - what of a model shapes the graph
 */
#include <stdlib.h>
#include <string.h>

#include "gen/expand.h"
#include "lib/base/file.h"
#include "lib/base/json.h"

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

int
expand_layout(struct policy *o, struct layout *l, struct err *e)
{
    const struct yaml *source = yaml_get(o->model, "source");
    const char *dir = policy_path(o, source->text);
    char *path = path_join(dir, "config.json");
    struct err reason = { 0 };
    json_t *config = json_read(path, CONFIG_MAX, NULL, &reason);
    int64_t layers = 0, heads = 1, shared = 1;

    if (config != NULL) {
        const char *type = json_string_value(
            json_object_get(config, "model_type"));

        layers = json_get_int(config, "num_hidden_layers", 1, LAYERS_MAX,
            path, &reason);
        heads = config_number(config, "num_attention_heads", 1, path,
            &reason);
        shared = config_number(config, "num_key_value_heads", heads, path,
            &reason);
        l->experts = config_has(config, "num_local_experts") ||
            config_has(config, "num_experts");
        l->fused = type != NULL && strcmp(type, "phi3") == 0;
    }
    if (reason.code != 0) {
        err_set(e, ERR_WORK, "%s:%u:%u: %s", o->path, source->line,
            source->column, reason.text);
    } else {
        l->layers = (unsigned)layers;
        l->sharing = (unsigned)(heads / shared);
    }
    json_decref(config);
    free(path);
    return e->code;
}
