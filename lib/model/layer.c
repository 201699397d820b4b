/*
 * layer.c - see layer.h
 */
#include "lib/model/layer.h"

#include <stdlib.h>

#include "kernels/vec.h"
#include "lib/base/mem.h"
#include "lib/model/forward.h"
#include "lib/model/model_impl.h"

struct layer {
    const struct model *m; /* borrowed */
    uint32_t index;
    struct block block;
    struct kv kv;
    struct work work;
    struct pool *pool;     /* that `work` was made for */
};

int
layer_load(struct layer **out, const struct model *m, uint32_t index,
    struct pool *pool, struct err *e)
{
    const struct making how = { .exact = true, .check = true, .pool = pool };
    struct layer *l = mem_calloc(1, sizeof *l);

    *out = NULL;
    l->m = m;
    l->index = index;
    if (index >= m->c.layers)
        err_set(e, ERR_WORK, "%s: has no layer %u; the last one is %u",
            m->path, index, m->c.layers - 1);
    else
        model_load_block(m, &l->block, index, &how, e);
    if (e->code != 0) {
        layer_free(l);
        return e->code;
    }
    *out = l;
    return 0;
}

void
layer_free(struct layer *l)
{
    if (l == NULL)
        return;
    for (size_t i = 0; i < l->m->plan.n; i++)
        if (l->m->plan.t[i].layer == (int)l->index)
            stored_done(&l->m->stored[i]);
    block_release(&l->block);
    kv_release(&l->kv);
    work_release(&l->work);
    free(l);
}

int
model_embed(const struct model *m, const int32_t *ids, size_t n,
    float *hidden, struct err *e)
{
    if (model_check_ids(m, ids, n, e) != 0)
        return e->code;
    model_embed_rows(m, ids, n, hidden);
    return 0;
}

void
layer_forward(struct layer *l, float *hidden, size_t n, struct pool *pool,
    layer_hook *hook, void *ctx)
{
    const struct model_config *c = &l->m->c;

    if (l->work.c == NULL || l->pool != pool) {
        work_release(&l->work);
        work_init(&l->work, c, l->m->inv, l->m->blas, pool);
        l->pool = pool;
    }
    kv_reserve(&l->kv, c, 0, n);
    for (size_t i = 0; i < n; i += BATCH_ROWS) {
        size_t part = n - i < BATCH_ROWS ? n - i : BATCH_ROWS;
        struct span span = { .kv = &l->kv, .n = part, .pos0 = i,
            .far = rope_is_far(&c->rope, n) };

        work_reserve(&l->work, part);
        work_spans(&l->work, &span, 1);
        block_forward(&l->work, &l->block, &span, 1, hidden + i * c->hidden,
            NULL, hook, ctx);
    }
}

void
model_final_norm(const struct model *m, const float *hidden, size_t n,
    float *out)
{
    size_t h = m->c.hidden;

    for (size_t i = 0; i < n; i++)
        rmsnorm_f32(out + i * h, hidden + i * h, m->output_norm, h,
            (float)m->c.norm_eps);
}
