#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/bytes.h"
#include "lib/format/gguf.h"

static void
add_u32(struct str *s, uint32_t v)
{
    uint8_t b[4];

    store_u32le(b, v);
    str_addn(s, b, sizeof b);
}

static void
add_u64(struct str *s, uint64_t v)
{
    uint8_t b[8];

    store_u64le(b, v);
    str_addn(s, b, sizeof b);
}

static void
add_string(struct str *s, const char *p, size_t len)
{
    add_u64(s, len);
    str_addn(s, p, len);
}

int
gguf_writer_open(struct gguf_writer *w, const char *path, struct err *e)
{
    return outfile_create(&w->out, path, e);
}

bool
gguf_has_put(const struct gguf_writer *w, const char *key)
{
    const char *p = str_get(&w->names), *end = p + w->names.len;

    for (; p < end; p += strlen(p) + 1)
        if (strcmp(p, key) == 0)
            return true;
    return false;
}

/* Key and type; the value follows. */
static void
begin_key(struct gguf_writer *w, const char *key, enum gguf_kind kind)
{
    if (key[0] == 0 || gguf_has_put(w, key))
        err_set(&w->err, ERR_WORK, "%s: key '%s' is put twice or empty; "
            "put each key once", w->out.path, key);
    str_addn(&w->names, key, strlen(key) + 1);
    add_string(&w->keys, key, strlen(key));
    add_u32(&w->keys, kind);
    w->n_kv++;
}

void
gguf_put_raw(struct gguf_writer *w, const struct gguf_kv *kv)
{
    size_t bytes;
    const uint8_t *value = gguf_value(kv, &bytes);

    begin_key(w, kv->key, kv->kind);
    str_addn(&w->keys, value + 4, bytes - 4); /* the type is there already */
}

static void
begin_array(struct gguf_writer *w, const char *key, enum gguf_kind elem,
    size_t n)
{
    begin_key(w, key, GGUF_ARRAY);
    add_u32(&w->keys, elem);
    add_u64(&w->keys, n);
}

void
gguf_put_strn(struct gguf_writer *w, const char *key, const char *value,
    size_t len)
{
    begin_key(w, key, GGUF_STR);
    add_string(&w->keys, value, len);
}

void
gguf_put_str(struct gguf_writer *w, const char *key, const char *value)
{
    gguf_put_strn(w, key, value, strlen(value));
}

void
gguf_put_u8(struct gguf_writer *w, const char *key, uint8_t value)
{
    begin_key(w, key, GGUF_U8);
    str_addn(&w->keys, &value, 1);
}

void
gguf_put_u16(struct gguf_writer *w, const char *key, uint16_t value)
{
    uint8_t b[2];

    store_u16le(b, value);
    begin_key(w, key, GGUF_U16);
    str_addn(&w->keys, b, sizeof b);
}

void
gguf_put_u32(struct gguf_writer *w, const char *key, uint32_t value)
{
    begin_key(w, key, GGUF_U32);
    add_u32(&w->keys, value);
}

void
gguf_put_i32(struct gguf_writer *w, const char *key, int32_t value)
{
    begin_key(w, key, GGUF_I32);
    add_u32(&w->keys, (uint32_t)value);
}

void
gguf_put_u64(struct gguf_writer *w, const char *key, uint64_t value)
{
    begin_key(w, key, GGUF_U64);
    add_u64(&w->keys, value);
}

static void
add_f32(struct str *s, float v)
{
    uint8_t b[4];

    store_f32le(b, v);
    str_addn(s, b, sizeof b);
}

void
gguf_put_f32(struct gguf_writer *w, const char *key, float value)
{
    begin_key(w, key, GGUF_F32);
    add_f32(&w->keys, value);
}

void
gguf_put_bool(struct gguf_writer *w, const char *key, bool value)
{
    const uint8_t b = value;

    begin_key(w, key, GGUF_BOOL);
    str_addn(&w->keys, &b, 1);
}

