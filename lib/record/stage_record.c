/*
 * stage_record.c - the record of a stage, and committing it
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/record/stage_private.h"

static void
add_arg(struct record *r, char *arg)
{
    if ((r->n_args & (r->n_args - 1)) == 0)
        r->args = mem_realloc(r->args, r->n_args > 0 ? 2 * r->n_args : 1,
            sizeof *r->args);
    r->args[r->n_args++] = arg;
}

/* By role only: where a file lies is nobody's business. */
static void
add_roles(struct record *r, const char *kind, const struct stage_files *f)
{
    for (size_t i = 0; i < f->n; i++)
        add_arg(r, mem_printf("--%s=%s", kind, f->v[i].role));
}

static int
compare_args(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void
stage_record(const struct stage *s, struct record *r)
{
    size_t first;

    *r = (struct record){ .stage = mem_strdup(s->id),
        .step = mem_strdup(s->spec->step), .phase = mem_strdup(s->phase),
        .signer = mem_strdup(s->signer), .program = *stage_program(s) };
    add_arg(r, mem_printf("--stage=%s", s->id));
    add_arg(r, mem_printf("--phase=%s", s->phase));
    add_arg(r, mem_printf("--signer=%s", s->signer));
    for (size_t i = 0; i < s->n_items; i++)
        add_arg(r, mem_printf("--item=%s", s->items[i]));
    add_roles(r, "in", &s->in);
    add_roles(r, "src", &s->src);
    add_roles(r, "dst", &s->dst);
    add_roles(r, "out", &s->out);
    first = r->n_args;
    for (size_t i = 0; i < s->n_params; i++)
        add_arg(r, mem_printf("--set=%s=%s", s->params[i].name,
            s->params[i].value));
    /* by name is not by argument: "a-b=" sorts before "a=" */
    if (r->n_args > first)
        qsort(r->args + first, r->n_args - first, sizeof *r->args,
            compare_args);
    for (size_t i = 0; i < s->in.n; i++)
        record_add(&r->materials, s->in.v[i].role, &s->in.v[i].digest);
    for (size_t i = 0; i < s->out.n; i++)
        record_add(&r->products, s->out.v[i].role, &s->out.v[i].digest);
    r->answers = s->answers != NULL ? json_incref(s->answers) : json_object();
    r->notes = s->notes != NULL ? json_incref(s->notes) : json_object();
}

/* The outputs that are still open, whole now; and those not written at all. */
static int
finish_outputs(struct stage *s, struct outfile **open, size_t *n,
    struct err *e)
{
    for (size_t i = 0; i < s->out.n; i++) {
        struct stage_file *f = s->out.v + i;

        if (f->committed)
            continue;
        if (f->file.f == NULL)
            return err_set(e, ERR_WORK,
                "%s: was not written by quern-%s; report this as a bug",
                f->path, s->spec->step);
        if (outfile_finish(&f->file, e) != 0)
            return e->code;
        f->digest = f->file.digest;
        f->bytes = f->file.bytes;
        open[(*n)++] = &f->file;
    }
    return 0;
}

/* Outputs and their record at once: outputs first, the record that vouches
 * for them last. */
static int
commit_files(struct stage *s, struct err *e)
{
    struct outfile **open = mem_calloc(s->out.n + 2, sizeof(struct outfile *));
    struct outfile att[2] = { { .slot = -1 }, { .slot = -1 } };
    struct record r;
    size_t n = 0;

    if (finish_outputs(s, open, &n, e) == 0) {
        stage_record(s, &r);
        if (record_prepare(&r, &s->priv->key, s->dir, att, e) == 0) {
            open[n++] = &att[0];
            open[n++] = &att[1];
            outfile_commit_all(open, n, e);
        }
        record_release(&r);
    }
    for (size_t i = 0; i < s->out.n; i++)
        s->out.v[i].committed = e->code == 0;
    for (size_t i = 0; i < 2; i++)
        outfile_release(&att[i]);
    free(open);
    return e->code;
}

int
stage_commit(struct stage *s, struct err *e)
{
    for (size_t i = 0; i < s->in.n; i++)
        if (map_unchanged(&s->in.v[i].map, e) != 0)
            return e->code;
    return commit_files(s, e);
}
