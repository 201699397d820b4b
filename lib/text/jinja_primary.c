/*
 * jinja_primary.c - literals, names, calls, and what follows a value: items,
 * slices, attributes, filters and tests
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/text/jinja.h"
#include "lib/text/utf8.h"

static bool
op(struct jinja *j, const char *s)
{
    return jinja_take(j, JINJA_OPERATOR, s);
}

static bool
word(struct jinja *j, const char *s)
{
    return jinja_take(j, JINJA_NAME, s);
}

/* The name at the current token, owned; moved past. NULL with an error. */
static char *
take_name(struct jinja *j)
{
    const struct jinja_token *t = &j->token[j->at];

    if (jinja_expect(j, JINJA_NAME, NULL) != 0)
        return NULL;
    return mem_strndup(t->s, t->n);
}

/* Text of a string token, its escapes resolved. */
static json_t *
string_value(struct jinja *j, const struct jinja_token *t)
{
    static const char from[] = "nrtbfav0\\'\"", to[] = "\n\r\t\b\f\a\v\0\\'\"";
    struct str s = { 0 };
    json_t *v;

    for (size_t i = 0; i < t->n; i++) {
        const char *hit;
        char hex[5] = { 0 };
        size_t digits;

        if (t->s[i] != '\\' || i + 1 == t->n) {
            str_addc(&s, t->s[i]);
            continue;
        }
        i++;
        digits = t->s[i] == 'x' ? 2 : t->s[i] == 'u' ? 4 : 0;
        if (digits > 0 && t->n - i > digits) {
            memcpy(hex, t->s + i + 1, digits);
            utf8_add(&s, (uint32_t)strtoul(hex, NULL, 16));
            i += digits;
        } else if ((hit = strchr(from, t->s[i])) != NULL) {
            str_addc(&s, to[hit - from]);
        } else {
            str_addc(&s, '\\');
            str_addc(&s, t->s[i]);
        }
    }
    v = json_stringn(str_get(&s), s.len);
    str_release(&s);
    if (v == NULL)
        jinja_fail(j, "a string is not valid UTF-8");
    return v;
}

int
jinja_args(struct jinja *j, bool live, struct jinja_args *a)
{
    if (jinja_expect(j, JINJA_OPERATOR, "(") != 0)
        return j->e->code;
    while (j->e->code == 0 && !op(j, ")")) {
        const struct jinja_token *t = &j->token[j->at];

        if (a->n == countof(a->v))
            return jinja_fail(j, "more than %zu arguments", countof(a->v));
        if (t->kind == JINJA_NAME && t[1].kind == JINJA_OPERATOR &&
            t[1].n == 1 && t[1].s[0] == '=') {
            a->name[a->n] = take_name(j);
            j->at++;
        }
        a->v[a->n++] = jinja_expr(j, live);
        if (j->e->code == 0 && !op(j, ",") &&
            !jinja_is(j, JINJA_OPERATOR, ")"))
            jinja_fail(j, "an argument list is not closed");
    }
    return j->e->code;
}

void
jinja_args_release(struct jinja_args *a)
{
    for (size_t i = 0; i < a->n; i++) {
        json_decref(a->v[i]);
        free(a->name[i]);
    }
    *a = (struct jinja_args){ 0 };
}

/* A name: a constant, a function's call, or a variable. */
static json_t *
name_value(struct jinja *j, bool live)
{
    char *name = take_name(j);
    struct jinja_args a = { 0 };
    json_t *v = NULL;

    if (name == NULL)
        return NULL;
    if (strcmp(name, "true") == 0 || strcmp(name, "True") == 0) {
        v = json_true();
    } else if (strcmp(name, "false") == 0 || strcmp(name, "False") == 0) {
        v = json_false();
    } else if (strcmp(name, "none") == 0 || strcmp(name, "None") == 0) {
        v = json_null();
    } else if (jinja_is(j, JINJA_OPERATOR, "(")) {
        if (jinja_args(j, live, &a) == 0 && live)
            v = jinja_function(j, name, &a);
    } else if (live) {
        v = json_incref(jinja_find(j, name));
        if (v == NULL && jinja_is_function(name))
            v = json_true(); /* so that it is defined */
    }
    jinja_args_release(&a);
    free(name);
    return v;
}

