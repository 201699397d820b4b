#include "lib/text/added.h"

#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/text/utf8.h"

static uint32_t
new_node(struct added_set *set, uint8_t byte)
{
    if (set->n == set->cap) {
        set->cap = set->cap == 0 ? 256 : set->cap * 2;
        set->node = mem_realloc(set->node, set->cap, sizeof *set->node);
    }
    set->node[set->n] = (struct added_node){ .token = -1, .byte = byte };
    return (uint32_t)set->n++;
}

static uint32_t
find_child(const struct added_set *set, uint32_t node, uint8_t byte)
{
    uint32_t at = node == 0 ? set->first[byte] : set->node[node].child;

    while (at != 0 && set->node[at].byte != byte)
        at = set->node[at].sibling;
    return at;
}

void
added_set_add(struct added_set *set, const char *pattern, size_t len,
    int32_t token)
{
    uint32_t at = 0;

    if (len == 0)
        return;
    if (set->n == 0)
        new_node(set, 0);
    for (size_t i = 0; i < len; i++) {
        uint8_t byte = (uint8_t)pattern[i];
        uint32_t next = find_child(set, at, byte);

        if (next == 0) {
            next = new_node(set, byte);
            if (at == 0) {
                set->first[byte] = next;
            } else {
                set->node[next].sibling = set->node[at].child;
                set->node[at].child = next;
            }
        }
        at = next;
    }
    if (set->node[at].token < 0) /* the first of equals wins */
        set->node[at].token = token;
}

void
added_set_release(struct added_set *set)
{
    free(set->node);
    *set = (struct added_set){ 0 };
}

/* The longest token that begins at s; its bytes in *len, or -1. */
static int32_t
longest(const struct added_set *set, const char *s, size_t n, size_t *len)
{
    uint32_t at = 0;
    int32_t token = -1;

    for (size_t i = 0; i < n; i++) {
        at = find_child(set, at, (uint8_t)s[i]);
        if (at == 0)
            break;
        if (set->node[at].token >= 0) {
            token = set->node[at].token;
            *len = i + 1;
        }
    }
    return token;
}

static bool
has_class(struct chars *chars, const char *s, size_t at, unsigned cls)
{
    return (chars_get(chars, utf8_next(s, &at)) & cls) != 0;
}

static bool
touches_word(struct chars *chars, const char *s, size_t n, size_t start,
    size_t end)
{
    return (start > 0 &&
               has_class(chars, s, utf8_before(s, start), CHAR_WORD)) ||
        (end < n && has_class(chars, s, end, CHAR_WORD));
}

int
added_cut(const struct added_set *set, struct chars *chars, const char *s,
    size_t n, added_piece *piece, void *ctx, struct err *e)
{
    size_t done = 0, i = 0;

    while (set->n > 0 && i < n) {
        const struct added_token *t;
        size_t start = i, end, len = 0;
        int32_t token;

        if (set->first[(uint8_t)s[i]] == 0 ||
            (token = longest(set, s + i, n - i, &len)) < 0) {
            i++;
            continue;
        }
        t = &set->tokens[token];
        i = end = start + len;
        if (t->single_word && touches_word(chars, s, n, start, end))
            continue;
        while (t->lstrip && start > done &&
            has_class(chars, s, utf8_before(s, start), CHAR_SPACE))
            start = utf8_before(s, start);
        while (t->rstrip && end < n && has_class(chars, s, end, CHAR_SPACE))
            end += utf8_size(s[end]);
        if (start > done &&
            piece(ctx, -1, s + done, start - done, done, e) != 0)
            return e->code;
        if (piece(ctx, t->id, s + start, end - start, start, e) != 0)
            return e->code;
        done = end;
    }
    if (done < n)
        return piece(ctx, -1, s + done, n - done, done, e);
    return 0;
}
