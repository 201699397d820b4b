#include "lib/format/gguf.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/bytes.h"

static const uint8_t kind_bytes[GGUF_KIND_COUNT] = {
    [GGUF_U8] = 1,
    [GGUF_I8] = 1,
    [GGUF_U16] = 2,
    [GGUF_I16] = 2,
    [GGUF_U32] = 4,
    [GGUF_I32] = 4,
    [GGUF_F32] = 4,
    [GGUF_BOOL] = 1,
    [GGUF_U64] = 8,
    [GGUF_I64] = 8,
    [GGUF_F64] = 8,
};

enum {
    HEADER_BYTES = 24,
    MIN_KV_BYTES = 8 + 1 + 4 + 1,   /* a key of one byte, a u8 */
    MIN_TENSOR_BYTES = 8 + 4 + 4 + 8, /* no name, no dimension */
};

static const char cure[] = "fetch the file again";

/* Reading position; every read checks what is left. */
struct cursor {
    struct gguf *g;
    uint64_t at;
    struct err *e;
};

/* `what` has its cure in it; `thing` and `name` say whose byte it is. */
static int
fail(const struct cursor *c, const char *thing, const char *name,
    const char *what)
{
    if (name != NULL)
        return err_set(c->e, ERR_WORK, "%s: byte %" PRIu64 " (%s '%.200s'): %s",
            c->g->map.path, c->at, thing, name, what);
    return err_set(c->e, ERR_WORK, "%s: byte %" PRIu64 ": %s",
        c->g->map.path, c->at, what);
}

static uint64_t
left(const struct cursor *c)
{
    return c->g->map.len - c->at;
}

static const uint8_t *
take(struct cursor *c, uint64_t n, const char *thing, const char *name)
{
    if (n > left(c)) {
        char what[96];

        snprintf(what, sizeof what,
            "needs %" PRIu64 " bytes, the file has %" PRIu64 " left; %s", n,
            left(c), cure);
        fail(c, thing, name, what);
        return NULL;
    }

    const uint8_t *p = c->g->map.p + c->at;

    c->at += n;
    return p;
}

static uint32_t
take_u32(struct cursor *c, const char *thing, const char *name)
{
    const uint8_t *p = take(c, 4, thing, name);

    return p != NULL ? load_u32le(p) : 0;
}

static uint64_t
take_u64(struct cursor *c, const char *thing, const char *name)
{
    const uint8_t *p = take(c, 8, thing, name);

    return p != NULL ? load_u64le(p) : 0;
}

/* A string that stays in the file. */
static const char *
take_string(struct cursor *c, uint64_t *len, const char *thing,
    const char *name)
{
    *len = take_u64(c, thing, name);
    if (c->e->code)
        return NULL;
    if (*len > GGUF_MAX_LENGTH) {
        fail(c, thing, name, "a string is longer than 2^30 bytes; "
            "fetch the file again");
        return NULL;
    }
    return (const char *)take(c, *len, thing, name);
}

/* A name as a C string in the arena; it may hold no NUL. */
static const char *
take_name(struct cursor *c, uint64_t limit, const char *thing,
    const char *too_long)
{
    uint64_t len;
    const char *p = take_string(c, &len, thing, NULL);

    if (p == NULL)
        return NULL;
    if (len > limit) {
        fail(c, thing, NULL, too_long);
        return NULL;
    }
    if (memchr(p, 0, len) != NULL) {
        fail(c, thing, NULL, "a name holds a NUL byte; fetch the file again");
        return NULL;
    }
    return arena_strndup(&c->g->arena, p, len);
}

