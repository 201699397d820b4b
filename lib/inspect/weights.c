/*
 * weights.c - lists of tensors, what they add up to, and how they look on a
 * terminal: layers that are alike on one line
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/inspect/kinds.h"

void
weights_add(json_t *tensors, const struct weight *w)
{
    json_t *t = json_object(), *shape = json_array();

    for (unsigned i = 0; i < w->rank; i++)
        json_array_append_new(shape, value_count(w->shape[i]));
    value_set(t, "name", value_string(w->name));
    value_set(t, "type", value_string(w->type));
    value_set(t, "shape", shape);
    value_set(t, "bytes", value_count(w->bytes));
    value_set(t, "offset", value_count(w->offset));
    if (w->file != NULL)
        value_set(t, "file", value_string(w->file));
    json_array_append_new(tensors, t);
}

void
weights_add_safetensors(json_t *tensors, const struct safetensors *st)
{
    for (size_t i = 0; i < st->n; i++) {
        const struct st_tensor *t = &st->t[i];

        weights_add(tensors, &(struct weight){ .name = t->name,
            .type = t->dtype, .rank = t->rank, .shape = t->shape,
            .bytes = t->bytes, .offset = t->offset });
    }
}

/* Readers have checked that the product is less than 2^64. */
static uint64_t
elements(const json_t *tensor)
{
    const json_t *d;
    uint64_t n = 1;
    size_t i;

    json_array_foreach(json_object_get(tensor, "shape"), i, d)
        n *= (uint64_t)json_integer_value(d);
    return n;
}

static void
count_up(json_t *o, const char *key, uint64_t n)
{
    const json_t *old = json_object_get(o, key);

    value_set(o, key, value_count((uint64_t)json_integer_value(old) + n));
}

void
weights_set(json_t *v, json_t *tensors)
{
    json_t *types = json_object(), *list = json_array(), *t, *type;
    uint64_t n = 0, bytes = 0;
    const char *name;
    size_t i;

    json_array_foreach(tensors, i, t) {
        const uint64_t size =
            (uint64_t)json_integer_value(json_object_get(t, "bytes"));

        name = json_string_value(json_object_get(t, "type"));
        type = json_object_get(types, name);
        if (type == NULL) {
            type = json_object();
            value_set(type, "type", json_string(name));
            value_set(types, name, type);
        }
        count_up(type, "tensors", 1);
        count_up(type, "weights", elements(t));
        count_up(type, "bytes", size);
        n += elements(t);
        bytes += size;
    }
    json_object_foreach(types, name, type)
        json_array_append(list, type);
    json_decref(types);
    value_set(v, "weights", value_count(n));
    value_set(v, "weight_bytes", value_count(bytes));
    value_set(v, "bits_per_weight",
        value_real(n > 0 ? 8.0 * (double)bytes / (double)n : 0.0));
    value_set(v, "types", list);
    value_set(v, "tensors", tensors);
}

/* The view */

/* "256 x 512"; "scalar" */
static void
shape_text(const json_t *shape, struct str *out)
{
    const json_t *d;
    size_t i;

    json_array_foreach(shape, i, d)
        str_addf(out, "%s%" JSON_INTEGER_FORMAT, i > 0 ? " x " : "",
            json_integer_value(d));
    if (json_array_size(shape) == 0)
        str_add(out, "scalar");
}

/*
 * The number between the first two dots that hold nothing else: its place in
 * the name, and what it is. False if there is none.
 */
static bool
layer_number(const char *name, size_t *at, size_t *len, uint64_t *layer)
{
    for (const char *p = strchr(name, '.'); p != NULL; p = strchr(p + 1, '.')) {
        const size_t n = strspn(p + 1, "0123456789");

        if (n == 0 || n > 9 || p[1 + n] != '.')
            continue;
        *at = (size_t)(p + 1 - name);
        *len = n;
        *layer = strtoull(p + 1, NULL, 10);
        return true;
    }
    return false;
}

