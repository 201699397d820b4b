/*
 * jinja_call.c - what templates call: functions, methods, filters and tests
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/text/jinja.h"
#include "lib/text/utf8.h"

/* White space of Python's str.isspace. */
static bool
is_space(uint32_t cp)
{
    return (cp >= 0x09 && cp <= 0x0d) || (cp >= 0x1c && cp <= 0x20) ||
        cp == 0x85 || cp == 0xa0 || cp == 0x1680 ||
        (cp >= 0x2000 && cp <= 0x200a) || cp == 0x2028 || cp == 0x2029 ||
        cp == 0x202f || cp == 0x205f || cp == 0x3000;
}

/* Is the character at s[at] one of `chars`, or white space if that is NULL? */
static bool
strips(const char *s, size_t at, const char *chars)
{
    size_t size = utf8_size(s[at]), i = at;

    if (chars == NULL)
        return is_space(utf8_next(s, &i));
    for (; *chars != '\0'; chars += utf8_size(*chars)) {
        if (utf8_size(*chars) == size && memcmp(chars, s + at, size) == 0)
            return true;
    }
    return false;
}

static json_t *
strip(const json_t *v, const char *chars, bool left, bool right)
{
    const char *s = json_string_value(v);
    size_t n = json_string_length(v), from = 0;

    while (left && from < n && strips(s, from, chars))
        from += utf8_size(s[from]);
    while (right && n > from && strips(s, utf8_before(s, n), chars))
        n = utf8_before(s, n);
    return json_stringn(s + from, n - from);
}

/* Upper or lower case of ASCII text; `first`: capitalize, `each`: title. */
static json_t *
recase(struct jinja *j, const json_t *v, bool upper, bool first, bool each)
{
    char *s = mem_strndup(json_string_value(v), json_string_length(v));
    size_t n = json_string_length(v);
    bool begin = true;
    json_t *out;

    for (size_t i = 0; i < n; i++) {
        bool up = first || each ? begin : upper, low = !up;
        bool letter = (s[i] >= 'a' && s[i] <= 'z') ||
            (s[i] >= 'A' && s[i] <= 'Z');

        if ((s[i] & 0x80) != 0)
            jinja_fail(j, "the case of letters beyond ASCII is not "
                          "implemented");
        if (letter)
            s[i] = (char)(low ? s[i] | 0x20 : s[i] & ~0x20);
        begin = each ? !letter : false;
    }
    out = json_stringn(s, n);
    free(s);
    return out;
}

static json_t *
replace(struct jinja *j, const json_t *v, const json_t *from,
    const json_t *to)
{
    const char *s = json_string_value(v);
    size_t n = json_string_length(v), size = json_string_length(from);
    struct str out = { 0 };
    json_t *made;

    if (!json_is_string(from) || !json_is_string(to) || size == 0) {
        jinja_fail(j, "replace needs two strings, the first not empty");
        return NULL;
    }
    while (n > 0 && out.len <= JINJA_OUT_MOST) {
        const char *hit = memmem(s, n, json_string_value(from), size);
        size_t len = hit == NULL ? n : (size_t)(hit - s);

        str_addn(&out, s, len);
        if (hit == NULL)
            break;
        str_addn(&out, json_string_value(to), json_string_length(to));
        s += len + size;
        n -= len + size;
    }
    if (out.len > JINJA_OUT_MOST)
        jinja_fail(j, "a string of more than %d bytes", JINJA_OUT_MOST);
    made = json_stringn(str_get(&out), out.len);
    str_release(&out);
    return made;
}

/* str.split: at a separator. */
static json_t *
split(struct jinja *j, const json_t *v, const json_t *at)
{
    const char *s = json_string_value(v);
    size_t n = json_string_length(v), size = json_string_length(at);
    json_t *list = json_array();

    if (!json_is_string(at) || size == 0) {
        jinja_fail(j, "split without a separator is not implemented");
        return list;
    }
    for (;;) {
        const char *hit = memmem(s, n, json_string_value(at), size);
        size_t len = hit == NULL ? n : (size_t)(hit - s);

        json_array_append_new(list, json_stringn(s, len));
        if (hit == NULL)
            return list;
        s += len + size;
        n -= len + size;
    }
}

static bool
has_end(const json_t *v, const json_t *part, bool front)
{
    size_t n = json_string_length(v), size = json_string_length(part);

    return json_is_string(part) && size <= n &&
        memcmp(json_string_value(v) + (front ? 0 : n - size),
            json_string_value(part), size) == 0;
}

