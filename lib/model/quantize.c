#include "lib/model/quantize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/decode.h"
#include "kernels/encode.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/model/model_impl.h"

enum {
    CHUNK_WEIGHTS = 1 << 16, /* a task: rows of about so many weights */
    CHUNKS_A_SLAB = 64,      /* packed in memory at a time */
};

static const char *const method_name[METHOD_COUNT] = { "rtn", "imatrix",
    "awq" };

int
quantize_method_from(const char *name, enum quantize_method *m)
{
    for (size_t i = 0; i < METHOD_COUNT; i++)
        if (strcmp(method_name[i], name) == 0) {
            *m = (enum quantize_method)i;
            return 0;
        }
    return -1;
}

const char *
quantize_method_name(enum quantize_method m)
{
    return method_name[m];
}

/* What llama.cpp puts in place of types with blocks of 256. */
static enum qtype
smaller_block(enum qtype t)
{
    switch (t) {
    case QT_Q2_K:
    case QT_Q3_K:
    case QT_IQ4_XS:
        return QT_IQ4_NL;
    case QT_Q4_K:
        return QT_Q5_0;
    case QT_Q5_K:
        return QT_Q5_1;
    case QT_Q6_K:
        return QT_Q8_0;
    default:
        return QT_F16;
    }
}

enum qtype
quantize_fallback(enum qtype t, uint64_t cols)
{
    if (cols % qtype_info(t)->block != 0)
        t = smaller_block(t);
    if (cols % qtype_info(t)->block != 0)
        t = QT_F16;
    return t;
}

/* The output matrix decides every token: it keeps more bits than the rest. */
static enum qtype
output_type(enum qtype t)
{
    switch (t) {
    case QT_F32:
    case QT_F16:
    case QT_BF16:
    case QT_Q8_0:
        return t;
    default:
        return QT_Q6_K;
    }
}

static void
set_type(struct qtensor *t, enum qtype type)
{
    t->asked = type;
    t->type = quantize_fallback(type, t->plan->cols);
}

/*
 * The importance of columns after scaling: an input that shrank by s counts
 * 1/s^2. A column that calibration never lit keeps a millionth of the mean, so
 * that blocks made of such columns are still rounded by their weights.
 */
static void
set_importance(struct qtensor *t)
{
    size_t cols = (size_t)t->plan->cols;
    double mean = 0;

    for (size_t j = 0; j < cols; j++)
        mean += (double)t->mean2[j] / (double)cols;
    if (!(mean > 0)) {
        free(t->importance);
        t->importance = NULL;
        return;
    }
    if (t->importance == NULL)
        t->importance = mem_calloc(cols, sizeof *t->importance);
    for (size_t j = 0; j < cols; j++) {
        double v = (double)t->mean2[j], s = 1;

        if (v < mean * 1e-6)
            v = mean * 1e-6;
        if (t->col_scale != NULL)
            s = (double)t->col_scale[j];
        t->importance[j] = (float)(v / (s * s));
    }
}

/* What an error in a packed column weighs; see measure_row. */
static void
set_weights(struct qtensor *t)
{
    size_t cols = (size_t)t->plan->cols;

    if (t->col_scale != NULL && t->unit2 == NULL)
        t->unit2 = mem_calloc(cols, sizeof *t->unit2);
    if (t->mean2 != NULL && t->weight == NULL)
        t->weight = mem_calloc(cols, sizeof *t->weight);
    for (size_t j = 0; j < cols; j++) {
        double s = t->col_scale == NULL ? 1 : (double)t->col_scale[j];

        if (t->unit2 != NULL)
            t->unit2[j] = 1 / (s * s);
        if (t->weight != NULL)
            t->weight[j] = (double)t->mean2[j] / (s * s);
    }
}

void
quantize_set_columns(struct qtensor *t, const float *scale)
{
    size_t cols = (size_t)t->plan->cols;

    if (t->col_scale == NULL)
        t->col_scale = mem_calloc(cols, sizeof *t->col_scale);
    memcpy(t->col_scale, scale, cols * sizeof *scale);
    if (t->mean2 != NULL)
        set_importance(t);
    set_weights(t);
}

