#include "lib/text/jsonl.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"

struct jsonl
jsonl_begin(const char *path, const void *text, size_t len)
{
    return (struct jsonl){ .path = path, .text = text, .len = len };
}

bool
jsonl_next(struct jsonl *it)
{
    while (it->at < it->len) {
        const char *start = it->text + it->at;
        const char *end = memchr(start, '\n', it->len - it->at);

        it->n = end == NULL ? it->len - it->at : (size_t)(end - start);
        it->at += it->n + (end != NULL);
        it->p = start;
        it->line++;
        if (it->n > 0 && start[it->n - 1] == '\r')
            it->n--;
        if (it->n > 0)
            return true;
    }
    return false;
}

json_t *
jsonl_object(const struct jsonl *it, struct err *e)
{
    char *place = mem_printf("%s:%zu", it->path, it->line);
    json_t *o = NULL;

    if (it->n > JSONL_MAX_LINE)
        err_set(e, ERR_WORK, "%s: line has %zu bytes, more than %d; split the "
            "document", place, it->n, JSONL_MAX_LINE);
    else if (it->line > JSONL_MAX_LINES)
        err_set(e, ERR_WORK, "%s: more than %d lines; split the file", place,
            JSONL_MAX_LINES);
    else
        o = json_parse(it->p, it->n, place, e);
    if (o != NULL && !json_is_object(o)) {
        err_set(e, ERR_WORK, "%s: is no JSON object; write one document a "
            "line as {\"id\": ..., \"text\": ...}", place);
        json_decref(o);
        o = NULL;
    }
    free(place);
    return o;
}

const char *
jsonl_text(const struct jsonl *it, json_t **doc, size_t *len, struct err *e)
{
    json_t *text;

    *doc = jsonl_object(it, e);
    if (*doc == NULL)
        return NULL;
    text = json_object_get(*doc, "text");
    if (!json_is_string(text)) {
        err_set(e, ERR_WORK, "%s:%zu: 'text' is missing or no string; write "
            "one document a line as {\"id\": ..., \"text\": ...}", it->path,
            it->line);
        json_decref(*doc);
        *doc = NULL;
        return NULL;
    }
    *len = json_string_length(text);
    return json_string_value(text);
}
