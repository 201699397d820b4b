/*
 * tokenizer_impl.h - what the tokenizer*.c files share; nobody else includes it
 */
#ifndef QUERN_TEXT_TOKENIZER_IMPL_H
#define QUERN_TEXT_TOKENIZER_IMPL_H

#include "lib/text/added.h"
#include "lib/text/bpe.h"
#include "lib/text/chars.h"
#include "lib/text/decode.h"
#include "lib/text/normalize.h"
#include "lib/text/split.h"
#include "lib/text/tokenizer.h"

struct tokenizer {
    struct chars chars;
    struct bpe bpe;
    struct normalizer normalizer;
    struct splitter splitter;
    struct decoder decoder;

    struct added_token *added; /* owned, like all below */
    size_t n_added, cap_added;
    struct vocab added_vocab;  /* contents of the added tokens by id */
    int32_t *added_of;         /* [size] index into added, -1: none */
    struct added_set raw, normalized;

    struct ids prefix, suffix; /* what the post-processor puts around */
    int32_t bos, eos, unk, pad;
    char *chat_template;

    size_t size;   /* largest id + 1 */
    float *score;  /* [size] for "llama"; made by tokenizer_finish */
    bool add_space_prefix;
};

/* Adds to t->added and t->added_vocab; an error on a clash of ids or texts. */
int tokenizer_add_token(struct tokenizer *t, const struct added_token *tok,
    const char *path, struct err *e);
/* Call once everything is read: tables, tries, scores. */
int tokenizer_finish(struct tokenizer *t, const char *path, struct err *e);
/* tokenizer_config.json and what stands in for it. */
int tokenizer_read_config(struct tokenizer *t, const char *json_path,
    const char *config_path, struct err *e);
struct tokenizer *tokenizer_new(void);

#endif
