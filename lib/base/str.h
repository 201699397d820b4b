/*
 * str.h - growing byte string
 *
 * Invariants: `p` is never NULL after str_init or the first append, and
 * p[len] == 0 always. A zeroed struct is a valid empty string whose `p` is NULL
 * until the first append; str_get() gives "" for it.
 */
#ifndef QUERN_BASE_STR_H
#define QUERN_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>

struct str {
    char *p;    /* owned */
    size_t len; /* bytes in use, without the final NUL */
    size_t cap; /* bytes allocated */
};

void str_add(struct str *s, const char *text);
void str_addn(struct str *s, const void *bytes, size_t n);
void str_addc(struct str *s, char c);
void str_addf(struct str *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
const char *str_get(const struct str *s);
void str_clear(struct str *s);   /* empty, memory kept */
void str_release(struct str *s); /* empty, memory freed; twice is fine */
char *str_detach(struct str *s); /* caller frees; s is empty after */

bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);

/*
 * Bounded number parsers: the whole text must be the number.
 * Return false and leave *out alone otherwise.
 */
bool str_to_u64(const char *s, unsigned long long max, unsigned long long *out);
bool str_to_double(const char *s, double *out); /* finite, C locale */

#endif
