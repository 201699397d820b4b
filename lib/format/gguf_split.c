/*
 * gguf_split.c - a model in one GGUF file or in several; see gguf.h
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/bytes.h"
#include "lib/format/gguf.h"

/* A u16 key of a part; false and no error where it is absent. */
static bool
split_number(const struct gguf *g, const char *key, unsigned *n,
    struct err *e)
{
    const struct gguf_kv *kv = gguf_kv(g, key);

    if (kv == NULL)
        return false;
    if (kv->kind != GGUF_U16) {
        err_set(e, ERR_WORK, "%s: key '%s' has type %s, u16 was expected; "
            "split the model again", g->map.path, key,
            gguf_kind_name(kv->kind));
        return false;
    }
    *n = load_u16le(kv->raw);
    return true;
}

static void
part_suffix(char out[32], unsigned no, unsigned count)
{
    snprintf(out, 32, "-%05u-of-%05u.gguf", no + 1, count);
}

/*
 * NAME of "NAME-00001-of-00003.gguf", whose parts are found by their names;
 * NULL is an error. Owned by the caller.
 */
static char *
part_stem(const struct gguf *g, unsigned count, struct err *e)
{
    const char *path = g->map.path;
    char suffix[32];

    part_suffix(suffix, 0, count);
    if (str_ends(path, suffix))
        return mem_strndup(path, strlen(path) - strlen(suffix));
    err_set(e, ERR_WORK, "%s: is the first of %u parts of a split model, but "
        "its name does not end in '%s'; give the parts their names back", path,
        count, suffix);
    return NULL;
}

/* The part that lies beside the first one, and says that it is the one. */
static int
open_part(struct gguf *part, const char *stem, unsigned no, unsigned count,
    struct err *e)
{
    unsigned found = 0, of = 0;
    char suffix[32], *path;

    part_suffix(suffix, no, count);
    path = mem_printf("%s%s", stem, suffix);
    if (!file_exists(path))
        err_set(e, ERR_WORK, "%s: is missing; part %u of %u of a split model, "
            "fetch it too", path, no + 1, count);
    else if (gguf_open_part(part, path, e) == 0 &&
        (!split_number(part, "split.no", &found, e) ||
        !split_number(part, "split.count", &of, e) || found != no ||
        of != count) && e->code == 0)
        err_set(e, ERR_WORK, "%s: says that it is part %u of %u; fetch the "
            "parts of one model", path, found + 1, of);
    free(path);
    return e->code;
}

/* One table of the tensors of all parts, in the order of the parts. */
static int
join_tables(struct gguf *g, struct err *e)
{
    const struct gguf_kv *claim = gguf_kv(g, "split.tensors.count");
    struct gguf_tensor *first = g->t;
    size_t n = g->n, at = 0;

    for (size_t i = 0; i < g->n_more; i++)
        n += g->more[i].n;
    if (claim != NULL && claim->kind == GGUF_I32 &&
        load_u32le(claim->raw) != n)
        return err_set(e, ERR_WORK, "%s: its parts have %zu tensors, "
            "'split.tensors.count' is %u; fetch the parts of one model",
            g->map.path, n, load_u32le(claim->raw));
    g->t = arena_alloc(&g->arena, n * sizeof *g->t);
    g->t_sorted = arena_alloc(&g->arena, n * sizeof *g->t_sorted);
    for (size_t i = 0; i < g->n; i++)
        g->t[at++] = first[i];
    for (size_t i = 0; i < g->n_more; i++)
        for (size_t k = 0; k < g->more[i].n; k++)
            g->t[at++] = g->more[i].t[k];
    g->n = n;
    for (size_t i = 0; i < n; i++)
        g->t_sorted[i] = &g->t[i];
    return gguf_sort_tensors(g, e);
}

static int
join(struct gguf *g, unsigned count, struct err *e)
{
    char *stem = part_stem(g, count, e);

    if (stem == NULL)
        return e->code;
    g->more = mem_calloc(count - 1, sizeof *g->more);
    for (unsigned no = 1; no < count && e->code == 0; no++) {
        g->n_more++;
        open_part(&g->more[no - 1], stem, no, count, e);
    }
    free(stem);
    return e->code != 0 ? e->code : join_tables(g, e);
}

int
gguf_open(struct gguf *g, const char *path, struct err *e)
{
    unsigned no = 0, count = 0;
    char suffix[32];

    if (gguf_open_part(g, path, e) != 0)
        return e->code;
    split_number(g, "split.no", &no, e);
    if (e->code == 0 && split_number(g, "split.count", &count, e) &&
        count > 1) {
        part_suffix(suffix, 0, count);
        if (no != 0)
            err_set(e, ERR_WORK, "%s: is part %u of %u of a split model; give "
                "the first one, whose name ends in '%s'", path, no + 1, count,
                suffix);
        else if (count > GGUF_MAX_PARTS)
            err_set(e, ERR_WORK, "%s: is one of %u parts of a split model, at "
                "most %d are read; join some with 'llama-gguf-split --merge'",
                path, count, (int)GGUF_MAX_PARTS);
        else
            join(g, count, e);
    }
    if (e->code != 0)
        gguf_close(g);
    return e->code;
}
