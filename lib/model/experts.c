/*
 * experts.c - a feed-forward part with experts; see forward.h
 *
 * The router gives every position a weight for every expert; the highest few
 * take part. Positions of one expert are gathered and go through it together,
 * experts in ascending order, so that sums do not depend on threads.
 */
#include <stdlib.h>
#include <string.h>

#include "kernels/vec.h"
#include "lib/base/mem.h"
#include "lib/model/forward.h"

/* Room for work.rows positions. */
struct routing {
    float *weight; /* [rows][experts]: 0 for those that take no part */
    float *in;     /* [rows][hidden]: the positions of one expert */
    float *out;    /* [rows][hidden] */
    size_t *row;   /* [rows]: which they are */
};

void
routing_free(struct routing *r)
{
    if (r == NULL)
        return;
    free(r->weight);
    free(r->in);
    free(r->out);
    free(r->row);
    free(r);
}

void
routing_reserve(struct work *w, size_t rows)
{
    const struct model_config *c = w->c;
    struct routing *r = mem_calloc(1, sizeof *r);

    routing_free(w->routing);
    w->routing = r;
    r->weight = mem_aligned(rows * c->experts, sizeof(float));
    r->in = mem_aligned(rows * c->hidden, sizeof(float));
    r->out = mem_aligned(rows * c->hidden, sizeof(float));
    r->row = mem_calloc(rows, sizeof *r->row);
}

/*
 * The logits of one position become weights: softmax over all, the highest
 * `used` kept (the lowest index of equals), which then add up to 1 if asked.
 */
static void
choose(const struct model_config *c, float *weight)
{
    size_t n = c->experts;
    float total = 0.0f;

    softmax_f32(weight, n);
    for (uint32_t k = 0; k < c->experts_used; k++) {
        size_t best = n;

        for (size_t i = 0; i < n; i++)
            if (weight[i] > 0.0f && (best == n || weight[i] > weight[best]))
                best = i;
        if (best == n)
            break; /* zeros are left, or NaN */
        total += weight[best];
        weight[best] = -weight[best]; /* chosen */
    }
    for (size_t i = 0; i < n; i++)
        weight[i] = weight[i] < 0.0f ?
            -weight[i] / (c->experts_norm ? total : 1.0f) : 0.0f;
}

/* Gathers the positions of an expert; how many they are. */
static size_t
gather(const struct work *w, size_t n, size_t expert)
{
    struct routing *r = w->routing;
    size_t h = w->c->hidden, m = 0;

    for (size_t i = 0; i < n; i++) {
        if (!(r->weight[i * w->c->experts + expert] > 0.0f))
            continue;
        memcpy(r->in + m * h, w->norm + i * h, h * sizeof *r->in);
        r->row[m++] = i;
    }
    return m;
}

static void
run_expert(struct work *w, const struct expert *x, int index, size_t m,
    layer_hook *hook, void *ctx)
{
    const struct model_config *c = w->c;
    struct routing *r = w->routing;

    act_forget(w);
    call_hook(hook, ctx, IN_EXPERT, index, r->in, m, c->hidden);
    matrix_apply(w, &x->gate, w->gate, r->in, m);
    matrix_apply(w, &x->up, w->up, r->in, m);
    act_rows(w, w->gate, w->up, m, c->expert_ffn);
    act_forget(w);
    call_hook(hook, ctx, IN_EXPERT_DOWN, index, w->gate, m, c->expert_ffn);
    matrix_apply(w, &x->down, r->out, w->gate, m);
}

void
experts_forward(struct work *w, const struct block *b, size_t n,
    layer_hook *hook, void *ctx)
{
    const struct model_config *c = w->c;
    struct routing *r = w->routing;
    size_t h = c->hidden;

    matrix_apply(w, &b->m[ROLE_ROUTER], r->weight, w->norm, n);
    for (size_t i = 0; i < n; i++)
        choose(c, r->weight + i * c->experts);
    memset(w->out, 0, n * h * sizeof *w->out);
    for (uint32_t e = 0; e < b->n_experts; e++) {
        size_t m = gather(w, n, e);

        if (m == 0)
            continue;
        run_expert(w, &b->experts[e], (int)e, m, hook, ctx);
        for (size_t k = 0; k < m; k++)
            axpy_f32(w->out + r->row[k] * h,
                r->weight[r->row[k] * c->experts + e], r->out + k * h, h);
    }
    act_forget(w);
}
