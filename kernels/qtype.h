/*
 * qtype.h - the ways a weight can be stored, one row each
 *
 * A row of weights is a run of blocks; a block holds `block` weights in `bytes`
 * bytes and never spans two rows. The layouts are those of GGUF, which calls
 * the types by the same names and numbers.
 */
#ifndef QUERN_KERNELS_QTYPE_H
#define QUERN_KERNELS_QTYPE_H

#include <stddef.h>
#include <stdint.h>

enum qtype {
    QT_F32,
    QT_F16,
    QT_BF16,
    QT_Q8_0,
    QT_Q4_0,
    QT_Q4_1,
    QT_Q5_0,
    QT_Q5_1,
    QT_Q2_K,
    QT_Q3_K,
    QT_Q4_K,
    QT_Q5_K,
    QT_Q6_K,
    QT_IQ4_NL,
    QT_IQ4_XS,
    QT_COUNT
};

/*
 * How activations are held for a product with such weights (kernels/act.h):
 * 8-bit integers with one scale for 32 values (and, for Q8_1, their scaled sum)
 * or for 256 values; or plain floats.
 */
enum act_type {
    ACT_F32,
    ACT_Q8_0,
    ACT_Q8_1,
    ACT_Q8_K,
    ACT_COUNT
};

struct qtype_info {
    const char *name;   /* "Q4_K" */
    uint32_t ggml_id;   /* number of the type in a GGUF tensor table */
    unsigned block;     /* weights in one block */
    unsigned bytes;     /* bytes of one block */
    enum act_type act;  /* activations it is multiplied with */
    uint32_t file_type; /* general.file_type of a file wholly of this type */
};

/* The row of the table; t must be below QT_COUNT. Never NULL. */
const struct qtype_info *qtype_info(enum qtype t);
/* 0 and *t, or -1 if no type has that name (exact, upper case). */
int qtype_from_name(const char *name, enum qtype *t);
/* 0 and *t, or -1 if the GGUF number is of no type held here. */
int qtype_from_ggml(uint32_t id, enum qtype *t);
/*
 * Bytes of one row of `cols` weights; 0 if cols is zero, no multiple of the
 * block, or so large that the answer would not fit.
 */
size_t qtype_row_bytes(enum qtype t, size_t cols);

#endif