/* A method or filter of strings; *known tells whether there is one. */
static json_t *
of_string(struct jinja *j, const json_t *v, const char *name,
    const struct jinja_args *a, bool *known)
{
    const char *chars = json_string_value(a->v[0]);

    *known = true;
    if (strcmp(name, "strip") == 0 || strcmp(name, "trim") == 0)
        return strip(v, chars, true, true);
    if (strcmp(name, "lstrip") == 0)
        return strip(v, chars, true, false);
    if (strcmp(name, "rstrip") == 0)
        return strip(v, chars, false, true);
    if (strcmp(name, "upper") == 0)
        return recase(j, v, true, false, false);
    if (strcmp(name, "lower") == 0)
        return recase(j, v, false, false, false);
    if (strcmp(name, "capitalize") == 0)
        return recase(j, v, false, true, false);
    if (strcmp(name, "title") == 0)
        return recase(j, v, false, false, true);
    if (strcmp(name, "replace") == 0 && a->n == 2)
        return replace(j, v, a->v[0], a->v[1]);
    *known = false;
    return NULL;
}

static json_t *
of_dict(json_t *v, const char *name, const struct jinja_args *a,
    bool *known)
{
    bool keys = strcmp(name, "keys") == 0, values = strcmp(name, "values") == 0;
    const char *key;
    json_t *list, *each;

    *known = true;
    if (strcmp(name, "get") == 0) {
        each = json_is_string(a->v[0])
            ? json_object_get(v, json_string_value(a->v[0]))
            : NULL;
        each = json_incref(each != NULL ? each : a->v[1]);
        return each != NULL ? each : json_null();
    }
    *known = keys || values || strcmp(name, "items") == 0;
    if (!*known)
        return NULL;
    list = json_array();
    json_object_foreach(v, key, each) {
        if (keys)
            json_array_append_new(list, json_string(key));
        else if (values)
            json_array_append(list, each);
        else
            json_array_append_new(list, json_pack("[sO]", key, each));
    }
    return list;
}

json_t *
jinja_method(struct jinja *j, json_t *self, const char *name,
    const struct jinja_args *a)
{
    bool known = false;
    json_t *v = NULL;

    if (json_is_string(self)) {
        if (strcmp(name, "startswith") == 0)
            return json_boolean(has_end(self, a->v[0], true));
        if (strcmp(name, "endswith") == 0)
            return json_boolean(has_end(self, a->v[0], false));
        if (strcmp(name, "split") == 0 && a->n == 1)
            return split(j, self, a->v[0]);
        v = of_string(j, self, name, a, &known);
    } else if (json_is_object(self)) {
        v = of_dict(self, name, a, &known);
    }
    if (!known)
        jinja_fail(j, "the method '%.40s' is not implemented", name);
    return v;
}

static json_t *
join(struct jinja *j, const json_t *list, const json_t *between)
{
    struct str s = { 0 };
    const json_t *each;
    json_t *out;
    size_t i;

    json_array_foreach(list, i, each) {
        if (i > 0 && json_is_string(between))
            str_addn(&s, json_string_value(between),
                json_string_length(between));
        if (jinja_print(j, each, &s) != 0 || s.len > JINJA_OUT_MOST)
            break;
    }
    if (s.len > JINJA_OUT_MOST)
        jinja_fail(j, "a string of more than %d bytes", JINJA_OUT_MOST);
    out = json_stringn(str_get(&s), s.len);
    str_release(&s);
    return out;
}

/* Characters of a string, entries of the rest. */
static json_t *
length(const json_t *v)
{
    size_t n = json_is_array(v) ? json_array_size(v) : json_object_size(v);

    if (json_is_string(v)) {
        const char *s = json_string_value(v);

        for (size_t i = 0; i < json_string_length(v); i += utf8_size(s[i]))
            n++;
    }
    return json_integer((json_int_t)n);
}

/* Entries whose attribute passes a test: selectattr(name[, test[, value]]). */
static json_t *
selectattr(struct jinja *j, const json_t *list, const struct jinja_args *a)
{
    json_t *out = json_array(), *each;
    struct jinja_args value = { .n = a->n > 2 ? 1 : 0 };
    size_t i;

    value.v[0] = a->v[2];
    if (!json_is_string(a->v[0]) || (a->n > 1 && !json_is_string(a->v[1])))
        jinja_fail(j, "selectattr without names");
    json_array_foreach(list, i, each) {
        json_t *v;
        bool yes;

        if (j->e->code != 0)
            break;
        v = json_object_get(each, json_string_value(a->v[0]));
        yes = a->n < 2 ? jinja_true(v)
                       : jinja_test(j, v, json_string_value(a->v[1]), &value);
        if (yes)
            json_array_append(out, each);
    }
    return out;
}

