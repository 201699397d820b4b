/*
 * record.c - building and writing records; see record.h
 */
#include "lib/record/record.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/record/canon.h"
#include "lib/record/dsse.h"
#include "lib/record/record_form.h"

static void
files_release(struct record_files *f)
{
    for (size_t i = 0; i < f->n; i++)
        free(f->v[i].name);
    free(f->v);
    *f = (struct record_files){ 0 };
}

void
record_release(struct record *r)
{
    for (size_t i = 0; i < r->n_args; i++)
        free(r->args[i]);
    free(r->args);
    free(r->stage);
    free(r->step);
    free(r->phase);
    free(r->signer);
    files_release(&r->materials);
    files_release(&r->products);
    json_decref(r->answers);
    json_decref(r->notes);
    free(r->signed_bytes);
    *r = (struct record){ 0 };
}

void
record_add(struct record_files *f, const char *name,
    const struct digest *digest)
{
    if ((f->n & (f->n - 1)) == 0) /* full at every power of two */
        f->v = mem_realloc(f->v, f->n > 0 ? f->n * 2 : 1, sizeof *f->v);
    f->v[f->n++] = (struct record_file){ mem_strdup(name), *digest };
}

static int
compare_files(const void *a, const void *b)
{
    const struct record_file *x = a, *y = b;

    return strcmp(x->name, y->name);
}

void
record_sort(struct record_files *f)
{
    if (f->n > 0)
        qsort(f->v, f->n, sizeof *f->v, compare_files);
}

const struct digest *
record_find(const struct record_files *f, const char *name)
{
    struct record_file key = { .name = (char *)(uintptr_t)name };
    const struct record_file *found = NULL;

    if (f->n > 0)
        found = bsearch(&key, f->v, f->n, sizeof key, compare_files);
    return found != NULL ? &found->digest : NULL;
}

const char *
record_arg(const struct record *r, const char *kind, size_t *i)
{
    while (*i < r->n_args) {
        const char *arg = r->args[(*i)++];

        if (str_starts(arg, kind))
            return arg + strlen(kind);
    }
    return NULL;
}

int
record_kind(const char *arg)
{
    static const char *const kinds[] = { "--stage=", "--phase=", "--signer=",
        "--item=", "--in=", "--src=", "--dst=", "--out=", "--set=" };

    for (size_t i = 0; i < countof(kinds); i++)
        if (str_starts(arg, kinds[i]))
            return (int)i;
    return -1;
}

static json_t *
digest_json(const struct digest *d)
{
    char hex[DIGEST_HEX];

    return json_pack("{ss}", "sha256", digest_hex(d, hex));
}

static json_t *
command_json(const struct record *r)
{
    char *program = mem_printf("quern-%s", r->step);
    json_t *a = json_array();

    json_array_append_new(a, json_string(program));
    for (size_t i = 0; i < r->n_args; i++)
        json_array_append_new(a, json_string(r->args[i]));
    free(program);
    return a;
}

static json_t *
byproducts_json(const struct record *r)
{
    json_t *o = json_pack("{si ss ss ss}", "return-value", 0, "stdout", "",
        "stderr", "", "quern.schema", RECORD_SCHEMA);
    const char *name;
    json_t *v;

    json_object_foreach(r->answers, name, v) {
        char *key = mem_printf("%s%s", RECORD_ANSWER, name);

        json_object_set_new(o, key, json_sprintf("%s %s",
            json_string_value(json_object_get(v, "verdict")),
            json_string_value(json_object_get(v, "figure"))));
        free(key);
    }
    json_object_foreach(r->notes, name, v) {
        char *key = mem_printf("%s%s", RECORD_NOTE, name);

        json_object_set(o, key, v);
        free(key);
    }
    return o;
}

/* Classic form: {"name": {"sha256": hex}}. */
static json_t *
files_object(const struct record_files *f)
{
    json_t *o = json_object();

    for (size_t i = 0; i < f->n; i++)
        json_object_set_new(o, f->v[i].name, digest_json(&f->v[i].digest));
    return o;
}

/* Statement form: [{"name": .., "digest": {"sha256": hex}}], in that order. */
static json_t *
files_array(const struct record_files *f)
{
    json_t *a = json_array();

    for (size_t i = 0; i < f->n; i++)
        json_array_append_new(a, json_pack("{ss so}", "name", f->v[i].name,
            "digest", digest_json(&f->v[i].digest)));
    return a;
}

