/*
 * quern-calibrate - statistics of what goes into every matrix
 *
 * The windows pass through the model one layer at a time: only that layer's
 * weights and one window's activations are in memory. Hidden states lie in two
 * files under DIR/state/calibrate, one read and one written, in turn. After a
 * layer its statistics are in place, its hidden states synced, and
 * DIR/state/calibrate/state.json says so: a run that was killed carries on with
 * the layer it was in. The state belongs to the digests of all inputs and of
 * the program; anything else starts anew. It is removed at the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/format/fingerprint.h"
#include "lib/model/layer.h"
#include "lib/model/products.h"
#include "lib/model/statistics.h"
#include "lib/record/stage.h"

enum { STATE_MAX = 16 << 20 };

static const char state_schema[] = "quern.state.calibrate/1";
static const char tokens_role[] = "corpus/tokens.safetensors";

struct work {
    struct stage *s;
    struct model *m;
    gemm_fn *blas;                /* NULL: quern's own products */
    struct safetensors tokens;
    const uint8_t *ids, *offsets; /* I32 [total], I64 [n + 1] in the file */
    uint64_t n, total, longest;   /* windows, tokens */
    char key[DIGEST_HEX];         /* what the state belongs to */
    char *dir, *state, *hidden[2]; /* paths; owned */
    int fd[2];                    /* of hidden; layer i reads i % 2 */
    uint32_t next;                /* first layer that is not done */
    json_t *done;                 /* of each done layer {"sha256", "bytes"} */
    float *x;                     /* one window's hidden states */
    struct statistics stats;      /* of the layer in work */
};

static uint64_t
offset(const struct work *w, uint64_t i)
{
    return load_u64le(w->offsets + 8 * i);
}

static int
open_tokens(struct work *w, struct err *e)
{
    const char *path = stage_in(w->s, tokens_role)->path;
    const struct st_tensor *ids, *off;

    if (safetensors_open(&w->tokens, path, e))
        return e->code;
    ids = safetensors_find(&w->tokens, "ids");
    off = safetensors_find(&w->tokens, "offsets");
    if (ids == NULL || off == NULL || ids->rank != 1 || off->rank != 1 ||
        strcmp(ids->dtype, "I32") != 0 || strcmp(off->dtype, "I64") != 0 ||
        off->shape[0] < 2)
        goto bad;
    w->ids = safetensors_data(&w->tokens, ids);
    w->offsets = safetensors_data(&w->tokens, off);
    w->n = off->shape[0] - 1;
    w->total = ids->shape[0];
    if (offset(w, 0) != 0 || offset(w, w->n) != w->total)
        goto bad;
    for (uint64_t i = 0; i < w->n; i++) {
        uint64_t len = offset(w, i + 1) - offset(w, i);

        if (offset(w, i + 1) <= offset(w, i) || len > w->total)
            goto bad;
        w->longest = len > w->longest ? len : w->longest;
    }
    return 0;
bad:
    return err_set(e, ERR_WORK, "%s: is no token file of the corpus stage; "
        "delete it and run ninja again", path);
}

static int
check_part(const struct work *w, const struct stage_file *in, struct err *e)
{
    struct fingerprint f = { 0 };

    if (fingerprint_parse(&f, in->path, in->map.p, in->map.len, e) == 0)
        fingerprint_check(&f, model_checkpoint(w->m), w->s->pool, e);
    fingerprint_release(&f);
    return e->code;
}

static const struct stage_file *
layer_fingerprint(const struct work *w, uint32_t layer, struct err *e)
{
    const struct stage_file *f;
    char role[64];

    snprintf(role, sizeof role, "base/layer.%03u.fp.json", layer);
    f = stage_in(w->s, role);
    if (f == NULL)
        err_set(e, ERR_WORK, "%s: has %u layers, but '%s' is no input; run "
            "quern gen again", model_path(w->m),
            model_config(w->m)->layers, role);
    return f;
}

