/*
 * str.c - see str.h
 */
#include "lib/base/str.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

/* Room for `n` more bytes and the final NUL. */
static void
str_reserve(struct str *s, size_t n)
{
    size_t need, cap = s->cap > 0 ? s->cap : 32;

    if (size_add(s->len, n, &need) || size_add(need, 1, &need))
        need = SIZE_MAX; /* mem_realloc ends the process */
    if (need <= s->cap)
        return;
    while (cap < need)
        cap = cap > SIZE_MAX / 2 ? need : cap * 2;
    s->p = mem_realloc(s->p, cap, 1);
    s->cap = cap;
}

void
str_add(struct str *s, const char *text)
{
    str_addn(s, text, strlen(text));
}

void
str_addn(struct str *s, const void *bytes, size_t n)
{
    str_reserve(s, n);
    if (n > 0)
        memcpy(s->p + s->len, bytes, n);
    s->len += n;
    s->p[s->len] = '\0';
}

void
str_addc(struct str *s, char c)
{
    str_addn(s, &c, 1);
}

void
str_addf(struct str *s, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        return; /* only a wrong format can do this */
    str_reserve(s, (size_t)n);
    va_start(ap, fmt);
    vsnprintf(s->p + s->len, (size_t)n + 1, fmt, ap);
    va_end(ap);
    s->len += (size_t)n;
}

const char *
str_get(const struct str *s)
{
    return s->p != NULL ? s->p : "";
}

void
str_clear(struct str *s)
{
    s->len = 0;
    if (s->p != NULL)
        s->p[0] = '\0';
}

void
str_release(struct str *s)
{
    free(s->p);
    *s = (struct str){ 0 };
}

char *
str_detach(struct str *s)
{
    char *p = s->p != NULL ? s->p : mem_strdup("");

    *s = (struct str){ 0 };
    return p;
}

bool
str_starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool
str_ends(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);

    return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

bool
str_to_u64(const char *s, unsigned long long max, unsigned long long *out)
{
    unsigned long long v = 0;

    if (*s == '\0')
        return false;
    for (; *s != '\0'; s++) {
        unsigned digit = (unsigned)*s - '0';

        if (*s < '0' || *s > '9')
            return false;
        if (v > max / 10 || digit > max - v * 10)
            return false;
        v = v * 10 + digit;
    }
    *out = v;
    return true;
}

/* Whether `s` is [+-] digits [. digits] [e [+-] digits], nothing else. */
static bool
looks_decimal(const char *s)
{
    size_t digits = 0;

    if (*s == '+' || *s == '-')
        s++;
    for (; isdigit((unsigned char)*s); s++)
        digits++;
    if (*s == '.')
        for (s++; isdigit((unsigned char)*s); s++)
            digits++;
    if (digits == 0)
        return false;
    if (*s == 'e' || *s == 'E') {
        s++;
        if (*s == '+' || *s == '-')
            s++;
        if (!isdigit((unsigned char)*s))
            return false;
        while (isdigit((unsigned char)*s))
            s++;
    }
    return *s == '\0';
}

bool
str_to_double(const char *s, double *out)
{
    double v;

    /* quern never calls setlocale, so strtod reads the C locale's point */
    if (!looks_decimal(s))
        return false;
    v = strtod(s, NULL);
    if (!isfinite(v))
        return false;
    *out = v;
    return true;
}
