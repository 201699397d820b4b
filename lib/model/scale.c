/*
 * scale.c - choose AWQ scales for a layer (see quantize.h)
 *
 * The loss of a matrix is tr(E D E^T) with D = diag(mean2): no forward pass is
 * needed. It is measured on rows spread evenly over the matrix, after the very
 * encoder that writes the file, and divided by the same sum over W itself, so
 * that matrices of one group count alike.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/qtype.h"
#include "lib/base/mem.h"
#include "lib/model/quantize.h"

enum {
    ALPHAS = 20,        /* 0, .05 .. .95 */
    SAMPLE_ROWS = 128,  /* of each matrix */
    MOST_READERS = 4,
};

/* Matrices that read one input, and what makes that input. */
struct group {
    enum input_role input;
    struct qtensor *reader[MOST_READERS];
    size_t n;
    struct qtensor *maker; /* a norm, v or up */
    struct qtensor *maker_bias; /* or NULL */
    size_t cols;
    uint32_t head_dim, shared; /* of o: query heads for one kv head; else 0 */
    float *base;           /* [cols] absmean, shared ones averaged */
};

static struct qtensor *
find(struct quantize *q, enum tensor_role role, bool bias)
{
    for (size_t i = 0; i < q->n; i++)
        if (q->t[i].plan->role == role && q->t[i].plan->bias == bias)
            return &q->t[i];
    return NULL;
}

/* Column of o -> row of v that makes it. */
static size_t
maker_row(const struct group *g, size_t j)
{
    if (g->shared == 0)
        return j;
    return j / g->head_dim / g->shared * g->head_dim + j % g->head_dim;
}

static int
fill_base(struct quantize *q, struct group *g, struct err *e)
{
    size_t rows = (size_t)g->maker->plan->rows;
    double *sum = mem_calloc(rows, sizeof *sum);
    struct columns c;

    if (statistics_columns(q->stats, g->input, g->cols, &c, e) == 0) {
        g->base = mem_calloc(g->cols, sizeof *g->base);
        for (size_t j = 0; j < g->cols; j++)
            sum[maker_row(g, j)] += (double)c.absmean[j];
        for (size_t j = 0; j < g->cols; j++)
            g->base[j] = (float)(sum[maker_row(g, j)] /
                (g->shared == 0 ? 1 : g->shared));
    }
    free(sum);
    return e->code;
}

/*
 * x^(k / 20) from square roots, a fifth root by Newton's method and products
 * alone: pow() of the C library differs from processor to processor.
 */
static double
power_of(double x, size_t k)
{
    double y = sqrt(sqrt(x)), z, power = 1;
    int exponent;

    if (!(x > 0))
        return k == 0 ? 1 : 0;
    frexp(y, &exponent);
    z = ldexp(1, exponent / 5 + 1); /* above the root: falls from there */
    for (int i = 0; i < 60; i++) {
        double z2 = z * z, next = (4 * z + y / (z2 * z2)) / 5;

        if (next >= z)
            break;
        z = next;
    }
    for (size_t i = 0; i < k; i++)
        power *= z;
    return power;
}

/* s = base^(k / 20), at least 1e-4, then over sqrt(largest * smallest). */
static void
make_scales(const struct group *g, size_t k, float *s)
{
    double low = HUGE_VAL, high = 0;

    for (size_t j = 0; j < g->cols; j++) {
        double v = power_of((double)g->base[j], k);

        v = v < 1e-4 ? 1e-4 : v;
        s[j] = (float)v;
        low = v < low ? v : low;
        high = v > high ? v : high;
    }
    for (size_t j = 0; j < g->cols; j++)
        s[j] = (float)((double)s[j] / sqrt(low * high));
}

/* Trials of one group; each alpha is a task. */
struct trial {
    const struct quantize *q;
    const struct group *g;
    double loss[ALPHAS];
    struct err *err; /* [ALPHAS] */
};

/* Weighted relative error of the sampled rows of one matrix. */
static double
matrix_loss(const struct quantize *q, const struct qtensor *t, struct err *e)
{
    const struct tensor_plan *p = t->plan;
    uint64_t n = p->rows < SAMPLE_ROWS ? p->rows : SAMPLE_ROWS;
    float *w = mem_aligned((size_t)(2 * p->cols), sizeof *w);
    void *packed = mem_aligned(qtype_row_bytes(t->type, (size_t)p->cols), 1);
    struct qsums sum = { 0 };

    for (uint64_t i = 0; i < n; i++)
        if (quantize_rows(q, t, i * p->rows / n, 1, w, w + p->cols, packed,
                &sum, e))
            break;
    free(w);
    free(packed);
    return sum.wnorm2 > 0 ? sum.werr2 / sum.wnorm2 : 0;
}

