/*
 * quern-fingerprint - digests of every tensor and file of a checkpoint
 *
 * The checkpoint is a folder or a GGUF file. A GGUF file that has moved is also
 * opened as later stages open it, so that what they could not read is refused
 * here.
 *
 * A probe: it runs in every build. What it has hashed is remembered in
 * DIR/state/fingerprint.json beside each file's size, times and inode, and only
 * files that moved are read again. A file whose time is so young that a later
 * write could carry the same one is not remembered. Outputs are rewritten only
 * when a byte of them changes, so an equal file that was merely touched makes
 * nothing stale, and an older one that was swapped in does.
 *
 * Whole files and the tensors in them are hashed side by side, the longest
 * first, each from the descriptor that was opened at the start.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/format/fingerprint.h"
#include "lib/model/model.h"
#include "lib/record/stage.h"

static const char state_schema[] = "quern.state.fingerprint/1";

enum { YOUNG_MS = 1000 }; /* coarsest clock of a file system that we trust */

/* One file of the folder. */
struct source {
    const struct ck_file *file;
    struct map own;        /* opened here: a small file */
    const struct map *map; /* own, or the checkpoint's: weights */
    struct digest digest;
    const json_t *known;   /* its entry in the state, if it still holds */
};

struct task {
    const struct source *source;
    uint64_t offset, bytes;
    struct digest *out;
    int failure; /* errno */
};

struct probe {
    struct checkpoint ck;
    struct source *source;   /* [ck.n_files] */
    struct fp_tensor *tensor; /* [ck.n], in the checkpoint's order */
    struct task *task;
    size_t n_tasks;
    uint64_t bytes;          /* of all tasks */
    int64_t started_ns;
    json_t *state;           /* what was remembered; may be NULL */
    char *state_path;
};

static int64_t
now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The state's entry for a file that has not moved, or NULL. */
static const json_t *
remembered(const struct probe *p, const struct source *s)
{
    const json_t *o = json_object_get(json_object_get(p->state, "files"),
        s->file->name);
    struct digest d;
    const char *hex = json_string_value(json_object_get(o, "sha256"));

    if (hex == NULL || !digest_parse(&d, hex) ||
        json_integer_value(json_object_get(o, "size")) !=
            (json_int_t)s->map->len ||
        json_integer_value(json_object_get(o, "mtime_ns")) !=
            s->map->mtime_ns ||
        json_integer_value(json_object_get(o, "ctime_ns")) !=
            s->map->ctime_ns ||
        json_integer_value(json_object_get(o, "ino")) !=
            (json_int_t)s->map->ino)
        return NULL;
    return o;
}

/* Opens small files; finds the descriptors of the weights. */
static int
open_sources(struct probe *p, struct err *e)
{
    p->source = mem_calloc(p->ck.n_files, sizeof *p->source);
    for (size_t i = 0; i < p->ck.n_files; i++) {
        struct source *s = &p->source[i];

        s->file = &p->ck.files[i];
        s->own.fd = -1;
        s->map = s->file->map;
        if (s->map == NULL) {
            if (map_open(&s->own, s->file->path, e))
                return e->code;
            s->map = &s->own;
        }
        s->known = remembered(p, s);
    }
    return 0;
}

static void
add_task(struct probe *p, const struct source *s, uint64_t offset,
    uint64_t bytes, struct digest *out)
{
    p->task[p->n_tasks++] = (struct task){
        .source = s, .offset = offset, .bytes = bytes, .out = out
    };
    p->bytes += bytes;
}

/* Takes from the state what still holds and makes tasks of the rest. */
static void
plan(struct probe *p)
{
    p->tensor = mem_calloc(p->ck.n, sizeof *p->tensor);
    p->task = mem_calloc(p->ck.n + p->ck.n_files, sizeof *p->task);
    for (size_t i = 0; i < p->ck.n_files; i++) {
        struct source *s = &p->source[i];

        if (s->known == NULL)
            add_task(p, s, 0, s->map->len, &s->digest);
        else
            digest_parse(&s->digest,
                json_string_value(json_object_get(s->known, "sha256")));
    }
    for (size_t i = 0; i < p->ck.n; i++) {
        const struct ck_tensor *t = &p->ck.t[i];
        const struct source *s = &p->source[t->file];
        struct fp_tensor *f = &p->tensor[i];
        const char *hex = json_string_value(json_object_get(
            json_object_get(s->known, "tensors"), t->name));

        *f = (struct fp_tensor){ .name = t->name, .dtype = t->dtype,
            .rank = t->rank, .bytes = t->bytes };
        memcpy(f->shape, t->shape, sizeof f->shape);
        if (hex == NULL || !digest_parse(&f->digest, hex))
            add_task(p, s, t->offset, t->bytes, &f->digest);
    }
}

