/*
 * weights.c - see weights.h
 */
#include "lib/model/weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/decode.h"
#include "lib/base/mem.h"

enum { CONVERT_ROWS = 64 };

static bool
is_wide(enum qtype t)
{
    return t == QT_F32 || t == QT_F16 || t == QT_BF16;
}

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

struct stored
stored_slice(const struct stored *t, uint64_t row0, uint64_t rows)
{
    struct stored part = *t;
    const uint8_t *p = t->data;

    part.data = p + row0 * qtype_row_bytes(t->type, (size_t)t->cols);
    part.rows = rows;
    return part;
}

struct convert_job {
    float *dst;
    const struct stored *t;
    uint64_t row0, rows;
};

static void
convert_task(void *ctx, size_t i, unsigned thread)
{
    const struct convert_job *j = ctx;
    uint64_t first = (uint64_t)i * CONVERT_ROWS;
    uint64_t n = j->rows - first < CONVERT_ROWS ? j->rows - first :
        CONVERT_ROWS;

    (void)thread;
    stored_widen(j->dst + first * j->t->cols, j->t, j->row0 + first, n);
}

/* x * 0 is 0 for every finite x, so one sum tells of a whole row. */
static int
check_finite(const float *x, const struct stored *t, uint64_t row0,
    uint64_t rows, struct err *e)
{
    for (uint64_t r = 0; r < rows; r++) {
        const float *row = x + r * t->cols;
        float sum = 0.0f;

        for (uint64_t c = 0; c < t->cols; c++)
            sum += row[c] * 0.0f;
        if (sum == 0.0f)
            continue;
        for (uint64_t c = 0; c < t->cols; c++)
            if (!isfinite(row[c]))
                return err_set(e, ERR_WORK,
                    "%s: tensor '%s': row %llu, column %llu is %s; the file "
                    "is damaged or the model is, fetch it again", t->path,
                    t->name, (unsigned long long)(row0 + r),
                    (unsigned long long)c,
                    isnan(row[c]) ? "not a number" : "infinite");
    }
    return 0;
}

int
stored_to_f32(float *dst, const struct stored *t, uint64_t row0,
    uint64_t rows, struct pool *pool, struct err *e)
{
    struct convert_job j = { dst, t, row0, rows };

    pool_run(pool, (size_t)((rows + CONVERT_ROWS - 1) / CONVERT_ROWS),
        convert_task, &j);
    return check_finite(dst, t, row0, rows, e);
}

int
matrix_init(struct matrix *m, const struct stored *t, bool convert,
    bool exact, struct pool *pool, struct err *e)
{
    *m = (struct matrix){ .at = *t };
    if (!is_wide(t->type) && !exact) {
        m->kind = MATRIX_PACKED;
        return 0;
    }
    if (convert) {
        m->kind = MATRIX_FLOAT;
        m->owned = mem_aligned((size_t)(t->rows * t->cols), sizeof(float));
        m->f = m->owned;
        return stored_to_f32(m->owned, t, 0, t->rows, pool, e);
    }
    if (t->type == QT_F32 && (uintptr_t)t->data % sizeof(float) == 0) {
        m->kind = MATRIX_FLOAT;
        m->f = t->data;
        return 0;
    }
    m->kind = MATRIX_WIDEN;
    return 0;
}

int
matrix_init_reordered(struct matrix *m, const struct stored *t,
    uint32_t head_dim, bool convert, bool exact, struct pool *pool,
    struct err *e)
{
    size_t bytes = qtype_row_bytes(t->type, (size_t)t->cols);
    uint8_t *rows = mem_aligned((size_t)t->rows, bytes);
    const uint8_t *from = t->data;
    struct stored copy = *t;

    for (uint64_t r = 0; r < t->rows; r++)
        memcpy(rows + arch_source_row(r, head_dim) * bytes, from + r * bytes,
            bytes);
    copy.data = rows;
    matrix_init(m, &copy, convert, exact, pool, e);
    if (m->owned == NULL)
        m->rows = rows;
    else
        free(rows);
    return e->code;
}

void
matrix_release(struct matrix *m)
{
    free(m->owned);
    free(m->rows);
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
