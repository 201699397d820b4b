/*
 * session.c - reading texts with a model; see model.h
 */
#include <float.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/measure.h"
#include "kernels/vec.h"
#include "lib/base/mem.h"
#include "lib/model/forward.h"
#include "lib/model/model_impl.h"

enum {
    LOGIT_FLOATS = 4 << 20, /* at most so many logits are held */
    STEP_ROWS = 64,         /* sessions that step together */
};

struct session {
    const struct model *m; /* borrowed */
    struct work work;
    struct kv *kv;         /* [layers] */
    size_t len, capacity;
    bool far;              /* keys are turned by the far frequencies */
    int32_t *ids;          /* [len], kept where `far` can change */
    size_t id_cap;
    float *x;              /* [BATCH_ROWS][hidden], as far as was needed */
    size_t x_rows;
    float *rows;           /* [logit_rows][hidden]: rows whose logits are due */
    float *logits;         /* [logit_rows][vocab] */
    size_t *due;           /* [logit_rows]: which ids those rows are of */
    size_t logit_rows, logit_cap;
};

struct session *
session_new(const struct model *m, size_t capacity, struct pool *pool)
{
    struct session *s = mem_calloc(1, sizeof *s);
    size_t rows = LOGIT_FLOATS / m->c.vocab;

    s->m = m;
    s->capacity = capacity > 0 ? capacity : m->c.positions;
    if (m->c.rope.type == ROPE_DYNAMIC && s->capacity > m->c.positions)
        s->capacity = m->c.positions; /* longer texts would turn otherwise */
    s->kv = mem_calloc(m->c.layers, sizeof *s->kv);
    s->logit_rows = rows < 1 ? 1 : rows > BATCH_ROWS ? BATCH_ROWS : rows;
    work_init(&s->work, &m->c, m->inv, m->blas, pool);
    return s;
}

void
session_free(struct session *s)
{
    if (s == NULL)
        return;
    for (uint32_t i = 0; i < s->m->c.layers; i++)
        kv_release(&s->kv[i]);
    work_release(&s->work);
    free(s->kv);
    free(s->x);
    free(s->rows);
    free(s->logits);
    free(s->due);
    free(s->ids);
    free(s);
}

void
session_trim(struct session *s)
{
    struct pool *pool = s->work.pool;

    work_release(&s->work);
    work_init(&s->work, &s->m->c, s->m->inv, s->m->blas, pool);
    free(s->x);
    free(s->rows);
    free(s->logits);
    free(s->due);
    s->x = s->rows = s->logits = NULL;
    s->due = NULL;
    s->x_rows = s->logit_cap = 0;
}

size_t
session_len(const struct session *s)
{
    return s->len;
}

void
session_reset(struct session *s)
{
    s->len = 0;
}

void
session_truncate(struct session *s, size_t n)
{
    if (n < s->len)
        s->len = n;
}

/* Room for n positions at once, of which `due` want logits. */
static void
reserve(struct session *s, size_t n, size_t due)
{
    size_t h = s->m->c.hidden;

    work_reserve(&s->work, n);
    if (n > s->x_rows) {
        s->x_rows = s->work.rows;
        free(s->x);
        s->x = mem_aligned(s->x_rows * h, sizeof(float));
    }
    if (due > s->logit_cap) {
        s->logit_cap = due;
        free(s->rows);
        free(s->logits);
        free(s->due);
        s->rows = mem_aligned(due * h, sizeof(float));
        s->logits = mem_aligned(due * s->m->c.vocab, sizeof(float));
        s->due = mem_calloc(due, sizeof *s->due);
    }
}

struct each {
    void (*fn)(void *ctx, size_t i, float *logits);
    void *ctx;
};

/* Logits of the rows that are due, handed out in order. */
static void
flush(struct session *s, size_t n, const struct each *each)
{
    const struct model *m = s->m;

    if (n == 0)
        return;
    norm_rows(&s->work, s->rows, s->rows, m->output_norm, n);
    act_forget(&s->work);
    matrix_apply(&s->work, model_output(m), s->logits, s->rows, n);
    act_forget(&s->work);
    if (m->c.logit_cap > 0)
        soft_cap(s->logits, n * m->c.vocab, (float)m->c.logit_cap);
    for (size_t i = 0; i < n; i++)
        each->fn(each->ctx, s->due[i], s->logits + i * m->c.vocab);
}

