#include "lib/text/normalize.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/text/utf8.h"

enum { SEQUENCE_DEPTH_MOST = 8 };

/*
 * Characters that the library's Unicode 9 tables do not know as marks or as
 * decomposable, and utf8proc's Unicode 15 does. The library leaves them where
 * they are; so does quern, or ids would differ. Found by comparing both on
 * every code point (tokenizers 0.23.3).
 */
static const struct {
    uint32_t first, last;
} newer[] = {
    { 0x7fd, 0x7fd }, { 0x898, 0x89f }, { 0x8ca, 0x8d3 }, { 0x9fe, 0x9fe },
    { 0xc3c, 0xc3c }, { 0xd3b, 0xd3c }, { 0xeba, 0xeba }, { 0x1715, 0x1715 },
    { 0x1abf, 0x1ace }, { 0x1df6, 0x1dfa }, { 0x32ff, 0x32ff },
    { 0xa7f2, 0xa7f4 }, { 0xa82c, 0xa82c }, { 0xab69, 0xab69 },
    { 0x10781, 0x10785 }, { 0x10787, 0x107b0 }, { 0x107b2, 0x107ba },
    { 0x10d24, 0x10d27 }, { 0x10eab, 0x10eac }, { 0x10efd, 0x10eff },
    { 0x10f46, 0x10f50 }, { 0x10f82, 0x10f85 }, { 0x11070, 0x11070 },
    { 0x1133b, 0x1133b }, { 0x1145e, 0x1145e }, { 0x11839, 0x1183a },
    { 0x11930, 0x11930 }, { 0x11938, 0x11938 }, { 0x1193d, 0x1193e },
    { 0x11943, 0x11943 }, { 0x119e0, 0x119e0 }, { 0x11a34, 0x11a34 },
    { 0x11a47, 0x11a47 }, { 0x11a99, 0x11a99 }, { 0x11d42, 0x11d42 },
    { 0x11d44, 0x11d45 }, { 0x11d97, 0x11d97 }, { 0x11f41, 0x11f42 },
    { 0x16ff0, 0x16ff1 }, { 0x1e030, 0x1e06d }, { 0x1e08f, 0x1e08f },
    { 0x1e130, 0x1e136 }, { 0x1e2ae, 0x1e2ae }, { 0x1e2ec, 0x1e2ef },
    { 0x1e4ec, 0x1e4ef }, { 0x1f16c, 0x1f16c }, { 0x1fbf0, 0x1fbf9 },
};

static struct normalize_step *
add_step(struct normalizer *z, enum normalize_kind kind, const char *path,
    struct err *e)
{
    if (z->n == NORMALIZE_STEPS_MOST) {
        err_set(e, ERR_WORK,
            "%s: normalizer: more than %d steps; quern cannot read this "
            "tokenizer",
            path, NORMALIZE_STEPS_MOST);
        return NULL;
    }
    z->step[z->n] = (struct normalize_step){ .kind = kind };
    return &z->step[z->n++];
}

int
normalizer_add(struct normalizer *z, const char *from, const char *to,
    const char *path, struct err *e)
{
    struct normalize_step *st = add_step(z,
        from == NULL ? NORMALIZE_PREPEND : NORMALIZE_REPLACE, path, e);

    if (st == NULL)
        return e->code;
    if (from != NULL) {
        st->pattern = mem_strdup(from);
        st->pattern_len = strlen(from);
    }
    st->content = mem_strdup(to);
    st->content_len = strlen(to);
    return 0;
}

static int
read_replace(struct normalizer *z, const json_t *j, const char *path,
    struct err *e)
{
    const json_t *pattern = json_get_object(j, "pattern", path, e);
    const char *content = json_get_str(j, "content", path, e);
    const json_t *regex = json_object_get(pattern, "Regex");
    const json_t *text = json_object_get(pattern, "String");
    struct normalize_step *st;

    if (e->code != 0)
        return e->code;
    if (json_is_string(text) && json_string_length(text) > 0)
        return normalizer_add(z, json_string_value(text), content, path, e);
    if (!json_is_string(regex))
        return err_set(e, ERR_WORK,
            "%s: normalizer: Replace needs a pattern with Regex or a "
            "non-empty String; repair the file",
            path);
    if (strchr(content, '$') != NULL)
        return err_set(e, ERR_WORK,
            "%s: normalizer: Replace by '%.60s': groups are not implemented; "
            "quern cannot read this tokenizer",
            path, content);
    if ((st = add_step(z, NORMALIZE_REPLACE, path, e)) == NULL)
        return e->code;
    st->content = mem_strdup(content);
    st->content_len = strlen(content);
    st->regex = regex_new(json_string_value(regex), path, e);
    return e->code;
}

