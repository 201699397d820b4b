/*
 * kernels.h - is there a kernel? A lookup in policies/kernels.tsv
 */
#ifndef QUERN_GEN_KERNELS_H
#define QUERN_GEN_KERNELS_H

#include <stddef.h>

#include "lib/base/err.h"
#include "lib/base/file.h"

struct kernel_row {
    const char *runtime, *version, *devices, *containers, *types;
    unsigned low, high; /* compute capability times 10; 0: no limit */
    const char *kernel, *condition, *source;
    size_t line;
};

struct kernels {
    struct kernel_row *v; /* in file order; owned */
    size_t n;
    struct blob text;     /* what the rows point into */
};

int kernels_read(struct kernels *k, const char *path, struct err *e);
void kernels_release(struct kernels *k);

/* First row that fits; `capability` 0: not given. NULL if none does. */
const struct kernel_row *kernels_find(const struct kernels *k,
    const char *runtime, const char *device, const char *container,
    const char *type, unsigned capability);

#endif