/* s->x, the rows of all sessions, through every layer; the last keeps some. */
static void
run_layers(struct session *s, struct session *const *of, struct span *spans,
    size_t n, const struct some_rows *keep)
{
    const struct model *m = s->m;

    work_spans(&s->work, spans, n);
    for (uint32_t i = 0; i < m->c.layers; i++) {
        for (size_t k = 0; k < n; k++) {
            spans[k].kv = &of[k]->kv[i];
            kv_reserve(spans[k].kv, &m->c, spans[k].pos0,
                spans[k].pos0 + spans[k].n);
        }
        block_forward(&s->work, &m->blocks[i], spans, n, s->x,
            i + 1 == m->c.layers ? keep : NULL, NULL, NULL);
    }
    for (size_t k = 0; k < n; k++)
        of[k]->len += spans[k].n;
}

/* Up to BATCH_ROWS ids; `first` is the number of the first one for fn. */
static void
run_batch(struct session *s, const int32_t *ids, size_t n, size_t first,
    const bool *want, const struct each *each)
{
    struct span span = { .n = n, .pos0 = s->len, .far = s->far };
    size_t h = s->m->c.hidden, rows[BATCH_ROWS];
    struct some_rows keep = { rows, 0 };

    for (size_t i = 0; i < n; i++)
        if (want == NULL || want[i])
            rows[keep.n++] = i;
    reserve(s, n, keep.n < s->logit_rows ? keep.n : s->logit_rows);
    model_embed_rows(s->m, ids, n, s->x);
    run_layers(s, &s, &span, 1, &keep);
    for (size_t i = 0; i < keep.n; i += s->logit_rows) {
        size_t due = keep.n - i < s->logit_rows ? keep.n - i : s->logit_rows;

        memcpy(s->rows, s->x + i * h, due * h * sizeof(float));
        for (size_t k = 0; k < due; k++)
            s->due[k] = first + rows[i + k];
        flush(s, due, each);
    }
}

/*
 * A text that gets longer than the trained context turns by other frequencies
 * from its very beginning, whether it comes at once or step by step: what was
 * read is read again then. The same when it was cut short.
 */
static void
prepare_len(struct session *s, const int32_t *ids, size_t n)
{
    static const bool none[BATCH_ROWS];
    bool far = rope_is_far(&s->m->c.rope, s->len + n);
    size_t had = s->len;

    if (s->m->c.rope.type != ROPE_LONGROPE)
        return;
    if (had + n > s->id_cap) {
        s->id_cap = 2 * (had + n);
        s->ids = mem_realloc(s->ids, s->id_cap, sizeof *s->ids);
    }
    memcpy(s->ids + had, ids, n * sizeof *ids);
    if (far == s->far)
        return;
    s->far = far;
    s->len = 0;
    for (size_t i = 0; i < had; i += BATCH_ROWS)
        run_batch(s, s->ids + i, had - i < BATCH_ROWS ? had - i : BATCH_ROWS,
            i, none, NULL);
}

static int
check_room(const struct session *s, size_t n, struct err *e)
{
    if (n <= s->capacity - s->len)
        return 0;
    return err_set(e, ERR_WORK, "%s: a text of %zu tokens is longer than the "
        "%zu positions it may have; shorten it", s->m->path, s->len + n,
        s->capacity);
}

int
session_each(struct session *s, const int32_t *ids, size_t n,
    const bool *want, void (*fn)(void *ctx, size_t i, float *logits),
    void *ctx, struct err *e)
{
    const struct each each = { fn, ctx };

    if (model_check_ids(s->m, ids, n, e) != 0 || check_room(s, n, e) != 0)
        return e->code;
    prepare_len(s, ids, n);
    for (size_t i = 0; i < n; i += BATCH_ROWS) {
        size_t part = n - i < BATCH_ROWS ? n - i : BATCH_ROWS;

        run_batch(s, ids + i, part, i, want != NULL ? want + i : NULL, &each);
    }
    return 0;
}

