/*
 * stage_why.c - is a stage current, and if not, why, in words
 *
 * A stage is current when the envelope that lies there was signed by the same
 * key over the same program, arguments and input digests, and all outputs and
 * the link are there as it says. Every difference becomes a reason, so the
 * answer to "why did this run" is what made it run and nothing else.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/record/stage_private.h"

void
stage_reason(struct stage *s, const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        abort();
    va_end(ap);
    json_array_append_new(s->priv->reasons, json_string(text));
    free(text);
}

bool
stage_is_current(const struct stage *s)
{
    return json_array_size(s->priv->reasons) == 0;
}

/* The record that lies there, if it can be used at all. */
static void
read_before(struct stage *s)
{
    struct stage_private *p = s->priv;
    struct err e = { 0 };
    char *path = record_path(s->dir, s->id);

    if (!file_exists(path)) {
        stage_reason(s, "no record yet");
    } else if (record_read(&p->before, path, &e) != 0) {
        stage_reason(s, "the record that was there cannot be used");
    } else if (strcmp(p->before.stage, s->id) != 0) {
        record_release(&p->before);
        stage_reason(s, "the record that was there is of another stage");
    } else if (!record_verify(&p->before, &p->key.public)) {
        if (strcmp(p->before.keyid, p->key.keyid) != 0)
            stage_reason(s, "signing key changed: %.8s -> %.8s", p->before.keyid,
                p->key.keyid);
        else
            stage_reason(s, "the signature of the record does not hold");
    }
    free(path);
}

/* The words that a kind of argument goes by in a sentence. */
static const char *const kind_words[] = { "stage", "phase", "signer", "item",
    "input", "source", "target", "output", "parameter" };

/* The part of an argument that names what it sets: up to the second '='. */
static size_t
key_length(const char *arg, int kind)
{
    const char *eq = strchr(arg, '=');
    const char *end;

    if (kind < 3)
        return (size_t)(eq + 1 - arg);
    end = strchr(eq + 1, '=');
    return end != NULL ? (size_t)(end - arg) : strlen(arg);
}

/* By kind, then by bytes: the order that every record's arguments are in. */
static int
compare_args(const char *a, const char *b)
{
    int x = record_kind(a), y = record_kind(b);

    return x != y ? x - y : strcmp(a, b);
}

