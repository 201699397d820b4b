#include "lib/text/utf8.h"

#include <string.h>

/*
 * Length of the valid character at p[0..n), or 0. Then *bad is how many bytes
 * were the beginning of one (at least 1): what a single U+FFFD stands for.
 */
static size_t
char_len(const unsigned char *p, size_t n, size_t *bad)
{
    unsigned char lo = 0x80, hi = 0xbf;
    size_t len;

    *bad = 1;
    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (p[0] == 0xe0)
        lo = 0xa0;
    else if (p[0] == 0xed)
        hi = 0x9f;
    else if (p[0] == 0xf0)
        lo = 0x90;
    else if (p[0] == 0xf4)
        hi = 0x8f;
    for (size_t i = 1; i < len; i++) {
        if (i >= n || p[i] < lo || p[i] > hi) {
            *bad = i;
            return 0;
        }
        lo = 0x80;
        hi = 0xbf;
    }
    return len;
}

size_t
utf8_check(const char *s, size_t n)
{
    const unsigned char *p = (const unsigned char *)s;
    size_t i = 0, bad;

    while (i < n) {
        uint64_t word;

        if (n - i >= 8) { /* most text is runs of ASCII */
            memcpy(&word, p + i, 8);
            if ((word & 0x8080808080808080U) == 0) {
                i += 8;
                continue;
            }
        }

        size_t len = char_len(p + i, n - i, &bad);

        if (len == 0)
            return i;
        i += len;
    }
    return n;
}

size_t
utf8_put(char out[4], uint32_t cp)
{
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    if (cp < 0x800) {
        out[0] = (char)(0xc0 | cp >> 6);
        out[1] = (char)(0x80 | (cp & 0x3f));
        return 2;
    }
    if (cp < 0x10000) {
        out[0] = (char)(0xe0 | cp >> 12);
        out[1] = (char)(0x80 | (cp >> 6 & 0x3f));
        out[2] = (char)(0x80 | (cp & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | cp >> 18);
    out[1] = (char)(0x80 | (cp >> 12 & 0x3f));
    out[2] = (char)(0x80 | (cp >> 6 & 0x3f));
    out[3] = (char)(0x80 | (cp & 0x3f));
    return 4;
}

void
utf8_add(struct str *out, uint32_t cp)
{
    char buf[4];

    str_addn(out, buf, utf8_put(buf, cp));
}

void
utf8_add_lossy(struct str *out, const char *s, size_t n)
{
    while (n > 0) {
        size_t good = utf8_check(s, n), bad;

        str_addn(out, s, good);
        s += good;
        n -= good;
        if (n == 0)
            break;
        char_len((const unsigned char *)s, n, &bad);
        utf8_add(out, 0xfffd);
        s += bad;
        n -= bad;
    }
}
