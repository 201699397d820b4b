#include "lib/judge/compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"

static json_t *
parse_lines(const char *path, const char *p, size_t len, struct err *e)
{
    json_t *list = json_array();
    const char *end = p + len;

    for (size_t line = 1; p < end; line++) {
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        const char *stop = nl ? nl : end;
        char *place = mem_printf("%s:%zu", path, line);
        json_t *v = json_parse(p, (size_t)(stop - p), place, e);

        if (v != NULL) {
            json_get_str(v, "id", place, e);
            json_get_str(v, "item", place, e);
            json_get_str(v, "prompt", place, e);
            json_get_int(v, "score", 0, 1, place, e);
            json_array_append_new(list, v);
        }
        free(place);
        if (e->code) {
            json_decref(list);
            return NULL;
        }
        p = nl ? nl + 1 : end;
    }
    return list;
}

bool
run_used(const struct run *r)
{
    return !json_is_false(json_object_get(r->summary, "used"));
}

int
run_parse(struct run *r, const char *path, const void *summary,
    size_t summary_len, const char *lines_path, const void *lines,
    size_t lines_len, struct err *e)
{
    r->path = path;
    r->lines_path = lines_path;
    r->summary = json_parse(summary, summary_len, path, e);
    if (r->summary == NULL)
        return e->code;
    if (run_used(r)) {
        const int64_t n =
            json_get_int(r->summary, "items", 1, INT32_MAX, path, e);

        json_get_str(r->summary, "suite_sha256", path, e);
        json_get_str(r->summary, "model_sha256", path, e);
        json_get_str(r->summary, "engine", path, e);
        json_get_str(r->summary, "numeric", path, e);
        json_get_str(r->summary, "metric", path, e);
        if (e->code == 0)
            r->lines = parse_lines(lines_path, lines, lines_len, e);
        if (e->code == 0 && (int64_t)json_array_size(r->lines) != n)
            err_set(e, ERR_WORK,
                "%s: has %zu items, %s says %lld; evaluate again", lines_path,
                json_array_size(r->lines), path, (long long)n);
    }
    if (e->code)
        run_release(r);
    return e->code;
}

void
run_release(struct run *r)
{
    json_decref(r->summary);
    json_decref(r->lines);
    memset(r, 0, sizeof *r);
}

static const char *
text(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}

static int
incomparable(const struct run *base, const struct run *cand, const char *what,
    const char *x, const char *y, struct err *e)
{
    return err_set(e, ERR_WORK,
        "%s: not comparable with %s: %s differs (%.64s, %.64s); evaluate both "
        "with the same program on the same suite",
        cand->path, base->path, what, y, x);
}

/* What must be the same in both summaries. */
static int
check_summaries(const struct run *base, const struct run *cand,
    struct err *e)
{
    static const char *const same[] = { "suite_sha256", "engine", "metric" };

    for (size_t i = 0; i < countof(same); i++) {
        const char *x = text(base->summary, same[i]);
        const char *y = text(cand->summary, same[i]);

        if (strcmp(x, y) != 0)
            return incomparable(base, cand, same[i], x, y, e);
    }
    if (strcmp(text(base->summary, "numeric"), "float32") != 0)
        return err_set(e, ERR_WORK,
            "%s: the baseline was computed in %s; it is judged in float32",
            base->path, text(base->summary, "numeric"));
    if (json_array_size(base->lines) != json_array_size(cand->lines))
        return incomparable(base, cand, "the number of items", "", "", e);
    return 0;
}

/* How far the right choice is ahead of the best wrong one; NAN if no choice. */
static double
lead(const json_t *line)
{
    const json_t *ll = json_object_get(line, "ll");
    const json_t *gold = json_object_get(line, "gold");
    const json_t *v;
    double right = -HUGE_VAL, wrong = -HUGE_VAL;
    size_t i;

    if (!json_is_array(ll) || !json_is_integer(gold))
        return (double)NAN;
    json_array_foreach(ll, i, v) {
        const double x = json_is_number(v) ? json_number_value(v) : -1e9;

        if ((json_int_t)i == json_integer_value(gold))
            right = x;
        else
            wrong = fmax(wrong, x);
    }
    return right - wrong;
}

/* An item that the candidate does worse, with all that shows it. */
static void
note_loss(struct comparison *c, const json_t *b, const json_t *v)
{
    const bool lost = json_integer_value(json_object_get(b, "score")) == 1 &&
        json_integer_value(json_object_get(v, "score")) == 0;
    const double loss = lead(b) - lead(v);
    json_t *o;

    if (!lost && !(loss > 0.0))
        return;
    o = json_object();
    json_object_set_new(o, "suite", json_string(c->suite));
    json_object_set(o, "id", json_object_get(b, "id"));
    json_object_set_new(o, "flipped", json_boolean(lost));
    if (isfinite(loss))
        json_object_set_new(o, "loss", json_real(loss));
    if (json_object_get(b, "out") != NULL) {
        json_object_set(o, "base", json_object_get(b, "out"));
        json_object_set(o, "cand", json_object_get(v, "out"));
    } else {
        json_object_set(o, "base", json_object_get(b, "pick"));
        json_object_set(o, "cand", json_object_get(v, "pick"));
        json_object_set(o, "gold", json_object_get(b, "gold"));
    }
    json_array_append_new(c->worst, o);
}

