/*
 * jinja_expr.c - expressions, by Jinja's own levels of precedence
 */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/text/jinja.h"

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

/* a OP b for numbers and, with +, for strings and lists; both given up. */
static json_t *
arithmetic(struct jinja *j, json_t *a, json_t *b, char how)
{
    json_int_t x = json_integer_value(a), y = json_integer_value(b);
    json_t *out = NULL;

    if (how == '+' && json_is_string(a) && json_is_string(b)) {
        struct str s = { 0 };

        str_addn(&s, json_string_value(a), json_string_length(a));
        str_addn(&s, json_string_value(b), json_string_length(b));
        if (s.len > JINJA_OUT_MOST)
            jinja_fail(j, "a string of more than %d bytes", JINJA_OUT_MOST);
        else
            out = json_stringn(str_get(&s), s.len);
        str_release(&s);
    } else if (how == '+' && json_is_array(a) && json_is_array(b)) {
        out = json_copy(a);
        json_array_extend(out, b);
        if (json_array_size(out) > JINJA_STEPS_MOST)
            jinja_fail(j, "a list of more than %d values", JINJA_STEPS_MOST);
    } else if (!json_is_integer(a) || !json_is_integer(b) ||
        x > INT32_MAX || x < INT32_MIN || y > INT32_MAX || y < INT32_MIN) {
        jinja_fail(j, "'%c' of values that are not both numbers or strings",
            how);
    } else if ((how == '%' || how == '/') && y <= 0) {
        jinja_fail(j, "division by %d", (int)y);
    } else if (how == '%') { /* Python's: never negative here */
        out = json_integer((x % y + y) % y);
    } else if (how == '/') { /* only // gets here */
        out = json_integer((x - (x % y + y) % y) / y);
    } else {
        out = json_integer(how == '+' ? x + y : how == '-' ? x - y : x * y);
    }
    json_decref(a);
    json_decref(b);
    return out;
}

static json_t *
unary(struct jinja *j, bool live)
{
    if (op(j, "-")) {
        json_t *v = jinja_primary(j, live);

        return live && j->e->code == 0
            ? arithmetic(j, json_integer(0), v, '-')
            : v;
    }
    return jinja_primary(j, live);
}

static json_t *
product(struct jinja *j, bool live)
{
    json_t *a = unary(j, live), *b;

    for (;;) {
        char how = op(j, "*") ? '*' : op(j, "//") ? '/' : op(j, "%") ? '%' : 0;

        if (how == 0)
            return a;
        b = unary(j, live);
        if (live && j->e->code == 0) {
            a = arithmetic(j, a, b, how);
        } else {
            json_decref(b);
        }
    }
}

/* a ~ b: both as text */
static json_t *
concat(struct jinja *j, bool live)
{
    json_t *a = product(j, live);

    while (op(j, "~")) {
        json_t *b = product(j, live);
        struct str s = { 0 };

        if (live && j->e->code == 0 && jinja_print(j, a, &s) == 0 &&
            jinja_print(j, b, &s) == 0) {
            json_decref(a);
            a = json_stringn(str_get(&s), s.len);
            if (s.len > JINJA_OUT_MOST)
                jinja_fail(j, "a string of more than %d bytes",
                    JINJA_OUT_MOST);
        }
        str_release(&s);
        json_decref(b);
    }
    return a;
}

static json_t *
sum(struct jinja *j, bool live)
{
    json_t *a = concat(j, live), *b;

    for (;;) {
        char how = op(j, "+") ? '+' : op(j, "-") ? '-' : 0;

        if (how == 0)
            return a;
        b = concat(j, live);
        if (live && j->e->code == 0) {
            a = arithmetic(j, a, b, how);
        } else {
            json_decref(b);
        }
    }
}

static bool
contains(struct jinja *j, const json_t *all, const json_t *v)
{
    json_t *each;
    size_t i;

    if (json_is_string(all) && json_is_string(v))
        return memmem(json_string_value(all), json_string_length(all),
                   json_string_value(v), json_string_length(v)) != NULL;
    if (json_is_object(all) && json_is_string(v))
        return json_object_get(all, json_string_value(v)) != NULL;
    if (!json_is_array(all))
        jinja_fail(j, "'in' of something that holds nothing");
    json_array_foreach(all, i, each) {
        if (jinja_equal(j, each, v))
            return true;
    }
    return false;
}

