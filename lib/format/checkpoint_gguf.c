/*
 * checkpoint_gguf.c - a GGUF file, whole or in parts, as a checkpoint
 */
#include <stdlib.h>
#include <string.h>

#include "lib/format/checkpoint.h"

/* Its parts are the files; their names are those they lie there under. */
static int
list_files(struct checkpoint *c, struct err *e)
{
    c->n_files = 1 + c->gguf.n_more;
    c->files = arena_alloc(&c->arena, c->n_files * sizeof *c->files);
    for (size_t i = 0; i < c->n_files; i++) {
        const struct map *m = i == 0 ? &c->gguf.map : &c->gguf.more[i - 1].map;

        c->files[i] = (struct ck_file){ .name = path_base(m->path),
            .path = m->path, .bytes = m->len, .map = m };
        if (!path_is_plain(c->files[i].name))
            return err_set(e, ERR_WORK, "%s: is archived under its name, which "
                "may hold letters, digits, '.', '_' and '-'; rename it",
                m->path);
    }
    return 0;
}

static int
tensor_order(const void *pa, const void *pb)
{
    const struct ck_tensor *a = pa, *b = pb;

    return strcmp(a->name, b->name);
}

static void
list_tensors(struct checkpoint *c)
{
    c->n = c->gguf.n;
    c->t = arena_alloc(&c->arena, c->n * sizeof *c->t);
    for (size_t i = 0; i < c->n; i++) {
        const struct gguf_tensor *g = &c->gguf.t[i];
        struct ck_tensor *t = &c->t[i];

        *t = (struct ck_tensor){ .name = g->name,
            .dtype = gguf_type_name(g->ggml_type), .rank = g->n_dims,
            .bytes = g->bytes, .offset = g->offset, .path = g->map->path,
            .data = gguf_data(g) };
        for (unsigned k = 0; k < g->n_dims; k++)
            t->shape[k] = g->dim[g->n_dims - 1 - k];
        while (c->files[t->file].map != g->map)
            t->file++;
    }
    qsort(c->t, c->n, sizeof *c->t, tensor_order);
}

int
checkpoint_open_gguf(struct checkpoint *c, const char *path, struct err *e)
{
    char *dir = path_dir(path);

    c->dir = arena_strdup(&c->arena, dir);
    c->is_gguf = true;
    free(dir);
    if (gguf_open(&c->gguf, path, e) || list_files(c, e))
        return e->code;
    if (c->gguf.n == 0)
        return err_set(e, ERR_WORK, "%s: holds no tensor; fetch it again",
            path);
    list_tensors(c);
    return 0;
}

json_t *
checkpoint_types(const struct checkpoint *c, bool *packed)
{
    json_t *types = json_object();

    *packed = false;
    for (size_t i = 0; i < c->gguf.n; i++) {
        uint32_t id = c->gguf.t[i].ggml_type;
        const char *name = gguf_type_name(id);
        unsigned block = 1, bytes;

        json_object_set_new(types, name, json_integer(1 +
            json_integer_value(json_object_get(types, name))));
        *packed |= gguf_type_block(id, &block, &bytes) && block > 1;
    }
    return types;
}
