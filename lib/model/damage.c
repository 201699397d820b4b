/*
 * damage.c - which weight made logits that are no numbers; see model.h
 */
#include <float.h>
#include <stdlib.h>

#include "kernels/measure.h"
#include "lib/base/mem.h"
#include "lib/model/model_impl.h"

enum { LOOK_FLOATS = 1 << 20 };

/* Names the first weight of the tensor that is not finite. */
static int
look(const struct stored *t, float *room, struct err *e)
{
    const uint64_t step = t->cols < LOOK_FLOATS ? LOOK_FLOATS / t->cols : 1;

    for (uint64_t row = 0; row < t->rows && e->code == 0; row += step) {
        const uint64_t n = t->rows - row < step ? t->rows - row : step;

        stored_to_f32(room, t, row, n, e);
    }
    return e->code;
}

int
model_not_finite(const struct model *m, size_t at, struct err *e)
{
    size_t most = LOOK_FLOATS;
    float *room;

    if (e->code != 0)
        return e->code;
    for (size_t i = 0; i < m->plan.n; i++)
        if (m->stored[i].cols > most)
            most = (size_t)m->stored[i].cols;
    room = mem_aligned(most, sizeof *room);
    for (size_t i = 0; i < m->plan.n && e->code == 0; i++)
        look(&m->stored[i], room, e);
    free(room);
    return err_set(e, ERR_WORK, "%s: the logits of token %zu are not finite, "
        "though all weights are: this text overflows the model's arithmetic; "
        "try another text", m->path, at);
}

int
logits_check(const struct model *m, const float *logits, size_t at,
    struct err *e)
{
    const size_t n = m->c.vocab;

    return first_beyond_f32(logits, n, FLT_MAX) < n ?
        model_not_finite(m, at, e) : 0;
}
