/*
 * stage_open.c - a stage's key and inputs, and letting go of everything
 */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "lib/base/hash_list.h"
#include "lib/base/mem.h"
#include "lib/record/signers.h"
#include "lib/record/stage_private.h"

enum {
    FEW_FILES = 200,                  /* fit under any limit of descriptors */
    HASH_ALONE = 16 * 1024 * 1024,    /* bytes worth a second thread */
};

/*
 * A stage signed with a key that its owner has not declared would only be
 * refused at the release. The list is there when the generator put it there.
 */
static int
check_owner(const struct stage *s, struct err *e)
{
    char *path = path_join(s->dir, "keys/allowed_signers");
    struct signers list = { 0 };
    bool listed = false, right = false;

    if (file_exists(path) && signers_read(&list, path, e) == 0) {
        for (size_t i = 0; i < list.n; i++) {
            if (strcmp(list.v[i].principal, s->signer) != 0)
                continue;
            listed = true;
            right = right ||
                pubkey_equal(&list.v[i].key, &s->priv->key.public);
        }
        if (!listed)
            err_set(e, ERR_WORK,
                "%s: nobody is called '%s'; add a line with that owner's key",
                path, s->signer);
        else if (!right)
            err_set(e, ERR_WORK,
                "%s: is not the key that %s gives for '%s'; use that owner's "
                "key", s->key_path, path, s->signer);
    }
    signers_release(&list);
    free(path);
    return e->code;
}

const struct digest *
stage_program(const struct stage *s)
{
    struct stage_private *p = s->priv;

    hash_later_wait(p->hashing);
    p->hashing = NULL;
    return &p->program_bytes.digest;
}

int
stage_open_key(struct stage *s, struct err *e)
{
    struct stage_private *p = s->priv;

    if (signer_open(&p->key, s->key_path, e) != 0)
        return e->code;
    if (map_open(&p->program, "/proc/self/exe", e) != 0)
        return e->code;
    p->program_bytes = (struct hash_item){ p->program.p, p->program.len,
        .mapped = false };
    p->hashing = hash_later_start(&p->program_bytes, 1);
    return check_owner(s, e);
}

/* Inputs and outputs have descriptors; some systems start with 1024. */
static void
allow_many_files(size_t n)
{
    struct rlimit limit;

    if (n < FEW_FILES || getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)!setrlimit(RLIMIT_NOFILE, &limit);
}

static void
hash_inputs(struct stage_files *f)
{
    struct hash_item *all = mem_calloc(f->n, sizeof *all);
    struct pool *pool = NULL;
    uint64_t bytes = 0;

    for (size_t i = 0; i < f->n; i++) {
        const struct map *m = &f->v[i].map;

        all[i] = (struct hash_item){ m->p, m->len, .mapped = true };
        bytes += m->len;
    }
    if (f->n > 1 && bytes > HASH_ALONE)
        pool = pool_new(0);
    digest_list(all, f->n, pool);
    for (size_t i = 0; i < f->n; i++) {
        f->v[i].digest = all[i].digest;
        f->v[i].bytes = all[i].n;
    }
    pool_free(pool);
    free(all);
}

int
stage_open_inputs(struct stage *s, struct err *e)
{

    if (s->priv->inputs_open)
        return 0;
    allow_many_files(s->in.n);
    for (size_t i = 0; i < s->in.n; i++) {
        if (map_open(&s->in.v[i].map, s->in.v[i].path, e) != 0)
            return e->code;
        if (i >= FEW_FILES) /* a release has two for every stage */
            map_let_go(&s->in.v[i].map);
    }
    hash_inputs(&s->in);
    s->priv->inputs_open = true;
    return 0;
}

static void
release_files(struct stage_files *f)
{
    for (size_t i = 0; i < f->n; i++) {
        map_close(&f->v[i].map);
        outfile_release(&f->v[i].file);
        free(f->v[i].role);
        free(f->v[i].path);
    }
    free(f->v);
    *f = (struct stage_files){ 0 };
}

void
stage_release(struct stage *s)
{
    progress_end(&s->progress);
    release_files(&s->in);
    release_files(&s->src);
    release_files(&s->dst);
    release_files(&s->out);
    for (size_t i = 0; i < s->n_params; i++) {
        free(s->params[i].name);
        free(s->params[i].value);
    }
    free(s->params);
    for (size_t i = 0; i < s->n_items; i++)
        free(s->items[i]);
    free(s->items);
    pool_free(s->pool);
    json_decref(s->answers);
    json_decref(s->notes);
    free(s->id);
    free(s->dir);
    free(s->phase);
    free(s->signer);
    free(s->key_path);
    if (s->priv != NULL) {
        stage_program(s); /* no thread is left behind */
        map_close(&s->priv->program);
        signer_release(&s->priv->key);
        record_release(&s->priv->before);
        json_decref(s->priv->reasons);
        lock_drop(&s->priv->machine_lock);
        lock_drop(&s->priv->stage_lock);
        free(s->priv);
    }
    *s = (struct stage){ 0 };
}