static const char *
same_argument(const struct record *r, const char *arg)
{
    size_t low = 0, high = r->n_args;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_args(arg, r->args[middle]);

        if (order == 0)
            return r->args[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

/* The argument of `r` that sets the same thing as `arg`, or NULL. */
static const char *
counterpart(const struct record *r, const char *arg)
{
    int kind = record_kind(arg);
    size_t n = key_length(arg, kind);
    bool valued = kind < 3 || kind == 8;

    if (!valued) /* roles and items, of which there may be very many */
        return same_argument(r, arg);
    for (size_t i = 0; i < r->n_args; i++)
        if (strncmp(r->args[i], arg, n) == 0 &&
            key_length(r->args[i], record_kind(r->args[i])) == n)
            return r->args[i];
    return NULL;
}

/* One argument against its counterpart; NULL on the side that lacks it. */
static void
tell_argument(struct stage *s, const char *was, const char *is)
{
    const char *any = is != NULL ? is : was;
    int kind = record_kind(any);
    size_t n = key_length(any, kind);
    const char *word = kind_words[kind];
    const char *name = strchr(any, '=') + 1;
    int len = (int)(n - (size_t)(name - any));
    bool valued = kind == 8;

    if (kind < 3)
        stage_reason(s, "%s changed: %s -> %s", word,
            was != NULL ? was + n : "none", is != NULL ? is + n : "none");
    else if (was == NULL)
        stage_reason(s, "%s %.*s is new%s%s", word, len, name, valued ? ": " : "",
            valued ? is + n + 1 : "");
    else if (is == NULL)
        stage_reason(s, "%s %.*s is gone", word, len, name);
    else
        stage_reason(s, "%s %.*s: %s -> %s", word, len, name, was + n + 1,
            is + n + 1);
}

static void
compare_arguments(struct stage *s, const struct record *was,
    const struct record *is)
{
    bool same = was->n_args == is->n_args;

    for (size_t i = 0; i < is->n_args && same; i++)
        same = strcmp(was->args[i], is->args[i]) == 0;
    if (same)
        return;
    for (size_t i = 0; i < is->n_args; i++) {
        const char *other = counterpart(was, is->args[i]);

        if (other == NULL || strcmp(other, is->args[i]) != 0)
            tell_argument(s, other, is->args[i]);
    }
    for (size_t i = 0; i < was->n_args; i++)
        if (counterpart(is, was->args[i]) == NULL)
            tell_argument(s, was->args[i], NULL);
}

void
stage_compare_arguments(struct stage *s)
{
    struct stage_private *p = s->priv;
    struct record now;

    read_before(s);
    if (p->before.stage == NULL)
        return;
    if (!digest_equal(&p->before.program, stage_program(s)) ||
        strcmp(p->before.step, s->spec->step) != 0)
        stage_reason(s, "program changed");
    stage_record(s, &now);
    compare_arguments(s, &p->before, &now);
    record_release(&now);
}

static void
compare_inputs(struct stage *s)
{
    for (size_t i = 0; i < s->in.n; i++) {
        const struct stage_file *f = s->in.v + i;
        const struct digest *was = record_find(&s->priv->before.materials,
            f->role);

        if (was != NULL && !digest_equal(was, &f->digest))
            stage_reason(s, "input %s changed", f->role);
    }
}

static void
compare_link(struct stage *s)
{
    struct stage_private *p = s->priv;
    char *path = record_link_path(s->dir, s->id, p->key.keyid);
    struct record link = { 0 };
    struct err e = { 0 };

    if (!file_exists(path))
        stage_reason(s, "the link is missing");
    else if (record_read(&link, path, &e) != 0 ||
        !record_verify(&link, &p->key.public) ||
        !record_same(&link, &p->before))
        stage_reason(s, "the link does not agree with the record");
    record_release(&link);
    free(path);
}

/* Hashing outputs is the dear part: only if nothing else was found. */
static void
compare_outputs(struct stage *s)
{
    bool look = stage_is_current(s);

    for (size_t i = 0; i < s->out.n; i++) {
        struct stage_file *f = s->out.v + i;
        const struct digest *was = record_find(&s->priv->before.products,
            f->role);
        struct err e = { 0 };

        if (was == NULL)
            continue; /* a new role: told among the arguments */
        if (!file_exists(f->path))
            stage_reason(s, "output %s is missing", f->role);
        else if (look &&
            (digest_file(&f->digest, &f->bytes, f->path, &e) != 0 ||
                !digest_equal(was, &f->digest)))
            stage_reason(s, "output %s was changed by something else", f->role);
    }
}

void
stage_compare_files(struct stage *s)
{
    if (s->priv->before.stage == NULL)
        return;
    compare_inputs(s);
    compare_outputs(s);
    if (stage_is_current(s))
        compare_link(s);
}

/*
 * For people only: no fsync, no error. A run that found everything current
 * leaves the earlier answer, which still tells what made the outputs.
 */
void
stage_write_why(const struct stage *s, bool ran)
{
    char *name = mem_printf("why/%s.json", s->id);
    char *path = path_join(s->dir, name), *dir = path_dir(path);
    struct err e = { 0 };
    struct timespec t;
    json_t *v;
    char *text;
    int fd;

    clock_gettime(CLOCK_MONOTONIC, &t);
    v = json_pack("{ss sb sO sf}", "stage", s->id, "ran", ran, "reasons",
        s->priv->reasons, "seconds",
        (double)((int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000 -
            s->priv->started_ns / 1000000) / 1000.0);
    text = json_text(v, false);
    /* in place: a temporary would stay behind when the step is killed here */
    if ((ran || !file_exists(path)) && file_mkdirs(dir, &e) == 0 &&
        (fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644)) >= 0) {
        if (pwrite(fd, text, strlen(text), 0) != (ssize_t)strlen(text) ||
            ftruncate(fd, (off_t)strlen(text)) != 0)
            unlink(path);
        close(fd);
    }
    free(text);
    json_decref(v);
    free(dir);
    free(path);
    free(name);
}
