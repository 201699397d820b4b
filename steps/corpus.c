/*
 * quern-corpus - chooses the calibration documents and shows what they are
 *
 * In: the pool (JSON lines), the tokenizer, the production profile and the
 * suites. Out: the tokens of the chosen windows, and a report of every document
 * that was kept or dropped, and why.
 *
 * Every line of the pool is read and checked. Documents are then taken in an
 * order drawn with the seed until `count` are kept; one is dropped when
 *
 *   exact-duplicate  its normalized text equals that of an earlier one
 *   overlap          it gives a suite's prompt away (see lib/text/corpus.h)
 *   near-duplicate   its word 5-grams overlap those of a kept one too much
 *   empty            it has no tokens
 *
 * A document gives one window, from a place drawn uniformly, so a giant counts
 * no more than others; no window is longer than `window` tokens or holds more
 * than `largest-share` percent of all tokens. A window that starts where its
 * document starts has the tokenizer's bos in front, as prompts do.
 *
 * In-domain: the chosen windows are held against production by the distance of
 * their unigrams; see lib/text/profile.h for the test.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/bytes.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/random.h"
#include "lib/base/str.h"
#include "lib/format/safetensors.h"
#include "lib/model/source.h"
#include "lib/record/stage.h"
#include "lib/text/corpus.h"
#include "lib/text/jsonl.h"
#include "lib/text/profile.h"

enum fate { WAITS, KEPT, EMPTY, EXACT, NEAR, OVERLAP, FATE_COUNT };

static const char *const fate_name[FATE_COUNT] = {
    "not-drawn", "kept", "empty", "exact-duplicate", "near-duplicate",
    "overlap"
};

static const char pool_role[] = "data/calibration.jsonl";
static const char tokenizer_role[] = "base/tokenizer.fp.json";
static const char traffic_role[] = "traffic.json";

enum { TOP_TOKENS = 10 };

struct doc {
    struct jsonl line;  /* where it stands */
    char *id;           /* owned */
    struct digest text; /* of the normalized text */
    size_t rank;        /* place in the drawn order */
    enum fate fate;
    size_t of;          /* of a duplicate: the document that stays */
};

/* A kept document. */
struct sample {
    size_t doc;
    struct shingles words;
    struct ids ids;   /* without bos; whole, later only the window */
    bool bos;         /* the window starts the document and has bos */
    bool cut;
};

struct work {
    struct stage *s;
    int64_t count, min_count, window, seed, draws;
    double share, near, quantile;
    struct tokenizer *tok;
    struct profile traffic;
    struct overlap suites;
    struct doc *doc;
    size_t n_docs;
    size_t *order; /* [n_docs] */
    struct sample *kept;
    size_t n_kept;
    uint64_t dropped[FATE_COUNT];
    uint64_t phrases; /* kept documents that share a run with a prompt */
    uint64_t tokens, largest; /* of the windows, with bos */
    struct bag *bag;          /* [n_kept] of the windows, without bos */
    struct shift shift;
};

static int
read_params(struct work *w, struct err *e)
{
    struct stage *s = w->s;

    w->draws = 200;
    w->share = 2;
    w->near = 0.7;
    w->quantile = 0.99;
    if (stage_param_int(s, "count", 1, 1 << 20, &w->count, e) ||
        stage_param_int(s, "window", 1, 1 << 20, &w->window, e) ||
        stage_param_int(s, "seed", 0, INT64_MAX, &w->seed, e))
        return e->code;
    w->min_count = w->count;
    if (stage_param(s, "min-count") != NULL)
        stage_param_int(s, "min-count", 1, w->count, &w->min_count, e);
    if (stage_param(s, "draws") != NULL)
        stage_param_int(s, "draws", 20, 100000, &w->draws, e);
    if (stage_param(s, "largest-share") != NULL)
        stage_param_real(s, "largest-share", 0.001, 100, &w->share, e);
    if (stage_param(s, "near-duplicate") != NULL)
        stage_param_real(s, "near-duplicate", 0.01, 1, &w->near, e);
    if (stage_param(s, "quantile") != NULL)
        stage_param_real(s, "quantile", 0.5, 1, &w->quantile, e);
    return e->code;
}

