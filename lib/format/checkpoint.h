/*
 * checkpoint.h - a model as it was given: a Hugging Face folder (config.json,
 * weights as one or several safetensors files, and the small files beside them)
 * or a GGUF file, which may be split in parts
 *
 * A GGUF file has its config and tokenizer in its keys. Its tensors are listed
 * under their GGUF names and with the types of GGUF, shapes with rows first; its
 * folder has no part in it.
 *
 * Of a folder: weights are `model.safetensors`, or the files that
 * `model.safetensors.index.json` maps tensors to. The index must agree with the
 * files: every mapped file lies in the folder itself, every tensor is in the
 * file it is mapped to, and no file holds a tensor that is not mapped to it.
 * A `model.safetensors` beside an index must be named by it. All files are
 * mapped, nothing is read ahead.
 */
#ifndef QUERN_FORMAT_CHECKPOINT_H
#define QUERN_FORMAT_CHECKPOINT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/format/gguf.h"
#include "lib/format/safetensors.h"

enum {
    CK_MAX_CONFIG = 1 << 20, /* bytes of config.json; usual: 1 to 20 KB */
    CK_MAX_INDEX = 32 << 20, /* bytes of the index; about 100 a tensor */
    CK_MAX_SHARDS = 16384,
};

struct ck_tensor {
    const char *name;
    const char *dtype; /* static text: "BF16", "F16", "F32", "Q4_1", ... */
    unsigned rank;
    uint64_t shape[ST_MAX_RANK];
    uint64_t bytes;
    uint64_t offset;     /* of the data in its file */
    size_t file;         /* index into checkpoint.files */
    const char *path;    /* of that file, as it can be opened; borrowed */
    const uint8_t *data; /* mapped; need not be aligned to its element */
};

/* A file that belongs to the checkpoint. */
struct ck_file {
    const char *name; /* relative to the folder; plain, see path_is_plain */
    const char *path; /* folder and name joined */
    uint64_t bytes;
    const struct map *map; /* of weights; NULL: a small file; borrowed */
};

struct checkpoint {
    const char *dir;          /* the folder; of a GGUF file where it lies */
    bool is_gguf;
    struct gguf gguf;         /* open if is_gguf */
    struct blob config_bytes; /* config.json as it is, with its digest */
    json_t *config;           /* and parsed, an object; owned; NULL in GGUF */
    struct ck_tensor *t;      /* sorted by name */
    size_t n;
    struct ck_file *files;    /* sorted by name */
    size_t n_files;
    struct safetensors *st;   /* opened files; owned */
    size_t n_st;
    struct arena arena;       /* owns tables and names */
};

/*
 * checkpoint_open - open a folder or a GGUF file and check that it is whole
 * `c` is zeroed by the caller and stays where it is. On error nothing is held.
 * Which tensors a model needs, and what its config must say, is not known here
 * (lib/model).
 */
int checkpoint_open(struct checkpoint *c, const char *path, struct err *e);
/* Error if a file of weights is no longer what it was when it was opened. */
int checkpoint_unchanged(const struct checkpoint *c, struct err *e);
/* Error if `out`, which is about to be written, is a file of the checkpoint. */
int checkpoint_spared(const struct checkpoint *c, const char *out,
    struct err *e);
void checkpoint_close(struct checkpoint *c); /* twice is fine */

/* NULL if there is none of that name. */
const struct ck_tensor *checkpoint_find(const struct checkpoint *c,
    const char *name);
uint64_t ck_elements(const struct ck_tensor *t);

/*
 * How many tensors of a GGUF file have which type, {"F32": 61, "Q4_1": 211};
 * the caller decrefs. *packed: one of them at least is quantized.
 */
json_t *checkpoint_types(const struct checkpoint *c, bool *packed);

/*
 * Layer of a tensor name: the number after the component `layers` or, in GGUF,
 * after `blk` at its beginning ("model.layers.7.mlp.up_proj.weight" and
 * "blk.7.ffn_up.weight": 7), or -1 if it belongs to none. Layers of a vision
 * tower are not the text model's: -1.
 */
int checkpoint_layer_of(const char *name);

/* For checkpoint_open: what is particular to a GGUF file. */
int checkpoint_open_gguf(struct checkpoint *c, const char *path,
    struct err *e);

#endif