/* Who multiplies floats, and a note of it where bits may differ elsewhere. */
static int
choose_products(struct work *w, struct err *e)
{
    if (products_choose(&w->blas, stage_param(w->s, "reproducible"), e) == 0 &&
        w->blas != NULL)
        stage_note(w->s, "openblas", "%s, %s, 1 thread: not reproducible",
            gemm_version(), gemm_core_name());
    return e->code;
}

static int
open_model(struct work *w, struct err *e)
{
    const struct model_open_opts opts = { .no_tokenizer = true, .lazy = true,
        .blas = w->blas, .pool = w->s->pool };

    if (model_open(&w->m, stage_src(w->s, "base"), &opts, e))
        return e->code;
    if (w->longest > model_config(w->m)->positions)
        return err_set(e, ERR_WORK, "%s: a window has %" PRIu64 " tokens, the "
            "model was made for %u; lower the calibration window",
            stage_in(w->s, tokens_role)->path, w->longest,
            model_config(w->m)->positions);
    for (uint32_t i = 0; i < model_config(w->m)->layers; i++)
        if (layer_fingerprint(w, i, e) == NULL)
            return e->code;
    if (check_part(w, stage_in(w->s, "base/config.fp.json"), e) == 0)
        check_part(w, stage_in(w->s, "base/head.fp.json"), e);
    return e->code;
}

/* The state is good for these inputs and this program, and nothing else. */
static void
make_key(struct work *w)
{
    struct hasher h;
    struct digest d;

    hasher_init(&h);
    hasher_add(&h, stage_program(w->s), sizeof(struct digest));
    for (size_t i = 0; i < w->s->in.n; i++) {
        const struct stage_file *f = &w->s->in.v[i];

        hasher_add(&h, f->role, strlen(f->role) + 1);
        hasher_add(&h, &f->digest, sizeof f->digest);
    }
    d = hasher_final(&h);
    digest_hex(&d, w->key);
}

static void
layer_role(char *out, size_t size, uint32_t layer)
{
    snprintf(out, size, "stats/layer.%03u.safetensors", layer);
}

/* A finished layer's file is still what the state says. */
static bool
layer_stands(const struct work *w, uint32_t layer)
{
    const json_t *o = json_array_get(w->done, layer);
    const char *hex = json_string_value(json_object_get(o, "sha256"));
    struct digest want, have;
    struct err ignored = { 0 };
    uint64_t bytes;
    char role[64];

    layer_role(role, sizeof role, layer);
    return hex != NULL && digest_parse(&want, hex) &&
        file_exists(stage_out_path(w->s, role)) &&
        digest_file(&have, &bytes, stage_out_path(w->s, role), &ignored) ==
            0 &&
        digest_equal(&want, &have);
}

/* Takes up the earlier run's work if all of it still stands. */
static void
resume(struct work *w)
{
    struct err ignored = { 0 };
    json_t *o = file_exists(w->state)
        ? json_read(w->state, STATE_MAX, NULL, &ignored)
        : NULL;
    const char *key = json_string_value(json_object_get(o, "key"));
    uint64_t bytes = w->total * model_config(w->m)->hidden * sizeof(float);
    bool stands = false;

    w->done = json_array();
    if (key != NULL && strcmp(key, w->key) == 0) {
        json_array_extend(w->done, json_object_get(o, "done"));
        stands = json_array_size(w->done) <= model_config(w->m)->layers;
    }
    for (uint32_t i = 0; stands && i < json_array_size(w->done); i++)
        stands = layer_stands(w, i);
    w->next = stands ? (uint32_t)json_array_size(w->done) : 0;
    if (w->next > 0 &&
        lseek(w->fd[w->next % 2], 0, SEEK_END) != (off_t)bytes)
        w->next = 0;
    if (w->next == 0)
        json_array_clear(w->done);
    json_decref(o);
}

