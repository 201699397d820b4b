/*
 * jinja.h - the part of Jinja that chat templates are written in
 *
 * A template is run as transformers runs it: trim_blocks and lstrip_blocks on,
 * one newline at the very end dropped, sandboxed. Values are jansson trees;
 * "undefined" is NULL. Known: for, if, set, namespace, raise_exception, the
 * operators, slices, tests, filters and string methods that chat templates use.
 * What is not known is refused by name when it would be evaluated; a tag that
 * is not known is refused wherever it stands.
 *
 * There is no tree: the evaluator reads the tokens, with `live` false over
 * what is not to be evaluated, and goes back to a loop's first token each time
 * round.
 */
#ifndef QUERN_TEXT_JINJA_H
#define QUERN_TEXT_JINJA_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"
#include "lib/base/str.h"

enum jinja_kind {
    JINJA_TEXT,
    JINJA_PRINT,      /* {{ */
    JINJA_PRINT_END,
    JINJA_BLOCK,      /* {% */
    JINJA_BLOCK_END,
    JINJA_NAME,
    JINJA_STRING,     /* the text between the quotes */
    JINJA_NUMBER,
    JINJA_OPERATOR,
    JINJA_END,
};

struct jinja_token {
    enum jinja_kind kind;
    const char *s;
    size_t n;
    unsigned line;
};

enum {
    JINJA_DEPTH_MOST = 64,     /* of brackets and blocks */
    JINJA_FRAMES_MOST = 64,    /* of nested loops */
    JINJA_STEPS_MOST = 1 << 19,
    JINJA_OUT_MOST = 64 << 20,
    JINJA_RANGE_MOST = 1 << 16,
};

struct jinja {
    const char *place; /* what messages start with */
    struct err *e;
    struct str *out;
    char *source;               /* owned; tokens point into it */
    struct jinja_token *token;  /* owned */
    size_t n, cap, at;
    json_t *frame[JINJA_FRAMES_MOST]; /* owned */
    size_t n_frame;
    unsigned depth, steps;
};

/*
 * jinja_run - append what `template` gives with the variables of `globals`
 * Errors name `place` and the line; raise_exception of the template is one.
 */
int jinja_run(const char *place, const char *template, json_t *globals,
    struct str *out, struct err *e);

/* The rest is what the jinja*.c files share. */

int jinja_lex(struct jinja *j, const char *template);

/* Sets an error at the current token: `PLACE:LINE: TEXT`; returns its code. */
int jinja_fail(struct jinja *j, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
bool jinja_is(const struct jinja *j, enum jinja_kind kind, const char *s);
/* Moves past the token if it is this one. */
bool jinja_take(struct jinja *j, enum jinja_kind kind, const char *s);
int jinja_expect(struct jinja *j, enum jinja_kind kind, const char *s);
json_t *jinja_find(struct jinja *j, const char *name); /* borrowed */

/* An expression's value, owned by the caller; NULL: undefined, or an error. */
json_t *jinja_expr(struct jinja *j, bool live);
/* The same without `a if b else c`: what a loop goes over. */
json_t *jinja_operand(struct jinja *j, bool live);

/* A literal, name or bracket and what follows it, up to an operator. */
json_t *jinja_primary(struct jinja *j, bool live);

struct jinja_args {
    json_t *v[8]; /* owned */
    char *name[8]; /* NULL for positional ones; owned */
    size_t n;
};

/* Reads `(...)`. */
int jinja_args(struct jinja *j, bool live, struct jinja_args *a);
void jinja_args_release(struct jinja_args *a);

/* Each gives a new value; `self` is borrowed. */
json_t *jinja_method(struct jinja *j, json_t *self, const char *name,
    const struct jinja_args *a);
json_t *jinja_filter(struct jinja *j, json_t *self, const char *name,
    const struct jinja_args *a);
json_t *jinja_function(struct jinja *j, const char *name,
    const struct jinja_args *a);
bool jinja_is_function(const char *name);
bool jinja_test(struct jinja *j, json_t *self, const char *name,
    const struct jinja_args *a);

bool jinja_true(const json_t *v);
bool jinja_equal(struct jinja *j, json_t *a, const json_t *b);
/*
 * Fails if v is nested too deep or holds `but`: what holds itself would never
 * be freed, and what is too deep not without a deep stack.
 */
int jinja_shallow(struct jinja *j, json_t *v, const json_t *but);
/* str(v) appended to `out`. */
int jinja_print(struct jinja *j, const json_t *v, struct str *out);

#endif
