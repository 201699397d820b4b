/*
 * safetensors.h - read and write safetensors files
 *
 * A file is: u64 length N of the header; N bytes of JSON that map a tensor name
 * to {"dtype", "shape", "data_offsets": [begin, end)} and "__metadata__" to an
 * object of strings; the data, row-major. All numbers are little-endian and
 * offsets count from the first byte after the header.
 *
 * The reader keeps every rule of the reference reader (safetensors/src/
 * tensor.rs): header of at most 100,000,000 bytes inside the file, valid JSON
 * without duplicate keys, known dtypes, sizes that equal shape times dtype, and
 * ranges that tile the data without hole, overlap or trailing byte. Nothing is
 * said about the values: NaN and infinity are the caller's matter.
 *
 * Data need not be aligned to its element: read it through lib/base/bytes.h or
 * memcpy, unless quern itself wrote the file with one dtype or the larger
 * dtypes first (the writer aligns the data section to 8).
 */
#ifndef QUERN_FORMAT_SAFETENSORS_H
#define QUERN_FORMAT_SAFETENSORS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"

enum {
    ST_MAX_RANK = 8,
    ST_MAX_HEADER = 100000000, /* bytes; the reference reader's limit */
    ST_MAX_MARKS = 4000000,    /* ours: commas and colons in the header, about
                                  10 a tensor; each may cost 100 bytes */
};

struct st_tensor {
    const char *name;  /* in the arena of its owner */
    const char *dtype; /* static text: "F32", "F16", "BF16", "I32", "U8", ... */
    unsigned bits;     /* per element */
    unsigned rank;     /* 0: a scalar */
    uint64_t shape[ST_MAX_RANK]; /* last index fastest */
    uint64_t offset;   /* bytes from the start of the file */
    uint64_t bytes;
};

struct safetensors {
    struct st_tensor *t; /* sorted by name (strcmp); in the arena */
    size_t n;
    json_t *meta; /* object of strings, or NULL; owned */
    struct map map;
    struct arena arena;
};

/* Bits of one element and the static name of a dtype; 0 if it is unknown. */
unsigned st_dtype_bits(const char *dtype);
const char *st_dtype_name(const char *dtype); /* NULL if it is unknown */

/* Number of elements; cannot overflow for a tensor that a reader returned. */
uint64_t st_elements(const struct st_tensor *t);

/*
 * safetensors_open - map a file and check its header
 * `s` is zeroed by the caller. On error nothing is held. Messages:
 * `FILE: tensor 'NAME': what is wrong; cure`.
 */
int safetensors_open(struct safetensors *s, const char *path, struct err *e);
void safetensors_close(struct safetensors *s); /* twice is fine */

/* NULL if there is none of that name. */
const struct st_tensor *safetensors_find(const struct safetensors *s,
    const char *name);

/* First byte of the tensor; valid until close. Never NULL. */
const void *safetensors_data(const struct safetensors *s,
    const struct st_tensor *t);

/*
 * safetensors_expect - data of a tensor that must be there in this form
 * `shape` has `rank` items. NULL and an error that names the tensor, what was
 * expected and what was found otherwise.
 */
const void *safetensors_expect(const struct safetensors *s, const char *name,
    const char *dtype, unsigned rank, const uint64_t *shape, struct err *e);

/* Text of one metadata key; NULL if it is not there. */
const char *safetensors_meta(const struct safetensors *s, const char *key);

/* What st_writer_open needs to know of a tensor. Names must differ. */
struct st_spec {
    const char *name;
    const char *dtype;
    unsigned rank;
    uint64_t shape[ST_MAX_RANK];
};

/*
 * struct st_writer - one file being written; a zeroed struct is closed
 *
 * The header comes first, from the specs, padded with spaces to a multiple of
 * 8; then the data of all tensors in the order of the specs, in pieces of any
 * size. The file appears at st_writer_close, whole (see outfile).
 * Same specs, metadata and data: same bytes.
 */
struct st_writer {
    struct outfile out; /* after a good close: digest, bytes, changed */
    uint64_t expect;    /* bytes of data that the specs ask for */
    uint64_t got;
};

/* `metadata`: object of strings or NULL; "format": "pt" is added. Borrowed. */
int st_writer_open(struct st_writer *w, const char *path,
    const struct st_spec *specs, size_t n, const json_t *metadata,
    struct err *e);
void st_writer_data(struct st_writer *w, const void *p, size_t bytes);
/* Commits. It is an error when the data was not exactly what the specs ask. */
int st_writer_close(struct st_writer *w, struct err *e);
void st_writer_release(struct st_writer *w); /* drops an uncommitted file */

#endif