static int
open_parts(struct work *w, struct err *e)
{
    const struct stage_file *fp = stage_in(w->s, tokenizer_role);
    const struct stage_file *traffic = stage_in(w->s, traffic_role);
    struct fingerprint f = { 0 };
    char hex[DIGEST_HEX];

    if (fingerprint_parse(&f, fp->path, fp->map.p, fp->map.len, e) == 0)
        source_tokenizer(&w->tok, &f, stage_src(w->s, "base"), e);
    fingerprint_release(&f);
    if (e->code || profile_parse(&w->traffic, traffic->path, traffic->map.p,
            traffic->map.len, e))
        return e->code;
    if (strcmp(w->traffic.tokenizer, digest_hex(&fp->digest, hex)) != 0)
        err_set(e, ERR_WORK, "%s: was counted with another tokenizer; run "
            "ninja traffic.json first", traffic->path);
    return e->code;
}

/* Encodes with the line in front of the message. */
static int
encode(struct work *w, const struct jsonl *it, const char *text, size_t len,
    struct ids *ids, struct err *e)
{
    struct err inner = { 0 };

    ids_clear(ids);
    if (tokenizer_encode(w->tok, text, len, false, ids, &inner))
        err_set(e, ERR_WORK, "%s:%zu: %s", it->path, it->line, inner.text);
    return e->code;
}

static int
add_suite(struct work *w, const struct stage_file *f, struct err *e)
{
    struct jsonl it = jsonl_begin(f->path, f->map.p, f->map.len);
    struct ids ids = { 0 };

    while (!e->code && jsonl_next(&it)) {
        json_t *o = jsonl_object(&it, e);
        json_t *prompt = json_object_get(o, "prompt");

        if (prompt != NULL && encode(w, &it, json_string_value(prompt),
                json_string_length(prompt), &ids, e) == 0)
            overlap_add(&w->suites, ids.v, ids.n);
        json_decref(o);
    }
    ids_release(&ids);
    return e->code;
}

static int
read_suites(struct work *w, struct err *e)
{
    const struct stage_file *f;

    for (size_t i = 0; (f = stage_in_next(w->s, "suite/", &i)) != NULL;)
        if (str_ends(f->role, ".jsonl") && add_suite(w, f, e))
            return e->code;
    return 0;
}

/* First look at a document: its name, its identity, whether it has tokens. */
static int
read_doc(struct work *w, struct doc *d, struct str *norm, struct ids *ids,
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
        err_set(e, ERR_WORK, "%s:%zu: text is not UTF-8", d->line.path,
            d->line.line);
    else if (encode(w, &d->line, text, len, ids, e) == 0) {
        d->text = digest_of(str_get(norm), norm->len);
        if (ids->n == 0 || norm->len == 0)
            d->fate = EMPTY;
    }
    json_decref(o);
    return e->code;
}

static int
read_pool(struct work *w, struct err *e)
{
    const struct stage_file *f = stage_in(w->s, pool_role);
    struct jsonl it = jsonl_begin(f->path, f->map.p, f->map.len);
    struct str norm = { 0 };
    struct ids ids = { 0 };
    size_t cap = 0;

    while (!e->code && jsonl_next(&it)) {
        if (w->n_docs == cap) {
            cap = cap == 0 ? 1024 : 2 * cap;
            w->doc = mem_realloc(w->doc, cap, sizeof *w->doc);
        }
        w->doc[w->n_docs] = (struct doc){ .line = it };
        read_doc(w, &w->doc[w->n_docs++], &norm, &ids, e);
    }
    str_release(&norm);
    ids_release(&ids);
    if (!e->code && w->n_docs == 0)
        err_set(e, ERR_WORK, "%s: holds no documents; give calibration "
            "documents, one {\"id\": ..., \"text\": ...} a line", f->path);
    return e->code;
}

static void
draw_order(struct work *w)
{
    struct random r;

    w->order = mem_calloc(w->n_docs, sizeof *w->order);
    for (size_t i = 0; i < w->n_docs; i++)
        w->order[i] = i;
    random_init(&r, (uint64_t)w->seed, 1);
    random_draw(&r, w->order, w->n_docs, w->n_docs);
    for (size_t i = 0; i < w->n_docs; i++)
        w->doc[w->order[i]].rank = i;
}

