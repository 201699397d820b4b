/*
 * ops.h - the functions that exist once for each instruction set (private)
 *
 * The public functions of act.h, encode.h, matmul.h and vec.h call through this
 * table; what a slot promises is said there. Each table is complete: a slot
 * without a faster twin holds the portable function, unless it says otherwise.
 */
#ifndef QUERN_KERNELS_OPS_H
#define QUERN_KERNELS_OPS_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/measure.h"
#include "kernels/qtype.h"

struct kernel_ops {
    const char *isa;
    void (*act_encode)(enum act_type, void *, const float *, size_t, size_t);
    void (*encode_row)(enum qtype, uint8_t *, const float *, size_t,
        const float *);
    void (*matmul)(float *, size_t, const void *, enum qtype, size_t, size_t,
        size_t, const void *, size_t);
    /* NULL: this instruction set gains nothing from interleaved rows */
    void (*interleaved)(float *, size_t, const void *, enum qtype, size_t,
        size_t, size_t, const void *, size_t);
    void (*f16_row)(float *, const void *, size_t);
    /* blocks of the packed types only: not F32, F16, BF16 */
    void (*decode)(enum qtype, float *, const uint8_t *, size_t);
    size_t (*first_beyond)(const float *, size_t, float);
    void (*row_squares)(struct squares *, const float *, const float *,
        const double *, size_t, size_t);

    float (*dot)(const float *, const float *, size_t);
    float (*sum)(const float *, size_t);
    float (*max)(const float *, size_t);
    void (*axpy)(float *, float, const float *, size_t);
    void (*add)(float *, const float *, const float *, size_t);
    void (*mul)(float *, const float *, const float *, size_t);
    void (*scale)(float *, float, const float *, size_t);
    void (*exp)(float *, const float *, size_t);
    void (*rmsnorm)(float *, const float *, const float *, size_t, float);
    void (*softmax)(float *, size_t);
    void (*rope_half)(float *, size_t, size_t, const float *, const float *);
    void (*rope_pairs)(float *, size_t, size_t, const float *, const float *);
    void (*silu_mul)(float *, const float *, const float *, size_t);
    void (*gelu_tanh_mul)(float *, const float *, const float *, size_t);
    void (*attn_scores)(float *, size_t, const float *, size_t, size_t,
        const float *, size_t, size_t, size_t, float);
    void (*attn_mix)(float *, size_t, const float *, size_t, size_t,
        const float *, size_t, size_t, size_t);
};

/* The table in force; chosen at the first call, see cpu.h. */
const struct kernel_ops *kernel_ops(void);

extern const struct kernel_ops kernel_ops_ref;
#if defined(__x86_64__)
extern const struct kernel_ops kernel_ops_avx2;
extern const struct kernel_ops kernel_ops_avx512;
#endif
#if defined(__aarch64__)
extern const struct kernel_ops kernel_ops_neon, kernel_ops_neon_dot;
#endif

/* Portable functions that faster tables may share. */
void decode_ref(enum qtype t, float *y, const uint8_t *b, size_t n);
size_t first_beyond_ref(const float *x, size_t n, float limit);
void row_squares_ref(struct squares *s, const float *want, const float *got,
    const double *m, size_t rows, size_t n);
/* Adds to the four lanes of a row's sums; the lanes together. */
void add_squares_ref(const float *want, const float *got, const double *m,
    size_t n, double err[4], double norm[4]);
struct squares squares_of_lanes(const double e[4], const double w[4]);
void act_encode_ref(enum act_type t, void *dst, const float *x, size_t rows,
    size_t cols);
void matmul_ref(float *y, size_t ldy, const void *w, enum qtype t, size_t row0,
    size_t row1, size_t cols, const void *act, size_t n_act);

#endif