/* Elements up to `close` of a list or of a tuple after its first element. */
static json_t *
list_value(struct jinja *j, bool live, json_t *list, const char *close)
{
    while (j->e->code == 0 && !op(j, close)) {
        json_t *v = jinja_expr(j, live);

        json_array_append_new(list, v != NULL ? v : json_null());
        if (j->e->code == 0 && !op(j, ",") &&
            !jinja_is(j, JINJA_OPERATOR, close))
            jinja_fail(j, "a list is not closed");
    }
    if (live)
        jinja_shallow(j, list, NULL);
    return list;
}

static json_t *
dict_value(struct jinja *j, bool live)
{
    json_t *dict = json_object();

    while (j->e->code == 0 && !op(j, "}")) {
        json_t *key = jinja_expr(j, live), *v;

        if (jinja_expect(j, JINJA_OPERATOR, ":") != 0) {
            json_decref(key);
            break;
        }
        v = jinja_expr(j, live);
        if (live && j->e->code == 0 && !json_is_string(key))
            jinja_fail(j, "a key that is not a string is not implemented");
        if (live && j->e->code == 0)
            json_object_set_new(dict, json_string_value(key),
                v != NULL ? v : json_null());
        else
            json_decref(v);
        json_decref(key);
        if (j->e->code == 0 && !op(j, ",") &&
            !jinja_is(j, JINJA_OPERATOR, "}"))
            jinja_fail(j, "a dictionary is not closed");
    }
    if (live)
        jinja_shallow(j, dict, NULL);
    return dict;
}

static json_t *
primary(struct jinja *j, bool live)
{
    const struct jinja_token *t = &j->token[j->at];
    json_t *v;

    if (t->kind == JINJA_STRING) {
        j->at++;
        return string_value(j, t);
    }
    if (t->kind == JINJA_NUMBER) {
        char *digits = mem_strndup(t->s, t->n);
        unsigned long long n = 0;

        if (!str_to_u64(digits, INT32_MAX, &n))
            jinja_fail(j, "the number %.40s is not implemented", digits);
        free(digits);
        j->at++;
        return json_integer((json_int_t)n);
    }
    if (t->kind == JINJA_NAME)
        return name_value(j, live);
    if (op(j, "(")) {
        v = jinja_expr(j, live);
        if (op(j, ",")) {
            json_t *list = json_array();

            json_array_append_new(list, v != NULL ? v : json_null());
            return list_value(j, live, list, ")");
        }
        jinja_expect(j, JINJA_OPERATOR, ")");
        return v;
    }
    if (op(j, "["))
        return list_value(j, live, json_array(), "]");
    if (op(j, "{"))
        return dict_value(j, live);
    jinja_fail(j, "'%.*s' where a value was expected",
        (int)(t->n < 40 ? t->n : 40), t->s);
    return NULL;
}

/* A slice's bound: its value, or `otherwise` when there is none. */
static json_int_t
bound(struct jinja *j, bool live, json_int_t otherwise)
{
    json_t *v;

    if (jinja_is(j, JINJA_OPERATOR, ":") || jinja_is(j, JINJA_OPERATOR, "]"))
        return otherwise;
    v = jinja_expr(j, live);
    if (live && j->e->code == 0 && !json_is_integer(v))
        jinja_fail(j, "a slice by something that is not a whole number");
    otherwise = json_integer_value(v);
    json_decref(v);
    return otherwise;
}

/* list[from:to:step] with Python's rules for steps 1 and -1. */
static json_t *
slice(struct jinja *j, const json_t *list, json_int_t from, json_int_t to,
    json_int_t step)
{
    json_int_t n = (json_int_t)json_array_size(list), i;
    json_t *out = json_array();

    if (!json_is_array(list) || (step != 1 && step != -1))
        jinja_fail(j, "a slice of anything but a list, or by steps other than "
                      "1 and -1, is not implemented");
    if (step == -1) {
        if (from != INT32_MIN || to != INT32_MIN)
            jinja_fail(j, "bounds of a slice backward are not implemented");
        for (i = n; i-- > 0;)
            json_array_append(out, json_array_get(list, (size_t)i));
        return out;
    }
    from = from == INT32_MIN ? 0 : from < 0 ? from + n : from;
    to = to == INT32_MIN ? n : to < 0 ? to + n : to;
    for (i = from < 0 ? 0 : from; i < to && i < n; i++)
        json_array_append(out, json_array_get(list, (size_t)i));
    return out;
}