/* Sorts by text, then by drawn rank; `w->doc` is what the indices mean. */
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
mark_exact(struct work *w)
{
    size_t *by = mem_calloc(w->n_docs, sizeof *by), first = 0;

    for (size_t i = 0; i < w->n_docs; i++)
        by[i] = i;
    qsort_r(by, w->n_docs, sizeof *by, text_order, w->doc);
    for (size_t i = 1; i < w->n_docs; i++) {
        struct doc *d = &w->doc[by[i]];

        if (!digest_equal(&d->text, &w->doc[by[first]].text)) {
            first = i;
        } else if (d->fate == WAITS) {
            d->fate = EXACT;
            d->of = by[first];
        }
    }
    free(by);
}

/* Reads a document again; what it was the first time it still is. */
static void
load(struct work *w, const struct doc *d, struct str *norm, struct ids *ids)
{
    struct err none = { 0 };
    json_t *o;
    size_t len;
    const char *text = jsonl_text(&d->line, &o, &len, &none);

    if (text != NULL && corpus_normalize(text, len, norm))
        encode(w, &d->line, text, len, ids, &none);
    json_decref(o);
}

/* In how many distinct documents of the pool the suites' runs occur. */
static void
note_stock(struct work *w)
{
    struct str norm = { 0 };
    struct ids ids = { 0 };

    for (size_t i = 0; i < w->n_docs && w->suites.n > 0; i++)
        if (w->doc[i].fate == WAITS) {
            load(w, &w->doc[i], &norm, &ids);
            overlap_note(&w->suites, ids.v, ids.n);
        }
    str_release(&norm);
    ids_release(&ids);
}

/* The kept sample that these words are too near to, or NULL. */
static const struct sample *
near_to(const struct work *w, const struct shingles *words)
{
    for (size_t i = 0; i < w->n_kept; i++)
        if (shingles_jaccard(&w->kept[i].words, words) >= w->near)
            return &w->kept[i];
    return NULL;
}

static void
consider(struct work *w, struct doc *d, struct str *norm)
{
    struct sample new = { .doc = (size_t)(d - w->doc) };
    const struct sample *twin;
    enum overlap_verdict seen;

    load(w, d, norm, &new.ids);
    corpus_shingles(&new.words, str_get(norm), norm->len);
    twin = near_to(w, &new.words);
    seen = overlap_look(&w->suites, new.ids.v, new.ids.n);
    if (seen == OVERLAP_LEAK)
        d->fate = OVERLAP;
    else if (twin != NULL) {
        d->fate = NEAR;
        d->of = twin->doc;
    } else {
        d->fate = KEPT;
        w->phrases += seen == OVERLAP_PHRASE;
        w->kept[w->n_kept++] = new;
        return;
    }
    shingles_release(&new.words);
    ids_release(&new.ids);
}

static void
choose(struct work *w)
{
    struct str norm = { 0 };

    w->kept = mem_calloc((size_t)w->count, sizeof *w->kept);
    stage_progress(w->s, "documents", "document", w->n_docs);
    for (size_t i = 0; i < w->n_docs; i++) {
        struct doc *d = &w->doc[w->order[i]];

        if (d->fate == WAITS && w->n_kept < (size_t)w->count)
            consider(w, d, &norm);
        w->dropped[d->fate]++;
        progress_add(&w->s->progress, 1);
    }
    str_release(&norm);
}

/* Replaces a document's ids by those of its window of at most `most`. */
static void
cut(struct work *w, struct sample *k, uint64_t most, struct random *r)
{
    bool bos = tokenizer_add_bos(w->tok) && tokenizer_bos(w->tok) >= 0;
    uint64_t n = k->ids.n, start = 0;

    k->cut = n + bos > most;
    if (k->cut && n > most)
        start = random_below(r, n - most + 1);
    k->bos = bos && start == 0;
    if (n > most - k->bos)
        n = most - k->bos;
    memmove(k->ids.v, k->ids.v + start, n * sizeof *k->ids.v);
    k->ids.n = n;
    w->tokens += n + k->bos;
    w->largest = n + k->bos > w->largest ? n + k->bos : w->largest;
}

