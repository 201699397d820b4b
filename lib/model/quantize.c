#include "lib/model/quantize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/model/model_impl.h"

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
