/*
 * meter.h - time a model at reading a prompt and at writing token by token
 *
 * Ids are drawn from a fixed seed: nothing is tokenized or sampled inside the
 * timed window. A window is repeated until it lasts a tenth of a second.
 */
#ifndef QUERN_MODEL_METER_H
#define QUERN_MODEL_METER_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/pool.h"
#include "lib/model/model.h"

struct meter {
    struct model *m;     /* owned, as all below */
    struct session *s;
    struct pool *pool;
    int32_t *ids;        /* [prefill or decode, the longer] */
    float *logits;       /* [vocab] */
    size_t prefill, decode; /* tokens; at most the model's context */
    double load_ms;      /* median of three loads */
};

/*
 * meter_open - load the model at `path` three times, keep the last
 * `b` is zeroed by the caller, who releases it on error, too.
 */
int meter_open(struct meter *b, const char *path, size_t prefill,
    size_t decode, struct err *e);
void meter_release(struct meter *b); /* twice is fine */

/* Tokens per second: a prompt of `prefill` ids, `decode` ids one at a time from
 * an empty context. */
double meter_prefill(struct meter *b, struct err *e);
double meter_decode(struct meter *b, struct err *e);

/* Most memory this process has held in bytes; 0 where nobody tells. */
uint64_t meter_peak_bytes(void);
/* A clock that only goes forward. */
double meter_seconds(void);

#endif
