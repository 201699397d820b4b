/*
 * forward.c - see forward.h
 *
 * Every result is computed by one thread from its own inputs in pieces that do
 * not depend on the number of threads, so that number does not matter.
 */
#include "lib/model/forward.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "kernels/act.h"
#include "kernels/interleave.h"
#include "kernels/matmul.h"
#include "kernels/measure.h"
#include "kernels/vec.h"
#include "lib/base/mem.h"

enum {
    ROW_STEP = 8,      /* rows of a row-wise task */
    TILE_FLOATS = 1 << 20, /* widened weights of a thread */
    BLAS_ROWS = 16, /* fewer go faster where the weights lie */
    FEW_ROWS = 3,   /* fewer are met one by one, at the speed of memory */
};

static size_t
min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

void
work_init(struct work *w, const struct model_config *c,
    float *const *inv, gemm_fn *blas, struct pool *pool)
{
    size_t threads = pool_threads(pool);

    *w = (struct work){ .c = c, .pool = pool, .blas = blas };
    for (size_t i = 0; i < ROPE_KINDS; i++) {
        const struct rope_config *r = i == ROPE_LOCAL ? &c->rope_local :
            &c->rope;

        w->rope[i] = (struct rope_table){ .inv = inv[i],
            .half = r->dims / 2, .attention = (float)r->attention };
    }
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
    for (size_t i = 0; i < ROPE_KINDS; i++) {
        free(w->rope[i].cos);
        free(w->rope[i].sin);
    }
    routing_free(w->routing);
    free(w->pieces);
    free(w->act);
    free(w->act_bad);
    *w = (struct work){ 0 };
}

void
work_reserve(struct work *w, size_t n)
{
    const struct model_config *c = w->c;
    size_t q = (size_t)c->heads * c->head_dim;
    size_t kv = (size_t)c->kv_heads * c->head_dim;
    size_t ffn = c->ffn > c->expert_ffn ? c->ffn : c->expert_ffn;
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
    w->gate = mem_aligned(rows * ffn, sizeof(float));
    w->up = mem_aligned(rows * ffn, sizeof(float));
    w->out = mem_aligned(rows * c->hidden, sizeof(float));
    if (c->experts > 0)
        routing_reserve(w, rows);
    act_forget(w);
}

float *
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
    const void *act; /* x as the product wants it */
    enum act_type act_type;
    size_t n, step, act_row;
};

static void
encode_task(void *ctx, size_t i, unsigned thread)
{
    const struct apply_job *j = ctx;
    size_t first = i * ROW_STEP, cols = (size_t)j->m->at.cols;
    size_t n = min_size(ROW_STEP, j->n - first);

    (void)thread;
    for (size_t a = first; a < first + n; a++)
        j->w->act_bad[a] =
            first_beyond_f32(j->x + a * cols, cols, FLT_MAX) < cols;
    act_encode(j->act_type, (char *)j->w->act + first * j->act_row,
        j->x + first * cols, n, cols);
}

void
act_forget(struct work *w)
{
    w->act_of = NULL;
}

/*
 * Encodes x unless that was done for a sister matrix, or x is so encoded as it
 * stands.
 */
static void
encode_act(struct apply_job *j)
{
    struct work *w = j->w;
    size_t cols = (size_t)j->m->at.cols, need;
    enum act_type type = j->m->widen ? ACT_F32 :
        qtype_info(j->m->at.type)->act;

    j->act_type = type;
    j->act_row = act_row_bytes(type, cols);
    if (type == ACT_F32 && j->act_row == cols * sizeof *j->x) {
        j->act = j->x;
        return;
    }
    need = j->n * j->act_row;
    if (w->act_of == j->x && w->act_type == (int)type) {
        j->act = w->act;
        return;
    }
    if (need > w->act_cap) {
        free(w->act);
        w->act = mem_aligned(need, 1);
        w->act_cap = need;
    }
    if (j->n > w->act_bad_cap) {
        w->act_bad = mem_realloc(w->act_bad, j->n, sizeof *w->act_bad);
        w->act_bad_cap = j->n;
    }
    w->act_of = j->x;
    w->act_type = (int)type;
    j->act = w->act;
    pool_run(w->pool, (j->n + ROW_STEP - 1) / ROW_STEP, encode_task, j);
}

