#include "lib/inspect/grid.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/text/utf8.h"

/* Whether the n bytes of one character would move or colour the terminal. */
static bool
is_control(const char *p, size_t n)
{
    const unsigned char *u = (const unsigned char *)p;

    return (n == 1 && (u[0] < 0x20 || u[0] == 0x7f)) ||
        (n == 2 && u[0] == 0xc2 && u[1] < 0xa0);
}

void
grid_escape(struct str *out, const char *text, size_t n)
{
    size_t i = 0;

    while (i < n) {
        const size_t good = i + utf8_check(text + i, n - i);

        while (i < good) {
            const size_t len = utf8_size(text[i]);

            if (text[i] == '\n')
                str_add(out, "\\n");
            else if (is_control(text + i, len))
                for (size_t k = 0; k < len; k++)
                    str_addf(out, "\\x%02x", (unsigned char)text[i + k]);
            else
                str_addn(out, text + i, len);
            i += len;
        }
        if (i < n)
            str_addf(out, "\\x%02x", (unsigned char)text[i++]);
    }
}

void
grid_add(struct grid *g, const char *text)
{
    struct str s = { 0 };

    grid_escape(&s, text, strlen(text));
    if (g->n == g->cap) {
        g->cap = g->cap > 0 ? 2 * g->cap : 64;
        g->cell = mem_realloc(g->cell, g->cap, sizeof *g->cell);
    }
    g->cell[g->n++] = s.p != NULL ? str_detach(&s) : mem_strdup("");
}

void
grid_addf(struct grid *g, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    grid_add(g, text);
}

size_t
grid_cut(const char *text, size_t limit)
{
    size_t n = strnlen(text, limit);

    while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
        n--;
    return n;
}

/* Characters, taking each for one column wide. */
static size_t
width(const char *text)
{
    size_t n = 0;

    for (; *text != 0; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static void
pad(struct str *out, size_t n)
{
    while (n-- > 0)
        str_addc(out, ' ');
}

void
grid_text(struct grid *g, struct str *out)
{
    const size_t cols = strlen(g->align);
    size_t *wide = mem_calloc(cols, sizeof *wide);

    for (size_t i = 0; i < g->n; i++)
        if (width(g->cell[i]) > wide[i % cols])
            wide[i % cols] = width(g->cell[i]);
    for (size_t i = 0; i < g->n; i++) {
        const size_t c = i % cols, room = wide[c] - width(g->cell[i]);
        const bool last = c + 1 == cols;

        if (c > 0)
            str_add(out, "  ");
        if (g->align[c] == 'r')
            pad(out, room);
        str_add(out, g->cell[i]);
        if (g->align[c] == 'l' && !last)
            pad(out, room);
        if (last) {
            while (out->len > 0 && out->p[out->len - 1] == ' ')
                out->p[--out->len] = 0;
            str_addc(out, '\n');
        }
        free(g->cell[i]);
    }
    free(wide);
    free(g->cell);
    *g = (struct grid){ .align = g->align };
}

void
grid_size(struct str *out, double bytes)
{
    static const char *const unit[] = { "B", "kB", "MB", "GB", "TB" };
    size_t i = 0;

    while (bytes >= 1000.0 && i + 1 < countof(unit)) {
        bytes /= 1000.0;
        i++;
    }
    str_addf(out, i == 0 ? "%.0f %s" : "%.2f %s", bytes, unit[i]);
}