/* Windows for all; false if no window is short enough for the share. */
static bool
cut_all(struct work *w)
{
    uint64_t *len = mem_calloc(w->n_kept, sizeof *len), cap;
    bool bos = tokenizer_add_bos(w->tok) && tokenizer_bos(w->tok) >= 0, fits;
    struct random r;

    for (size_t i = 0; i < w->n_kept; i++) {
        len[i] = w->kept[i].ids.n + bos;
        if (len[i] > (uint64_t)w->window)
            len[i] = (uint64_t)w->window;
    }
    cap = corpus_cap(len, w->n_kept, w->share / 100);
    fits = cap > 0;
    if (!fits) /* fewer documents than the share allows: it is reported */
        cap = (uint64_t)w->window;
    random_init(&r, (uint64_t)w->seed, 2);
    for (size_t i = 0; i < w->n_kept; i++)
        cut(w, &w->kept[i], cap, &r);
    w->bag = mem_calloc(w->n_kept, sizeof *w->bag);
    for (size_t i = 0; i < w->n_kept; i++)
        bag_count(&w->bag[i], w->kept[i].ids.v, w->kept[i].ids.n);
    shift_measure(&w->shift, w->bag, w->n_kept, w->traffic.doc, w->traffic.n,
        (uint32_t)cap, (size_t)w->draws, w->quantile, (uint64_t)w->seed);
    free(len);
    return fits;
}

static int
put_tokens(struct work *w, struct err *e)
{
    static const char role[] = "corpus/tokens.safetensors";
    struct st_writer out = { 0 };
    char hex[DIGEST_HEX];
    json_t *meta = json_object();
    uint8_t le[8];
    int64_t at = 0;
    struct st_spec spec[2] = {
        { .name = "offsets", .dtype = "I64", .rank = 1,
            .shape = { w->n_kept + 1 } },
        { .name = "ids", .dtype = "I32", .rank = 1, .shape = { w->tokens } },
    };

    json_object_set_new(meta, "window",
        json_sprintf("%" PRId64, w->window));
    json_object_set_new(meta, "tokenizer_sha256", json_string(
        digest_hex(&stage_in(w->s, tokenizer_role)->digest, hex)));
    if (st_writer_open(&out, stage_out_path(w->s, role), spec, countof(spec),
            meta, e))
        goto done;
    store_u64le(le, 0);
    st_writer_data(&out, le, 8);
    for (size_t i = 0; i < w->n_kept; i++) {
        at += (int64_t)(w->kept[i].ids.n + w->kept[i].bos);
        store_u64le(le, (uint64_t)at);
        st_writer_data(&out, le, 8);
    }
    for (size_t i = 0; i < w->n_kept; i++) {
        const struct sample *k = &w->kept[i];

        if (k->bos) {
            store_u32le(le, (uint32_t)tokenizer_bos(w->tok));
            st_writer_data(&out, le, 4);
        }
        for (size_t j = 0; j < k->ids.n; j++) {
            store_u32le(le, (uint32_t)k->ids.v[j]);
            st_writer_data(&out, le, 4);
        }
    }
    if (st_writer_close(&out, e) == 0)
        stage_out_done(w->s, role, &out.out.digest, out.out.bytes, e);
done:
    st_writer_release(&out);
    json_decref(meta);
    return e->code;
}

/* The text of the token that stands for a bucket: the most frequent here. */
static json_t *
bucket_text(const struct work *w, size_t bucket)
{
    size_t size = tokenizer_size(w->tok), *seen;
    int32_t best = (int32_t)bucket;
    struct str text = { 0 };
    json_t *v;

    seen = mem_calloc(size / PROFILE_BUCKETS + 1, sizeof *seen);
    for (size_t i = 0; i < w->n_kept; i++)
        for (size_t j = 0; j < w->kept[i].ids.n; j++) {
            size_t id = (size_t)w->kept[i].ids.v[j];

            if (id % PROFILE_BUCKETS == bucket)
                seen[id / PROFILE_BUCKETS]++;
        }
    for (size_t id = bucket, k = 0; id < size; id += PROFILE_BUCKETS, k++)
        if (seen[k] > seen[(size_t)best / PROFILE_BUCKETS])
            best = (int32_t)id;
    tokenizer_decode(w->tok, &best, 1, false, &text);
    v = json_stringn(str_get(&text), text.len);
    str_release(&text);
    free(seen);
    return v;
}