static int
parse_array(struct cursor *c, struct gguf_kv *kv)
{
    const uint32_t elem = take_u32(c, "key", kv->key);
    const uint64_t count = take_u64(c, "key", kv->key);

    if (c->e->code)
        return c->e->code;
    if (elem == GGUF_ARRAY)
        return fail(c, "key", kv->key,
            "an array of arrays; write plain arrays only");
    if (elem >= GGUF_KIND_COUNT)
        return fail(c, "key", kv->key,
            "an array of an unknown type; use a GGUF version 3 file");
    if (count > GGUF_MAX_LENGTH)
        return fail(c, "key", kv->key,
            "an array is longer than 2^30 elements; fetch the file again");
    kv->elem = (enum gguf_kind)elem;
    kv->count = count;
    kv->raw = c->g->map.p + c->at;

    if (kv->elem == GGUF_STR) {
        const uint64_t start = c->at;

        for (uint64_t i = 0; i < count; i++) {
            uint64_t len;

            if (take_string(c, &len, "key", kv->key) == NULL)
                return c->e->code;
        }
        kv->raw_bytes = c->at - start;
        return 0;
    }
    kv->raw_bytes = count * kind_bytes[elem];
    take(c, kv->raw_bytes, "key", kv->key);
    return c->e->code;
}

static int
parse_kv(struct cursor *c, struct gguf_kv *kv)
{
    uint32_t kind;

    kv->key = take_name(c, GGUF_MAX_LENGTH, "key", "");
    if (kv->key == NULL)
        return c->e->code;
    if (kv->key[0] == 0)
        return fail(c, "key", NULL, "a key is empty; fetch the file again");
    kind = take_u32(c, "key", kv->key);
    if (c->e->code)
        return c->e->code;
    if (kind >= GGUF_KIND_COUNT)
        return fail(c, "key", kv->key,
            "a value of an unknown type; use a GGUF version 3 file");
    kv->kind = kv->elem = (enum gguf_kind)kind;
    kv->count = 1;
    if (kv->kind == GGUF_ARRAY)
        return parse_array(c, kv);
    if (kv->kind == GGUF_STR) {
        const char *p = take_string(c, &kv->raw_bytes, "key", kv->key);

        if (p == NULL)
            return c->e->code;
        kv->raw = (const uint8_t *)p;
        kv->str = arena_strndup(&c->g->arena, p, kv->raw_bytes);
        return 0;
    }
    kv->raw_bytes = kind_bytes[kind];
    kv->raw = take(c, kv->raw_bytes, "key", kv->key);
    return c->e->code;
}

/* Elements and bytes of a tensor from its dimensions, all checked. */
static int
size_tensor(struct cursor *c, struct gguf_tensor *t)
{
    unsigned block = 1, bytes = 0;
    uint64_t n = 1;

    gguf_type_block(t->ggml_type, &block, &bytes); /* known: parse_tensor */
    for (unsigned i = 0; i < GGUF_MAX_DIMS; i++)
        if (t->dim[i] > INT64_MAX || __builtin_mul_overflow(n, t->dim[i], &n) ||
            n > INT64_MAX)
            return fail(c, "tensor", t->name,
                "its dimensions are negative or have no possible product; "
                "fetch the file again");
    if (t->dim[0] % block != 0) {
        char what[128];

        snprintf(what, sizeof what, "rows of %" PRIu64
            " values do not divide into blocks of %u (%s); %s",
            t->dim[0], block, gguf_type_name(t->ggml_type), cure);
        return fail(c, "tensor", t->name, what);
    }
    if (__builtin_mul_overflow(n / block, (uint64_t)bytes, &t->bytes))
        return fail(c, "tensor", t->name,
            "its dimensions are negative or have no possible product; "
            "fetch the file again");
    return 0;
}

static int
parse_tensor(struct cursor *c, struct gguf_tensor *t)
{
    unsigned block, bytes;

    t->name = take_name(c, GGUF_MAX_NAME, "tensor",
        "a tensor's name is longer than 63 bytes; fetch the file again");
    if (t->name == NULL)
        return c->e->code;
    t->n_dims = take_u32(c, "tensor", t->name);
    if (c->e->code)
        return c->e->code;
    if (t->n_dims > GGUF_MAX_DIMS)
        return fail(c, "tensor", t->name,
            "has more than 4 dimensions; fetch the file again");
    for (unsigned i = 0; i < GGUF_MAX_DIMS; i++)
        t->dim[i] = i < t->n_dims ? take_u64(c, "tensor", t->name) : 1;
    t->ggml_type = take_u32(c, "tensor", t->name);
    if (c->e->code)
        return c->e->code;
    if (!gguf_type_block(t->ggml_type, &block, &bytes)) {
        char what[80];

        snprintf(what, sizeof what, "its type %" PRIu32
            " is unknown; use a GGUF file of a known type", t->ggml_type);
        return fail(c, "tensor", t->name, what);
    }
    if (qtype_from_ggml(t->ggml_type, &t->type) != 0)
        t->type = QT_COUNT;
    if (size_tensor(c, t))
        return c->e->code;
    t->offset = take_u64(c, "tensor", t->name);
    return c->e->code;
}

