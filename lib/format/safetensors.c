#include "lib/format/safetensors.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/bytes.h"
#include "lib/base/json.h"
#include "lib/base/str.h"

static const struct {
    const char *name;
    unsigned bits;
} dtypes[] = {
    { "F32", 32 },
    { "BF16", 16 },
    { "F16", 16 },
    { "I32", 32 },
    { "I64", 64 },
    { "U8", 8 },
    { "I8", 8 },
    { "BOOL", 8 },
    { "F4", 4 },
    { "F6_E2M3", 6 },
    { "F6_E3M2", 6 },
    { "F8_E5M2", 8 },
    { "F8_E4M3", 8 },
    { "F8_E8M0", 8 },
    { "F8_E4M3FNUZ", 8 },
    { "F8_E5M2FNUZ", 8 },
    { "I16", 16 },
    { "U16", 16 },
    { "U32", 32 },
    { "C64", 64 },
    { "F64", 64 },
    { "U64", 64 },
};

/* One place for the cure: nothing in a broken header can be guessed. */
static const char cure[] = "fetch the file again";

unsigned
st_dtype_bits(const char *dtype)
{
    for (size_t i = 0; i < countof(dtypes); i++)
        if (strcmp(dtypes[i].name, dtype) == 0)
            return dtypes[i].bits;
    return 0;
}

const char *
st_dtype_name(const char *dtype)
{
    for (size_t i = 0; i < countof(dtypes); i++)
        if (strcmp(dtypes[i].name, dtype) == 0)
            return dtypes[i].name;
    return NULL;
}

uint64_t
st_elements(const struct st_tensor *t)
{
    uint64_t n = 1;

    for (unsigned i = 0; i < t->rank; i++)
        n *= t->shape[i];
    return n;
}

/*
 * Bytes that shape and bits ask for; false if that does not fit 64 bits or is
 * no whole number. A zero dimension anywhere makes 0, but the partial products
 * before it must not overflow either, as in the reference reader.
 */
static bool
tensor_bytes(const uint64_t *shape, unsigned rank, unsigned bits,
    uint64_t *bytes)
{
    uint64_t n = 1;

    for (unsigned i = 0; i < rank; i++)
        if (__builtin_mul_overflow(n, shape[i], &n))
            return false;
    if (__builtin_mul_overflow(n, (uint64_t)bits, &n) || n % 8 != 0)
        return false;
    *bytes = n / 8;
    return true;
}

/* A JSON number that is a count or an offset. */
static bool
get_u64(const json_t *v, uint64_t *out)
{
    if (!json_is_integer(v) || json_integer_value(v) < 0)
        return false;
    *out = (uint64_t)json_integer_value(v);
    return true;
}

static int
tensor_error(const struct safetensors *s, const char *name, const char *what,
    struct err *e)
{
    return err_set(e, ERR_WORK, "%s: tensor '%.200s': %s; %s", s->map.path,
        name, what, cure);
}

/* One member of the header; `size` is that of the data section. */
static int
parse_tensor(struct safetensors *s, struct st_tensor *t, const char *name,
    const json_t *o, uint64_t start, uint64_t size, struct err *e)
{
    if (!json_is_object(o))
        return tensor_error(s, name, "its entry is no object", e);

    const json_t *dtype = json_object_get(o, "dtype");
    const json_t *shape = json_object_get(o, "shape");
    const json_t *range = json_object_get(o, "data_offsets");
    uint64_t begin, end, bytes;

    if (!json_is_string(dtype))
        return tensor_error(s, name, "'dtype' is missing or no text", e);
    t->dtype = st_dtype_name(json_string_value(dtype));
    if (t->dtype == NULL)
        return err_set(e, ERR_WORK,
            "%s: tensor '%.200s': unknown dtype '%.40s'; use a file of F32, "
            "F16 or BF16", s->map.path, name, json_string_value(dtype));
    t->bits = st_dtype_bits(t->dtype);

    if (!json_is_array(shape))
        return tensor_error(s, name, "'shape' is missing or no array", e);
    if (json_array_size(shape) > ST_MAX_RANK)
        return err_set(e, ERR_WORK,
            "%s: tensor '%.200s': has %zu dimensions; quern reads at most %d",
            s->map.path, name, json_array_size(shape), (int)ST_MAX_RANK);
    t->rank = (unsigned)json_array_size(shape);
    for (unsigned i = 0; i < t->rank; i++)
        if (!get_u64(json_array_get(shape, i), &t->shape[i]))
            return tensor_error(s, name, "a dimension is no whole number", e);

    if (!json_is_array(range) || json_array_size(range) != 2 ||
        !get_u64(json_array_get(range, 0), &begin) ||
        !get_u64(json_array_get(range, 1), &end))
        return tensor_error(s, name,
            "'data_offsets' is not a pair of whole numbers", e);
    if (begin > end || end > size)
        return err_set(e, ERR_WORK,
            "%s: tensor '%.200s': lies at %" PRIu64 " to %" PRIu64
            " of %" PRIu64 " bytes of data; %s", s->map.path, name, begin, end,
            size, cure);
    if (!tensor_bytes(t->shape, t->rank, t->bits, &bytes))
        return tensor_error(s, name, "its shape has no possible size", e);
    if (bytes != end - begin)
        return err_set(e, ERR_WORK,
            "%s: tensor '%.200s': its shape needs %" PRIu64
            " bytes, its range has %" PRIu64 "; %s", s->map.path, name, bytes,
            end - begin, cure);

    t->name = arena_strdup(&s->arena, name);
    t->offset = start + begin;
    t->bytes = bytes;
    return 0;
}

