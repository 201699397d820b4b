/*
 * records.c - what is signed and who signs: records, stage files, signatures,
 * keys, owners, pointers
 */
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/inspect/kinds.h"
#include "lib/record/base64.h"
#include "lib/record/lfs.h"
#include "lib/record/record.h"
#include "lib/record/sshsig.h"
#include "lib/record/stage_lines.h"

enum { POINTER_LIMIT = 1024 };

/* Records */

bool
record_is(const json_t *document)
{
    return (json_object_get(document, "payloadType") != NULL &&
               json_object_get(document, "payload") != NULL) ||
        (json_object_get(document, "signed") != NULL &&
            json_object_get(document, "signatures") != NULL);
}

static json_t *
digest_value(const struct digest *d)
{
    char hex[DIGEST_HEX];

    return json_string(digest_hex(d, hex));
}

static json_t *
files_value(const struct record_files *f)
{
    json_t *o = json_object();

    for (size_t i = 0; i < f->n; i++)
        value_set(o, f->v[i].name, digest_value(&f->v[i].digest));
    return o;
}

/* Who signed, and whether that holds against the owners that were given. */
static json_t *
signature_value(const struct record *r, const struct signers *owners)
{
    const struct signers_entry *by;
    const char *state = "unchecked", *why = NULL;
    json_t *o = json_object();
    size_t i = 0;

    if (owners != NULL) {
        state = "bad";
        why = "no key of this signer made it";
        if (signers_find(owners, r->signer) == NULL)
            why = "the signer is no owner";
        while ((by = signers_next(owners, r->signer, NULL, &i)) != NULL)
            if (record_verify(r, &by->key)) {
                state = "good";
                why = NULL;
            }
    }
    value_set(o, "keyid", json_string(r->keyid));
    value_set(o, "principal", value_string(r->signer));
    value_set(o, "state", json_string(state));
    value_set(o, "why", why != NULL ? json_string(why) : NULL);
    return o;
}

static void
set_ours(json_t *v, const struct record *r, const struct inspect_opts *o)
{
    json_t *args = json_array();

    for (size_t i = 0; i < r->n_args; i++)
        json_array_append_new(args, value_string(r->args[i]));
    value_set(v, "stage", value_string(r->stage));
    value_set(v, "step", value_string(r->step));
    value_set(v, "phase", value_string(r->phase));
    value_set(v, "program", digest_value(&r->program));
    value_set(v, "arguments", args);
    value_set(v, "inputs", files_value(&r->materials));
    value_set(v, "outputs", files_value(&r->products));
    value_set(v, "answers", json_incref(r->answers));
    value_set(v, "notes", json_incref(r->notes));
    value_set(v, "signature", signature_value(r, o->signers));
}

/* The payload of somebody else's envelope, or null. */
static json_t *
payload_value(const json_t *document)
{
    const char *text = json_string_value(json_object_get(document, "payload"));
    const size_t n = text != NULL ? strlen(text) : 0;
    char *bytes = mem_calloc(n + 1, 1);
    json_t *payload = NULL;
    struct err e = { 0 };
    size_t len = 0;

    if (text != NULL && base64_decode(bytes, n, &len, text, n))
        payload = json_parse(bytes, len, "payload", &e);
    free(bytes);
    return payload;
}

int
record_set(json_t *v, const char *path, const struct inspect_opts *o,
    struct err *e)
{
    json_t *document = json_read(path, RECORD_LIMIT, NULL, e);
    struct record r = { 0 };
    struct err why = { 0 };

    if (document == NULL)
        return e->code;
    value_set(v, "kind", json_string("record"));
    value_set(v, "form", json_string(
        json_object_get(document, "signed") != NULL ? "link" : "envelope"));
    record_read(&r, path, &why);
    value_set(v, "ours", json_boolean(why.code == 0));
    value_set(v, "why_not", why.code != 0 ? value_string(why.text) : NULL);
    if (why.code == 0)
        set_ours(v, &r, o);
    else
        value_set(v, "content",
            json_object_get(document, "signed") != NULL ?
                json_incref(json_object_get(document, "signed")) :
                payload_value(document));
    record_release(&r);
    json_decref(document);
    return 0;
}

/* Stage files: --KIND=ROLE[=VALUE] becomes KIND: {ROLE: VALUE or null} */

static const struct {
    const char *start, *key;
    bool pairs;
} stage_kinds[] = {
    { "--in=", "inputs", true },
    { "--src=", "sources", true },
    { "--dst=", "places", true },
    { "--set=", "parameters", true },
    { "--out=", "outputs", false },
    { "--item=", "items", false },
};

