#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "lib/base/bytes.h"
#include "lib/format/gguf.h"

static const char *const kind_names[GGUF_KIND_COUNT] = {
    [GGUF_U8] = "u8",
    [GGUF_I8] = "i8",
    [GGUF_U16] = "u16",
    [GGUF_I16] = "i16",
    [GGUF_U32] = "u32",
    [GGUF_I32] = "i32",
    [GGUF_F32] = "f32",
    [GGUF_BOOL] = "bool",
    [GGUF_STR] = "string",
    [GGUF_ARRAY] = "array",
    [GGUF_U64] = "u64",
    [GGUF_I64] = "i64",
    [GGUF_F64] = "f64",
};

const char *
gguf_kind_name(enum gguf_kind kind)
{
    return (unsigned)kind < GGUF_KIND_COUNT ? kind_names[kind] : "?";
}

/* NULL: missing; an error is set when it is there with another type. */
static const struct gguf_kv *
get(const struct gguf *g, const char *key, enum gguf_kind kind, struct err *e)
{
    const struct gguf_kv *kv = gguf_kv(g, key);

    if (kv == NULL || kv->kind == kind)
        return kv;
    err_set(e, ERR_WORK, "%s: key '%s' has type %s, %s was expected; "
        "convert the model again", g->map.path, key, gguf_kind_name(kv->kind),
        gguf_kind_name(kind));
    return NULL;
}

/* The same, but it must be there. */
static const struct gguf_kv *
need(const struct gguf *g, const char *key, enum gguf_kind kind, struct err *e)
{
    const struct gguf_kv *kv = get(g, key, kind, e);

    if (kv == NULL)
        err_set(e, ERR_WORK, "%s: key '%s' is missing; convert the model again",
            g->map.path, key);
    return kv;
}

const char *
gguf_str(const struct gguf *g, const char *key, struct err *e)
{
    const struct gguf_kv *kv = need(g, key, GGUF_STR, e);

    return kv != NULL ? kv->str : NULL;
}

uint32_t
gguf_u32(const struct gguf *g, const char *key, struct err *e)
{
    const struct gguf_kv *kv = need(g, key, GGUF_U32, e);

    return kv != NULL ? load_u32le(kv->raw) : 0;
}

float
gguf_f32(const struct gguf *g, const char *key, struct err *e)
{
    const struct gguf_kv *kv = need(g, key, GGUF_F32, e);

    return kv != NULL ? load_f32le(kv->raw) : NAN;
}

bool
gguf_bool(const struct gguf *g, const char *key, struct err *e)
{
    const struct gguf_kv *kv = need(g, key, GGUF_BOOL, e);

    return kv != NULL && kv->raw[0] != 0;
}

const char *
gguf_str_or(const struct gguf *g, const char *key, const char *dflt,
    struct err *e)
{
    const struct gguf_kv *kv = get(g, key, GGUF_STR, e);

    return kv != NULL ? kv->str : dflt;
}

uint32_t
gguf_u32_or(const struct gguf *g, const char *key, uint32_t dflt,
    struct err *e)
{
    const struct gguf_kv *kv = get(g, key, GGUF_U32, e);

    return kv != NULL ? load_u32le(kv->raw) : dflt;
}

float
gguf_f32_or(const struct gguf *g, const char *key, float dflt, struct err *e)
{
    const struct gguf_kv *kv = get(g, key, GGUF_F32, e);

    return kv != NULL ? load_f32le(kv->raw) : dflt;
}

const struct gguf_kv *
gguf_array(const struct gguf *g, const char *key, enum gguf_kind elem,
    struct err *e)
{
    const struct gguf_kv *kv = need(g, key, GGUF_ARRAY, e);

    if (kv == NULL || kv->elem == elem)
        return kv;
    err_set(e, ERR_WORK, "%s: key '%s' is an array of %s, %s was expected; "
        "convert the model again", g->map.path, key, gguf_kind_name(kv->elem),
        gguf_kind_name(elem));
    return NULL;
}

int32_t
gguf_array_i32(const struct gguf_kv *kv, uint64_t i)
{
    return (int32_t)load_u32le(kv->raw + 4 * i);
}

