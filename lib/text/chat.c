#include "lib/text/chat.h"

#include <string.h>

#include "lib/text/jinja.h"

static const char *const names[CHAT_COUNT] = {
    [CHAT_UNKNOWN] = "unknown",
    [CHAT_CHATML] = "ChatML",
    [CHAT_LLAMA2] = "Llama-2",
    [CHAT_LLAMA3] = "Llama-3",
    [CHAT_PHI3] = "Phi-3",
    [CHAT_GEMMA] = "Gemma",
    [CHAT_MISTRAL] = "Mistral",
};

/* The first line whose texts all occur decides. */
static const struct {
    enum chat_family family;
    const char *mark, *other;
} marks[] = {
    { CHAT_CHATML, "<|im_start|>", "<|im_end|>" },
    { CHAT_LLAMA3, "<|start_header_id|>", "<|eot_id|>" },
    { CHAT_GEMMA, "<start_of_turn>", "<end_of_turn>" },
    { CHAT_PHI3, "<|end|>", "<|assistant|>" },
    { CHAT_LLAMA2, "[INST]", "<<SYS>>" },
    { CHAT_MISTRAL, "[INST]", "[/INST]" },
};

enum chat_family
chat_recognise(const char *template)
{
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        if (strstr(template, marks[i].mark) != NULL &&
            strstr(template, marks[i].other) != NULL)
            return marks[i].family;
    }
    return CHAT_UNKNOWN;
}

const char *
chat_name(enum chat_family family)
{
    return names[family];
}

/* A special token's text under its name, if the tokenizer has one. */
static void
set_token(json_t *globals, const char *name, const struct tokenizer *t,
    int32_t id)
{
    const char *s = tokenizer_token(t, id);

    if (s != NULL)
        json_object_set_new(globals, name, json_string(s));
}

static json_t *
make_globals(const struct tokenizer *t, const struct chat_message *m,
    size_t n, bool prompt, const char *place, struct err *e)
{
    json_t *globals = json_pack("{s[]sbsnsn}", "messages",
        "add_generation_prompt", prompt, "tools", "documents");
    json_t *messages = json_object_get(globals, "messages");

    for (size_t i = 0; i < n; i++) {
        json_t *one = json_pack("{ssss}", "role", m[i].role, "content",
            m[i].content);

        if (one == NULL)
            err_set(e, ERR_WORK,
                "%s: message %zu is not valid UTF-8; convert it to UTF-8",
                place, i + 1);
        else
            json_array_append_new(messages, one);
    }
    set_token(globals, "bos_token", t, tokenizer_bos(t));
    set_token(globals, "eos_token", t, tokenizer_eos(t));
    set_token(globals, "unk_token", t, tokenizer_unk(t));
    set_token(globals, "pad_token", t, tokenizer_pad(t));
    return globals;
}

int
chat_render(const struct tokenizer *t, const char *place,
    const struct chat_message *m, size_t n, bool prompt, struct str *out,
    struct err *e)
{
    const char *template = tokenizer_chat_template(t);
    json_t *globals;

    if (template == NULL)
        return err_set(e, ERR_WORK,
            "%s: the tokenizer has no chat_template; give prompts as plain "
            "text",
            place);
    if (chat_recognise(template) == CHAT_UNKNOWN)
        return err_set(e, ERR_WORK,
            "%s: chat template '%.60s...' is of no family that quern knows "
            "(ChatML, Llama-2, Llama-3, Phi-3, Gemma, Mistral); give prompts "
            "as plain text",
            place, template);
    globals = make_globals(t, m, n, prompt, place, e);
    if (e->code == 0)
        jinja_run(place, template, globals, out, e);
    json_decref(globals);
    return e->code;
}
