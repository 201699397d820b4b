#include "lib/text/decode.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/text/bytemap.h"
#include "lib/text/utf8.h"

enum { SEQUENCE_DEPTH_MOST = 8 };

/* A string that the caller has appended to l->all. */
static void
string_list_end(struct string_list *l)
{
    if (l->n + 2 > l->cap) {
        l->cap = l->cap == 0 ? 256 : l->cap * 2;
        l->at = mem_realloc(l->at, l->cap, sizeof *l->at);
        l->at[0] = 0;
    }
    l->at[++l->n] = l->all.len;
}

void
string_list_add(struct string_list *l, const char *s, size_t n)
{
    str_addn(&l->all, s, n);
    string_list_end(l);
}

static void
string_list_clear(struct string_list *l)
{
    str_clear(&l->all);
    l->n = 0;
}

void
string_list_release(struct string_list *l)
{
    str_release(&l->all);
    free(l->at);
    *l = (struct string_list){ 0 };
}

struct decode_step *
decoder_add(struct decoder *d, enum decode_kind kind, const char *pattern,
    const char *content, const char *path, struct err *e)
{
    struct decode_step *st;

    if (d->n == DECODE_STEPS_MOST) {
        err_set(e, ERR_WORK,
            "%s: decoder: more than %d steps; quern cannot read this "
            "tokenizer",
            path, DECODE_STEPS_MOST);
        return NULL;
    }
    st = &d->step[d->n++];
    *st = (struct decode_step){ .kind = kind };
    st->pattern = pattern == NULL ? NULL : mem_strdup(pattern);
    st->content = content == NULL ? NULL : mem_strdup(content);
    return st;
}

static int
read_strip(struct decoder *d, const json_t *j, const char *path,
    struct err *e)
{
    const char *content = json_get_str(j, "content", path, e);
    int64_t start = json_get_int(j, "start", 0, INT32_MAX, path, e);
    int64_t stop = json_get_int(j, "stop", 0, INT32_MAX, path, e);
    struct decode_step *st;

    if (e->code != 0)
        return e->code;
    if (content[0] == '\0' || strlen(content) != utf8_size(content[0]))
        return err_set(e, ERR_WORK,
            "%s: decoder: Strip's content '%.60s' is not one character; "
            "repair the file",
            path, content);
    st = decoder_add(d, DECODE_STRIP, content, NULL, path, e);
    if (st != NULL) {
        st->start = (size_t)start;
        st->stop = (size_t)stop;
    }
    return e->code;
}

static int
read_replace(struct decoder *d, const json_t *j, const char *path,
    struct err *e)
{
    const json_t *text =
        json_object_get(json_object_get(j, "pattern"), "String");
    const char *content = json_get_str(j, "content", path, e);

    if (content == NULL)
        return e->code;
    if (!json_is_string(text) || json_string_length(text) == 0)
        return err_set(e, ERR_WORK,
            "%s: decoder: Replace by anything but a non-empty String is not "
            "implemented; quern cannot read this tokenizer",
            path);
    decoder_add(d, DECODE_REPLACE, json_string_value(text), content, path, e);
    return e->code;
}

static int
read_metaspace(struct decoder *d, const json_t *j, const char *path,
    struct err *e)
{
    const char *rep = json_get_str(j, "replacement", path, e);
    const json_t *scheme = json_object_get(j, "prepend_scheme");
    struct decode_step *st;

    if (rep == NULL)
        return e->code;
    if (rep[0] == '\0' || strlen(rep) != utf8_size(rep[0]))
        return err_set(e, ERR_WORK,
            "%s: decoder: Metaspace's replacement '%.60s' is not one "
            "character; repair the file",
            path, rep);
    st = decoder_add(d, DECODE_METASPACE, rep, NULL, path, e);
    if (st != NULL)
        st->keep_first = json_is_string(scheme)
            ? strcmp(json_string_value(scheme), "never") == 0
            : json_is_false(json_object_get(j, "add_prefix_space"));
    return e->code;
}

static int
read_any(struct decoder *d, const json_t *j, int depth, const char *path,
    struct err *e)
{
    static const struct {
        const char *name;
        enum decode_kind kind;
    } plain[] = {
        { "ByteLevel", DECODE_BYTE_LEVEL },
        { "ByteFallback", DECODE_BYTE_FALLBACK },
        { "Fuse", DECODE_FUSE },
    };
    const char *type = json_get_str(j, "type", path, e);

    if (type == NULL)
        return e->code;
    for (size_t i = 0; i < countof(plain); i++) {
        if (strcmp(type, plain[i].name) == 0) {
            decoder_add(d, plain[i].kind, NULL, NULL, path, e);
            return e->code;
        }
    }
    if (strcmp(type, "Strip") == 0)
        return read_strip(d, j, path, e);
    if (strcmp(type, "Replace") == 0)
        return read_replace(d, j, path, e);
    if (strcmp(type, "Metaspace") == 0)
        return read_metaspace(d, j, path, e);
    if (strcmp(type, "Sequence") == 0 && depth < SEQUENCE_DEPTH_MOST) {
        const json_t *list = json_get_array(j, "decoders", path, e), *each;
        size_t i;

        json_array_foreach(list, i, each) {
            if (read_any(d, each, depth + 1, path, e) != 0)
                break;
        }
        return e->code;
    }
    return err_set(e, ERR_WORK,
        "%s: decoder '%.60s' is not implemented; quern knows ByteLevel, "
        "ByteFallback, Fuse, Strip, Replace, Metaspace and Sequence",
        path, type);
}

