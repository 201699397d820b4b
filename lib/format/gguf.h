/*
 * gguf.h - read GGUF files of version 2 or 3, write version 3
 *
 * A file is: "GGUF", u32 version, i64 number of tensors, i64 number of keys;
 * the keys {string, i32 type, value}; the tensors {string name, u32 number of
 * dimensions, i64 dimensions with the fastest first, i32 type, u64 offset};
 * zeros up to a multiple of general.alignment (default 32); the data, each
 * tensor padded to that alignment. A string is a u64 length and its bytes. All
 * numbers are little-endian.
 *
 * The reader refuses what ggml refuses (src/gguf.cpp) and looks at a limit
 * before it allocates. Bytes after the last tensor are ignored, and its padding
 * may be missing, as in llama.cpp's mapped loading.
 *
 * A model may lie in several files, NAME-00001-of-00003.gguf and so on: each is
 * a GGUF file with split.no (u16, from 0), split.count (u16) and, of all
 * together, split.tensors.count (i32). What describes the model stands in the
 * first one.
 */
#ifndef QUERN_FORMAT_GGUF_H
#define QUERN_FORMAT_GGUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/qtype.h"
#include "lib/base/err.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

enum {
    GGUF_MAX_DIMS = 4,
    GGUF_MAX_NAME = 63,           /* bytes of a tensor's name */
    GGUF_MAX_KEYS = 65536,        /* ours; llama.cpp writes under 100 */
    GGUF_MAX_TENSORS = 1 << 20,   /* ours */
    GGUF_MAX_LENGTH = 1 << 30,    /* of a string or an array; ggml's */
    GGUF_ALIGNMENT = 32,          /* when general.alignment is absent */
    GGUF_MAX_PARTS = 1000,        /* of a split model; ours */
};

/* Types of values, with the numbers of the file. */
enum gguf_kind {
    GGUF_U8,
    GGUF_I8,
    GGUF_U16,
    GGUF_I16,
    GGUF_U32,
    GGUF_I32,
    GGUF_F32,
    GGUF_BOOL,
    GGUF_STR,
    GGUF_ARRAY,
    GGUF_U64,
    GGUF_I64,
    GGUF_F64,
    GGUF_KIND_COUNT
};

struct gguf_kv {
    const char *key;     /* in the arena */
    enum gguf_kind kind;
    enum gguf_kind elem; /* of an array; else equal to kind */
    uint64_t count;      /* of an array; else 1 */
    const uint8_t *raw;  /* the value (array: its elements) in the file */
    uint64_t raw_bytes;
    const char *str;     /* kind GGUF_STR: NUL-terminated copy; else NULL */
};

struct gguf_tensor {
    const char *name;     /* in the arena */
    unsigned n_dims;      /* 0 to 4 */
    uint64_t dim[GGUF_MAX_DIMS]; /* fastest first; 1 from n_dims on */
    enum qtype type;      /* QT_COUNT: a type quern does not compute with */
    uint32_t ggml_type;   /* as in the file; gguf_type_name() names it */
    uint64_t offset;      /* bytes from the start of the file */
    uint64_t bytes;
    const struct map *map; /* the file that it lies in; borrowed */
};

struct gguf {
    struct gguf_kv *kv; /* in file order */
    size_t n_kv;
    struct gguf_tensor *t; /* in file order, those of all parts */
    size_t n;
    uint32_t version, alignment;
    uint64_t data_start; /* of the data section, from the start of the file */
    const struct gguf_kv **kv_sorted;    /* by key */
    const struct gguf_tensor **t_sorted; /* by name */
    struct map map;     /* the file, or the first part */
    struct gguf *more;  /* the other parts of a split model; owned */
    size_t n_more;
    struct arena arena; /* owns all tables and copies above */
};

/* Names for messages: "u32", "Q4_K"; "?" for a number that is none. */
const char *gguf_kind_name(enum gguf_kind kind);
const char *gguf_type_name(uint32_t ggml_type);
/* The static name of a type ggml knows; NULL: none of that name. */
const char *gguf_type_known(const char *name);
/* Weights and bytes of one block of any type ggml knows; false: none such. */
bool gguf_type_block(uint32_t ggml_type, unsigned *block, unsigned *bytes);

/*
 * gguf_open - map a file and check everything up to the data
 * `g` is zeroed by the caller. On error nothing is held. Messages give the byte
 * and the name: `m.gguf: byte 4096 (tensor 'blk.3.ffn_up.weight'): ...; cure`.
 * Of a split model the first part is given; the others are opened too, and `t`
 * lists the tensors of all. Errors there: a part that is missing, of another
 * model or misnamed, a tensor in two parts, fewer than split.tensors.count.
 */
int gguf_open(struct gguf *g, const char *path, struct err *e);
/* One file by itself, whether or not it is a part. */
int gguf_open_part(struct gguf *g, const char *path, struct err *e);
void gguf_close(struct gguf *g); /* twice is fine */

const struct gguf_tensor *gguf_find(const struct gguf *g, const char *name);
const void *gguf_data(const struct gguf_tensor *t);
uint64_t gguf_elements(const struct gguf_tensor *t);

/* Sorts t_sorted [n] again after t grew. Errors: a name that is there twice. */
int gguf_sort_tensors(struct gguf *g, struct err *e);

/* The key whatever its type; NULL if it is not there. */
const struct gguf_kv *gguf_kv(const struct gguf *g, const char *key);

/*
 * Typed getters, exact about the type as llama.cpp is. A key that is missing is
 * an error (0, NULL or NAN is returned); the _or forms return `dflt` for a
 * missing key, but another type is an error there too.
 */
