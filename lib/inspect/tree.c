#include "lib/inspect/tree.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/inspect/grid.h"

enum {
    DEPTH = 4,        /* titles below titles; the rest stays JSON */
    ROWS = 24,        /* of a table, and values of a list */
    MEMBERS = 96,     /* plain ones of an object */
    COLUMNS = 12,
    CELL = 48,        /* bytes of a cell of a table */
    LINE = 400,       /* bytes of a value that has its own line */
    WHOLE_CELL = 2000, /* with `all` */
    DIGEST_DIGITS = 64, DIGEST_SHOWN = 16,
};

static bool
is_plain(const json_t *v)
{
    return !json_is_object(v) && !json_is_array(v);
}

static bool
is_digest(const char *s)
{
    return strlen(s) == DIGEST_DIGITS &&
        strspn(s, "0123456789abcdef") == DIGEST_DIGITS;
}

/* One value on one line, cut where it is longer than `limit` bytes. */
static void
cell_text(const json_t *v, size_t limit, bool all, struct str *out)
{
    const char *s = json_string_value(v);
    char *dump = NULL;
    size_t n;

    if (v == NULL || json_is_null(v)) {
        str_addc(out, '-');
        return;
    }
    if (json_is_real(v)) {
        str_addf(out, "%.6g", json_real_value(v));
        return;
    }
    if (s == NULL)
        s = dump = json_dumps(v, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
    n = s != NULL ? strlen(s) : 0;
    if (n > 0 && is_digest(s) && !all) {
        str_addn(out, s, DIGEST_SHOWN);
    } else if (n > limit) {
        str_addn(out, s, grid_cut(s, limit - 4));
        str_add(out, " ...");
    } else {
        str_addn(out, s, n);
    }
    free(dump);
}

static void
add_cell(struct grid *g, const json_t *v, size_t limit, bool all)
{
    struct str s = { 0 };

    cell_text(v, all ? WHOLE_CELL : limit, all, &s);
    grid_add(g, str_get(&s));
    str_release(&s);
}

/* Says how many of n are not among the first `most`. */
static void
more(size_t n, size_t most, bool all, struct str *out)
{
    if (!all && n > most)
        str_addf(out, "... and %zu more\n", n - most);
}

/*
 * Members of the first objects: names first, then in the order they are met.
 * What has no column goes to `rest`, with commas between.
 */
static json_t *
heads_of(json_t *rows, bool all, struct str *rest)
{
    static const char *const names[] = { "name", "id", "item", "suite" };
    json_t *heads = json_object(), *left = json_object(), *row, *value;
    const char *key;
    size_t i;

    for (i = 0; i < countof(names); i++)
        if (json_object_get(json_array_get(rows, 0), names[i]) != NULL)
            json_object_set_new(heads, names[i], json_false());

    json_array_foreach(rows, i, row) {
        if (i >= ROWS && !all)
            break;
        json_object_foreach(row, key, value)
            json_object_set_new(all || json_object_size(heads) < COLUMNS ||
                json_object_get(heads, key) != NULL ? heads : left, key,
                json_boolean(json_is_number(value)));
    }
    json_object_foreach(left, key, value) {
        str_add(rest, rest->len > 0 ? ", " : "");
        grid_escape(rest, key, strlen(key));
    }
    json_decref(left);
    return heads;
}

/* Objects one below the other; `names` [rows] or NULL is the first column. */
static void
table(json_t *rows, json_t *names, bool all, struct str *out)
{
    struct str align = { 0 }, rest = { 0 };
    json_t *heads = heads_of(rows, all, &rest), *row, *number;
    struct grid g;
    const char *key;
    size_t i;

    str_add(&align, names != NULL ? "l" : "");
    json_object_foreach(heads, key, number)
        str_addc(&align, json_is_true(number) ? 'r' : 'l');
    g = (struct grid){ .align = str_get(&align) };
    if (names != NULL)
        grid_add(&g, "");
    json_object_foreach(heads, key, number)
        grid_add(&g, key);
    json_array_foreach(rows, i, row) {
        if (i >= ROWS && !all)
            break;
        if (names != NULL)
            add_cell(&g, json_array_get(names, i), LINE, all);
        json_object_foreach(heads, key, number)
            add_cell(&g, json_object_get(row, key), CELL, all);
    }
    if (align.len > 0)
        grid_text(&g, out);
    more(json_array_size(rows), ROWS, all, out);
    if (rest.len > 0)
        str_addf(out, "... and more columns: %.*s%s\n",
            (int)grid_cut(rest.p, LINE), rest.p, rest.len > LINE ? " ..." : "");
    json_decref(heads);
    str_release(&align);
    str_release(&rest);
}

static void
list(json_t *v, bool all, struct str *out)
{
    struct grid g = { .align = "l" };
    size_t objects = 0, i;
    json_t *item;

    json_array_foreach(v, i, item)
        objects += json_is_object(item);
    if (objects > 0 && objects == json_array_size(v)) {
        table(v, NULL, all, out);
        return;
    }
    json_array_foreach(v, i, item)
        if (all || i < ROWS)
            add_cell(&g, item, LINE, all);
    grid_text(&g, out);
    more(json_array_size(v), ROWS, all, out);
}

/* More than one member, and each an object. */
static bool
is_table(json_t *v)
{
    const char *key;
    json_t *item;

    json_object_foreach(v, key, item)
        if (!json_is_object(item))
            return false;
    return json_object_size(v) > 1;
}

static void
named_rows(json_t *v, bool all, struct str *out)
{
    json_t *names = json_array(), *rows = json_array(), *item;
    const char *key;

    json_object_foreach(v, key, item) {
        json_array_append_new(names, json_string(key));
        json_array_append(rows, item);
    }
    table(rows, names, all, out);
    json_decref(names);
    json_decref(rows);
}

static void object(json_t *v, const char *title, unsigned depth, bool all,
    struct str *out);

static void
part(json_t *v, const char *title, unsigned depth, bool all, struct str *out)
{
    if (json_array_size(v) == 0 && json_object_size(v) == 0)
        return;
    if (json_is_object(v) && !is_table(v)) {
        object(v, title, depth, all, out);
        return;
    }
    if (out->len > 0 && *title != 0)
        str_addc(out, '\n');
    if (*title != 0) {
        grid_escape(out, title, strlen(title));
        str_addc(out, '\n');
    }
    if (json_is_array(v))
        list(v, all, out);
    else
        named_rows(v, all, out);
}

/* Plain members under the title, the others under titles of their own. */
static void
object(json_t *v, const char *title, unsigned depth, bool all,
    struct str *out)
{
    struct grid g = { .align = "ll" };
    json_t *item;
    const char *key;
    size_t plain = 0;

    json_object_foreach(v, key, item) {
        if (!is_plain(item) && depth < DEPTH)
            continue;
        if (++plain > MEMBERS && !all)
            continue;
        grid_add(&g, key);
        add_cell(&g, item, LINE, all);
    }
    if (plain > 0 && *title != 0) {
        str_add(out, "\n");
        grid_escape(out, title, strlen(title));
        str_addc(out, '\n');
    }
    grid_text(&g, out);
    more(plain, MEMBERS, all, out);
    json_object_foreach(v, key, item) {
        char *name;

        if (is_plain(item) || depth >= DEPTH)
            continue;
        name = mem_printf("%s%s%s", title, *title != 0 ? "." : "", key);
        part(item, name, depth + 1, all, out);
        free(name);
    }
}

void
tree_view(json_t *v, bool all, struct str *out)
{
    if (json_is_object(v))
        object(v, "", 0, all, out);
    else
        part(v, "", 0, all, out);
}

void
tree_part(const char *title, json_t *v, bool all, struct str *out)
{
    part(v, title, 1, all, out);
}
