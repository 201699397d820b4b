#include "lib/text/split.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/text/utf8.h"

static void
add_range(struct split_stage *st, size_t start, size_t end, bool match)
{
    if (st->n_range == st->cap_range) {
        st->cap_range = st->cap_range == 0 ? 64 : st->cap_range * 2;
        st->range = mem_realloc(st->range, st->cap_range, sizeof *st->range);
    }
    st->range[st->n_range++] = (struct split_range){ start, end, match };
}

/* The next match of the stage's pattern at or after `from`. */
static int
find(struct splitter *sp, struct split_stage *st, const char *s, size_t n,
    size_t from, bool *found, size_t *start, size_t *end, struct err *e)
{
    *found = false;
    if (st->kind == SPLIT_REGEX && st->scan != SCAN_NONE) {
        *found = from < n;
        *start = from;
        if (*found)
            *end = from + scan_next(st->scan, sp->chars, s + from, n - from);
        return 0;
    }
    if (st->kind == SPLIT_REGEX)
        return regex_find(st->regex, s, n, from, found, start, end, e);
    if (st->kind == SPLIT_LITERAL) {
        const char *hit = memmem(s + from, n - from, st->text, st->text_len);

        *found = hit != NULL;
        if (*found) {
            *start = (size_t)(hit - s);
            *end = *start + st->text_len;
        }
        return 0;
    }
    for (size_t i = from; i < n; i = *end) { /* digits, one at a time */
        *start = i;
        *end = i;
        if (chars_get(sp->chars, utf8_next(s, end)) & CHAR_NUMBER) {
            *found = true;
            return 0;
        }
    }
    return 0;
}

/* All of s[0..n) as matches and gaps, `invert` applied. */
static int
find_all(struct splitter *sp, struct split_stage *st, const char *s, size_t n,
    struct err *e)
{
    size_t done = 0, from = 0;

    st->n_range = 0;
    while (from <= n) {
        size_t start = 0, end = 0;
        bool found;

        if (find(sp, st, s, n, from, &found, &start, &end, e) != 0)
            return e->code;
        if (!found)
            break;
        if (start == end && start == done && st->n_range > 0) {
            /* an empty match right after a match does not count */
            if (start >= n)
                break;
            from = start + utf8_size(s[start]);
            continue;
        }
        if (start > done)
            add_range(st, done, start, st->invert);
        add_range(st, start, end, !st->invert);
        done = end;
        from = end;
        if (start == end) {
            if (end >= n)
                break;
            from = end + utf8_size(s[end]);
        }
    }
    if (done < n)
        add_range(st, done, n, st->invert);
    return 0;
}

/*
 * Glue ranges as `behavior` says; what is left marked `match` is dropped.
 * The first range of a run decides: a match joins its neighbour only if that
 * neighbour is no match.
 */
static void
fold(struct split_stage *st)
{
    struct split_range *r = st->range;
    bool previous = false;
    size_t n = 0;

    switch (st->behavior) {
    case SPLIT_REMOVED:
        return;
    case SPLIT_ISOLATED:
        for (size_t i = 0; i < st->n_range; i++)
            r[i].match = false;
        return;
    case SPLIT_CONTIGUOUS:
    case SPLIT_WITH_PREVIOUS:
        for (size_t i = 0; i < st->n_range; i++) {
            bool match = r[i].match;
            bool glue = st->behavior == SPLIT_CONTIGUOUS ? match == previous
                                                         : match && !previous;

            if (glue && n > 0)
                r[n - 1].end = r[i].end;
            else
                r[n++] = (struct split_range){ r[i].start, r[i].end, false };
            previous = match;
        }
        st->n_range = n;
        return;
    case SPLIT_WITH_NEXT: /* the same from the right, in place */
        n = st->n_range;
        for (size_t i = st->n_range; i-- > 0;) {
            bool match = r[i].match;

            if (match && !previous && n < st->n_range)
                r[n].start = r[i].start;
            else
                r[--n] = (struct split_range){ r[i].start, r[i].end, false };
            previous = match;
        }
        st->n_range -= n;
        memmove(r, r + n, st->n_range * sizeof *r);
        return;
    }
}

struct run {
    split_word *word;
    void *ctx;
};

static int run_stage(struct splitter *sp, size_t at, const char *s, size_t n,
    bool first, const struct run *run, struct err *e);

