#include "lib/text/selection.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/random.h"
#include "lib/base/str.h"

const char *
fate_name(enum fate f)
{
    static const char *const name[FATE_COUNT] = { "not-drawn", "kept",
        "empty", "exact-duplicate", "near-duplicate", "overlap" };

    return f < FATE_COUNT ? name[f] : "?";
}

/* Encodes with the line in front of the message. */
static int
encode(struct selection *s, const struct jsonl *it, const char *text,
    size_t len, struct ids *ids, struct err *e)
{
    struct err inner = { 0 };

    ids_clear(ids);
    if (tokenizer_encode(s->tok, text, len, false, ids, &inner))
        err_set(e, ERR_WORK, "%s:%zu: %s", it->path, it->line, inner.text);
    return e->code;
}

int
selection_suite(struct selection *s, struct jsonl it, struct err *e)
{
    struct ids ids = { 0 };

    while (!e->code && jsonl_next(&it)) {
        json_t *o = jsonl_object(&it, e);
        json_t *prompt = json_object_get(o, "prompt");

        if (json_is_string(prompt) && encode(s, &it, json_string_value(prompt),
                json_string_length(prompt), &ids, e) == 0)
            overlap_add(&s->suites, ids.v, ids.n);
        json_decref(o);
    }
    ids_release(&ids);
    return e->code;
}

/* First look at a document: its name, its identity, whether it has tokens. */
static int
read_doc(struct selection *s, struct doc *d, struct str *norm, struct ids *ids,
    struct err *e)
{
    json_t *o;
    size_t len;
    const char *text = jsonl_text(&d->line, &o, &len, e), *id;

    if (text == NULL)
        return e->code;
    id = json_string_value(json_object_get(o, "id"));
    d->id = id != NULL ? mem_strdup(id)
                       : mem_printf("line-%zu", d->line.line);
    if (!corpus_normalize(text, len, norm))
        err_set(e, ERR_WORK, "%s:%zu: text is not UTF-8; convert it",
            d->line.path, d->line.line);
    else if (encode(s, &d->line, text, len, ids, e) == 0) {
        d->text = digest_of(str_get(norm), norm->len);
        if (ids->n == 0 || norm->len == 0)
            d->fate = FATE_EMPTY;
    }
    json_decref(o);
    return e->code;
}

int
selection_read(struct selection *s, struct jsonl it, struct err *e)
{
    struct str norm = { 0 };
    struct ids ids = { 0 };
    size_t cap = 0;

    while (!e->code && jsonl_next(&it)) {
        if (s->n_docs == cap) {
            cap = cap == 0 ? 1024 : 2 * cap;
            s->doc = mem_realloc(s->doc, cap, sizeof *s->doc);
        }
        s->doc[s->n_docs] = (struct doc){ .line = it };
        read_doc(s, &s->doc[s->n_docs++], &norm, &ids, e);
    }
    str_release(&norm);
    ids_release(&ids);
    if (!e->code && s->n_docs == 0)
        err_set(e, ERR_WORK, "%s: holds no documents; give calibration "
            "documents, one {\"id\": ..., \"text\": ...} a line", it.path);
    return e->code;
}

/* The drawn order of all documents; freed by the caller. */
static size_t *
draw_order(struct selection *s)
{
    size_t *order = mem_calloc(s->n_docs, sizeof *order);
    struct random r;

    for (size_t i = 0; i < s->n_docs; i++)
        order[i] = i;
    random_init(&r, s->seed, 1);
    random_draw(&r, order, s->n_docs, s->n_docs);
    for (size_t i = 0; i < s->n_docs; i++)
        s->doc[order[i]].rank = i;
    return order;
}

/* Sorts by text, then by drawn rank; `s->doc` is what the indices mean. */
static int
text_order(const void *pa, const void *pb, void *ctx)
{
    const struct doc *doc = ctx;
    const struct doc *a = &doc[*(const size_t *)pa];
    const struct doc *b = &doc[*(const size_t *)pb];
    int c = memcmp(a->text.b, b->text.b, sizeof a->text.b);

    return c != 0 ? c : (a->rank > b->rank) - (a->rank < b->rank);
}

static void
mark_exact(struct selection *s)
{
    size_t *by = mem_calloc(s->n_docs, sizeof *by), first = 0;

    for (size_t i = 0; i < s->n_docs; i++)
        by[i] = i;
    qsort_r(by, s->n_docs, sizeof *by, text_order, s->doc);
    for (size_t i = 1; i < s->n_docs; i++) {
        struct doc *d = &s->doc[by[i]];

        if (!digest_equal(&d->text, &s->doc[by[first]].text)) {
            first = i;
        } else if (d->fate == FATE_WAITS) {
            d->fate = FATE_EXACT;
            d->of = by[first];
        }
    }
    free(by);
}

