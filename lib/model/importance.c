#include "lib/model/importance.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/model/statistics.h"

struct collector {
    struct imatrix *im;
    struct statistics_file file; /* of `layer` */
    int layer;                   /* -1: the head's */
    bool open;
    uint64_t tokens;             /* of all files */
};

static int
open_file(struct collector *c, const char *folder, int layer, struct err *e)
{
    char *name = layer < 0 ? mem_strdup("head.safetensors") :
        mem_printf("layer.%03d.safetensors", layer);
    char *path = path_join(folder, name);

    if (c->open)
        statistics_close(&c->file);
    c->open = statistics_open(&c->file, path, e) == 0;
    c->layer = layer;
    if (c->open && c->tokens == 0)
        c->tokens = c->file.tokens;
    if (c->open && c->file.tokens != c->tokens)
        err_set(e, ERR_WORK, "%s: is of %llu tokens, the layers before of %llu;"
            " delete the folder and run the calibrate stage", path,
            (unsigned long long)c->file.tokens, (unsigned long long)c->tokens);
    free(name);
    free(path);
    return e->code;
}

/* Tokens of each matrix of an entry: of the experts, or all. */
static int
set_counts(struct collector *c, struct imatrix_entry *entry,
    const struct tensor_plan *p, enum input_role in, struct err *e)
{
    float *counts = arena_alloc(&c->im->arena,
        (size_t)entry->mats * sizeof *counts);
    const float *given = NULL;

    if (p->experts > 0) {
        given = statistics_given(&c->file, in, p->experts, e);
        if (given == NULL)
            return e->code;
    }
    for (uint64_t i = 0; i < entry->mats; i++)
        counts[i] = given != NULL ? given[i] : (float)c->file.tokens;
    entry->counts = counts;
    return 0;
}

/* The entry of a matrix and of the experts that follow it. */
static int
add_entry(struct collector *c, const struct tensor_plan *p,
    enum input_role in, struct err *e)
{
    struct imatrix *im = c->im;
    struct imatrix_entry *entry = &im->entry[im->n++];
    const size_t cols = (size_t)p->cols;
    float *sum2;

    entry->name = p->gguf;
    entry->cols = cols;
    entry->mats = p->experts > 0 ? p->experts : 1;
    if (set_counts(c, entry, p, in, e))
        return e->code;
    sum2 = arena_alloc(&im->arena,
        cols * (size_t)entry->mats * sizeof *sum2);
    entry->sum2 = sum2;
    for (uint32_t x = 0; x < entry->mats; x++) {
        struct columns from;

        if (statistics_expert_columns(&c->file, in, x, p->experts, cols,
                &from, e))
            return e->code;
        for (size_t j = 0; j < cols; j++)
            sum2[x * cols + j] = from.mean2[j] * entry->counts[x];
    }
    return 0;
}

static int
by_name(const void *pa, const void *pb)
{
    const struct imatrix_entry *a = pa, *b = pb;

    return strcmp(a->name, b->name);
}

int
importance_collect(struct imatrix *im, const struct model *m,
    const char *folder, struct err *e)
{
    const struct model_plan *plan = model_tensors(m);
    struct collector c = { .im = im };

    im->path = arena_strdup(&im->arena, folder);
    im->entry = arena_alloc(&im->arena, plan->n * sizeof *im->entry);
    for (size_t i = 0; i < plan->n && !e->code; i++) {
        const struct tensor_plan *p = &plan->t[i];
        const enum input_role in = statistics_role(model_config(m), p);

        if (p->rank != 2 || p->exact || in == IN_COUNT || p->expert > 0)
            continue;
        if ((c.open && c.layer == p->layer) ||
            open_file(&c, folder, p->layer, e) == 0)
            add_entry(&c, p, in, e);
    }
    if (c.open)
        statistics_close(&c.file);
    qsort(im->entry, im->n, sizeof *im->entry, by_name);
    im->chunk_size = IMPORTANCE_CHUNK;
    im->chunk_count = (uint32_t)((c.tokens + IMPORTANCE_CHUNK - 1) /
        IMPORTANCE_CHUNK);
    return e->code;
}
