/*
 * imatrix.h - importance matrices: how strongly each input column of a weight
 * is driven, as llama.cpp's tools collect and use them
 *
 * For a weight with `cols` input columns and `mats` matrices (experts; else 1)
 * the file holds, for each matrix, the sum over tokens of the squared input of
 * each column and the number of tokens. The importance is their quotient.
 *
 * Two forms are read. GGUF (written since 2025): general.type "imatrix",
 * imatrix.datasets (strings), imatrix.chunk_count and .chunk_size (u32), and
 * for each weight NAME the F32 tensors NAME.in_sum2 [cols, mats] and
 * NAME.counts [1, mats]. The older form (.dat, all little-endian): i32 number
 * of entries; for each i32 length of the name, the name, i32 calls, i32 number
 * of values, f32 values that are the importance times the calls; then, not
 * always, i32 number of chunks, i32 length and name of the data set.
 */
#ifndef QUERN_FORMAT_IMATRIX_H
#define QUERN_FORMAT_IMATRIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/mem.h"

enum {
    IMATRIX_MAX_ENTRIES = 1 << 20,
    IMATRIX_MAX_NAME = 256, /* bytes, in the older form */
};

struct imatrix_entry {
    const char *name;     /* of the weight: "blk.0.attn_q.weight" */
    uint64_t cols, mats;  /* the older form cannot tell experts: mats is 1 */
    const float *sum2;    /* [mats][cols] */
    const float *counts;  /* [mats] tokens; the older form: calls */
};

struct imatrix {
    struct imatrix_entry *entry; /* sorted by name */
    size_t n;
    const char *const *datasets;
    size_t n_datasets;
    uint32_t chunk_count, chunk_size; /* 0: not told */
    bool legacy;     /* it was read from the older form */
    const char *path;    /* what it was read from, for messages */
    struct arena arena;  /* owns everything above when it was opened */
};

/*
 * imatrix_open - read a file of either form
 * `im` is zeroed by the caller. Values that are negative, NaN or infinite are
 * refused. On error nothing is held.
 */
int imatrix_open(struct imatrix *im, const char *path, struct err *e);
void imatrix_close(struct imatrix *im); /* twice is fine */

/* NULL if there is none of that name. */
const struct imatrix_entry *imatrix_find(const struct imatrix *im,
    const char *name);

/*
 * imatrix_importance - mean square of each input column of one matrix
 *
 *   dst[c] = sum2[mat][c] / counts[mat]
 *
 * Where counts[mat] is 0 no token came: 1, and in the older form the sum as it
 * stands, which is what llama-quantize takes. `cols` is what the weight has,
 * `mat` which of its `mats` matrices. An entry of the older form may hold the
 * columns of all experts one after another.
 * An error names both sizes when they do not agree.
 */
int imatrix_importance(const struct imatrix *im,
    const struct imatrix_entry *entry, uint64_t mat, uint64_t mats,
    uint64_t cols, float *dst, struct err *e);

/*
 * imatrix_write - write the GGUF form, or the older one if `legacy`, atomically
 * The caller fills the fields and keeps them; `entry` must be sorted by name,
 * and counts are tokens in either form. Same content: same bytes, and the bytes
 * that llama.cpp writes for it. The older form cannot say of which experts no
 * token came: their importance is 1 there.
 */
int imatrix_write(const struct imatrix *im, const char *path, struct err *e);

#endif