static int
longest_first(const void *pa, const void *pb)
{
    const struct task *a = pa, *b = pb;

    if (a->bytes != b->bytes)
        return a->bytes > b->bytes ? -1 : 1;
    return (a->offset > b->offset) - (a->offset < b->offset);
}

static void
hash_one(void *ctx, size_t i, unsigned thread)
{
    enum { PIECE = 1 << 20 };
    struct task *t = &((struct probe *)ctx)->task[i];
    uint8_t *buf = mem_aligned(PIECE, 1);
    struct hasher h;
    uint64_t at = 0;

    (void)thread;
    hasher_init(&h);
    while (at < t->bytes && t->failure == 0) {
        uint64_t left = t->bytes - at;
        ssize_t got = pread(t->source->map->fd, buf,
            left < PIECE ? left : PIECE, (off_t)(t->offset + at));

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            t->failure = got < 0 ? errno : EIO; /* it was cut meanwhile */
            break;
        }
        hasher_add(&h, buf, (size_t)got);
        at += (uint64_t)got;
    }
    *t->out = hasher_final(&h);
    free(buf);
}

static int
hash_all(struct probe *p, struct pool *pool, struct err *e)
{
    qsort(p->task, p->n_tasks, sizeof *p->task, longest_first);
    pool_run(pool, p->n_tasks, hash_one, p);
    for (size_t i = 0; i < p->n_tasks; i++) {
        errno = p->task[i].failure;
        if (errno != 0)
            return err_sys(e, p->task[i].source->map->path, "cannot read",
                NULL);
    }
    for (size_t i = 0; i < p->ck.n_files; i++)
        if (map_unchanged(p->source[i].map, e))
            return e->code;
    return 0;
}

static json_t *
state_entry(const struct probe *p, size_t file)
{
    const struct source *s = &p->source[file];
    char hex[DIGEST_HEX];
    json_t *tensors = json_object();

    for (size_t i = 0; i < p->ck.n; i++)
        if (p->ck.t[i].file == file)
            json_object_set_new(tensors, p->ck.t[i].name,
                json_string(digest_hex(&p->tensor[i].digest, hex)));
    return json_pack("{s:I, s:I, s:I, s:I, s:s, s:o}", "size",
        (json_int_t)s->map->len, "mtime_ns", (json_int_t)s->map->mtime_ns,
        "ctime_ns", (json_int_t)s->map->ctime_ns, "ino",
        (json_int_t)s->map->ino, "sha256", digest_hex(&s->digest, hex),
        "tensors", tensors);
}

static int
save_state(const struct probe *p, struct err *e)
{
    json_t *files = json_object();
    json_t *o = json_pack("{s:s, s:o}", "schema", state_schema, "files",
        files);
    int64_t young = p->started_ns - (int64_t)YOUNG_MS * 1000000;

    for (size_t i = 0; i < p->ck.n_files; i++)
        if (p->source[i].map->ctime_ns < young &&
            p->source[i].map->mtime_ns < young)
            json_object_set_new(files, p->source[i].file->name,
                state_entry(p, i));
    json_write(o, p->state_path, e);
    json_decref(o);
    return e->code;
}

/* Puts one part and notes the digest of its bytes in `parts`. */
static int
put_part(struct stage *s, json_t *parts, const char *role, json_t *part,
    struct err *e)
{
    char hex[DIGEST_HEX];
    char *text = json_text(part, false);
    struct digest d = digest_of(text, strlen(text));

    json_object_set_new(parts, role, json_string(digest_hex(&d, hex)));
    stage_put(s, role, text, strlen(text), e);
    free(text);
    json_decref(part);
    return e->code;
}