int
decoder_init(struct decoder *d, const json_t *j, const char *path,
    struct err *e)
{
    *d = (struct decoder){ 0 };
    if (j == NULL || json_is_null(j)) {
        d->spaces = true;
        return 0;
    }
    if (read_any(d, j, 0, path, e) != 0)
        decoder_release(d);
    return e->code;
}

void
decoder_release(struct decoder *d)
{
    for (size_t i = 0; i < d->n; i++) {
        free(d->step[i].pattern);
        free(d->step[i].content);
    }
    *d = (struct decoder){ 0 };
}

/* Every token to its bytes, or as it is; all joined and made valid UTF-8. */
static void
byte_level(const struct string_list *in, struct string_list *out)
{
    struct str bytes = { 0 };

    for (size_t i = 0; i < in->n; i++) {
        const char *s = str_get(&in->all) + in->at[i];
        size_t n = in->at[i + 1] - in->at[i], from = bytes.len;

        for (size_t at = 0; at < n;) {
            int byte = bytemap_byte(utf8_next(s, &at));

            if (byte < 0) { /* a character that stands for no byte */
                bytes.len = from;
                str_addn(&bytes, s, n);
                break;
            }
            str_addc(&bytes, (char)byte);
        }
    }
    utf8_add_lossy(&out->all, str_get(&bytes), bytes.len);
    string_list_end(out);
    str_release(&bytes);
}

/* Value of a hexadecimal digit, -1 if it is none. */
static int
hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0'
        : c >= 'A' && c <= 'F'  ? c - 'A' + 10
        : c >= 'a' && c <= 'f'  ? c - 'a' + 10
                                : -1;
}

static void
flush_bytes(struct str *bytes, struct string_list *out)
{
    if (bytes->len == 0)
        return;
    if (utf8_check(bytes->p, bytes->len) == bytes->len) {
        string_list_add(out, bytes->p, bytes->len);
    } else {
        for (size_t i = 0; i < bytes->len; i++)
            string_list_add(out, "\xef\xbf\xbd", 3);
    }
    str_clear(bytes);
}

static void
byte_fallback(const struct string_list *in, struct string_list *out)
{
    struct str bytes = { 0 };

    for (size_t i = 0; i < in->n; i++) {
        const char *s = str_get(&in->all) + in->at[i];
        size_t n = in->at[i + 1] - in->at[i];

        if (n == 6 && memcmp(s, "<0x", 3) == 0 && s[5] == '>' &&
            hex(s[3]) >= 0 && hex(s[4]) >= 0) {
            str_addc(&bytes, (char)(hex(s[3]) << 4 | hex(s[4])));
            continue;
        }
        flush_bytes(&bytes, out);
        string_list_add(out, s, n);
    }
    flush_bytes(&bytes, out);
    str_release(&bytes);
}

/* Up to `start` and `stop` of the character off the ends of s[0..n). */
static void
strip(const struct decode_step *st, const char *s, size_t n,
    struct string_list *out)
{
    size_t size = strlen(st->pattern), i;

    for (i = 0; i < st->start && n >= size; i++) {
        if (memcmp(s, st->pattern, size) != 0)
            break;
        s += size;
        n -= size;
    }
    for (i = 0; i < st->stop && n >= size; i++) {
        if (memcmp(s + n - size, st->pattern, size) != 0)
            break;
        n -= size;
    }
    string_list_add(out, s, n);
}

static void
replace(const char *s, size_t n, const char *from, const char *to,
    struct string_list *out)
{
    size_t size = strlen(from);

    while (n > 0) {
        const char *hit = memmem(s, n, from, size);
        size_t len = hit == NULL ? n : (size_t)(hit - s);

        str_addn(&out->all, s, len);
        if (hit == NULL)
            break;
        str_add(&out->all, to);
        s += len + size;
        n -= len + size;
    }
    string_list_end(out);
}

static void
run_step(const struct decode_step *st, const struct string_list *in,
    struct string_list *out)
{
    if (st->kind == DECODE_BYTE_LEVEL) {
        byte_level(in, out);
        return;
    }
    if (st->kind == DECODE_BYTE_FALLBACK) {
        byte_fallback(in, out);
        return;
    }
    if (st->kind == DECODE_FUSE) {
        string_list_add(out, str_get(&in->all), in->all.len);
        return;
    }
    for (size_t i = 0; i < in->n; i++) {
        const char *s = str_get(&in->all) + in->at[i];
        size_t n = in->at[i + 1] - in->at[i];

        if (st->kind == DECODE_STRIP)
            strip(st, s, n, out);
        else if (st->kind == DECODE_REPLACE)
            replace(s, n, st->pattern, st->content, out);
        else
            replace(s, n, st->pattern,
                i == 0 && !st->keep_first ? "" : " ", out);
    }
}

void
decoder_run(const struct decoder *d, struct string_list *tokens,
    struct str *out)
{
    struct string_list other = { 0 }, *in = tokens, *to = &other, *swap;

    for (size_t i = 0; i < d->n; i++) {
        string_list_clear(to);
        run_step(&d->step[i], in, to);
        swap = in;
        in = to;
        to = swap;
    }
    for (size_t i = 0; i < in->n; i++) {
        if (d->spaces && i > 0)
            str_addc(out, ' ');
        str_addn(out, str_get(&in->all) + in->at[i],
            in->at[i + 1] - in->at[i]);
    }
    string_list_release(&other);
    string_list_clear(tokens);
}
