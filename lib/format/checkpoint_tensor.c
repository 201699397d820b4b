/*
 * checkpoint_tensor.c - single tensors of a checkpoint; see checkpoint.h
 */
#include <string.h>

#include "lib/base/str.h"
#include "lib/format/checkpoint.h"

uint64_t
ck_elements(const struct ck_tensor *t)
{
    uint64_t n = 1;

    for (unsigned i = 0; i < t->rank; i++)
        n *= t->shape[i];
    return n;
}

/* The number before the next dot, or -1. */
static int
layer_number(const char *p)
{
    int layer = 0;

    if (*p < '0' || *p > '9')
        return -1;
    while (*p >= '0' && *p <= '9' && layer < 1000000)
        layer = 10 * layer + (*p++ - '0');
    return *p == '.' ? layer : -1;
}

int
checkpoint_layer_of(const char *name)
{
    static const char mark[] = "layers.", block[] = "blk.";
    const char *p = name;

    if (str_starts(name, "vision_tower.") ||
        str_starts(name, "model.vision_tower."))
        return -1; /* its layers are others */
    if (str_starts(name, block))
        return layer_number(name + sizeof block - 1);
    while ((p = strstr(p, mark)) != NULL) {
        const bool whole = p == name || p[-1] == '.';
        int layer;

        p += sizeof mark - 1;
        layer = whole ? layer_number(p) : -1;
        if (layer >= 0)
            return layer;
    }
    return -1;
}
