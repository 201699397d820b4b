/*
 * forward.c - see forward.h
 *
 * Every result is computed by one thread from its own inputs in pieces that do
 * not depend on the number of threads, so that number does not matter.
 */
#include "lib/model/forward.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/act.h"
#include "kernels/gemm.h"
#include "kernels/matmul.h"
#include "kernels/vec.h"
#include "lib/base/mem.h"

enum {
    ROW_STEP = 8,      /* rows of a row-wise task */
    ATTN_STEP = 16,    /* positions of an attention task */
    TILE_FLOATS = 1 << 20, /* widened weights of a thread */
};

static size_t
min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

void
work_init(struct work *w, const struct model_config *c, const float *inv,
    struct pool *pool)
{
    size_t threads = pool_threads(pool);

    *w = (struct work){ .c = c, .pool = pool };
    w->rope.inv = inv;
    w->rope.half = c->rope.dims / 2;
    w->scores = mem_calloc(threads, sizeof *w->scores);
    w->tiles = mem_calloc(threads, sizeof *w->tiles);
    w->score_cap = mem_calloc(threads, sizeof *w->score_cap);
    w->tile_cap = mem_calloc(threads, sizeof *w->tile_cap);
}

static void
release_rows(struct work *w)
{
    free(w->norm);
    free(w->q);
    free(w->attn);
    free(w->k);
    free(w->v);
    free(w->gate);
    free(w->up);
    free(w->out);
    w->norm = w->q = w->attn = w->k = w->v = NULL;
    w->gate = w->up = w->out = NULL;
}

void
work_release(struct work *w)
{
    if (w->c == NULL)
        return;
    release_rows(w);
    for (size_t i = 0; i < pool_threads(w->pool); i++) {
        free(w->scores[i]);
        free(w->tiles[i]);
    }
    free(w->scores);
    free(w->tiles);
    free(w->score_cap);
    free(w->tile_cap);
    free(w->rope.cos);
    free(w->rope.sin);
    free(w->pieces);
    free(w->act);
    *w = (struct work){ 0 };
}

void
work_reserve(struct work *w, size_t n)
{
    const struct model_config *c = w->c;
    size_t q = (size_t)c->heads * c->head_dim;
    size_t kv = (size_t)c->kv_heads * c->head_dim;
    size_t rows = 16;

    if (n <= w->rows)
        return;
    while (rows < n)
        rows *= 2;
    release_rows(w);
    w->rows = rows;
    w->norm = mem_aligned(rows * c->hidden, sizeof(float));
    w->q = mem_aligned(rows * q, sizeof(float));
    w->attn = mem_aligned(rows * q, sizeof(float));
    w->k = mem_aligned(rows * kv, sizeof(float));
    w->v = mem_aligned(rows * kv, sizeof(float));
    w->gate = mem_aligned(rows * c->ffn, sizeof(float));
    w->up = mem_aligned(rows * c->ffn, sizeof(float));
    w->out = mem_aligned(rows * c->hidden, sizeof(float));
    act_forget(w);
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
    if (n > r->cap) {
        r->cap = n > 2 * r->cap ? n : 2 * r->cap;
        r->cos = mem_realloc(r->cos, r->cap * r->half, sizeof(float));
        r->sin = mem_realloc(r->sin, r->cap * r->half, sizeof(float));
    }
    for (; r->n < n; r->n++) {
        for (size_t i = 0; i < r->half; i++) {
            /* the angle is rounded to float32, as everybody does */
            float angle = (float)r->n * r->inv[i];

            r->cos[r->n * r->half + i] = (float)cos((double)angle);
            r->sin[r->n * r->half + i] = (float)sin((double)angle);
        }
    }
}

/* A thread's buffer of at least n floats. */
static float *
thread_floats(float **buffer, size_t *cap, size_t n)
{
    if (n > *cap) {
        free(*buffer);
        *buffer = mem_aligned(n, sizeof(float));
        *cap = n;
    }
    return *buffer;
}

struct apply_job {
    struct work *w;
    const struct matrix *m;
    float *y;
    const float *x;
    size_t n, step, act_row;
};

static void
encode_task(void *ctx, size_t i, unsigned thread)
{
    const struct apply_job *j = ctx;
    size_t first = i * ROW_STEP, cols = (size_t)j->m->at.cols;

    (void)thread;
    act_encode((enum act_type)j->w->act_type,
        (char *)j->w->act + first * j->act_row, j->x + first * cols,
        min_size(ROW_STEP, j->n - first), cols);
}

void
act_forget(struct work *w)
{
    w->act_of = NULL;
}

