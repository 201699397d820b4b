#include "lib/format/checkpoint.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/json.h"
#include "lib/base/str.h"

static const char single_name[] = "model.safetensors";
static const char index_name[] = "model.safetensors.index.json";

/* Small files that are part of the model when they are there. */
static const char *const companions[] = {
    "chat_template.jinja",
    "generation_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
};

static const char *
in_dir(struct checkpoint *c, const char *name)
{
    char *path = path_join(c->dir, name);
    const char *kept = arena_strdup(&c->arena, path);

    free(path);
    return kept;
}

/* Appends to c->files, which has room (see count in checkpoint_open). */
static void
add_file(struct checkpoint *c, const char *name, uint64_t bytes,
    const struct map *map)
{
    c->files[c->n_files++] = (struct ck_file){
        .name = name,
        .path = in_dir(c, name),
        .bytes = bytes,
        .map = map,
    };
}

static int
file_order(const void *pa, const void *pb)
{
    const struct ck_file *a = pa, *b = pb;

    return strcmp(a->name, b->name);
}

static int
tensor_order(const void *pa, const void *pb)
{
    const struct ck_tensor *a = pa, *b = pb;

    return strcmp(a->name, b->name);
}

static int
read_config(struct checkpoint *c, struct err *e)
{
    const char *path = in_dir(c, "config.json");

    if (blob_read(&c->config_bytes, path, CK_MAX_CONFIG, e))
        return e->code;
    c->config = json_parse(c->config_bytes.p, c->config_bytes.len, path, e);
    if (c->config != NULL && !json_is_object(c->config))
        err_set(e, ERR_WORK, "%s: is no JSON object; give the model's own file",
            path);
    return e->code;
}

/* A shard is a plain file name of its own: no folder, nothing above. */
static bool
shard_name_ok(const char *name)
{
    return path_is_plain(name) && strchr(name, '/') == NULL &&
        str_ends(name, ".safetensors");
}

static int
string_order(const void *pa, const void *pb)
{
    const char *const *a = pa, *const *b = pb;

    return strcmp(*a, *b);
}

/* The different file names of weight_map, sorted; NULL on error. */
static const char **
list_shards(struct checkpoint *c, json_t *map, const char *index, size_t *n,
    struct err *e)
{
    const char **all = arena_alloc(&c->arena,
        (json_object_size(map) + 1) * sizeof *all);
    const char *key;
    json_t *v;
    size_t used = 0, kept = 0;

    json_object_foreach(map, key, v) {
        const char *name = json_string_value(v);

        if (name == NULL || !shard_name_ok(name)) {
            err_set(e, ERR_WORK, "%s: tensor '%.200s' is mapped to '%.200s', "
                "which is no file name of letters, digits, '.', '_' and '-' "
                "ending in .safetensors; correct the index", index, key,
                name != NULL ? name : "");
            return NULL;
        }
        all[used++] = name;
    }
    if (used == 0) {
        err_set(e, ERR_WORK, "%s: 'weight_map' is empty; fetch it again",
            index);
        return NULL;
    }
    qsort(all, used, sizeof *all, string_order);
    for (size_t i = 0; i < used; i++)
        if (kept == 0 || strcmp(all[kept - 1], all[i]) != 0)
            all[kept++] = all[i];
    for (size_t i = 0; i < kept; i++)
        all[i] = arena_strdup(&c->arena, all[i]);
    *n = kept;
    return all;
}

/* A model.safetensors that the index does not name: which is the model? */
static int
refuse_both(const struct checkpoint *c, const char *const *names, size_t n,
    struct err *e)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], single_name) == 0)
            return 0;
    return err_set(e, ERR_WORK, "%s: has %s, and %s names other files; "
        "remove what does not belong", c->dir, single_name, index_name);
}

