/*
 * documents.c - JSON files: records, tokenizers, what stages and models write,
 * and files with an object on each line
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/json.h"
#include "lib/inspect/kinds.h"
#include "lib/inspect/tree.h"
#include "lib/text/jsonl.h"

enum {
    DOCUMENT_LIMIT = 64 << 20, /* bytes of one JSON document */
    DOCUMENT_DEPTH = 64,       /* nesting; a reader of ours may recurse */
};

/* What a document without a schema is, by its members. */
static const struct {
    const char *member, *other, *name;
} marks[] = {
    { "weight_map", "weight_map", "safetensors-index" },
    { "architectures", "hidden_size", "config" },
    { "model_type", "model_type", "config" },
    { "identity", "recorded", "hardware" },
    { "tokenizer_class", "tokenizer_class", "tokenizer-config" },
    { "stage", "reasons", "why" },
};

/* "quern.gate/1": gate */
static json_t *
name_of(const json_t *document)
{
    const char *schema =
        json_string_value(json_object_get(document, "schema"));

    if (schema != NULL && str_starts(schema, "quern."))
        return value_text(schema + 6, strcspn(schema + 6, "/"));
    for (size_t i = 0; i < countof(marks); i++)
        if (json_object_get(document, marks[i].member) != NULL &&
            json_object_get(document, marks[i].other) != NULL)
            return json_string(marks[i].name);
    return json_null();
}

static bool
is_tokenizer(const json_t *document)
{
    const json_t *model = json_object_get(document, "model");

    return json_object_get(model, "vocab") != NULL &&
        json_object_get(model, "type") != NULL;
}

static bool
is_config(const json_t *document)
{
    return json_is_array(json_object_get(document, "architectures"));
}

/* The parser has bounded the nesting already, at 2048. */
static unsigned
depth_of(json_t *v)
{
    unsigned most = 0, d;
    const char *key;
    json_t *item;
    size_t i;

    json_object_foreach(v, key, item)
        most = (d = depth_of(item)) > most ? d : most;
    json_array_foreach(v, i, item)
        most = (d = depth_of(item)) > most ? d : most;
    return most + 1;
}

/* Takes the document. */
static int
set_document(json_t *v, json_t *document, const char *path,
    const struct inspect_opts *o, struct err *e)
{
    struct model_config c;
    struct err why = { 0 };

    if (depth_of(document) > DOCUMENT_DEPTH) {
        err_set(e, ERR_WORK, "%s: is nested deeper than %d; no file of a model "
            "or a stage is", path, DOCUMENT_DEPTH);
    } else if (record_is(document)) {
        record_set(v, path, o, e);
    } else if (is_tokenizer(document)) {
        value_set(v, "kind", json_string("tokenizer"));
        tokenizer_set(v, path);
    } else {
        value_set(v, "kind", json_string("document"));
        value_set(v, "document", name_of(document));
        value_set(v, "content", json_incref(document));
        if (is_config(document)) {
            config_from_hf(&c, document, path, &why);
            model_set(v, &c, &why);
        }
    }
    json_decref(document);
    return e->code;
}

/* Lines */

static void
add_value(json_t *members, const char *name, const json_t *value)
{
    json_t *o = json_object_get(members, name);
    const bool number = json_is_number(value) || json_is_boolean(value);
    const double x = json_is_boolean(value) ? json_is_true(value) :
        json_number_value(value);
    const json_t *low, *high;

    if (o == NULL) {
        o = json_pack("{sisisfsnsn}", "lines", 0, "numbers", 0, "sum", 0.0,
            "min", "max");
        value_set(members, name, o);
    }
    value_set(o, "lines", value_count(1 +
        (uint64_t)json_integer_value(json_object_get(o, "lines"))));
    if (!number || !isfinite(x))
        return;
    low = json_object_get(o, "min");
    high = json_object_get(o, "max");
    value_set(o, "numbers", value_count(1 +
        (uint64_t)json_integer_value(json_object_get(o, "numbers"))));
    value_set(o, "sum", value_real(x +
        json_real_value(json_object_get(o, "sum"))));
    if (!json_is_real(low) || x < json_real_value(low))
        value_set(o, "min", value_real(x));
    if (!json_is_real(high) || x > json_real_value(high))
        value_set(o, "max", value_real(x));
}

/* Sums become means. */
static void
settle(json_t *members)
{
    const char *name;
    json_t *o;

    json_object_foreach(members, name, o) {
        const double n =
            (double)json_integer_value(json_object_get(o, "numbers"));

        value_set(o, "mean", n > 0 ? value_real(
            json_real_value(json_object_get(o, "sum")) / n) : NULL);
        json_object_del(o, "sum");
    }
}

static int
set_lines(json_t *v, const struct map *m, struct err *e)
{
    struct jsonl it = jsonl_begin(m->path, m->p, m->len);
    json_t *members = json_object(), *first = NULL;
    uint64_t n = 0;

    while (e->code == 0 && jsonl_next(&it)) {
        json_t *o = jsonl_object(&it, e), *value;
        const char *name;

        if (depth_of(o) > DOCUMENT_DEPTH)
            err_set(e, ERR_WORK, "%s:%zu: is nested deeper than %d; no file of "
                "a stage is", m->path, it.line, DOCUMENT_DEPTH);
        json_object_foreach(o, name, value)
            if (json_object_get(members, name) != NULL ||
                json_object_size(members) < 256)
                add_value(members, name, value);
        if (o != NULL && first == NULL)
            first = json_incref(o);
        n += o != NULL;
        json_decref(o);
    }
    settle(members);
    value_set(v, "kind", json_string("lines"));
    value_set(v, "lines", value_count(n));
    value_set(v, "members", members);
    value_set(v, "first", first);
    return e->code;
}

/* The first line alone is an object, and there is another one. */
static bool
is_lines(const struct map *m)
{
    struct jsonl it = jsonl_begin(m->path, m->p, m->len);
    struct err e = { 0 };
    json_t *o;
    bool first;

    if (!jsonl_next(&it) || it.n > DOCUMENT_LIMIT)
        return false;
    o = jsonl_object(&it, &e);
    first = o != NULL;
    json_decref(o);
    return first && jsonl_next(&it);
}

int
inspect_json(json_t *v, const char *path, const struct inspect_opts *o,
    struct err *e)
{
    struct map m = { 0 };
    json_t *document;

    if (map_open(&m, path, e) != 0)
        return e->code;
    if (is_lines(&m)) {
        set_lines(v, &m, e);
    } else {
        document = json_read(path, DOCUMENT_LIMIT, NULL, e);
        if (document != NULL)
            set_document(v, document, path, o, e);
    }
    map_close(&m);
    return e->code;
}

void
view_document(const json_t *v, bool all, struct str *out)
{
    const char *name = view_text(v, "document");

    name = *name != 0 ? name : "JSON";
    grid_escape(out, name, strlen(name));
    str_add(out, "\n\n");
    if (json_object_get(v, "model") != NULL) {
        model_view(v, out);
        str_addc(out, '\n');
    }
    tree_view(json_object_get(v, "content"), all, out);
}

void
view_lines(const json_t *v, bool all, struct str *out)
{
    str_addf(out, "%" JSON_INTEGER_FORMAT " JSON objects, one a line\n",
        json_integer_value(json_object_get(v, "lines")));
    tree_part("members", json_object_get(v, "members"), all, out);
    tree_part("first", json_object_get(v, "first"), all, out);
}
