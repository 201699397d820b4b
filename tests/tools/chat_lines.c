/*
 * chat_lines.c - a tokenizer's chat template at work, for tests/interop/chat.py
 *
 * usage: chat_lines FOLDER
 *
 * Reads FOLDER/tokenizer.json and what stands beside it. Every line of stdin is
 * a JSON object, {"messages": [{"role", "content"}, ...], "prompt": bool}; the
 * answer to each is one line, {"text": ...} or {"error": ...}.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/err.h"
#include "lib/base/file.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
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
run(const char *folder, struct err *e)
{
    char *json = path_join(folder, "tokenizer.json");
    char *config = path_join(folder, "tokenizer_config.json");
    struct tokenizer *t = NULL;
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;

    if (tokenizer_open(&t, json, config, e) == 0) {
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
    free(json);
    free(config);
    return e->code;
}

int
main(int argc, char **argv)
{
    struct err e = { 0 };

    if (argc != 2) {
        fputs("usage: chat_lines FOLDER\n", stderr);
        return 2;
    }
    run(argv[1], &e);
    return err_exit("chat_lines", &e);
}