/* Tensors that differ in the layer only, by name, type and shape. */
static json_t *
group(const json_t *tensors)
{
    json_t *groups = json_object();
    const json_t *t;
    size_t i;

    json_array_foreach(tensors, i, t) {
        const char *name = view_text(t, "name");
        size_t at = 0, len = 0;
        uint64_t layer;
        const bool many = layer_number(name, &at, &len, &layer);
        struct str text = { 0 }, key = { 0 };
        json_t *g;

        str_addn(&text, name, at);
        str_add(&text, many ? "*" : "");
        str_add(&text, name + at + len);
        str_addf(&key, "%s\n%s\n", str_get(&text), view_text(t, "type"));
        shape_text(json_object_get(t, "shape"), &key);
        g = json_object_get(groups, str_get(&key));
        if (g == NULL) {
            g = json_object();
            value_set(g, "name", json_string(str_get(&text)));
            value_set(g, "first", json_incref(json_array_get(tensors, i)));
            value_set(g, "layers", json_array());
            value_set(groups, str_get(&key), g);
        }
        count_up(g, "n", 1);
        if (many)
            json_array_append_new(json_object_get(g, "layers"),
                value_count(layer));
        str_release(&text);
        str_release(&key);
    }
    return groups;
}

static int
by_value(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* "0-3, 7", at most so many runs */
static void
runs_text(const json_t *layers, struct str *out)
{
    enum { RUNS = 8 };
    const size_t n = json_array_size(layers);
    uint64_t *v = mem_calloc(n, sizeof *v);
    size_t runs = 0;

    for (size_t i = 0; i < n; i++)
        v[i] = (uint64_t)json_integer_value(json_array_get(layers, i));
    if (n > 0)
        qsort(v, n, sizeof *v, by_value);
    for (size_t i = 0, k; i < n; i = k) {
        for (k = i + 1; k < n && v[k] == v[k - 1] + 1; k++)
            continue;
        if (++runs > RUNS) {
            str_add(out, ", ...");
            break;
        }
        str_addf(out, "%s%" PRIu64, i > 0 ? ", " : "", v[i]);
        if (k - i > 1)
            str_addf(out, "-%" PRIu64, v[k - 1]);
    }
    free(v);
}

static void
tensor_row(struct grid *g, const json_t *t, const char *name,
    const json_t *layers, uint64_t n)
{
    struct str text = { 0 };

    grid_add(g, name);
    grid_add(g, view_text(t, "type"));
    shape_text(json_object_get(t, "shape"), &text);
    grid_add(g, str_get(&text));
    str_clear(&text);
    grid_size(&text, (double)view_count(t, "bytes"));
    grid_add(g, str_get(&text));
    str_clear(&text);
    if (n > 1)
        str_addf(&text, "%" PRIu64 " times", n);
    if (json_array_size(layers) > 0) {
        str_add(&text, ": ");
        runs_text(layers, &text);
    }
    grid_add(g, str_get(&text));
    str_release(&text);
}

/* One tensor under its own name, several under that with the asterisk. */
static void
group_row(struct grid *g, const json_t *group)
{
    const json_t *first = json_object_get(group, "first");
    const uint64_t n = view_count(group, "n");

    tensor_row(g, first, view_text(n > 1 ? group : first, "name"),
        n > 1 ? json_object_get(group, "layers") : NULL, n);
}

static void
view_tensors(const json_t *v, bool all, struct str *out)
{
    const json_t *tensors = json_object_get(v, "tensors"), *t;
    struct grid g = { .align = "lllrl" };
    json_t *groups = NULL;
    const char *key;
    size_t i;

    if (json_array_size(tensors) == 0)
        return;
    grid_add(&g, "tensor");
    grid_add(&g, "type");
    grid_add(&g, "shape");
    grid_add(&g, "size");
    grid_add(&g, "");
    if (all) {
        json_array_foreach(tensors, i, t)
            tensor_row(&g, t, view_text(t, "name"), NULL, 1);
    } else {
        json_t *one;

        groups = group(tensors);
        json_object_foreach(groups, key, one)
            group_row(&g, one);
    }
    str_addc(out, '\n');
    grid_text(&g, out);
    json_decref(groups);
}

static void
view_types(const json_t *v, struct str *out)
{
    const json_t *types = json_object_get(v, "types"), *t;
    const double whole = (double)view_count(v, "weight_bytes");
    struct grid g = { .align = "lrrrr" };
    size_t i;

    if (json_array_size(types) == 0)
        return;
    grid_add(&g, "type");
    grid_add(&g, "tensors");
    grid_add(&g, "weights");
    grid_add(&g, "size");
    grid_add(&g, "share");
    json_array_foreach(types, i, t) {
        struct str size = { 0 };

        grid_size(&size, (double)view_count(t, "bytes"));
        grid_add(&g, view_text(t, "type"));
        grid_addf(&g, "%" PRIu64, view_count(t, "tensors"));
        grid_addf(&g, "%" PRIu64, view_count(t, "weights"));
        grid_add(&g, str_get(&size));
        grid_addf(&g, "%.1f %%", whole > 0 ?
            100.0 * (double)view_count(t, "bytes") / whole : 0.0);
        str_release(&size);
    }
    str_addc(out, '\n');
    grid_text(&g, out);
}

/* Keys of GGUF and text of a safetensors header. */
static void
view_metadata(const json_t *v, struct str *out)
{
    enum { SHOWN = 60 }; /* bytes */
    const json_t *keys = json_object_get(v, "metadata"), *o;
    struct grid g = { .align = "lll" };
    size_t i;

    if (json_array_size(keys) == 0)
        return;
    grid_add(&g, "key");
    grid_add(&g, "type");
    grid_add(&g, "value");
    json_array_foreach(keys, i, o) {
        const json_t *value = json_object_get(o, "value");
        char *text = json_is_string(value) ?
            mem_strdup(json_string_value(value)) :
            json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(7));
        const size_t shown = text != NULL ? grid_cut(text, SHOWN) : 0;

        grid_add(&g, view_text(o, "key"));
        if (json_object_get(o, "count") != NULL)
            grid_addf(&g, "%s[%" PRIu64 "]", view_text(o, "type"),
                view_count(o, "count"));
        else
            grid_add(&g, view_text(o, "type"));
        grid_addf(&g, "%.*s%s", (int)shown, text != NULL ? text : "",
            text != NULL && text[shown] != 0 ? " ..." : "");
        free(text);
    }
    str_addc(out, '\n');
    grid_text(&g, out);
}