static void
try_alpha(void *ctx, size_t i, unsigned thread)
{
    struct trial *t = ctx;
    float *s = mem_calloc(t->g->cols, sizeof *s);

    (void)thread;
    make_scales(t->g, i, s);
    for (size_t k = 0; k < t->g->n && !t->err[i].code; k++) {
        struct qtensor own = qtensor_unscaled(t->g->reader[k]);

        quantize_set_columns(&own, s);
        t->loss[i] += matrix_loss(t->q, &own, &t->err[i]);
        qtensor_release(&own);
    }
    free(s);
}

/* Multiplies readers' columns by s and divides the maker's rows by it. */
static void
fold(struct group *g, const float *s)
{
    size_t rows = (size_t)g->maker->plan->rows;
    struct qtensor *made[] = { g->maker, g->maker_bias };

    for (size_t k = 0; k < g->n; k++)
        quantize_set_columns(g->reader[k], s);
    for (size_t k = 0; k < countof(made); k++) {
        if (made[k] == NULL)
            continue;
        made[k]->row_div = mem_calloc(rows, sizeof(float));
        for (size_t j = 0; j < g->cols; j++)
            made[k]->row_div[maker_row(g, j)] = s[j];
    }
}

static int
scale_group(struct quantize *q, struct group *g, struct pool *pool,
    struct err *e)
{
    struct trial t = { .q = q, .g = g,
        .err = mem_calloc(ALPHAS, sizeof *t.err) };
    float *s = mem_calloc(g->cols, sizeof *s);
    size_t best = 0;

    pool_run(pool, ALPHAS, try_alpha, &t);
    for (size_t i = 0; i < ALPHAS && !e->code; i++)
        if (t.err[i].code)
            err_set(e, t.err[i].code, "%s", t.err[i].text);
    for (size_t i = 1; i < ALPHAS; i++)
        if (t.loss[i] < t.loss[best])
            best = i;
    if (!e->code) {
        make_scales(g, best, s);
        if (best > 0)
            fold(g, s);
        q->scale[q->n_scales++] = (struct qscale){ .input = g->input,
            .alpha = (double)best / ALPHAS,
            .error = sqrt(t.loss[best] / (double)g->n),
            .plain = sqrt(t.loss[0] / (double)g->n) };
    }
    free(s);
    free(t.err);
    return e->code;
}

/* The group of an input, or one without readers. */
static struct group
group_of(struct quantize *q, enum input_role in)
{
    static const struct {
        enum tensor_role reader[MOST_READERS], maker;
        size_t n;
    } row[] = {
        [IN_QKV] = { { ROLE_Q, ROLE_K, ROLE_V, ROLE_QKV }, ROLE_ATTN_NORM,
            4 },
        [IN_O] = { { ROLE_O }, ROLE_V, 1 },
        [IN_GATE_UP] = { { ROLE_GATE, ROLE_UP, ROLE_GATE_UP }, ROLE_FFN_NORM,
            3 },
        [IN_DOWN] = { { ROLE_DOWN }, ROLE_UP, 1 },
    };
    const struct model_config *c = model_config(q->model);
    struct group g = { .input = in };

    g.maker = find(q, row[in].maker, false);
    g.maker_bias = find(q, row[in].maker, true);
    for (size_t i = 0; i < row[in].n && g.maker != NULL; i++) {
        struct qtensor *t = find(q, row[in].reader[i], false);

        if (t != NULL)
            g.reader[g.n++] = t;
    }
    if (g.n == 0)
        return g;
    g.cols = (size_t)g.reader[0]->plan->cols;
    if (in == IN_O) {
        g.head_dim = c->head_dim;
        g.shared = c->heads / c->kv_heads;
    }
    return g;
}

int
quantize_scale(struct quantize *q, struct pool *pool, struct err *e)
{
    for (enum input_role in = 0; in < IN_OUTPUT && q->layer >= 0 &&
         q->method == METHOD_AWQ && !e->code; in++) {
        struct group g = group_of(q, in);

        if (g.n > 0 && fill_base(q, &g, e) == 0)
            scale_group(q, &g, pool, e);
        free(g.base);
    }
    return e->code;
}
