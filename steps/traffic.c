/*
 * quern-traffic - the profile of production that calibration is held against
 *
 * A probe: it looks at the production sample in every build. The profile is
 * frozen. A new sample takes its place only when it has really moved: both
 * halves of it, in file order, lie beyond the profile's own scatter (quantile
 * .99 of its null) and are more than a quarter farther than its mean. Either
 * test alone fires on samples that are merely large or merely small; two halves
 * in a row leave out the single odd day. The profile holds counts, no text.
 *
 * DIR/state/traffic.json remembers the sample that was looked at last, so an
 * unchanged one costs a stat.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/random.h"
#include "lib/base/str.h"
#include "lib/model/source.h"
#include "lib/record/stage.h"
#include "lib/text/jsonl.h"
#include "lib/text/profile.h"

enum {
    PROFILE_MAX = 1 << 30,  /* bytes of traffic.json */
    STATE_MAX = 1 << 16,
    YOUNG_MS = 1000,
    DRAWS = 200,
};

static const double quantile = 0.99;
static const double floor_ratio = 1.25; /* of the null's mean */
static const char role[] = "traffic.json";
static const char tokenizer_role[] = "base/tokenizer.fp.json";

struct probe {
    struct map sample;
    char source[DIGEST_HEX]; /* of the sample */
    struct blob old_bytes;
    struct profile old;      /* standing profile; n == 0: none */
    char *old_path, *state_path;
    json_t *state;
    int64_t limit, seed, now_ns;
};

static bool
state_is(const struct probe *p, const char *key, int64_t v)
{
    const json_t *o = json_object_get(p->state, key);

    return json_is_integer(o) && json_integer_value(o) == v;
}

static bool
state_says(const struct probe *p, const char *key, const char *text)
{
    const char *v = json_string_value(json_object_get(p->state, key));

    return v != NULL && strcmp(v, text) == 0;
}

/* Digest of the sample: from the state if the file has not moved. */
static void
identify_sample(struct probe *p)
{
    const char *hex =
        json_string_value(json_object_get(p->state, "source_sha256"));
    struct digest d;

    if (!(state_is(p, "size", (int64_t)p->sample.len) &&
            state_is(p, "mtime_ns", p->sample.mtime_ns) &&
            state_is(p, "ctime_ns", p->sample.ctime_ns) &&
            state_is(p, "ino", (int64_t)p->sample.ino) && hex != NULL &&
            digest_parse(&d, hex)))
        d = digest_of(p->sample.p, p->sample.len);
    digest_hex(&d, p->source);
}

static int
open_all(struct probe *p, const struct stage *s, struct err *e)
{
    struct err ignored = { 0 };
    struct timespec t;
    char hex[DIGEST_HEX];

    clock_gettime(CLOCK_REALTIME, &t);
    p->now_ns = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
    p->old_path = path_join(s->dir, role);
    p->state_path = path_join(s->dir, "state/traffic.json");
    if (stage_param_int(s, "documents", 1, PROFILE_MAX_DOCUMENTS, &p->limit,
            e) ||
        stage_param_int(s, "seed", 0, INT64_MAX, &p->seed, e) ||
        map_open(&p->sample, stage_src(s, "traffic"), e))
        return e->code;
    if (file_exists(p->state_path))
        p->state = json_read(p->state_path, STATE_MAX, NULL, &ignored);
    identify_sample(p);
    err_clear(&ignored);
    digest_hex(&stage_in(s, tokenizer_role)->digest, hex);
    if (!file_exists(p->old_path) ||
        blob_read(&p->old_bytes, p->old_path, PROFILE_MAX, &ignored) ||
        profile_parse(&p->old, p->old_path, p->old_bytes.p, p->old_bytes.len,
            &ignored))
        return 0; /* none, or a broken one: it is taken anew */
    if (strcmp(p->old.tokenizer, hex) != 0 ||
        p->old.limit != (uint64_t)p->limit || p->old.seed != (uint64_t)p->seed)
        profile_release(&p->old); /* counts that cannot be compared */
    return 0;
}

/* Which lines are taken: all, or `limit` drawn with the seed. */
static bool *
draw_lines(const struct probe *p, size_t lines)
{
    bool *take = mem_calloc(lines, sizeof *take);
    size_t *order = mem_calloc(lines, sizeof *order);
    struct random r;

    for (size_t i = 0; i < lines; i++)
        order[i] = i;
    random_init(&r, (uint64_t)p->seed, 1);
    random_draw(&r, order, lines, (size_t)p->limit);
    for (size_t i = 0; i < lines && i < (size_t)p->limit; i++)
        take[order[i]] = true;
    free(order);
    return take;
}

static int
count_line(const struct jsonl *it, struct tokenizer *tok, struct profile *new,
    struct err *e)
{
    json_t *doc;
    size_t len;
    struct ids ids = { 0 };
    const char *text = jsonl_text(it, &doc, &len, e);
    struct err inner = { 0 };

    if (text == NULL)
        return e->code;
    if (tokenizer_encode(tok, text, len, false, &ids, &inner))
        err_set(e, ERR_WORK, "%s:%zu: %s", it->path, it->line, inner.text);
    else if (ids.n > 0 && ids.n <= UINT32_MAX) {
        bag_count(&new->doc[new->n++], ids.v, ids.n);
        new->tokens += ids.n;
    }
    ids_release(&ids);
    json_decref(doc);
    return e->code;
}