static int
kv_order(const void *pa, const void *pb)
{
    const struct gguf_kv *const *a = pa, *const *b = pb;

    return strcmp((*a)->key, (*b)->key);
}

static int
tensor_order(const void *pa, const void *pb)
{
    const struct gguf_tensor *const *a = pa, *const *b = pb;

    return strcmp((*a)->name, (*b)->name);
}

int
gguf_sort_tensors(struct gguf *g, struct err *e)
{
    if (g->n > 0)
        qsort(g->t_sorted, g->n, sizeof *g->t_sorted, tensor_order);
    for (size_t i = 1; i < g->n; i++)
        if (tensor_order(&g->t_sorted[i - 1], &g->t_sorted[i]) == 0)
            return err_set(e, ERR_WORK,
                "%s: tensor '%.200s' is there twice; %s", g->map.path,
                g->t_sorted[i]->name, cure);
    return 0;
}

static int
parse_keys(struct cursor *c, uint64_t n)
{
    struct gguf *g = c->g;

    g->kv = arena_alloc(&g->arena, n * sizeof *g->kv);
    g->kv_sorted = arena_alloc(&g->arena, n * sizeof *g->kv_sorted);
    for (uint64_t i = 0; i < n; i++) {
        if (parse_kv(c, &g->kv[i]))
            return c->e->code;
        g->kv_sorted[i] = &g->kv[i];
    }
    g->n_kv = n;
    if (n > 0)
        qsort(g->kv_sorted, n, sizeof *g->kv_sorted, kv_order);
    for (uint64_t i = 1; i < n; i++)
        if (kv_order(&g->kv_sorted[i - 1], &g->kv_sorted[i]) == 0)
            return err_set(c->e, ERR_WORK,
                "%s: key '%.200s' is there twice; %s", g->map.path,
                g->kv_sorted[i]->key, cure);
    return 0;
}

static int
parse_tensors(struct cursor *c, uint64_t n)
{
    struct gguf *g = c->g;

    g->t = arena_alloc(&g->arena, n * sizeof *g->t);
    g->t_sorted = arena_alloc(&g->arena, n * sizeof *g->t_sorted);
    for (uint64_t i = 0; i < n; i++) {
        if (parse_tensor(c, &g->t[i]))
            return c->e->code;
        g->t_sorted[i] = &g->t[i];
    }
    g->n = n;
    return gguf_sort_tensors(g, c->e);
}

static int
read_settings(struct cursor *c)
{
    struct gguf *g = c->g;

    g->alignment = gguf_u32_or(g, "general.alignment", GGUF_ALIGNMENT, c->e);
    if (c->e->code)
        return c->e->code;
    if (g->alignment == 0 || (g->alignment & (g->alignment - 1)) != 0)
        return err_set(c->e, ERR_WORK,
            "%s: general.alignment is %" PRIu32 ", it must be a power of two; "
            "%s", g->map.path, g->alignment, cure);
    return 0;
}

/* False when the next multiple of `a` does not fit. */
static bool
align_up(uint64_t v, uint64_t a, uint64_t *out)
{
    if (__builtin_add_overflow(v, a - 1, &v))
        return false;
    *out = v & ~(a - 1);
    return true;
}

/*
 * Offsets must follow from the sizes, each tensor padded; the last one's
 * padding may be missing. Makes offsets count from the start of the file.
 */