static json_t *
top_tokens(const struct work *w)
{
    double *hist = mem_calloc(3 * PROFILE_BUCKETS, sizeof *hist);
    double *mine = hist, *theirs = hist + PROFILE_BUCKETS;
    double *part = theirs + PROFILE_BUCKETS, sum = 0, total = 0;
    json_t *list = json_array();

    bags_sum(w->bag, w->n_kept, mine);
    bags_sum(w->traffic.doc, w->traffic.n, theirs);
    js_parts(mine, theirs, PROFILE_BUCKETS, part);
    for (size_t i = 0; i < PROFILE_BUCKETS; i++) {
        sum += mine[i];
        total += theirs[i];
    }
    for (unsigned k = 0; k < TOP_TOKENS; k++) {
        size_t best = 0;

        for (size_t i = 1; i < PROFILE_BUCKETS; i++)
            if (part[i] > part[best])
                best = i;
        if (!(part[best] > 0))
            break;
        json_array_append_new(list, json_pack("{s:o, s:f, s:f}", "token",
            bucket_text(w, best), "calibration", mine[best] / sum,
            "production", theirs[best] / total));
        part[best] = 0;
    }
    free(hist);
    return list;
}

static json_t *
domain_json(const struct work *w)
{
    const struct shift *s = &w->shift;
    json_t *o = json_pack("{s:s, s:o, s:b}", "statistic", "js-unigram-nats",
        "top_tokens", top_tokens(w), "enough", s->enough);

    if (!s->enough)
        return o;
    json_object_set_new(o, "value", json_real(s->value));
    json_object_set_new(o, "null_mean", json_real(s->null_mean));
    json_object_set_new(o, "null_q99", json_real(s->null_top));
    json_object_set_new(o, "quantile", json_real(w->quantile));
    json_object_set_new(o, "draws", json_integer((json_int_t)s->draws));
    json_object_set_new(o, "draw_documents",
        json_integer((json_int_t)s->size));
    return o;
}

/* One answer: into the record when the stage is asked for it, and the report */
static void
answer(struct work *w, json_t *items, const char *item, const char *verdict,
    const char *figure)
{
    for (size_t i = 0; i < w->s->n_items; i++)
        if (strcmp(w->s->items[i], item) == 0)
            stage_answer(w->s, item, verdict, "%s", figure);
    json_array_append_new(items, json_pack("{s:s, s:s, s:s}", "item", item,
        "verdict", verdict, "figure", figure));
}

static json_t *
answer_all(struct work *w, bool share_holds)
{
    const struct shift *s = &w->shift;
    json_t *items = json_array();
    struct str f = { 0 };

    str_addf(&f, "%zu of %" PRId64 " documents, %" PRIu64 " tokens",
        w->n_kept, w->count, w->tokens);
    answer(w, items, "calibration.samples",
        w->n_kept == (size_t)w->count ? "PASS" : "FAIL", str_get(&f));
    str_clear(&f);
    if (s->enough)
        str_addf(&f, "js %.4f %s %.4f", s->value,
            s->value <= s->null_top ? "<=" : ">", s->null_top);
    else
        str_addf(&f, "%zu calibration and %zu production documents are too "
            "few to compare", w->n_kept, w->traffic.n);
    answer(w, items, "calibration.in-domain",
        !s->enough ? "INCONCLUSIVE"
                   : s->value <= s->null_top ? "PASS" : "FAIL", str_get(&f));
    str_clear(&f);
    str_addf(&f, "%" PRIu64 " exact, %" PRIu64 " near dropped; largest "
        "document %.2f%% of tokens", w->dropped[EXACT], w->dropped[NEAR],
        100 * (double)w->largest / (double)w->tokens);
    answer(w, items, "calibration.no-duplicates",
        share_holds ? "PASS" : "FAIL", str_get(&f));
    str_release(&f);
    return items;
}

static json_t *
dropped_json(const struct work *w, json_t *list)
{
    json_t *counts = json_object();

    for (size_t i = 0; i < FATE_COUNT; i++)
        if (i != KEPT)
            json_object_set_new(counts, fate_name[i],
                json_integer((json_int_t)w->dropped[i]));
    for (size_t i = 0; i < w->n_docs; i++) {
        const struct doc *d = &w->doc[i];
        json_t *o;

        if (d->fate == KEPT || d->fate == WAITS)
            continue;
        o = json_pack("{s:s, s:s}", "id", d->id, "why", fate_name[d->fate]);
        if (d->fate == EXACT || d->fate == NEAR)
            json_object_set_new(o, "of", json_string(w->doc[d->of].id));
        json_array_append_new(list, o);
    }
    return counts;
}

