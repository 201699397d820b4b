/*
 * read_tokenizer.h - only the tokenizer of whatever holds a model
 */
#ifndef QUERN_MODEL_READ_TOKENIZER_H
#define QUERN_MODEL_READ_TOKENIZER_H

#include "lib/base/err.h"
#include "lib/text/tokenizer.h"

/*
 * read_tokenizer - the tokenizer of a folder, a .gguf file or a tokenizer.json
 * Weights are not looked at: a GGUF file without tensors will do. On error *t
 * is NULL. Free with tokenizer_free.
 */
int read_tokenizer(struct tokenizer **t, const char *path, struct err *e);

#endif
