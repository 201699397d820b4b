/*
 * regex.h - regexes of a tokenizer.json through PCRE2 (UTF, Unicode classes)
 *
 * The library's own engine is Oniguruma; on the patterns that tokenizers carry
 * the two agree. A pattern PCRE2 cannot compile is refused, a match that runs
 * away is stopped with an error.
 */
#ifndef QUERN_TEXT_REGEX_H
#define QUERN_TEXT_REGEX_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"

struct regex; /* compiled pattern with its match data: one thread at a time */

/* NULL with an error that starts with `path` when it does not compile. */
struct regex *regex_new(const char *pattern, const char *path, struct err *e);
void regex_free(struct regex *r); /* NULL is fine */

/*
 * regex_find - the first match at or after `from` in valid UTF-8 s[0..n)
 * *found tells whether there is one, [*start, *end) where; it may be empty.
 */
int regex_find(struct regex *r, const char *s, size_t n, size_t from,
    bool *found, size_t *start, size_t *end, struct err *e);

#endif
