#include "lib/format/fingerprint.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/hash_list.h"
#include "lib/base/json.h"
#include "lib/base/str.h"

static const char schema[] = "quern.fingerprint/1";

bool
fingerprint_is_tokenizer(const char *name)
{
    return str_starts(name, "tokenizer") ||
        strcmp(name, "special_tokens_map.json") == 0 ||
        strcmp(name, "chat_template.jinja") == 0;
}

bool
fingerprint_is_config(const char *name)
{
    return strcmp(name, "config.json") == 0;
}

bool
fingerprint_key_is_tokenizer(const char *key)
{
    return str_starts(key, "tokenizer.");
}

bool
fingerprint_key_is_config(const char *key)
{
    return !str_starts(key, "tokenizer.") && !str_starts(key, "split.");
}

struct fp_file
fingerprint_key(const struct gguf_kv *kv)
{
    size_t bytes;
    const uint8_t *value = gguf_value(kv, &bytes);

    return (struct fp_file){ kv->key, bytes, digest_of(value, bytes) };
}

static int
tensor_order(const void *pa, const void *pb)
{
    const struct fp_tensor *a = pa, *b = pb;

    return strcmp(a->name, b->name);
}

static int
file_order(const void *pa, const void *pb)
{
    const struct fp_file *a = pa, *b = pb;

    return strcmp(a->name, b->name);
}

static int
read_digest(struct digest *d, const json_t *o, const char *key,
    const char *place, struct err *e)
{
    const char *hex = json_get_str(o, key, place, e);

    if (hex != NULL && !digest_parse(d, hex))
        err_set(e, ERR_WORK, "%s: '%s' is not a SHA-256; delete the file and "
            "run the fingerprint stage", place, key);
    return e->code;
}

static int
read_tensor(struct fingerprint *f, struct fp_tensor *t, const char *name,
    const json_t *o, struct err *e)
{
    const json_t *shape = json_get_array(o, "shape", f->path, e);
    const char *dtype = json_get_str(o, "dtype", f->path, e);

    t->name = arena_strdup(&f->arena, name);
    t->bytes = (uint64_t)json_get_int(o, "bytes", 0, INT64_MAX, f->path, e);
    if (e->code || read_digest(&t->digest, o, "sha256", f->path, e))
        return e->code;
    t->dtype = st_dtype_name(dtype);
    if (t->dtype == NULL)
        t->dtype = gguf_type_known(dtype);
    if (t->dtype == NULL || json_array_size(shape) > ST_MAX_RANK)
        return err_set(e, ERR_WORK, "%s: tensor '%s': dtype or shape is of no "
            "checkpoint; delete the file and run the fingerprint stage",
            f->path, name);
    t->rank = (unsigned)json_array_size(shape);
    for (unsigned i = 0; i < t->rank; i++)
        t->shape[i] = (uint64_t)json_integer_value(json_array_get(shape, i));
    return 0;
}

static int
read_tensors(struct fingerprint *f, json_t *tensors, struct err *e)
{
    const char *name;
    json_t *o;

    f->t = arena_alloc(&f->arena,
        (json_object_size(tensors) + 1) * sizeof *f->t);
    json_object_foreach (tensors, name, o) {
        if (read_tensor(f, &f->t[f->n], name, o, e))
            return e->code;
        f->n++;
    }
    if (f->n > 0)
        qsort(f->t, f->n, sizeof *f->t, tensor_order);
    return 0;
}

/* Names with digests: files, or keys. `plain`: names must be plain. */
static int
read_files(struct fingerprint *f, json_t *files, struct fp_file **out,
    size_t *n, bool plain, struct err *e)
{
    const char *name;
    json_t *o;

    *out = arena_alloc(&f->arena, (json_object_size(files) + 1) * sizeof **out);
    json_object_foreach (files, name, o) {
        struct fp_file *file = &(*out)[*n];

        file->name = arena_strdup(&f->arena, name);
        file->bytes =
            (uint64_t)json_get_int(o, "bytes", 0, INT64_MAX, f->path, e);
        if (e->code || read_digest(&file->digest, o, "sha256", f->path, e))
            return e->code;
        if (plain && !path_is_plain(name))
            return err_set(e, ERR_WORK, "%s: '%s' is no plain file name; "
                "delete the file and run the fingerprint stage", f->path,
                name);
        ++*n;
    }
    if (*n > 0)
        qsort(*out, *n, sizeof **out, file_order);
    return 0;
}