/* Tensors of one layer (-1: the head) are a part of their own. */
static int
put_tensors(struct stage *s, const struct probe *p, int layer, json_t *parts,
    struct err *e)
{
    struct fingerprint f = { .kind = layer < 0 ? "head" : "layer",
        .layer = layer };
    char role[64];

    f.t = mem_calloc(p->ck.n, sizeof *f.t);
    for (size_t i = 0; i < p->ck.n; i++)
        if (checkpoint_layer_of(p->ck.t[i].name) == layer)
            f.t[f.n++] = p->tensor[i];
    snprintf(role, sizeof role, layer < 0 ? "base/head.fp.json"
                                          : "base/layer.%03d.fp.json", layer);
    if (f.n == 0)
        err_set(e, ERR_WORK, "%s: has no tensors of layer %d although it has "
            "higher ones; fetch the checkpoint again", p->ck.dir, layer);
    else
        put_part(s, parts, role, fingerprint_json(&f), e);
    free(f.t);
    return e->code;
}

/* Configuration or tokenizer: files of a folder, keys of a GGUF file. */
static int
put_small(struct stage *s, const struct probe *p, const char *kind,
    bool (*file)(const char *), bool (*key)(const char *), json_t *parts,
    struct err *e)
{
    const struct checkpoint *c = &p->ck;
    struct fingerprint f = { .kind = kind, .layer = -1 };
    char role[64];

    f.files = mem_calloc(c->n_files, sizeof *f.files);
    f.keys = mem_calloc(c->gguf.n_kv, sizeof *f.keys);
    for (size_t i = 0; i < c->n_files && !c->is_gguf; i++)
        if (file(c->files[i].name))
            f.files[f.n_files++] = (struct fp_file){ c->files[i].name,
                p->source[i].map->len, p->source[i].digest };
    for (size_t i = 0; i < c->gguf.n_kv; i++)
        if (key(c->gguf.kv[i].key))
            f.keys[f.n_keys++] = fingerprint_key(&c->gguf.kv[i]);
    snprintf(role, sizeof role, "base/%s.fp.json", kind);
    put_part(s, parts, role, fingerprint_json(&f), e);
    free(f.files);
    free(f.keys);
    return e->code;
}

/* sha256sum's listing of the parts, hashed: `sha256sum base/...` checks it. */
static struct digest
parts_digest(json_t *parts)
{
    struct str list = { 0 };
    struct digest d;
    char *text = json_dumps(parts, JSON_SORT_KEYS | JSON_INDENT(0));
    json_t *sorted = json_loads(text, 0, NULL);
    const char *role;
    json_t *hex;

    json_object_foreach (sorted, role, hex)
        str_addf(&list, "%s  %s\n", json_string_value(hex), role);
    d = digest_of(str_get(&list), list.len);
    json_decref(sorted);
    free(text);
    str_release(&list);
    return d;
}

static const char *
architecture(const struct checkpoint *c)
{
    const struct gguf_kv *kv = gguf_kv(&c->gguf, "general.architecture");
    const char *name = json_string_value(json_array_get(
        json_object_get(c->config, "architectures"), 0));

    if (kv != NULL)
        name = kv->str;
    return name == NULL ? "" : name;
}

/* What a GGUF file's weights are made of; a folder's are not quantized. */
static void
add_types(json_t *o, const struct checkpoint *c)
{
    bool packed;
    json_t *types;

    if (!c->is_gguf)
        return;
    types = checkpoint_types(c, &packed);
    json_object_set_new(o, "types", types);
    json_object_set_new(o, "quantized", json_boolean(packed));
}

static int
put_model(struct stage *s, const struct probe *p, int layers, json_t *parts,
    struct err *e)
{
    struct fingerprint f = { .kind = "model", .layer = -1,
        .n_files = p->ck.n_files };
    struct digest d = parts_digest(parts);
    char hex[DIGEST_HEX];
    uint64_t parameters = 0;
    json_t *o;

