/*
 * record_read.c - reading records strictly; see record.h
 *
 * The members are taken apart one by one for a clear message; whatever that
 * lets through is caught at the end, where the record is written again from
 * what was understood and has to give the very bytes that were read.
 */
#include "lib/record/record.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/record/canon.h"
#include "lib/record/dsse.h"
#include "lib/record/record_form.h"

static int
refuse(const char *place, const char *what, struct err *e)
{
    return err_set(e, ERR_WORK,
        "%s: not a record of quern: %s; run its stage again", place, what);
}

/* Nesting is checked before the parser, which would recurse. */
static bool
too_deep(const char *text, size_t n)
{
    unsigned depth = 0;
    bool in_string = false;

    for (size_t i = 0; i < n; i++) {
        char c = text[i];

        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            if (++depth > RECORD_DEPTH)
                return true;
        } else if ((c == ']' || c == '}') && depth > 0) {
            depth--;
        }
    }
    return false;
}

static json_t *
parse_json(const char *text, size_t n, const char *place, struct err *e)
{
    if (n > RECORD_LIMIT)
        refuse(place, "it is too long", e);
    else if (too_deep(text, n))
        refuse(place, "its JSON is nested too deeply", e);
    else
        return json_parse(text, n, place, e);
    return NULL;
}

static int
read_digest(struct digest *d, const json_t *v, const char *name,
    const char *place, struct err *e)
{
    const char *hex = json_string_value(json_object_get(v, "sha256"));

    if (!path_is_plain(name))
        return refuse(place, "it names a file that quern would not name", e);
    if (json_object_size(v) != 1 || hex == NULL || !digest_parse(d, hex))
        return refuse(place, "a digest is not 64 lower-case hex digits", e);
    return 0;
}

/* Takes {"name": digest} or [{"name", "digest"}]; sorted after. */
static int
read_files(struct record_files *f, const json_t *v, const char *place,
    struct err *e)
{
    struct digest d;
    const char *name;
    json_t *one;
    size_t i;

    if (json_is_object(v)) {
        json_object_foreach((json_t *)(uintptr_t)v, name, one) {
            if (read_digest(&d, one, name, place, e) != 0)
                return e->code;
            record_add(f, name, &d);
        }
    } else if (json_is_array(v)) {
        json_array_foreach(v, i, one) {
            name = json_string_value(json_object_get(one, "name"));
            if (name == NULL)
                return refuse(place, "a file has no name", e);
            if (read_digest(&d, json_object_get(one, "digest"), name, place,
                    e) != 0)
                return e->code;
            record_add(f, name, &d);
        }
    } else {
        return refuse(place, "a list of files is missing", e);
    }
    record_sort(f);
    for (i = 1; i < f->n; i++)
        if (strcmp(f->v[i - 1].name, f->v[i].name) == 0)
            return refuse(place, "it names a file twice", e);
    return 0;
}

/* The program is recorded as a material; it moves to its own member. */
static int
take_program(struct record *r, const char *place, struct err *e)
{
    char *name = mem_printf("%s%s", RECORD_TOOL, r->step);
    struct record_files *f = &r->materials;
    bool found = false;

    for (size_t i = 0; i < f->n && !found; i++) {
        if (strcmp(f->v[i].name, name) != 0)
            continue;
        found = true;
        r->program = f->v[i].digest;
        free(f->v[i].name);
        memmove(f->v + i, f->v + i + 1, (f->n - i - 1) * sizeof *f->v);
        f->n--;
    }
    free(name);
    return found ? 0 : refuse(place, "its program is not among the materials",
        e);
}

static int
read_command(struct record *r, const json_t *v, const char *place,
    struct err *e)
{
    const char *first = json_string_value(json_array_get(v, 0));
    int kind = 0;
    json_t *one;
    size_t i;

    if (first == NULL || !str_starts(first, "quern-") ||
        !path_is_plain(first) || strchr(first, '/') != NULL)
        return refuse(place, "its command is not one of quern's steps", e);
    r->step = mem_strdup(first + strlen("quern-"));
    r->args = mem_calloc(json_array_size(v), sizeof *r->args);
    json_array_foreach(v, i, one) {
        const char *arg = json_string_value(one);
        int next = arg != NULL ? record_kind(arg) : -1;

        if (i == 0)
            continue;
        if (next < kind || (next == kind && r->n_args > 0 &&
                strcmp(r->args[r->n_args - 1], arg) >= 0))
            return refuse(place, "its arguments are not in quern's order", e);
        kind = next;
        r->args[r->n_args++] = mem_strdup(arg);
    }
    return 0;
}