void
gguf_put_str_array(struct gguf_writer *w, const char *key,
    const char *const *value, const size_t *len, size_t n)
{
    begin_array(w, key, GGUF_STR, n);
    for (size_t i = 0; i < n; i++)
        add_string(&w->keys, value[i], len != NULL ? len[i] : strlen(value[i]));
}

void
gguf_put_i32_array(struct gguf_writer *w, const char *key,
    const int32_t *value, size_t n)
{
    begin_array(w, key, GGUF_I32, n);
    for (size_t i = 0; i < n; i++)
        add_u32(&w->keys, (uint32_t)value[i]);
}

void
gguf_put_f32_array(struct gguf_writer *w, const char *key, const float *value,
    size_t n)
{
    begin_array(w, key, GGUF_F32, n);
    for (size_t i = 0; i < n; i++)
        add_f32(&w->keys, value[i]);
}

void
gguf_put_bool_array(struct gguf_writer *w, const char *key, const bool *value,
    size_t n)
{
    begin_array(w, key, GGUF_BOOL, n);
    for (size_t i = 0; i < n; i++)
        str_addc(&w->keys, value[i] ? 1 : 0);
}

/* The writer always uses the default alignment and needs no key for it. */
static uint64_t
pad_up(uint64_t v)
{
    return (v + GGUF_ALIGNMENT - 1) / GGUF_ALIGNMENT * GGUF_ALIGNMENT;
}

static bool
tensor_size(const struct gguf_tensor *t, uint64_t *bytes)
{
    const struct qtype_info *info = qtype_info(t->type);
    uint64_t n = 1;

    for (unsigned i = 0; i < GGUF_MAX_DIMS; i++)
        if (__builtin_mul_overflow(n, t->dim[i], &n) || n > INT64_MAX)
            return false;
    return t->dim[0] % info->block == 0 &&
        !__builtin_mul_overflow(n / info->block, (uint64_t)info->bytes, bytes);
}

uint64_t
gguf_add_tensor(struct gguf_writer *w, const char *name, enum qtype type,
    unsigned n_dims, const uint64_t *dim)
{
    if (w->n == w->cap) {
        w->cap = w->cap ? 2 * w->cap : 64;
        w->t = mem_realloc(w->t, w->cap, sizeof *w->t);
    }

    struct gguf_tensor *t = &w->t[w->n];
    const struct gguf_tensor *last = w->n ? t - 1 : NULL;

    *t = (struct gguf_tensor){
        .name = mem_strdup(name),
        .n_dims = n_dims,
        .type = type,
        .ggml_type = qtype_info(type)->ggml_id,
        .offset = last != NULL ? pad_up(last->offset + last->bytes) : 0,
    };
    w->n++;
    for (unsigned i = 0; i < GGUF_MAX_DIMS; i++)
        t->dim[i] = i < n_dims ? dim[i] : 1;
    if (strlen(name) > GGUF_MAX_NAME || n_dims > GGUF_MAX_DIMS ||
        !tensor_size(t, &t->bytes))
        err_set(&w->err, ERR_WORK,
            "%s: tensor '%s': its name is longer than 63 bytes or rows of %"
            PRIu64 " values do not fit type %s; choose another type",
            w->out.path, name, t->dim[0], qtype_info(type)->name);
    return t->bytes;
}

static int
by_name(const void *pa, const void *pb)
{
    const char *const *a = pa, *const *b = pb;

    return strcmp(*a, *b);
}

