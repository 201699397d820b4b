/*
 * stage.c - what a step sees of its frame, and the frame's own course; see
 * stage.h
 */
#include "lib/record/stage.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/record/stage_private.h"

enum {
    JSON_LIMIT = 1024 * 1024 * 1024, /* bytes of an input read as JSON */
    FIGURE_LIMIT = 400,              /* bytes of an answer's figure */
};

const char *
stage_param(const struct stage *s, const char *name)
{
    for (size_t i = 0; i < s->n_params; i++)
        if (strcmp(s->params[i].name, name) == 0)
            return s->params[i].value;
    return NULL;
}

int
stage_param_int(const struct stage *s, const char *name, int64_t min,
    int64_t max, int64_t *out, struct err *e)
{
    const char *text = stage_param(s, name);
    bool minus = text != NULL && *text == '-';
    unsigned long long v;
    int64_t number;

    if (text != NULL && str_to_u64(text + minus, INT64_MAX, &v)) {
        number = minus ? -(int64_t)v : (int64_t)v;
        if (number >= min && number <= max) {
            *out = number;
            return 0;
        }
    }
    return err_set(e, ERR_USAGE,
        "parameter '%s' is %s%s%s; give a whole number from %lld to %lld",
        name, text != NULL ? "'" : "", text != NULL ? text : "missing",
        text != NULL ? "'" : "", (long long)min, (long long)max);
}

int
stage_param_real(const struct stage *s, const char *name, double min,
    double max, double *out, struct err *e)
{
    const char *text = stage_param(s, name);
    double number;

    if (text != NULL && str_to_double(text, &number) && number >= min &&
        number <= max) {
        *out = number;
        return 0;
    }
    return err_set(e, ERR_USAGE,
        "parameter '%s' is %s%s%s; give a number from %g to %g", name,
        text != NULL ? "'" : "", text != NULL ? text : "missing",
        text != NULL ? "'" : "", min, max);
}