struct qtensor
qtensor_unscaled(const struct qtensor *t)
{
    return (struct qtensor){ .plan = t->plan, .asked = t->asked,
        .type = t->type, .mean2 = t->mean2 };
}

void
qtensor_release(struct qtensor *t)
{
    free(t->importance);
    free(t->col_scale);
    free(t->row_div);
    free(t->unit2);
    free(t->weight);
}

static int
plan_tensor(struct quantize *q, const struct tensor_plan *p, enum qtype type,
    struct err *e)
{
    struct qtensor *t = &q->t[q->n++];
    enum input_role in = statistics_role(model_config(q->model), p);
    struct columns c;

    *t = (struct qtensor){ .plan = p };
    if (p->rank < 2 || p->exact) {
        set_type(t, QT_F32);
        return 0;
    }
    set_type(t, in == IN_OUTPUT ? output_type(type) : type);
    if (q->stats == NULL || in == IN_COUNT)
        return 0;
    if (statistics_expert_columns(q->stats, in, p->expert, p->experts,
            (size_t)p->cols, &c, e))
        return e->code;
    t->mean2 = c.mean2;
    if (q->method != METHOD_RTN)
        set_importance(t);
    set_weights(t);
    return 0;
}

int
quantize_init(struct quantize *q, const struct model *m, int layer,
    enum qtype type, enum quantize_method method,
    const struct statistics_file *stats, struct err *e)
{
    const struct model_plan *plan = model_tensors(m);

    q->model = m;
    q->layer = layer;
    q->method = method;
    q->stats = stats;
    q->t = mem_calloc(plan->n, sizeof *q->t);
    for (size_t i = 0; i < plan->n && !e->code; i++)
        if (plan->t[i].layer == layer)
            plan_tensor(q, &plan->t[i], type, e);
    if (!e->code && q->n == 0)
        err_set(e, ERR_WORK, "%s: has no layer %d; the last one is %u",
            model_path(m), layer, model_config(m)->layers - 1);
    if (e->code)
        quantize_release(q);
    return e->code;
}

static int
take_importance(struct quantize *q, struct qtensor *t,
    const struct imatrix *im, struct err *e)
{
    const struct tensor_plan *p = t->plan;
    const size_t bytes = (size_t)p->cols * sizeof(float);
    const struct imatrix_entry *entry = imatrix_find(im, p->gguf);
    float *values;

    if (entry == NULL && q->layer < 0)
        return 0;
    if (entry == NULL)
        return err_set(e, ERR_WORK, "%s: has no entry for '%s'; give the "
            "importance matrix of this model", im->path, p->gguf);
    values = arena_alloc(&q->arena, bytes);
    if (imatrix_importance(im, entry, p->expert,
            p->experts > 0 ? p->experts : 1, p->cols, values, e))
        return e->code;
    t->mean2 = values;
    t->importance = mem_calloc((size_t)p->cols, sizeof(float));
    memcpy(t->importance, values, bytes);
    set_weights(t);
    return 0;
}

int
quantize_importance(struct quantize *q, const struct imatrix *im,
    struct err *e)
{
    for (size_t i = 0; i < q->n && !e->code; i++)
        if (q->t[i].plan->rank == 2 && !q->t[i].plan->exact)
            take_importance(q, &q->t[i], im, e);
    return e->code;
}

void
quantize_release(struct quantize *q)
{
    for (size_t i = 0; i < q->n; i++)
        qtensor_release(&q->t[i]);
    free(q->t);
    arena_release(&q->arena);
    memset(q, 0, sizeof *q);
}

/* "blk.3.attn_v.weight" has the role "attn_v". */
static bool
has_role(const struct tensor_plan *p, const char *role)
{
    const char *name = p->gguf;
    size_t n = strlen(role);

    if (str_starts(name, "blk."))
        name = strchr(name + 4, '.') + 1;
    return p->rank == 2 && !p->exact && strncmp(name, role, n) == 0 &&
        strcmp(name + n, ".weight") == 0;
}

bool
quantize_override(struct quantize *q, const char *role, enum qtype type)
{
    const struct model_plan *plan = model_tensors(q->model);
    bool known = false;

    for (size_t i = 0; i < plan->n; i++)
        known = known || has_role(&plan->t[i], role);
    for (size_t i = 0; i < q->n; i++)
        if (has_role(q->t[i].plan, role))
            set_type(&q->t[i], type);
    return known;
}