json_t *
jinja_filter(struct jinja *j, json_t *self, const char *name,
    const struct jinja_args *a)
{
    bool known = false;
    json_t *v = NULL;

    if (strcmp(name, "default") == 0 || strcmp(name, "d") == 0) {
        bool keep = self != NULL && (!jinja_true(a->v[1]) || jinja_true(self));

        return json_incref(keep ? self : a->v[0]);
    }
    if (strcmp(name, "safe") == 0 || (strcmp(name, "list") == 0 &&
                                         json_is_array(self)))
        return json_incref(self);
    if (strcmp(name, "string") == 0 && json_is_string(self))
        return json_incref(self);
    if (strcmp(name, "length") == 0 || strcmp(name, "count") == 0) {
        if (!json_is_string(self) && !json_is_array(self) &&
            !json_is_object(self))
            jinja_fail(j, "the length of something that has none");
        return length(self);
    }
    if (json_is_array(self)) {
        size_t n = json_array_size(self);

        if (strcmp(name, "first") == 0)
            return json_incref(json_array_get(self, 0));
        if (strcmp(name, "last") == 0)
            return n == 0 ? NULL : json_incref(json_array_get(self, n - 1));
        if (strcmp(name, "selectattr") == 0)
            return selectattr(j, self, a);
        if (strcmp(name, "join") == 0)
            return join(j, self, a->v[0]);
    }
    if (json_is_string(self))
        v = of_string(j, self, name, a, &known);
    else if (json_is_object(self) && strcmp(name, "items") == 0)
        v = of_dict(self, name, a, &known);
    if (!known || strcmp(name, "strip") == 0)
        jinja_fail(j, "the filter '%.40s' is not implemented for this value",
            name);
    return v;
}

static json_t *
range(struct jinja *j, const struct jinja_args *a)
{
    json_int_t from = a->n > 1 ? json_integer_value(a->v[0]) : 0;
    json_int_t to = json_integer_value(a->v[a->n > 1 ? 1 : 0]);
    json_t *list = json_array();

    if (a->n == 0 || a->n > 2 || !json_is_integer(a->v[0]) ||
        (a->n == 2 && !json_is_integer(a->v[1])) ||
        to - from > JINJA_RANGE_MOST)
        jinja_fail(j, "this range is not implemented");
    for (; j->e->code == 0 && from < to; from++)
        json_array_append_new(list, json_integer(from));
    return list;
}

static const char *const functions[] = { "raise_exception", "namespace",
    "range", "strftime_now" };

bool
jinja_is_function(const char *name)
{
    for (size_t i = 0; i < countof(functions); i++) {
        if (strcmp(name, functions[i]) == 0)
            return true;
    }
    return false;
}

json_t *
jinja_function(struct jinja *j, const char *name, const struct jinja_args *a)
{
    if (strcmp(name, "raise_exception") == 0) {
        err_set(j->e, ERR_WORK,
            "%s: the chat template refuses the conversation: %.200s",
            j->place,
            json_is_string(a->v[0]) ? json_string_value(a->v[0]) : "?");
        return NULL;
    }
    if (strcmp(name, "namespace") == 0) {
        json_t *space = json_object();

        for (size_t i = 0; i < a->n; i++) {
            if (a->name[i] == NULL)
                jinja_fail(j, "namespace without names");
            else
                json_object_set(space, a->name[i],
                    a->v[i] != NULL ? a->v[i] : json_null());
        }
        jinja_shallow(j, space, NULL);
        return space;
    }
    if (strcmp(name, "range") == 0)
        return range(j, a);
    if (strcmp(name, "strftime_now") == 0)
        jinja_fail(j, "it asks for today's date (strftime_now), so its text "
                      "would change from day to day");
    else
        jinja_fail(j, "the function '%.40s' is not implemented", name);
    return NULL;
}

bool
jinja_test(struct jinja *j, json_t *self, const char *name,
    const struct jinja_args *a)
{
    if (strcmp(name, "defined") == 0)
        return self != NULL;
    if (strcmp(name, "undefined") == 0)
        return self == NULL;
    if (strcmp(name, "none") == 0)
        return json_is_null(self);
    if (strcmp(name, "string") == 0)
        return json_is_string(self);
    if (strcmp(name, "mapping") == 0)
        return json_is_object(self);
    if (strcmp(name, "iterable") == 0 || strcmp(name, "sequence") == 0)
        return json_is_array(self) || json_is_string(self) ||
            json_is_object(self);
    if (strcmp(name, "number") == 0 || strcmp(name, "integer") == 0)
        return json_is_integer(self);
    if (strcmp(name, "boolean") == 0)
        return json_is_boolean(self);
    if (strcmp(name, "true") == 0)
        return json_is_true(self);
    if (strcmp(name, "false") == 0)
        return json_is_false(self);
    if ((strcmp(name, "equalto") == 0 || strcmp(name, "eq") == 0 ||
            strcmp(name, "==") == 0) &&
        a->n == 1)
        return jinja_equal(j, self, a->v[0]);
    jinja_fail(j, "the test '%.40s' is not implemented", name);
    return false;
}
