#include "lib/model/statistics.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/bytes.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

enum { COLUMNS_A_TASK = 256 };

static const char *const quantity[] = { "mean2", "absmean", "absmax" };

struct adding {
    struct column_sums *to;
    const float *x;
    size_t n;
};

static void
add_columns(void *ctx, size_t i, unsigned thread)
{
    struct adding *a = ctx;
    size_t cols = a->to->cols, from = i * COLUMNS_A_TASK;
    size_t end = cols - from < COLUMNS_A_TASK ? cols : from + COLUMNS_A_TASK;

    (void)thread;
    for (size_t t = 0; t < a->n; t++) {
        const float *x = a->x + t * cols;

        for (size_t j = from; j < end; j++) {
            float size = fabsf(x[j]);

            a->to->square[j] += (double)x[j] * (double)x[j];
            a->to->size[j] += (double)size;
            a->to->top[j] = size > a->to->top[j] ? size : a->to->top[j];
        }
    }
}

void
statistics_add(struct statistics *s, enum input_role in, const float *x,
    size_t n, size_t cols, struct pool *pool)
{
    struct column_sums *to = &s->in[in];
    struct adding a = { to, x, n };

    if (to->cols == 0) {
        to->cols = cols;
        to->square = mem_calloc(cols, sizeof *to->square);
        to->size = mem_calloc(cols, sizeof *to->size);
        to->top = mem_calloc(cols, sizeof *to->top);
    }
    pool_run(pool, (cols + COLUMNS_A_TASK - 1) / COLUMNS_A_TASK, add_columns,
        &a);
    to->tokens += n;
}

void
statistics_release(struct statistics *s)
{
    for (size_t i = 0; i < IN_COUNT; i++) {
        free(s->in[i].square);
        free(s->in[i].size);
        free(s->in[i].top);
    }
    memset(s, 0, sizeof *s);
}

/* Value k (as in `quantity`) of column j. */
static float
column_value(const struct column_sums *c, size_t k, size_t j)
{
    double n = (double)c->tokens;

    return k == 0 ? (float)(c->square[j] / n)
        : k == 1 ? (float)(c->size[j] / n)
                 : c->top[j];
}

static int
check_finite(const struct statistics *s, const char *path, struct err *e)
{
    for (size_t i = 0; i < IN_COUNT; i++)
        for (size_t j = 0; j < s->in[i].cols; j++)
            if (!isfinite(column_value(&s->in[i], 0, j)))
                return err_set(e, ERR_WORK, "%s: the input '%s' of the layer "
                    "has NaN or infinity in column %zu; the model is not "
                    "sound", path, input_role_name((enum input_role)i), j);
    return 0;
}

int
statistics_write(const struct statistics *s, const char *path,
    struct digest *digest, uint64_t *bytes, struct err *e)
{
    struct st_spec spec[3 * IN_COUNT];
    struct st_writer w = { 0 };
    struct arena names = { 0 };
    json_t *meta = json_object();
    uint64_t tokens = 0;
    uint8_t le[4];
    size_t n = 0;

    for (size_t i = 0; i < IN_COUNT; i++)
        for (size_t k = 0; k < countof(quantity) && s->in[i].cols > 0; k++) {
            spec[n++] = (struct st_spec){ .name = arena_printf(&names, "%s.%s",
                input_role_name((enum input_role)i), quantity[k]),
                .dtype = "F32", .rank = 1, .shape = { s->in[i].cols } };
            tokens = s->in[i].tokens;
        }
    json_object_set_new(meta, "tokens", json_sprintf("%" PRIu64, tokens));
    if (check_finite(s, path, e) || st_writer_open(&w, path, spec, n, meta, e))
        goto done;
    for (size_t i = 0; i < IN_COUNT; i++)
        for (size_t k = 0; k < countof(quantity) && s->in[i].cols > 0; k++)
            for (size_t j = 0; j < s->in[i].cols; j++) {
                store_f32le(le, column_value(&s->in[i], k, j));
                st_writer_data(&w, le, sizeof le);
            }
    if (st_writer_close(&w, e) == 0) {
        *digest = w.out.digest;
        *bytes = w.out.bytes;
    }
done:
    st_writer_release(&w);
    json_decref(meta);
    arena_release(&names);
    return e->code;
}

int
statistics_open(struct statistics_file *f, const char *path, struct err *e)
{
    unsigned long long tokens;
    const char *text;

    memset(f, 0, sizeof *f);
    if (safetensors_open(&f->st, path, e))
        return e->code;
    text = safetensors_meta(&f->st, "tokens");
    if (text == NULL || !str_to_u64(text, UINT64_MAX, &tokens) || tokens == 0) {
        statistics_close(f);
        return err_set(e, ERR_WORK, "%s: does not say how many tokens it was "
            "taken from; delete it and run the calibrate stage", path);
    }
    f->tokens = tokens;
    return 0;
}

void
statistics_close(struct statistics_file *f)
{
    safetensors_close(&f->st);
}

int
statistics_columns(const struct statistics_file *f, enum input_role in,
    size_t cols, struct columns *out, struct err *e)
{
    const float **to[] = { &out->mean2, &out->absmean, &out->absmax };
    const uint64_t shape[1] = { cols };
    char name[64];

    out->cols = cols;
    for (size_t k = 0; k < countof(quantity); k++) {
        snprintf(name, sizeof name, "%s.%s", input_role_name(in), quantity[k]);
        *to[k] = safetensors_expect(&f->st, name, "F32", 1, shape, e);
        if (*to[k] == NULL)
            return e->code;
    }
    for (size_t j = 0; j < cols; j++)
        if (!(out->mean2[j] >= 0 && isfinite(out->mean2[j])) ||
            !(out->absmean[j] >= 0 && isfinite(out->absmean[j])))
            return err_set(e, ERR_WORK, "%s: '%s' has a negative, NaN or "
                "infinite value in column %zu; delete it and run the "
                "calibrate stage", f->st.map.path, input_role_name(in), j);
    return 0;
}
