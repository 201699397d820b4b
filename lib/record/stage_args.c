/*
 * stage_args.c - the arguments of a step; their form is in stage.h
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/record/stage_private.h"

enum { STAGE_FILE_LIMIT = 64 * 1024 * 1024, ARGS_LIMIT = 1000000 };

/* What is gathered while arguments are read; the lists grow by doubling. */
struct reader {
    struct stage *s;
    const char *file; /* stage file being read, or NULL */
    size_t line;
    bool step, end; /* --step, --end were seen */
    size_t count;
};

static const char *const phases[] = { "before", "calibration", "convert",
    "ship", "after" };

/* `FILE:LINE: WHAT 'TEXT'; CURE` or the same without a place. */
static int
wrong(const struct reader *r, const char *what, const char *text,
    const char *cure, struct err *e)
{
    char *place = r->file == NULL ? mem_strdup("")
                                  : mem_printf("%s:%zu: ", r->file, r->line);
    int code = err_set(e, ERR_USAGE, "%s%s '%s'; %s", place, what, text, cure);

    free(place);
    return code;
}

/* Records are JSON and arguments are lines: UTF-8 without control bytes. */
static bool
is_text(const char *s)
{
    json_t *v = json_string(s);

    json_decref(v);
    if (v == NULL)
        return false;
    for (; *s != '\0'; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return false;
    return true;
}

static bool
is_full(size_t n)
{
    return (n & (n - 1)) == 0;
}

static size_t
grown(size_t n)
{
    return n > 0 ? 2 * n : 1;
}

static int
add_file(struct reader *r, struct stage_files *f, const char *arg,
    const char *value, bool needs_path, struct err *e)
{
    const char *eq = strchr(value, '=');
    size_t n = eq != NULL ? (size_t)(eq - value) : strlen(value);
    char *role = mem_strndup(value, n);
    struct stage_file one = { .role = role, .file.slot = -1, .map.fd = -1 };

    if (!path_is_plain(role)) {
        wrong(r, "not a plain name in", arg,
            "use letters, digits, '.', '_', '-' and '/'", e);
    } else if (needs_path && (eq == NULL || eq[1] == '\0')) {
        wrong(r, "no path in", arg, "write ROLE=PATH", e);
    } else {
        if (eq != NULL && eq[1] != '\0')
            one.path = mem_strdup(eq + 1);
        if (is_full(f->n))
            f->v = mem_realloc(f->v, grown(f->n), sizeof *f->v);
        f->v[f->n++] = one;
        return 0;
    }
    free(role);
    return e->code;
}

static int
add_param(struct reader *r, const char *arg, const char *value, struct err *e)
{
    struct stage *s = r->s;
    const char *eq = strchr(value, '=');
    char *name;

    if (eq == NULL)
        return wrong(r, "no value in", arg, "write --set=NAME=VALUE", e);
    name = mem_strndup(value, (size_t)(eq - value));
    if (!path_is_plain(name)) {
        free(name);
        return wrong(r, "not a plain name in", arg, "write --set=NAME=VALUE",
            e);
    }
    if (is_full(s->n_params))
        s->params = mem_realloc(s->params, grown(s->n_params),
            sizeof *s->params);
    s->params[s->n_params++] =
        (struct stage_param){ name, mem_strdup(eq + 1) };
    return 0;
}

static int
add_item(struct reader *r, const char *arg, const char *value, struct err *e)
{
    struct stage *s = r->s;

    if (!path_is_plain(value))
        return wrong(r, "not an item id in", arg, "write PHASE.NAME", e);
    if (is_full(s->n_items))
        s->items = mem_realloc(s->items, grown(s->n_items), sizeof *s->items);
    s->items[s->n_items++] = mem_strdup(value);
    return 0;
}

/* An argument that is given once. */
static int
set_once(struct reader *r, char **field, const char *arg, const char *value,
    struct err *e)
{
    if (*field != NULL)
        return wrong(r, "given twice:", arg, "give it once", e);
    if (*value == '\0')
        return wrong(r, "no value in", arg, "give one", e);
    *field = mem_strdup(value);
    return 0;
}

static int
check_step(struct reader *r, const char *value, struct err *e)
{
    if (strcmp(value, r->s->spec->step) != 0)
        return wrong(r, "these arguments are for the step", value,
            "start the program of that name", e);
    r->step = true;
    return 0;
}

static int read_argument(struct reader *r, const char *arg, struct err *e);

/* One argument a line; the last line is --end, so the file is whole. */
static int
read_stage_file(struct reader *r, const char *path, struct err *e)
{
    struct blob b = { 0 };
    size_t at = 0;

    if (r->file != NULL)
        return wrong(r, "a stage file in a stage file:", path, "name it on "
            "the command line", e);
    if (blob_read(&b, path, STAGE_FILE_LIMIT, e) != 0)
        return e->code;
    r->file = path;
    r->end = false;
    for (r->line = 1; at < b.len && e->code == 0; r->line++) {
        char *line = b.p + at;
        size_t n = strcspn(line, "\n");
        bool cut = line[n] != '\n';

        line[n] = '\0';
        if (r->end)
            wrong(r, "after --end stands", line, "run 'quern gen' again", e);
        else if (cut)
            err_set(e, ERR_WORK, "%s: ends in the middle of line %zu; run "
                "'quern gen' again", path, r->line);
        if (e->code == 0)
            read_argument(r, line, e);
        at += n + 1;
    }
    if (e->code == 0 && !r->end)
        err_set(e, ERR_WORK,
            "%s: does not end with --end, so it is cut; run 'quern gen' again",
            path);
    r->file = NULL;
    blob_release(&b);
    return e->code;
}

static int
read_argument(struct reader *r, const char *arg, struct err *e)
{
    static const char *const names[] = { "--step=", "--stage=", "--dir=",
        "--phase=", "--signer=", "--key=", "--item=", "--in=", "--src=",
        "--dst=", "--out=", "--set=" };
    struct stage *s = r->s;
    const char *value = NULL;
    size_t kind;

    if (++r->count > ARGS_LIMIT)
        return err_set(e, ERR_USAGE, "more than %d arguments; split the stage",
            ARGS_LIMIT);
    if (*arg == '@')
        return read_stage_file(r, arg + 1, e);
    if (strcmp(arg, "--end") == 0) {
        r->end = true;
        return 0;
    }
    for (kind = 0; kind < countof(names) && value == NULL; kind++)
        if (str_starts(arg, names[kind]))
            value = arg + strlen(names[kind]);
    if (value == NULL)
        return wrong(r, "unknown argument", arg, "run it with -h", e);
    if (!is_text(arg))
        return wrong(r, "control bytes or no UTF-8 in", arg, "take them out",
            e);
    switch (kind - 1) {
    case 0:
        return check_step(r, value, e);
    case 1:
        return set_once(r, &s->id, arg, value, e);
    case 2:
        return set_once(r, &s->dir, arg, value, e);
    case 3:
        return set_once(r, &s->phase, arg, value, e);
    case 4:
        return set_once(r, &s->signer, arg, value, e);
    case 5:
        return set_once(r, &s->key_path, arg, value, e);
    case 6:
        return add_item(r, arg, value, e);
    case 7:
        return add_file(r, &s->in, arg, value, false, e);
    case 8:
        return add_file(r, &s->src, arg, value, true, e);
    case 9:
        return add_file(r, &s->dst, arg, value, true, e);
    case 10:
        return add_file(r, &s->out, arg, value, false, e);
    default:
        return add_param(r, arg, value, e);
    }
}

/* Whether `name` fits a declared name or pattern ('!' is skipped). */
static bool
pattern_fits(const char *pattern, const char *name)
{
    const char *star = NULL, *resume = NULL;

    if (*pattern == '!')
        pattern++;
    while (*name != '\0') {
        if (*pattern == '*') {
            star = ++pattern;
            resume = name;
        } else if (*pattern == *name) {
            pattern++;
            name++;
        } else if (star != NULL) { /* let the star stand for one more */
            pattern = star;
            name = ++resume;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

/* "a, b and c" of a declaration, for a message. Caller frees. */
static char *
declared(const char *const *patterns)
{
    struct str s = { 0 };

    for (size_t i = 0; patterns != NULL && patterns[i] != NULL; i++)
        str_addf(&s, "%s%s", i > 0 ? ", " : "",
            patterns[i] + (*patterns[i] == '!'));
    if (s.len == 0)
        str_add(&s, "none");
    return str_detach(&s);
}

/* Names in order, none twice, each declared, each required one there. */
static int
check_names(const char *what, const char *const *patterns,
    const char *(*name)(const void *list, size_t i), const void *list,
    size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        const char *one = name(list, i);
        bool fits = false;

        if (i > 0 && strcmp(name(list, i - 1), one) == 0)
            return err_set(e, ERR_USAGE, "%s '%s' is given twice; give it once",
                what, one);
        for (size_t k = 0; patterns != NULL && patterns[k] != NULL && !fits;
            k++)
            fits = pattern_fits(patterns[k], one);
        if (!fits) {
            char *known = declared(patterns);

            err_set(e, ERR_USAGE, "unknown %s '%s'; this step knows %s", what,
                one, known);
            free(known);
            return e->code;
        }
    }
    for (size_t k = 0; patterns != NULL && patterns[k] != NULL; k++) {
        bool there = *patterns[k] != '!';

        for (size_t i = 0; i < n && !there; i++)
            there = pattern_fits(patterns[k], name(list, i));
        if (!there)
            return err_set(e, ERR_USAGE, "%s '%s' is missing; give it", what,
                patterns[k] + 1);
    }
    return 0;
}

static const char *
file_name(const void *list, size_t i)
{
    const struct stage_files *f = list;

    return f->v[i].role;
}

static const char *
param_name(const void *list, size_t i)
{
    const struct stage_param *p = list;

    return p[i].name;
}

static int
compare_roles(const void *a, const void *b)
{
    const struct stage_file *x = a, *y = b;

    return strcmp(x->role, y->role);
}

static int
compare_params(const void *a, const void *b)
{
    const struct stage_param *x = a, *y = b;

    return strcmp(x->name, y->name);
}

static int
compare_items(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted, and with a path for each; `f` is checked after. */
static void
settle_files(struct stage_files *f, const char *dir)
{
    if (f->n > 0)
        qsort(f->v, f->n, sizeof *f->v, compare_roles);
    for (size_t i = 0; i < f->n; i++)
        if (f->v[i].path == NULL)
            f->v[i].path = path_join(dir, f->v[i].role);
}

static int
check_lists(struct stage *s, struct err *e)
{
    const struct stage_spec *p = s->spec;

    settle_files(&s->in, s->dir);
    settle_files(&s->src, s->dir);
    settle_files(&s->dst, s->dir);
    settle_files(&s->out, s->dir);
    if (s->n_params > 0)
        qsort(s->params, s->n_params, sizeof *s->params, compare_params);
    if (s->n_items > 0)
        qsort(s->items, s->n_items, sizeof *s->items, compare_items);
    for (size_t i = 1; i < s->n_items; i++)
        if (strcmp(s->items[i - 1], s->items[i]) == 0)
            return err_set(e, ERR_USAGE,
                "item '%s' is given twice; give it once", s->items[i]);
    if (check_names("input", p->ins, file_name, &s->in, s->in.n, e) != 0 ||
        check_names("source", p->srcs, file_name, &s->src, s->src.n, e) != 0 ||
        check_names("target", p->dsts, file_name, &s->dst, s->dst.n, e) != 0 ||
        check_names("output", p->outs, file_name, &s->out, s->out.n, e) != 0)
        return e->code;
    return check_names("parameter", p->params, param_name, s->params,
        s->n_params, e);
}

static int
check_singles(const struct reader *r, struct err *e)
{
    const struct stage *s = r->s;
    const char *missing = !r->step ? "step" : s->id == NULL ? "stage"
        : s->dir == NULL ? "dir" : s->phase == NULL ? "phase"
        : s->signer == NULL ? "signer" : s->key_path == NULL ? "key" : NULL;
    bool known = false;

    if (missing != NULL)
        return err_set(e, ERR_USAGE, "--%s is missing; run it with -h",
            missing);
    if (!path_is_plain(s->id) || strchr(s->id, '/') != NULL)
        return err_set(e, ERR_USAGE,
            "'%s' is not a stage id; use letters, digits, '.', '_' and '-'",
            s->id);
    for (size_t i = 0; i < countof(phases); i++)
        known = known || strcmp(s->phase, phases[i]) == 0;
    if (!known)
        return err_set(e, ERR_USAGE,
            "unknown phase '%s'; write before, calibration, convert, ship or "
            "after", s->phase);
    return 0;
}

int
stage_parse(struct stage *s, const struct stage_spec *spec, int argc,
    char **argv, struct err *e)
{
    struct reader r = { .s = s };

    s->spec = spec;
    for (int i = 1; i < argc; i++)
        if (read_argument(&r, argv[i], e) != 0)
            return e->code;
    if (check_singles(&r, e) != 0)
        return e->code;
    return check_lists(s, e);
}