/* Which row of the source is row r of the tensor in GGUF. */
static uint64_t
source_row(const struct quantize *q, const struct tensor_plan *p, uint64_t r)
{
    if (p->permute_heads == 0 || model_gguf(q->model) != NULL)
        return r;
    return arch_source_row(r, (uint32_t)(p->rows / p->permute_heads));
}

static int
load_vector(const struct quantize *q, const struct tensor_plan *p,
    uint64_t row0, uint64_t rows, float *w, struct err *e)
{
    float *all = mem_aligned((size_t)p->rows, sizeof *all);

    if (model_vector(q->model, p, all, e) == 0)
        for (uint64_t r = 0; r < rows; r++)
            w[r] = all[source_row(q, p, row0 + r)];
    free(all);
    return e->code;
}

/* w [rows][cols] of the source, in GGUF's order, unscaled. */
static int
load_rows(const struct quantize *q, const struct qtensor *t, uint64_t row0,
    uint64_t rows, float *w, struct err *e)
{
    const struct tensor_plan *p = t->plan;
    const struct stored *s = model_stored(q->model, p);

    if (p->rank < 2)
        return load_vector(q, p, row0, rows, w, e);
    if (source_row(q, p, 1) == 1)
        return stored_to_f32(w, s, row0, rows, e);
    for (uint64_t r = 0; r < rows; r++)
        if (stored_to_f32(w + r * p->cols, s, source_row(q, p, row0 + r), 1,
                e))
            return e->code;
    return 0;
}

static void
scale_rows(const struct quantize *q, const struct qtensor *t, uint64_t row0,
    uint64_t rows, float *w)
{
    size_t cols = (size_t)t->plan->cols;

    for (uint64_t r = 0; r < rows; r++) {
        float *row = w + r * cols;

        if (t->row_div != NULL) {
            float d = t->row_div[source_row(q, t->plan, row0 + r)];

            for (size_t j = 0; j < cols; j++)
                row[j] /= d;
        }
        if (t->col_scale != NULL)
            for (size_t j = 0; j < cols; j++)
                row[j] *= t->col_scale[j];
    }
}

/*
 * err += sum of (want - got)^2 m and norm += sum of want^2 m; m NULL: 1. Column
 * j is summed in lane j % 4, the lanes in order: one sum on every machine, and
 * one that vectors can take.
 */
static void
add_squares(const float *want, const float *got, const double *m, size_t n,
    double *err, double *norm)
{
    double e[4] = { 0 }, w[4] = { 0 };

    for (size_t j = 0; j + 4 <= n; j += 4)
        for (size_t l = 0; l < 4; l++) {
            double x = (double)want[j + l], d = x - (double)got[j + l];
            double weight = m == NULL ? 1 : m[j + l];

            e[l] += d * d * weight;
            w[l] += x * x * weight;
        }
    for (size_t j = n / 4 * 4; j < n; j++) {
        double x = (double)want[j], d = x - (double)got[j];
        double weight = m == NULL ? 1 : m[j];

        e[j % 4] += d * d * weight;
        w[j % 4] += x * x * weight;
    }
    *err += ((e[0] + e[1]) + e[2]) + e[3];
    *norm += ((w[0] + w[1]) + w[2]) + w[3];
}

/* Adds a row to `sum`; want and got are scaled values. */
static void
measure_row(const struct qtensor *t, double row_div, const float *want,
    const float *got, struct qsums *sum)
{
    size_t cols = (size_t)t->plan->cols;
    struct qsums row = { 0 };
    double unit = row_div * row_div;

    if (t->unit2 == NULL)
        add_squares(want, got, NULL, cols, &row.err2, &row.norm2);
    else
        add_squares(want, got, t->unit2, cols, &row.err2, &row.norm2);
    if (t->weight != NULL)
        add_squares(want, got, t->weight, cols, &row.werr2, &row.wnorm2);
    sum->err2 += row.err2 * unit;
    sum->norm2 += row.norm2 * unit;
    sum->werr2 += row.werr2 * unit;
    sum->wnorm2 += row.wnorm2 * unit;
}