/* Rows of y, columns [row0, row1), whose x was lost in 8-bit codes. */
static void
spoil_rows(const struct apply_job *j, size_t rows, size_t row0, size_t row1)
{
    for (size_t a = 0; a < j->n; a++)
        for (size_t r = row0; j->w->act_bad[a] && r < row1; r++)
            j->y[a * rows + r] = NAN;
}

/* Through OpenBLAS, which has no use for weights as they are stored. */
static bool
by_blas(const struct work *w, const struct matrix *m, size_t n)
{
    return w->blas != NULL && n >= BLAS_ROWS && m->side == NULL &&
        (m->widen || qtype_info(m->at.type)->act == ACT_F32);
}

/* Rows [row0, row1) of the weights as float32 in this thread's room. */
static const float *
widened(const struct apply_job *j, size_t row0, size_t row1, unsigned thread)
{
    float *tile = thread_floats(&j->w->tiles[thread], &j->w->tile_cap[thread],
        j->step * (size_t)j->m->at.cols);

    stored_widen(tile, &j->m->at, row0, row1 - row0);
    return tile;
}

static void
multiply(const struct apply_job *j, size_t row0, size_t row1, unsigned thread)
{
    const struct matrix *m = j->m;
    size_t rows = (size_t)m->at.rows, cols = (size_t)m->at.cols;

    if (by_blas(j->w, m, j->n))
        j->w->blas(j->y + row0, rows, j->x, cols, j->n,
            widened(j, row0, row1, thread), 0, row1 - row0, cols);
    else if (m->side != NULL)
        matmul_interleaved(j->y, rows, m->side, m->at.type, row0, row1, cols,
            j->act, j->n);
    else if (!m->widen)
        matmul_packed(j->y, rows, m->at.data, m->at.type, row0, row1, cols,
            j->act, j->n);
    else
        matmul_packed(j->y + row0, rows, widened(j, row0, row1, thread),
            QT_F32, 0, row1 - row0, cols, j->act, j->n);
}

static void
apply_task(void *ctx, size_t i, unsigned thread)
{
    const struct apply_job *j = ctx;
    const struct matrix *m = j->m;
    size_t rows = (size_t)m->at.rows;
    size_t row0 = i * j->step, row1 = min_size(row0 + j->step, rows);

    multiply(j, row0, row1, thread);
    if (j->act_type != ACT_F32)
        spoil_rows(j, rows, row0, row1);
    if (m->bias != NULL)
        for (size_t a = 0; a < j->n; a++)
            add_f32(j->y + a * rows + row0, j->y + a * rows + row0,
                m->bias + row0, row1 - row0);
}

/*
 * Rows of a task: enough of them to share out, few enough to be worth it. Weights
 * that are met once are read once however they are cut, and threads that wait
 * for the last task wait for less.
 */
static size_t
apply_step(const struct matrix *m, bool widen, size_t n)
{
    size_t rows = (size_t)m->at.rows, cols = (size_t)m->at.cols;
    size_t step = n < FEW_ROWS ? 64 : (rows / 8 + 63) / 64 * 64;

    if (step < 64)
        step = 64;
    if (step > 256)
        step = 256;
    while (widen && step > 16 && step * cols > TILE_FLOATS)
        step /= 2;
    return step;
}

