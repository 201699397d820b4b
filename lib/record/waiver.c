#include "lib/record/waiver.h"

#include <string.h>
#include <time.h>

#include "lib/base/mem.h"
#include "lib/record/items.h"
#include "lib/record/sshsig.h"

void
waiver_text(struct str *out, const char *item, const char *policy,
    const char *until, const char *because)
{
    str_addf(out, "quern waiver 1\nitem %s\npolicy %s\nuntil %s\nbecause %s\n",
        item, policy, until, because);
}

/* YYYY-MM-DD and nothing else: only such dates compare as text. */
static bool
is_date(const char *s)
{
    static const char form[] = "dddd-dd-dd";

    for (size_t i = 0; i < sizeof form; i++)
        if (form[i] == 'd' ? s[i] < '0' || s[i] > '9' : s[i] != form[i])
            return false;
    return true;
}

static bool
is_past(const char *until, int64_t now)
{
    char today[16];
    time_t t = (time_t)now;
    struct tm tm;

    /* a time that is no date is past every waiver */
    if (!gmtime_r(&t, &tm) ||
        strftime(today, sizeof today, "%Y-%m-%d", &tm) != 10)
        return true;
    return strcmp(until, today) < 0;
}

static const char *
str_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}

/* NULL when the waiver holds, else why it does not. */
static const char *
check_one(const json_t *policy, const json_t *row, const json_t *waiver,
    const struct signers *allowed, int64_t now, const char *armor, size_t n)
{
    const char *owner = str_of(row, "owner");
    struct pubkey key;
    struct str text = { 0 };
    struct err e = { 0 };
    const char *why = NULL;

    if (item_is_never_waivable(str_of(row, "id")))
        return "this item may never be waived";
    if (!is_date(str_of(waiver, "until")))
        return "'until' is no date; write it as 2027-06-30";
    if (is_past(str_of(waiver, "until"), now))
        return "its last day is past";
    if (!signers_find(allowed, owner))
        return "its owner has no key in allowed_signers";
    if (!armor)
        return "it is not signed; run `quern waive`";
    waiver_text(&text, str_of(row, "id"), str_of(policy, "name"),
        str_of(waiver, "until"), str_of(waiver, "because"));
    if (sshsig_signer(&key, WAIVER_NAMESPACE, text.p, text.len, armor, n,
            "waiver", &e) != 0 ||
        !signers_has(allowed, owner, WAIVER_NAMESPACE, &key))
        why = "its signature is not the owner's over this text; run "
              "`quern waive` again";
    str_release(&text);
    return why;
}

json_t *
waivers_check(const json_t *policy, const struct signers *allowed, int64_t now,
    const char *(*signature)(void *ctx, const char *item, size_t *n), void *ctx)
{
    json_t *out = json_object();
    const json_t *row;
    size_t i;

    json_array_foreach(json_object_get(policy, "items"), i, row) {
        const json_t *waiver = json_object_get(row, "waiver");
        const char *armor, *why;
        size_t n = 0;

        if (!json_is_object(waiver))
            continue;
        armor = signature(ctx, str_of(row, "id"), &n);
        why = check_one(policy, row, waiver, allowed, now, armor, n);
        json_object_set_new(out, str_of(row, "id"),
            why ? json_pack("{s:b, s:s}", "ok", 0, "why", why)
                : json_pack("{s:b}", "ok", 1));
    }
    return out;
}