int
fingerprint_parse(struct fingerprint *f, const char *path, const void *bytes,
    size_t len, struct err *e)
{
    json_t *o = json_parse(bytes, len, path, e);
    const char *text;

    memset(f, 0, sizeof *f);
    if (o == NULL)
        return e->code;
    f->path = arena_strdup(&f->arena, path);
    f->layer = -1;
    text = json_get_str(o, "schema", path, e);
    if (text != NULL && strcmp(text, schema) != 0)
        err_set(e, ERR_WORK, "%s: schema is '%s', not '%s'; delete the file "
            "and run the fingerprint stage", path, text, schema);
    text = json_get_str(o, "kind", path, e);
    if (text == NULL)
        goto done;
    f->kind = arena_strdup(&f->arena, text);
    if (strcmp(text, "layer") == 0)
        f->layer = (int)json_get_int(o, "layer", 0, 1 << 20, path, e);
    if (strcmp(text, "model") == 0 &&
        read_digest(&f->model, o, "digest", path, e))
        goto done;
    if (!e->code)
        read_tensors(f, json_object_get(o, "tensors"), e);
    if (!e->code)
        read_files(f, json_object_get(o, "files"), &f->files, &f->n_files,
            true, e);
    if (!e->code)
        read_files(f, json_object_get(o, "keys"), &f->keys, &f->n_keys, false,
            e);
done:
    json_decref(o);
    if (e->code)
        fingerprint_release(f);
    return e->code;
}

void
fingerprint_release(struct fingerprint *f)
{
    arena_release(&f->arena);
    memset(f, 0, sizeof *f);
}

const struct fp_tensor *
fingerprint_tensor(const struct fingerprint *f, const char *name)
{
    struct fp_tensor key = { .name = name };

    return f->n == 0 ? NULL
                     : bsearch(&key, f->t, f->n, sizeof key, tensor_order);
}

static const struct fp_file *
find_file(const struct fp_file *files, size_t n, const char *name)
{
    struct fp_file key = { .name = name };

    return n == 0 ? NULL : bsearch(&key, files, n, sizeof key, file_order);
}

static json_t *
tensor_json(const struct fp_tensor *t)
{
    char hex[DIGEST_HEX];
    json_t *shape = json_array();

    for (unsigned i = 0; i < t->rank; i++)
        json_array_append_new(shape, json_integer((json_int_t)t->shape[i]));
    return json_pack("{s:s, s:o, s:I, s:s}", "dtype", t->dtype, "shape", shape,
        "bytes", (json_int_t)t->bytes, "sha256", digest_hex(&t->digest, hex));
}

/* Adds {"name": {"bytes", "sha256"}} if there are any. */
static void
add_files(json_t *o, const char *key, const struct fp_file *files, size_t n)
{
    char hex[DIGEST_HEX];
    json_t *all;

    if (n == 0)
        return;
    all = json_object();
    for (size_t i = 0; i < n; i++)
        json_object_set_new(all, files[i].name, json_pack("{s:I, s:s}",
            "bytes", (json_int_t)files[i].bytes, "sha256",
            digest_hex(&files[i].digest, hex)));
    json_object_set_new(o, key, all);
}

json_t *
fingerprint_json(const struct fingerprint *f)
{
    json_t *o = json_pack("{s:s, s:s}", "schema", schema, "kind", f->kind);

    if (f->layer >= 0)
        json_object_set_new(o, "layer", json_integer(f->layer));
    if (f->n > 0) {
        json_t *tensors = json_object();

        for (size_t i = 0; i < f->n; i++)
            json_object_set_new(tensors, f->t[i].name, tensor_json(&f->t[i]));
        json_object_set_new(o, "tensors", tensors);
    }
    add_files(o, "files", f->files, f->n_files);
    add_files(o, "keys", f->keys, f->n_keys);
    return o;
}

/* What is wrong with one tensor but for its bytes, or NULL. */
static const char *
tensor_differs(const struct fp_tensor *want, const struct ck_tensor *have)
{
    if (have == NULL)
        return "is missing";
    if (strcmp(want->dtype, have->dtype) != 0)
        return "has another dtype";
    if (want->rank != have->rank || want->bytes != have->bytes ||
        memcmp(want->shape, have->shape, want->rank * sizeof *want->shape) !=
            0)
        return "has another shape";
    return NULL;
}

struct fingerprint_check {
    const struct fingerprint *f;
    const struct checkpoint *c;
    struct hash_item *all; /* [f->n], empty where the shape is wrong */
    const char **wrong;    /* [f->n]: what is; or NULL, as far as known */
    struct hash_later *later;
};

static void
compare_shapes(struct fingerprint_check *k, const struct fingerprint *f,
    const struct checkpoint *c)
{
    *k = (struct fingerprint_check){ .f = f, .c = c,
        .all = mem_calloc(f->n, sizeof *k->all),
        .wrong = mem_calloc(f->n, sizeof *k->wrong) };
    for (size_t i = 0; i < f->n; i++) {
        const struct ck_tensor *t = checkpoint_find(c, f->t[i].name);

        k->wrong[i] = tensor_differs(&f->t[i], t);
        if (k->wrong[i] == NULL)
            k->all[i] = (struct hash_item){ t->data, t->bytes,
                .mapped = true };
    }
}

