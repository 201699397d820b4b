/*
 * jinja_lex.c - template text to tokens, white space control included
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/text/jinja.h"

enum { TEMPLATE_MOST = 1 << 20, TOKENS_MOST = 1 << 18 };

struct lexer {
    struct jinja *j;
    const char *p, *end;
    unsigned line;
    bool at_line_start; /* what came before ended a line */
};

static int
fail_at(struct jinja *j, unsigned line, const char *what)
{
    return err_set(j->e, ERR_WORK,
        "%s:%u: %s; quern cannot use this chat template", j->place, line,
        what);
}

static int
add(struct lexer *x, enum jinja_kind kind, const char *s, size_t n)
{
    struct jinja *j = x->j;

    if (j->n == TOKENS_MOST)
        return fail_at(j, x->line, "too many tokens");
    if (j->n == j->cap) {
        j->cap = j->cap == 0 ? 256 : j->cap * 2;
        j->token = mem_realloc(j->token, j->cap, sizeof *j->token);
    }
    j->token[j->n++] = (struct jinja_token){ kind, s, n, x->line };
    return 0;
}

static bool
is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool
is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
        (c >= '0' && c <= '9');
}

/* Moves over n bytes and counts their lines. */
static void
skip(struct lexer *x, size_t n)
{
    for (; n > 0; n--, x->p++) {
        if (*x->p == '\n')
            x->line++;
    }
}

/* The tag that begins at x->p: '{', '%', '#' after a brace, or 0. */
static char
tag_at(const struct lexer *x)
{
    if (x->end - x->p < 2 || x->p[0] != '{')
        return 0;
    return x->p[1] == '{' || x->p[1] == '%' || x->p[1] == '#' ? x->p[1] : 0;
}

/* Text up to the next tag, cut as that tag and lstrip_blocks say. */
static int
text(struct lexer *x)
{
    const char *from = x->p, *to;
    unsigned line = x->line;
    char tag;

    while (x->p < x->end && tag_at(x) == 0)
        skip(x, 1);
    to = x->p;
    tag = tag_at(x);
    if (tag != 0 && x->end - x->p > 2 && x->p[2] == '-') {
        while (to > from && is_space(to[-1]))
            to--;
    } else if (tag != 0 && tag != '{' &&
        !(x->end - x->p > 2 && x->p[2] == '+')) {
        const char *start = to;

        while (start > from && start[-1] != '\n' && is_space(start[-1]))
            start--;
        if (start == from ? x->at_line_start : start[-1] == '\n')
            to = start;
    }
    if (to > from) {
        unsigned now = x->line;

        x->line = line;
        if (add(x, JINJA_TEXT, from, (size_t)(to - from)) != 0)
            return x->j->e->code;
        x->line = now;
    }
    return 0;
}

/* After a tag's end: white space that it or trim_blocks takes away. */
static void
after_tag(struct lexer *x, char sign, bool block)
{
    x->at_line_start = false;
    if (sign == '-') {
        while (x->p < x->end && is_space(*x->p)) {
            x->at_line_start = *x->p == '\n';
            skip(x, 1);
        }
    } else if (block && sign != '+' && x->p < x->end && *x->p == '\n') {
        skip(x, 1);
        x->at_line_start = true;
    }
}

static int
comment(struct lexer *x)
{
    const char *end = memmem(x->p, (size_t)(x->end - x->p), "#}", 2);

    if (end == NULL)
        return fail_at(x->j, x->line, "a comment has no end");
    skip(x, (size_t)(end + 2 - x->p));
    after_tag(x, end[-1], true);
    return 0;
}

static int
string(struct lexer *x)
{
    char quote = *x->p;
    const char *from = x->p + 1, *p = from;

    while (p < x->end && *p != quote)
        p += *p == '\\' && p + 1 < x->end ? 2 : 1;
    if (p >= x->end)
        return fail_at(x->j, x->line, "a string has no end");
    if (add(x, JINJA_STRING, from, (size_t)(p - from)) != 0)
        return x->j->e->code;
    skip(x, (size_t)(p + 1 - x->p));
    return 0;
}

