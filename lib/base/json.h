/*
 * json.h - what quern adds to jansson: bounded reading with a place in the
 * message, typed lookups that name what is missing, and one way to write
 *
 * Reading rejects duplicate keys, trailing text and nesting past jansson's
 * limit of 2048. Every getter takes the file's name for its message:
 * `c.json: 'hidden_size' is missing or not a whole number from 1 to 65536; ...`.
 * Pointers returned by getters are borrowed from the tree.
 */
#ifndef QUERN_BASE_JSON_H
#define QUERN_BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/file.h"

/* Owned by the caller: json_decref. `digest` may be NULL. */
json_t *json_read(const char *path, size_t limit, struct digest *digest,
    struct err *e);
/* `place` is what messages start with, e.g. "suite.jsonl:12". */
json_t *json_parse(const char *text, size_t len, const char *place,
    struct err *e);

/* Missing, of another type or out of range: an error, and -1, NULL or NAN. */
int64_t json_get_int(const json_t *o, const char *key, int64_t min,
    int64_t max, const char *place, struct err *e);
double json_get_real(const json_t *o, const char *key, double min, double max,
    const char *place, struct err *e);
const char *json_get_str(const json_t *o, const char *key, const char *place,
    struct err *e);
bool json_get_bool(const json_t *o, const char *key, const char *place,
    struct err *e);
json_t *json_get_array(const json_t *o, const char *key, const char *place,
    struct err *e);
json_t *json_get_object(const json_t *o, const char *key, const char *place,
    struct err *e);

/*
 * The bytes quern writes: sorted keys, one-space indent (or one line), reals
 * with up to 12 significant digits, a final newline. Same tree, same bytes.
 */
char *json_text(const json_t *v, bool one_line); /* caller frees */
int json_write(const json_t *v, const char *path, struct err *e);

#endif