    f.files = mem_calloc(p->ck.n_files, sizeof *f.files);
    for (size_t i = 0; i < p->ck.n_files; i++)
        f.files[i] = (struct fp_file){ p->ck.files[i].name,
            p->source[i].map->len, p->source[i].digest };
    for (size_t i = 0; i < p->ck.n; i++)
        parameters += ck_elements(&p->ck.t[i]);
    o = fingerprint_json(&f);
    json_object_set_new(o, "layers", json_integer(layers));
    json_object_set_new(o, "architecture", json_string(architecture(&p->ck)));
    json_object_set_new(o, "parameters",
        json_integer((json_int_t)parameters));
    add_types(o, &p->ck);
    json_object_set(o, "parts", parts);
    json_object_set_new(o, "digest", json_string(digest_hex(&d, hex)));
    stage_put_json(s, "base/model.fp.json", o, e);
    json_decref(o);
    free(f.files);
    return e->code;
}

/* The graph was made for so many layers; another checkpoint needs another. */
static int
check_layers(const struct stage *s, const struct probe *p, int layers,
    struct err *e)
{
    int asked = 0;

    for (size_t i = 0; i < s->out.n; i++)
        asked += str_starts(s->out.v[i].role, "base/layer.");
    if (asked != layers)
        err_set(e, ERR_WORK, "%s: has %d layers, the graph was made for %d; "
            "run quern gen again", p->ck.dir, layers, asked);
    return e->code;
}

static int
put_all(struct stage *s, const struct probe *p, struct err *e)
{
    json_t *parts = json_object();
    int layers = 0;

    for (size_t i = 0; i < p->ck.n; i++) {
        int layer = checkpoint_layer_of(p->ck.t[i].name);

        layers = layer >= layers ? layer + 1 : layers;
    }
    if (check_layers(s, p, layers, e) == 0)
        put_small(s, p, "config", fingerprint_is_config,
            fingerprint_key_is_config, parts, e);
    if (!e->code)
        put_small(s, p, "tokenizer", fingerprint_is_tokenizer,
            fingerprint_key_is_tokenizer, parts, e);
    for (int i = -1; i < layers && !e->code; i++)
        put_tensors(s, p, i, parts, e);
    if (!e->code)
        put_model(s, p, layers, parts, e);
    json_decref(parts);
    return e->code;
}

static void
probe_release(struct probe *p)
{
    for (size_t i = 0; p->source != NULL && i < p->ck.n_files; i++)
        if (p->source[i].map == &p->source[i].own)
            map_close(&p->source[i].own);
    free(p->source);
    free(p->tensor);
    free(p->task);
    free(p->state_path);
    json_decref(p->state);
    checkpoint_close(&p->ck);
}

/* Before anything is written for a GGUF file: can it be computed with? */
static int
check_gguf(const struct stage *s, const struct probe *p, struct err *e)
{
    const struct model_open_opts opts = { .lazy = true };
    struct model *m = NULL;

    if (p->ck.is_gguf && p->n_tasks > 0)
        model_open(&m, stage_src(s, "base"), &opts, e);
    model_free(m);
    return e->code;
}

static int
run(struct stage *s, struct err *e)
{
    struct probe p = { .started_ns = now_ns() };
    struct err ignored = { 0 };

    p.state_path = path_join(s->dir, "state/fingerprint.json");
    if (file_exists(p.state_path)) /* a broken one is as good as none */
        p.state = json_read(p.state_path, FINGERPRINT_MAX, NULL, &ignored);
    if (checkpoint_open(&p.ck, stage_src(s, "base"), e) == 0 &&
        open_sources(&p, e) == 0) {
        plan(&p);
        if (check_gguf(s, &p, e) == 0 && hash_all(&p, s->pool, e) == 0 &&
            put_all(s, &p, e) == 0 && p.n_tasks > 0)
            save_state(&p, e);
    }
    probe_release(&p);
    return e->code;
}

static const char *const srcs[] = { "!base", NULL };
static const char *const outs[] = { "!base/config.fp.json",
    "!base/tokenizer.fp.json", "!base/head.fp.json", "base/layer.*",
    "!base/model.fp.json", NULL };

static const struct stage_spec spec = {
    .step = "fingerprint",
    .purpose = "digests of every tensor and file of a checkpoint",
    .srcs = srcs,
    .outs = outs,
    .always = true,
};

int
main(int argc, char **argv)
{
    return stage_main(&spec, argc, argv, run);
}