/* One token within a tag. */
static int
inner(struct lexer *x)
{
    static const char *const operators[] = { "==", "!=", "<=", ">=", "//",
        "**", "+", "-", "*", "/", "%", "~", "<", ">", "=", "(", ")", "[", "]",
        "{", "}", ",", ":", ".", "|" };
    size_t n = 0, left = (size_t)(x->end - x->p);

    if (*x->p == '\'' || *x->p == '"')
        return string(x);
    while (n < left && is_name(x->p[n]))
        n++;
    if (n > 0) {
        enum jinja_kind kind =
            *x->p >= '0' && *x->p <= '9' ? JINJA_NUMBER : JINJA_NAME;

        if (add(x, kind, x->p, n) != 0)
            return x->j->e->code;
        skip(x, n);
        return 0;
    }
    for (size_t i = 0; i < countof(operators); i++) {
        n = strlen(operators[i]);
        if (n <= left && memcmp(x->p, operators[i], n) == 0) {
            if (add(x, JINJA_OPERATOR, x->p, n) != 0)
                return x->j->e->code;
            skip(x, n);
            return 0;
        }
    }
    return fail_at(x->j, x->line, "a tag holds a character that is not Jinja");
}

/* A tag from its opening to its end; the brackets inside must not end it. */
static int
tag(struct lexer *x, bool block)
{
    const char *close = block ? "%}" : "}}";
    int open = 0;

    if (add(x, block ? JINJA_BLOCK : JINJA_PRINT, x->p, 2) != 0)
        return x->j->e->code;
    skip(x, 2);
    if (x->p < x->end && (*x->p == '-' || *x->p == '+'))
        skip(x, 1);
    while (x->p < x->end) {
        size_t sign = *x->p == '-' || *x->p == '+' ? 1 : 0;

        if (is_space(*x->p)) {
            skip(x, 1);
            continue;
        }
        if (open == 0 && (size_t)(x->end - x->p) >= sign + 2 &&
            memcmp(x->p + sign, close, 2) == 0) {
            char mark = sign != 0 ? *x->p : 0;

            if (add(x, block ? JINJA_BLOCK_END : JINJA_PRINT_END, x->p,
                    sign + 2) != 0)
                return x->j->e->code;
            skip(x, sign + 2);
            after_tag(x, mark, block);
            return 0;
        }
        open += *x->p == '{' ? 1 : *x->p == '}' ? -1 : 0;
        if (inner(x) != 0)
            return x->j->e->code;
    }
    return fail_at(x->j, x->line, "a tag has no end");
}

/* The source with \n line ends, less one at the very end. */
static char *
normal_lines(const char *s)
{
    char *out = mem_calloc(strlen(s) + 1, 1);
    size_t n = 0;

    for (; *s != '\0'; s++) {
        out[n++] = *s == '\r' ? '\n' : *s;
        if (s[0] == '\r' && s[1] == '\n')
            s++;
    }
    if (n > 0 && out[n - 1] == '\n')
        out[n - 1] = '\0';
    return out;
}

int
jinja_lex(struct jinja *j, const char *template)
{
    struct lexer x = { .j = j, .line = 1, .at_line_start = true };

    if (strlen(template) > TEMPLATE_MOST)
        return fail_at(j, 1, "longer than a million bytes");
    j->source = normal_lines(template);
    x.p = j->source;
    x.end = x.p + strlen(x.p);
    while (x.p < x.end) {
        char kind;

        if (text(&x) != 0)
            return j->e->code;
        kind = tag_at(&x);
        if (kind == '#' ? comment(&x) : kind != 0 && tag(&x, kind == '%'))
            return j->e->code;
    }
    return add(&x, JINJA_END, x.end, 0);
}

int
jinja_fail(struct jinja *j, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return fail_at(j, j->at < j->n ? j->token[j->at].line : 1, text);
}

bool
jinja_is(const struct jinja *j, enum jinja_kind kind, const char *s)
{
    const struct jinja_token *t = &j->token[j->at];

    return t->kind == kind &&
        (s == NULL || (strlen(s) == t->n && memcmp(s, t->s, t->n) == 0));
}

bool
jinja_take(struct jinja *j, enum jinja_kind kind, const char *s)
{
    if (j->e->code != 0 || !jinja_is(j, kind, s))
        return false;
    j->at++;
    return true;
}

int
jinja_expect(struct jinja *j, enum jinja_kind kind, const char *s)
{
    if (!jinja_take(j, kind, s))
        jinja_fail(j, "'%.*s' where %s was expected",
            (int)(j->token[j->at].n < 40 ? j->token[j->at].n : 40),
            j->token[j->at].s, s != NULL ? s : "the end of the tag");
    return j->e->code;
}
