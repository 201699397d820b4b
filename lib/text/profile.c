#include "lib/text/profile.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/hash.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/random.h"

static const char schema[] = "quern.traffic/1";

enum { LEAST_DOCUMENTS = 20 };

/* From a full histogram; keeps the order of buckets. */
static void
bag_from(struct bag *b, const uint32_t *hist)
{
    uint32_t len = 0;

    for (size_t i = 0; i < PROFILE_BUCKETS; i++)
        len += hist[i] > 0;
    b->bucket = mem_calloc(len, sizeof *b->bucket);
    b->count = mem_calloc(len, sizeof *b->count);
    b->len = 0;
    b->tokens = 0;
    for (size_t i = 0; i < PROFILE_BUCKETS; i++) {
        if (hist[i] == 0)
            continue;
        b->bucket[b->len] = (uint16_t)i;
        b->count[b->len++] = hist[i];
        b->tokens += hist[i];
    }
}

void
bag_count(struct bag *b, const int32_t *ids, size_t n)
{
    uint32_t *hist = mem_calloc(PROFILE_BUCKETS, sizeof *hist);

    for (size_t i = 0; i < n; i++)
        hist[(uint32_t)ids[i] % PROFILE_BUCKETS]++;
    bag_from(b, hist);
    free(hist);
}

void
bag_release(struct bag *b)
{
    free(b->bucket);
    free(b->count);
    memset(b, 0, sizeof *b);
}

void
bag_cut(struct bag *b, uint32_t window, uint64_t seed, uint64_t stream)
{
    struct random r;
    struct bag cut = { 0 };
    uint32_t left = b->tokens, need = window, *hist;

    if (window == 0 || b->tokens <= window)
        return;
    random_init(&r, seed, stream);
    hist = mem_calloc(PROFILE_BUCKETS, sizeof *hist);
    /* token after token, each kept with probability need / left */
    for (uint32_t i = 0; i < b->len; i++)
        for (uint32_t k = 0; k < b->count[i]; k++, left--)
            if (random_below(&r, left) < need) {
                hist[b->bucket[i]]++;
                need--;
            }
    bag_from(&cut, hist);
    free(hist);
    bag_release(b);
    *b = cut;
}

/* x ln(x / m) with its limit 0 at x = 0. */
static double
part(double x, double m)
{
    return x > 0 ? x * log(x / m) : 0;
}

void
js_parts(const double *a, const double *b, size_t n, double *out)
{
    double sa = 0, sb = 0;

    for (size_t i = 0; i < n; i++) {
        sa += a[i];
        sb += b[i];
    }
    for (size_t i = 0; i < n; i++) {
        double p = sa > 0 ? a[i] / sa : 0, q = sb > 0 ? b[i] / sb : 0;
        double m = (p + q) / 2;

        out[i] = (part(p, m) + part(q, m)) / 2;
    }
}

double
js_distance(const double *a, const double *b, size_t n)
{
    double sum = 0, *parts = mem_calloc(n, sizeof *parts);

    js_parts(a, b, n, parts);
    for (size_t i = 0; i < n; i++)
        sum += parts[i];
    free(parts);
    return sqrt(sum > 0 ? sum : 0);
}

static void
bag_into(const struct bag *b, double *hist, double sign)
{
    for (uint32_t i = 0; i < b->len; i++)
        hist[b->bucket[i]] += sign * (double)b->count[i];
}

void
bags_sum(const struct bag *b, size_t n, double *out)
{
    memset(out, 0, PROFILE_BUCKETS * sizeof *out);
    for (size_t i = 0; i < n; i++)
        bag_into(&b[i], out, 1);
}

static int
double_order(const void *pa, const void *pb)
{
    double a, b;

    memcpy(&a, pa, sizeof a);
    memcpy(&b, pb, sizeof b);
    return (a > b) - (a < b);
}

