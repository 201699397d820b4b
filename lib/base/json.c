/*
 * json.c - see json.h
 */
#include "lib/base/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

static void *
take_memory(size_t n)
{
    return mem_realloc(NULL, n, 1);
}

/*
 * jansson says nothing of why a tree could not be built. Memory that cannot
 * fail tells it; set before anybody's first tree, hence so early.
 */
__attribute__((constructor)) static void
set_memory(void)
{
    json_set_alloc_funcs(take_memory, free);
}

/* Whether `place` ends in ":DIGITS", a line number. */
static bool
has_line(const char *place)
{
    const char *colon = strrchr(place, ':');

    return colon != NULL && colon[1] != '\0' &&
        strspn(colon + 1, "0123456789") == strlen(colon + 1);
}

json_t *
json_parse(const char *text, size_t len, const char *place, struct err *e)
{
    json_error_t why;
    json_t *v = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);

    if (v != NULL)
        return v;
    if (why.line < 1)
        why.line = 1;
    if (has_line(place) && why.line == 1)
        err_set(e, ERR_WORK, "%s:%d: not JSON: %s; repair it or write it again",
            place, why.column, why.text);
    else
        err_set(e, ERR_WORK,
            "%s:%d:%d: not JSON: %s; repair it or write it again", place,
            why.line, why.column, why.text);
    return NULL;
}

json_t *
json_read(const char *path, size_t limit, struct digest *digest,
    struct err *e)
{
    struct blob b = { 0 };
    json_t *v = NULL;

    if (blob_read(&b, path, limit, e) != 0)
        return NULL;
    v = json_parse(b.p, b.len, path, e);
    if (digest != NULL)
        *digest = b.digest;
    blob_release(&b);
    return v;
}

static int
missing(const char *key, const char *what, const char *place, struct err *e)
{
    return err_set(e, ERR_WORK, "%s: '%s' is missing or not %s; repair the "
        "file", place, key, what);
}

int64_t
json_get_int(const json_t *o, const char *key, int64_t min, int64_t max,
    const char *place, struct err *e)
{
    const json_t *v = json_object_get(o, key);

    if (json_is_integer(v) && json_integer_value(v) >= min &&
        json_integer_value(v) <= max)
        return json_integer_value(v);
    err_set(e, ERR_WORK,
        "%s: '%s' is missing or not a whole number from %lld to %lld; repair "
        "the file", place, key, (long long)min, (long long)max);
    return -1;
}

double
json_get_real(const json_t *o, const char *key, double min, double max,
    const char *place, struct err *e)
{
    const json_t *v = json_object_get(o, key);

    if (json_is_number(v) && json_number_value(v) >= min &&
        json_number_value(v) <= max)
        return json_number_value(v);
    err_set(e, ERR_WORK,
        "%s: '%s' is missing or not a number from %g to %g; repair the file",
        place, key, min, max);
    return (double)NAN;
}

const char *
json_get_str(const json_t *o, const char *key, const char *place,
    struct err *e)
{
    const json_t *v = json_object_get(o, key);

    if (json_is_string(v))
        return json_string_value(v);
    missing(key, "a string", place, e);
    return NULL;
}

bool
json_get_bool(const json_t *o, const char *key, const char *place,
    struct err *e)
{
    const json_t *v = json_object_get(o, key);

    if (json_is_boolean(v))
        return json_is_true(v);
    missing(key, "true or false", place, e);
    return false;
}

json_t *
json_get_array(const json_t *o, const char *key, const char *place,
    struct err *e)
{
    json_t *v = json_object_get(o, key);

    if (json_is_array(v))
        return v;
    missing(key, "a list", place, e);
    return NULL;
}

json_t *
json_get_object(const json_t *o, const char *key, const char *place,
    struct err *e)
{
    json_t *v = json_object_get(o, key);

    if (json_is_object(v))
        return v;
    missing(key, "an object", place, e);
    return NULL;
}

char *
json_text(const json_t *v, bool one_line)
{
    size_t flags = JSON_SORT_KEYS | JSON_REAL_PRECISION(12) | JSON_ENCODE_ANY;
    char *text = json_dumps(v, one_line ? flags : flags | JSON_INDENT(1));
    char *line;

    if (text == NULL) /* a tree that jansson built always has a text */
        abort();
    line = mem_printf("%s\n", text);
    free(text);
    return line;
}

int
json_write(const json_t *v, const char *path, struct err *e)
{
    char *text = json_text(v, false);
    int code = file_write(path, text, strlen(text), e);

    free(text);
    return code;
}