static void
take_line(json_t *v, const char *line)
{
    for (size_t i = 0; i < countof(stage_kinds); i++) {
        const size_t n = strlen(stage_kinds[i].start);
        json_t *to = json_object_get(v, stage_kinds[i].key);

        if (strncmp(line, stage_kinds[i].start, n) != 0)
            continue;
        if (stage_kinds[i].pairs) {
            const char *eq = strchr(line + n, '=');
            json_t *role = value_text(line + n, strcspn(line + n, "="));

            value_set(to, json_string_value(role),
                eq != NULL ? value_string(eq + 1) : NULL);
            json_decref(role);
        } else {
            json_array_append_new(to, value_string(line + n));
        }
    }
}

int
inspect_stage(json_t *v, const char *path, const struct inspect_opts *o,
    struct err *e)
{
    static const char *const words[] = { "step", "stage", "phase", "signer",
        "dir" };
    struct stage_lines l = { 0 };

    (void)o;
    if (stage_lines_read(&l, path, e) == 0) {
        value_set(v, "kind", json_string("stage"));
        for (size_t i = 0; i < countof(words); i++)
            value_set(v, words[i],
                value_string(stage_lines_value(&l, words[i])));
        for (size_t i = 0; i < countof(stage_kinds); i++)
            value_set(v, stage_kinds[i].key,
                stage_kinds[i].pairs ? json_object() : json_array());
        for (size_t i = 0; i < l.n; i++)
            take_line(v, l.v[i]);
    }
    stage_lines_release(&l);
    return e->code;
}

/* Signatures, keys, owners, pointers */

/* The key as it stands in allowed_signers, and in-toto's id of it. */
static void
set_key(json_t *v, const struct pubkey *k)
{
    char hex[DIGEST_HEX];
    struct str text = { 0 };

    pubkey_text(k, &text);
    value_set(v, "key", value_string(str_get(&text)));
    value_set(v, "keyid", json_string(pubkey_id(k, hex)));
    str_release(&text);
}

int
inspect_sshsig(json_t *v, const char *path, const struct inspect_opts *o,
    struct err *e)
{
    struct blob b = { 0 };
    struct sshsig s;

    if (blob_read(&b, path, SSHSIG_LIMIT, e) == 0 &&
        sshsig_read(&s, b.p, b.len, path, e) == 0) {
        value_set(v, "kind", json_string("signature"));
        value_set(v, "namespace", value_string(s.ns));
        value_set(v, "hash", json_string(s.hash_name));
        set_key(v, &s.key);
        value_set(v, "principal", o->signers == NULL ? NULL :
            value_string(signers_principal(o->signers, &s.key)));
    }
    blob_release(&b);
    return e->code;
}

int
inspect_key(json_t *v, const char *path, const struct inspect_opts *o,
    struct err *e)
{
    struct pubkey k;

    if (pubkey_read(&k, path, e) != 0)
        return e->code;
    value_set(v, "kind", json_string("key"));
    set_key(v, &k);
    value_set(v, "principal", o->signers == NULL ? NULL :
        value_string(signers_principal(o->signers, &k)));
    return 0;
}

int
inspect_signers(json_t *v, const char *path, const struct inspect_opts *o,
    struct err *e)
{
    json_t *owners = json_array();
    struct signers a = { 0 };

    (void)o;
    value_set(v, "kind", json_string("signers"));
    value_set(v, "owners", owners);
    if (signers_read(&a, path, e) != 0)
        return e->code;
    for (size_t i = 0; i < a.n; i++) {
        json_t *one = json_object();

        value_set(one, "principal", value_string(a.v[i].principal));
        value_set(one, "namespaces", value_string(a.v[i].namespaces));
        set_key(one, &a.v[i].key);
        json_array_append_new(owners, one);
    }
    signers_release(&a);
    return 0;
}

int
inspect_pointer(json_t *v, const char *path, const struct inspect_opts *o,
    struct err *e)
{
    struct blob b = { 0 };
    uint64_t bytes = 0;
    struct digest d;

    (void)o;
    if (blob_read(&b, path, POINTER_LIMIT, e) != 0)
        return e->code;
    if (lfs_pointer_parse(b.p, b.len, &d, &bytes)) {
        value_set(v, "kind", json_string("pointer"));
        value_set(v, "sha256", digest_value(&d));
        value_set(v, "size", value_count(bytes));
    } else {
        err_set(e, ERR_WORK, "%s: is no pointer of Git LFS in its exact form; "
            "fetch the file again", path);
    }
    blob_release(&b);
    return e->code;
}
