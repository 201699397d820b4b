/*
 * attention.c - rotation, keys and values, attention; see forward.h
 *
 * Scores are formed for a few positions of one head at a time over the keys
 * that any of them sees.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/vec.h"
#include "lib/base/mem.h"
#include "lib/model/forward.h"

enum { ATTN_STEP = 16 }; /* positions of an attention task */

static size_t
min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Room for `need` positions of which `used` hold something. */
void
kv_reserve(struct kv *kv, const struct model_config *c, size_t used,
    size_t need)
{
    size_t heads = c->kv_heads, dim = c->head_dim;
    size_t cap = kv->cap > 0 ? kv->cap : 64;
    float *k, *v;

    if (need <= kv->cap)
        return;
    while (cap < need)
        cap *= 2;
    k = mem_aligned(heads * cap, dim * sizeof(float));
    v = mem_aligned(heads * cap, dim * sizeof(float));
    for (size_t h = 0; used > 0 && h < heads; h++) {
        memcpy(k + h * cap * dim, kv->k + h * kv->cap * dim,
            used * dim * sizeof(float));
        memcpy(v + h * cap * dim, kv->v + h * kv->cap * dim,
            used * dim * sizeof(float));
    }
    kv_release(kv);
    *kv = (struct kv){ k, v, cap };
}

void
kv_release(struct kv *kv)
{
    free(kv->k);
    free(kv->v);
    *kv = (struct kv){ 0 };
}

static void
rope_reserve(struct rope_table *r, size_t n)
{
    if (r->inv == NULL)
        return;
    if (n > r->cap) {
        r->cap = n > 2 * r->cap ? n : 2 * r->cap;
        r->cos = mem_realloc(r->cos, r->cap * r->half, sizeof(float));
        r->sin = mem_realloc(r->sin, r->cap * r->half, sizeof(float));
    }
    for (; r->n < n; r->n++) {
        for (size_t i = 0; i < r->half; i++) {
            /* the angle is rounded to float32, as everybody does */
            float angle = (float)r->n * r->inv[i];

            r->cos[r->n * r->half + i] =
                (float)cos((double)angle) * r->attention;
            r->sin[r->n * r->half + i] =
                (float)sin((double)angle) * r->attention;
        }
    }
}

/* Turns the first values of each of `heads` heads. */
static void
turn(const struct model_config *c, float *x, size_t heads, const float *cosines,
    const float *sines)
{
    size_t dim = c->head_dim, dims = c->rope.dims;

    if (c->rope.pairs)
        rope_pairs_f32(x, heads, dim, cosines, sines);
    else if (dims == dim)
        rope_half_f32(x, heads, dim, cosines, sines);
    else
        for (size_t h = 0; h < heads; h++)
            rope_half_f32(x + h * dim, 1, dims, cosines, sines);
}

void
work_spans(struct work *w, const struct span *spans, size_t n_spans)
{
    size_t n = 0, last = 0;

    for (size_t i = 0; i < n_spans; i++) {
        n += (spans[i].n + ATTN_STEP - 1) / ATTN_STEP;
        if (spans[i].pos0 + spans[i].n > last)
            last = spans[i].pos0 + spans[i].n;
    }
    if (n > w->piece_cap) {
        w->pieces = mem_realloc(w->pieces, n, sizeof *w->pieces);
        w->piece_cap = n;
    }
    w->n_pieces = 0;
    for (size_t i = 0; i < n_spans; i++)
        for (size_t j = 0; j < spans[i].n; j += ATTN_STEP)
            w->pieces[w->n_pieces++] = (struct piece){ i, j,
                min_size(ATTN_STEP, spans[i].n - j) };
    for (size_t i = 0; i < ROPE_KINDS; i++)
        rope_reserve(&w->rope[i], last);
}

struct attn_job {
    struct work *w;
    const struct block *b;
    const struct span *spans;
};

static void
norm_heads(const struct model_config *c, float *x, size_t heads,
    const float *weight)
{
    size_t dim = c->head_dim;

    for (size_t h = 0; weight != NULL && h < heads; h++)
        rmsnorm_f32(x + h * dim, x + h * dim, weight, dim,
            (float)c->norm_eps);
}