/* Opens the weight files by name; `index` is what named them, or NULL. */
static int
open_files(struct checkpoint *c, const char *const *names, size_t n,
    const char *index, struct err *e)
{
    c->st = mem_calloc(n, sizeof *c->st);
    for (size_t i = 0; i < n; i++) {
        const char *path = in_dir(c, names[i]);

        if (index != NULL && !file_exists(path))
            return err_set(e, ERR_WORK,
                "%s: is missing; %s names it, fetch it too", path, index_name);
        if (safetensors_open(&c->st[i], path, e))
            return e->code;
        c->n_st++;
        add_file(c, names[i], c->st[i].map.len, &c->st[i].map);
    }
    return 0;
}

/* One table of the tensors of all files, sorted; duplicates are refused. */
static int
merge(struct checkpoint *c, struct err *e)
{
    size_t total = 0;

    for (size_t f = 0; f < c->n_st; f++)
        total += c->st[f].n;
    c->t = arena_alloc(&c->arena, total * sizeof *c->t);
    for (size_t f = 0; f < c->n_st; f++)
        for (size_t i = 0; i < c->st[f].n; i++) {
            const struct st_tensor *s = &c->st[f].t[i];
            struct ck_tensor *t = &c->t[c->n++];

            t->name = s->name;
            t->dtype = s->dtype;
            t->rank = s->rank;
            memcpy(t->shape, s->shape, sizeof t->shape);
            t->bytes = s->bytes;
            t->offset = s->offset;
            t->file = f;
            t->path = c->st[f].map.path;
            t->data = safetensors_data(&c->st[f], s);
        }
    if (c->n == 0)
        return err_set(e, ERR_WORK,
            "%s: its weight files hold no tensor; fetch them again", c->dir);
    qsort(c->t, c->n, sizeof *c->t, tensor_order);
    for (size_t i = 1; i < c->n; i++)
        if (strcmp(c->t[i - 1].name, c->t[i].name) == 0)
            return err_set(e, ERR_WORK,
                "%s: tensor '%.200s': is in '%s' too; "
                "keep the file that the index maps it to", c->t[i].path,
                c->t[i].name, path_base(c->t[i - 1].path));
    return 0;
}

/* Index and files must say the same of every tensor. */
static int
check_index(const struct checkpoint *c, const json_t *map, const char *index,
    struct err *e)
{
    const char *key;
    json_t *v;

    json_object_foreach((json_t *)(uintptr_t)map, key, v) {
        const struct ck_tensor *t = checkpoint_find(c, key);

        if (t == NULL || strcmp(path_base(t->path), json_string_value(v)) != 0)
            return err_set(e, ERR_WORK,
                "%s: tensor '%.200s' is not in '%s'; "
                "fetch index and files of one version", index, key,
                json_string_value(v));
    }
    for (size_t i = 0; i < c->n; i++)
        if (json_object_get(map, c->t[i].name) == NULL)
            return err_set(e, ERR_WORK,
                "%s: tensor '%.200s': is not in %s; "
                "fetch index and files of one version", c->t[i].path,
                c->t[i].name, index_name);
    return 0;
}

static int
open_sharded(struct checkpoint *c, const char *index, bool single,
    struct err *e)
{
    json_t *root = json_read(index, CK_MAX_INDEX, NULL, e);
    json_t *map = NULL;
    const char **names;
    struct stat st;
    size_t n = 0;

    if (root == NULL)
        return e->code;
    map = json_get_object(root, "weight_map", index, e);
    if (map == NULL)
        goto done;
    names = list_shards(c, map, index, &n, e);
    if (names == NULL)
        goto done;
    if (n > CK_MAX_SHARDS) {
        err_set(e, ERR_WORK, "%s: names %zu files, at most %d are read; "
            "join some", index, n, (int)CK_MAX_SHARDS);
        goto done;
    }
    if (single && refuse_both(c, names, n, e))
        goto done;
    c->files = arena_alloc(&c->arena,
        (n + countof(companions) + 2) * sizeof *c->files);
    if (open_files(c, names, n, index, e) || merge(c, e) ||
        check_index(c, map, index, e))
        goto done;
    if (stat(index, &st) == 0)
        add_file(c, index_name, (uint64_t)st.st_size, NULL);

done:
    json_decref(root);
    return e->code;
}

