/*
 * check.c - the mechanical checks of what a model wrote; see suite.h
 *
 * The rules are those that the reference scores of the example were made with.
 * Nothing here is fuzzy: a check that needs judgement is no check.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/model/suite.h"

/* A word is a run of A-Z a-z and the apostrophe. */
static bool
in_word(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '\'';
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Bytes of the white-space character at p, 0 if there is none. */
static size_t
space_at(const char *p, const char *end)
{
    /* U+0085, U+00A0, U+1680, U+2000-200A, 2028, 2029, 202F, 205F, U+3000 */
    const unsigned char *u = (const unsigned char *)p;
    const size_t left = (size_t)(end - p);

    if (left >= 1 && (u[0] == ' ' || (u[0] >= 0x09 && u[0] <= 0x0d) ||
                         (u[0] >= 0x1c && u[0] <= 0x1f)))
        return 1;
    if (left >= 2 && u[0] == 0xc2 && (u[1] == 0x85 || u[1] == 0xa0))
        return 2;
    if (left < 3)
        return 0;
    if (u[0] == 0xe1 && u[1] == 0x9a && u[2] == 0x80)
        return 3;
    if (u[0] == 0xe2 && u[1] == 0x80 &&
        ((u[2] >= 0x80 && u[2] <= 0x8a) || u[2] == 0xa8 || u[2] == 0xa9 ||
            u[2] == 0xaf))
        return 3;
    if (u[0] == 0xe2 && u[1] == 0x81 && u[2] == 0x9f)
        return 3;
    return u[0] == 0xe3 && u[1] == 0x80 && u[2] == 0x80 ? 3 : 0;
}

const char *
text_strip(const char *text, size_t *len)
{
    const char *p = text, *end = text + *len;
    size_t n;

    while ((n = space_at(p, end)) > 0)
        p += n;
    while (end > p) {
        if (space_at(end - 1, end) == 1)
            end -= 1;
        else if (end - p >= 2 && space_at(end - 2, end) == 2)
            end -= 2;
        else if (end - p >= 3 && space_at(end - 3, end) == 3)
            end -= 3;
        else
            break;
    }
    *len = (size_t)(end - p);
    return p;
}

/* Counts words; *first gets the first one's place, *found that `want` is one.*/
static size_t
words(const char *text, const char *want, bool *found, bool *first)
{
    const size_t len = want ? strlen(want) : 0;
    size_t n = 0;

    *found = *first = false;
    for (const char *p = text; *p;) {
        const char *start = p;

        while (in_word(*p))
            p++;
        if (p == start) {
            p++;
            continue;
        }
        if (want && (size_t)(p - start) == len &&
            memcmp(start, want, len) == 0) {
            *found = true;
            *first |= n == 0;
        }
        n++;
    }
    return n;
}

/* The last match of -?[0-9]+, or NULL. */
static const char *
last_number(const char *text, size_t *len)
{
    const char *best = NULL;

    for (const char *p = text; *p; p++) {
        const char *start = p;

        if (*p == '-' && is_digit(p[1]))
            p++;
        if (!is_digit(*p))
            continue;
        while (is_digit(p[1]))
            p++;
        best = start;
        *len = (size_t)(p - start) + 1;
    }
    return best;
}

static bool
run_last_number(const struct suite_check *c, const char *text,
    struct str *extracted, bool *invalid)
{
    size_t len = 0;
    const char *p = last_number(text, &len);

    *invalid = p == NULL;
    if (p == NULL)
        return false;
    str_addn(extracted, p, len);
    return strcmp(str_get(extracted), c->value) == 0;
}

static bool
run_json(const struct suite_check *c, const char *text,
    struct str *extracted, bool *invalid)
{
    json_t *v = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    const char *key;
    json_t *value;
    size_t i = 0;
    bool ok;

    *invalid = !json_is_object(v);
    if (*invalid) {
        json_decref(v);
        return false;
    }
    ok = json_equal(v, c->object) && json_object_size(v) == c->n_list;
    json_object_foreach(v, key, value) {
        if (ok && strcmp(key, c->list[i++]) != 0)
            ok = false;
    }
    str_add(extracted, text);
    json_decref(v);
    return ok;
}

/* Index of a text in the check's list, n_list if it is not there. */
static size_t
in_list(const struct suite_check *c, const char *text, size_t len)
{
    size_t i = 0;

    while (i < c->n_list && (strlen(c->list[i]) != len ||
                                memcmp(c->list[i], text, len) != 0))
        i++;
    return i;
}

static bool
run_lines(const struct suite_check *c, const char *text)
{
    bool *seen = mem_calloc(c->n_list, sizeof *seen);
    bool ok = true, more = true;
    int64_t n = 0;

    for (const char *p = text; ok && more;) {
        const size_t whole = strcspn(p, "\n");
        size_t len = whole;
        const char *line = text_strip(p, &len);
        const size_t i = in_list(c, line, len);

        ok = i < c->n_list && ++n <= c->n && !(c->distinct && seen[i]);
        if (ok)
            seen[i] = true;
        more = p[whole] == '\n';
        p += whole + (more ? 1 : 0);
    }
    free(seen);
    return ok && n == c->n;
}

static bool
run_sentence(const struct suite_check *c, const char *text)
{
    bool found, first, unused;

    if (strchr(text, '\n') != NULL || !str_ends(text, c->ends_with) ||
        words(text, NULL, &unused, &unused) < 3)
        return false;
    words(text, c->contains, &found, &unused);
    if (c->contains && !found)
        return false;
    words(text, c->starts, &unused, &first);
    return !c->starts || (first && str_starts(text, c->starts));
}

static bool
run_word_count(const struct suite_check *c, const char *text)
{
    const char *p = text, *end = text + strlen(text);
    int64_t pieces = 0;
    bool found, unused;

    while (p < end) {
        size_t n = space_at(p, end);

        if (n > 0) {
            p += n;
            continue;
        }
        pieces++;
        while (p < end && space_at(p, end) == 0)
            p++;
    }
    words(text, c->contains, &found, &unused);
    return pieces == c->n && (!c->contains || found);
}

bool
check_run(const struct suite_check *c, const char *text,
    struct str *extracted, bool *invalid)
{
    *invalid = false;
    switch (c->type) {
    case CHECK_LAST_NUMBER:
        return run_last_number(c, text, extracted, invalid);
    case CHECK_JSON_OBJECT:
        return run_json(c, text, extracted, invalid);
    default:
        break;
    }
    str_add(extracted, text);
    switch (c->type) {
    case CHECK_EXACT:
        return strcmp(text, c->value) == 0;
    case CHECK_LINES_FROM:
        return run_lines(c, text);
    case CHECK_SENTENCE:
        return run_sentence(c, text);
    case CHECK_WORD_COUNT:
        return run_word_count(c, text);
    default:
        return false;
    }
}
