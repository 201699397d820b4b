/*
 * split.h - pre-tokenizers: one piece of text into words
 *
 * A pre_tokenizer of tokenizer.json becomes a list of stages. Each stage cuts
 * what the one before it gave. Known are ByteLevel (last only), Split with all
 * behaviors, Metaspace, Digits and Sequence; others are refused by name.
 */
#ifndef QUERN_TEXT_SPLIT_H
#define QUERN_TEXT_SPLIT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/text/chars.h"
#include "lib/text/regex.h"
#include "lib/text/scan.h"

enum { SPLIT_STAGES_MOST = 16 };

enum split_behavior {
    SPLIT_ISOLATED,
    SPLIT_REMOVED,
    SPLIT_WITH_PREVIOUS,
    SPLIT_WITH_NEXT,
    SPLIT_CONTIGUOUS,
};

enum prepend { PREPEND_NEVER, PREPEND_FIRST, PREPEND_ALWAYS };

enum split_kind {
    SPLIT_REGEX,   /* by `scan` if known, else by `regex` */
    SPLIT_LITERAL, /* at each `text` */
    SPLIT_DIGITS,
    SPLIT_METASPACE,
    SPLIT_PREFIX_SPACE, /* ByteLevel's add_prefix_space */
};

/* What a stage's search found: [start, end) is a match or what lies between. */
struct split_range {
    size_t start, end;
    bool match;
};

struct split_stage {
    enum split_kind kind;
    enum split_behavior behavior;
    bool invert;
    enum scan_kind scan;
    struct regex *regex; /* owned; NULL when `scan` does it */
    char *text;          /* literal, or Metaspace's replacement; owned */
    size_t text_len;
    enum prepend prepend; /* Metaspace */
    bool cut;             /* Metaspace: split before each replacement */
    struct str buf;             /* scratch: the changed text */
    struct split_range *range;  /* scratch; owned */
    size_t n_range, cap_range;
};

struct splitter {
    struct split_stage stage[SPLIT_STAGES_MOST];
    size_t n;
    bool byte_level; /* words are turned into bytes' characters */
    struct chars *chars; /* borrowed */
};

/* Takes each word, which is never empty. Non-zero stops and is returned. */
typedef int split_word(void *ctx, const char *s, size_t n, struct err *e);

/* `j` may be NULL or JSON null: the piece is the word. */
int splitter_init(struct splitter *sp, const json_t *j, struct chars *chars,
    const char *path, struct err *e);
/* The splitter of a llama.cpp pre name; unknown: an error. */
int splitter_init_gguf(struct splitter *sp, const char *pre,
    struct chars *chars, const char *path, struct err *e);
void splitter_release(struct splitter *sp);

/*
 * splitter_run - give every word of s[0..n) to `word`
 * `first`: the piece begins where the whole text does (Metaspace "first").
 */
int splitter_run(struct splitter *sp, const char *s, size_t n, bool first,
    split_word *word, void *ctx, struct err *e);

/*
 * splitter_gguf_name - llama.cpp's pre name of these stages, NULL if none
 */
const char *splitter_gguf_name(const struct splitter *sp);

#endif