/* Reads a document again; what it was the first time it still is. */
static void
load(struct selection *s, const struct doc *d, struct str *norm,
    struct ids *ids)
{
    struct err none = { 0 };
    json_t *o;
    size_t len;
    const char *text = jsonl_text(&d->line, &o, &len, &none);

    if (text != NULL && corpus_normalize(text, len, norm))
        encode(s, &d->line, text, len, ids, &none);
    json_decref(o);
}

/* In how many distinct documents of the pool the suites' runs occur. */
static void
note_stock(struct selection *s)
{
    struct str norm = { 0 };
    struct ids ids = { 0 };

    for (size_t i = 0; i < s->n_docs && s->suites.n > 0; i++)
        if (s->doc[i].fate == FATE_WAITS) {
            load(s, &s->doc[i], &norm, &ids);
            overlap_note(&s->suites, ids.v, ids.n);
        }
    str_release(&norm);
    ids_release(&ids);
}

/* The kept sample that these words are too near to, or NULL. */
static const struct sample *
near_to(const struct selection *s, const struct shingles *words)
{
    for (size_t i = 0; i < s->n_kept; i++)
        if (shingles_jaccard(&s->kept[i].words, words) >= s->near)
            return &s->kept[i];
    return NULL;
}

static void
consider(struct selection *s, struct doc *d, struct str *norm)
{
    struct sample new = { .doc = (size_t)(d - s->doc) };
    const struct sample *twin;
    enum overlap_verdict seen;

    load(s, d, norm, &new.ids);
    corpus_shingles(&new.words, str_get(norm), norm->len);
    twin = near_to(s, &new.words);
    seen = overlap_look(&s->suites, new.ids.v, new.ids.n);
    if (seen == OVERLAP_LEAK)
        d->fate = FATE_OVERLAP;
    else if (twin != NULL) {
        d->fate = FATE_NEAR;
        d->of = twin->doc;
    } else {
        d->fate = FATE_KEPT;
        s->phrases += seen == OVERLAP_PHRASE;
        s->kept[s->n_kept++] = new;
        return;
    }
    shingles_release(&new.words);
    ids_release(&new.ids);
}

void
selection_choose(struct selection *s, struct progress *p)
{
    size_t *order = draw_order(s);
    struct str norm = { 0 };

    mark_exact(s);
    note_stock(s);
    s->kept = mem_calloc(s->count, sizeof *s->kept);
    for (size_t i = 0; i < s->n_docs; i++) {
        struct doc *d = &s->doc[order[i]];

        if (d->fate == FATE_WAITS && s->n_kept < s->count)
            consider(s, d, &norm);
        s->fates[d->fate]++;
        if (p != NULL)
            progress_add(p, 1);
    }
    str_release(&norm);
    free(order);
}

static bool
has_bos(const struct selection *s)
{
    return tokenizer_add_bos(s->tok) && tokenizer_bos(s->tok) >= 0;
}

/* Replaces a document's ids by those of its window of at most `longest`. */
static void
cut(struct selection *s, struct sample *k, struct random *r)
{
    bool bos = has_bos(s);
    uint64_t n = k->ids.n, start = 0;

    k->cut = n + bos > s->longest;
    if (k->cut && n > s->longest)
        start = random_below(r, n - s->longest + 1);
    k->bos = bos && start == 0;
    if (n > s->longest - k->bos)
        n = s->longest - k->bos;
    memmove(k->ids.v, k->ids.v + start, n * sizeof *k->ids.v);
    k->ids.n = n;
    s->tokens += n + k->bos;
    s->largest = n + k->bos > s->largest ? n + k->bos : s->largest;
}

void
selection_cut(struct selection *s)
{
    uint64_t *len = mem_calloc(s->n_kept, sizeof *len);
    struct random r;

    for (size_t i = 0; i < s->n_kept; i++) {
        len[i] = s->kept[i].ids.n + has_bos(s);
        if (len[i] > s->window)
            len[i] = s->window;
    }
    s->longest = corpus_cap(len, s->n_kept, s->share);
    s->fits = s->longest > 0;
    if (!s->fits)
        s->longest = s->window;
    random_init(&r, s->seed, 2);
    for (size_t i = 0; i < s->n_kept; i++)
        cut(s, &s->kept[i], &r);
    free(len);
}

void
selection_release(struct selection *s)
{
    for (size_t i = 0; i < s->n_docs; i++)
        free(s->doc[i].id);
    for (size_t i = 0; i < s->n_kept; i++) {
        shingles_release(&s->kept[i].words);
        ids_release(&s->kept[i].ids);
    }
    free(s->kept);
    free(s->doc);
    overlap_release(&s->suites);
    memset(s, 0, sizeof *s);
}
