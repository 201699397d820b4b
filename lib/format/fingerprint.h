/*
 * fingerprint.h - digests of a checkpoint's tensors and files (*.fp.json), and
 * the check of what is read against them
 *
 * The fingerprint stage writes one file for each layer, one for the tensors
 * outside the layers (head), one for the configuration, one for the tokenizer
 * and one over all of them. Later stages read weights from the checkpoint
 * itself, which is no input of theirs in the graph; they check every tensor they
 * read against its fingerprint, which is.
 *
 * Configuration and tokenizer of a folder are files; those of a GGUF file are
 * keys, each with a digest of its value (gguf_value): `tokenizer.*` is the
 * tokenizer, all others are the configuration, but for split.*, which a file
 * has by lying in parts.
 */
#ifndef QUERN_FORMAT_FINGERPRINT_H
#define QUERN_FORMAT_FINGERPRINT_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/hash.h"
#include "lib/base/mem.h"
#include "lib/base/pool.h"
#include "lib/format/checkpoint.h"

enum { FINGERPRINT_MAX = 256 << 20 }; /* bytes of one *.fp.json */

struct fp_tensor {
    const char *name;
    const char *dtype; /* static text */
    unsigned rank;
    uint64_t shape[ST_MAX_RANK];
    uint64_t bytes;
    struct digest digest; /* of the tensor's bytes as stored */
};

/* A file, or a key of a GGUF file. */
struct fp_file {
    const char *name; /* relative to the checkpoint folder */
    uint64_t bytes;
    struct digest digest;
};

struct fingerprint {
    const char *path;    /* for messages */
    const char *kind;    /* "layer", "head", "config", "tokenizer", "model" */
    int layer;           /* of kind "layer"; else -1 */
    struct fp_tensor *t; /* sorted by name */
    size_t n;
    struct fp_file *files; /* sorted by name */
    size_t n_files;
    struct fp_file *keys;  /* sorted by name */
    size_t n_keys;
    struct digest model; /* kind "model": the digest over all parts */
    struct arena arena;
};

/*
 * fingerprint_parse - from the bytes of a *.fp.json
 * `f` is zeroed by the caller; on error nothing is held.
 */
int fingerprint_parse(struct fingerprint *f, const char *path,
    const void *bytes, size_t len, struct err *e);
void fingerprint_release(struct fingerprint *f); /* twice is fine */

const struct fp_tensor *fingerprint_tensor(const struct fingerprint *f,
    const char *name);

/* Which of the small files are part of a fingerprint of this kind. */
bool fingerprint_is_tokenizer(const char *file_name);
bool fingerprint_is_config(const char *file_name);
/* Which keys of a GGUF file are. */
bool fingerprint_key_is_tokenizer(const char *key);
bool fingerprint_key_is_config(const char *key);
/* Bytes and digest of a key's value. */
struct fp_file fingerprint_key(const struct gguf_kv *kv);

/*
 * fingerprint_json - the file's content; the caller decrefs
 * What `f` has of kind, layer (-1: none), tensors, files and keys; what it has
 * none of is left out.
 */
json_t *fingerprint_json(const struct fingerprint *f);

/*
 * fingerprint_check - everything that `f` names, read whole from the checkpoint
 * and compared: of tensors dtype, shape and SHA-256 of the bytes, of files and
 * keys the SHA-256. With kind "layer" or "head" also the other way round: the
 * checkpoint has no tensor more there; with keys, no key more. Tensors are
 * shared out over the pool. The message names file and tensor.
 */
int fingerprint_check(const struct fingerprint *f,
    const struct checkpoint *c, struct pool *pool, struct err *e);
/*
 * The same in two halves, for a step that goes on meanwhile: a thread of its own
 * reads the tensors, `end` waits for it and says what is wrong. What was made
 * of the tensors is not to be kept unless that is nothing. Borrows f and c until
 * `end`, which frees (NULL is fine).
 */
struct fingerprint_check *fingerprint_check_begin(const struct fingerprint *f,
    const struct checkpoint *c);
int fingerprint_check_end(struct fingerprint_check *k, struct err *e);

/* Only files and keys: for those who read no tensors. */
int fingerprint_check_small(const struct fingerprint *f,
    const struct checkpoint *c, struct err *e);
/* Every file of the folder that `f` names. */
int fingerprint_check_files(const struct fingerprint *f, const char *dir,
    struct err *e);
/* Every key of the GGUF file that `f` names, and no other of that kind. */
int fingerprint_check_keys(const struct fingerprint *f, const struct gguf *g,
    struct err *e);

#endif
