/*
 * quern-archive - keep the full-precision model
 *
 * Copies every file of the checkpoint that the fingerprint names into a
 * content-addressed store, reads each object back and compares, and writes the
 * receipt archive.json. Release 0 is made of this receipt, so that a rollback
 * always has a target.
 */
#include <stdlib.h>

#include "lib/base/file.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/record/stage.h"
#include "lib/record/store.h"

static const char *const ins[] = { "!base/model.fp.json", "base/*", NULL };
static const char *const srcs[] = { "!base", NULL };
static const char *const dsts[] = { "!store", NULL };
static const char *const outs[] = { "!archive.json", NULL };

static const struct stage_spec spec = {
    .step = "archive",
    .purpose = "keep the full-precision weights, verified by reading back",
    .ins = ins,
    .srcs = srcs,
    .dsts = dsts,
    .outs = outs,
    .heavy = true,
};

/* One file into the store and its row into the receipt. */
static int
keep(struct stage *s, const char *dir, const char *name, const json_t *entry,
    json_t *rows, struct err *e)
{
    const char *place = "base/model.fp.json";
    const char *hex = json_get_str(entry, "sha256", place, e);
    struct digest expect, got;
    uint64_t bytes = 0;
    char *path = NULL;

    if (e->code)
        return e->code;
    if (!path_is_plain(name) || !digest_parse(&expect, hex))
        return err_set(e, ERR_WORK,
            "%s: bad file entry '%s'; remove the file and run 'ninja'", place,
            name);
    path = path_join(dir, name);
    if (store_put(stage_dst(s, "store"), path, &expect, &got, &bytes, e) == 0)
        json_array_append_new(rows,
            json_pack("{s:s, s:I, s:s}", "name", name, "bytes",
                (json_int_t)bytes, "sha256", hex));
    progress_add(&s->progress, bytes);
    free(path);
    return e->code;
}

static int
run(struct stage *s, struct err *e)
{
    json_t *model = stage_in_json(s, "base/model.fp.json", e);
    json_t *rows = json_array();
    json_t *receipt = NULL;
    char *dir = path_folder(stage_src(s, "base"));
    json_t *files, *entry;
    const char *name;
    uint64_t total = 0;

    if (!model)
        goto done;
    files = json_get_object(model, "files", "base/model.fp.json", e);
    if (!files)
        goto done;
    json_object_foreach(files, name, entry)
        total += (uint64_t)json_integer_value(json_object_get(entry, "bytes"));
    stage_progress(s, "archiving", "B", total);
    /* jansson keeps insertion order; the fingerprint was written sorted */
    json_object_foreach(files, name, entry)
        if (keep(s, dir, name, entry, rows, e))
            goto done;
    receipt = json_pack("{s:s, s:O, s:b}", "schema", "quern.archive/1", "files",
        rows, "verified", 1);
    stage_answer(s, "ship.archive", "PASS", "%zu files, %llu bytes, read back",
        json_array_size(rows), (unsigned long long)total);
    stage_put_json(s, "archive.json", receipt, e);

done:
    json_decref(receipt);
    json_decref(rows);
    json_decref(model);
    free(dir);
    return e->code;
}

int
main(int argc, char **argv)
{
    return stage_main(&spec, argc, argv, run);
}
