/*
 * normalize.h - the normalizer of a tokenizer.json
 *
 * Known are NFC, NFD, NFKC, NFKD (through utf8proc), Lowercase, Strip, Prepend,
 * Replace and Sequence; others are refused by name. Steps run in file order.
 */
#ifndef QUERN_TEXT_NORMALIZE_H
#define QUERN_TEXT_NORMALIZE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/text/chars.h"
#include "lib/text/regex.h"

/* Normalized text may have 32 times its bytes and this many more. */
enum { NORMALIZE_STEPS_MOST = 16, NORMALIZE_SLACK = 1 << 16 };

enum normalize_kind {
    NORMALIZE_NFC,
    NORMALIZE_NFD,
    NORMALIZE_NFKC,
    NORMALIZE_NFKD,
    NORMALIZE_LOWERCASE,
    NORMALIZE_STRIP,
    NORMALIZE_PREPEND,
    NORMALIZE_REPLACE,
};

struct normalize_step {
    enum normalize_kind kind;
    bool left, right;    /* Strip */
    char *pattern;       /* Replace by a literal; owned */
    size_t pattern_len;
    struct regex *regex; /* Replace by a regex; owned */
    char *content;       /* Prepend, Replace; owned */
    size_t content_len;
};

struct normalizer {
    struct normalize_step step[NORMALIZE_STEPS_MOST];
    size_t n;
    struct str buf[2];   /* scratch, by turns */
    struct chars *chars; /* borrowed */
};

/* `j` may be NULL or JSON null: text stays as it is. */
int normalizer_init(struct normalizer *z, const json_t *j, struct chars *chars,
    const char *path, struct err *e);
/* Adds a literal Replace (from is not empty) or, with from NULL, a Prepend. */
int normalizer_add(struct normalizer *z, const char *from, const char *to,
    const char *path, struct err *e);
void normalizer_release(struct normalizer *z);

/*
 * normalizer_run - *out, *out_len: s[0..n) normalized
 * The result is s itself or memory of `z` that the next call overwrites.
 */
int normalizer_run(struct normalizer *z, const char *s, size_t n,
    const char **out, size_t *out_len, struct err *e);

/* True if all it can change is what Unicode's NFC changes. */
bool normalizer_is_nfc(const struct normalizer *z);

#endif
