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
    size_t n, cols, at; /* columns of x are [at, at + cols) of `to` */
};

static void
add_columns(void *ctx, size_t i, unsigned thread)
{
    struct adding *a = ctx;
    size_t cols = a->cols, from = i * COLUMNS_A_TASK;
    double *square = a->to->square + a->at, *sum = a->to->size + a->at;
    float *top = a->to->top + a->at;
    size_t end = cols - from < COLUMNS_A_TASK ? cols : from + COLUMNS_A_TASK;

    (void)thread;
    for (size_t t = 0; t < a->n; t++) {
        const float *x = a->x + t * cols;

        for (size_t j = from; j < end; j++) {
            float size = fabsf(x[j]);

            square[j] += (double)x[j] * (double)x[j];
            sum[j] += (double)size;
            top[j] = size > top[j] ? size : top[j];
        }
    }
}

void
statistics_add_expert(struct statistics *s, enum input_role in,
    uint32_t expert, uint32_t experts, const float *x, size_t n, size_t cols,
    struct pool *pool)
{
    struct column_sums *to = &s->in[in];
    struct adding a = { to, x, n, cols, expert * cols };

    if (to->cols == 0) {
        to->experts = experts;
        to->cols = experts > 0 ? experts * cols : cols;
        to->square = mem_calloc(to->cols, sizeof *to->square);
        to->size = mem_calloc(to->cols, sizeof *to->size);
        to->top = mem_calloc(to->cols, sizeof *to->top);
        if (experts > 0)
            to->given = mem_calloc(experts, sizeof *to->given);
    }
    if (experts > 0)
        to->given[expert] += n;
    pool_run(pool, (cols + COLUMNS_A_TASK - 1) / COLUMNS_A_TASK, add_columns,
        &a);
    to->tokens += n;
}

void
statistics_add(struct statistics *s, enum input_role in, const float *x,
    size_t n, size_t cols, struct pool *pool)
{
    statistics_add_expert(s, in, 0, 0, x, n, cols, pool);
}

void
statistics_release(struct statistics *s)
{
    for (size_t i = 0; i < IN_COUNT; i++) {
        free(s->in[i].square);
        free(s->in[i].size);
        free(s->in[i].top);
        free(s->in[i].given);
    }
    memset(s, 0, sizeof *s);
}

/* Value k (as in `quantity`) of column j. */
static float
column_value(const struct column_sums *c, size_t k, size_t j)
{
    double n = (double)c->tokens;

    if (c->experts > 0)
        n = (double)c->given[j / (c->cols / c->experts)];
    n = n > 0 ? n : 1; /* sums are 0 then */
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

/* The tensors of one role; how many there are. */
static size_t
describe(const struct column_sums *c, enum input_role in, struct st_spec *spec,
    struct arena *names)
{
    const char *role = input_role_name(in);
    size_t n = 0;

    if (c->cols == 0)
        return 0;
    for (size_t k = 0; k < countof(quantity); k++) {
        struct st_spec *s = &spec[n++];

        *s = (struct st_spec){ .name = arena_printf(names, "%s.%s", role,
            quantity[k]), .dtype = "F32", .rank = 1, .shape = { c->cols } };
        if (c->experts > 0) {
            s->rank = 2;
            s->shape[0] = c->experts;
            s->shape[1] = c->cols / c->experts;
        }
    }
    if (c->experts > 0)
        spec[n++] = (struct st_spec){ .name = arena_printf(names, "%s.tokens",
            role), .dtype = "F32", .rank = 1, .shape = { c->experts } };
    return n;
}

static void
put_float(struct st_writer *w, float v)
{
    uint8_t le[4];

    store_f32le(le, v);
    st_writer_data(w, le, sizeof le);
}

int
statistics_write(const struct statistics *s, const char *path,
    struct digest *digest, uint64_t *bytes, struct err *e)
{
    struct st_spec spec[(countof(quantity) + 1) * IN_COUNT];
    struct st_writer w = { 0 };
    struct arena names = { 0 };
    json_t *meta = json_object();
    uint64_t tokens = 0;
    size_t n = 0;

    for (size_t i = 0; i < IN_COUNT; i++) {
        n += describe(&s->in[i], (enum input_role)i, spec + n, &names);
        if (s->in[i].cols > 0 && s->in[i].experts == 0)
            tokens = s->in[i].tokens;
    }
    json_object_set_new(meta, "tokens", json_sprintf("%" PRIu64, tokens));
    if (check_finite(s, path, e) || st_writer_open(&w, path, spec, n, meta, e))
        goto done;
    for (size_t i = 0; i < IN_COUNT; i++) {
        const struct column_sums *c = &s->in[i];

        for (size_t k = 0; k < countof(quantity) && c->cols > 0; k++)
            for (size_t j = 0; j < c->cols; j++)
                put_float(&w, column_value(c, k, j));
        for (uint32_t x = 0; x < c->experts; x++)
            put_float(&w, (float)c->given[x]);
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

enum input_role
statistics_role(const struct model_config *c, const struct tensor_plan *p)
{
    return p->role == ROLE_EMBED && c->tied ? IN_OUTPUT : p->input;
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
    return statistics_expert_columns(f, in, 0, 0, cols, out, e);
}

int
statistics_expert_columns(const struct statistics_file *f,
    enum input_role in, uint32_t expert, uint32_t experts, size_t cols,
    struct columns *out, struct err *e)
{
    const float **to[] = { &out->mean2, &out->absmean, &out->absmax };
    const uint64_t shape[2] = { experts > 0 ? experts : cols, cols };
    char name[64];

    out->cols = cols;
    for (size_t k = 0; k < countof(quantity); k++) {
        snprintf(name, sizeof name, "%s.%s", input_role_name(in), quantity[k]);
        *to[k] = safetensors_expect(&f->st, name, "F32",
            experts > 0 ? 2 : 1, shape, e);
        if (*to[k] == NULL)
            return e->code;
        *to[k] += expert * cols;
    }
    for (size_t j = 0; j < cols; j++)
        if (!(out->mean2[j] >= 0 && isfinite(out->mean2[j])) ||
            !(out->absmean[j] >= 0 && isfinite(out->absmean[j])))
            return err_set(e, ERR_WORK, "%s: '%s' has a negative, NaN or "
                "infinite value in column %zu; delete it and run the "
                "calibrate stage", f->st.map.path, input_role_name(in), j);
    return 0;
}

const float *
statistics_given(const struct statistics_file *f, enum input_role in,
    uint32_t experts, struct err *e)
{
    const uint64_t shape[1] = { experts };
    char name[64];
    const float *v;

    snprintf(name, sizeof name, "%s.tokens", input_role_name(in));
    v = safetensors_expect(&f->st, name, "F32", 1, shape, e);
    for (uint32_t i = 0; v != NULL && i < experts; i++)
        if (!(v[i] >= 0 && isfinite(v[i]))) {
            err_set(e, ERR_WORK, "%s: '%s' has a negative, NaN or infinite "
                "value; delete it and run the calibrate stage", f->st.map.path,
                name);
            return NULL;
        }
    return v;
}
