#include "lib/record/release.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/record/lfs.h"
#include "lib/record/sshsig.h"

static const char manifest_name[] = "manifest.json";
static const char ledger_name[] = "ledger.jsonl";

static struct release_file *
new_file(struct release_files *f, const char *path)
{
    struct release_file *file;

    if (f->n == f->cap) {
        f->cap = f->cap ? 2 * f->cap : 64;
        f->v = mem_realloc(f->v, f->cap, sizeof *f->v);
    }
    file = &f->v[f->n++];
    memset(file, 0, sizeof *file);
    file->path = mem_strdup(path);
    return file;
}

void
release_add(struct release_files *f, const char *path, const void *p, size_t n)
{
    struct release_file *file = new_file(f, path);

    file->data = mem_calloc(n + 1, 1);
    if (n)
        memcpy(file->data, p, n);
    file->len = n;
    file->bytes = n;
    file->digest = digest_of(p, n);
}

int
release_add_lfs(struct release_files *f, const char *path, const char *git_dir,
    const char *path_on_disk, const struct digest *d, uint64_t bytes, bool link,
    struct err *e)
{
    struct release_file *file;
    struct str pointer = { 0 };

    if (lfs_put(git_dir, path_on_disk, d, bytes, link, e))
        return e->code;
    lfs_pointer(&pointer, d, bytes);
    file = new_file(f, path);
    file->len = pointer.len;
    file->data = str_detach(&pointer);
    file->digest = *d;
    file->bytes = bytes;
    file->lfs = true;
    return 0;
}

void
release_files_free(struct release_files *f)
{
    for (size_t i = 0; i < f->n; i++) {
        free(f->v[i].path);
        free(f->v[i].data);
    }
    free(f->v);
    memset(f, 0, sizeof *f);
}

int
release_refs_read(struct release_refs *refs, struct git_repo *r,
    const char *prefix, struct err *e)
{
    if (!refs->release) {
        refs->release = mem_printf("%s/release", prefix);
        refs->live = mem_printf("%s/live", prefix);
        refs->ledger = mem_printf("%s/ledger", prefix);
    }
    if (git_ref_read(r, refs->release, refs->release_oid, e) == 0 &&
        git_ref_read(r, refs->live, refs->live_oid, e) == 0)
        git_ref_read(r, refs->ledger, refs->ledger_oid, e);
    return e->code;
}

void
release_refs_free(struct release_refs *refs)
{
    free(refs->release);
    free(refs->live);
    free(refs->ledger);
    memset(refs, 0, sizeof *refs);
}

/* The digest in the message's line "WHAT sha256:HEX". */
static bool
message_digest(const char *message, const char *what, struct digest *d)
{
    char *key = mem_printf("\n%s sha256:", what);
    const char *at = strstr(message, key);
    char hex[DIGEST_HEX] = "";
    bool ok = false;

    if (at && strlen(at + strlen(key)) > 64) {
        memcpy(hex, at + strlen(key), 64);
        ok = at[strlen(key) + 64] == '\n' && digest_parse(d, hex);
    }
    free(key);
    return ok;
}

json_t *
release_manifest(struct git_repo *r, const char *oid, struct digest *digest,
    struct err *e)
{
    struct git_commit c = { 0 };
    struct digest said;
    char *text = NULL, *place = NULL;
    size_t len;
    json_t *manifest = NULL;

    if (git_commit_read(r, oid, &c, e) ||
        git_commit_file(r, oid, manifest_name, &text, &len, e))
        goto done;
    *digest = digest_of(text, len);
    place = mem_printf("commit %.10s: %s", oid, manifest_name);
    if (!message_digest(c.message, "manifest", &said))
        err_set(e, ERR_WORK, "commit %.10s: names no manifest; it is no release",
            oid);
    else if (!digest_equal(digest, &said))
        err_set(e, ERR_WORK,
            "%s: is not the manifest that the signed message names", place);
    else
        manifest = json_parse(text, len, place, e);
done:
    git_commit_release(&c);
    free(text);
    free(place);
    return manifest;
}

int
release_artifacts(struct git_repo *r, const json_t *manifest, struct err *e)
{
    const json_t *row;
    size_t i;

    json_array_foreach(json_object_get(manifest, "files"), i, row) {
        const char *hex = json_string_value(json_object_get(row, "sha256"));
        struct digest d;
        struct stat st;
        char *object;

        if (!json_is_true(json_object_get(row, "lfs")))
            continue;
        if (!hex || !digest_parse(&d, hex))
            return err_set(e, ERR_WORK, "%s: bad digest", manifest_name);
        object = lfs_object_path(git_repo_dir(r), &d);
        if (stat(object, &st) != 0 ||
            st.st_size != json_integer_value(json_object_get(row, "bytes")))
            err_set(e, ERR_UNCHECKED,
                "%s: %s is not there or not whole; fetch it (`git lfs fetch`)",
                object, json_string_value(json_object_get(row, "path")));
        free(object);
        if (e->code)
            return e->code;
    }
    return 0;
}