static void
view_files(const json_t *v, struct str *out)
{
    const json_t *files = json_object_get(v, "files"), *f;
    struct grid g = { .align = "lr" };
    size_t i;

    if (json_array_size(files) == 0)
        return;
    str_addc(out, '\n');
    grid_add(&g, "file");
    grid_add(&g, "size");
    json_array_foreach(files, i, f) {
        struct str size = { 0 };

        grid_size(&size, (double)view_count(f, "bytes"));
        grid_add(&g, view_text(f, "name"));
        grid_add(&g, str_get(&size));
        str_release(&size);
    }
    grid_text(&g, out);
}

void
view_weights(const json_t *v, bool all, struct str *out)
{
    const char *kind = view_text(v, "kind");

    if (strcmp(kind, "gguf") == 0)
        str_addf(out, "GGUF version %" PRIu64 ", ", view_count(v, "version"));
    else
        str_add(out, strcmp(kind, "checkpoint") == 0 ? "a checkpoint, " :
            "safetensors, ");
    if (*view_text(v, "file_type") != 0)
        str_addf(out, "mostly %s, ", view_text(v, "file_type"));
    grid_size(out, (double)view_count(v, "bytes"));
    str_add(out, "\n\n");
    model_view(v, out);
    str_addf(out, "weights    %" PRIu64 " in %zu tensors, ",
        view_count(v, "weights"),
        json_array_size(json_object_get(v, "tensors")));
    grid_size(out, (double)view_count(v, "weight_bytes"));
    str_addf(out, ", %.2f bits each\n",
        json_real_value(json_object_get(v, "bits_per_weight")));
    view_types(v, out);
    view_files(v, out);
    view_metadata(v, out);
    view_tensors(v, all, out);
}