/* The inputs and the program, as one sorted list; caller releases. */
static struct record_files
all_materials(const struct record *r)
{
    struct record_files all = { 0 };
    char *program = mem_printf("%s%s", RECORD_TOOL, r->step);

    for (size_t i = 0; i < r->materials.n; i++)
        record_add(&all, r->materials.v[i].name, &r->materials.v[i].digest);
    record_add(&all, program, &r->program);
    record_sort(&all);
    free(program);
    return all;
}

json_t *
record_link(const struct record *r)
{
    struct record_files materials = all_materials(r);
    json_t *v = json_pack("{ss ss so so so so s{}}", "_type", "link", "name",
        r->stage, "command", command_json(r), "materials",
        files_object(&materials), "products", files_object(&r->products),
        "byproducts", byproducts_json(r), "environment");

    files_release(&materials);
    return v;
}

json_t *
record_statement(const struct record *r)
{
    struct record_files materials = all_materials(r);
    json_t *v = json_pack("{ss so ss s{ss so so so s{}}}", "_type",
        RECORD_STATEMENT, "subject", files_array(&r->products),
        "predicateType", RECORD_PREDICATE, "predicate", "name", r->stage,
        "command", command_json(r), "materials", files_array(&materials),
        "byproducts", byproducts_json(r), "environment");

    files_release(&materials);
    return v;
}

char *
record_link_text(json_t *link, const char *keyid,
    const uint8_t sig[SIGN_BYTES])
{
    char hex[2 * SIGN_BYTES + 1];
    json_t *v;
    char *text;

    for (size_t i = 0; i < SIGN_BYTES; i++)
        snprintf(hex + 2 * i, 3, "%02x", sig[i]);
    v = json_pack("{sO s[{ss ss}]}", "signed", link, "signatures", "keyid",
        keyid, "sig", hex);
    text = json_text(v, false);
    json_decref(v);
    return text;
}

char *
record_payload(const struct record *r)
{
    json_t *v = record_statement(r);
    char *text = json_dumps(v, JSON_SORT_KEYS | JSON_COMPACT);

    json_decref(v);
    if (text == NULL)
        abort();
    return text;
}

char *
record_path(const char *dir, const char *stage)
{
    char *name = mem_printf("att/%s.dsse.json", stage);
    char *path = path_join(dir, name);

    free(name);
    return path;
}

char *
record_link_path(const char *dir, const char *stage, const char *keyid)
{
    char *name = mem_printf("att/%s.%.8s.link", stage, keyid);
    char *path = path_join(dir, name);

    free(name);
    return path;
}

static int
write_text(struct outfile *o, const char *path, const char *text,
    struct err *e)
{
    if (outfile_create(o, path, e) == 0)
        outfile_write(o, text, strlen(text));
    return e->code;
}

static int
write_link(const struct record *r, const struct signer *s, const char *dir,
    struct outfile *o, struct err *e)
{
    char *path = record_link_path(dir, r->stage, s->keyid);
    json_t *link = record_link(r);
    struct str bytes = { 0 };
    uint8_t sig[SIGN_BYTES];
    bool canonical = canon_add(&bytes, link);

    assert(canonical); /* strings and one zero */
    (void)canonical;
    if (signer_sign(s, sig, bytes.p, bytes.len, e) == 0) {
        char *text = record_link_text(link, s->keyid, sig);

        write_text(o, path, text, e);
        free(text);
    }
    str_release(&bytes);
    json_decref(link);
    free(path);
    return e->code;
}

static int
write_envelope(const struct record *r, const struct signer *s,
    const char *dir, struct outfile *o, struct err *e)
{
    char *path = record_path(dir, r->stage);
    char *payload = record_payload(r);
    char *text = dsse_seal(s, DSSE_INTOTO, payload, strlen(payload), e);

    if (text != NULL)
        write_text(o, path, text, e);
    free(text);
    free(payload);
    free(path);
    return e->code;
}

int
record_prepare(const struct record *r, const struct signer *s,
    const char *dir, struct outfile out[2], struct err *e)
{
    if (write_link(r, s, dir, &out[0], e) == 0)
        write_envelope(r, s, dir, &out[1], e);
    return e->code;
}

int
record_write(const struct record *r, const struct signer *s, const char *dir,
    struct err *e)
{
    struct outfile out[2] = { { .slot = -1 }, { .slot = -1 } };
    struct outfile *const both[] = { &out[0], &out[1] };

    if (record_prepare(r, s, dir, out, e) == 0)
        outfile_commit_all(both, 2, e);
    for (size_t i = 0; i < 2; i++)
        outfile_release(&out[i]);
    return e->code;
}