static int
parse_metadata(struct safetensors *s, json_t *o, struct err *e)
{
    const char *key;
    json_t *v;

    if (!json_is_object(o))
        return err_set(e, ERR_WORK, "%s: '__metadata__' is no object; %s",
            s->map.path, cure);
    json_object_foreach(o, key, v)
        if (!json_is_string(v))
            return err_set(e, ERR_WORK,
                "%s: '__metadata__' key '%.200s' is no text; %s", s->map.path,
                key, cure);
    s->meta = json_incref(o);
    return 0;
}

static int
by_place(const void *pa, const void *pb)
{
    const struct st_tensor *a = pa, *b = pb;

    if (a->offset != b->offset)
        return a->offset < b->offset ? -1 : 1;
    if (a->bytes != b->bytes)
        return a->bytes < b->bytes ? -1 : 1;
    return strcmp(a->name, b->name);
}

static int
by_name(const void *pa, const void *pb)
{
    const struct st_tensor *a = pa, *b = pb;

    return strcmp(a->name, b->name);
}

/* The ranges, in order, must cover the data section exactly. */
static int
check_tiling(struct safetensors *s, uint64_t start, struct err *e)
{
    uint64_t at = start;

    qsort(s->t, s->n, sizeof *s->t, by_place);
    for (size_t i = 0; i < s->n; i++) {
        const struct st_tensor *t = &s->t[i];

        if (t->offset < at)
            return err_set(e, ERR_WORK,
                "%s: tensor '%.200s': begins at byte %" PRIu64
                ", inside '%.200s'; %s", s->map.path, t->name, t->offset,
                s->t[i - 1].name, cure);
        if (t->offset > at)
            return err_set(e, ERR_WORK,
                "%s: tensor '%.200s': begins at byte %" PRIu64 ", leaving %"
                PRIu64 " bytes before it to no tensor; %s", s->map.path,
                t->name, t->offset, t->offset - at, cure);
        at = t->offset + t->bytes;
    }
    if (at != s->map.len)
        return err_set(e, ERR_WORK,
            "%s: %" PRIu64 " bytes after the last tensor belong to none; %s",
            s->map.path, (uint64_t)s->map.len - at, cure);
    qsort(s->t, s->n, sizeof *s->t, by_name);
    return 0;
}

static int
parse_header(struct safetensors *s, const json_t *root, uint64_t start,
    struct err *e)
{
    const uint64_t size = s->map.len - start;
    const char *key;
    json_t *v;

    if (!json_is_object(root))
        return err_set(e, ERR_WORK, "%s: the header is no JSON object; %s",
            s->map.path, cure);
    s->t = arena_alloc(&s->arena, json_object_size(root) * sizeof *s->t);
    json_object_foreach((json_t *)(uintptr_t)root, key, v) {
        if (strcmp(key, "__metadata__") == 0) {
            if (parse_metadata(s, v, e))
                return e->code;
        } else if (parse_tensor(s, &s->t[s->n++], key, v, start, size, e)) {
            return e->code;
        }
    }
    return check_tiling(s, start, e);
}