static int
check_names(const struct gguf_writer *w, struct err *e)
{
    const char **names = mem_calloc(w->n, sizeof *names);

    for (size_t i = 0; i < w->n; i++)
        names[i] = w->t[i].name;
    if (w->n > 0)
        qsort(names, w->n, sizeof *names, by_name);
    for (size_t i = 1; i < w->n; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            err_set(e, ERR_WORK, "%s: tensor '%s' is added twice; "
                "add each tensor once", w->out.path, names[i]);
    free(names);
    return e->code;
}

int
gguf_write_header(struct gguf_writer *w, struct err *e)
{
    struct str h = { 0 };

    if (w->err.code)
        return err_set(e, w->err.code, "%s", w->err.text);
    if (check_names(w, e))
        return e->code;
    str_add(&h, "GGUF");
    add_u32(&h, 3);
    add_u64(&h, w->n);
    add_u64(&h, w->n_kv);
    outfile_write(&w->out, h.p, h.len);
    outfile_write(&w->out, str_get(&w->keys), w->keys.len);
    str_clear(&h);
    for (size_t i = 0; i < w->n; i++) {
        const struct gguf_tensor *t = &w->t[i];

        add_string(&h, t->name, strlen(t->name));
        add_u32(&h, t->n_dims);
        for (unsigned d = 0; d < t->n_dims; d++)
            add_u64(&h, t->dim[d]);
        add_u32(&h, t->ggml_type);
        add_u64(&h, t->offset);
    }
    outfile_write(&w->out, str_get(&h), h.len);
    outfile_pad(&w->out, GGUF_ALIGNMENT);
    str_release(&h);
    w->header = true;
    if (w->n > 0)
        outfile_expect(&w->out, w->out.bytes +
            pad_up(w->t[w->n - 1].offset + w->t[w->n - 1].bytes));
    return 0;
}

/* Tensors that are complete, empty ones too, get their padding. */
static void
step_on(struct gguf_writer *w)
{
    while (w->at < w->n && w->done == w->t[w->at].bytes) {
        outfile_pad(&w->out, GGUF_ALIGNMENT);
        w->at++;
        w->done = 0;
    }
}

void
gguf_copy_data(struct gguf_writer *w, const struct map *from, const void *p,
    size_t bytes)
{
    const uint8_t *b = p;

    step_on(w);
    while (bytes > 0) {
        if (!w->header || w->at == w->n) {
            err_set(&w->err, ERR_WORK, "%s: more data than its tensors hold; "
                "write each tensor once", w->out.path);
            return;
        }

        const uint64_t room = w->t[w->at].bytes - w->done;
        const size_t n = bytes < room ? bytes : (size_t)room;

        outfile_copy(&w->out, from, b, n);
        b += n;
        bytes -= n;
        w->done += n;
        step_on(w);
    }
}

void
gguf_write_data(struct gguf_writer *w, const void *p, size_t bytes)
{
    gguf_copy_data(w, NULL, p, bytes);
}

static int
check_whole(struct gguf_writer *w, struct err *e)
{
    step_on(w);
    if (w->err.code == 0 && (!w->header || w->at < w->n))
        err_set(&w->err, ERR_WORK, "%s: data of tensor '%s' is missing; "
            "write each tensor once", w->out.path,
            w->at < w->n ? w->t[w->at].name : "");
    if (w->err.code)
        err_set(e, w->err.code, "%s", w->err.text);
    return w->err.code;
}

int
gguf_writer_close(struct gguf_writer *w, struct err *e)
{
    if (check_whole(w, e) == 0)
        outfile_commit(&w->out, e);
    gguf_writer_release(w);
    return e->code;
}

int
gguf_writer_hand_over(struct gguf_writer *w, struct outfile *to, struct err *e)
{
    if (check_whole(w, e) == 0) {
        *to = w->out;
        w->out = (struct outfile){ .slot = -1 };
    }
    gguf_writer_release(w);
    return e->code;
}

void
gguf_writer_release(struct gguf_writer *w)
{
    for (size_t i = 0; i < w->n; i++)
        free((char *)(uintptr_t)w->t[i].name);
    free(w->t);
    str_release(&w->keys);
    str_release(&w->names);
    w->t = NULL;
    w->n = w->cap = w->at = 0;
    w->n_kv = w->done = 0;
    outfile_release(&w->out);
}