int
quantize_rows(const struct quantize *q, const struct qtensor *t, uint64_t row0,
    uint64_t rows, float *w, float *back, void *dst, struct qsums *sum,
    struct err *e)
{
    const struct tensor_plan *p = t->plan;
    size_t n = (size_t)(rows * p->cols), bad;

    if (load_rows(q, t, row0, rows, w, e))
        return e->code;
    scale_rows(q, t, row0, rows, w);
    bad = qtype_encode(t->type, dst, w, (size_t)rows, (size_t)p->cols,
        t->importance);
    if (bad < n)
        return err_set(e, ERR_WORK, "%s: tensor '%s': row %llu, column %llu "
            "is %g, more than %s holds (65504); choose BF16 or F32 for it",
            model_stored(q->model, p)->path, model_stored(q->model, p)->name,
            (unsigned long long)source_row(q, p, row0 + bad / p->cols),
            (unsigned long long)(bad % p->cols), (double)w[bad],
            qtype_info(t->type)->name);
    qtype_decode(t->type, back, dst, n);
    for (uint64_t r = 0; r < rows; r++)
        measure_row(t, t->row_div == NULL
                ? 1
                : (double)t->row_div[source_row(q, p, row0 + r)],
            w + r * p->cols, back + r * p->cols, sum);
    return 0;
}

/* A slab of one tensor, shared out in chunks of whole rows. */
struct slab {
    const struct quantize *q;
    const struct qtensor *t;
    uint64_t row0, rows, chunk; /* rows of the slab, rows of a chunk */
    size_t row_bytes;
    uint8_t *out;
    float **scratch;   /* [threads] of 2 * chunk * cols floats */
    struct qsums *sum; /* [chunks] */
    struct err *err;   /* [threads] */
    uint64_t *failed;  /* [threads]: chunk of the error */
};

static void
encode_chunk(void *ctx, size_t i, unsigned thread)
{
    struct slab *s = ctx;
    uint64_t from = i * s->chunk, n = s->rows - from;
    struct err e = { 0 };
    float *w = s->scratch[thread];

    n = n < s->chunk ? n : s->chunk;
    quantize_rows(s->q, s->t, s->row0 + from, n, w,
        w + s->chunk * s->t->plan->cols, s->out + from * s->row_bytes,
        &s->sum[i], &e);
    if (e.code && (!s->err[thread].code || i < s->failed[thread])) {
        s->err[thread] = e; /* the first chunk's, whoever came first */
        s->failed[thread] = i;
    }
}

static int
first_error(const struct slab *s, unsigned threads, struct err *e)
{
    const struct err *first = NULL;
    uint64_t least = UINT64_MAX;

    for (unsigned i = 0; i < threads; i++)
        if (s->err[i].code && s->failed[i] < least) {
            least = s->failed[i];
            first = &s->err[i];
        }
    return first == NULL ? 0 : err_set(e, first->code, "%s", first->text);
}

static int
encode_tensor(struct quantize *q, struct qtensor *t, struct gguf_writer *w,
    struct pool *pool, struct err *e)
{
    const struct tensor_plan *p = t->plan;
    unsigned threads = pool == NULL ? 1 : pool_threads(pool);
    uint64_t chunk = CHUNK_WEIGHTS / p->cols + 1, rows;
    struct slab s = { .q = q, .t = t, .chunk = chunk,
        .row_bytes = qtype_row_bytes(t->type, (size_t)p->cols) };

    rows = chunk * CHUNKS_A_SLAB < p->rows ? chunk * CHUNKS_A_SLAB : p->rows;
    s.out = mem_aligned((size_t)rows, s.row_bytes);
    s.scratch = mem_calloc(threads, sizeof *s.scratch);
    s.sum = mem_calloc(CHUNKS_A_SLAB, sizeof *s.sum);
    s.err = mem_calloc(threads, sizeof *s.err);
    s.failed = mem_calloc(threads, sizeof *s.failed);
    for (unsigned i = 0; i < threads; i++)
        s.scratch[i] = mem_aligned((size_t)(2 * chunk * p->cols),
            sizeof(float));
    for (s.row0 = 0; s.row0 < p->rows && !e->code; s.row0 += rows) {
        size_t chunks;

        s.rows = p->rows - s.row0 < rows ? p->rows - s.row0 : rows;
        chunks = (size_t)((s.rows + chunk - 1) / chunk);
        memset(s.sum, 0, chunks * sizeof *s.sum);
        pool_run(pool, chunks, encode_chunk, &s);
        if (first_error(&s, threads, e))
            break;
        for (size_t i = 0; i < chunks; i++) { /* in order: same sums always */
            t->err2 += s.sum[i].err2;
            t->norm2 += s.sum[i].norm2;
            t->werr2 += s.sum[i].werr2;
            t->wnorm2 += s.sum[i].wnorm2;
        }
        gguf_write_data(w, s.out, (size_t)s.rows * s.row_bytes);
    }
    for (unsigned i = 0; i < threads; i++)
        free(s.scratch[i]);
    free(s.scratch);
    free(s.sum);
    free(s.err);
    free(s.failed);
    free(s.out);
    return e->code;
}

