/*
 * checkpoint.c - folders of Hugging Face's form, and single safetensors files
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/format/checkpoint.h"
#include "lib/inspect/kinds.h"
#include "lib/model/arch.h"

static void
add_files(json_t *v, const struct checkpoint *c)
{
    json_t *files = json_array();
    uint64_t bytes = 0;

    for (size_t i = 0; i < c->n_files; i++) {
        json_t *f = json_object();

        value_set(f, "name", value_string(c->files[i].name));
        value_set(f, "bytes", value_count(c->files[i].bytes));
        value_set(f, "weights", json_boolean(c->files[i].map != NULL));
        json_array_append_new(files, f);
        bytes += c->files[i].bytes;
    }
    value_set(v, "bytes", value_count(bytes));
    value_set(v, "files", files);
}

static void
add_model(json_t *v, const char *path, const struct checkpoint *c)
{
    char *place = path_join(path, "config.json");
    char *words = path_join(path, "tokenizer.json");
    json_t *ignored = json_array();
    struct model_config config;
    struct err e = { 0 };

    config_from_hf(&config, c->config, place, &e);
    model_set(v, &config, &e);
    for (size_t i = 0; i < c->n && e.code == 0; i++)
        if (arch_ignores(&config, c->t[i].name))
            json_array_append_new(ignored, value_string(c->t[i].name));
    if (e.code == 0)
        value_set(json_object_get(v, "model"), "ignored",
            json_incref(ignored));
    json_decref(ignored);
    model_set_runs(v, path);
    value_set(v, "tokenizer", NULL);
    if (file_exists(words))
        tokenizer_set(v, path);
    free(place);
    free(words);
}

int
inspect_checkpoint(json_t *v, const char *path, const struct inspect_opts *o,
    struct err *e)
{
    json_t *tensors = json_array();
    struct checkpoint c = { 0 };

    (void)o;
    if (checkpoint_open(&c, path, e) != 0) {
        json_decref(tensors);
        return e->code;
    }
    value_set(v, "kind", json_string("checkpoint"));
    add_files(v, &c);
    add_model(v, path, &c);
    for (size_t i = 0; i < c.n; i++) {
        const struct ck_tensor *t = &c.t[i];

        weights_add(tensors, &(struct weight){ .name = t->name,
            .type = t->dtype, .rank = t->rank, .shape = t->shape,
            .bytes = t->bytes, .offset = t->offset,
            .file = path_base(t->path) });
    }
    weights_set(v, tensors);
    checkpoint_close(&c);
    return 0;
}

/* "__metadata__" as the keys of GGUF are shown. */
static json_t *
metadata(const json_t *meta)
{
    json_t *list = json_array();
    json_t *copy = json_deep_copy(meta), *value;
    const char *key;

    json_object_foreach(copy, key, value) {
        json_t *o = json_object();

        value_set(o, "key", json_string(key));
        value_set(o, "type", json_string("string"));
        value_set(o, "value", json_incref(value));
        json_array_append_new(list, o);
    }
    json_decref(copy);
    return list;
}

int
inspect_safetensors(json_t *v, const char *path, const struct inspect_opts *o,
    struct err *e)
{
    struct safetensors st = { 0 };
    json_t *tensors;

    (void)o;
    if (safetensors_open(&st, path, e) != 0)
        return e->code;
    if (statistics_is(&st)) {
        statistics_set(v, &st, e);
    } else if (tokens_is(&st)) {
        tokens_set(v, &st, e);
    } else {
        tensors = json_array();
        value_set(v, "kind", json_string("safetensors"));
        value_set(v, "metadata", metadata(st.meta));
        weights_add_safetensors(tensors, &st);
        weights_set(v, tensors);
    }
    safetensors_close(&st);
    return e->code;
}
