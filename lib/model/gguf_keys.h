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

/*
 * gguf_put_config - the keys of the architecture: `llama.block_count` and kin
 *
 * Where the format has no window, the context is as long as the window at most:
 * so far the results are the same. Errors: what the format or llama.cpp cannot
 * express for this architecture (another scale of scores, another pattern of
 * local layers ..), named.
 */
int gguf_put_config(struct gguf_writer *w, const struct model_config *c,
    const char *place, struct err *e);

/* A tensor beside those of the plan: F32 [n] from v. */
struct gguf_extra {
    const char *name;
    size_t n;
    float v[MODEL_MAX_HEAD_DIM / 2];
};

/*
 * gguf_extras - what the rotation needs as tensors; how many there are
 * llama3 scaling: rope_freqs.weight; longrope: rope_factors_long.weight and
 * rope_factors_short.weight.
 */
size_t gguf_extras(const struct model_config *c, struct gguf_extra extra[2]);
/*
 * gguf_put_tokenizer - the keys tokenizer.ggml.* for `vocab` ids (the rows of
 * the embedding)
 * Errors: a pre-tokenizer that llama.cpp does not know, more ids than rows.
 */
int gguf_put_tokenizer(struct gguf_writer *w, const struct tokenizer *t,
    const struct model_config *c, const char *place, struct err *e);

#endif