static int
read_any(struct normalizer *z, const json_t *j, int depth, const char *path,
    struct err *e)
{
    static const struct {
        const char *name;
        enum normalize_kind kind;
    } plain[] = {
        { "NFC", NORMALIZE_NFC },
        { "NFD", NORMALIZE_NFD },
        { "NFKC", NORMALIZE_NFKC },
        { "NFKD", NORMALIZE_NFKD },
        { "Lowercase", NORMALIZE_LOWERCASE },
        { "Strip", NORMALIZE_STRIP },
    };
    const char *type = json_get_str(j, "type", path, e);
    struct normalize_step *st;

    if (type == NULL)
        return e->code;
    for (size_t i = 0; i < countof(plain); i++) {
        if (strcmp(type, plain[i].name) != 0)
            continue;
        if ((st = add_step(z, plain[i].kind, path, e)) != NULL) {
            st->left = !json_is_false(json_object_get(j, "strip_left"));
            st->right = !json_is_false(json_object_get(j, "strip_right"));
        }
        return e->code;
    }
    if (strcmp(type, "Replace") == 0)
        return read_replace(z, j, path, e);
    if (strcmp(type, "Prepend") == 0) {
        const char *prepend = json_get_str(j, "prepend", path, e);

        return prepend == NULL ? e->code
                               : normalizer_add(z, NULL, prepend, path, e);
    }
    if (strcmp(type, "Sequence") == 0 && depth < SEQUENCE_DEPTH_MOST) {
        const json_t *list = json_get_array(j, "normalizers", path, e);
        const json_t *each;
        size_t i;

        json_array_foreach(list, i, each) {
            if (read_any(z, each, depth + 1, path, e) != 0)
                break;
        }
        return e->code;
    }
    return err_set(e, ERR_WORK,
        "%s: normalizer '%.60s' is not implemented; quern knows NFC, NFD, "
        "NFKC, NFKD, Lowercase, Strip, Prepend, Replace and Sequence",
        path, type);
}

int
normalizer_init(struct normalizer *z, const json_t *j, struct chars *chars,
    const char *path, struct err *e)
{
    *z = (struct normalizer){ .chars = chars };
    if (j != NULL && !json_is_null(j) && read_any(z, j, 0, path, e) != 0)
        normalizer_release(z);
    return e->code;
}

void
normalizer_release(struct normalizer *z)
{
    for (size_t i = 0; i < z->n; i++) {
        free(z->step[i].pattern);
        free(z->step[i].content);
        regex_free(z->step[i].regex);
    }
    str_release(&z->buf[0]);
    str_release(&z->buf[1]);
    *z = (struct normalizer){ 0 };
}

bool
normalizer_is_nfc(const struct normalizer *z)
{
    return z->n == 0 || (z->n == 1 && z->step[0].kind == NORMALIZE_NFC);
}

/* Text that the form leaves alone: ASCII always, NFC by the inert class. */
static bool
is_normal(struct normalizer *z, enum normalize_kind kind, const char *s,
    size_t n)
{
    for (size_t i = 0; i < n;) {
        if ((unsigned char)s[i] < 0x80)
            i++;
        else if (kind != NORMALIZE_NFC ||
            (chars_get(z->chars, utf8_next(s, &i)) & CHAR_INERT) == 0)
            return false;
    }
    return true;
}

static bool
is_newer(uint32_t cp)
{
    size_t lo = 0, hi = countof(newer);

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (cp > newer[mid].last)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < countof(newer) && cp >= newer[lo].first;
}

/* Offset of the next such character at or after `at`, or n. */
static size_t
next_newer(const char *s, size_t at, size_t n)
{
    while (at < n) {
        size_t next = at;

        if (is_newer(utf8_next(s, &next)))
            break;
        at = next;
    }
    return at;
}

static int
unicode_form(enum normalize_kind kind, const char *s, size_t n,
    struct str *out, struct err *e)
{
    static const unsigned options[] = {
        [NORMALIZE_NFC] = UTF8PROC_STABLE | UTF8PROC_COMPOSE,
        [NORMALIZE_NFD] = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE,
        [NORMALIZE_NFKC] =
            UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT,
        [NORMALIZE_NFKD] =
            UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT,
    };

