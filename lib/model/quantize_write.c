/*
 * quantize_write.c - weights through the encoders into a file; see quantize.h
 *
 * Rows go through in pieces that stay in a core's own cache: widened, scaled,
 * encoded, decoded and compared. Chunks of pieces are shared out to threads; a
 * slab of chunks is hashed and written by one of them while the others are at
 * the next slab.
 */
#include "lib/model/quantize.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/decode.h"
#include "kernels/encode.h"
#include "kernels/measure.h"
#include "lib/base/mem.h"
#include "lib/model/model_impl.h"

enum {
    PIECE_WEIGHTS = 1 << 13, /* at once: rows of about so many weights */
    MEASURED = 16,           /* rows measured at once */
    CHUNK_WEIGHTS = 1 << 16, /* a task: so many */
    CHUNKS_A_SLAB = 32,      /* packed in memory at a time, twice */
};

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

/*
 * w [rows][cols] of the source, in GGUF's order, unscaled. What is not finite
 * is found by the encoder, and told here with `check`.
 */
static int
load_rows(const struct quantize *q, const struct qtensor *t, uint64_t row0,
    uint64_t rows, float *w, bool check, struct err *e)
{
    const struct tensor_plan *p = t->plan;
    const struct stored *s = model_stored(q->model, p);
    uint64_t step = source_row(q, p, 1) == 1 ? rows : 1; /* that lie together */

    if (p->rank < 2)
        return load_vector(q, p, row0, rows, w, e);
    for (uint64_t r = 0; r < rows && !e->code; r += step) {
        uint64_t from = step == 1 ? source_row(q, p, row0 + r) : row0;

        if (check)
            stored_to_f32(w + r * p->cols, s, from, step, e);
        else
            stored_widen(w + r * p->cols, s, from, step);
    }
    return e->code;
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

/* Adds rows, of which row0 is the first, to `sum`: want, got are as packed. */
static void
measure_rows(const struct quantize *q, const struct qtensor *t, uint64_t row0,
    uint64_t rows, const float *want, const float *got, struct qsums *sum)
{
    size_t cols = (size_t)t->plan->cols;

    for (uint64_t r = 0; r < rows; r += MEASURED) {
        size_t n = rows - r < MEASURED ? (size_t)(rows - r) : MEASURED;
        struct squares plain[MEASURED], weighted[MEASURED] = { { 0, 0 } };

        row_squares_f32(plain, want + r * cols, got + r * cols, t->unit2, n,
            cols);
        if (t->weight != NULL)
            row_squares_f32(weighted, want + r * cols, got + r * cols,
                t->weight, n, cols);
        for (size_t i = 0; i < n; i++) {
            double div = t->row_div == NULL ? 1
                : (double)t->row_div[source_row(q, t->plan, row0 + r + i)];
            double unit = div * div;

            sum->err2 += plain[i].err * unit;
            sum->norm2 += plain[i].norm * unit;
            sum->werr2 += weighted[i].err * unit;
            sum->wnorm2 += weighted[i].norm * unit;
        }
    }
}

/* Weight `bad` of rows that begin at row0 cannot be stored. */
static int
refuse(const struct quantize *q, const struct qtensor *t, uint64_t row0,
    uint64_t rows, size_t bad, float *w, struct err *e)
{
    const struct tensor_plan *p = t->plan;
    const double value = (double)w[bad];

    if (load_rows(q, t, row0, rows, w, true, e))
        return e->code;
    return err_set(e, ERR_WORK, "%s: tensor '%s': row %llu, column %llu is "
        "%g, more than %s holds (65504); choose BF16 or F32 for it",
        model_stored(q->model, p)->path, model_stored(q->model, p)->name,
        (unsigned long long)source_row(q, p, row0 + bad / p->cols),
        (unsigned long long)(bad % p->cols), value, qtype_info(t->type)->name);
}

int
quantize_rows(const struct quantize *q, const struct qtensor *t, uint64_t row0,
    uint64_t rows, float *w, float *back, void *dst, struct qsums *sum,
    struct err *e)
{
    const struct tensor_plan *p = t->plan;
    size_t n = (size_t)(rows * p->cols), bad;

    if (load_rows(q, t, row0, rows, w, false, e))
        return e->code;
    scale_rows(q, t, row0, rows, w);
    bad = qtype_encode(t->type, dst, w, (size_t)rows, (size_t)p->cols,
        t->importance);
    if (bad < n)
        return refuse(q, t, row0, rows, bad, w, e);
    qtype_decode(t->type, back, dst, n);
    measure_rows(q, t, row0, rows, w, back, sum);
    return 0;
}

/* What threads share: chunks of one slab, and the slab before to be written. */
struct slab {
    const struct quantize *q;
    struct qtensor *t;
    uint64_t row0, rows, chunk; /* rows of the slab, rows of a chunk */
    size_t row_bytes;
    uint8_t *out;      /* room for the largest slab */
    float **scratch;   /* [threads] of 2 * the largest piece */
    struct qsums *sum; /* [CHUNKS_A_SLAB] */
    struct err *err;   /* [threads] */
    uint64_t *failed;  /* [threads]: chunk of the error */
    struct gguf_writer *w;
    uint8_t *ready; /* as large as `out` */
    size_t n_ready; /* bytes of it not yet written */
};

/* Rows of a piece; a vector's are loaded as a whole for each. */
static uint64_t
piece_rows(const struct tensor_plan *p)
{
    return (p->rank < 2 ? CHUNK_WEIGHTS : PIECE_WEIGHTS) / p->cols + 1;
}

static void
encode_chunk(struct slab *s, size_t i, unsigned thread)
{
    const struct tensor_plan *p = s->t->plan;
    uint64_t from = i * s->chunk, left = s->rows - from;
    uint64_t end = from + (left < s->chunk ? left : s->chunk);
    uint64_t piece = piece_rows(p);
    float *w = s->scratch[thread];
    struct err e = { 0 };

    s->sum[i] = (struct qsums){ 0 };
    for (uint64_t r = from; r < end && !e.code; r += piece)
        quantize_rows(s->q, s->t, s->row0 + r,
            end - r < piece ? end - r : piece, w, w + piece * p->cols,
            s->out + r * s->row_bytes, &s->sum[i], &e);
    if (e.code && (!s->err[thread].code || i < s->failed[thread])) {
        s->err[thread] = e; /* the first chunk's, whoever came first */
        s->failed[thread] = i;
    }
}

static void
write_ready(struct slab *s)
{
    gguf_write_data(s->w, s->ready, s->n_ready);
    s->n_ready = 0;
}

static void
slab_task(void *ctx, size_t i, unsigned thread)
{
    if (i == 0)
        write_ready(ctx);
    else
        encode_chunk(ctx, i - 1, thread);
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

/* In order, whichever thread had which chunk: the same sums always. */
static void
add_sums(struct qtensor *t, const struct qsums *sum, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        t->err2 += sum[i].err2;
        t->norm2 += sum[i].norm2;
        t->werr2 += sum[i].werr2;
        t->wnorm2 += sum[i].wnorm2;
    }
}

/* Leaves the last slab ready, for the next tensor's first to be made beside. */
static int
encode_tensor(struct slab *s, struct qtensor *t, struct pool *pool,
    struct err *e)
{
    const struct tensor_plan *p = t->plan;
    uint64_t most;

    s->t = t;
    s->chunk = CHUNK_WEIGHTS / p->cols + 1;
    s->row_bytes = qtype_row_bytes(t->type, (size_t)p->cols);
    most = s->chunk * CHUNKS_A_SLAB;
    for (s->row0 = 0; s->row0 < p->rows; s->row0 += most) {
        uint8_t *filled = s->out;
        size_t chunks;

        s->rows = p->rows - s->row0 < most ? p->rows - s->row0 : most;
        chunks = (size_t)((s->rows + s->chunk - 1) / s->chunk);
        pool_run(pool, chunks + 1, slab_task, s);
        if (first_error(s, pool_threads(pool), e))
            return e->code;
        add_sums(t, s->sum, chunks);
        s->out = s->ready;
        s->ready = filled;
        s->n_ready = (size_t)s->rows * s->row_bytes;
    }
    return 0;
}

static void
slab_init(struct slab *s, const struct quantize *q, struct gguf_writer *w,
    unsigned threads)
{
    size_t floats = 0, bytes = 0;

    for (size_t i = 0; i < q->n; i++) {
        const struct tensor_plan *p = q->t[i].plan;
        uint64_t rows = (CHUNK_WEIGHTS / p->cols + 1) * CHUNKS_A_SLAB;
        size_t n = (size_t)(piece_rows(p) * p->cols);
        size_t b = (size_t)(rows < p->rows ? rows : p->rows) *
            qtype_row_bytes(q->t[i].type, (size_t)p->cols);

        floats = n > floats ? n : floats;
        bytes = b > bytes ? b : bytes;
    }
    *s = (struct slab){ .q = q, .w = w };
    s->out = mem_aligned(bytes, 1);
    s->ready = mem_aligned(bytes, 1);
    s->scratch = mem_calloc(threads, sizeof *s->scratch);
    for (unsigned i = 0; i < threads; i++)
        s->scratch[i] = mem_aligned(2 * floats, sizeof(float));
    s->sum = mem_calloc(CHUNKS_A_SLAB, sizeof *s->sum);
    s->err = mem_calloc(threads, sizeof *s->err);
    s->failed = mem_calloc(threads, sizeof *s->failed);
}

static void
slab_release(struct slab *s, unsigned threads)
{
    for (unsigned i = 0; i < threads; i++)
        free(s->scratch[i]);
    free(s->scratch);
    free(s->sum);
    free(s->err);
    free(s->failed);
    free(s->out);
    free(s->ready);
}

static void
add_tensors(struct quantize *q, struct gguf_writer *w)
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
}

int
quantize_write(struct quantize *q, struct gguf_writer *w, struct pool *pool,
    struct progress *progress, struct err *e)
{
    struct slab s;

    add_tensors(q, w);
    if (gguf_write_header(w, e))
        return e->code;
    slab_init(&s, q, w, pool_threads(pool));
    for (size_t i = 0; i < q->n; i++) {
        if (encode_tensor(&s, &q->t[i], pool, e))
            break;
        stored_done(model_stored(q->model, q->t[i].plan));
        progress_add(progress, 1);
    }
    if (!e->code)
        write_ready(&s);
    slab_release(&s, pool_threads(pool));
    return e->code;
}
