/*
 * chat.h - a conversation as the text that a chat model was trained on
 *
 * The model's own chat_template is run (jinja.h), so the text equals that of
 * transformers' apply_chat_template. Only templates of families that are tested
 * are run, found by the marks in their text; any other is refused by name.
 */
#ifndef QUERN_TEXT_CHAT_H
#define QUERN_TEXT_CHAT_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/text/tokenizer.h"

enum chat_family {
    CHAT_UNKNOWN,
    CHAT_CHATML,
    CHAT_LLAMA2,
    CHAT_LLAMA3,
    CHAT_PHI3,
    CHAT_GEMMA,
    CHAT_MISTRAL,
    CHAT_COUNT
};

struct chat_message {
    const char *role;    /* "system", "user", "assistant" */
    const char *content; /* valid UTF-8 */
};

/* Which family's marks the template writes. */
enum chat_family chat_recognise(const char *template);
const char *chat_name(enum chat_family family); /* "ChatML", ... */

/*
 * chat_render - append the conversation's text to `out`
 *
 * With `prompt`, the beginning of the assistant's answer follows. The text has
 * the special tokens in it, a bos too if the template writes one: encode it
 * without `special`. Errors: no template, one of another family, one that uses
 * what jinja.h does not know, one that refuses the conversation (such as a
 * system message for Gemma). `place` is what messages start with.
 */
int chat_render(const struct tokenizer *t, const char *place,
    const struct chat_message *m, size_t n, bool prompt, struct str *out,
    struct err *e);

#endif