/* Norms and turns q and k of a position and files k and v. */
static void
rope_row(const struct attn_job *j, const struct span *s, size_t r)
{
    struct work *w = j->w;
    const struct model_config *c = w->c;
    struct kv *kv = s->kv;
    size_t dim = c->head_dim, row = s->row0 + r, pos = s->pos0 + r;
    const struct rope_table *t = &w->rope[j->b->local && c->two_ropes ?
        ROPE_LOCAL : s->far ? ROPE_FAR : ROPE_NEAR];
    const float *cosines = t->cos + pos * t->half;
    const float *sines = t->sin + pos * t->half;
    float *q = w->q + row * c->heads * dim;
    float *k = w->k + row * c->kv_heads * dim;
    const float *v = w->v + row * c->kv_heads * dim;

    norm_heads(c, q, c->heads, j->b->norm[ROLE_Q_NORM]);
    norm_heads(c, k, c->kv_heads, j->b->norm[ROLE_K_NORM]);
    turn(c, q, c->heads, cosines, sines);
    turn(c, k, c->kv_heads, cosines, sines);
    for (size_t h = 0; h < c->kv_heads; h++) {
        size_t at = (h * kv->cap + pos) * dim;

        memcpy(kv->k + at, k + h * dim, dim * sizeof *k);
        memcpy(kv->v + at, v + h * dim, dim * sizeof *v);
    }
}

static void
rope_task(void *ctx, size_t i, unsigned thread)
{
    const struct attn_job *j = ctx;
    const struct piece *p = &j->w->pieces[i];
    const struct span *s = &j->spans[p->span];

    (void)thread;
    for (size_t r = p->first; r < p->first + p->n; r++)
        rope_row(j, s, r);
}

/*
 * One head over the positions of a piece. Keys [lo, keys) are seen by one of
 * them at least; position r sees those from `from` on, counted from lo.
 */
static void
attn_task(void *ctx, size_t i, unsigned thread)
{
    const struct attn_job *j = ctx;
    struct work *w = j->w;
    const struct model_config *c = w->c;
    const struct piece *p = &w->pieces[i / c->heads];
    const struct span *span = &j->spans[p->span];
    size_t dim = c->head_dim, stride = (size_t)c->heads * dim;
    size_t head = i % c->heads, row = span->row0 + p->first;
    size_t before = span->pos0 + p->first, keys = before + p->n;
    size_t window = j->b->local && c->window > 0 ? c->window : keys;
    size_t lo = before + 1 > window ? before + 1 - window : 0, n = keys - lo;
    size_t at = (head / (c->heads / c->kv_heads) * span->kv->cap + lo) * dim;
    float *s = thread_floats(&w->scores[thread], &w->score_cap[thread],
        ATTN_STEP * ((n + 1023) / 1024 * 1024));

    attn_scores_f32(s, n, w->q + row * stride + head * dim, stride, p->n,
        span->kv->k + at, dim, n, dim, (float)c->attn_scale);
    for (size_t r = 0; r < p->n; r++) {
        float *mine = s + r * n;
        size_t seen = before + r + 1 - lo;
        size_t from = seen > window ? seen - window : 0;

        if (c->attn_cap > 0)
            soft_cap(mine + from, seen - from, (float)c->attn_cap);
        softmax_f32(mine + from, seen - from);
        memset(mine, 0, from * sizeof *mine);
        memset(mine + seen, 0, (n - seen) * sizeof *mine);
    }
    attn_mix_f32(w->attn + row * stride + head * dim, stride, s, n, p->n,
        span->kv->v + at, dim, n, dim);
}

/* Moves the rows of x, of `cols` floats, to the front. */
static void
gather(float *x, size_t cols, const struct some_rows *keep)
{
    for (size_t i = 0; i < keep->n; i++)
        if (keep->row[i] != i)
            memcpy(x + i * cols, x + keep->row[i] * cols, cols * sizeof *x);
}

size_t
attention(struct work *w, const struct block *b, const struct span *spans,
    float *x, size_t n, const struct some_rows *keep, layer_hook *hook,
    void *ctx)
{
    const struct model_config *c = w->c;
    const size_t width = (size_t)c->heads * c->head_dim;
    struct attn_job job = { w, b, spans };

    norm_rows(w, w->norm, x, b->norm[ROLE_ATTN_NORM], n);
    act_forget(w);
    call_hook(hook, ctx, IN_QKV, -1, w->norm, n, c->hidden);
    matrix_apply(w, &b->m[ROLE_Q], w->q, w->norm, n);
    matrix_apply(w, &b->m[ROLE_K], w->k, w->norm, n);
    matrix_apply(w, &b->m[ROLE_V], w->v, w->norm, n);
    pool_run(w->pool, w->n_pieces, rope_task, &job);
    pool_run(w->pool, w->n_pieces * c->heads, attn_task, &job);
    act_forget(w);
    if (keep != NULL) {
        gather(w->attn, width, keep);
        gather(x, c->hidden, keep);
        n = keep->n;
    }
    call_hook(hook, ctx, IN_O, -1, w->attn, n, width);
    matrix_apply(w, &b->m[ROLE_O], w->out, w->attn, n);
    return n;
}
