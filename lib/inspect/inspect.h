/*
 * inspect.h - what a file holds, whatever it is: as JSON, and for a terminal
 *
 * What a file is, is found in its bytes, never in its name. Every reader of
 * quern is used as it is, with its limits and messages; nothing is computed
 * from weights. The members of the object are listed in quern-inspect(1).
 */
#ifndef QUERN_INSPECT_INSPECT_H
#define QUERN_INSPECT_INSPECT_H

#include <jansson.h>
#include <stdbool.h>

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/record/signers.h"

#define INSPECT_SCHEMA "quern.inspect/1"

struct inspect_opts {
    const struct signers *signers; /* whose signatures count; NULL: none are
                                      checked */
    bool all; /* arrays of any length, and every tensor on a line of its own */
};

/*
 * inspect_path - an object that says what `path` (a file, or a checkpoint's
 * folder) holds; the caller decrefs
 * NULL and an error: it cannot be read, is damaged, or is nothing known.
 */
json_t *inspect_path(const char *path, const struct inspect_opts *o,
    struct err *e);

/* Appends the same as lines for a person; control bytes are escaped. */
void inspect_text(const json_t *v, bool all, struct str *out);

#endif
