/*
 * statistics.c - how large activations were: quern's statistics, importance
 * matrices, and the tokens that both are taken from
 */
#include <inttypes.h>
#include <string.h>

#include "lib/base/bytes.h"
#include "lib/format/imatrix.h"
#include "lib/inspect/kinds.h"

static const char suffix[] = ".mean2";

static bool
is_mean2(const struct st_tensor *t)
{
    return str_ends(t->name, suffix) && strcmp(t->dtype, "F32") == 0 &&
        (t->rank == 1 || t->rank == 2);
}

bool
statistics_is(const struct safetensors *st)
{
    for (size_t i = 0; i < st->n; i++)
        if (is_mean2(&st->t[i]))
            return safetensors_meta(st, "tokens") != NULL;
    return false;
}

static json_t *
role_value(const struct safetensors *st, const struct st_tensor *t)
{
    const char *const names[] = { "mean2", "absmean", "absmax", "tokens" };
    const size_t stem = strlen(t->name) - (sizeof suffix - 1);
    json_t *o = json_object();

    value_set(o, "role", value_text(t->name, stem));
    value_set(o, "columns", value_count(t->shape[t->rank - 1]));
    value_set(o, "experts", value_count(t->rank == 2 ? t->shape[0] : 0));
    for (size_t i = 0; i < countof(names); i++) {
        char *name = mem_printf("%.*s.%s", (int)stem, t->name, names[i]);
        const struct st_tensor *x = safetensors_find(st, name);

        value_set(o, names[i], x == NULL || strcmp(x->dtype, "F32") != 0 ?
            NULL : value_floats(safetensors_data(st, x), st_elements(x)));
        free(name);
    }
    return o;
}

int
statistics_set(json_t *v, const struct safetensors *st, struct err *e)
{
    const char *text = safetensors_meta(st, "tokens");
    json_t *roles = json_array();
    unsigned long long tokens = 0;

    value_set(v, "kind", json_string("statistics"));
    value_set(v, "roles", roles);
    if (!str_to_u64(text, INT64_MAX, &tokens))
        return err_set(e, ERR_WORK, "%s: '%.40s' is no number of tokens; "
            "delete it and run the calibrate stage", st->map.path, text);
    value_set(v, "tokens", value_count(tokens));
    for (size_t i = 0; i < st->n; i++)
        if (is_mean2(&st->t[i]))
            json_array_append_new(roles, role_value(st, &st->t[i]));
    return 0;
}

bool
tokens_is(const struct safetensors *st)
{
    const struct st_tensor *ids = safetensors_find(st, "ids");
    const struct st_tensor *offsets = safetensors_find(st, "offsets");

    return st->n == 2 && ids != NULL && offsets != NULL && ids->rank == 1 &&
        offsets->rank == 1 && strcmp(ids->dtype, "I32") == 0 &&
        strcmp(offsets->dtype, "I64") == 0 && offsets->shape[0] > 0;
}

int
tokens_set(json_t *v, const struct safetensors *st, struct err *e)
{
    const struct st_tensor *ids = safetensors_find(st, "ids");
    const struct st_tensor *offsets = safetensors_find(st, "offsets");
    const uint8_t *p = safetensors_data(st, offsets);
    uint64_t least = UINT64_MAX, most = 0, at = load_u64le(p);
    int64_t largest = -1;

    for (uint64_t i = 1; i < offsets->shape[0]; i++) {
        const uint64_t next = load_u64le(p + 8 * i);

        if (next < at || next > ids->shape[0])
            return err_set(e, ERR_WORK, "%s: text %" PRIu64 " ends before it "
                "begins or after the last id; delete it and run the corpus "
                "stage", st->map.path, i - 1);
        least = next - at < least ? next - at : least;
        most = next - at > most ? next - at : most;
        at = next;
    }
    if (load_u64le(p) != 0 || at != ids->shape[0])
        return err_set(e, ERR_WORK, "%s: its texts do not cover its ids; "
            "delete it and run the corpus stage", st->map.path);
    p = safetensors_data(st, ids);
    for (uint64_t i = 0; i < ids->shape[0]; i++) {
        const int32_t id = (int32_t)load_u32le(p + 4 * i);

        largest = id > largest ? id : largest;
    }
    value_set(v, "kind", json_string("tokens"));
    value_set(v, "texts", value_count(offsets->shape[0] - 1));
    value_set(v, "tokens", value_count(ids->shape[0]));
    value_set(v, "shortest", value_count(least == UINT64_MAX ? 0 : least));
    value_set(v, "longest", value_count(most));
    value_set(v, "largest_id", json_integer(largest));
    value_set(v, "metadata", st->meta != NULL ? json_deep_copy(st->meta) :
        NULL);
    return 0;
}