/* Encodes x for packed weights unless that was done for a sister matrix. */
static void
encode_act(struct apply_job *j)
{
    struct work *w = j->w;
    enum act_type type = qtype_info(j->m->at.type)->act;
    size_t need;

    j->act_row = act_row_bytes(type, (size_t)j->m->at.cols);
    if (w->act_of == j->x && w->act_type == (int)type)
        return;
    need = j->n * j->act_row;
    if (need > w->act_cap) {
        free(w->act);
        w->act = mem_aligned(need, 1);
        w->act_cap = need;
    }
    w->act_of = j->x;
    w->act_type = (int)type;
    pool_run(w->pool, (j->n + ROW_STEP - 1) / ROW_STEP, encode_task, j);
}

static void
apply_task(void *ctx, size_t i, unsigned thread)
{
    const struct apply_job *j = ctx;
    const struct matrix *m = j->m;
    size_t rows = (size_t)m->at.rows, cols = (size_t)m->at.cols;
    size_t row0 = i * j->step, row1 = min_size(row0 + j->step, rows);

    if (m->kind == MATRIX_PACKED) {
        matmul_packed(j->y, rows, m->at.data, m->at.type, row0, row1, cols,
            j->w->act, j->n);
    } else if (m->kind == MATRIX_FLOAT) {
        gemm_f32(j->y, rows, j->x, cols, j->n, m->f, row0, row1, cols);
    } else {
        float *tile = thread_floats(&j->w->tiles[thread],
            &j->w->tile_cap[thread], j->step * cols);

        stored_widen(tile, &m->at, row0, row1 - row0);
        gemm_f32(j->y + row0, rows, j->x, cols, j->n, tile, 0, row1 - row0,
            cols);
    }
    if (m->bias != NULL)
        for (size_t a = 0; a < j->n; a++)
            add_f32(j->y + a * rows + row0, j->y + a * rows + row0,
                m->bias + row0, row1 - row0);
}

/* Rows of a task: enough of them to share out, few enough to be worth it. */
static size_t
apply_step(const struct matrix *m)
{
    size_t rows = (size_t)m->at.rows, cols = (size_t)m->at.cols;
    size_t step = (rows / 8 + 63) / 64 * 64;

    if (step < 64)
        step = 64;
    if (step > 256)
        step = 256;
    if (m->kind == MATRIX_WIDEN)
        while (step > 16 && step * cols > TILE_FLOATS)
            step /= 2;
    return step;
}

void
matrix_apply(struct work *w, const struct matrix *m, float *y,
    const float *x, size_t n)
{
    struct apply_job j = { .w = w, .m = m, .y = y, .x = x, .n = n,
        .step = apply_step(m) };

    if (n == 0)
        return;
    if (m->kind == MATRIX_PACKED)
        encode_act(&j);
    pool_run(w->pool, ((size_t)m->at.rows + j.step - 1) / j.step, apply_task,
        &j);
}

/* Row-wise work over n rows: what a task does to one of them. */
struct rows_job {
    struct work *w;
    float *y;
    const float *x, *weight;
    size_t n;
    void (*one)(const struct rows_job *j, size_t row);
};

static void
rows_task(void *ctx, size_t i, unsigned thread)
{
    const struct rows_job *j = ctx;
    size_t first = i * ROW_STEP, last = min_size(first + ROW_STEP, j->n);

    (void)thread;
    for (size_t r = first; r < last; r++)
        j->one(j, r);
}

static void
run_rows(struct rows_job *j)
{
    pool_run(j->w->pool, (j->n + ROW_STEP - 1) / ROW_STEP, rows_task, j);
}

static void
norm_one(const struct rows_job *j, size_t row)
{
    size_t h = j->w->c->hidden;

    rmsnorm_f32(j->y + row * h, j->x + row * h, j->weight, h,
        (float)j->w->c->norm_eps);
}

void
norm_rows(struct work *w, float *y, const float *x, const float *weight,
    size_t n)
{
    struct rows_job j = { .w = w, .y = y, .x = x, .weight = weight, .n = n,
        .one = norm_one };

    run_rows(&j);
}

static void
add_one(const struct rows_job *j, size_t row)
{
    size_t h = j->w->c->hidden;

    add_f32(j->y + row * h, j->y + row * h, j->x + row * h, h);
}

static void
add_rows(struct work *w, float *y, const float *x, size_t n)
{
    struct rows_job j = { .w = w, .y = y, .x = x, .n = n, .one = add_one };

    run_rows(&j);
}

static void
silu_one(const struct rows_job *j, size_t row)
{
    size_t f = j->w->c->ffn;

    silu_mul_f32(j->y + row * f, j->y + row * f, j->x + row * f, f);
}