static int
compare_digests(struct fingerprint_check *k, struct err *e)
{
    for (size_t i = 0; i < k->f->n && !e->code; i++) {
        const struct fp_tensor *want = &k->f->t[i];
        const struct ck_tensor *t = checkpoint_find(k->c, want->name);

        if (k->wrong[i] == NULL &&
            !digest_equal(&k->all[i].digest, &want->digest))
            k->wrong[i] = "has other bytes";
        if (k->wrong[i] != NULL)
            err_set(e, ERR_WORK, "%s: tensor '%s' %s since the checkpoint was "
                "fingerprinted (%s); run ninja again",
                t == NULL ? k->c->dir : t->path, want->name, k->wrong[i],
                k->f->path);
    }
    free(k->all);
    free(k->wrong);
    return e->code;
}

static int
check_no_more(const struct fingerprint *f, const struct checkpoint *c,
    struct err *e)
{
    for (size_t i = 0; i < c->n; i++) {
        int layer = checkpoint_layer_of(c->t[i].name);

        if (layer == f->layer && fingerprint_tensor(f, c->t[i].name) == NULL)
            return err_set(e, ERR_WORK, "%s: tensor '%s' is new since the "
                "checkpoint was fingerprinted; run ninja again",
                c->t[i].path, c->t[i].name);
    }
    return 0;
}

/* What remains to be compared once the tensors are. */
static int
check_rest(const struct fingerprint *f, const struct checkpoint *c,
    struct err *e)
{
    fingerprint_check_small(f, c, e);
    if (!e->code &&
        (strcmp(f->kind, "layer") == 0 || strcmp(f->kind, "head") == 0))
        check_no_more(f, c, e);
    return e->code;
}

int
fingerprint_check(const struct fingerprint *f, const struct checkpoint *c,
    struct pool *pool, struct err *e)
{
    struct fingerprint_check k;

    compare_shapes(&k, f, c);
    digest_list(k.all, f->n, pool);
    if (compare_digests(&k, e))
        return e->code;
    return check_rest(f, c, e);
}

struct fingerprint_check *
fingerprint_check_begin(const struct fingerprint *f, const struct checkpoint *c)
{
    struct fingerprint_check *k = mem_calloc(1, sizeof *k);

    compare_shapes(k, f, c);
    k->later = hash_later_start(k->all, f->n);
    return k;
}

int
fingerprint_check_end(struct fingerprint_check *k, struct err *e)
{
    if (k == NULL)
        return 0;
    hash_later_wait(k->later);
    if (compare_digests(k, e) == 0)
        check_rest(k->f, k->c, e);
    free(k);
    return e->code;
}

static int
check_file(const struct fingerprint *f, const char *dir,
    const struct fp_file *want, struct err *e)
{
    char *path = path_join(dir, want->name);
    struct digest d;
    uint64_t bytes;

    if (digest_file(&d, &bytes, path, e) == 0 &&
        !digest_equal(&d, &want->digest))
        err_set(e, ERR_WORK, "%s: has changed since the checkpoint was "
            "fingerprinted (%s); run ninja again", path, f->path);
    free(path);
    return e->code;
}

int
fingerprint_check_files(const struct fingerprint *f, const char *dir,
    struct err *e)
{
    for (size_t i = 0; i < f->n_files && !e->code; i++)
        check_file(f, dir, &f->files[i], e);
    return e->code;
}

int
fingerprint_check_keys(const struct fingerprint *f, const struct gguf *g,
    struct err *e)
{
    bool tokenizer = strcmp(f->kind, "tokenizer") == 0;
    size_t found = 0;

    for (size_t i = 0; i < g->n_kv; i++) {
        const char *key = g->kv[i].key;
        const struct fp_file *want;
        struct fp_file have;

        if (!(tokenizer ? fingerprint_key_is_tokenizer(key) :
                fingerprint_key_is_config(key)))
            continue;
        have = fingerprint_key(&g->kv[i]);
        want = find_file(f->keys, f->n_keys, key);
        if (want == NULL || !digest_equal(&want->digest, &have.digest))
            return err_set(e, ERR_WORK, "%s: key '%.200s' has changed since "
                "the file was fingerprinted (%s); run ninja again",
                g->map.path, key, f->path);
        found++;
    }
    if (found < f->n_keys)
        err_set(e, ERR_WORK, "%s: has lost a key since it was fingerprinted "
            "(%s); run ninja again", g->map.path, f->path);
    return e->code;
}

int
fingerprint_check_small(const struct fingerprint *f,
    const struct checkpoint *c, struct err *e)
{
    if (f->n_keys > 0 && !c->is_gguf)
        return err_set(e, ERR_WORK, "%s: was a GGUF file when it was "
            "fingerprinted (%s); run ninja again", c->dir, f->path);
    if (f->n_keys > 0)
        return fingerprint_check_keys(f, &c->gguf, e);
    return fingerprint_check_files(f, c->dir, e);
}
