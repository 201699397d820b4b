/*
 * kinds.h - one reader and one view for each kind of file. Internal to
 * lib/inspect.
 *
 * A reader fills the object that inspect_path made, which has `schema`, `path`
 * and `bytes`, and sets `kind`; a view turns the object into lines.
 */
#ifndef QUERN_INSPECT_KINDS_H
#define QUERN_INSPECT_KINDS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/format/safetensors.h"
#include "lib/inspect/grid.h"
#include "lib/inspect/inspect.h"
#include "lib/model/config.h"

typedef int inspect_read(json_t *v, const char *path,
    const struct inspect_opts *o, struct err *e);
typedef void inspect_view(const json_t *v, bool all, struct str *out);

inspect_read inspect_gguf, inspect_safetensors, inspect_checkpoint;
inspect_read inspect_imatrix, inspect_json, inspect_stage, inspect_sshsig;
inspect_read inspect_key, inspect_signers, inspect_pointer;

inspect_view view_weights, view_statistics, view_tokens, view_imatrix;
inspect_view view_record, view_stage, view_signature, view_signers, view_key;
inspect_view view_pointer, view_tokenizer, view_document, view_lines;

/* values.c: pieces that several readers or views share */

/* Any bytes as a JSON string: what is not UTF-8 becomes U+FFFD. */
json_t *value_text(const char *p, size_t n);
json_t *value_string(const char *s); /* NULL: null */
json_t *value_count(uint64_t n);     /* a string beyond 2^63 - 1 */
json_t *value_real(double x);        /* null for NaN and infinities */
/* Sets a member; a value that could not be made becomes null. */
void value_set(json_t *v, const char *key, json_t *value);

/* {"min", "mean", "max", "zero", "bad"} of n little-endian floats. */
json_t *value_floats(const uint8_t *p, uint64_t n);

/* A member for a view; 0 or "" where there is none of that kind. */
uint64_t view_count(const json_t *o, const char *key);
const char *view_text(const json_t *o, const char *key);

/* weights.c: `tensors`, `types` and the totals */

struct weight {
    const char *name, *type, *file; /* file NULL: the one that is read */
    unsigned rank;
    const uint64_t *shape; /* last index fastest */
    uint64_t bytes, offset;
};

void weights_add(json_t *tensors, const struct weight *w);
/* Adds tensors (which it takes), types, parameters, bits to the object. */
void weights_set(json_t *v, json_t *tensors);
void weights_add_safetensors(json_t *tensors, const struct safetensors *st);

/* model.c: the config and the tokenizer in words and numbers */

/* `model`: that config; with `e` set only that it does not run, and why. */
void model_set(json_t *v, const struct model_config *c, const struct err *e);
/* Whether quern would run it: `runs` and `why_not` of the member `model`. */
void model_set_runs(json_t *v, const char *path);
/* `tokenizer`: of whatever read_tokenizer takes. */
void tokenizer_set(json_t *v, const char *path);
void model_view(const json_t *v, struct str *out);

/* safetensors files of quern's own; false: it is none */
bool statistics_is(const struct safetensors *st);
int statistics_set(json_t *v, const struct safetensors *st, struct err *e);
bool tokens_is(const struct safetensors *st);
int tokens_set(json_t *v, const struct safetensors *st, struct err *e);

/* JSON files that are records: an envelope or a link */
bool record_is(const json_t *document);
int record_set(json_t *v, const char *path, const struct inspect_opts *o,
    struct err *e);

#endif
