/*
 * jsonl.h - documents as one JSON object a line
 *
 * Lines end in a newline (the last one may lack it); empty lines are passed
 * over. Messages start with `FILE:LINE`.
 */
#ifndef QUERN_TEXT_JSONL_H
#define QUERN_TEXT_JSONL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"

enum {
    JSONL_MAX_LINE = 256 << 20,  /* bytes */
    JSONL_MAX_LINES = 16 << 20,
};

struct jsonl {
    const char *path; /* for messages; borrowed */
    const char *text; /* whole file; borrowed */
    size_t len;
    size_t at;        /* next line starts here */
    size_t line;      /* number of the current one, from 1 */
    const char *p;    /* the current line, without its end */
    size_t n;
};

struct jsonl jsonl_begin(const char *path, const void *text, size_t len);
/* Moves to the next line that is not empty; false at the end. */
bool jsonl_next(struct jsonl *it);
/* The current line as an object; NULL and an error if it is none. */
json_t *jsonl_object(const struct jsonl *it, struct err *e);
/*
 * The current line's `text`, a string; *doc is the tree that owns it and is
 * decref'd by the caller. NULL and an error if there is none.
 */
const char *jsonl_text(const struct jsonl *it, json_t **doc, size_t *len,
    struct err *e);

#endif
