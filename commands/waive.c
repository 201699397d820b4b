/*
 * quern-waive - sign the waivers of a policy
 *
 * usage: quern waive -k KEY [-C DIR] [ITEM ...]
 * For every waiver of DIR/policy.json whose item belongs to the key's owner (or
 * the named ones), writes the signature where the policy says. What is signed is
 * shown: an owner should read what he puts his name to.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/option.h"
#include "lib/record/items.h"
#include "lib/record/key.h"
#include "lib/record/sshsig.h"
#include "lib/record/waiver.h"

enum { POLICY_LIMIT = 64 << 20 };

static const char usage[] =
    "usage: quern waive -k KEY [-C DIR] [ITEM ...]\n"
    "\n"
    "  -k KEY  the owner's private key\n"
    "  -C DIR  build folder that holds policy.json (default: build)\n"
    "  ITEM    items to sign for (default: all that this owner may waive)\n";

static const char *
str_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}

/* Signs one waiver and says so. */
static int
sign_one(const json_t *policy, const json_t *row, const struct signer *signer,
    struct err *e)
{
    const json_t *waiver = json_object_get(row, "waiver");
    const char *path = json_get_str(waiver, "path", "policy.json", e);
    struct str text = { 0 }, armor = { 0 };

    if (e->code)
        return e->code;
    waiver_text(&text, str_of(row, "id"), str_of(policy, "name"),
        str_of(waiver, "until"), str_of(waiver, "because"));
    if (sshsig_sign(signer, WAIVER_NAMESPACE, text.p, text.len, &armor, e) ==
            0 &&
        file_write(path, armor.p, armor.len, e) == 0)
        printf("%s: signed\n%s", path, text.p);
    str_release(&text);
    str_release(&armor);
    return e->code;
}

static bool
is_named(const char *id, char **items, int n)
{
    for (int i = 0; i < n; i++)
        if (strcmp(items[i], id) == 0)
            return true;
    return n == 0;
}

static int
sign_all(const char *dir, const char *key, char **items, int n, struct err *e)
{
    char *path = path_join(dir, "policy.json");
    json_t *policy = json_read(path, POLICY_LIMIT, NULL, e);
    struct signer signer = { 0 };
    const json_t *row;
    size_t i;
    int done = 0;

    if (!policy || signer_open(&signer, key, e))
        goto done;
    json_array_foreach(json_object_get(policy, "items"), i, row) {
        const json_t *owner = json_object_get(
            json_object_get(policy, "owners"), str_of(row, "phase"));
        const char *id = str_of(row, "id");

        if (!json_is_object(json_object_get(row, "waiver")) ||
            !is_named(id, items, n) ||
            strcmp(str_of(owner, "keyid"), signer.keyid) != 0)
            continue;
        if (item_is_never_waivable(id))
            err_set(e, ERR_WORK, "%s: this item may never be waived; take "
                "its waiver out of the policy", id);
        else if (sign_one(policy, row, &signer, e) == 0)
            done++;
        if (e->code)
            goto done;
    }
    if (n > done)
        err_set(e, ERR_WORK,
            "%s: %d of the named items have no waiver that this key's owner can "
            "sign; add one under 'waivers' and run `quern gen`",
            path, n - done);
    else if (done == 0)
        printf("%s: no waiver for this key's owner to sign\n", path);
done:
    signer_release(&signer);
    json_decref(policy);
    free(path);
    return e->code;
}

int
main(int argc, char **argv)
{
    struct option_scan o = { .prog = "quern-waive", .usage = usage,
        .known = ":hC:k:" };
    const char *dir = "build", *key = NULL;
    struct err e = { 0 };
    int c;

    while ((c = option_next(&o, argc, argv)) != -1) {
        if (c == 'C') {
            dir = optarg;
        } else {
            key = optarg;
        }
    }
    if (o.stop)
        return o.status;
    if (!key)
        return option_wrong(&o, "-k KEY is missing");
    file_catch_signals();
    sign_all(dir, key, argv + optind, argc - optind, &e);
    return err_exit("quern-waive", &e);
}