static json_t *
entry_value(const struct imatrix_entry *x)
{
    json_t *o = json_object();

    value_set(o, "name", value_string(x->name));
    value_set(o, "columns", value_count(x->cols));
    value_set(o, "matrices", value_count(x->mats));
    value_set(o, "in_sum2",
        value_floats((const uint8_t *)x->sum2, x->cols * x->mats));
    value_set(o, "counts", value_floats((const uint8_t *)x->counts, x->mats));
    return o;
}

int
inspect_imatrix(json_t *v, const char *path, const struct inspect_opts *o,
    struct err *e)
{
    json_t *datasets = json_array(), *entries = json_array();
    struct imatrix im = { 0 };

    (void)o;
    value_set(v, "kind", json_string("imatrix"));
    value_set(v, "datasets", datasets);
    value_set(v, "entries", entries);
    if (imatrix_open(&im, path, e) != 0)
        return e->code;
    value_set(v, "form", json_string(im.legacy ? "legacy" : "gguf"));
    value_set(v, "chunks", value_count(im.chunk_count));
    value_set(v, "chunk_size", value_count(im.chunk_size));
    for (size_t i = 0; i < im.n_datasets; i++)
        json_array_append_new(datasets, value_string(im.datasets[i]));
    for (size_t i = 0; i < im.n; i++)
        json_array_append_new(entries, entry_value(&im.entry[i]));
    imatrix_close(&im);
    return 0;
}

/* The views */

static void
add_cell(struct grid *g, const json_t *o, const char *key, const char *which)
{
    const json_t *x = json_object_get(json_object_get(o, key), which);

    if (json_is_number(x))
        grid_addf(g, "%.4g", json_number_value(x));
    else
        grid_add(g, "-");
}

void
view_statistics(const json_t *v, bool all, struct str *out)
{
    static const char *const head[] = { "input", "columns", "experts",
        "mean square", "least", "largest", "largest value", "no signal",
        "not finite" };
    struct grid g = { .align = "lrrrrrrrr" };
    const json_t *o;
    size_t i;

    (void)all;
    str_addf(out, "activation statistics of %" PRIu64 " tokens\n\n",
        view_count(v, "tokens"));
    for (i = 0; i < countof(head); i++)
        grid_add(&g, head[i]);
    json_array_foreach(json_object_get(v, "roles"), i, o) {
        grid_add(&g, json_string_value(json_object_get(o, "role")));
        grid_addf(&g, "%" PRIu64, view_count(o, "columns"));
        grid_addf(&g, "%" PRIu64, view_count(o, "experts"));
        add_cell(&g, o, "mean2", "mean");
        add_cell(&g, o, "mean2", "min");
        add_cell(&g, o, "mean2", "max");
        add_cell(&g, o, "absmax", "max");
        add_cell(&g, o, "mean2", "zero");
        add_cell(&g, o, "mean2", "bad");
    }
    grid_text(&g, out);
}

void
view_tokens(const json_t *v, bool all, struct str *out)
{
    (void)all;
    str_addf(out, "%" PRIu64 " calibration texts, %" PRIu64 " tokens, %" PRIu64
        " to %" PRIu64 " each, largest id %" JSON_INTEGER_FORMAT "\n",
        view_count(v, "texts"), view_count(v, "tokens"),
        view_count(v, "shortest"), view_count(v, "longest"),
        json_integer_value(json_object_get(v, "largest_id")));
}

void
view_imatrix(const json_t *v, bool all, struct str *out)
{
    static const char *const head[] = { "weight", "columns", "matrices",
        "count", "sum of squares", "least", "largest", "no signal" };
    const json_t *names = json_object_get(v, "datasets"), *o;
    struct grid g = { .align = "lrrrrrrr" };
    size_t i;

    (void)all;
    str_addf(out, "importance matrix (%s), %zu weights",
        json_string_value(json_object_get(v, "form")),
        json_array_size(json_object_get(v, "entries")));
    if (view_count(v, "chunks") > 0)
        str_addf(out, ", %" PRIu64 " chunks", view_count(v, "chunks"));
    if (view_count(v, "chunk_size") > 0)
        str_addf(out, " of %" PRIu64 " tokens", view_count(v, "chunk_size"));
    json_array_foreach(names, i, o) {
        str_add(out, i > 0 ? ", " : "\ntaken from ");
        grid_escape(out, json_string_value(o), json_string_length(o));
    }
    str_add(out, "\n\n");
    for (i = 0; i < countof(head); i++)
        grid_add(&g, head[i]);
    json_array_foreach(json_object_get(v, "entries"), i, o) {
        grid_add(&g, json_string_value(json_object_get(o, "name")));
        grid_addf(&g, "%" PRIu64, view_count(o, "columns"));
        grid_addf(&g, "%" PRIu64, view_count(o, "matrices"));
        add_cell(&g, o, "counts", "mean");
        add_cell(&g, o, "in_sum2", "mean");
        add_cell(&g, o, "in_sum2", "min");
        add_cell(&g, o, "in_sum2", "max");
        add_cell(&g, o, "in_sum2", "zero");
    }
    grid_text(&g, out);
}