/* Linear between the two nearest of n sorted values, as numpy does. */
static double
quantile_of(const double *v, size_t n, double q)
{
    double at = q * (double)(n - 1);
    size_t low = (size_t)at;

    if (low + 1 >= n)
        return v[n - 1];
    return v[low] + (at - (double)low) * (v[low + 1] - v[low]);
}

static void
copy_bags(struct bag *to, const struct bag *from, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        to[i] = from[i];
        to[i].bucket = mem_calloc(from[i].len, sizeof *to[i].bucket);
        to[i].count = mem_calloc(from[i].len, sizeof *to[i].count);
        memcpy(to[i].bucket, from[i].bucket,
            from[i].len * sizeof *to[i].bucket);
        memcpy(to[i].count, from[i].count, from[i].len * sizeof *to[i].count);
    }
}

/* Sum of k bags drawn without return; `order` is [n] and is shuffled on. */
static void
draw_sum(struct random *r, const struct bag *b, size_t *order, size_t n,
    size_t k, double *out)
{
    random_draw(r, order, n, k);
    memset(out, 0, PROFILE_BUCKETS * sizeof *out);
    for (size_t i = 0; i < k; i++)
        bag_into(&b[order[i]], out, 1);
}

static size_t *
identity(size_t n)
{
    size_t *v = mem_calloc(n, sizeof *v);

    for (size_t i = 0; i < n; i++)
        v[i] = i;
    return v;
}

void
shift_measure(struct shift *s, const struct bag *sample, size_t n,
    const struct bag *reference, size_t m, uint32_t window, size_t draws,
    double quantile, uint64_t seed)
{
    double hist[4][PROFILE_BUCKETS];
    double *drawn = hist[0], *rest = hist[1], *own = hist[2], *all = hist[3];
    double *null = mem_calloc(draws, sizeof *null);
    struct bag *ref = mem_calloc(m, sizeof *ref);
    size_t *order = identity(m), *picks = identity(n);
    struct random r;

    memset(s, 0, sizeof *s);
    s->size = n < m / 2 ? n : m / 2;
    s->enough = n >= LEAST_DOCUMENTS && m >= LEAST_DOCUMENTS && draws > 0;
    copy_bags(ref, reference, m);
    for (size_t i = 0; i < m; i++)
        bag_cut(&ref[i], window, seed, i + 1);
    random_init(&r, seed, 0);
    bags_sum(ref, m, all);
    for (size_t d = 0; d < draws && s->enough; d++) {
        draw_sum(&r, ref, order, m, s->size, drawn);
        for (size_t i = 0; i < PROFILE_BUCKETS; i++)
            rest[i] = all[i] - drawn[i];
        draw_sum(&r, sample, picks, n, s->size, own);
        null[d] = js_distance(drawn, rest, PROFILE_BUCKETS);
        s->null_mean += null[d] / (double)draws;
        s->value += js_distance(own, rest, PROFILE_BUCKETS) / (double)draws;
    }
    if (s->enough) {
        qsort(null, draws, sizeof *null, double_order);
        s->null_top = quantile_of(null, draws, quantile);
        s->draws = draws;
    }
    for (size_t i = 0; i < m; i++)
        bag_release(&ref[i]);
    free(ref);
    free(null);
    free(order);
    free(picks);
}

json_t *
profile_json(const struct profile *p)
{
    json_t *counts = json_array();

    for (size_t i = 0; i < p->n; i++) {
        const struct bag *b = &p->doc[i];
        json_t *c = json_array();

        for (uint32_t k = 0; k < b->len; k++) {
            json_array_append_new(c, json_integer(b->bucket[k]));
            json_array_append_new(c, json_integer(b->count[k]));
        }
        json_array_append_new(counts,
            json_pack("{s:I, s:o}", "n", (json_int_t)b->tokens, "c", c));
    }
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:i, s:o, s:I, s:s, s:s}",
        "schema", schema, "limit", (json_int_t)p->limit, "seed",
        (json_int_t)p->seed, "documents", (json_int_t)p->n, "tokens",
        (json_int_t)p->tokens, "buckets", PROFILE_BUCKETS, "counts", counts,
        "epoch", (json_int_t)p->epoch, "source_sha256", p->source,
        "tokenizer_sha256", p->tokenizer);
}

