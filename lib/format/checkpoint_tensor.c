/*
 * checkpoint_tensor.c - single tensors of a checkpoint; see checkpoint.h
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "kernels/half.h"
#include "lib/base/bytes.h"
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

uint64_t
checkpoint_weight_bytes(const struct checkpoint *c)
{
    uint64_t n = 0;

    for (size_t i = 0; i < c->n; i++)
        n += c->t[i].bytes;
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

static void
f32_row(float *dst, const void *src, size_t n)
{
    const uint8_t *b = src;

    for (size_t i = 0; i < n; i++)
        dst[i] = load_f32le(b + 4 * i);
}

/* Index of the first value that is NaN or infinite; n if there is none. */
static size_t
first_wild(const float *v, size_t n)
{
    uint32_t wild = 0;

    for (size_t i = 0; i < n; i++)
        wild |= (uint32_t)((f32_bits(v[i]) & 0x7f800000u) == 0x7f800000u);
    if (wild == 0)
        return n;
    for (size_t i = 0; i < n; i++)
        if (!isfinite(v[i]))
            return i;
    return n;
}

int
checkpoint_to_f32(const struct ck_tensor *t, float *dst, uint64_t first_row,
    uint64_t rows, struct err *e)
{
    enum { PART = 4096 }; /* floats: checked while they are in the cache */
    static const struct {
        const char *dtype;
        size_t bytes;
        void (*row)(float *dst, const void *src, size_t n);
    } kinds[] = {
        { "BF16", 2, bf16_to_f32_row },
        { "F16", 2, f16_to_f32_row },
        { "F32", 4, f32_row },
    };
    const uint64_t cols = t->rank == 0 || t->shape[0] == 0 ? 1 :
        ck_elements(t) / t->shape[0];
    const size_t n = (size_t)(rows * cols);
    size_t k = 0;

    while (k < countof(kinds) && strcmp(t->dtype, kinds[k].dtype) != 0)
        k++;
    if (k == countof(kinds))
        return err_set(e, ERR_WORK, "%s: tensor '%.200s': has dtype %s; "
            "give weights in F32, F16 or BF16", t->path, t->name, t->dtype);

    const uint8_t *src = t->data + first_row * cols * kinds[k].bytes;

    for (size_t i = 0; i < n; i += PART) {
        const size_t m = n - i < PART ? n - i : PART;

        kinds[k].row(dst + i, src + i * kinds[k].bytes, m);

        const size_t bad = i + first_wild(dst + i, m);

        if (bad < i + m)
            return err_set(e, ERR_WORK, "%s: tensor '%.200s': is %s at row %"
                PRIu64 ", column %" PRIu64 "; fetch the file again, "
                "or train the model again", t->path, t->name,
                isnan(dst[bad]) ? "NaN" : "infinite", first_row + bad / cols,
                bad % cols);
    }
    return 0;
}
