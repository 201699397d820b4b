/*
 * source.h - parts of a checkpoint, opened and checked against their
 * fingerprints
 */
#ifndef QUERN_MODEL_SOURCE_H
#define QUERN_MODEL_SOURCE_H

#include "lib/base/err.h"
#include "lib/format/fingerprint.h"
#include "lib/text/tokenizer.h"

/*
 * source_tokenizer - the tokenizer of a folder or a GGUF file, its files or keys
 * being those that `f` (kind "tokenizer") names: files are compared before and
 * after they are read
 * On error *t is NULL. Free with tokenizer_free.
 */
int source_tokenizer(struct tokenizer **t, const struct fingerprint *f,
    const char *path, struct err *e);

#endif
