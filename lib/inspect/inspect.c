/*
 * inspect.c - telling by its first bytes what a file is; see inspect.h
 */
#include "lib/inspect/inspect.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/bytes.h"
#include "lib/base/file.h"
#include "lib/format/imatrix.h"
#include "lib/inspect/kinds.h"

/* What is looked at to tell kinds apart. */
struct head {
    const char *p; /* not NUL-terminated */
    size_t n;      /* bytes of the file */
};

static bool
starts(struct head h, const char *text)
{
    const size_t n = strlen(text);

    return h.n >= n && memcmp(h.p, text, n) == 0;
}

/* Whether some line begins with this. */
static bool
has_line(struct head h, const char *text)
{
    const char *p = h.p, *end = h.p + h.n;

    while (p != NULL && p < end) {
        if (starts((struct head){ p, (size_t)(end - p) }, text))
            return true;
        p = memchr(p, '\n', (size_t)(end - p));
        p = p != NULL ? p + 1 : NULL;
    }
    return false;
}

static bool
is_gguf(struct head h)
{
    return starts(h, "GGUF");
}

/* A length of at most 2^56 and the beginning of a JSON object. */
static bool
is_safetensors(struct head h)
{
    return h.n >= 9 && h.p[7] == 0 && h.p[8] == '{';
}

static bool
is_json(struct head h)
{
    size_t i = 0;

    while (i < h.n && strchr(" \t\r\n", h.p[i]) != NULL && h.p[i] != 0)
        i++;
    return i < h.n && (h.p[i] == '{' || h.p[i] == '[');
}

static bool
is_sshsig(struct head h)
{
    return starts(h, "-----BEGIN SSH SIGNATURE-----");
}

static bool
is_stage(struct head h)
{
    return starts(h, "--step=");
}

static bool
is_pointer(struct head h)
{
    return starts(h, "version https://git-lfs.github.com/spec/");
}

static bool
is_key(struct head h)
{
    return starts(h, "ssh-ed25519 ");
}

static bool
is_signers(struct head h)
{
    return memchr(h.p, 0, h.n) == NULL &&
        memmem(h.p, h.n, " ssh-ed25519 ", 13) != NULL;
}

/* A number of entries, then the length of a name and a name of letters. */
static bool
is_old_imatrix(struct head h)
{
    uint32_t entries, len;

    if (h.n < 9)
        return false;
    entries = load_u32le(h.p);
    len = load_u32le(h.p + 4);
    if (entries == 0 || entries > IMATRIX_MAX_ENTRIES || len == 0 ||
        len > IMATRIX_MAX_NAME || len > h.n - 8)
        return false;
    for (uint32_t i = 0; i < len; i++)
        if (h.p[8 + i] <= ' ' || h.p[8 + i] > '~')
            return false;
    return true;
}

/* The first line that fits decides. */
static const struct {
    bool (*is)(struct head h);
    inspect_read *read;
} forms[] = {
    { is_gguf, inspect_gguf },
    { is_safetensors, inspect_safetensors },
    { is_json, inspect_json },
    { is_sshsig, inspect_sshsig },
    { is_stage, inspect_stage },
    { is_pointer, inspect_pointer },
    { is_key, inspect_key },
    { is_old_imatrix, inspect_imatrix },
    { is_signers, inspect_signers },
};

/* Files that are known and shown elsewhere, or not at all. */
static int
refuse(struct head h, const char *path, struct err *e)
{
    if (h.n == 0)
        return err_set(e, ERR_WORK, "%s: is empty; make the file again", path);
    if (starts(h, "-----BEGIN OPENSSH PRIVATE KEY-----"))
        return err_set(e, ERR_WORK, "%s: is a private key, which nobody is "
            "shown; give the .pub file beside it", path);
    if (has_line(h, "quern: "))
        return err_set(e, ERR_WORK, "%s: is a policy; `quern gen --print %s` "
            "checks it and writes it as JSON", path, path);
    return err_set(e, ERR_WORK, "%s: is nothing that quern knows; give a "
        "model, a file of weights, an importance matrix, or a file of a build "
        "folder", path);
}

static int
read_file(json_t *v, const char *path, const struct inspect_opts *o,
    struct err *e)
{
    inspect_read *read = NULL;
    struct map m = { 0 };

    if (map_open(&m, path, e) != 0)
        return e->code;

    const struct head h = { m.len > 0 ? (const char *)m.p : "", m.len };

    value_set(v, "bytes", value_count(m.len));
    for (size_t i = 0; i < countof(forms) && read == NULL; i++)
        if (forms[i].is(h))
            read = forms[i].read;
    if (read == NULL)
        refuse(h, path, e);
    map_close(&m);
    return e->code != 0 ? e->code : read(v, path, o, e);
}

json_t *
inspect_path(const char *path, const struct inspect_opts *o, struct err *e)
{
    json_t *v = json_object();
    struct stat st;

    value_set(v, "schema", json_string(INSPECT_SCHEMA));
    value_set(v, "path", value_string(path));
    value_set(v, "kind", json_null());
    if (stat(path, &st) != 0)
        err_sys(e, path, "cannot open", NULL);
    else if (S_ISDIR(st.st_mode))
        inspect_checkpoint(v, path, o, e);
    else
        read_file(v, path, o, e);
    if (e->code != 0) {
        json_decref(v);
        return NULL;
    }
    return v;
}

static const struct {
    const char *kind;
    inspect_view *view;
} views[] = {
    { "checkpoint", view_weights },
    { "gguf", view_weights },
    { "safetensors", view_weights },
    { "statistics", view_statistics },
    { "tokens", view_tokens },
    { "imatrix", view_imatrix },
    { "record", view_record },
    { "stage", view_stage },
    { "signature", view_signature },
    { "signers", view_signers },
    { "key", view_key },
    { "pointer", view_pointer },
    { "tokenizer", view_tokenizer },
    { "document", view_document },
    { "lines", view_lines },
};

void
inspect_text(const json_t *v, bool all, struct str *out)
{
    const char *kind = json_string_value(json_object_get(v, "kind"));
    const char *path = json_string_value(json_object_get(v, "path"));

    grid_escape(out, path, strlen(path));
    str_add(out, ": ");
    for (size_t i = 0; i < countof(views); i++)
        if (kind != NULL && strcmp(views[i].kind, kind) == 0)
            views[i].view(v, all, out);
}