struct copy_ctx {
    float *logits;
    size_t vocab;
    bool all;
};

static void
copy_logits(void *ctx, size_t i, float *logits)
{
    const struct copy_ctx *c = ctx;

    memcpy(c->logits + (c->all ? i * c->vocab : 0), logits,
        c->vocab * sizeof *logits);
}

int
session_eval(struct session *s, const int32_t *ids, size_t n, float *logits,
    enum logits_want want, struct err *e)
{
    struct copy_ctx c = { logits, s->m->c.vocab, want == LOGITS_ALL };
    bool *which = NULL;
    int code;

    if (n == 0)
        return 0;
    if (want != LOGITS_ALL) {
        which = mem_calloc(n, sizeof *which);
        which[n - 1] = want == LOGITS_LAST;
    }
    code = session_each(s, ids, n, which, copy_logits, &c, e);
    free(which);
    return code;
}

/* One id of each session; `logits` is for the first of them. */
static void
step_batch(struct session *const *s, const int32_t *ids, size_t n,
    float *logits)
{
    struct session *lead = s[0];
    struct span spans[STEP_ROWS];
    struct copy_ctx c = { logits, lead->m->c.vocab, true };
    const struct each each = { copy_logits, &c };
    size_t h = lead->m->c.hidden;

    for (size_t i = 0; i < n; i++)
        prepare_len(s[i], ids + i, 1);
    reserve(lead, n, n < lead->logit_rows ? n : lead->logit_rows);
    model_embed_rows(lead->m, ids, n, lead->x);
    for (size_t i = 0; i < n; i++)
        spans[i] = (struct span){ .row0 = i, .n = 1, .pos0 = s[i]->len,
            .far = s[i]->far };
    run_layers(lead, s, spans, n, NULL);
    for (size_t i = 0; i < n; i += lead->logit_rows) {
        size_t part = n - i < lead->logit_rows ? n - i : lead->logit_rows;

        memcpy(lead->rows, lead->x + i * h, part * h * sizeof(float));
        for (size_t k = 0; k < part; k++)
            lead->due[k] = i + k;
        flush(lead, part, &each);
    }
}

int
session_step(struct session *const *s, const int32_t *ids, size_t n,
    float *logits, struct err *e)
{
    if (n == 0)
        return 0;
    if (model_check_ids(s[0]->m, ids, n, e) != 0)
        return e->code;
    for (size_t i = 0; i < n; i++)
        if (check_room(s[i], 1, e) != 0)
            return e->code;
    for (size_t i = 0; i < n; i += STEP_ROWS)
        step_batch(s + i, ids + i, n - i < STEP_ROWS ? n - i : STEP_ROWS,
            logits + i * s[0]->m->c.vocab);
    return 0;
}

size_t
logits_argmax(const float *logits, size_t n)
{
    size_t best = 0;

    for (size_t i = 1; i < n; i++)
        if (logits[i] > logits[best])
            best = i;
    return best;
}

double
logits_logprob(const float *logits, size_t n, size_t i)
{
    return (double)logits[i] - logsumexp_f32(logits, n);
}

struct score_ctx {
    const int32_t *targets;
    struct token_score *out;
    size_t vocab;
};

static void
score_logits(void *ctx, size_t i, float *logits)
{
    const struct score_ctx *c = ctx;
    size_t target = (size_t)c->targets[i];
    struct token_score *out = &c->out[i];

    out->finite = first_beyond_f32(logits, c->vocab, FLT_MAX) == c->vocab;
    out->logprob = logits_logprob(logits, c->vocab, target);
    out->greedy = logits_argmax(logits, c->vocab) == target;
}

int
session_score(struct session *s, const int32_t *ids, size_t n,
    const int32_t *targets, struct token_score *out, struct err *e)
{
    struct score_ctx c = { targets, out, s->m->c.vocab };
    bool *want = mem_calloc(n, sizeof *want);
    int code = 0;

    for (size_t i = 0; i < n && code == 0; i++) {
        want[i] = targets[i] != -1;
        if (want[i])
            code = model_check_ids(s->m, &targets[i], 1, e);
    }
    if (code == 0)
        code = session_each(s, ids, n, want, score_logits, &c, e);
    free(want);
    return code;
}
