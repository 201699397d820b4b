/*
 * utf8.h - checking, reading and writing UTF-8
 *
 * Valid means Unicode's table 3-7: shortest form, no surrogates, at most
 * U+10FFFF. U+0000 is a character like any other.
 */
#ifndef QUERN_TEXT_UTF8_H
#define QUERN_TEXT_UTF8_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/str.h"

/* Offset of the first byte that is not part of valid UTF-8; n if all is. */
size_t utf8_check(const char *s, size_t n);

/*
 * utf8_next - the code point at s[*at], and *at moved past it
 * Needs valid UTF-8 and a character at *at.
 */
static inline uint32_t
utf8_next(const char *s, size_t *at)
{
    const unsigned char *p = (const unsigned char *)s + *at;

    if (p[0] < 0x80) {
        *at += 1;
        return p[0];
    }
    if (p[0] < 0xe0) {
        *at += 2;
        return (uint32_t)(p[0] & 0x1f) << 6 | (p[1] & 0x3f);
    }
    if (p[0] < 0xf0) {
        *at += 3;
        return (uint32_t)(p[0] & 0x0f) << 12 | (uint32_t)(p[1] & 0x3f) << 6 |
            (p[2] & 0x3f);
    }
    *at += 4;
    return (uint32_t)(p[0] & 0x07) << 18 | (uint32_t)(p[1] & 0x3f) << 12 |
        (uint32_t)(p[2] & 0x3f) << 6 | (p[3] & 0x3f);
}

/* Bytes of the character that starts with byte `c`; needs valid UTF-8. */
static inline size_t
utf8_size(char c)
{
    unsigned char b = (unsigned char)c;

    return b < 0x80 ? 1 : b < 0xe0 ? 2 : b < 0xf0 ? 3 : 4;
}

/* Start of the character that ends at s[end); needs valid UTF-8, end > 0. */
static inline size_t
utf8_before(const char *s, size_t end)
{
    do
        end--;
    while (((unsigned char)s[end] & 0xc0) == 0x80);
    return end;
}

/* Writes 1 to 4 bytes and returns how many. */
size_t utf8_put(char out[4], uint32_t cp);
void utf8_add(struct str *out, uint32_t cp);

/*
 * utf8_add_lossy - append s[0..n), one U+FFFD for each maximal part of a
 * character that is no character, as Unicode recommends and Rust does
 */
void utf8_add_lossy(struct str *out, const char *s, size_t n);

#endif