static json_t *
item(struct jinja *j, const json_t *v, const json_t *key)
{
    json_int_t i = json_integer_value(key);

    if (json_is_object(v) && json_is_string(key))
        return json_incref(json_object_get(v, json_string_value(key)));
    if (json_is_array(v) && json_is_integer(key)) {
        if (i < 0)
            i += (json_int_t)json_array_size(v);
        return i < 0 ? NULL : json_incref(json_array_get(v, (size_t)i));
    }
    if (v == NULL)
        jinja_fail(j, "an item of something undefined");
    else if (json_is_string(v))
        jinja_fail(j, "characters of a string are not implemented");
    return NULL; /* undefined, as in Jinja */
}

/* `[...]` after v, which is given up. */
static json_t *
subscript(struct jinja *j, bool live, json_t *v)
{
    json_t *key = NULL, *out = NULL;
    json_int_t from, to = INT32_MIN, step = 1;

    if (!jinja_is(j, JINJA_OPERATOR, ":"))
        key = jinja_expr(j, live);
    if (op(j, ":")) {
        from = key == NULL ? INT32_MIN : json_integer_value(key);
        to = bound(j, live, INT32_MIN);
        if (op(j, ":"))
            step = bound(j, live, 1);
        if (live && j->e->code == 0)
            out = slice(j, v, from, to, step);
    } else if (live && j->e->code == 0) {
        out = item(j, v, key);
    }
    jinja_expect(j, JINJA_OPERATOR, "]");
    json_decref(key);
    json_decref(v);
    return out;
}

/* `.name` or `.name(...)` after v, which is given up. */
static json_t *
attribute(struct jinja *j, bool live, json_t *v)
{
    char *name = take_name(j);
    struct jinja_args a = { 0 };
    json_t *out = NULL;

    if (name != NULL && jinja_is(j, JINJA_OPERATOR, "(")) {
        if (jinja_args(j, live, &a) == 0 && live)
            out = jinja_method(j, v, name, &a);
    } else if (name != NULL && live) {
        if (v == NULL)
            jinja_fail(j, "'%.40s' of something undefined", name);
        out = json_incref(json_object_get(v, name));
    }
    jinja_args_release(&a);
    free(name);
    json_decref(v);
    return out;
}

/* `is [not] name [argument]` after v, which is given up. */
static json_t *
test(struct jinja *j, bool live, json_t *v)
{
    bool not = word(j, "not"), yes = false;
    char *name = take_name(j);
    struct jinja_args a = { 0 };

    if (name != NULL && jinja_is(j, JINJA_OPERATOR, "("))
        jinja_args(j, live, &a);
    if (name != NULL && live && j->e->code == 0)
        yes = jinja_test(j, v, name, &a);
    jinja_args_release(&a);
    free(name);
    json_decref(v);
    return json_boolean(yes != not);
}

static json_t *
filter(struct jinja *j, bool live, json_t *v)
{
    char *name = take_name(j);
    struct jinja_args a = { 0 };
    json_t *out = NULL;

    if (name != NULL && jinja_is(j, JINJA_OPERATOR, "("))
        jinja_args(j, live, &a);
    if (name != NULL && live && j->e->code == 0)
        out = jinja_filter(j, v, name, &a);
    jinja_args_release(&a);
    free(name);
    json_decref(v);
    return out;
}

json_t *
jinja_primary(struct jinja *j, bool live)
{
    json_t *v = primary(j, live);

    while (j->e->code == 0) {
        if (op(j, "."))
            v = attribute(j, live, v);
        else if (op(j, "["))
            v = subscript(j, live, v);
        else if (op(j, "|"))
            v = filter(j, live, v);
        else if (word(j, "is"))
            v = test(j, live, v);
        else
            break;
    }
    return v;
}
