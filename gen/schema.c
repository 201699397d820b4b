/*
 * schema.c - what a mapping may hold, as tables, and the one checker for them
 */
#include "gen/schema.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"

enum { WORD_MAX = 40, LIST_MAX = 1000 };

const struct field *
schema_find(const struct field *fields, const char *name)
{
    for (const struct field *f = fields; f->name != NULL; f++)
        if (strcmp(f->name, name) == 0)
            return f;
    return NULL;
}

const char *
schema_or(char *buf, size_t size, const char *const *choices)
{
    size_t at = 0;

    buf[0] = '\0';
    for (size_t i = 0; choices[i] != NULL && at < size; i++) {
        const char *between = i == 0 ? "" :
            choices[i + 1] == NULL ? " or " : ", ";
        int n = snprintf(buf + at, size - at, "%s%s", between, choices[i]);

        at += n > 0 ? (size_t)n : 0;
    }
    return buf;
}

static bool
is_word(const char *s)
{
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-");

    return n > 0 && s[n] == '\0' && n <= WORD_MAX && s[0] != '-';
}

/* One line, not empty, no control bytes. */
static bool
is_line(const char *s)
{
    if (*s == '\0')
        return false;
    for (; *s != '\0'; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return false;
    return true;
}

/* A number with a unit of size, in bytes. */
static bool
size_parse(const char *text, double *out)
{
    static const struct { const char *name; double factor; } units[] = {
        { "KiB", 1024.0 }, { "MiB", 1048576.0 }, { "GiB", 1073741824.0 },
        { "KB", 1e3 }, { "MB", 1e6 }, { "GB", 1e9 }, { "B", 1.0 },
    };
    char number[32];
    double factor = 1.0;
    size_t n = strlen(text);

    for (size_t i = 0; i < countof(units); i++)
        if (str_ends(text, units[i].name)) {
            n -= strlen(units[i].name);
            factor = units[i].factor;
            break;
        }
    while (n > 0 && text[n - 1] == ' ')
        n--;
    if (n == 0 || n >= sizeof number)
        return false;
    memcpy(number, text, n);
    number[n] = '\0';
    if (!str_to_double(number, out))
        return false;
    *out *= factor;
    return true;
}

bool
date_parse(const char *text, int64_t *days)
{
    static const int lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30,
        31 };
    int part[3] = { 0 }, y, m, d, last;

    if (strlen(text) != 10 || text[4] != '-' || text[7] != '-')
        return false;
    for (size_t i = 0, k = 0; i < 10; i++) {
        if (text[i] == '-') {
            k++;
            continue;
        }
        if (text[i] < '0' || text[i] > '9' || k > 2)
            return false;
        part[k] = 10 * part[k] + (text[i] - '0');
    }
    y = part[0];
    m = part[1];
    d = part[2];
    if (y < 1970 || m < 1 || m > 12 || d < 1)
        return false;
    last = lengths[m - 1] + (m == 2 && y % 4 == 0 &&
        (y % 100 != 0 || y % 400 == 0));
    if (d > last)
        return false;
    /* days from civil, with the year starting in March */
    y -= m <= 2;
    *days = 365LL * y + y / 4 - y / 100 + y / 400 +
        (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1 - 719468;
    return true;
}

static bool
in_range(const struct field *f, double v)
{
    return v >= f->min && v <= f->max; /* NaN is not */
}

static bool
is_choice(const struct field *f, const char *text)
{
    for (size_t i = 0; f->choices[i] != NULL; i++)
        if (strcmp(f->choices[i], text) == 0)
            return true;
    return false;
}

static void
bad_choice(struct problems *p, const struct field *f, const struct yaml *v)
{
    char names[512];
    size_t n = 0;
    const char *near;

    while (f->choices[n] != NULL)
        n++;
    near = nearest_name(v->text, f->choices, n, sizeof *f->choices);
    schema_or(names, sizeof names, f->choices);
    if (near != NULL)
        problem(p, v, "unknown %s '%s'; did you mean %s? write %s", f->what,
            v->text, near, names);
    else
        problem(p, v, "unknown %s '%s'; write %s", f->what, v->text, names);
}

static void
bad_number(struct problems *p, const struct field *f, const struct yaml *v,
    const char *kind)
{
    problem(p, v, "%s is '%s'; write %s from %.12g to %.12g", f->what,
        v->text, kind, f->min, f->max);
}

static void
check_scalar(struct problems *p, const struct field *f, const struct yaml *v)
{
    unsigned long long u;
    double d = (double)NAN;
    int64_t days;

    if (v->kind != YAML_SCALAR) {
        problem(p, v, "%s is %s, not a single value; write %s", f->what,
            yaml_kind_name(v), f->example);
        return;
    }
    switch (f->type) {
    case FIELD_WORD:
        if (!is_word(v->text))
            problem(p, v, "%s is '%s'; write a word of a-z, 0-9 and -, at "
                "most 40 long", f->what, v->text);
        break;
    case FIELD_TEXT:
    case FIELD_PATH:
        if (!is_line(v->text))
            problem(p, v, "%s is empty or not one line; write %s", f->what,
                f->example);
        break;
    case FIELD_INT:
        if (v->quoted || !str_to_u64(v->text, 1ULL << 53, &u) ||
            !in_range(f, (double)u))
            bad_number(p, f, v, "a whole number");
        break;
    case FIELD_REAL:
        if (v->quoted || !str_to_double(v->text, &d) || !in_range(f, d))
            bad_number(p, f, v, "a number");
        break;
    case FIELD_SIZE:
        if (!size_parse(v->text, &d) || !in_range(f, d))
            problem(p, v, "%s is '%s'; write %s", f->what, v->text,
                f->example);
        break;
    case FIELD_CHOICE:
        if (!is_choice(f, v->text))
            bad_choice(p, f, v);
        break;
    case FIELD_DATE:
        if (!date_parse(v->text, &days))
            problem(p, v, "%s is '%s', which is no date; write YYYY-MM-DD",
                f->what, v->text);
        break;
    default:
        if (strcmp(v->text, "auto") != 0)
            problem(p, v, "%s has nothing to answer, but is '%s'; write auto",
                f->what, v->text);
        break;
    }
}

static void
check_table(struct problems *p, const struct field *f, const struct yaml *v)
{
    for (const struct yaml *i = yaml_first(v); i != NULL; i = i->next)
        check_scalar(p, &f->fields[0], i);
}

static void
check_list(struct problems *p, const struct field *f, const struct yaml *v)
{
    size_t n = 0;

    for (const struct yaml *i = yaml_first(v); i != NULL; i = i->next, n++) {
        if (i->kind != YAML_MAP)
            problem(p, i, "%s is %s, not a mapping; write %s", f->what,
                yaml_kind_name(i), f->example);
        else
            schema_map(p, f->fields, i);
    }
    if ((double)n < f->min || n > LIST_MAX)
        problem_key(p, v, "%s: %zu entries; write from %.0f to %d, such as "
            "%s", f->what, n, f->min, LIST_MAX, f->example);
}

static void
check_field(struct problems *p, const struct field *f, const struct yaml *v)
{
    bool list = f->type == FIELD_LIST;

    if (f->type != FIELD_MAP && !list && f->type != FIELD_TABLE) {
        check_scalar(p, f, v);
        return;
    }
    if (v->kind != (list ? YAML_LIST : YAML_MAP)) {
        problem(p, v, "%s is %s, not %s; write %s", f->what,
            yaml_kind_name(v), list ? "a list" : "a mapping", f->example);
        return;
    }
    if (f->type == FIELD_MAP)
        schema_map(p, f->fields, v);
    else if (list)
        check_list(p, f, v);
    else
        check_table(p, f, v);
}

static void
unknown_key(struct problems *p, const struct field *fields,
    const struct yaml *v)
{
    const char *names[64] = { NULL };
    char text[1024];
    size_t n = 0;
    const char *near;

    for (const struct field *f = fields; f->name != NULL &&
        n < countof(names) - 1; f++)
        names[n++] = f->name;
    near = nearest_name(v->key, names, n, sizeof *names);
    schema_or(text, sizeof text, names);
    if (near != NULL)
        problem_key(p, v, "unknown key '%s'; did you mean %s?", v->key, near);
    else
        problem_key(p, v, "unknown key '%s'; write %s", v->key, text);
}

void
schema_map(struct problems *p, const struct field *fields,
    const struct yaml *v)
{
    for (const struct yaml *i = yaml_first(v); i != NULL; i = i->next) {
        const struct field *f = schema_find(fields, i->key);

        if (f == NULL)
            unknown_key(p, fields, i);
        else
            check_field(p, f, i);
    }
    for (const struct field *f = fields; f->name != NULL; f++)
        if ((f->flags & FIELD_NEEDED) && yaml_get(v, f->name) == NULL)
            problem_key(p, v, "'%s' is missing (%s); write %s: %s", f->name,
                f->what, f->name, f->example);
}

const char *
schema_text(const struct field *fields, const struct yaml *map,
    const char *name)
{
    const struct yaml *v = yaml_get(map, name);
    const struct field *f = schema_find(fields, name);

    if (v != NULL && v->kind == YAML_SCALAR)
        return v->text;
    return f != NULL ? f->fallback : NULL;
}

double
schema_real(const struct field *fields, const struct yaml *map,
    const char *name)
{
    const char *text = schema_text(fields, map, name);
    double d;

    return text != NULL && size_parse(text, &d) ? d : (double)NAN;
}

int64_t
schema_int(const struct field *fields, const struct yaml *map,
    const char *name)
{
    double d = schema_real(fields, map, name);

    return d >= 0.0 && d <= 9007199254740992.0 ? (int64_t)d : 0;
}
