/*
 * decode.h - the decoder of a tokenizer.json: token texts to text
 *
 * A decoder is a list of steps over a list of strings; what is left at the end
 * is joined. Known are ByteLevel, ByteFallback, Fuse, Strip, Replace, Metaspace
 * and Sequence; others are refused by name. No decoder: texts joined by spaces.
 */
#ifndef QUERN_TEXT_DECODE_H
#define QUERN_TEXT_DECODE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/str.h"

enum { DECODE_STEPS_MOST = 16 };

enum decode_kind {
    DECODE_BYTE_LEVEL,
    DECODE_BYTE_FALLBACK,
    DECODE_FUSE,
    DECODE_STRIP,
    DECODE_REPLACE,
    DECODE_METASPACE,
};

struct decode_step {
    enum decode_kind kind;
    char *pattern;       /* Replace, Metaspace; Strip: its character; owned */
    char *content;       /* Replace; owned */
    size_t start, stop;  /* Strip: most characters from each end */
    bool keep_first;     /* Metaspace: also the first token's become spaces */
};

struct decoder {
    struct decode_step step[DECODE_STEPS_MOST];
    size_t n;
    bool spaces; /* no decoder in the file */
};

/* Strings one after the other: string i is all[at[i]..at[i + 1]). */
struct string_list {
    struct str all;
    size_t *at; /* [n + 1], NULL while n == 0; owned */
    size_t n, cap;
};

void string_list_add(struct string_list *l, const char *s, size_t n);
void string_list_release(struct string_list *l);

int decoder_init(struct decoder *d, const json_t *j, const char *path,
    struct err *e);
/*
 * decoder_add - a step more; `pattern` and `content` are copied or NULL
 * NULL with an error when there are too many.
 */
struct decode_step *decoder_add(struct decoder *d, enum decode_kind kind,
    const char *pattern, const char *content, const char *path, struct err *e);
void decoder_release(struct decoder *d);

/* Appends the text of the tokens, which are valid UTF-8; empties `tokens`. */
void decoder_run(const struct decoder *d, struct string_list *tokens,
    struct str *out);

#endif