    for (size_t at = 0, end; at < n; at = end) {
        utf8proc_uint8_t *p = NULL;
        utf8proc_ssize_t len;

        end = next_newer(s, at, n);
        if (end == at) {
            end += utf8_size(s[at]);
            str_addn(out, s + at, end - at);
            continue;
        }
        len = utf8proc_map((const utf8proc_uint8_t *)s + at,
            (utf8proc_ssize_t)(end - at), &p,
            (utf8proc_option_t)options[kind]);
        if (len < 0)
            return err_set(e, ERR_WORK, "text: cannot be normalized: %s; "
                "convert it to UTF-8", utf8proc_errmsg(len));
        str_addn(out, p, (size_t)len);
        free(p);
    }
    return 0;
}

/* Each character by itself, as Rust's char::to_lowercase. */
static void
lowercase(const char *s, size_t n, struct str *out)
{
    for (size_t i = 0; i < n;) {
        uint32_t cp = utf8_next(s, &i);

        if (cp == 0x130) { /* the one character with two lower-case ones */
            str_addn(out, "i\xcc\x87", 3);
            continue;
        }
        utf8_add(out, (uint32_t)utf8proc_tolower((utf8proc_int32_t)cp));
    }
}

static void
strip(struct normalizer *z, const struct normalize_step *st, const char **s,
    size_t *n)
{
    while (st->left && *n > 0) {
        size_t size = 0;

        if ((chars_get(z->chars, utf8_next(*s, &size)) & CHAR_SPACE) == 0)
            break;
        *s += size;
        *n -= size;
    }
    while (st->right && *n > 0) {
        size_t at = utf8_before(*s, *n), next = at;

        if ((chars_get(z->chars, utf8_next(*s, &next)) & CHAR_SPACE) == 0)
            break;
        *n = at;
    }
}

static int
too_long(size_t most, struct err *e)
{
    return err_set(e, ERR_WORK,
        "text: more than %zu bytes after normalization; the tokenizer's "
        "normalizer is not sane",
        most);
}

static int
replace(const struct normalize_step *st, const char *s, size_t n,
    size_t most, struct str *out, struct err *e)
{
    size_t done = 0, from = 0;

    while (from <= n) {
        size_t start = 0, end = 0;
        bool found;

        if (st->regex != NULL) {
            if (regex_find(st->regex, s, n, from, &found, &start, &end, e) != 0)
                return e->code;
        } else {
            const char *hit = st->pattern_len == 1
                ? memchr(s + from, st->pattern[0], n - from)
                : memmem(s + from, n - from, st->pattern, st->pattern_len);

            found = hit != NULL;
            start = found ? (size_t)(hit - s) : n;
            end = start + st->pattern_len;
        }
        if (!found)
            break;
        if (start == end && start == done && done > 0) {
            if (start >= n)
                break;
            from = start + utf8_size(s[start]);
            continue;
        }
        str_addn(out, s + done, start - done);
        str_addn(out, st->content, st->content_len);
        if (out->len > most)
            return too_long(most, e);
        done = end;
        from = end;
        if (start == end) {
            if (end >= n)
                break;
            from = end + utf8_size(s[end]);
        }
    }
    str_addn(out, s + done, n - done);
    return 0;
}

int
normalizer_run(struct normalizer *z, const char *s, size_t n,
    const char **out, size_t *out_len, struct err *e)
{
    const size_t most = n * 32 + NORMALIZE_SLACK; /* n is at most 2^30 */
    unsigned turn = 0;

    for (size_t i = 0; i < z->n && n > 0; i++) {
        const struct normalize_step *st = &z->step[i];
        struct str *buf = &z->buf[turn];

        if (st->kind == NORMALIZE_STRIP) {
            strip(z, st, &s, &n);
            continue;
        }
        if (st->kind <= NORMALIZE_NFKD && is_normal(z, st->kind, s, n))
            continue;
        str_clear(buf);
        switch (st->kind) {
        case NORMALIZE_LOWERCASE:
            lowercase(s, n, buf);
            break;
        case NORMALIZE_PREPEND:
            str_addn(buf, st->content, st->content_len);
            str_addn(buf, s, n);
            break;
        case NORMALIZE_REPLACE:
            if (replace(st, s, n, most, buf, e) != 0)
                return e->code;
            break;
        default:
            if (unicode_form(st->kind, s, n, buf, e) != 0)
                return e->code;
        }
        s = str_get(buf);
        n = buf->len;
        if (n > most)
            return too_long(most, e);
        turn ^= 1;
    }
    *out = s;
    *out_len = n;
    return 0;
}
