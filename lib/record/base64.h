/*
 * base64.h - standard base64 with padding, one text for every value
 */
#ifndef QUERN_RECORD_BASE64_H
#define QUERN_RECORD_BASE64_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/str.h"

/* Appends; a line feed every `columns` characters and at the end, 0: none. */
void base64_encode(struct str *s, const void *p, size_t n, size_t columns);
/*
 * Exactly what base64_encode with 0 columns writes: right length and padding,
 * no other character, unused bits zero. At most `cap` bytes go to `dst`.
 */
bool base64_decode(void *dst, size_t cap, size_t *n, const char *text,
    size_t len) __attribute__((warn_unused_result));

#endif