static int
bag_parse(struct bag *b, const json_t *o, const char *path, struct err *e)
{
    json_t *c = json_get_array(o, "c", path, e);
    int64_t tokens = json_get_int(o, "n", 0, UINT32_MAX, path, e);
    size_t len = json_array_size(c) / 2;
    uint64_t sum = 0;
    int64_t last = -1;

    if (e->code)
        return e->code;
    b->bucket = mem_calloc(len, sizeof *b->bucket);
    b->count = mem_calloc(len, sizeof *b->count);
    b->len = (uint32_t)len;
    b->tokens = (uint32_t)tokens;
    for (size_t i = 0; i < len; i++) {
        int64_t k = json_integer_value(json_array_get(c, 2 * i));
        int64_t v = json_integer_value(json_array_get(c, 2 * i + 1));

        if (k <= last || k >= PROFILE_BUCKETS || v <= 0 || v > tokens)
            goto bad;
        b->bucket[i] = (uint16_t)k;
        b->count[i] = (uint32_t)v;
        sum += (uint64_t)v;
        last = k;
    }
    if (sum == (uint64_t)tokens && json_array_size(c) % 2 == 0)
        return 0;
bad:
    return err_set(e, ERR_WORK, "%s: counts of a document are out of order or "
        "do not add up; delete the file and run the traffic stage", path);
}

static int
take_hex(char out[65], const json_t *o, const char *key, const char *path,
    struct err *e)
{
    const char *hex = json_get_str(o, key, path, e);
    struct digest d;

    if (hex == NULL || !digest_parse(&d, hex))
        return err_set(e, ERR_WORK, "%s: '%s' is not a SHA-256; delete the "
            "file and run the traffic stage", path, key);
    digest_hex(&d, out);
    return 0;
}

int
profile_parse(struct profile *p, const char *path, const void *bytes,
    size_t len, struct err *e)
{
    json_t *o = json_parse(bytes, len, path, e), *counts;
    const char *name;

    memset(p, 0, sizeof *p);
    if (o == NULL)
        return e->code;
    name = json_get_str(o, "schema", path, e);
    if (name != NULL && strcmp(name, schema) != 0)
        err_set(e, ERR_WORK, "%s: schema is '%s', not '%s'; delete the file "
            "and run the traffic stage", path, name, schema);
    json_get_int(o, "buckets", PROFILE_BUCKETS, PROFILE_BUCKETS, path, e);
    p->epoch = (uint64_t)json_get_int(o, "epoch", 1, INT64_MAX, path, e);
    p->limit = (uint64_t)json_get_int(o, "limit", 1, INT64_MAX, path, e);
    p->seed = (uint64_t)json_get_int(o, "seed", 0, INT64_MAX, path, e);
    counts = json_get_array(o, "counts", path, e);
    if (!e->code && json_array_size(counts) > PROFILE_MAX_DOCUMENTS)
        err_set(e, ERR_WORK, "%s: holds more than %d documents; delete the "
            "file and run the traffic stage", path, PROFILE_MAX_DOCUMENTS);
    if (e->code || take_hex(p->source, o, "source_sha256", path, e) ||
        take_hex(p->tokenizer, o, "tokenizer_sha256", path, e))
        goto done;
    p->doc = mem_calloc(json_array_size(counts), sizeof *p->doc);
    for (size_t i = 0; i < json_array_size(counts); i++) {
        if (bag_parse(&p->doc[p->n++], json_array_get(counts, i), path, e))
            goto done;
        p->tokens += p->doc[i].tokens;
    }
done:
    json_decref(o);
    if (e->code)
        profile_release(p);
    return e->code;
}

void
profile_release(struct profile *p)
{
    for (size_t i = 0; i < p->n; i++)
        bag_release(&p->doc[i]);
    free(p->doc);
    memset(p, 0, sizeof *p);
}