static int
pair_items(struct comparison *c, const struct run *base,
    const struct run *cand, struct err *e)
{
    static const char *const same[] = { "id", "item", "prompt" };
    const json_t *b;
    size_t i;

    json_array_foreach(base->lines, i, b) {
        const json_t *v = json_array_get(cand->lines, i);

        for (size_t k = 0; k < countof(same); k++)
            if (strcmp(text(b, same[k]), text(v, same[k])) != 0)
                return err_set(e, ERR_WORK,
                    "%s:%zu: not comparable with %s: %s differs in item "
                    "'%.64s'; evaluate both with the same program and "
                    "tokenizer",
                    cand->lines_path, i + 1, base->lines_path, same[k],
                    text(b, "id"));

        const bool x = json_integer_value(json_object_get(b, "score")) == 1;
        const bool y = json_integer_value(json_object_get(v, "score")) == 1;

        c->pairs.n++;
        c->pairs.b += x && !y;
        c->pairs.c += y && !x;
        c->base_right += x;
        c->cand_right += y;
        c->base_invalid += json_is_null(json_object_get(b, "extracted"));
        c->cand_invalid += json_is_null(json_object_get(v, "extracted"));
        c->cand_nonfinite += json_is_false(json_object_get(v, "finite"));
        if (json_object_get(b, "out") != NULL) {
            c->base_tokens += json_number_value(json_object_get(b, "ntok"));
            c->cand_tokens += json_number_value(json_object_get(v, "ntok"));
        }
        note_loss(c, b, v);
    }
    return 0;
}

int
comparison_add(struct comparison *c, const char *suite, const char *role,
    const struct run *base, const struct run *cand, struct err *e)
{
    if (check_summaries(base, cand, e))
        return e->code;
    if (c->suite == NULL) {
        c->suite = mem_strdup(suite);
        c->role = role;
        c->metric = mem_strdup(text(base->summary, "metric"));
        c->digests = json_array();
        c->worst = json_array();
        c->base_sha256 = mem_strdup(text(base->summary, "model_sha256"));
        c->cand_sha256 = mem_strdup(text(cand->summary, "model_sha256"));
    }
    if (strcmp(c->base_sha256, text(base->summary, "model_sha256")) != 0)
        return err_set(e, ERR_WORK,
            "%s: was computed with another model than the suite's first file; "
            "evaluate again",
            base->path);
    if (strcmp(c->cand_sha256, text(cand->summary, "model_sha256")) != 0)
        return err_set(e, ERR_WORK,
            "%s: was computed with another model than the suite's first file; "
            "evaluate again",
            cand->path);
    json_array_append(c->digests,
        json_object_get(base->summary, "suite_sha256"));
    return pair_items(c, base, cand, e);
}

void
comparison_release(struct comparison *c)
{
    free(c->suite);
    free(c->metric);
    free(c->base_sha256);
    free(c->cand_sha256);
    json_decref(c->digests);
    json_decref(c->worst);
    memset(c, 0, sizeof *c);
}

/* Flipped ones first, then by loss, then by name: one order for all runs. */
static int
by_loss(const void *a, const void *b)
{
    const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
    const int flip = json_is_true(json_object_get(y, "flipped")) -
        json_is_true(json_object_get(x, "flipped"));
    const double lx = json_number_value(json_object_get(x, "loss"));
    const double ly = json_number_value(json_object_get(y, "loss"));
    const int suite = strcmp(text(x, "suite"), text(y, "suite"));

    if (flip)
        return flip;
    if (lx > ly || lx < ly)
        return lx > ly ? -1 : 1;
    return suite ? suite : strcmp(text(x, "id"), text(y, "id"));
}

json_t *
comparison_worst(const struct comparison *c, size_t n, size_t most)
{
    size_t count = 0, k = 0;
    json_t **all, *list = json_array();

    for (size_t i = 0; i < n; i++)
        count += json_array_size(c[i].worst);
    all = mem_calloc(count, sizeof *all);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < json_array_size(c[i].worst); j++)
            all[k++] = json_array_get(c[i].worst, j);
    qsort(all, count, sizeof *all, by_loss);
    for (size_t i = 0; i < count && i < most; i++)
        json_array_append(list, all[i]);
    free(all);
    return list;
}
