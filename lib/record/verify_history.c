/*
 * verify_history.c - the release ref, the ledger and live
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/record/sshsig.h"
#include "lib/record/verify.h"

static const char *
str_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}

const char *
verify_signer(const struct verify *v, const struct git_commit *c,
    char keyid[DIGEST_HEX], struct err *e)
{
    char *name = mem_printf("commit %.10s", c->oid);
    const char *who = NULL;
    struct pubkey key;

    keyid[0] = 0;
    if (!c->signature) {
        err_set(e, ERR_WORK, "is not signed");
    } else if (sshsig_signer(&key, "git", c->signed_bytes, c->signed_len,
                   c->signature, strlen(c->signature), name, e) == 0) {
        who = signers_principal(&v->allowed, &key);
        pubkey_id(&key, keyid);
        if (!who || !signers_has(&v->allowed, who, "git", &key)) {
            err_set(e, ERR_WORK,
                "signed by a key that allowed_signers does not allow to commit");
            who = NULL;
        }
    }
    free(name);
    return who;
}

/*
 * Reads a commit and reports what is wrong with it by itself. NULL: there is
 * no more to say of it. Else who signed it, "" for nobody that is known.
 */
static const char *
read_commit(struct verify *v, const char *oid, struct git_commit *c,
    char keyid[DIGEST_HEX])
{
    struct err e = { 0 };
    char *name = mem_printf("commit %.10s", oid);
    const char *who = NULL;

    if (git_commit_read(v->repo, oid, c, &e) != 0) {
        finding_add(v->found, ERR_WORK, "team.required", name, "nobody", "%s",
            e.text);
        goto done;
    }
    v->commits++;
    who = verify_signer(v, c, keyid, &e);
    if (!who) {
        finding_add(v->found, ERR_WORK, "team.owners", name, "nobody", "%s",
            e.text);
        who = "";
    }
    if (c->n_parents > 1)
        finding_add(v->found, ERR_WORK, "team.required", name, who,
            "is a merge; releases and ledger are linear");
done:
    free(name);
    return who;
}

/* The release after this one must name it, and count one more. */
static void
check_link(struct verify *v, const json_t *above, const json_t *m,
    const struct digest *d, const char *name, const char *who)
{
    char hex[DIGEST_HEX];

    if (strcmp(str_of(above, "previous"), digest_hex(d, hex)) != 0 ||
        json_integer_value(json_object_get(above, "number")) !=
            json_integer_value(json_object_get(m, "number")) + 1)
        finding_add(v->found, ERR_WORK, "team.required", name, who,
            "the release after it names another one as its predecessor");
}

static struct verify_commit *
add_release(struct verify *v, const char *oid, const json_t *manifest)
{
    struct verify_commit *c;

    v->releases =
        mem_realloc(v->releases, v->n_releases + 1, sizeof *v->releases);
    c = &v->releases[v->n_releases++];
    memset(c, 0, sizeof *c);
    memcpy(c->oid, oid, sizeof c->oid);
    c->number = manifest ?
        json_integer_value(json_object_get(manifest, "number")) : -1;
    return c;
}

static struct verify_commit *
find_release(struct verify *v, const char *oid)
{
    for (size_t i = 0; i < v->n_releases; i++)
        if (strcmp(v->releases[i].oid, oid) == 0)
            return &v->releases[i];
    return NULL;
}

/* Down the release ref: numbers count down to 0, digests link backwards. */
static void
check_releases(struct verify *v)
{
    char at[GIT_OID_TEXT];
    json_t *above = NULL;

    memcpy(at, v->refs.release_oid, sizeof at);
    while (at[0]) {
        struct git_commit c = { 0 };
        struct err e = { 0 };
        struct digest d;
        char keyid[DIGEST_HEX];
        char *name = mem_printf("commit %.10s", at);
        const char *who = read_commit(v, at, &c, keyid);
        json_t *m = who ? release_manifest(v->repo, at, &d, &e) : NULL;
        struct verify_commit *row = add_release(v, at, m);

        if (who && !m)
            finding_add(v->found, ERR_WORK, "team.required", name, who, "%s",
                e.text);
        if (m && above)
            check_link(v, above, m, &d, name, who);
        if (m && !c.parent[0] && row->number != 0)
            finding_add(v->found, ERR_WORK, "ship.rollback", v->refs.release,
                who, "does not go back to release 0");
        memcpy(at, c.parent, sizeof at);
        json_decref(above);
        above = m;
        git_commit_release(&c);
        free(name);
    }
    json_decref(above);
}

