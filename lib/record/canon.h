/*
 * canon.h - canonical JSON as in-toto's classic form signs it (OLPC's rules)
 *
 * UTF-8, members sorted by byte, no spaces, whole numbers only, and in strings
 * only `"` and `\` escaped: control characters go out as they are, so the
 * result is for signing, never for storing. Source: securesystemslib's
 * encode_canonical.
 */
#ifndef QUERN_RECORD_CANON_H
#define QUERN_RECORD_CANON_H

#include <jansson.h>
#include <stdbool.h>

#include "lib/base/str.h"

/* False for what has no canonical form: reals and integers beyond 2^53 - 1. */
bool canon_add(struct str *out, const json_t *v)
    __attribute__((warn_unused_result));

#endif