const char *gguf_str(const struct gguf *g, const char *key, struct err *e);
uint32_t gguf_u32(const struct gguf *g, const char *key, struct err *e);
float gguf_f32(const struct gguf *g, const char *key, struct err *e);
bool gguf_bool(const struct gguf *g, const char *key, struct err *e);
const char *gguf_str_or(const struct gguf *g, const char *key,
    const char *dflt, struct err *e);
uint32_t gguf_u32_or(const struct gguf *g, const char *key, uint32_t dflt,
    struct err *e);
float gguf_f32_or(const struct gguf *g, const char *key, float dflt,
    struct err *e);

/*
 * An array with elements of this kind; NULL and an error if the key is missing
 * or anything else. Elements of a number array are read with these; `i` must
 * be below kv->count.
 */
const struct gguf_kv *gguf_array(const struct gguf *g, const char *key,
    enum gguf_kind elem, struct err *e);
int32_t gguf_array_i32(const struct gguf_kv *kv, uint64_t i);
float gguf_array_f32(const struct gguf_kv *kv, uint64_t i);
bool gguf_array_bool(const struct gguf_kv *kv, uint64_t i);

/* Walks an array of strings: `for (it = gguf_strings(kv); gguf_next(&it);)`. */
struct gguf_strings {
    const char *p; /* current string in the file, not NUL-terminated */
    size_t len;
    const uint8_t *at;
    uint64_t left;
};

struct gguf_strings gguf_strings(const struct gguf_kv *kv);
bool gguf_next(struct gguf_strings *it);

/*
 * The value as it lies in the file, from its type number on: what a digest is
 * taken of, and what gguf_put_raw writes.
 */
const uint8_t *gguf_value(const struct gguf_kv *kv, size_t *bytes);

/*
 * Any scalar or the first elements of an array as text for a person, at most
 * `max` elements of an array or bytes of a string.
 */
void gguf_kv_text(const struct gguf_kv *kv, size_t max, struct str *out);

/*
 * struct gguf_writer - one file being written; a zeroed struct is closed
 *
 * Order of calls: gguf_writer_open, gguf_put_* and gguf_add_tensor in any
 * mixture, gguf_write_header, gguf_write_data for all tensors in the order
 * they were added in pieces of any size, gguf_writer_close. Keys are written
 * in the order they were put: same calls, same bytes. A key put twice, a name
 * that is too long or a row that is no multiple of the block is reported by
 * gguf_write_header.
 */
struct gguf_writer {
    struct outfile out; /* after a good close: digest, bytes, changed */
    struct str keys;    /* the key section as bytes */
    struct str names;   /* NUL-separated keys so far, to find a second put */
    struct gguf_tensor *t; /* owned; `offset` counts from the data section */
    size_t n, cap;
    uint64_t n_kv;
    size_t at;      /* tensor being written */
    uint64_t done;  /* bytes of it */
    struct err err; /* first wrong call */
    bool header;    /* the header is out */
};

int gguf_writer_open(struct gguf_writer *w, const char *path, struct err *e);
void gguf_put_str(struct gguf_writer *w, const char *key, const char *value);
void gguf_put_strn(struct gguf_writer *w, const char *key, const char *value,
    size_t len);
void gguf_put_u8(struct gguf_writer *w, const char *key, uint8_t value);
void gguf_put_u16(struct gguf_writer *w, const char *key, uint16_t value);
void gguf_put_u32(struct gguf_writer *w, const char *key, uint32_t value);
void gguf_put_i32(struct gguf_writer *w, const char *key, int32_t value);
void gguf_put_u64(struct gguf_writer *w, const char *key, uint64_t value);
void gguf_put_f32(struct gguf_writer *w, const char *key, float value);
void gguf_put_bool(struct gguf_writer *w, const char *key, bool value);
/* `len` NULL: the strings are NUL-terminated. */
void gguf_put_str_array(struct gguf_writer *w, const char *key,
    const char *const *value, const size_t *len, size_t n);
void gguf_put_i32_array(struct gguf_writer *w, const char *key,
    const int32_t *value, size_t n);
void gguf_put_f32_array(struct gguf_writer *w, const char *key,
    const float *value, size_t n);
void gguf_put_bool_array(struct gguf_writer *w, const char *key,
    const bool *value, size_t n);
/* The value of another file's key, byte for byte. */
void gguf_put_raw(struct gguf_writer *w, const struct gguf_kv *kv);
/* Whether a key has been put. */
bool gguf_has_put(const struct gguf_writer *w, const char *key);
/* `dim` has n_dims items, fastest first. Returns the tensor's bytes. */
uint64_t gguf_add_tensor(struct gguf_writer *w, const char *name,
    enum qtype type, unsigned n_dims, const uint64_t *dim);
int gguf_write_header(struct gguf_writer *w, struct err *e);
void gguf_write_data(struct gguf_writer *w, const void *p, size_t bytes);
/* The same of bytes that lie in a mapping. */
void gguf_copy_data(struct gguf_writer *w, const struct map *from,
    const void *p, size_t bytes);
/* Commits. It is an error when data is missing. */
int gguf_writer_close(struct gguf_writer *w, struct err *e);
/* Closes, but leaves the whole file in `to`, for the caller to commit. */
int gguf_writer_hand_over(struct gguf_writer *w, struct outfile *to,
    struct err *e);
void gguf_writer_release(struct gguf_writer *w); /* drops what is uncommitted */

#endif
