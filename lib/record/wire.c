/*
 * wire.c - see wire.h
 */
#include "lib/record/wire.h"

#include <assert.h>
#include <string.h>

static const uint8_t *
take(struct wire *w, size_t n)
{
    const uint8_t *p = w->p;

    if (w->bad || n > w->n) {
        w->bad = true;
        return NULL;
    }
    w->p += n;
    w->n -= n;
    return p;
}

uint32_t
wire_u32(struct wire *w)
{
    const uint8_t *p = take(w, 4);

    if (p == NULL)
        return 0;
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 |
        p[3];
}

struct wire
wire_string(struct wire *w)
{
    size_t n = wire_u32(w);
    const uint8_t *p = take(w, n);

    if (p == NULL)
        return (struct wire){ .bad = true };
    return (struct wire){ .p = p, .n = n };
}

bool
wire_is(struct wire *w, const char *text)
{
    struct wire s = wire_string(w);
    size_t n = strlen(text);

    return !s.bad && s.n == n && (n == 0 || memcmp(s.p, text, n) == 0);
}

bool
wire_match(struct wire *w, const void *p, size_t n)
{
    const uint8_t *have = take(w, n);

    return have != NULL && memcmp(have, p, n) == 0;
}

void
wire_put(struct wire_out *w, const void *p, size_t n)
{
    assert(n <= w->cap - w->n);
    if (n > 0)
        memcpy(w->p + w->n, p, n);
    w->n += n;
}

void
wire_put_u32(struct wire_out *w, uint32_t v)
{
    uint8_t b[4] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8),
        (uint8_t)v };

    wire_put(w, b, 4);
}

void
wire_put_string(struct wire_out *w, const void *p, size_t n)
{
    assert(n <= UINT32_MAX);
    wire_put_u32(w, (uint32_t)n);
    wire_put(w, p, n);
}

void
wire_put_text(struct wire_out *w, const char *text)
{
    wire_put_string(w, text, strlen(text));
}
