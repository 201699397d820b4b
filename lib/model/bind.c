/*
 * bind.c - every tensor of the plan found in the folder or file, of the right
 * shape and type, and none too many
 */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/model/model_impl.h"

/* "[2048, 256]" */
static void
shape_text(struct str *s, const uint64_t *shape, unsigned rank)
{
    for (unsigned i = 0; i < rank; i++)
        str_addf(s, "%s%llu", i > 0 ? ", " : "[",
            (unsigned long long)shape[i]);
    str_add(s, rank > 0 ? "]" : "[]");
}

static int
wrong_shape(const char *path, const char *name, const struct tensor_plan *p,
    const uint64_t *shape, unsigned rank, struct err *e)
{
    uint64_t want[2] = { p->rows, p->cols };
    struct str found = { 0 }, need = { 0 };

    shape_text(&found, shape, rank);
    shape_text(&need, want, p->rank);
    err_set(e, ERR_WORK, "%s: tensor '%s' has shape %s where the config asks "
        "for %s; fetch the model again", path, name, str_get(&found),
        str_get(&need));
    str_release(&found);
    str_release(&need);
    return e->code;
}

/* A vector is one row, so that it converts like a matrix. */
static void
fill_stored(struct stored *s, const struct tensor_plan *p, const void *data,
    enum qtype type, const char *path, const char *name)
{
    *s = (struct stored){ .data = data, .type = type, .path = path,
        .name = name, .rows = p->rank == 1 ? 1 : p->rows,
        .cols = p->rank == 1 ? p->rows : p->cols };
}

/* F32, F16 or BF16. */
static int
hf_type(enum qtype *type, const struct ck_tensor *t, struct err *e)
{
    static const enum qtype known[] = { QT_F32, QT_F16, QT_BF16 };

    for (size_t i = 0; i < countof(known); i++) {
        if (strcmp(qtype_info(known[i])->name, t->dtype) == 0) {
            *type = known[i];
            return 0;
        }
    }
    return err_set(e, ERR_WORK, "%s: tensor '%s' has type %s; quern reads F32, "
        "F16 and BF16 weights", t->path, t->name, t->dtype);
}

/* One expert's part of [experts][rows][cols], gate above up. */
static int
check_stacked_tensor(struct stored *s, const struct tensor_plan *p,
    const struct ck_tensor *t, struct err *e)
{
    const uint64_t each = p->role == ROLE_DOWN_EXPERT ? p->rows : 2 * p->rows;
    const uint64_t first = p->role == ROLE_UP_EXPERT ? p->rows : 0;
    struct stored all;
    enum qtype type;

    if (t->rank != 3 || t->shape[0] != p->experts || t->shape[1] != each ||
        t->shape[2] != p->cols)
        return err_set(e, ERR_WORK, "%s: tensor '%s' is not of the shape "
            "[%u, %llu, %llu] that the config asks for; fetch the model again",
            t->path, t->name, p->experts, (unsigned long long)each,
            (unsigned long long)p->cols);
    if (hf_type(&type, t, e) != 0)
        return e->code;
    fill_stored(&all, p, t->data, type, t->path, t->name);
    all.rows = p->experts * each;
    *s = stored_slice(&all, p->expert * each + first, p->rows);
    return 0;
}

static int
check_hf_tensor(struct stored *s, const struct tensor_plan *p,
    const struct ck_tensor *t, struct err *e)
{
    enum qtype type;

    if (t->rank != p->rank || t->shape[0] != p->rows ||
        (p->rank == 2 && t->shape[1] != p->cols))
        return wrong_shape(t->path, t->name, p, t->shape, t->rank, e);
    if (hf_type(&type, t, e) == 0)
        fill_stored(s, p, t->data, type, t->path, t->name);
    return e->code;
}

/* More tensors than the model has: which one is it? */
static int
unexpected_hf(const struct model *m, struct err *e)
{
    for (size_t i = 0; i < m->ck.n; i++)
        if (!arch_ignores(&m->c, m->ck.t[i].name) &&
            plan_find_hf(&m->plan, m->ck.t[i].name) == NULL)
            return err_set(e, ERR_WORK, "%s: tensor '%s' is not part of a %s "
                "with this config; is config.json of another model?",
                m->ck.t[i].path, m->ck.t[i].name, arch_hf_name(m->c.arch));
    return 0;
}

