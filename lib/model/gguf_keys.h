/*
 * gguf_keys.h - what a GGUF file says of a model and its tokenizer, so that
 * llama.cpp loads it
 */
#ifndef QUERN_MODEL_GGUF_KEYS_H
#define QUERN_MODEL_GGUF_KEYS_H

#include "lib/base/err.h"
#include "lib/format/gguf.h"
#include "lib/model/config.h"
#include "lib/text/tokenizer.h"

/* The keys of the architecture: `llama.block_count` and its kin. */
void gguf_put_config(struct gguf_writer *w, const struct model_config *c);
/*
 * Whether the model needs the tensor rope_freqs.weight, F32 [rope.dims / 2]:
 * llama3 scaling, whose divisors (rope_divisors) stand in it.
 */
bool gguf_needs_rope_freqs(const struct model_config *c);
/*
 * gguf_put_tokenizer - the keys tokenizer.ggml.* for `vocab` ids (the rows of
 * the embedding)
 * Errors: a pre-tokenizer that llama.cpp does not know, more ids than rows.
 */
int gguf_put_tokenizer(struct gguf_writer *w, const struct tokenizer *t,
    const struct model_config *c, const char *place, struct err *e);

#endif