/* One string argument that must be there once. */
static char *
single(const struct record *r, const char *kind)
{
    size_t i = 0;
    const char *first = record_arg(r, kind, &i);

    return first != NULL && record_arg(r, kind, &i) == NULL ? mem_strdup(first)
                                                            : NULL;
}

static int
read_names(struct record *r, const char *name, const char *place,
    struct err *e)
{
    r->stage = single(r, "--stage=");
    r->phase = single(r, "--phase=");
    r->signer = single(r, "--signer=");
    if (r->stage == NULL || r->phase == NULL || r->signer == NULL)
        return refuse(place, "stage, phase or signer is missing", e);
    if (name == NULL || strcmp(name, r->stage) != 0)
        return refuse(place, "its name is not that of its stage", e);
    return 0;
}

/* Each declared role has a digest, and nothing else has one. */
static int
check_roles(const struct record *r, const char *kind,
    const struct record_files *f, const char *place, struct err *e)
{
    size_t i = 0, n = 0;
    const char *role;

    while ((role = record_arg(r, kind, &i)) != NULL) {
        if (n >= f->n || strcmp(f->v[n].name, role) != 0)
            return refuse(place, "files and arguments differ", e);
        n++;
    }
    return n == f->n ? 0 : refuse(place, "files and arguments differ", e);
}

static int
read_answer(struct record *r, const char *item, const char *text,
    const char *place, struct err *e)
{
    const char *blank = strchr(text, ' ');

    if (blank == NULL)
        return refuse(place, "an answer has no verdict", e);
    json_object_set_new(r->answers, item, json_pack("{ss# ss}", "verdict",
        text, (int)(blank - text), "figure", blank + 1));
    return 0;
}

static int
read_byproducts(struct record *r, const json_t *v, const char *place,
    struct err *e)
{
    const json_t *status = json_object_get(v, "return-value");
    const char *name;
    json_t *one;

    r->answers = json_object();
    r->notes = json_object();
    if (!json_is_integer(status) || json_integer_value(status) != 0)
        return refuse(place, "it does not say that the stage succeeded", e);
    json_object_foreach((json_t *)(uintptr_t)v, name, one) {
        const char *text = json_string_value(one);

        if (text == NULL)
            continue; /* the status; anything else shows at the end */
        if (str_starts(name, RECORD_NOTE))
            json_object_set(r->notes, name + strlen(RECORD_NOTE), one);
        else if (str_starts(name, RECORD_ANSWER) &&
            read_answer(r, name + strlen(RECORD_ANSWER), text, place, e) != 0)
            return e->code;
    }
    return 0;
}

/* `o` holds the common members; materials and products go by other names. */
static int
read_body(struct record *r, const json_t *o, const json_t *products,
    const char *place, struct err *e)
{
    const char *name = json_string_value(json_object_get(o, "name"));

    if (read_command(r, json_object_get(o, "command"), place, e) != 0 ||
        read_names(r, name, place, e) != 0 ||
        read_files(&r->materials, json_object_get(o, "materials"), place,
            e) != 0 ||
        read_files(&r->products, products, place, e) != 0 ||
        take_program(r, place, e) != 0 ||
        check_roles(r, "--in=", &r->materials, place, e) != 0 ||
        check_roles(r, "--out=", &r->products, place, e) != 0)
        return e->code;
    return read_byproducts(r, json_object_get(o, "byproducts"), place, e);
}

static int
read_signature(struct record *r, const json_t *list, const char *place,
    struct err *e)
{
    const json_t *one = json_array_get(list, 0);
    const char *keyid = json_string_value(json_object_get(one, "keyid"));
    const char *sig = json_string_value(json_object_get(one, "sig"));
    struct digest half[2], id;
    char hex[DIGEST_HEX] = { 0 };

