/*
 * canon.c - see canon.h
 */
#include "lib/record/canon.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

static const json_int_t INT_LIMIT = 9007199254740991; /* 2^53 - 1 */

static void
add_string(struct str *out, const char *s, size_t n)
{
    str_addc(out, '"');
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '"' || s[i] == '\\')
            str_addc(out, '\\');
        str_addc(out, s[i]);
    }
    str_addc(out, '"');
}

static int
compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* jansson refuses NUL in names, so strcmp sees the whole of them. */
static bool
add_object(struct str *out, const json_t *o)
{
    size_t n = json_object_size(o), i = 0;
    const char **names = mem_calloc(n, sizeof *names);
    const char *name;
    json_t *v;
    bool good = true;

    json_object_foreach((json_t *)(uintptr_t)o, name, v)
        names[i++] = name;
    qsort(names, n, sizeof *names, compare_names);
    str_addc(out, '{');
    for (i = 0; i < n && good; i++) {
        if (i > 0)
            str_addc(out, ',');
        add_string(out, names[i], strlen(names[i]));
        str_addc(out, ':');
        good = canon_add(out, json_object_get(o, names[i]));
    }
    str_addc(out, '}');
    free(names);
    return good;
}

static bool
add_array(struct str *out, const json_t *a)
{
    bool good = true;

    str_addc(out, '[');
    for (size_t i = 0; i < json_array_size(a) && good; i++) {
        if (i > 0)
            str_addc(out, ',');
        good = canon_add(out, json_array_get(a, i));
    }
    str_addc(out, ']');
    return good;
}

bool
canon_add(struct str *out, const json_t *v)
{
    json_int_t i;

    switch (json_typeof(v)) {
    case JSON_OBJECT:
        return add_object(out, v);
    case JSON_ARRAY:
        return add_array(out, v);
    case JSON_STRING:
        add_string(out, json_string_value(v), json_string_length(v));
        return true;
    case JSON_INTEGER:
        i = json_integer_value(v);
        if (i < -INT_LIMIT || i > INT_LIMIT)
            return false;
        str_addf(out, "%lld", (long long)i);
        return true;
    case JSON_TRUE:
        str_add(out, "true");
        return true;
    case JSON_FALSE:
        str_add(out, "false");
        return true;
    case JSON_NULL:
        str_add(out, "null");
        return true;
    case JSON_REAL:
        break;
    }
    return false;
}