static int
put_report(struct work *w, bool share_holds, struct err *e)
{
    json_t *docs = json_array(), *gone = json_array(), *o;
    double squares = 0;

    for (size_t i = 0; i < w->n_kept; i++) {
        const struct sample *k = &w->kept[i];
        double n = (double)(k->ids.n + k->bos);

        squares += n * n;
        json_array_append_new(docs, json_pack("{s:s, s:I, s:b}", "id",
            w->doc[k->doc].id, "tokens", (json_int_t)(k->ids.n + k->bos),
            "cut", k->cut));
    }
    o = json_pack("{s:s, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:f, s:f}",
        "schema", "quern.corpus/1", "shared_phrases",
        (json_int_t)w->phrases, "pool", (json_int_t)w->n_docs, "kept",
        (json_int_t)w->n_kept, "tokens", (json_int_t)w->tokens, "dropped",
        dropped_json(w, gone), "dropped_documents", gone, "documents", docs,
        "in_domain", domain_json(w), "items", answer_all(w, share_holds),
        "largest_share", (double)w->largest / (double)w->tokens,
        "effective_documents",
        (double)w->tokens * (double)w->tokens / squares);
    stage_put_json(w->s, "corpus/report.json", o, e);
    json_decref(o);
    return e->code;
}

static int
too_few(const struct work *w, struct err *e)
{
    if (w->n_kept >= (size_t)w->min_count)
        return 0;
    return err_set(e, ERR_WORK, "%s: %zu documents are left, %" PRId64
        " are needed (of %zu: %" PRIu64 " exact duplicates, %" PRIu64
        " near ones, %" PRIu64 " overlapping a suite, %" PRIu64 " empty); "
        "give more documents or lower calibration.samples",
        stage_in(w->s, pool_role)->path, w->n_kept, w->min_count, w->n_docs,
        w->dropped[EXACT], w->dropped[NEAR], w->dropped[OVERLAP],
        w->dropped[EMPTY]);
}

static void
work_release(struct work *w)
{
    for (size_t i = 0; i < w->n_docs; i++)
        free(w->doc[i].id);
    for (size_t i = 0; i < w->n_kept; i++) {
        shingles_release(&w->kept[i].words);
        ids_release(&w->kept[i].ids);
        if (w->bag != NULL)
            bag_release(&w->bag[i]);
    }
    free(w->bag);
    free(w->kept);
    free(w->doc);
    free(w->order);
    overlap_release(&w->suites);
    profile_release(&w->traffic);
    tokenizer_free(w->tok);
}

static int
run(struct stage *s, struct err *e)
{
    struct work w = { .s = s };
    bool share_holds;

    if (read_params(&w, e) || open_parts(&w, e) || read_suites(&w, e) ||
        read_pool(&w, e))
        goto done;
    draw_order(&w);
    mark_exact(&w);
    note_stock(&w);
    choose(&w);
    if (too_few(&w, e))
        goto done;
    share_holds = cut_all(&w);
    if (put_tokens(&w, e) == 0)
        put_report(&w, share_holds, e);
done:
    work_release(&w);
    return e->code;
}

static const char *const params[] = { "!count", "!window", "!seed",
    "largest-share", "near-duplicate", "quantile", "draws", "min-count",
    NULL };
static const char *const ins[] = { "!data/calibration.jsonl",
    "!base/tokenizer.fp.json", "!traffic.json", "suite/*", NULL };
static const char *const srcs[] = { "!base", NULL };
static const char *const outs[] = { "!corpus/tokens.safetensors",
    "!corpus/report.json", NULL };

static const struct stage_spec spec = {
    .step = "corpus",
    .purpose = "chooses the calibration documents and shows what they are",
    .params = params,
    .ins = ins,
    .srcs = srcs,
    .outs = outs,
};

int
main(int argc, char **argv)
{
    return stage_main(&spec, argc, argv, run);
}