static int
open_single(struct checkpoint *c, struct err *e)
{
    static const char *const names[] = { single_name };

    c->files = arena_alloc(&c->arena,
        (countof(companions) + 2) * sizeof *c->files);
    if (open_files(c, names, 1, NULL, e))
        return e->code;
    return merge(c, e);
}

/* Weights in one file, or in those that an index names. */
static int
open_weights(struct checkpoint *c, struct err *e)
{
    const char *single = in_dir(c, single_name);
    const char *index = in_dir(c, index_name);
    const bool one = file_exists(single), many = file_exists(index);

    if (many)
        return open_sharded(c, index, one, e);
    if (one)
        return open_single(c, e);
    return err_set(e, ERR_WORK, "%s: has neither %s nor %s; "
        "give a checkpoint folder with safetensors weights", c->dir,
        single_name, index_name);
}

static void
add_companions(struct checkpoint *c)
{
    add_file(c, "config.json", c->config_bytes.len, NULL);
    for (size_t i = 0; i < countof(companions); i++) {
        struct stat st;

        if (stat(in_dir(c, companions[i]), &st) == 0 && S_ISREG(st.st_mode))
            add_file(c, companions[i], (uint64_t)st.st_size, NULL);
    }
}

/* Sorting the files moves the weight files: say where they went. */
static void
settle_files(struct checkpoint *c)
{
    size_t *where = mem_calloc(c->n_st, sizeof *where);

    qsort(c->files, c->n_files, sizeof *c->files, file_order);
    for (size_t f = 0; f < c->n_st; f++) {
        const struct ck_file key = { .name = path_base(c->st[f].map.path) };
        const struct ck_file *found = bsearch(&key, c->files, c->n_files,
            sizeof *c->files, file_order);

        where[f] = (size_t)(found - c->files);
    }
    for (size_t i = 0; i < c->n; i++)
        c->t[i].file = where[c->t[i].file];
    free(where);
}

static int
open_folder(struct checkpoint *c, const char *dir, struct err *e)
{
    c->dir = arena_strdup(&c->arena, dir);
    if (read_config(c, e) || open_weights(c, e))
        return e->code;
    add_companions(c);
    settle_files(c);
    return 0;
}

int
checkpoint_open(struct checkpoint *c, const char *path, struct err *e)
{
    struct stat st;

    if (stat(path, &st) != 0)
        err_sys(e, path, "cannot open the model", NULL);
    else if (S_ISDIR(st.st_mode))
        open_folder(c, path, e);
    else
        checkpoint_open_gguf(c, path, e);
    if (e->code)
        checkpoint_close(c);
    return e->code;
}

int
checkpoint_unchanged(const struct checkpoint *c, struct err *e)
{
    for (size_t i = 0; i < c->n_files; i++)
        if (c->files[i].map != NULL && map_unchanged(c->files[i].map, e))
            return e->code;
    return 0;
}

int
checkpoint_spared(const struct checkpoint *c, const char *out, struct err *e)
{
    for (size_t i = 0; i < c->n_files; i++)
        if (file_same(c->files[i].path, out))
            return err_set(e, ERR_WORK, "%s: is a file of the model, which "
                "would be lost; name another", out);
    return 0;
}

void
checkpoint_close(struct checkpoint *c)
{
    for (size_t i = 0; i < c->n_st; i++)
        safetensors_close(&c->st[i]);
    free(c->st);
    gguf_close(&c->gguf);
    json_decref(c->config);
    blob_release(&c->config_bytes);
    arena_release(&c->arena);
    *c = (struct checkpoint){ 0 };
}

const struct ck_tensor *
checkpoint_find(const struct checkpoint *c, const char *name)
{
    const struct ck_tensor key = { .name = name };

    if (c->n == 0)
        return NULL;
    return bsearch(&key, c->t, c->n, sizeof *c->t, tensor_order);
}