float
gguf_array_f32(const struct gguf_kv *kv, uint64_t i)
{
    return load_f32le(kv->raw + 4 * i);
}

bool
gguf_array_bool(const struct gguf_kv *kv, uint64_t i)
{
    return kv->raw[i] != 0;
}

struct gguf_strings
gguf_strings(const struct gguf_kv *kv)
{
    return (struct gguf_strings){ .at = kv->raw, .left = kv->count };
}

bool
gguf_next(struct gguf_strings *it)
{
    if (it->left == 0)
        return false;
    it->len = (size_t)load_u64le(it->at); /* checked when it was opened */
    it->p = (const char *)it->at + 8;
    it->at += 8 + it->len;
    it->left--;
    return true;
}

/* One element that is no string and no array. */
static void
scalar_text(enum gguf_kind kind, const uint8_t *p, struct str *out)
{
    double d;
    uint64_t u;

    switch (kind) {
    case GGUF_U8:
        str_addf(out, "%u", (unsigned)p[0]);
        break;
    case GGUF_I8:
        str_addf(out, "%d", (int)(int8_t)p[0]);
        break;
    case GGUF_U16:
        str_addf(out, "%u", (unsigned)load_u16le(p));
        break;
    case GGUF_I16:
        str_addf(out, "%d", (int)(int16_t)load_u16le(p));
        break;
    case GGUF_U32:
        str_addf(out, "%" PRIu32, load_u32le(p));
        break;
    case GGUF_I32:
        str_addf(out, "%" PRId32, (int32_t)load_u32le(p));
        break;
    case GGUF_F32:
        str_addf(out, "%.9g", (double)load_f32le(p));
        break;
    case GGUF_BOOL:
        str_add(out, p[0] != 0 ? "true" : "false");
        break;
    case GGUF_U64:
        str_addf(out, "%" PRIu64, load_u64le(p));
        break;
    case GGUF_I64:
        str_addf(out, "%" PRId64, (int64_t)load_u64le(p));
        break;
    case GGUF_F64:
        u = load_u64le(p);
        memcpy(&d, &u, 8);
        str_addf(out, "%.17g", d);
        break;
    case GGUF_STR:
    case GGUF_ARRAY:
    case GGUF_KIND_COUNT:
        break;
    }
}

static void
string_text(const char *p, size_t len, size_t max, struct str *out)
{
    str_addn(out, p, len < max ? len : max);
    if (len > max)
        str_add(out, "...");
}

void
gguf_kv_text(const struct gguf_kv *kv, size_t max, struct str *out)
{
    const uint64_t shown = kv->count < max ? kv->count : max;

    if (kv->kind == GGUF_STR) {
        string_text((const char *)kv->raw, (size_t)kv->raw_bytes, max, out);
        return;
    }
    if (kv->kind != GGUF_ARRAY) {
        scalar_text(kv->kind, kv->raw, out);
        return;
    }
    str_addc(out, '[');
    if (kv->elem == GGUF_STR) {
        struct gguf_strings it = gguf_strings(kv);

        for (uint64_t i = 0; i < shown && gguf_next(&it); i++) {
            str_add(out, i ? ", '" : "'");
            string_text(it.p, it.len, max, out);
            str_addc(out, '\'');
        }
    } else {
        const uint64_t step = kv->count ? kv->raw_bytes / kv->count : 0;

        for (uint64_t i = 0; i < shown; i++) {
            str_add(out, i ? ", " : "");
            scalar_text(kv->elem, kv->raw + i * step, out);
        }
    }
    if (shown < kv->count)
        str_addf(out, ", ... %" PRIu64 " in all", kv->count);
    str_addc(out, ']');
}

const uint8_t *
gguf_value(const struct gguf_kv *kv, size_t *bytes)
{
    /* what stands before the bytes: a type; a length; or type and count */
    size_t head = kv->kind == GGUF_STR ? 4 + 8 :
        kv->kind == GGUF_ARRAY ? 4 + 4 + 8 : 4;

    *bytes = head + (size_t)kv->raw_bytes;
    return kv->raw - head;
}