static int
open_state(struct work *w, struct err *e)
{
    w->dir = path_join(w->s->dir, "state/calibrate");
    w->state = path_join(w->dir, "state.json");
    if (file_mkdirs(w->dir, e))
        return e->code;
    for (int i = 0; i < 2; i++) {
        w->hidden[i] = path_join(w->dir, i == 0 ? "hidden.0" : "hidden.1");
        w->fd[i] = open(w->hidden[i], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (w->fd[i] < 0)
            return err_sys(e, w->hidden[i], "cannot open", NULL);
    }
    make_key(w);
    resume(w);
    if (w->next > 0)
        return 0;
    unlink(w->state); /* it must not speak of states that go now */
    for (int i = 0; i < 2; i++)
        if (ftruncate(w->fd[i], 0) != 0)
            return err_sys(e, w->hidden[i], "cannot cut", NULL);
    return 0;
}

static int
save_state(struct work *w, struct err *e)
{
    json_t *o = json_pack("{s:s, s:s, s:O}", "schema", state_schema, "key",
        w->key, "done", w->done);

    json_write(o, w->state, e);
    json_decref(o);
    return e->code;
}

/* Reads or writes the hidden states of window i in file `which`. */
static int
move_window(struct work *w, int which, uint64_t i, bool write_it,
    struct err *e)
{
    size_t row = model_config(w->m)->hidden * sizeof(float);
    size_t left = (size_t)(offset(w, i + 1) - offset(w, i)) * row;
    off_t at = (off_t)(offset(w, i) * row);
    char *p = (char *)w->x;

    while (left > 0) {
        ssize_t n = write_it ? pwrite(w->fd[which], p, left, at)
                             : pread(w->fd[which], p, left, at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            errno = n == 0 ? EIO : errno;
            return err_sys(e, w->hidden[which],
                write_it ? "cannot write" : "cannot read", NULL);
        }
        p += n;
        left -= (size_t)n;
        at += n;
    }
    return 0;
}

static void
see(void *ctx, enum input_role in, int expert, const float *x, size_t n,
    size_t cols)
{
    struct work *w = ctx;

    if (expert < 0)
        statistics_add(&w->stats, in, x, n, cols, w->s->pool);
    else
        statistics_add_expert(&w->stats, in, (uint32_t)expert,
            model_config(w->m)->experts, x, n, cols, w->s->pool);
}

/* Hidden states that go into `layer`, for window i, into w->x. */
static int
take_window(struct work *w, uint32_t layer, uint64_t i, struct err *e)
{
    uint64_t from = offset(w, i), n = offset(w, i + 1) - from;
    int32_t *ids;

    if (layer > 0)
        return move_window(w, (int)(layer % 2), i, false, e);
    ids = mem_calloc((size_t)n, sizeof *ids);
    for (uint64_t k = 0; k < n; k++)
        ids[k] = (int32_t)load_u32le(w->ids + 4 * (from + k));
    model_embed(w->m, ids, (size_t)n, w->x, e);
    free(ids);
    return e->code;
}

/* Statistics into their file; notes its digest in `done` with a layer. */
static int
write_statistics(struct work *w, const char *role, struct err *e)
{
    struct digest d;
    uint64_t bytes;
    char hex[DIGEST_HEX];

    if (statistics_write(&w->stats, stage_out_path(w->s, role), &d, &bytes,
            e) == 0 &&
        stage_out_done(w->s, role, &d, bytes, e) == 0)
        json_array_append_new(w->done, json_pack("{s:s, s:I}", "sha256",
            digest_hex(&d, hex), "bytes", (json_int_t)bytes));
    statistics_release(&w->stats);
    return e->code;
}

static int
do_layer(struct work *w, uint32_t layer, struct err *e)
{
    const struct stage_file *fp = layer_fingerprint(w, layer, e);
    int to = (int)((layer + 1) % 2);
    struct layer *l = NULL;
    char role[64];

    if (check_part(w, fp, e) || layer_load(&l, w->m, layer, w->s->pool, e))
        return e->code;
    for (uint64_t i = 0; i < w->n && !e->code; i++) {
        if (take_window(w, layer, i, e) == 0) {
            layer_forward(l, w->x, (size_t)(offset(w, i + 1) - offset(w, i)),
                w->s->pool, see, w);
            move_window(w, to, i, true, e);
        }
        progress_add(&w->s->progress, 1);
    }
    layer_free(l);
    layer_role(role, sizeof role, layer);
    if (e->code == 0 && fdatasync(w->fd[to]) != 0 && errno != EINVAL)
        err_sys(e, w->hidden[to], "cannot write", NULL);
    if (e->code == 0 && write_statistics(w, role, e) == 0)
        save_state(w, e);
    return e->code;
}

/* What goes into the output matrix. */
static int
do_head(struct work *w, struct err *e)
{
    size_t h = model_config(w->m)->hidden;
    float *y = mem_aligned((size_t)w->longest, h * sizeof *y);

    for (uint64_t i = 0; i < w->n && !e->code; i++) {
        size_t n = (size_t)(offset(w, i + 1) - offset(w, i));

        if (take_window(w, model_config(w->m)->layers, i, e))
            break;
        model_final_norm(w->m, w->x, n, y);
        statistics_add(&w->stats, IN_OUTPUT, y, n, h, w->s->pool);
        progress_add(&w->s->progress, 1);
    }
    free(y);
    return e->code ? e->code
                   : write_statistics(w, "stats/head.safetensors", e);
}

/* Layers of an earlier run count as put. */
static int
put_done(struct work *w, struct err *e)
{
    for (uint32_t i = 0; i < w->next && !e->code; i++) {
        const json_t *o = json_array_get(w->done, i);
        struct digest d = { { 0 } };
        char role[64];

        layer_role(role, sizeof role, i);
        digest_parse(&d, json_string_value(json_object_get(o, "sha256")));
        stage_out_done(w->s, role, &d,
            (uint64_t)json_integer_value(json_object_get(o, "bytes")), e);
    }
    return e->code;
}

static int
go(struct work *w, struct err *e)
{
    uint32_t layers = model_config(w->m)->layers;

    w->x = mem_aligned((size_t)w->longest,
        model_config(w->m)->hidden * sizeof *w->x);
    if (put_done(w, e))
        return e->code;
    stage_progress(w->s, "windows", "window",
        w->n * (layers - w->next + 1));
    for (uint32_t i = w->next; i < layers; i++)
        if (do_layer(w, i, e))
            return e->code;
    if (do_head(w, e))
        return e->code;
    if (checkpoint_unchanged(model_checkpoint(w->m), e))
        return e->code;
    for (int i = 0; i < 2; i++)
        unlink(w->hidden[i]);
    unlink(w->state);
    rmdir(w->dir);
    return 0;
}

static int
run(struct stage *s, struct err *e)
{
    struct work w = { .s = s, .fd = { -1, -1 } };

    if (choose_products(&w, e) == 0 && open_tokens(&w, e) == 0 &&
        open_model(&w, e) == 0 && open_state(&w, e) == 0)
        go(&w, e);
    for (int i = 0; i < 2; i++) {
        if (w.fd[i] >= 0)
            close(w.fd[i]);
        free(w.hidden[i]);
    }
    statistics_release(&w.stats);
    json_decref(w.done);
    free(w.x);
    free(w.dir);
    free(w.state);
    model_free(w.m);
    safetensors_close(&w.tokens);
    return e->code;
}

static const char *const params[] = { "reproducible", NULL };
static const char *const ins[] = { "!corpus/tokens.safetensors",
    "!base/config.fp.json", "!base/head.fp.json", "!base/layer.*", NULL };
static const char *const srcs[] = { "!base", NULL };
static const char *const outs[] = { "!stats/*", NULL };

static const struct stage_spec spec = {
    .step = "calibrate",
    .purpose = "statistics of what goes into every matrix",
    .params = params,
    .ins = ins,
    .srcs = srcs,
    .outs = outs,
    .heavy = true,
};

int
main(int argc, char **argv)
{
    return stage_main(&spec, argc, argv, run);
}