int
quantize_write(struct quantize *q, struct gguf_writer *w, struct pool *pool,
    struct progress *progress, struct err *e)
{
    for (size_t i = 0; i < q->n; i++) {
        struct qtensor *t = &q->t[i];
        const struct tensor_plan *p = t->plan;
        uint64_t dim[3] = { p->cols, p->rows, p->experts };

        if (p->rank < 2)
            t->bytes = gguf_add_tensor(w, p->gguf, t->type, 1, dim + 1);
        else if (p->experts == 0)
            t->bytes = gguf_add_tensor(w, p->gguf, t->type, 2, dim);
        else /* the first expert's adds the stack of all */
            t->bytes = p->expert == 0 ?
                gguf_add_tensor(w, p->gguf, t->type, 3, dim) / p->experts :
                t[-1].bytes;
    }
    if (gguf_write_header(w, e))
        return e->code;
    for (size_t i = 0; i < q->n; i++) {
        if (encode_tensor(q, &q->t[i], w, pool, e))
            return e->code;
        stored_done(model_stored(q->model, q->t[i].plan));
        progress_add(progress, 1);
    }
    return 0;
}

static double
ratio(double err2, double norm2)
{
    return norm2 > 0 ? sqrt(err2 / norm2) : 0;
}

static json_t *
tensor_json(const struct qtensor *t)
{
    json_t *o = json_pack("{s:s, s:s, s:I, s:f}", "name", t->plan->gguf,
        "type", qtype_info(t->type)->name, "bytes", (json_int_t)t->bytes,
        "relative_error", ratio(t->err2, t->norm2));

    if (t->plan->experts > 0)
        json_object_set_new(o, "expert", json_integer(t->plan->expert));
    if (t->mean2 != NULL)
        json_object_set_new(o, "weighted_error",
            json_real(ratio(t->werr2, t->wnorm2)));
    if (t->type != t->asked)
        json_object_set_new(o, "fallback",
            json_sprintf("%s asked, rows of %llu are no multiple of %u",
                qtype_info(t->asked)->name,
                (unsigned long long)t->plan->cols,
                qtype_info(t->asked)->block));
    return o;
}

json_t *
quantize_json(const struct quantize *q)
{
    json_t *tensors = json_array(), *scales = json_array(), *o;
    double err2 = 0, norm2 = 0;

    for (size_t i = 0; i < q->n; i++) {
        json_array_append_new(tensors, tensor_json(&q->t[i]));
        if (q->t[i].plan->rank < 2)
            continue; /* norms and biases are exact */
        err2 += q->t[i].err2;
        norm2 += q->t[i].norm2;
    }
    for (size_t i = 0; i < q->n_scales; i++)
        json_array_append_new(scales, json_pack("{s:s, s:f, s:f, s:f}",
            "input", input_role_name(q->scale[i].input), "alpha",
            q->scale[i].alpha, "error", q->scale[i].error, "error_unscaled",
            q->scale[i].plain));
    o = json_pack("{s:s, s:s, s:o, s:f}", "schema", "quern.quantize/1",
        "method", quantize_method_name(q->method), "tensors", tensors,
        "relative_error", ratio(err2, norm2));
    if (json_array_size(scales) > 0)
        json_object_set(o, "scales", scales);
    json_decref(scales);
    json_object_set_new(o, "layer",
        q->layer < 0 ? json_string("head") : json_integer(q->layer));
    return o;
}
