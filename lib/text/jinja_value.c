/*
 * jinja_value.c - truth, equality and text of values, and how deep they may be
 */
#include "lib/text/jinja.h"

bool
jinja_true(const json_t *v)
{
    if (json_is_string(v))
        return json_string_length(v) > 0;
    if (json_is_array(v))
        return json_array_size(v) > 0;
    if (json_is_object(v))
        return json_object_size(v) > 0;
    if (json_is_integer(v))
        return json_integer_value(v) != 0;
    return json_is_true(v);
}

/* Counts a step of a walk through a value; false when it must end. */
static bool
may_walk(struct jinja *j, unsigned depth)
{
    if (depth > JINJA_DEPTH_MOST || ++j->steps > JINJA_STEPS_MOST)
        jinja_fail(j, "a value is nested too deep");
    return j->e->code == 0;
}

static bool
same(struct jinja *j, json_t *a, const json_t *b, unsigned depth)
{
    const char *key;
    json_t *each;
    size_t i;

    if (a == b || a == NULL || b == NULL)
        return a == b;
    if (!may_walk(j, depth) || json_typeof(a) != json_typeof(b))
        return false;
    if (json_is_array(a)) {
        if (json_array_size(a) != json_array_size(b))
            return false;
        json_array_foreach(a, i, each) {
            if (!same(j, each, json_array_get(b, i), depth + 1))
                return false;
        }
        return true;
    }
    if (!json_is_object(a))
        return json_equal(a, b) != 0;
    if (json_object_size(a) != json_object_size(b))
        return false;
    json_object_foreach(a, key, each) {
        if (!same(j, each, json_object_get(b, key), depth + 1))
            return false;
    }
    return true;
}

bool
jinja_equal(struct jinja *j, json_t *a, const json_t *b)
{
    return same(j, a, b, 0);
}

static void
walk(struct jinja *j, json_t *v, const json_t *but, unsigned depth)
{
    const char *key;
    json_t *each;
    size_t i;

    if (!json_is_array(v) && !json_is_object(v))
        return;
    if (v == but)
        jinja_fail(j, "a value would hold itself");
    if (!may_walk(j, depth))
        return;
    json_array_foreach(v, i, each)
        walk(j, each, but, depth + 1);
    json_object_foreach(v, key, each)
        walk(j, each, but, depth + 1);
}

int
jinja_shallow(struct jinja *j, json_t *v, const json_t *but)
{
    walk(j, v, but, 0);
    return j->e->code;
}

int
jinja_print(struct jinja *j, const json_t *v, struct str *out)
{
    if (v == NULL)
        return 0;
    if (json_is_string(v))
        str_addn(out, json_string_value(v), json_string_length(v));
    else if (json_is_integer(v))
        str_addf(out, "%lld", (long long)json_integer_value(v));
    else if (json_is_null(v) || json_is_boolean(v))
        str_add(out, json_is_null(v) ? "None"
                : json_is_true(v)    ? "True"
                                     : "False");
    else
        return jinja_fail(j, "printing a list or a dictionary is not "
                             "implemented");
    return 0;
}
