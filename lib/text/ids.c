#include "lib/text/ids.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

int32_t *
ids_reserve(struct ids *ids, size_t more)
{
    if (more > ids->cap - ids->n) {
        size_t cap = ids->cap < 32 ? 64 : ids->cap * 2;

        if (cap - ids->n < more)
            cap = ids->n + more;
        ids->v = mem_realloc(ids->v, cap, sizeof *ids->v);
        ids->cap = cap;
    }
    return ids->v + ids->n;
}

void
ids_add(struct ids *ids, int32_t id)
{
    *ids_reserve(ids, 1) = id;
    ids->n++;
}

void
ids_addn(struct ids *ids, const int32_t *v, size_t n)
{
    if (n > 0)
        memcpy(ids_reserve(ids, n), v, n * sizeof *v);
    ids->n += n;
}

void
ids_clear(struct ids *ids)
{
    ids->n = 0;
}

void
ids_release(struct ids *ids)
{
    free(ids->v);
    *ids = (struct ids){ 0 };
}