/* The profile that the sample itself would give. */
static int
take_profile(const struct probe *p, const struct stage *s, struct profile *new,
    struct err *e)
{
    const struct stage_file *fp = stage_in(s, tokenizer_role);
    struct fingerprint f = { 0 };
    struct tokenizer *tok = NULL;
    struct jsonl it = jsonl_begin(p->sample.path, p->sample.p, p->sample.len);
    size_t lines = 0;
    bool *take = NULL;

    if (fingerprint_parse(&f, fp->path, fp->map.p, fp->map.len, e) ||
        source_tokenizer(&tok, &f, stage_src(s, "base"), e))
        goto done;
    while (jsonl_next(&it))
        lines++;
    take = draw_lines(p, lines);
    new->doc = mem_calloc(lines, sizeof *new->doc);
    it = jsonl_begin(p->sample.path, p->sample.p, p->sample.len);
    for (size_t i = 0; jsonl_next(&it); i++)
        if (take[i] && count_line(&it, tok, new, e))
            goto done;
    new->limit = (uint64_t)p->limit;
    new->seed = (uint64_t)p->seed;
    memcpy(new->source, p->source, sizeof new->source);
    digest_hex(&fp->digest, new->tokenizer);
    if (new->n == 0)
        err_set(e, ERR_WORK, "%s: holds no documents; give a sample of "
            "production, one {\"text\": ...} a line", p->sample.path);
done:
    free(take);
    tokenizer_free(tok);
    fingerprint_release(&f);
    return e->code;
}

/* Both halves of the new sample are beyond the standing profile's scatter. */
static bool
has_moved(const struct profile *old, const struct profile *new)
{
    size_t half = new->n / 2;
    struct shift a, b;

    shift_measure(&a, new->doc, half, old->doc, old->n, 0, DRAWS, quantile,
        old->seed);
    shift_measure(&b, new->doc + half, new->n - half, old->doc, old->n, 0,
        DRAWS, quantile, old->seed);
    return a.enough && b.enough && a.value > a.null_top &&
        a.value > floor_ratio * a.null_mean && b.value > b.null_top &&
        b.value > floor_ratio * b.null_mean;
}

static int
save_state(const struct probe *p, const char *standing, struct err *e)
{
    json_t *o;

    if (p->sample.mtime_ns >= p->now_ns - (int64_t)YOUNG_MS * 1000000 ||
        p->sample.ctime_ns >= p->now_ns - (int64_t)YOUNG_MS * 1000000)
        return 0; /* a later write could carry the same time */
    o = json_pack("{s:s, s:I, s:I, s:I, s:I, s:s, s:s}", "schema",
        "quern.state.traffic/1", "size", (json_int_t)p->sample.len, "mtime_ns",
        (json_int_t)p->sample.mtime_ns, "ctime_ns",
        (json_int_t)p->sample.ctime_ns, "ino", (json_int_t)p->sample.ino,
        "source_sha256", p->source, "profile_source_sha256", standing);
    json_write(o, p->state_path, e);
    json_decref(o);
    return e->code;
}

static int
put_profile(struct stage *s, const struct profile *new, struct err *e)
{
    json_t *o = profile_json(new);

    stage_put_json(s, role, o, e);
    json_decref(o);
    return e->code;
}

static int
look(struct stage *s, struct probe *p, struct err *e)
{
    struct profile new = { 0 };
    bool same = p->old.n > 0 &&
        (strcmp(p->old.source, p->source) == 0 ||
            (state_says(p, "source_sha256", p->source) &&
                state_says(p, "profile_source_sha256", p->old.source)));

    if (same)
        return stage_put(s, role, p->old_bytes.p, p->old_bytes.len, e)
            ? e->code
            : save_state(p, p->old.source, e);
    if (take_profile(p, s, &new, e))
        goto done;
    new.epoch = p->old.epoch + 1;
    if (p->old.n > 0 && !has_moved(&p->old, &new)) {
        if (stage_put(s, role, p->old_bytes.p, p->old_bytes.len, e) == 0)
            save_state(p, p->old.source, e);
    } else if (put_profile(s, &new, e) == 0) {
        save_state(p, new.source, e);
    }
done:
    profile_release(&new);
    return e->code;
}

static int
run(struct stage *s, struct err *e)
{
    struct probe p = { .sample.fd = -1 };

    if (open_all(&p, s, e) == 0 && look(s, &p, e) == 0)
        map_unchanged(&p.sample, e);
    profile_release(&p.old);
    blob_release(&p.old_bytes);
    json_decref(p.state);
    if (p.sample.path != NULL)
        map_close(&p.sample);
    free(p.old_path);
    free(p.state_path);
    return e->code;
}

static const char *const params[] = { "!documents", "!seed", NULL };
static const char *const ins[] = { "!base/tokenizer.fp.json", NULL };
static const char *const srcs[] = { "!base", "!traffic", NULL };
static const char *const outs[] = { "!traffic.json", NULL };

static const struct stage_spec spec = {
    .step = "traffic",
    .purpose = "profile of production, taken anew when production has moved",
    .params = params,
    .ins = ins,
    .srcs = srcs,
    .outs = outs,
    .always = true,
};

int
main(int argc, char **argv)
{
    return stage_main(&spec, argc, argv, run);
}
