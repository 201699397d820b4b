/*
 * graph.c - the text of a build.ninja while it grows; see graph.h
 */
#include "gen/graph.h"

#include <stdlib.h>
#include <string.h>

void
names_add(struct names *l, const char *name)
{
    if (l->n == l->cap) {
        l->cap = l->cap > 0 ? 2 * l->cap : 64;
        l->v = mem_realloc(l->v, l->cap, sizeof *l->v);
    }
    l->v[l->n++] = name;
}

static int
names_compare(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;

    return strcmp(*x, *y);
}

void
names_sort(struct names *l)
{
    size_t kept = 0;

    if (l->n == 0)
        return;
    qsort(l->v, l->n, sizeof *l->v, names_compare);
    for (size_t i = 1; i < l->n; i++)
        if (strcmp(l->v[kept], l->v[i]) != 0)
            l->v[++kept] = l->v[i];
    l->n = kept + 1;
}

void
names_release(struct names *l)
{
    free(l->v);
    *l = (struct names){ 0 };
}

void
graph_release(struct graph *g)
{
    str_release(&g->text);
    names_release(&g->sources);
    names_release(&g->outputs);
    names_release(&g->defaults);
    arena_release(&g->arena);
    free(g->bad);
    *g = (struct graph){ 0 };
}

void
graph_path(struct graph *g, const char *path)
{
    str_addc(&g->text, ' ');
    for (const char *s = path;; ) {
        size_t n = strcspn(s, "$ :|\n\r");

        str_addn(&g->text, s, n);
        s += n;
        if (*s == '\0')
            break;
        if (*s == '|') {
            str_add(&g->text, "${quern_bar}");
        } else if (*s == '\n' || *s == '\r') {
            if (!g->bad_name)
                g->bad = mem_strdup(path);
            g->bad_name = true;
        } else {
            str_addc(&g->text, '$');
            str_addc(&g->text, *s);
        }
        s++;
    }
}

void
ninja_value(struct str *s, const char *text)
{
    /* a leading space would be dropped, one in the middle is kept */
    if (*text == ' ') {
        str_add(s, "$ ");
        text++;
    }
    for (; *text != '\0'; text++) {
        if (*text == '$')
            str_addc(s, '$');
        str_addc(s, *text);
    }
}

void
shell_quote(struct str *s, const char *text)
{
    static const char safe[] = "abcdefghijklmnopqrstuvwxyz"
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%_+=:,./-";

    if (*text != '\0' && text[strspn(text, safe)] == '\0') {
        str_add(s, text);
        return;
    }
    str_addc(s, '\'');
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            str_add(s, "'\\''");
        else
            str_addc(s, *text);
    }
    str_addc(s, '\'');
}

void
graph_bind(struct graph *g, const char *name, const char *value)
{
    str_addf(&g->text, "  %s = ", name);
    ninja_value(&g->text, value);
    str_addc(&g->text, '\n');
}

void
graph_comment(struct graph *g, const char *text)
{
    str_add(&g->text, "\n# ");
    str_add(&g->text, text);
    str_addc(&g->text, '\n');
}

static void
add_paths(struct graph *g, const char *const *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        graph_path(g, v[i]);
}

void
graph_edge(struct graph *g, const struct edge *edge)
{
    str_add(&g->text, "build");
    add_paths(g, edge->outs, edge->n_outs);
    if (edge->n_more_outs > 0)
        str_add(&g->text, " |");
    add_paths(g, edge->more_outs, edge->n_more_outs);
    str_add(&g->text, ": ");
    str_add(&g->text, edge->rule);
    add_paths(g, edge->ins, edge->n_ins);
    if (edge->n_more_ins > 0)
        str_add(&g->text, " |");
    add_paths(g, edge->more_ins, edge->n_more_ins);
    if (edge->n_after > 0)
        str_add(&g->text, " ||");
    add_paths(g, edge->after, edge->n_after);
    str_addc(&g->text, '\n');
}

int
graph_check(const struct graph *g, struct err *e)
{
    if (g->bad_name)
        return err_set(e, ERR_WORK, "%s: holds a line break, which ninja "
            "cannot name; rename it", g->bad);
    return 0;
}
