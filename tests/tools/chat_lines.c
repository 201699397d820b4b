/*
 * chat_lines.c - a tokenizer's chat template at work, for tests/interop/chat.py
 *
 * usage: chat_lines MODEL
 *
 * MODEL is a folder with tokenizer.json and what belongs to it, or a GGUF file.
 * Every line of stdin is
 * a JSON object, {"messages": [{"role", "content"}, ...], "prompt": bool}; the
 * answer to each is one line, {"text": ...} or {"error": ...}.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/err.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/model/read_tokenizer.h"
#include "lib/text/chat.h"

static void
answer(const struct tokenizer *t, const json_t *in)
{
    const json_t *list = json_object_get(in, "messages");
    size_t n = json_array_size(list);
    struct chat_message *m = mem_calloc(n, sizeof *m);
    json_t *out = json_object();
    struct str s = { 0 };
    struct err e = { 0 };

    for (size_t i = 0; i < n; i++) {
        const json_t *one = json_array_get(list, i);

        m[i].role = json_string_value(json_object_get(one, "role"));
        m[i].content = json_string_value(json_object_get(one, "content"));
    }
    if (chat_render(t, "chat_template", m, n,
            json_is_true(json_object_get(in, "prompt")), &s, &e) == 0)
        json_object_set_new(out, "text", json_stringn(str_get(&s), s.len));
    else
        json_object_set_new(out, "error", json_string(e.text));
    json_dumpf(out, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(out);
    str_release(&s);
    free(m);
}

static int
run(const char *model, struct err *e)
{
    struct tokenizer *t = NULL;
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;

    if (read_tokenizer(&t, model, e) == 0) {
        while ((n = getline(&line, &cap, stdin)) > 0) {
            json_t *in = json_parse(line, (size_t)n, "stdin", e);

            if (in == NULL)
                break;
            answer(t, in);
            json_decref(in);
        }
    }
    free(line);
    tokenizer_free(t);
    return e->code;
}

int
main(int argc, char **argv)
{
    struct err e = { 0 };

    if (argc != 2) {
        fputs("usage: chat_lines MODEL\n", stderr);
        return 2;
    }
    run(argv[1], &e);
    return err_exit("chat_lines", &e);
}