static bool
less(struct jinja *j, const json_t *a, const json_t *b)
{
    if (!json_is_integer(a) || !json_is_integer(b))
        jinja_fail(j, "values that are not whole numbers are compared");
    return json_integer_value(a) < json_integer_value(b);
}

static json_t *
compare(struct jinja *j, bool live)
{
    static const char *const ops[] = { "==", "!=", "<=", ">=", "<", ">" };
    json_t *a = sum(j, live);

    while (j->e->code == 0) {
        const struct jinja_token *next = &j->token[j->at];
        bool not = jinja_is(j, JINJA_NAME, "not") && next[1].n == 2 &&
            next[1].kind == JINJA_NAME && memcmp(next[1].s, "in", 2) == 0;
        bool in, yes = false;
        size_t k = 0;
        json_t *b;

        j->at += not ? 1 : 0;
        in = word(j, "in");
        while (!in && k < countof(ops) && !op(j, ops[k]))
            k++;
        if (k == countof(ops))
            break;
        b = sum(j, live);
        if (live && j->e->code == 0) {
            yes = in ? contains(j, b, a) != not
                : k < 2 ? jinja_equal(j, a, b) == (k == 0)
                : k == 2 ? !less(j, b, a)
                : k == 3 ? !less(j, a, b)
                : k == 4 ? less(j, a, b)
                         : less(j, b, a);
        }
        json_decref(a);
        json_decref(b);
        a = json_boolean(yes);
    }
    return a;
}

static json_t *
negation(struct jinja *j, bool live)
{
    json_t *v;
    bool yes;

    if (!word(j, "not"))
        return compare(j, live);
    if (++j->depth > JINJA_DEPTH_MOST) {
        jinja_fail(j, "nested too deep");
        return NULL;
    }
    v = negation(j, live);
    j->depth--;
    yes = jinja_true(v);
    json_decref(v);
    return json_boolean(!yes);
}

/* `and` and `or` give one of their operands, the second only if it decides. */
static json_t *
conjunction(struct jinja *j, bool live)
{
    json_t *a = negation(j, live);

    while (word(j, "and")) {
        bool go = live && jinja_true(a);
        json_t *b = negation(j, go);

        json_decref(go ? a : b);
        a = go ? b : a;
    }
    return a;
}

json_t *
jinja_operand(struct jinja *j, bool live)
{
    json_t *a = conjunction(j, live);

    while (word(j, "or")) {
        bool go = live && !jinja_true(a);
        json_t *b = conjunction(j, go);

        json_decref(go ? a : b);
        a = go ? b : a;
    }
    return a;
}

/*
 * `a if c else b`: c stands after a, so a is skipped first and read again if
 * c holds.
 */
json_t *
jinja_expr(struct jinja *j, bool live)
{
    size_t start = j->at, end;
    json_t *v = NULL, *c;
    bool yes;

    if (++j->depth > JINJA_DEPTH_MOST || ++j->steps > JINJA_STEPS_MOST) {
        jinja_fail(j, "nested too deep or too long");
        return NULL;
    }
    v = jinja_operand(j, false);
    json_decref(v);
    v = NULL;
    if (!word(j, "if")) {
        if (live && j->e->code == 0) {
            j->at = start;
            v = jinja_operand(j, true);
        }
        j->depth--;
        return v;
    }
    c = jinja_operand(j, live);
    yes = live && jinja_true(c);
    json_decref(c);
    end = j->at;
    if (yes && j->e->code == 0) {
        j->at = start;
        v = jinja_operand(j, true);
        j->at = end;
    }
    if (word(j, "else")) {
        c = jinja_expr(j, live && !yes);
        if (live && !yes)
            v = c;
        else
            json_decref(c);
    }
    j->depth--;
    return v;
}