static int
place_tensors(struct cursor *c)
{
    struct gguf *g = c->g;
    uint64_t expect = 0;

    align_up(c->at, g->alignment, &g->data_start);
    for (size_t i = 0; i < g->n; i++) {
        struct gguf_tensor *t = &g->t[i];
        const uint64_t len = g->map.len;

        if (t->offset != expect)
            return err_set(c->e, ERR_WORK, "%s: tensor '%s': has offset %"
                PRIu64 ", the tensors before it need %" PRIu64 "; %s",
                g->map.path, t->name, t->offset, expect, cure);
        if (g->data_start > len || t->offset > len - g->data_start ||
            t->bytes > len - g->data_start - t->offset)
            return err_set(c->e, ERR_WORK, "%s: byte %" PRIu64
                " (tensor '%s'): needs %" PRIu64 " bytes, has %" PRIu64 "; %s",
                g->map.path, g->data_start + t->offset, t->name, t->bytes,
                g->data_start > len || t->offset > len - g->data_start ?
                    0 : len - g->data_start - t->offset, cure);
        if (!align_up(t->offset + t->bytes, g->alignment, &expect))
            expect = UINT64_MAX;
        t->offset += g->data_start;
        t->map = &g->map;
    }
    return 0;
}

static int
check_version(const struct gguf *g, struct err *e)
{
    if ((g->version & 0xffff) == 0)
        return err_set(e, ERR_WORK,
            "%s: is big-endian or no GGUF file; convert it to little-endian",
            g->map.path);
    if (g->version < 2 || g->version > 3)
        return err_set(e, ERR_WORK,
            "%s: is GGUF version %" PRIu32 ", versions 2 and 3 are read; "
            "convert the model again", g->map.path, g->version);
    return 0;
}

static int
parse(struct gguf *g, struct err *e)
{
    struct cursor c = { .g = g, .at = HEADER_BYTES, .e = e };
    const uint8_t *p = g->map.p;

    if (g->map.len < HEADER_BYTES || memcmp(p, "GGUF", 4) != 0)
        return err_set(e, ERR_WORK,
            "%s: does not begin with a GGUF header; give a GGUF file",
            g->map.path);
    g->version = load_u32le(p + 4);
    if (check_version(g, e))
        return e->code;

    const uint64_t n = load_u64le(p + 8), n_kv = load_u64le(p + 16);

    if (n > GGUF_MAX_TENSORS || n > left(&c) / MIN_TENSOR_BYTES)
        return err_set(e, ERR_WORK,
            "%s: claims %" PRIu64 " tensors, more than the file can hold; %s",
            g->map.path, n, cure);
    if (n_kv > GGUF_MAX_KEYS || n_kv > left(&c) / MIN_KV_BYTES)
        return err_set(e, ERR_WORK,
            "%s: claims %" PRIu64 " keys, more than the file can hold; %s",
            g->map.path, n_kv, cure);
    if (parse_keys(&c, n_kv) || read_settings(&c) || parse_tensors(&c, n))
        return e->code;
    return place_tensors(&c);
}

int
gguf_open_part(struct gguf *g, const char *path, struct err *e)
{
    if (map_open(&g->map, path, e))
        return e->code;
    if (parse(g, e))
        gguf_close(g);
    return e->code;
}

void
gguf_close(struct gguf *g)
{
    for (size_t i = 0; i < g->n_more; i++)
        gguf_close(&g->more[i]);
    free(g->more);
    map_close(&g->map);
    arena_release(&g->arena);
    *g = (struct gguf){ 0 };
}

const struct gguf_tensor *
gguf_find(const struct gguf *g, const char *name)
{
    const struct gguf_tensor want = { .name = name }, *key = &want;
    const struct gguf_tensor **found;

    if (g->n == 0)
        return NULL;
    found = bsearch(&key, g->t_sorted, g->n, sizeof *g->t_sorted,
        tensor_order);
    return found != NULL ? *found : NULL;
}

const struct gguf_kv *
gguf_kv(const struct gguf *g, const char *key)
{
    const struct gguf_kv want = { .key = key }, *k = &want;
    const struct gguf_kv **found;

    if (g->n_kv == 0)
        return NULL;
    found = bsearch(&k, g->kv_sorted, g->n_kv, sizeof *g->kv_sorted, kv_order);
    return found != NULL ? *found : NULL;
}

const void *
gguf_data(const struct gguf_tensor *t)
{
    return t->map->p + t->offset;
}

uint64_t
gguf_elements(const struct gguf_tensor *t)
{
    return t->dim[0] * t->dim[1] * t->dim[2] * t->dim[3];
}
