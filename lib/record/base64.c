/*
 * base64.c - see base64.h
 */
#include "lib/record/base64.h"

#include <stdint.h>
#include <string.h>

static const char digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void
base64_encode(struct str *s, const void *p, size_t n, size_t columns)
{
    const uint8_t *b = p;
    size_t column = 0;

    for (size_t i = 0; i < n; i += 3) {
        size_t left = n - i;
        uint32_t v = (uint32_t)b[i] << 16;
        char four[4];

        if (left > 1)
            v |= (uint32_t)b[i + 1] << 8;
        if (left > 2)
            v |= b[i + 2];
        four[0] = digits[v >> 18];
        four[1] = digits[v >> 12 & 63];
        four[2] = left > 1 ? digits[v >> 6 & 63] : '=';
        four[3] = left > 2 ? digits[v & 63] : '=';
        for (size_t k = 0; k < 4; k++) {
            str_addc(s, four[k]);
            if (columns > 0 && ++column == columns) {
                str_addc(s, '\n');
                column = 0;
            }
        }
    }
    if (column > 0)
        str_addc(s, '\n');
}

/* 0 to 63, or -1. No table: a secret key must not choose what is cached. */
static int
value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+')
        return 62;
    return c == '/' ? 63 : -1;
}

bool
base64_decode(void *dst, size_t cap, size_t *n, const char *text, size_t len)
{
    uint8_t *out = dst;
    size_t pad = 0, bytes;

    if (len % 4 != 0)
        return false;
    if (len > 0)
        pad = text[len - 1] != '=' ? 0 : text[len - 2] != '=' ? 1 : 2;
    bytes = len / 4 * 3 - pad;
    if (bytes > cap)
        return false;
    for (size_t i = 0; i < len; i += 4) {
        size_t have = i + 4 == len ? 4 - pad : 4;
        uint32_t v = 0;

        for (size_t k = 0; k < 4; k++) {
            int d = k < have ? value_of(text[i + k]) : 0;

            if (d < 0)
                return false;
            v = v << 6 | (uint32_t)d;
        }
        if ((have == 3 && (v & 0xff) != 0) || (have == 2 && (v & 0xffff) != 0))
            return false; /* another text for the same bytes */
        *out++ = (uint8_t)(v >> 16);
        if (have > 2)
            *out++ = (uint8_t)(v >> 8);
        if (have > 3)
            *out++ = (uint8_t)v;
    }
    *n = bytes;
    return true;
}
