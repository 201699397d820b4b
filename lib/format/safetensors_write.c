#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/bytes.h"
#include "lib/base/json.h"
#include "lib/base/str.h"
#include "lib/format/safetensors.h"

/* Metadata with sorted keys, so that equal content gives equal bytes. */
static int
add_metadata(struct str *h, const char *path, const json_t *metadata,
    struct err *e)
{
    json_t *all = json_object();
    const char *key;
    json_t *v;

    json_object_set_new(all, "format", json_string("pt"));
    json_object_foreach((json_t *)(uintptr_t)metadata, key, v) {
        if (!json_is_string(v))
            err_set(e, ERR_WORK,
                "%s: metadata key '%.200s' is no text; write text", path, key);
        json_object_set(all, key, v);
    }

    char *text = json_dumps(all, JSON_COMPACT | JSON_SORT_KEYS);
    if (text == NULL)
        err_set(e, ERR_WORK, "%s: metadata cannot be written as JSON; "
            "write UTF-8 text", path);
    else
        str_addf(h, "{\"__metadata__\":%s", text);
    free(text);
    json_decref(all);
    return e->code;
}

/* One member of the header; moves *at past the tensor. */
static int
add_tensor(struct str *h, const char *path, const struct st_spec *spec,
    uint64_t *at, struct err *e)
{
    const unsigned bits = st_dtype_bits(spec->dtype);
    uint64_t n = bits;
    bool fits = bits != 0 && spec->rank <= ST_MAX_RANK;

    for (unsigned i = 0; fits && i < spec->rank; i++)
        fits = !__builtin_mul_overflow(n, spec->shape[i], &n);
    if (!fits || n % 8 != 0)
        return err_set(e, ERR_WORK,
            "%s: tensor '%.200s': dtype '%s' and its shape have no size; "
            "correct them", path, spec->name, spec->dtype);

    json_t *name = json_string(spec->name);
    char *text = name != NULL ? json_dumps(name, JSON_ENCODE_ANY) : NULL;

    if (text == NULL) {
        err_set(e, ERR_WORK, "%s: tensor '%.200s': its name is not UTF-8; "
            "rename it", path, spec->name);
    } else {
        str_addf(h, ",%s:{\"dtype\":\"%s\",\"shape\":[", text, spec->dtype);
        for (unsigned i = 0; i < spec->rank; i++)
            str_addf(h, "%s%" PRIu64, i ? "," : "", spec->shape[i]);
        str_addf(h, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", *at,
            *at + n / 8);
        *at += n / 8;
    }
    free(text);
    json_decref(name);
    return e->code;
}

int
st_writer_open(struct st_writer *w, const char *path,
    const struct st_spec *specs, size_t n, const json_t *metadata,
    struct err *e)
{
    struct str h = { 0 };
    uint8_t len[8];

    w->got = w->expect = 0;
    if (add_metadata(&h, path, metadata, e))
        goto done;
    for (size_t i = 0; i < n; i++)
        if (add_tensor(&h, path, &specs[i], &w->expect, e))
            goto done;
    str_addc(&h, '}');
    while (h.len % 8 != 0)
        str_addc(&h, ' ');
    if (h.len > ST_MAX_HEADER) {
        err_set(e, ERR_WORK, "%s: its header would have %zu bytes, at most %d "
            "are allowed; write fewer tensors", path, h.len,
            (int)ST_MAX_HEADER);
        goto done;
    }
    if (outfile_create(&w->out, path, e))
        goto done;
    store_u64le(len, h.len);
    outfile_write(&w->out, len, sizeof len);
    outfile_write(&w->out, h.p, h.len);

done:
    str_release(&h);
    return e->code;
}

void
st_writer_data(struct st_writer *w, const void *p, size_t bytes)
{
    w->got += bytes;
    if (w->got <= w->expect)
        outfile_write(&w->out, p, bytes);
}

int
st_writer_close(struct st_writer *w, struct err *e)
{
    if (w->got != w->expect)
        err_set(e, ERR_WORK, "%s: %" PRIu64 " bytes of data came, %" PRIu64
            " were announced; write each tensor once", w->out.path, w->got,
            w->expect);
    else
        outfile_commit(&w->out, e);
    if (e->code)
        st_writer_release(w);
    return e->code;
}

void
st_writer_release(struct st_writer *w)
{
    outfile_release(&w->out);
}