void
matrix_apply(struct work *w, const struct matrix *m, float *y,
    const float *x, size_t n)
{
    const bool blas = by_blas(w, m, n);
    struct apply_job j = { .w = w, .m = m, .y = y, .x = x, .n = n,
        .step = apply_step(m, m->widen || blas, n) };

    if (n == 0)
        return;
    if (!blas)
        encode_act(&j);
    pool_run(w->pool, ((size_t)m->at.rows + j.step - 1) / j.step, apply_task,
        &j);
}

/* Row-wise work over n rows: what a task does to one of them. */
struct rows_job {
    struct work *w;
    float *y;
    const float *x, *weight;
    size_t n, cols;
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

/* y [n][hidden] += x. */
static void
add_rows(struct work *w, float *y, const float *x, size_t n)
{
    struct rows_job j = { .w = w, .y = y, .x = x, .n = n, .one = add_one };

    run_rows(&j);
}

static void
silu_one(const struct rows_job *j, size_t row)
{
    float *y = j->y + row * j->cols;

    silu_mul_f32(y, y, j->x + row * j->cols, j->cols);
}

static void
gelu_one(const struct rows_job *j, size_t row)
{
    float *y = j->y + row * j->cols;

    gelu_tanh_mul_f32(y, y, j->x + row * j->cols, j->cols);
}

void
act_rows(struct work *w, float *y, const float *x, size_t n, size_t ffn)
{
    struct rows_job j = { .w = w, .y = y, .x = x, .n = n, .cols = ffn,
        .one = w->c->gelu ? gelu_one : silu_one };

    run_rows(&j);
}

/* tanh(x) = 1 - 2 / (exp(2 x) + 1), right at both ends, too. */
void
soft_cap(float *x, size_t n, float cap)
{
    scale_f32(x, 2.0f / cap, x, n);
    exp_f32_row(x, x, n);
    for (size_t i = 0; i < n; i++)
        x[i] = cap * (1.0f - 2.0f / (x[i] + 1.0f));
}

void
call_hook(layer_hook *hook, void *ctx, enum input_role in, int expert,
    const float *x, size_t n, size_t cols)
{
    if (hook != NULL)
        hook(ctx, in, expert, x, n, cols);
}

/* w->out = the one feed-forward part of w->norm. */
static void
feed_forward(struct work *w, const struct block *b, size_t n,
    layer_hook *hook, void *ctx)
{
    const struct model_config *c = w->c;

    call_hook(hook, ctx, IN_GATE_UP, -1, w->norm, n, c->hidden);
    matrix_apply(w, &b->m[ROLE_GATE], w->gate, w->norm, n);
    matrix_apply(w, &b->m[ROLE_UP], w->up, w->norm, n);
    act_rows(w, w->gate, w->up, n, c->ffn);
    act_forget(w);
    call_hook(hook, ctx, IN_DOWN, -1, w->gate, n, c->ffn);
    matrix_apply(w, &b->m[ROLE_DOWN], w->out, w->gate, n);
}

/* x += w->out, normed first where the architecture does that. */
static void
add_part(struct work *w, const float *norm, float *x, size_t n)
{
    if (norm != NULL)
        norm_rows(w, w->out, w->out, norm, n);
    add_rows(w, x, w->out, n);
}

void
block_forward(struct work *w, const struct block *b,
    const struct span *spans, size_t n_spans, float *x,
    const struct some_rows *keep, layer_hook *hook, void *ctx)
{
    size_t n = spans[n_spans - 1].row0 + spans[n_spans - 1].n;

    n = attention(w, b, spans, x, n, keep, hook, ctx);
    if (n == 0)
        return;
    add_part(w, b->norm[ROLE_POST_ATTN_NORM], x, n);
    norm_rows(w, w->norm, x, b->norm[ROLE_FFN_NORM], n);
    act_forget(w);
    if (b->n_experts > 0)
        experts_forward(w, b, n, hook, ctx);
    else
        feed_forward(w, b, n, hook, ctx);
    add_part(w, b->norm[ROLE_POST_FFN_NORM], x, n);
}