/*
 * A parsed header takes memory by its values, and each value has a comma or a
 * colon before it: their number bounds the memory before any is taken.
 */
static int
check_marks(const char *path, const uint8_t *p, size_t n, struct err *e)
{
    size_t marks = 0;

    for (size_t i = 0; i < n; i++)
        marks += (size_t)(p[i] == ',') + (size_t)(p[i] == ':');
    if (marks > ST_MAX_MARKS)
        return err_set(e, ERR_WORK, "%s: the header has more than %d commas "
            "and colons; give a safetensors file of fewer tensors", path,
            (int)ST_MAX_MARKS);
    return 0;
}

int
safetensors_open(struct safetensors *s, const char *path, struct err *e)
{
    json_t *root = NULL;
    uint64_t len;
    char *place = NULL;

    if (map_open(&s->map, path, e))
        return e->code;
    if (s->map.len < 8) {
        err_set(e, ERR_WORK,
            "%s: has %zu bytes, a safetensors file has at least 8; %s", path,
            s->map.len, cure);
        goto done;
    }
    len = load_u64le(s->map.p);
    if (len > ST_MAX_HEADER) {
        err_set(e, ERR_WORK,
            "%s: the header claims %" PRIu64
            " bytes, at most %d are allowed; give a safetensors file", path,
            len, (int)ST_MAX_HEADER);
        goto done;
    }
    if (len > s->map.len - 8) {
        err_set(e, ERR_WORK,
            "%s: the header claims %" PRIu64 " bytes, the file has %zu left; "
            "%s", path, len, s->map.len - 8, cure);
        goto done;
    }
    if (len == 0 || s->map.p[8] != '{') {
        err_set(e, ERR_WORK, "%s: the header does not begin with '{'; "
            "give a safetensors file", path);
        goto done;
    }
    if (check_marks(path, s->map.p + 8, (size_t)len, e))
        goto done;
    place = mem_printf("%s: header", path);
    root = json_parse((const char *)s->map.p + 8, (size_t)len, place, e);
    if (root != NULL)
        parse_header(s, root, 8 + len, e);

done:
    free(place);
    json_decref(root);
    if (e->code)
        safetensors_close(s);
    return e->code;
}

void
safetensors_close(struct safetensors *s)
{
    json_decref(s->meta);
    map_close(&s->map);
    arena_release(&s->arena);
    *s = (struct safetensors){ 0 };
}

const struct st_tensor *
safetensors_find(const struct safetensors *s, const char *name)
{
    const struct st_tensor key = { .name = name };

    if (s->n == 0)
        return NULL;
    return bsearch(&key, s->t, s->n, sizeof *s->t, by_name);
}

const void *
safetensors_data(const struct safetensors *s, const struct st_tensor *t)
{
    return s->map.p + t->offset;
}

static void
shape_text(struct str *out, const char *dtype, unsigned rank,
    const uint64_t *shape)
{
    str_addf(out, "%s [", dtype);
    for (unsigned i = 0; i < rank; i++)
        str_addf(out, "%s%" PRIu64, i ? ", " : "", shape[i]);
    str_addc(out, ']');
}

const void *
safetensors_expect(const struct safetensors *s, const char *name,
    const char *dtype, unsigned rank, const uint64_t *shape, struct err *e)
{
    const struct st_tensor *t = safetensors_find(s, name);
    struct str want = { 0 }, found = { 0 };

    if (t != NULL && strcmp(t->dtype, dtype) == 0 && t->rank == rank &&
        (rank == 0 || memcmp(t->shape, shape, rank * sizeof *shape) == 0))
        return safetensors_data(s, t);

    shape_text(&want, dtype, rank, shape);
    if (t != NULL)
        shape_text(&found, t->dtype, t->rank, t->shape);
    err_set(e, ERR_WORK, "%s: tensor '%.200s': expected %s, found %s; "
        "give the file that belongs here", s->map.path, name, str_get(&want),
        t != NULL ? str_get(&found) : "none");
    str_release(&want);
    str_release(&found);
    return NULL;
}

const char *
safetensors_meta(const struct safetensors *s, const char *key)
{
    return json_string_value(json_object_get(s->meta, key));
}
