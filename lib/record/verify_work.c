/*
 * verify_work.c - a build folder against the records that lie in it
 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/record/verify.h"

enum { POLICY_LIMIT = 64 << 20 };

/* One stage's envelope and link into the chain. */
static void
add_record(struct verify *v, struct chain *chain, const char *name)
{
    char *path = mem_printf("%s/att/%s", v->work, name);
    char *link_path = NULL;
    struct blob envelope = { 0 }, link = { 0 };
    struct record r = { 0 };
    struct err e = { 0 };

    if (blob_read(&envelope, path, RECORD_LIMIT, &e) != 0) {
        finding_add(v->found, ERR_UNCHECKED, "team.owners", path, "nobody",
            "%s", e.text);
        goto done;
    }
    if (record_parse(&r, envelope.p, envelope.len, path, &e) == 0) {
        struct err missing = { 0 };

        link_path = record_link_path(v->work, r.stage, r.keyid);
        blob_read(&link, link_path, RECORD_LIMIT, &missing);
    }
    chain_add(chain, path, envelope.p, envelope.len,
        link_path ? link_path : path, link.p, link.len, &v->allowed, v->found);
    v->records++;
done:
    record_release(&r);
    blob_release(&envelope);
    blob_release(&link);
    free(link_path);
    free(path);
}

/* Products of one record, as they lie in the folder. */
static void
check_products(struct verify *v, const struct record *r)
{
    for (size_t i = 0; i < r->products.n; i++) {
        const struct record_file *want = &r->products.v[i];
        char *path = path_join(v->work, want->name);
        char hex[DIGEST_HEX], was[DIGEST_HEX];
        struct digest got;
        struct err e = { 0 };
        uint64_t bytes = 0;

        if (digest_file(&got, &bytes, path, &e) != 0)
            finding_add(v->found, ERR_UNCHECKED, r->stage, path, r->signer,
                "%s", e.text);
        else if (!digest_equal(&got, &want->digest))
            finding_add(v->found, ERR_WORK, r->stage, path, r->signer,
                "has sha256 %s, signed was %s; run 'ninja' again after removing "
                "it",
                digest_hex(&got, hex), digest_hex(&want->digest, was));
        v->files++;
        v->bytes += bytes;
        free(path);
    }
}

static int
is_envelope(const struct dirent *d)
{
    return str_ends(d->d_name, ".dsse.json");
}

void
verify_work(struct verify *v)
{
    struct chain chain = { 0 };
    struct dirent **names = NULL;
    char *folder = path_join(v->work, "att");
    char *policy_path = path_join(v->work, "policy.json");
    struct err e = { 0 };
    json_t *policy = json_read(policy_path, POLICY_LIMIT, NULL, &e);
    int n = scandir(folder, &names, is_envelope, alphasort);

    if (!policy || n < 0)
        finding_add(v->found, ERR_UNCHECKED, "team.answers", folder, "nobody",
            "%s", e.code ? e.text : "no records there; run the graph first");
    for (int i = 0; i < n; i++) {
        add_record(v, &chain, names[i]->d_name);
        free(names[i]);
    }
    free(names);
    chain_check(&chain, policy, v->found);
    for (size_t i = 0; i < chain.n; i++)
        check_products(v, &chain.v[i]);
    chain_release(&chain);
    json_decref(policy);
    free(folder);
    free(policy_path);
}