    if (json_array_size(list) != 1 || keyid == NULL || sig == NULL ||
        !digest_parse(&id, keyid) || strlen(sig) != 2 * (DIGEST_HEX - 1))
        return refuse(place, "it needs one signature with its key id", e);
    memcpy(hex, sig, DIGEST_HEX - 1);
    if (!digest_parse(&half[0], hex) ||
        !digest_parse(&half[1], sig + DIGEST_HEX - 1))
        return refuse(place, "its signature is malformed", e);
    memcpy(r->keyid, keyid, DIGEST_HEX);
    memcpy(r->sig, half[0].b, DIGEST_BYTES);
    memcpy(r->sig + DIGEST_BYTES, half[1].b, DIGEST_BYTES);
    return 0;
}

/* The form again from what was understood: nothing may have been left over. */
static int
read_link(struct record *r, const json_t *v, const char *text, size_t n,
    const char *place, struct err *e)
{
    const json_t *body = json_object_get(v, "signed");
    struct str bytes = { 0 };
    json_t *again;
    char *whole;

    if (read_signature(r, json_object_get(v, "signatures"), place, e) != 0 ||
        read_body(r, body, json_object_get(body, "products"), place, e) != 0)
        return e->code;
    again = record_link(r);
    whole = record_link_text(again, r->keyid, r->sig);
    if (strlen(whole) != n || memcmp(whole, text, n) != 0 ||
        !canon_add(&bytes, again))
        refuse(place, "it is not written as quern writes it", e);
    r->n_signed = bytes.len;
    r->signed_bytes = str_detach(&bytes);
    free(whole);
    json_decref(again);
    return e->code;
}

static int
read_statement(struct record *r, const struct dsse *d, const char *place,
    struct err *e)
{
    const char *payload = str_get(&d->payload);
    json_t *v = parse_json(payload, d->payload.len, place, e);
    struct str pae = { 0 };
    char *again = NULL;

    if (v == NULL || read_body(r, json_object_get(v, "predicate"),
            json_object_get(v, "subject"), place, e) != 0)
        goto done;
    again = record_payload(r);
    if (strlen(again) != d->payload.len ||
        memcmp(again, payload, d->payload.len) != 0)
        refuse(place, "it is not written as quern writes it", e);
    memcpy(r->keyid, d->keyid, DIGEST_HEX);
    memcpy(r->sig, d->sig, SIGN_BYTES);
    dsse_pae(&pae, DSSE_INTOTO, payload, d->payload.len);
    r->n_signed = pae.len;
    r->signed_bytes = str_detach(&pae);

done:
    free(again);
    json_decref(v);
    return e->code;
}

static int
read_envelope(struct record *r, const json_t *v, const char *text, size_t n,
    const char *place, struct err *e)
{
    struct dsse d = { 0 };
    char *whole = json_text(v, false);

    if (strlen(whole) != n || memcmp(whole, text, n) != 0)
        refuse(place, "it is not written as quern writes it", e);
    else if (dsse_open(&d, v, DSSE_INTOTO, place, e) == 0)
        read_statement(r, &d, place, e);
    dsse_release(&d);
    free(whole);
    return e->code;
}

int
record_parse(struct record *r, const char *text, size_t n, const char *place,
    struct err *e)
{
    json_t *v = parse_json(text, n, place, e);

    *r = (struct record){ 0 };
    if (v == NULL)
        return e->code;
    if (json_object_get(v, "payload") != NULL)
        read_envelope(r, v, text, n, place, e);
    else if (json_object_get(v, "signed") != NULL)
        read_link(r, v, text, n, place, e);
    else
        refuse(place, "it is neither a link nor an envelope", e);
    json_decref(v);
    if (e->code != 0)
        record_release(r);
    return e->code;
}

int
record_read(struct record *r, const char *path, struct err *e)
{
    struct blob b = { 0 };

    *r = (struct record){ 0 };
    if (blob_read(&b, path, RECORD_LIMIT, e) != 0)
        return e->code;
    record_parse(r, b.p, b.len, path, e);
    blob_release(&b);
    return e->code;
}

bool
record_verify(const struct record *r, const struct pubkey *key)
{
    char keyid[DIGEST_HEX];

    return r->signed_bytes != NULL &&
        strcmp(pubkey_id(key, keyid), r->keyid) == 0 &&
        sign_verify(r->sig, r->signed_bytes, r->n_signed, key->b);
}

bool
record_same(const struct record *a, const struct record *b)
{
    char *x = record_payload(a), *y = record_payload(b);
    bool same = strcmp(x, y) == 0;

    free(x);
    free(y);
    return same;
}
