#include "lib/record/stage_lines.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

enum { STAGE_LIMIT = 64 << 20 };

int
stage_lines_parse(struct stage_lines *l, const char *text, size_t n,
    const char *place, struct err *e)
{
    size_t lines = 1;

    memset(l, 0, sizeof *l);
    l->text = mem_strndup(text, n);
    for (const char *p = l->text; *p; p++)
        lines += *p == '\n';
    l->v = mem_calloc(lines, sizeof *l->v);
    for (char *p = l->text; *p;) {
        size_t len = strcspn(p, "\n");
        bool more = p[len] == '\n';

        p[len] = 0;
        l->v[l->n++] = p;
        p += len + more;
    }
    if (l->n == 0 || strcmp(l->v[l->n - 1], "--end") != 0)
        err_set(e, ERR_WORK,
            "%s: is not a whole stage file; run `quern gen` again", place);
    return e->code;
}

int
stage_lines_read(struct stage_lines *l, const char *path, struct err *e)
{
    struct blob b = { 0 };

    memset(l, 0, sizeof *l);
    if (blob_read(&b, path, STAGE_LIMIT, e) == 0)
        stage_lines_parse(l, b.p, b.len, path, e);
    blob_release(&b);
    return e->code;
}

void
stage_lines_release(struct stage_lines *l)
{
    free(l->v);
    free(l->text);
    memset(l, 0, sizeof *l);
}

/* What follows `prefix` and '=' in the first line that has both. */
static const char *
after(const struct stage_lines *l, const char *prefix)
{
    size_t n = strlen(prefix);

    for (size_t i = 0; i < l->n; i++)
        if (strncmp(l->v[i], prefix, n) == 0 && l->v[i][n] == '=')
            return l->v[i] + n + 1;
    return NULL;
}

const char *
stage_lines_value(const struct stage_lines *l, const char *name)
{
    char *prefix = mem_printf("--%s", name);
    const char *value = after(l, prefix);

    free(prefix);
    return value;
}

const char *
stage_lines_path(const struct stage_lines *l, const char *kind,
    const char *role)
{
    char *prefix = mem_printf("--%s=%s", kind, role);
    const char *value = after(l, prefix);

    free(prefix);
    return value;
}

char *
stage_lines_in(const struct stage_lines *l, const char *dir, const char *role)
{
    const char *path = stage_lines_path(l, "in", role);

    return path ? mem_strdup(path) : path_join(dir, role);
}

/* The line as a record has it, or NULL for what records leave out. */
static char *
as_recorded(const char *line)
{
    static const char *const paths[] = { "--in=", "--src=", "--dst=" };
    static const char *const left_out[] = { "--step=", "--dir=", "--key=" };

    for (size_t i = 0; i < countof(left_out); i++)
        if (str_starts(line, left_out[i]))
            return NULL;
    if (strcmp(line, "--end") == 0)
        return NULL;
    for (size_t i = 0; i < countof(paths); i++)
        if (str_starts(line, paths[i])) {
            size_t n = strlen(paths[i]);

            return mem_strndup(line, n + strcspn(line + n, "="));
        }
    return mem_strdup(line);
}

static int
by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Both sorted: the first line that only one of them has. */
static void
compare(char *const *file, size_t n_file, const char *const *record,
    size_t n_record, const char *place, struct err *e)
{
    size_t i = 0;

    while (i < n_file && i < n_record && strcmp(file[i], record[i]) == 0)
        i++;
    if (i < n_file &&
        (i == n_record || strcmp(file[i], record[i]) < 0))
        err_set(e, ERR_WORK,
            "%s: says '%s', which the signed record does not; run 'ninja' "
            "again, or `quern gen` if nothing was edited",
            place, file[i]);
    else if (i < n_record)
        err_set(e, ERR_WORK,
            "%s: lacks '%s', which the signed record has; run 'ninja' again, "
            "or `quern gen` if nothing was edited",
            place, record[i]);
}

int
stage_lines_match(const struct stage_lines *l, const struct record *r,
    const char *place, struct err *e)
{
    char **file = mem_calloc(l->n, sizeof *file);
    const char **record = mem_calloc(r->n_args, sizeof *record);
    const char *step = stage_lines_value(l, "step");
    size_t n = 0;

    for (size_t i = 0; i < l->n; i++) {
        char *line = as_recorded(l->v[i]);

        if (line)
            file[n++] = line;
    }
    for (size_t i = 0; i < r->n_args; i++)
        record[i] = r->args[i];
    if (n)
        qsort(file, n, sizeof *file, by_text);
    if (r->n_args)
        qsort(record, r->n_args, sizeof *record, by_text);
    if (!step || strcmp(step, r->step) != 0)
        err_set(e, ERR_WORK, "%s: is for step '%s', the signed record is of "
            "'%s'; run `quern gen` again", place, step ? step : "", r->step);
    else
        compare(file, n, record, r->n_args, place, e);
    for (size_t i = 0; i < n; i++)
        free(file[i]);
    free(file);
    free(record);
    return e->code;
}
