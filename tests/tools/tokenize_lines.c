/*
 * tokenize_lines.c - a tokenizer at work, for tests of tests/interop
 *
 * usage: tokenize_lines TOKENIZER
 *        tokenize_lines TOKENIZER FILE ROUNDS
 *
 * TOKENIZER is a tokenizer.json, a model's folder or a .gguf file.
 * First form: every line of stdin is a JSON string; the answer to each is one
 * line, {"ids": without special ids, "special": with them, "text": the latter
 * decoded, "plain": decoded without special tokens}.
 * Second form: the lines of FILE, each with its newline, are encoded ROUNDS
 * times over; prints bytes, ids and the CPU seconds of each round.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/err.h"
#include "lib/base/file.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/model/read_tokenizer.h"

static json_t *
as_array(const struct ids *ids)
{
    json_t *a = json_array();

    for (size_t i = 0; i < ids->n; i++)
        json_array_append_new(a, json_integer(ids->v[i]));
    return a;
}

static int
answer(struct tokenizer *t, const char *line, size_t n, struct err *e)
{
    json_error_t why;
    json_t *text = json_loadb(line, n, JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
    json_t *out = json_object();
    struct ids ids = { 0 };
    struct str s = { 0 };

    if (!json_is_string(text)) {
        err_set(e, ERR_WORK, "stdin: not a JSON string: %.60s", line);
    } else if (tokenizer_encode(t, json_string_value(text),
                   json_string_length(text), false, &ids, e) == 0) {
        json_object_set_new(out, "ids", as_array(&ids));
        ids_clear(&ids);
        tokenizer_encode(t, json_string_value(text), json_string_length(text),
            true, &ids, e);
        json_object_set_new(out, "special", as_array(&ids));
        tokenizer_decode(t, ids.v, ids.n, false, &s);
        json_object_set_new(out, "text", json_stringn(str_get(&s), s.len));
        str_clear(&s);
        tokenizer_decode(t, ids.v, ids.n, true, &s);
        json_object_set_new(out, "plain", json_stringn(str_get(&s), s.len));
        json_dumpf(out, stdout, JSON_COMPACT);
        putchar('\n');
    }
    str_release(&s);
    ids_release(&ids);
    json_decref(out);
    json_decref(text);
    return e->code;
}

static int
answer_all(struct tokenizer *t, struct err *e)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;

    while ((n = getline(&line, &cap, stdin)) > 0) {
        if (answer(t, line, (size_t)n, e) != 0)
            break;
    }
    free(line);
    return e->code;
}

static int
time_rounds(struct tokenizer *t, const char *path, int rounds, struct err *e)
{
    struct blob b = { 0 };
    struct ids ids = { 0 };

    if (blob_read(&b, path, 1 << 30, e) != 0)
        return e->code;
    for (int r = 0; r < rounds && e->code == 0; r++) {
        struct timespec from, to;
        size_t n_ids = 0, len;

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
        for (size_t i = 0; i < b.len && e->code == 0; i += len) {
            const char *nl = memchr(b.p + i, '\n', b.len - i);

            len = nl == NULL ? b.len - i : (size_t)(nl - b.p) + 1 - i;
            ids_clear(&ids);
            tokenizer_encode(t, b.p + i, len, false, &ids, e);
            n_ids += ids.n;
        }
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
        printf("%zu %zu %.6f\n", b.len, n_ids,
            (double)(to.tv_sec - from.tv_sec) +
                1e-9 * (double)(to.tv_nsec - from.tv_nsec));
    }
    ids_release(&ids);
    blob_release(&b);
    return e->code;
}

int
main(int argc, char **argv)
{
    struct tokenizer *t = NULL;
    struct err e = { 0 };

    if (argc != 2 && argc != 4) {
        fputs("usage: tokenize_lines TOKENIZER [FILE ROUNDS]\n", stderr);
        return 2;
    }
    if (read_tokenizer(&t, argv[1], &e) == 0) {
        if (argc == 2)
            answer_all(t, &e);
        else
            time_rounds(t, argv[2], (int)strtol(argv[3], NULL, 10), &e);
    }
    tokenizer_free(t);
    return err_exit("tokenize_lines", &e);
}