/* The lists are sorted by role. */
static struct stage_file *
find(const struct stage_files *f, const char *role)
{
    size_t low = 0, high = f->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(role, f->v[middle].role);

        if (order == 0)
            return f->v + middle;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

const struct stage_file *
stage_in(const struct stage *s, const char *role)
{
    return find(&s->in, role);
}

const char *
stage_src(const struct stage *s, const char *role)
{
    const struct stage_file *f = find(&s->src, role);

    return f != NULL ? f->path : NULL;
}

const char *
stage_dst(const struct stage *s, const char *role)
{
    const struct stage_file *f = find(&s->dst, role);

    return f != NULL ? f->path : NULL;
}

const struct stage_file *
stage_in_next(const struct stage *s, const char *prefix, size_t *i)
{
    while (*i < s->in.n) {
        const struct stage_file *f = s->in.v + (*i)++;

        if (str_starts(f->role, prefix))
            return f;
    }
    return NULL;
}

json_t *
stage_in_json(const struct stage *s, const char *role, struct err *e)
{
    const struct stage_file *f = stage_in(s, role);

    if (f == NULL) {
        err_set(e, ERR_USAGE, "input '%s' is missing; give --in=%s", role,
            role);
        return NULL;
    }
    if (f->map.len > JSON_LIMIT) {
        err_set(e, ERR_WORK, "%s: is too long for a file of JSON", f->path);
        return NULL;
    }
    return json_parse(f->map.len > 0 ? (const char *)f->map.p : "",
        f->map.len, f->path, e);
}

/* An output that is declared and still to be written, or an error. */
static struct stage_file *
output(struct stage *s, const char *role, struct err *e)
{
    struct stage_file *f = find(&s->out, role);

    if (f == NULL)
        err_set(e, ERR_USAGE, "output '%s' is missing; give --out=%s", role,
            role);
    else if (f->committed || f->file.f != NULL)
        err_set(e, ERR_WORK, "%s: written twice; report this as a bug",
            f->path);
    else
        return f;
    return NULL;
}

struct outfile *
stage_out(struct stage *s, const char *role, struct err *e)
{
    struct stage_file *f = output(s, role, e);

    if (f == NULL || outfile_create(&f->file, f->path, e) != 0)
        return NULL;
    return &f->file;
}

int
stage_put(struct stage *s, const char *role, const void *p, size_t n,
    struct err *e)
{
    struct outfile *o = stage_out(s, role, e);
    struct stage_file *f;

    if (o == NULL)
        return e->code;
    outfile_write(o, p, n);
    if (outfile_commit(o, e) != 0)
        return e->code;
    f = find(&s->out, role);
    f->digest = o->digest;
    f->bytes = n;
    f->committed = true;
    return 0;
}

int
stage_put_json(struct stage *s, const char *role, const json_t *v,
    struct err *e)
{
    char *text = json_text(v, false);
    int code = stage_put(s, role, text, strlen(text), e);

    free(text);
    return code;
}

const char *
stage_out_path(const struct stage *s, const char *role)
{
    const struct stage_file *f = find(&s->out, role);

    return f != NULL ? f->path : NULL;
}

int
stage_out_done(struct stage *s, const char *role, const struct digest *digest,
    uint64_t bytes, struct err *e)
{
    struct stage_file *f = output(s, role, e);

    if (f == NULL)
        return e->code;
    f->digest = *digest;
    f->bytes = bytes;
    f->committed = true;
    return 0;
}

int
stage_out_take(struct stage *s, const char *role, struct outfile *from,
    struct err *e)
{
    struct stage_file *f = output(s, role, e);

    if (f == NULL)
        return e->code;
    f->file = *from;
    *from = (struct outfile){ .slot = -1 };
    return 0;
}

const struct signer *
stage_signer(const struct stage *s)
{
    return &s->priv->key;
}

/* Formatted, cut, without control bytes; NULL text when it is no UTF-8. */
static json_t *plain_text(const char *fmt, va_list ap)
    __attribute__((format(printf, 1, 0)));

static json_t *
plain_text(const char *fmt, va_list ap)
{
    char *text = NULL;
    json_t *v;

    if (vasprintf(&text, fmt, ap) < 0)
        abort();
    for (char *s = text; *s != '\0'; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            *s = ' ';
    if (strlen(text) > FIGURE_LIMIT) {
        size_t n = FIGURE_LIMIT;

        while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
            n--; /* not within a character */
        text[n] = '\0';
    }
    v = json_string(text);
    free(text);
    return v != NULL ? v : json_string("(not UTF-8)");
}

void
stage_answer(struct stage *s, const char *item, const char *verdict,
    const char *figure_fmt, ...)
{
    va_list ap;

    assert(*verdict != '\0' && strchr(verdict, ' ') == NULL);
    if (s->answers == NULL)
        s->answers = json_object();
    va_start(ap, figure_fmt);
    json_object_set_new(s->answers, item, json_pack("{ss so}", "verdict",
        verdict, "figure", plain_text(figure_fmt, ap)));
    va_end(ap);
}

void
stage_note(struct stage *s, const char *name, const char *fmt, ...)
{
    va_list ap;

    if (s->notes == NULL)
        s->notes = json_object();
    va_start(ap, fmt);
    json_object_set_new(s->notes, name, plain_text(fmt, ap));
    va_end(ap);
}

void
stage_progress(struct stage *s, const char *what, const char *unit,
    uint64_t total)
{
    char *name = mem_printf("state/%s.heartbeat", s->id);
    char *path = path_join(s->dir, name);

    progress_end(&s->progress);
    progress_start(&s->progress, s->id, path, what, unit, total);
    free(path);
    free(name);
}

static int
take_stage_lock(struct stage *s, struct err *e)
{
    char *name = mem_printf("state/%s.lock", s->id);
    char *path = path_join(s->dir, name);
    int code = lock_take(&s->priv->stage_lock, path, true, e);

    free(path);
    free(name);
    return code;
}

static int
take_machine_lock(struct stage *s, struct err *e)
{
    const struct stage_spec *spec = s->spec;
    char *path = path_join(s->dir, "state/machine.lock");
    int code = 0;

    if (spec->heavy || spec->alone) {
        stage_progress(s, "waiting for the machine", "steps", 0);
        code = lock_take(&s->priv->machine_lock, path, spec->alone, e);
    }
    free(path);
    return code;
}

/*
 * Whether there is nothing to do. Inputs are opened and hashed for that only
 * if arguments and program still agree: a step that will run anyway may first
 * be sent to another machine, or start itself again, and hash there.
 */
static int
is_current(struct stage *s, bool *current, struct err *e)
{
    stage_compare_arguments(s);
    *current = false;
    if (!stage_is_current(s))
        return 0;
    if (stage_open_inputs(s, e) != 0)
        return e->code;
    stage_compare_files(s);
    if (stage_is_current(s) && s->spec->still) {
        struct str why = { 0 };

        if (!s->spec->still(s, &why))
            stage_reason(s, "%s", str_get(&why));
        str_release(&why);
    }
    *current = stage_is_current(s) && !s->spec->always;
    return 0;
}

static int
work(struct stage *s, int (*run)(struct stage *s, struct err *e),
    struct err *e)
{
    bool looked = s->priv->inputs_open;

    if (stage_open_inputs(s, e) != 0)
        return e->code;
    if (!looked)
        stage_compare_files(s);
    if (take_machine_lock(s, e) != 0)
        return e->code;
    s->pool = pool_new(0);
    stage_progress(s, s->spec->step, "steps", 0);
    if (run(s, e) != 0)
        return e->code;
    progress_end(&s->progress);
    return stage_commit(s, e);
}

/* The whole life; *status is what the launcher's child returned, or -1. */
static int
live(struct stage *s, int argc, char **argv, int *status,
    int (*run)(struct stage *s, struct err *e), struct err *e)
{
    bool current = false;

    if (stage_open_key(s, e) != 0 || take_stage_lock(s, e) != 0 ||
        is_current(s, &current, e) != 0)
        return e->code;
    if (current) {
        stage_write_why(s, false);
        return 0;
    }
    if (launcher_wanted(s->spec)) {
        lock_drop(&s->priv->stage_lock); /* the far side takes it */
        *status = launcher_run(s, argc, argv, e);
        return e->code;
    }
    if (work(s, run, e) != 0)
        return e->code;
    if (!stage_is_current(s)) /* a probe that found nothing new keeps quiet */
        stage_write_why(s, true);
    return 0;
}

int
stage_main(const struct stage_spec *spec, int argc, char **argv,
    int (*run)(struct stage *s, struct err *e))
{
    char *name = mem_printf("quern-%s", spec->step);
    struct stage s = { 0 };
    struct err e = { 0 };
    struct timespec t;
    int status = -1, code;

    if (argc == 2 &&
        (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0)) {
        char *text = stage_usage(spec);

        fputs(text, stdout);
        status = err_exit(name, &e);
        free(text);
        free(name);
        return status;
    }
    file_catch_signals();
    clock_gettime(CLOCK_MONOTONIC, &t);
    s.priv = mem_calloc(1, sizeof *s.priv);
    *s.priv = (struct stage_private){ .stage_lock = -1, .machine_lock = -1,
        .started_ns = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec,
        .reasons = json_array() };
    if (stage_parse(&s, spec, argc, argv, &e) == 0)
        live(&s, argc, argv, &status, run, &e);
    stage_release(&s);
    code = err_exit(name, &e);
    if (code == ERR_USAGE)
        fprintf(stderr, "usage: %s @STAGE_FILE\n       %s -h\n", name, name);
    free(name);
    return status >= 0 ? status : code;
}
