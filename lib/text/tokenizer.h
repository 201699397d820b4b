/*
 * tokenizer.h - text to token ids and back, as the `tokenizers` library does it
 *
 * Reads Hugging Face's tokenizer.json with a BPE model: byte-level (GPT-2,
 * Llama-3, Qwen, tekken, GPT-4o and their kin) and with byte fallback (Llama-2,
 * Mistral, Phi-3, Gemma). What the file asks for and is not implemented is
 * refused by name, never skipped. A tokenizer can also be made from the arrays
 * that a GGUF file carries.
 *
 * Encoding works in the library's order: added tokens are cut out of the raw
 * text (leftmost, longest), each piece is normalized, added tokens of the
 * normalized kind are cut out, each piece is split into words, the model turns
 * words into ids, and the post-processor puts its special ids around.
 *
 * Text is UTF-8. Invalid UTF-8 is an error that gives the byte's offset; it is
 * never replaced in silence. Ids are the file's own and may have holes.
 *
 * A tokenizer remembers words it has seen, so encoding changes it: one thread
 * at a time may encode with it. Everything that takes a const tokenizer can run
 * in any number of threads at once.
 */
#ifndef QUERN_TEXT_TOKENIZER_H
#define QUERN_TEXT_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/text/ids.h"

struct tokenizer;

/*
 * tokenizer_open - read tokenizer.json and, if given, tokenizer_config.json
 *
 * `config_path` may be NULL or name a file that does not exist; without it (or
 * for what it leaves out) special_tokens_map.json beside tokenizer.json is
 * asked for bos, eos, unk and pad, and chat_template.jinja for the template.
 * On error *t is NULL. Free with tokenizer_free.
 */
int tokenizer_open(struct tokenizer **t, const char *json_path,
    const char *config_path, struct err *e);

/* The arrays of a GGUF file's tokenizer.ggml.* keys; all borrowed. */
struct tokenizer_gguf {
    const char *path;    /* for messages */
    const char *model;   /* "gpt2" or "llama" */
    const char *pre;     /* "llama-bpe", ...; NULL when absent */
    const char *const *tokens;
    const size_t *token_len; /* bytes of each token, or NULL: NUL-terminated */
    size_t n;
    const int32_t *types;    /* [n] token_type, or NULL: all normal */
    const char *const *merges; /* "a b"; gpt2 only */
    size_t n_merges;
    const float *scores;     /* [n]; llama only, else NULL */
    int32_t bos, eos, unk, pad; /* -1: absent */
    int add_bos, add_eos, add_space_prefix; /* 0, 1, or -1: absent */
    const char *chat_template; /* NULL when absent */
};

/*
 * tokenizer_open_gguf - the tokenizer that llama.cpp makes of these keys
 * An unknown model or pre name is an error. Absent flags take llama.cpp's
 * defaults for the model and pre name.
 */
int tokenizer_open_gguf(struct tokenizer **t, const struct tokenizer_gguf *g,
    struct err *e);

void tokenizer_free(struct tokenizer *t); /* NULL is fine */

/*
 * tokenizer_encode - append the ids of text[0..len) to `out`
 *
 * With `special` the post-processor adds what it adds (a bos in front, for
 * most); without, nothing is added. Added tokens written out in the text become
 * their ids either way. On error (invalid UTF-8, text over 2 GiB) `out` is as
 * it was.
 */
int tokenizer_encode(struct tokenizer *t, const char *text, size_t len,
    bool special, struct ids *out, struct err *e);

/*
 * tokenizer_decode - append the text of ids[0..n) to `out`
 *
 * Always appends valid UTF-8: bytes that form none become U+FFFD as in the
 * library. Ids that name no token give nothing. With `skip_special`, tokens
 * marked special give nothing.
 */
void tokenizer_decode(const struct tokenizer *t, const int32_t *ids, size_t n,
    bool skip_special, struct str *out);

/* Id of a token written as in the file (byte-level alphabet), -1 if none. */
int32_t tokenizer_id(const struct tokenizer *t, const char *token);
/* Text of an id as in the file; NULL for a hole or an id out of range. */
const char *tokenizer_token(const struct tokenizer *t, int32_t id);
/* Largest id + 1: what an embedding needs at least. */
size_t tokenizer_size(const struct tokenizer *t);
/* True for added tokens marked special (control tokens). */
bool tokenizer_is_special(const struct tokenizer *t, int32_t id);

/* -1 when there is none. */
int32_t tokenizer_bos(const struct tokenizer *t);
int32_t tokenizer_eos(const struct tokenizer *t);
int32_t tokenizer_unk(const struct tokenizer *t);
int32_t tokenizer_pad(const struct tokenizer *t);

/*
 * What the post-processor does: true iff its template for one text begins with
 * special tokens (ends with them). Without a template: tokenizer_config's
 * add_bos_token is not obeyed, as the library does not either.
 */
bool tokenizer_add_bos(const struct tokenizer *t);
bool tokenizer_add_eos(const struct tokenizer *t);

/* Jinja text or NULL; borrowed. */
const char *tokenizer_chat_template(const struct tokenizer *t);

/*
 * For the writer of tokenizer.ggml.* keys
 */
enum token_type {
    TOKEN_NORMAL = 1,
    TOKEN_UNKNOWN = 2,
    TOKEN_CONTROL = 3,
    TOKEN_USER_DEFINED = 4,
    TOKEN_UNUSED = 5, /* a hole */
    TOKEN_BYTE = 6,
};

/* "gpt2" for byte-level, "llama" for byte fallback. */
const char *tokenizer_gguf_model(const struct tokenizer *t);
/*
 * llama.cpp's name of the pre-tokenizer, found by its exact regexes: "gpt-2",
 * "llama-bpe", "qwen2", "qwen35", "tekken", "gpt-4o", "smollm"; "default" for
 * "llama". NULL with an error set when llama.cpp would split otherwise or has
 * normalization that the keys cannot say.
 */
const char *tokenizer_gguf_pre(const struct tokenizer *t, struct err *e);
/*
 * Text of id as the key wants it: holes and ids up to the embedding's rows are
 * "[PAD<id>]", user-defined tokens of "llama" have spaces for U+2581. Appends
 * to `out`.
 */
void tokenizer_gguf_token(const struct tokenizer *t, int32_t id,
    struct str *out);
enum token_type tokenizer_gguf_type(const struct tokenizer *t, int32_t id);
/*
 * Score of id for "llama": -(lowest rank of a merge that makes it), lower than
 * all of those for tokens that no merge makes.
 */
float tokenizer_gguf_score(const struct tokenizer *t, int32_t id);
size_t tokenizer_merges(const struct tokenizer *t);
/* Appends merge `rank` as "a b" to `out`. */
void tokenizer_merge(const struct tokenizer *t, size_t rank, struct str *out);
/* For "llama": a space is put in front of text (false for Gemma). */
bool tokenizer_add_space_prefix(const struct tokenizer *t);

#endif