/* Spaces of s[0..n) become the replacement, one goes in front if asked. */
static void
metaspace_text(struct split_stage *st, const char *s, size_t n, bool first)
{
    struct str *b = &st->buf;
    bool has = n > 0 &&
        (s[0] == ' ' ||
            (n >= st->text_len && memcmp(s, st->text, st->text_len) == 0));

    str_clear(b);
    if (!has &&
        (st->prepend == PREPEND_ALWAYS ||
            (st->prepend == PREPEND_FIRST && first)))
        str_addn(b, st->text, st->text_len);
    while (n > 0) {
        const char *sp = memchr(s, ' ', n);
        size_t len = sp == NULL ? n : (size_t)(sp - s);

        str_addn(b, s, len);
        if (sp == NULL)
            break;
        str_addn(b, st->text, st->text_len);
        s += len + 1;
        n -= len + 1;
    }
}

static int
run_metaspace(struct splitter *sp, size_t at, const char *s, size_t n,
    bool first, const struct run *run, struct err *e)
{
    struct split_stage *st = &sp->stage[at];
    size_t start = 0, i, len;
    const char *p;

    metaspace_text(st, s, n, first);
    p = st->buf.p;
    len = st->buf.len;
    if (!st->cut)
        return run_stage(sp, at + 1, p, len, first, run, e);
    for (i = 1; i < len; i++) {
        const char *hit = memmem(p + i, len - i, st->text, st->text_len);

        if (hit == NULL)
            break;
        i = (size_t)(hit - p);
        if (run_stage(sp, at + 1, p + start, i - start, first && start == 0,
                run, e) != 0)
            return e->code;
        start = i;
    }
    return run_stage(sp, at + 1, p + start, len - start, first && start == 0,
        run, e);
}

static int
run_scan(struct splitter *sp, size_t at, const char *s, size_t n, bool first,
    const struct run *run, struct err *e)
{
    enum scan_kind kind = sp->stage[at].scan;
    bool last = at + 1 == sp->n;
    size_t len;

    for (size_t i = 0; i < n; i += len) {
        len = scan_next(kind, sp->chars, s + i, n - i);
        if (last ? run->word(run->ctx, s + i, len, e)
                 : run_stage(sp, at + 1, s + i, len, first && i == 0, run, e))
            return e->code;
    }
    return 0;
}

static int
run_stage(struct splitter *sp, size_t at, const char *s, size_t n, bool first,
    const struct run *run, struct err *e)
{
    struct split_stage *st = &sp->stage[at];

    if (n == 0)
        return 0;
    if (at == sp->n)
        return run->word(run->ctx, s, n, e);
    if (st->kind == SPLIT_METASPACE)
        return run_metaspace(sp, at, s, n, first, run, e);
    if (st->kind == SPLIT_PREFIX_SPACE) {
        if (s[0] == ' ')
            return run_stage(sp, at + 1, s, n, first, run, e);
        str_clear(&st->buf);
        str_addc(&st->buf, ' ');
        str_addn(&st->buf, s, n);
        return run_stage(sp, at + 1, st->buf.p, st->buf.len, first, run, e);
    }
    if (st->scan != SCAN_NONE && st->behavior == SPLIT_ISOLATED)
        return run_scan(sp, at, s, n, first, run, e);
    if (find_all(sp, st, s, n, e) != 0)
        return e->code;
    fold(st);
    for (size_t i = 0; i < st->n_range; i++) {
        const struct split_range *r = &st->range[i];

        if (!r->match &&
            run_stage(sp, at + 1, s + r->start, r->end - r->start,
                first && r->start == 0, run, e) != 0)
            return e->code;
    }
    return 0;
}

int
splitter_run(struct splitter *sp, const char *s, size_t n, bool first,
    split_word *word, void *ctx, struct err *e)
{
    const struct run run = { word, ctx };

    return run_stage(sp, 0, s, n, first, &run, e);
}

void
splitter_release(struct splitter *sp)
{
    for (size_t i = 0; i < SPLIT_STAGES_MOST; i++) {
        struct split_stage *st = &sp->stage[i];

        regex_free(st->regex);
        free(st->text);
        free(st->range);
        str_release(&st->buf);
    }
    *sp = (struct splitter){ 0 };
}
