#include "lib/record/git.h"

#include <dirent.h>
#include <fcntl.h>
#include <git2.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/record/reflock.h"

/* Bytes of an object that is read; what is larger belongs into LFS. */
enum { OBJECT_LIMIT = 256 << 20 };

struct git_repo {
    git_repository *repo; /* owned */
    char *path;           /* as it was asked for; owned */
};

/* libgit2's own words behind the place; returns ERR_WORK. */
static int
git_err(struct err *e, const struct git_repo *r, const char *what)
{
    const git_error *g = git_error_last();

    return err_set(e, ERR_WORK, "%s: %s: %s", r->path, what,
        g && g->message ? g->message : "no reason given");
}

/* -1: not there, else how many entries (at most 1 is counted). */
static int
folder_entries(const char *path)
{
    DIR *d = opendir(path);
    struct dirent *entry;
    int n = 0;

    if (!d)
        return -1;
    while (n == 0 && (entry = readdir(d)))
        n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(d);
    return n;
}

/*
 * Made beside its place and renamed, so that a kill leaves none or a whole one.
 * What a killed run left beside it is made whole by making it again.
 */
static int
create_repo(struct git_repo *r, struct err *e)
{
    const char *path = r->path;
    size_t n = strlen(path);
    char *fresh;

    if (folder_entries(path) > 0 ||
        (file_exists(path) && folder_entries(path) < 0))
        return err_set(e, ERR_WORK,
            "%s: is no git repository; name one, or a folder that is not there "
            "yet",
            path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    fresh = mem_printf("%.*s.new", (int)n, path);
    if (file_mkdirs(fresh, e) == 0) {
        bool bare = n > 4 && strncmp(path + n - 4, ".git", 4) == 0;

        if (git_repository_init(&r->repo, fresh, bare) < 0)
            git_err(e, r, "cannot make the repository");
        git_repository_free(r->repo);
        r->repo = NULL;
        if (!e->code && rename(fresh, path) != 0)
            err_sys(e, path, "cannot make the repository", NULL);
    }
    free(fresh);
    return e->code;
}

int
git_repo_open(struct git_repo **out, const char *path, bool create,
    struct err *e)
{
    struct git_repo *r = mem_calloc(1, sizeof *r);
    int rc;

    *out = NULL;
    git_libgit2_init();
    r->path = mem_strdup(path);
    rc = git_repository_open(&r->repo, path);
    if (rc == GIT_ENOTFOUND && create && create_repo(r, e) == 0)
        rc = git_repository_open(&r->repo, path);
    if (rc == GIT_ENOTFOUND)
        err_set(e, ERR_WORK, "%s: %s; name the repository's own folder", path,
            file_exists(path) ? "is no git repository" : "is not there");
    else if (rc < 0)
        git_err(e, r, "cannot open the repository");
    if (e->code) {
        git_repo_close(r);
        return e->code;
    }
    *out = r;
    return 0;
}

void
git_repo_close(struct git_repo *r)
{
    if (!r)
        return;
    git_repository_free(r->repo);
    free(r->path);
    free(r);
    git_libgit2_shutdown();
}

const char *
git_repo_dir(const struct git_repo *r)
{
    return git_repository_commondir(r->repo);
}

const char *
git_repo_path(const struct git_repo *r)
{
    return r->path;
}

/* No object is loaded before its size was looked at. */
static int
check_size(struct git_repo *r, const git_oid *oid, const char *what,
    struct err *e)
{
    git_odb *odb = NULL;
    git_object_t type;
    size_t len = 0;

    if (git_repository_odb(&odb, r->repo) < 0 ||
        git_odb_read_header(&len, &type, odb, oid) < 0)
        git_err(e, r, what);
    else if (len > OBJECT_LIMIT)
        err_set(e, ERR_WORK, "%s: %s: has %zu bytes, at most %d are read",
            r->path, what, len, OBJECT_LIMIT);
    git_odb_free(odb);
    return e->code;
}

/* Blobs for all files, gathered in an index of our own, written as a tree. */
static int
write_tree(struct git_repo *r, const struct git_file *files, size_t n,
    git_oid *tree, struct err *e)
{
    git_index *index = NULL;

    if (git_index_new(&index) < 0)
        return git_err(e, r, "cannot make a tree");
    for (size_t i = 0; i < n && !e->code; i++) {
        git_index_entry entry = { .mode = GIT_FILEMODE_BLOB,
            .path = files[i].path };

        if (git_blob_create_from_buffer(&entry.id, r->repo, files[i].data,
                files[i].len) < 0 ||
            git_index_add(index, &entry) < 0)
            git_err(e, r, files[i].path);
    }
    if (!e->code && git_index_write_tree_to(tree, index, r->repo) < 0)
        git_err(e, r, "cannot write a tree");
    git_index_free(index);
    return e->code;
}

/* Signs the buffer and stores the commit with the signature in its header. */
static int
sign_and_store(struct git_repo *r, const git_buf *text,
    const struct git_signer *signer, git_oid *oid, struct err *e)
{
    struct str armor = { 0 };

    if (signer->sign(signer->ctx, text->ptr, text->size, &armor, e))
        goto done;
    /* git itself stores the armor without its last newline */
    while (armor.len && armor.p[armor.len - 1] == '\n')
        armor.p[--armor.len] = 0;
    if (git_commit_create_with_signature(oid, r->repo, text->ptr, armor.p,
            NULL) < 0)
        git_err(e, r, "cannot store the commit");
done:
    str_release(&armor);
    return e->code;
}

int
git_commit_files(struct git_repo *r, const struct git_file *files, size_t n,
    const struct git_commit_how *how, char oid_text[GIT_OID_TEXT],
    struct err *e)
{
    git_oid tree_oid, parent_oid, oid;
    git_tree *tree = NULL;
    git_commit *parent = NULL;
    git_signature *who = NULL;
    git_buf text = GIT_BUF_INIT;
    const git_commit *parents[1];

    if (write_tree(r, files, n, &tree_oid, e))
        return e->code;
    if (git_tree_lookup(&tree, r->repo, &tree_oid) < 0 ||
        git_signature_new(&who, how->name, how->mail, how->time, 0) < 0 ||
        (how->parent &&
            (git_oid_fromstr(&parent_oid, how->parent) < 0 ||
                git_commit_lookup(&parent, r->repo, &parent_oid) < 0))) {
        git_err(e, r, "cannot make the commit");
        goto done;
    }
    parents[0] = parent;
    if (git_commit_create_buffer(&text, r->repo, who, who, NULL, how->message,
            tree, parent ? 1 : 0, parents) < 0) {
        git_err(e, r, "cannot make the commit");
        goto done;
    }
    if (sign_and_store(r, &text, &how->signer, &oid, e) == 0)
        git_oid_tostr(oid_text, GIT_OID_TEXT, &oid);

done:
    git_buf_dispose(&text);
    git_signature_free(who);
    git_commit_free(parent);
    git_tree_free(tree);
    return e->code;
}

int
git_ref_read(struct git_repo *r, const char *ref, char oid_text[GIT_OID_TEXT],
    struct err *e)
{
    git_oid oid;
    int rc = git_reference_name_to_id(&oid, r->repo, ref);

    oid_text[0] = 0;
    if (rc == 0)
        git_oid_tostr(oid_text, GIT_OID_TEXT, &oid);
    else if (rc != GIT_ENOTFOUND)
        git_err(e, r, ref);
    return e->code;
}

/* The ref must stand where the caller last saw it. */
static int
check_old(struct git_repo *r, const struct git_move *m, struct err *e)
{
    char now[GIT_OID_TEXT];

    if (git_ref_read(r, m->ref, now, e))
        return e->code;
    if (strcmp(now, m->old) != 0)
        err_set(e, ERR_WORK,
            "%s: '%s' moved from %s to %s meanwhile; run the command again",
            r->path, m->ref, m->old[0] ? m->old : "nothing",
            now[0] ? now : "nothing");
    return e->code;
}

/* Everything that was written so far, before a ref names it. */
static int
sync_objects(struct git_repo *r, struct err *e)
{
    int fd = open(git_repo_dir(r), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || syncfs(fd) != 0)
        err_sys(e, git_repo_dir(r), "cannot sync", NULL);
    if (fd >= 0)
        close(fd);
    return e->code;
}

/* Locks all, looks at all, moves all. */
static int
move_locked(struct git_repo *r, const struct git_move *moves, size_t n,
    git_transaction *tx, git_signature *who, const char *why, struct err *e)
{
    for (size_t i = 0; i < n; i++)
        if (git_transaction_lock_ref(tx, moves[i].ref) < 0)
            return git_err(e, r, moves[i].ref);
    for (size_t i = 0; i < n; i++) {
        git_oid oid;

        if (check_old(r, &moves[i], e))
            return e->code;
        if (git_oid_fromstr(&oid, moves[i].new) < 0 ||
            git_transaction_set_target(tx, moves[i].ref, &oid, who, why) < 0)
            return git_err(e, r, moves[i].ref);
    }
    if (git_transaction_commit(tx) < 0)
        git_err(e, r, "cannot move refs");
    return e->code;
}

int
git_refs_move(struct git_repo *r, const struct git_move *moves, size_t n,
    const char *name, const char *mail, int64_t time, const char *why,
    struct err *e)
{
    const char **refs = mem_calloc(n, sizeof *refs);
    git_transaction *tx = NULL;
    git_signature *who = NULL;
    int lock = -1;

    for (size_t i = 0; i < n; i++)
        refs[i] = moves[i].ref;
    if (sync_objects(r, e) ||
        reflock_take(&lock, git_repo_dir(r), refs, n, e))
        goto done;
    if (git_transaction_new(&tx, r->repo) < 0 ||
        git_signature_new(&who, name, mail, time, 0) < 0)
        git_err(e, r, "cannot lock refs");
    else
        move_locked(r, moves, n, tx, who, why, e);

done:
    git_signature_free(who);
    git_transaction_free(tx); /* drops the locks of refs that did not move */
    reflock_drop(&lock);
    free(refs);
    return e->code;
}

int
git_ref_remove(struct git_repo *r, const char *ref, const char *old,
    struct err *e)
{
    struct git_move m = { ref, old, NULL };
    int lock = -1;

    if (reflock_take(&lock, git_repo_dir(r), &ref, 1, e))
        return e->code;
    if (check_old(r, &m, e) == 0 && git_reference_remove(r->repo, ref) < 0)
        git_err(e, r, ref);
    reflock_drop(&lock);
    return e->code;
}

int
git_commit_read(struct git_repo *r, const char *oid_text, struct git_commit *c,
    struct err *e)
{
    git_oid oid;
    git_commit *commit = NULL;
    git_buf signature = GIT_BUF_INIT, data = GIT_BUF_INIT;
    int rc;

    memset(c, 0, sizeof *c);
    if (git_oid_fromstr(&oid, oid_text) < 0) {
        git_err(e, r, oid_text);
        goto done;
    }
    if (check_size(r, &oid, oid_text, e))
        goto done;
    if (git_commit_lookup(&commit, r->repo, &oid) < 0) {
        git_err(e, r, oid_text);
        goto done;
    }
    git_oid_tostr(c->oid, GIT_OID_TEXT, &oid);
    c->n_parents = git_commit_parentcount(commit);
    if (c->n_parents > 0)
        git_oid_tostr(c->parent, GIT_OID_TEXT, git_commit_parent_id(commit, 0));
    c->time = git_commit_time(commit);
    c->author_mail = mem_strdup(git_commit_author(commit)->email);
    c->message = mem_strdup(git_commit_message_raw(commit));
    rc = git_commit_extract_signature(&signature, &data, r->repo, &oid, NULL);
    if (rc == 0) {
        /* git stores the armor without its last line feed */
        c->signature =
            mem_printf("%.*s\n", (int)signature.size, signature.ptr);
        c->signed_bytes = mem_strndup(data.ptr, data.size);
        c->signed_len = data.size;
    } else if (rc != GIT_ENOTFOUND) {
        git_err(e, r, oid_text);
    }

done:
    git_buf_dispose(&data);
    git_buf_dispose(&signature);
    git_commit_free(commit);
    return e->code;
}

void
git_commit_release(struct git_commit *c)
{
    free(c->author_mail);
    free(c->message);
    free(c->signature);
    free(c->signed_bytes);
    memset(c, 0, sizeof *c);
}

/* What git_tree_walk hands through. */
struct walk {
    struct git_repo *r;
    int (*fn)(void *ctx, const char *path, unsigned mode, const void *data,
        size_t len, struct err *e);
    void *ctx;
    struct err *e;
};

static int
walk_entry(const char *root, const git_tree_entry *entry, void *payload)
{
    struct walk *w = payload;
    git_blob *blob = NULL;
    char *path;

    if (git_tree_entry_type(entry) == GIT_OBJECT_TREE)
        return 0;
    path = mem_printf("%s%s", root, git_tree_entry_name(entry));
    if (check_size(w->r, git_tree_entry_id(entry), path, w->e) == 0 &&
        git_blob_lookup(&blob, w->r->repo, git_tree_entry_id(entry)) < 0)
        git_err(w->e, w->r, path);
    w->fn(w->ctx, path, (unsigned)git_tree_entry_filemode(entry),
        blob ? git_blob_rawcontent(blob) : NULL,
        blob ? (size_t)git_blob_rawsize(blob) : 0, w->e);
    git_blob_free(blob);
    free(path);
    return w->e->code ? -1 : 0;
}

/* The tree of a commit, to be freed by the caller. */
static git_tree *
tree_of(struct git_repo *r, const char *oid_text, struct err *e)
{
    git_oid oid;
    git_commit *commit = NULL;
    git_tree *tree = NULL;

    if (git_oid_fromstr(&oid, oid_text) < 0 ||
        git_commit_lookup(&commit, r->repo, &oid) < 0 ||
        git_commit_tree(&tree, commit) < 0)
        git_err(e, r, oid_text);
    git_commit_free(commit);
    return tree;
}

int
git_commit_walk(struct git_repo *r, const char *oid,
    int (*fn)(void *ctx, const char *path, unsigned mode, const void *data,
        size_t len, struct err *e),
    void *ctx, struct err *e)
{
    struct walk w = { r, fn, ctx, e };
    git_tree *tree = tree_of(r, oid, e);

    if (tree && git_tree_walk(tree, GIT_TREEWALK_PRE, walk_entry, &w) < 0 &&
        !e->code)
        git_err(e, r, oid);
    git_tree_free(tree);
    return e->code;
}

int
git_commit_file(struct git_repo *r, const char *oid, const char *path,
    char **data, size_t *len, struct err *e)
{
    git_tree *tree = tree_of(r, oid, e);
    git_tree_entry *entry = NULL;
    git_blob *blob = NULL;

    *data = NULL;
    *len = 0;
    if (!tree)
        return e->code;
    if (git_tree_entry_bypath(&entry, tree, path) < 0) {
        git_err(e, r, path);
    } else if (check_size(r, git_tree_entry_id(entry), path, e)) {
        ; /* reported */
    } else if (git_blob_lookup(&blob, r->repo, git_tree_entry_id(entry)) < 0) {
        git_err(e, r, path);
    } else {
        *len = (size_t)git_blob_rawsize(blob);
        *data = mem_calloc(*len + 1, 1);
        memcpy(*data, git_blob_rawcontent(blob), *len);
    }
    git_blob_free(blob);
    git_tree_entry_free(entry);
    git_tree_free(tree);
    return e->code;
}
