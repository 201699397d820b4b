/*
 * weights.c - see weights.h
 */
#include "lib/model/weights.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/decode.h"
#include "kernels/interleave.h"
#include "kernels/measure.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"

enum {
    LOOK_WEIGHTS = 1 << 18, /* of a task */
    SIDE_ROWS = 64          /* of a task that interleaves */
};

uint64_t
stored_bytes(const struct stored *t)
{
    return t->rows * qtype_row_bytes(t->type, (size_t)t->cols);
}

void
stored_widen(float *dst, const struct stored *t, uint64_t row0, uint64_t rows)
{
    size_t row_bytes = qtype_row_bytes(t->type, (size_t)t->cols);
    const uint8_t *p = t->data;

    qtype_decode(t->type, dst, p + row0 * row_bytes,
        (size_t)(rows * t->cols));
}

void
stored_done(const struct stored *t)
{
    map_done(t->data, stored_bytes(t));
}

struct stored
stored_slice(const struct stored *t, uint64_t row0, uint64_t rows)
{
    struct stored part = *t;
    const uint8_t *p = t->data;

    part.data = p + row0 * qtype_row_bytes(t->type, (size_t)t->cols);
    part.rows = rows;
    return part;
}

static int
check_finite(const float *x, const struct stored *t, uint64_t row0,
    uint64_t rows, struct err *e)
{
    size_t n = (size_t)(rows * t->cols), bad = first_beyond_f32(x, n, FLT_MAX);

    if (bad == n)
        return 0;
    return err_set(e, ERR_WORK, "%s: tensor '%s': row %llu, column %llu is "
        "%s; the file is damaged or the model is, fetch it again", t->path,
        t->name, (unsigned long long)(row0 + bad / t->cols),
        (unsigned long long)(bad % t->cols),
        isnan(x[bad]) ? "not a number" : "infinite");
}

int
stored_to_f32(float *dst, const struct stored *t, uint64_t row0,
    uint64_t rows, struct err *e)
{
    stored_widen(dst, t, row0, rows);
    return check_finite(dst, t, row0, rows, e);
}

/* A tensor as float32, kept or only looked at. */
struct look {
    const struct stored *t;
    uint64_t step; /* rows of a task */
    float *to;     /* [rows][cols], or NULL */
    float **row;   /* [threads][cols], where they go that are not kept */
    bool *bad;     /* [tasks]: not all is finite */
};

static void
look_task(void *ctx, size_t i, unsigned thread)
{
    const struct look *l = ctx;
    uint64_t row0 = (uint64_t)i * l->step, left = l->t->rows - row0;
    uint64_t end = row0 + (left < l->step ? left : l->step);
    struct err ignored = { 0 };

    for (uint64_t r = row0; r < end && !l->bad[i]; r++) {
        float *to = l->to != NULL ? l->to + r * l->t->cols : l->row[thread];

        l->bad[i] = stored_to_f32(to, l->t, r, 1, &ignored) != 0;
    }
}

/* Errors are those of the first bad row, whoever found it when. */
static int
look_at(const struct stored *t, float *to, struct pool *pool, struct err *e)
{
    unsigned threads = pool_threads(pool);
    struct look l = { .t = t, .step = LOOK_WEIGHTS / t->cols + 1, .to = to };
    size_t tasks = (size_t)((t->rows + l.step - 1) / l.step);

    l.row = mem_calloc(threads, sizeof *l.row);
    for (unsigned i = 0; i < threads; i++)
        l.row[i] = mem_aligned((size_t)t->cols, sizeof **l.row);
    l.bad = mem_calloc(tasks, sizeof *l.bad);
    pool_run(pool, tasks, look_task, &l);
    for (size_t i = 0; i < tasks; i++)
        for (uint64_t r = i * l.step; l.bad[i] && e->code == 0; r++)
            stored_to_f32(l.row[0], t, r, 1, e);
    for (unsigned i = 0; i < threads; i++)
        free(l.row[i]);
    free(l.row);
    free(l.bad);
    return e->code;
}

static int
convert(struct matrix *m, struct pool *pool, struct err *e)
{
    float *f = mem_aligned((size_t)(m->at.rows * m->at.cols), sizeof *f);

    look_at(&m->at, f, pool, e);
    if (m->owned == NULL)
        stored_done(&m->at); /* read once, and not again */
    free(m->owned);
    m->owned = f;
    m->at.data = f;
    m->at.type = QT_F32;
    return e->code;
}

static int
make_ready(struct matrix *m, const struct making *how, struct err *e)
{
    bool packed = qtype_info(m->at.type)->act != ACT_F32;

    if (packed && how->exact && how->convert)
        return convert(m, how->pool, e);
    m->widen = packed && how->exact;
    if (how->check && (m->widen || !packed))
        look_at(&m->at, NULL, how->pool, e);
    return e->code;
}

int
matrix_init(struct matrix *m, const struct stored *t,
    const struct making *how, struct err *e)
{
    *m = (struct matrix){ .at = *t };
    return make_ready(m, how, e);
}

int
matrix_init_reordered(struct matrix *m, const struct stored *t,
    uint32_t head_dim, const struct making *how, struct err *e)
{
    size_t bytes = qtype_row_bytes(t->type, (size_t)t->cols);
    uint8_t *rows = mem_aligned((size_t)t->rows, bytes);
    const uint8_t *from = t->data;

    *m = (struct matrix){ .at = *t, .owned = rows };
    for (uint64_t r = 0; r < t->rows; r++)
        memcpy(rows + arch_source_row(r, head_dim) * bytes, from + r * bytes,
            bytes);
    stored_done(t);
    m->at.data = rows;
    return make_ready(m, how, e);
}

struct side_job {
    const struct matrix *m;
    void *room;
};

static void
side_task(void *ctx, size_t i, unsigned thread)
{
    const struct side_job *j = ctx;
    const struct stored *t = &j->m->at;
    size_t first = i * SIDE_ROWS, rows = (size_t)t->rows;

    (void)thread;
    interleave_rows(j->room, t->data, t->type, first,
        first + SIDE_ROWS < rows ? first + SIDE_ROWS : rows, (size_t)t->cols);
}

size_t
matrix_interleave_bytes(const struct matrix *m)
{
    if (m->at.rows == 0 || m->widen || m->owned != NULL ||
        m->at.rows % INTERLEAVE != 0 || !interleave_has(m->at.type))
        return 0;
    return ((size_t)stored_bytes(&m->at) + 63) / 64 * 64;
}

void
matrix_interleave(struct matrix *m, void *room, struct pool *pool)
{
    struct side_job j = { m, room };

    pool_run(pool, (size_t)(m->at.rows + SIDE_ROWS - 1) / SIDE_ROWS,
        side_task, &j);
    m->side = room;
    stored_done(&m->at);
}

void
matrix_release(struct matrix *m)
{
    free(m->owned);
    *m = (struct matrix){ 0 };
}

void
block_release(struct block *b)
{
    for (size_t i = 0; i < ROLE_COUNT; i++) {
        free(b->norm[i]);
        matrix_release(&b->m[i]);
        free(b->bias[i]);
    }
    for (uint32_t i = 0; i < b->n_experts; i++) {
        matrix_release(&b->experts[i].gate);
        matrix_release(&b->experts[i].up);
        matrix_release(&b->experts[i].down);
    }
    free(b->experts);
    *b = (struct block){ 0 };
}
