/*
 * quern-corpus - chooses the calibration documents and shows what they are
 *
 * In: the pool (JSON lines), the tokenizer, the production profile and the
 * suites. Out: the tokens of the chosen windows, and a report of every document
 * that was kept or dropped, and why.
 *
 * How documents are chosen and cut is told in lib/text/selection.h.
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
#include "lib/base/str.h"
#include "lib/format/safetensors.h"
#include "lib/model/source.h"
#include "lib/record/stage.h"
#include "lib/text/jsonl.h"
#include "lib/text/profile.h"
#include "lib/text/selection.h"

static const char pool_role[] = "data/calibration.jsonl";
static const char tokenizer_role[] = "base/tokenizer.fp.json";
static const char traffic_role[] = "traffic.json";

enum { TOP_TOKENS = 10 };

struct work {
    struct stage *s;
    int64_t min_count, draws;
    double quantile;
    struct tokenizer *tok;
    struct profile traffic;
    struct selection pick;
    struct bag *bag; /* [pick.n_kept] of the windows, without bos */
    struct shift shift;
};

static int
read_params(struct work *w, struct err *e)
{
    struct stage *s = w->s;
    int64_t count, window, seed;
    double share = 2;

    w->draws = 200;
    w->quantile = 0.99;
    w->pick.near = 0.7;
    if (stage_param_int(s, "count", 1, 1 << 20, &count, e) ||
        stage_param_int(s, "window", 1, 1 << 20, &window, e) ||
        stage_param_int(s, "seed", 0, INT64_MAX, &seed, e))
        return e->code;
    w->min_count = count;
    if (stage_param(s, "min-count") != NULL)
        stage_param_int(s, "min-count", 1, count, &w->min_count, e);
    if (stage_param(s, "draws") != NULL)
        stage_param_int(s, "draws", 20, 100000, &w->draws, e);
    if (stage_param(s, "largest-share") != NULL)
        stage_param_real(s, "largest-share", 0.001, 100, &share, e);
    if (stage_param(s, "near-duplicate") != NULL)
        stage_param_real(s, "near-duplicate", 0.01, 1, &w->pick.near, e);
    if (stage_param(s, "quantile") != NULL)
        stage_param_real(s, "quantile", 0.5, 1, &w->quantile, e);
    w->pick.count = (size_t)count;
    w->pick.window = (size_t)window;
    w->pick.seed = (uint64_t)seed;
    w->pick.share = share / 100;
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
    w->pick.tok = w->tok;
    if (e->code || profile_parse(&w->traffic, traffic->path, traffic->map.p,
            traffic->map.len, e))
        return e->code;
    if (strcmp(w->traffic.tokenizer, digest_hex(&fp->digest, hex)) != 0)
        err_set(e, ERR_WORK, "%s: was counted with another tokenizer; run "
            "ninja traffic.json first", traffic->path);
    return e->code;
}

static int
read_all(struct work *w, struct err *e)
{
    const struct stage_file *pool = stage_in(w->s, pool_role), *f;

    for (size_t i = 0; (f = stage_in_next(w->s, "suite/", &i)) != NULL;)
        if (str_ends(f->role, ".jsonl") && selection_suite(&w->pick,
                jsonl_begin(f->path, f->map.p, f->map.len), e))
            return e->code;
    return selection_read(&w->pick,
        jsonl_begin(pool->path, pool->map.p, pool->map.len), e);
}