bool
release_reachable(struct git_repo *r, const struct release_refs *refs,
    const char *oid, struct err *e)
{
    char at[GIT_OID_TEXT];

    memcpy(at, refs->release_oid, sizeof at);
    while (at[0] && strcmp(at, oid) != 0) {
        struct git_commit c = { 0 };

        if (git_commit_read(r, at, &c, e) == 0)
            memcpy(at, c.parent, sizeof at);
        else
            at[0] = 0;
        git_commit_release(&c);
    }
    return at[0] != 0;
}

static int
by_path(const void *a, const void *b)
{
    const struct release_file *x = a, *y = b;

    return strcmp(x->path, y->path);
}

char *
release_manifest_text(struct release_files *f, int number, const char *policy,
    const char *winner, const struct digest *previous)
{
    json_t *rows = json_array();
    json_t *manifest;
    char hex[DIGEST_HEX];
    char *text;

    qsort(f->v, f->n, sizeof *f->v, by_path);
    for (size_t i = 0; i < f->n; i++)
        json_array_append_new(rows,
            json_pack("{s:s, s:I, s:s, s:b}", "path", f->v[i].path, "bytes",
                (json_int_t)f->v[i].bytes, "sha256",
                digest_hex(&f->v[i].digest, hex), "lfs", f->v[i].lfs));
    manifest = json_pack("{s:s, s:i, s:s, s:s, s:o}", "schema",
        "quern.manifest/1", "number", number, "policy", policy, "winner", winner,
        "files", rows);
    json_object_set_new(manifest, "previous",
        previous ? json_string(digest_hex(previous, hex)) : json_null());
    text = json_text(manifest, false);
    json_decref(manifest);
    return text;
}

/* git_signer: SSHSIG in namespace "git", as `git commit -S` makes it. */
static int
sign_git(void *ctx, const void *p, size_t n, struct str *armor, struct err *e)
{
    const struct signer *signer = ctx;

    return sshsig_sign(signer, "git", p, n, armor, e);
}

static struct git_commit_how
commit_how(const struct release_author *who, const char *message,
    const char *parent)
{
    struct git_commit_how how = { .name = who->name, .mail = who->mail,
        .time = who->time, .message = message, .parent = parent };
    union {
        const struct signer *in;
        void *out;
    } ctx = { .in = who->signer };

    how.signer.sign = sign_git;
    how.signer.ctx = ctx.out;
    return how;
}

int
release_commit(struct git_repo *r, struct release_files *f,
    const char *manifest, const char *title, const char *parent,
    const struct release_author *who, char oid[GIT_OID_TEXT], struct err *e)
{
    struct git_file *files = mem_calloc(f->n + 1, sizeof *files);
    struct digest d = digest_of(manifest, strlen(manifest));
    char hex[DIGEST_HEX];
    char *message =
        mem_printf("%s\n\nmanifest sha256:%s\n", title, digest_hex(&d, hex));
    struct git_commit_how how = commit_how(who, message, parent);

    for (size_t i = 0; i < f->n; i++)
        files[i] = (struct git_file){ f->v[i].path, f->v[i].data, f->v[i].len };
    files[f->n] =
        (struct git_file){ manifest_name, manifest, strlen(manifest) };
    git_commit_files(r, files, f->n + 1, &how, oid, e);
    free(message);
    free(files);
    return e->code;
}

int
ledger_text(struct git_repo *r, const char *oid, char **text, struct err *e)
{
    struct git_commit c = { 0 };
    struct digest said, got;
    size_t len = 0;

    *text = NULL;
    if (git_commit_read(r, oid, &c, e) ||
        git_commit_file(r, oid, ledger_name, text, &len, e))
        goto done;
    got = digest_of(*text, len);
    if (!message_digest(c.message, "ledger", &said) ||
        !digest_equal(&got, &said))
        err_set(e, ERR_WORK,
            "commit %.10s: %s is not what the signed message names", oid,
            ledger_name);
done:
    git_commit_release(&c);
    return e->code;
}

int
ledger_read(struct git_repo *r, const struct release_refs *refs, char **text,
    struct err *e)
{
    if (refs->ledger_oid[0])
        return ledger_text(r, refs->ledger_oid, text, e);
    *text = mem_strdup("");
    return 0;
}

/* One line of the ledger. */
static json_t *
ledger_line(const char *line, size_t n)
{
    struct err ignored = { 0 };

    return json_parse(line, n, ledger_name, &ignored);
}

json_t *
ledger_last(const char *text)
{
    size_t n = strlen(text);
    const char *line = text + n;

    if (n == 0)
        return NULL;
    line--; /* the last line feed */
    while (line > text && line[-1] != '\n')
        line--;
    return ledger_line(line, strlen(line));
}

json_t *
ledger_release(const char *text, const char *commit)
{
    json_t *found = NULL;

    for (const char *line = text; *line;) {
        size_t n = strcspn(line, "\n");
        json_t *entry = ledger_line(line, n);
        const char *action =
            json_string_value(json_object_get(entry, "action"));
        const char *oid = json_string_value(json_object_get(entry, "commit"));

        if (action && oid && strcmp(action, "release") == 0 &&
            strcmp(oid, commit) == 0) {
            json_decref(found);
            found = json_incref(entry);
        }
        json_decref(entry);
        line += n + (line[n] == '\n');
    }
    return found;
}