/* One line of the ledger, by the signer of the commit that added it. */
static void
check_entry(struct verify *v, const json_t *entry, size_t seq, const char *name,
    const char *who, const char *keyid)
{
    const char *by = str_of(entry, "by");
    struct verify_commit *release = find_release(v, str_of(entry, "commit"));
    json_int_t number = json_integer_value(json_object_get(entry, "number"));

    if (json_integer_value(json_object_get(entry, "seq")) != (json_int_t)seq)
        finding_add(v->found, ERR_WORK, "team.required", name, who,
            "its line of the ledger is not number %zu", seq);
    if (*who && strcmp(by, who) != 0 && strcmp(by, keyid) != 0)
        finding_add(v->found, ERR_WORK, "team.owners", name, who,
            "its line of the ledger says that %s signed it", by);
    if (!release)
        finding_add(v->found, ERR_WORK, "team.required", name, who,
            "made %.10s live, which is no commit of %s", str_of(entry, "commit"),
            v->refs.release);
    else if (release->number >= 0 && release->number != number)
        finding_add(v->found, ERR_WORK, "team.required", name, who,
            "calls release %lld number %lld", (long long)release->number,
            (long long)number);
    if (release && strcmp(str_of(entry, "action"), "release") == 0)
        release->in_ledger = true;
}

/* `text` must be `before` and one line more; returns that line's number. */
static bool
check_growth(struct verify *v, const char *text, const char *before,
    const char *name, const char *who, size_t *seq)
{
    size_t n = strlen(before);
    const char *line = text + n;

    *seq = 0;
    for (const char *p = before; *p; p++)
        *seq += *p == '\n';
    if (strncmp(text, before, n) == 0 && *line &&
        line[strcspn(line, "\n")] == '\n' && !line[strcspn(line, "\n") + 1])
        return true;
    finding_add(v->found, ERR_WORK, "team.required", name, who,
        "does not add one line to the ledger: earlier lines were changed");
    return false;
}

/* Every commit of the ledger, newest first. */
static void
walk_ledger(struct verify *v)
{
    char at[GIT_OID_TEXT];
    char *text = NULL;

    memcpy(at, v->refs.ledger_oid, sizeof at);
    while (at[0]) {
        struct git_commit c = { 0 };
        struct err e = { 0 };
        char keyid[DIGEST_HEX];
        char *name = mem_printf("ledger commit %.10s", at);
        char *before = NULL;
        const char *who = read_commit(v, at, &c, keyid);
        size_t seq;

        if (who && !text)
            ledger_text(v->repo, at, &text, &e);
        if (who && c.parent[0] && !e.code)
            ledger_text(v->repo, c.parent, &before, &e);
        if (e.code) {
            finding_add(v->found, ERR_WORK, "team.required", name, who, "%s",
                e.text);
        } else if (who &&
            check_growth(v, text, before ? before : "", name, who, &seq)) {
            json_t *entry = ledger_last(text);

            check_entry(v, entry, seq, name, who, keyid);
            json_decref(entry);
        }
        free(text);
        text = before;
        memcpy(at, e.code ? "" : c.parent, e.code ? 1 : sizeof at);
        git_commit_release(&c);
        free(name);
    }
    free(text);
}

/* The last line of the ledger must name what is live. */
static void
check_live(struct verify *v)
{
    struct err e = { 0 };
    char *text = NULL;
    json_t *last = NULL;

    if (ledger_read(v->repo, &v->refs, &text, &e) == 0) {
        last = ledger_last(text);
        if (strcmp(str_of(last, "commit"), v->refs.live_oid) != 0)
            finding_add(v->found, ERR_WORK, "team.required", v->refs.live,
                "nobody",
                "is %.10s, but the ledger's last line says %.10s: it was moved "
                "by hand, or a move was cut short; `quern rollback -n %lld` "
                "puts it back",
                v->refs.live_oid[0] ? v->refs.live_oid : "nothing",
                str_of(last, "commit"),
                (long long)json_integer_value(json_object_get(last, "number")));
    }
    json_decref(last);
    free(text);
    if (!find_release(v, v->refs.live_oid))
        finding_add(v->found, ERR_WORK, "team.required", v->refs.live, "nobody",
            "names no commit of %s", v->refs.release);
    for (size_t i = 0; i < v->n_releases; i++)
        if (!v->releases[i].in_ledger && v->releases[i].number >= 0)
            finding_add(v->found, ERR_WORK, "team.required", v->refs.ledger,
                "nobody",
                "does not name release %lld, commit %.10s; run the release "
                "again",
                (long long)v->releases[i].number, v->releases[i].oid);
}

void
verify_history(struct verify *v)
{
    if (!v->refs.release_oid[0]) {
        finding_add(v->found, ERR_UNCHECKED, "ship.rollback", v->refs.release,
            "nobody", "there is no release yet; run the graph");
        return;
    }
    check_releases(v);
    if (v->refs.ledger_oid[0])
        walk_ledger(v);
    else
        finding_add(v->found, ERR_WORK, "team.required", v->refs.ledger,
            "nobody", "there is no ledger");
    check_live(v);
}

void
verify_release_memory(struct verify *v)
{
    for (size_t i = 0; i < v->n_objects_seen; i++)
        free(v->objects_seen[i]);
    free(v->objects_seen);
    free(v->releases);
    v->objects_seen = NULL;
    v->releases = NULL;
    v->n_objects_seen = v->n_releases = 0;
}
