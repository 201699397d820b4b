/*
 * added.h - added tokens and how text is cut at them
 *
 * All tokens of one set are searched at once, leftmost and longest first, as
 * the library's Aho-Corasick automaton does. A token may ask for white space
 * beside it to be swallowed (lstrip, rstrip) or for no word character to touch
 * it (single_word); one that is refused for that hides shorter ones in it.
 */
#ifndef QUERN_TEXT_ADDED_H
#define QUERN_TEXT_ADDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/text/chars.h"

/*
 * Bytes of a token, normalized or not. Where one token begins many times over,
 * as x does in xxxx, finding it takes time in proportion to its length.
 */
enum { ADDED_LEN_MOST = 512 };

struct added_token {
    int32_t id;
    char *content; /* owned, like `shown` */
    size_t len;
    char *shown;   /* what it decodes to: normalized if it is of that kind */
    size_t shown_len;
    bool single_word, lstrip, rstrip, normalized, special;
};

/* A trie over the bytes of what is searched; node 0 is the root. */
struct added_node {
    int32_t token;            /* index of the token that ends here, or -1 */
    uint32_t child, sibling;  /* 0: none */
    uint8_t byte;
};

struct added_set {
    const struct added_token *tokens; /* borrowed */
    struct added_node *node;          /* owned */
    size_t n, cap;
    uint32_t first[256]; /* root's children by byte; 0: none */
};

/* A token to be found when the text reads pattern[0..len). */
void added_set_add(struct added_set *set, const char *pattern, size_t len,
    int32_t token);
void added_set_release(struct added_set *set);

/*
 * Takes what added_cut finds, in order: with id -1 a stretch of text, which is
 * not empty, else an added token. `offset` is the stretch's place in the text.
 */
typedef int added_piece(void *ctx, int32_t id, const char *s, size_t n,
    size_t offset, struct err *e);

/* added_cut - walk valid UTF-8 s[0..n); non-zero of `piece` stops the walk */
int added_cut(const struct added_set *set, struct chars *chars, const char *s,
    size_t n, added_piece *piece, void *ctx, struct err *e);

#endif