/* The chosen windows against production. */
static void
compare(struct work *w)
{
    const struct selection *p = &w->pick;

    w->bag = mem_calloc(p->n_kept, sizeof *w->bag);
    for (size_t i = 0; i < p->n_kept; i++)
        bag_count(&w->bag[i], p->kept[i].ids.v, p->kept[i].ids.n);
    shift_measure(&w->shift, w->bag, p->n_kept, w->traffic.doc, w->traffic.n,
        (uint32_t)p->longest, (size_t)w->draws, w->quantile, p->seed);
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
            .shape = { w->pick.n_kept + 1 } },
        { .name = "ids", .dtype = "I32", .rank = 1,
            .shape = { w->pick.tokens } },
    };

    json_object_set_new(meta, "window",
        json_sprintf("%zu", w->pick.window));
    json_object_set_new(meta, "tokenizer_sha256", json_string(
        digest_hex(&stage_in(w->s, tokenizer_role)->digest, hex)));
    if (st_writer_open(&out, stage_out_path(w->s, role), spec, countof(spec),
            meta, e))
        goto done;
    store_u64le(le, 0);
    st_writer_data(&out, le, 8);
    for (size_t i = 0; i < w->pick.n_kept; i++) {
        at += (int64_t)(w->pick.kept[i].ids.n + w->pick.kept[i].bos);
        store_u64le(le, (uint64_t)at);
        st_writer_data(&out, le, 8);
    }
    for (size_t i = 0; i < w->pick.n_kept; i++) {
        const struct sample *k = &w->pick.kept[i];

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
    for (size_t i = 0; i < w->pick.n_kept; i++)
        for (size_t j = 0; j < w->pick.kept[i].ids.n; j++) {
            size_t id = (size_t)w->pick.kept[i].ids.v[j];

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

    bags_sum(w->bag, w->pick.n_kept, mine);
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
answer_all(struct work *w)
{
    const struct shift *s = &w->shift;
    json_t *items = json_array();
    struct str f = { 0 };

    str_addf(&f, "%zu of %zu documents, %" PRIu64 " tokens",
        w->pick.n_kept, w->pick.count, w->pick.tokens);
    answer(w, items, "calibration.samples",
        w->pick.n_kept == w->pick.count ? "PASS" : "FAIL", str_get(&f));
    str_clear(&f);
    if (s->enough)
        str_addf(&f, "js %.4f %s %.4f", s->value,
            s->value <= s->null_top ? "<=" : ">", s->null_top);
    else
        str_addf(&f, "%zu calibration and %zu production documents are too "
            "few to compare", w->pick.n_kept, w->traffic.n);
    answer(w, items, "calibration.in-domain",
        !s->enough ? "INCONCLUSIVE"
                   : s->value <= s->null_top ? "PASS" : "FAIL", str_get(&f));
    str_clear(&f);
    str_addf(&f, "%" PRIu64 " exact, %" PRIu64 " near dropped; largest "
        "document %.2f%% of tokens", w->pick.fates[FATE_EXACT],
        w->pick.fates[FATE_NEAR],
        100 * (double)w->pick.largest / (double)w->pick.tokens);
    answer(w, items, "calibration.no-duplicates",
        w->pick.fits ? "PASS" : "FAIL", str_get(&f));
    str_release(&f);
    return items;
}

static json_t *
dropped_json(const struct work *w, json_t *list)
{
    json_t *counts = json_object();

    for (size_t i = 0; i < FATE_COUNT; i++)
        if (i != FATE_KEPT)
            json_object_set_new(counts, fate_name((enum fate)i),
                json_integer((json_int_t)w->pick.fates[i]));
    for (size_t i = 0; i < w->pick.n_docs; i++) {
        const struct doc *d = &w->pick.doc[i];
        json_t *o;

        if (d->fate == FATE_KEPT || d->fate == FATE_WAITS)
            continue;
        o = json_pack("{s:s, s:s}", "id", d->id, "why", fate_name(d->fate));
        if (d->fate == FATE_EXACT || d->fate == FATE_NEAR)
            json_object_set_new(o, "of", json_string(w->pick.doc[d->of].id));
        json_array_append_new(list, o);
    }
    return counts;
}

static int
put_report(struct work *w, struct err *e)
{
    json_t *docs = json_array(), *gone = json_array(), *o;
    double squares = 0;

    for (size_t i = 0; i < w->pick.n_kept; i++) {
        const struct sample *k = &w->pick.kept[i];
        double n = (double)(k->ids.n + k->bos);

        squares += n * n;
        json_array_append_new(docs, json_pack("{s:s, s:I, s:b}", "id",
            w->pick.doc[k->doc].id, "tokens", (json_int_t)(k->ids.n + k->bos),
            "cut", k->cut));
    }
    o = json_pack("{s:s, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:f, "
        "s:f}", "schema", "quern.corpus/1", "shared_phrases",
        (json_int_t)w->pick.phrases, "pool", (json_int_t)w->pick.n_docs, "kept",
        (json_int_t)w->pick.n_kept, "tokens", (json_int_t)w->pick.tokens,
        "dropped",
        dropped_json(w, gone), "dropped_documents", gone, "documents", docs,
        "in_domain", domain_json(w), "items", answer_all(w),
        "largest_share", (double)w->pick.largest / (double)w->pick.tokens,
        "effective_documents",
        (double)w->pick.tokens * (double)w->pick.tokens / squares);
    stage_put_json(w->s, "corpus/report.json", o, e);
    json_decref(o);
    return e->code;
}

static int
too_few(const struct work *w, struct err *e)
{
    if (w->pick.n_kept >= (size_t)w->min_count)
        return 0;
    return err_set(e, ERR_WORK, "%s: %zu documents are left, %" PRId64
        " are needed (of %zu: %" PRIu64 " exact duplicates, %" PRIu64
        " near ones, %" PRIu64 " overlapping a suite, %" PRIu64 " empty); "
        "give more documents or lower calibration.samples",
        stage_in(w->s, pool_role)->path, w->pick.n_kept, w->min_count,
        w->pick.n_docs,
        w->pick.fates[FATE_EXACT], w->pick.fates[FATE_NEAR],
        w->pick.fates[FATE_OVERLAP],
        w->pick.fates[FATE_EMPTY]);
}

static int
run(struct stage *s, struct err *e)
{
    struct work w = { .s = s };

    if (read_params(&w, e) || open_parts(&w, e) || read_all(&w, e))
        goto done;
    stage_progress(s, "documents", "document", w.pick.n_docs);
    selection_choose(&w.pick, &s->progress);
    if (too_few(&w, e))
        goto done;
    selection_cut(&w.pick);
    compare(&w);
    if (put_tokens(&w, e) == 0)
        put_report(&w, e);
done:
    for (size_t i = 0; w.bag != NULL && i < w.pick.n_kept; i++)
        bag_release(&w.bag[i]);
    free(w.bag);
    selection_release(&w.pick);
    profile_release(&w.traffic);
    tokenizer_free(w.tok);
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
