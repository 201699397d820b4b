/*
 * problems.c - everything that is wrong with a policy, one line each
 */
#include "gen/problems.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void
add(struct problems *p, unsigned line, unsigned column, const char *fmt,
    va_list ap) __attribute__((format(printf, 4, 0)));

static void
add(struct problems *p, unsigned line, unsigned column, const char *fmt,
    va_list ap)
{
    struct err e = { 0 };
    char text[1800];
    size_t at = p->n;

    if (p->n == PROBLEMS_MAX)
        return;
    vsnprintf(text, sizeof text, fmt, ap);
    err_set(&e, ERR_WORK, "%s:%u:%u: %s", p->file, line, column, text);
    while (at > 0 && (p->place[at - 1][0] > line ||
        (p->place[at - 1][0] == line && p->place[at - 1][1] > column)))
        at--;
    /* what an alias repeats is wrong once */
    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->v[i].text, e.text) == 0)
            return;
    memmove(&p->v[at + 1], &p->v[at], (p->n - at) * sizeof *p->v);
    memmove(&p->place[at + 1], &p->place[at], (p->n - at) * sizeof *p->place);
    p->v[at] = e;
    p->place[at][0] = line;
    p->place[at][1] = column;
    p->n++;
}

void
problem(struct problems *p, const struct yaml *at, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    add(p, at != NULL ? at->line : 1, at != NULL ? at->column : 1, fmt, ap);
    va_end(ap);
}

void
problem_key(struct problems *p, const struct yaml *at, const char *fmt, ...)
{
    bool keyed = at != NULL && at->key != NULL;
    va_list ap;

    va_start(ap, fmt);
    add(p, keyed ? at->key_line : at != NULL ? at->line : 1,
        keyed ? at->key_column : at != NULL ? at->column : 1, fmt, ap);
    va_end(ap);
}

enum { NAME_MAX_LEN = 40 };

/* Edits between two names, insertions, deletions, changes and swaps. */
static size_t
distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    size_t d[NAME_MAX_LEN + 1][NAME_MAX_LEN + 1];

    if (n > NAME_MAX_LEN || m > NAME_MAX_LEN)
        return NAME_MAX_LEN;
    for (size_t i = 0; i <= n; i++)
        d[i][0] = i;
    for (size_t k = 0; k <= m; k++)
        d[0][k] = k;
    for (size_t i = 1; i <= n; i++)
        for (size_t k = 1; k <= m; k++) {
            size_t best = d[i - 1][k - 1] + (a[i - 1] != b[k - 1]);

            if (d[i - 1][k] + 1 < best)
                best = d[i - 1][k] + 1;
            if (d[i][k - 1] + 1 < best)
                best = d[i][k - 1] + 1;
            if (i > 1 && k > 1 && a[i - 1] == b[k - 2] &&
                a[i - 2] == b[k - 1] && d[i - 2][k - 2] + 1 < best)
                best = d[i - 2][k - 2] + 1;
            d[i][k] = best;
        }
    return d[n][m];
}

const char *
nearest_name(const char *name, const void *names, size_t n, size_t stride)
{
    const char *best = NULL;
    size_t least = 3;

    for (size_t i = 0; i < n; i++) {
        const char *one;
        size_t d;

        memcpy(&one, (const char *)names + i * stride, sizeof one);
        if (one == NULL)
            continue;
        d = distance(name, one);
        if (d < least && d < strlen(name)) {
            least = d;
            best = one;
        }
    }
    return best;
}