int
model_bind_folder(struct model *m, struct err *e)
{
    size_t ignored = 0;

    for (size_t i = 0; i < m->plan.n; i++) {
        const struct tensor_plan *p = &m->plan.t[i];
        const struct ck_tensor *t = checkpoint_find(&m->ck, p->hf);

        if (t == NULL)
            return err_set(e, ERR_WORK, "%s: tensor '%s' is missing; fetch the "
                "model again", m->path, p->hf);
        if ((p->experts > 0 && m->c.stacked ? check_stacked_tensor :
                check_hf_tensor)(&m->stored[i], p, t, e) != 0)
            return e->code;
    }
    for (size_t i = 0; i < m->ck.n; i++)
        ignored += arch_ignores(&m->c, m->ck.t[i].name);
    /* stacked, a name stands for many entries of the plan: no use counting */
    return m->c.stacked || m->ck.n - ignored > m->plan.n ?
        unexpected_hf(m, e) : 0;
}

/* Names of rotary tensors, which config_from_gguf reads and checks. */
static bool
is_rope_tensor(const char *name)
{
    return strcmp(name, "rope_freqs.weight") == 0 ||
        strcmp(name, "rope_factors_long.weight") == 0 ||
        strcmp(name, "rope_factors_short.weight") == 0;
}

static int
check_gguf_tensor(struct stored *s, const struct tensor_plan *p,
    const struct gguf_tensor *t, struct err *e)
{
    uint64_t shape[3] = { t->dim[2], t->dim[1], t->dim[0] };
    uint64_t rows = p->rank == 1 ? 1 : p->rows;
    uint64_t cols = p->rank == 1 ? p->rows : p->cols;
    uint64_t stack = p->experts > 0 ? p->experts : 1;
    struct stored one;

    if (p->experts > 0 && (t->n_dims != 3 || t->dim[2] != stack))
        return err_set(e, ERR_WORK, "%s: tensor '%s' is not a stack of %llu "
            "experts; make the file again", t->map->path, t->name,
            (unsigned long long)stack);
    if ((p->experts == 0 && t->n_dims > 2) || t->dim[0] != cols ||
        t->dim[1] != rows)
        return wrong_shape(t->map->path, t->name, p,
            p->rank == 1 ? &shape[2] : &shape[1], p->rank, e);
    if (t->type == QT_COUNT || (p->rank == 1 && t->type != QT_F32 &&
        t->type != QT_F16 && t->type != QT_BF16))
        return err_set(e, ERR_WORK, "%s: tensor '%s' has type %s, which quern "
            "does not compute with; take another type", t->map->path, t->name,
            gguf_type_name(t->ggml_type));
    fill_stored(&one, p, gguf_data(t), t->type, t->map->path, t->name);
    *s = stored_slice(&one, p->expert * rows, rows);
    return 0;
}

int
model_bind_gguf(struct model *m, struct err *e)
{
    const struct gguf *g = &m->ck.gguf;
    size_t known = 0;

    for (size_t i = 0; i < m->plan.n; i++) {
        const struct tensor_plan *p = &m->plan.t[i];
        const struct gguf_tensor *t = gguf_find(g, p->gguf);

        if (t == NULL)
            return err_set(e, ERR_WORK, "%s: tensor '%s' is missing; make the "
                "file again", m->path, p->gguf);
        if (check_gguf_tensor(&m->stored[i], p, t, e) != 0)
            return e->code;
        known += p->expert == 0;
    }
    for (size_t i = 0; i < g->n; i++)
        known += is_rope_tensor(g->t[i].name);
    for (size_t i = 0; g->n > known && i < g->n; i++)
        if (!is_rope_tensor(g->t[i].name) &&
            plan_find_gguf(&m->plan, g->t[i].name) == NULL)
            return err_set(e, ERR_WORK, "%s: tensor '%s' is not part of a "
                "'%s' with these keys; make the file again", m->path,
                g->t[i].name, arch_gguf_name(m->c.arch));
    return 0;
}
