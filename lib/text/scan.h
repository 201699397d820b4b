/*
 * scan.h - the regexes that byte-level tokenizers split with, by hand
 *
 * Each of these regexes matches every text without a gap, so a scanner only has
 * to say how long the next match is. They are known by their exact text; any
 * other regex goes through PCRE2. tests/lib/text/scan.c compares both on random
 * text.
 */
#ifndef QUERN_TEXT_SCAN_H
#define QUERN_TEXT_SCAN_H

#include <stddef.h>

#include "lib/text/chars.h"

enum scan_kind {
    SCAN_NONE,
    SCAN_GPT2,
    SCAN_LLAMA3,
    SCAN_QWEN2,
    SCAN_QWEN35,
    SCAN_TEKKEN,
    SCAN_GPT4O,
    SCAN_COUNT
};

/* The kind whose regex this is, SCAN_NONE if it is none of them. */
enum scan_kind scan_find(const char *regex);
/* Its text, and llama.cpp's name for it; NULL for SCAN_NONE. */
const char *scan_regex(enum scan_kind kind);
const char *scan_name(enum scan_kind kind);

/*
 * scan_next - bytes of the match that begins at s; at least 1
 * Needs n > 0 and valid UTF-8. What lies before s does not matter to any of
 * these regexes.
 */
size_t scan_next(enum scan_kind kind, struct chars *c, const char *s, size_t n);

#endif