/* The old text and one more line. */
static char *
ledger_append(const char *old, json_t *entry, const struct release_author *who,
    const char *by)
{
    struct str text = { 0 };
    char when[32];
    time_t t = (time_t)who->time;
    struct tm tm;
    size_t seq = 0;
    char *line;

    for (const char *p = old; *p; p++)
        seq += *p == '\n';
    gmtime_r(&t, &tm);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    json_object_set_new(entry, "seq", json_integer((json_int_t)seq));
    json_object_set_new(entry, "time", json_string(when));
    json_object_set_new(entry, "by", json_string(by));
    line = json_text(entry, true);
    str_add(&text, old);
    str_add(&text, line);
    free(line);
    return str_detach(&text);
}

/* A signed commit whose tree is the ledger. */
static int
ledger_commit(struct git_repo *r, const struct release_refs *refs,
    const char *text, const char *title, const struct release_author *who,
    char oid[GIT_OID_TEXT], struct err *e)
{
    struct git_file file = { ledger_name, text, strlen(text) };
    struct digest d = digest_of(text, strlen(text));
    char hex[DIGEST_HEX];
    char *message =
        mem_printf("%s\n\nledger sha256:%s\n", title, digest_hex(&d, hex));
    struct git_commit_how how = commit_how(who, message,
        refs->ledger_oid[0] ? refs->ledger_oid : NULL);

    git_commit_files(r, &file, 1, &how, oid, e);
    free(message);
    return e->code;
}

int
release_make_live(struct git_repo *r, struct release_refs *refs,
    const char *new_release, const char *to, json_t *entry,
    const struct release_author *who, const char *by, struct err *e)
{
    char oid[GIT_OID_TEXT] = "";
    char *old = NULL, *text = NULL, *title = NULL;
    struct git_move moves[3];
    size_t n = 0;

    if (ledger_read(r, refs, &old, e))
        goto done;
    text = ledger_append(old, entry, who, by);
    title = mem_printf("live: release %lld (%s)",
        (long long)json_integer_value(json_object_get(entry, "number")),
        json_string_value(json_object_get(entry, "action")));
    if (ledger_commit(r, refs, text, title, who, oid, e))
        goto done;
    /* libgit2 moves them in an order of its own: see release_repair */
    moves[n++] = (struct git_move){ refs->ledger, refs->ledger_oid, oid };
    if (new_release)
        moves[n++] =
            (struct git_move){ refs->release, refs->release_oid, new_release };
    moves[n++] = (struct git_move){ refs->live, refs->live_oid, to };
    if (git_refs_move(r, moves, n, who->name, who->mail, who->time, title, e))
        goto done;
    memcpy(refs->ledger_oid, oid, sizeof oid);
    memmove(refs->live_oid, to, GIT_OID_TEXT);
    if (new_release)
        memmove(refs->release_oid, new_release, GIT_OID_TEXT);
done:
    free(title);
    free(old);
    free(text);
    return e->code;
}

/* The release that the ledger's last line put on top, if the ref lacks it. */
static int
repair_tip(struct git_repo *r, const struct release_refs *refs,
    const char *commit, struct git_move *moves, size_t *n, struct err *e)
{
    struct git_commit c = { 0 };

    if (release_reachable(r, refs, commit, e) || e->code)
        return e->code;
    if (git_commit_read(r, commit, &c, e) == 0) {
        if (strcmp(c.parent, refs->release_oid) == 0)
            moves[(*n)++] =
                (struct git_move){ refs->release, refs->release_oid, commit };
        else
            err_set(e, ERR_WORK,
                "%s: '%s' stands at %s, which the ledger does not know; put it "
                "back to %s",
                git_repo_path(r), refs->release,
                refs->release_oid[0] ? refs->release_oid : "nothing", commit);
    }
    git_commit_release(&c);
    return e->code;
}

int
release_repair(struct git_repo *r, struct release_refs *refs,
    const struct release_author *who, bool *moved, struct err *e)
{
    char *text = NULL;
    json_t *last = NULL;
    const char *commit;
    struct git_move moves[2];
    size_t n = 0;

    *moved = false;
    if (ledger_read(r, refs, &text, e))
        goto done;
    last = ledger_last(text);
    commit = json_string_value(json_object_get(last, "commit"));
    if (!commit || strlen(commit) != GIT_OID_TEXT - 1 ||
        repair_tip(r, refs, commit, moves, &n, e))
        goto done;
    if (strcmp(refs->live_oid, commit) != 0)
        moves[n++] = (struct git_move){ refs->live, refs->live_oid, commit };
    if (n == 0 ||
        git_refs_move(r, moves, n, who->name, who->mail, who->time,
            "as the ledger says", e))
        goto done;
    *moved = true;
    for (size_t i = 0; i < n; i++)
        memcpy(moves[i].ref == refs->live ? refs->live_oid : refs->release_oid,
            commit, GIT_OID_TEXT);
done:
    json_decref(last);
    free(text);
    return e->code;
}