/* Rotates q and k of a position and files k and v. */
static void
rope_row(struct work *w, struct kv *kv, size_t row, size_t pos)
{
    const struct model_config *c = w->c;
    size_t dim = c->head_dim;
    const float *cosines = w->rope.cos + pos * w->rope.half;
    const float *sines = w->rope.sin + pos * w->rope.half;
    float *q = w->q + row * c->heads * dim;
    float *k = w->k + row * c->kv_heads * dim;
    const float *v = w->v + row * c->kv_heads * dim;

    if (c->rope.pairs) {
        rope_pairs_f32(q, c->heads, dim, cosines, sines);
        rope_pairs_f32(k, c->kv_heads, dim, cosines, sines);
    } else {
        rope_half_f32(q, c->heads, dim, cosines, sines);
        rope_half_f32(k, c->kv_heads, dim, cosines, sines);
    }
    for (size_t h = 0; h < c->kv_heads; h++) {
        size_t at = (h * kv->cap + pos) * dim;

        memcpy(kv->k + at, k + h * dim, dim * sizeof *k);
        memcpy(kv->v + at, v + h * dim, dim * sizeof *v);
    }
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
    rope_reserve(&w->rope, last);
}

struct attn_job {
    struct work *w;
    const struct span *spans;
};

static void
rope_task(void *ctx, size_t i, unsigned thread)
{
    const struct attn_job *j = ctx;
    const struct piece *p = &j->w->pieces[i];
    const struct span *s = &j->spans[p->span];

    (void)thread;
    for (size_t r = p->first; r < p->first + p->n; r++)
        rope_row(j->w, s->kv, s->row0 + r, s->pos0 + r);
}

/* One head over the positions of a piece. */
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
    size_t at = head / (c->heads / c->kv_heads) * span->kv->cap * dim;
    float *s = thread_floats(&w->scores[thread], &w->score_cap[thread],
        ATTN_STEP * ((keys + 1023) / 1024 * 1024));

    attn_scores_f32(s, keys, w->q + row * stride + head * dim, stride, p->n,
        span->kv->k + at, dim, keys, dim, (float)(1.0 / sqrt((double)dim)));
    for (size_t r = 0; r < p->n; r++) {
        size_t seen = before + r + 1;

        softmax_f32(s + r * keys, seen);
        memset(s + r * keys + seen, 0, (keys - seen) * sizeof *s);
    }
    attn_mix_f32(w->attn + row * stride + head * dim, stride, s, keys, p->n,
        span->kv->v + at, dim, keys, dim);
}

static void
call_hook(layer_hook *hook, void *ctx, enum input_role in, const float *x,
    size_t n, size_t cols)
{
    if (hook != NULL)
        hook(ctx, in, x, n, cols);
}

static void
attention(struct work *w, const struct block *b, const struct span *spans,
    float *x, size_t n, layer_hook *hook, void *ctx)
{
    const struct model_config *c = w->c;
    struct attn_job attn = { w, spans };

    norm_rows(w, w->norm, x, b->attn_norm, n);
    act_forget(w);
    call_hook(hook, ctx, IN_QKV, w->norm, n, c->hidden);
    matrix_apply(w, &b->m[ROLE_Q], w->q, w->norm, n);
    matrix_apply(w, &b->m[ROLE_K], w->k, w->norm, n);
    matrix_apply(w, &b->m[ROLE_V], w->v, w->norm, n);
    pool_run(w->pool, w->n_pieces, rope_task, &attn);
    pool_run(w->pool, w->n_pieces * c->heads, attn_task, &attn);
    act_forget(w);
    call_hook(hook, ctx, IN_O, w->attn, n, (size_t)c->heads * c->head_dim);
    matrix_apply(w, &b->m[ROLE_O], w->out, w->attn, n);
    add_rows(w, x, w->out, n);
}

static void
feed_forward(struct work *w, const struct block *b, float *x, size_t n,
    layer_hook *hook, void *ctx)
{
    const struct model_config *c = w->c;
    struct rows_job act = { .w = w, .y = w->gate, .x = w->up, .n = n,
        .one = silu_one };

    norm_rows(w, w->norm, x, b->ffn_norm, n);
    act_forget(w);
    call_hook(hook, ctx, IN_GATE_UP, w->norm, n, c->hidden);
    matrix_apply(w, &b->m[ROLE_GATE], w->gate, w->norm, n);
    matrix_apply(w, &b->m[ROLE_UP], w->up, w->norm, n);
    run_rows(&act);
    act_forget(w);
    call_hook(hook, ctx, IN_DOWN, w->gate, n, c->ffn);
    matrix_apply(w, &b->m[ROLE_DOWN], w->out, w->gate, n);
    add_rows(w, x, w->out, n);
}

void
block_forward(struct work *w, const struct block *b,
    const struct span *spans, size_t n_spans, float *x, layer_hook *hook,
    void *ctx)
{
    size_t n = spans[n_spans - 1].row0 + spans[n_spans - 1].n;

    attention(w, b, spans, x, n, hook, ctx);
    feed_forward(w, b, x, n, hook, ctx);
}
