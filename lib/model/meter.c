#include "lib/model/meter.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/mem.h"
#include "lib/base/random.h"

enum { LOADS = 3 };

/* A timed window is repeated until it lasts this long. */
static const double LEAST_SECONDS = 0.1;

double
meter_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int
meter_open(struct meter *b, const char *path, size_t prefill,
    size_t decode, struct err *e)
{
    double ms[LOADS];
    struct random draw;
    size_t most;

    b->pool = pool_new(0);
    for (int i = 0; i < LOADS; i++) {
        const struct model_open_opts opts = { .pool = b->pool,
            .decodes = true };
        const double start = meter_seconds();

        model_free(b->m);
        if (model_open(&b->m, path, &opts, e))
            return e->code;
        ms[i] = 1e3 * (meter_seconds() - start);
    }
    b->load_ms = ms[0] + ms[1] + ms[2] - fmin(ms[0], fmin(ms[1], ms[2])) -
        fmax(ms[0], fmax(ms[1], ms[2]));
    most = model_config(b->m)->positions;
    b->prefill = prefill < most ? prefill : most;
    b->decode = decode < most ? decode : most;
    most = b->prefill > b->decode ? b->prefill : b->decode;
    b->ids = mem_calloc(most, sizeof *b->ids);
    b->logits = mem_calloc(model_config(b->m)->vocab, sizeof *b->logits);
    random_init(&draw, 42, 0);
    for (size_t i = 0; i < most; i++)
        b->ids[i] = (int32_t)random_below(&draw, model_config(b->m)->vocab);
    b->s = session_new(b->m, 0, b->pool);
    return 0;
}

static int
read_prompt(struct meter *b, struct err *e)
{
    session_reset(b->s);
    return session_eval(b->s, b->ids, b->prefill, b->logits, LOGITS_LAST, e);
}

static int
write_tokens(struct meter *b, struct err *e)
{
    session_reset(b->s);
    for (size_t i = 0; i < b->decode && e->code == 0; i++)
        session_eval(b->s, b->ids + i, 1, b->logits, LOGITS_LAST, e);
    return e->code;
}

/* Tokens per second of `tokens` at a time, over LEAST_SECONDS or more. */
static double
rate(struct meter *b, int (*run)(struct meter *b, struct err *e),
    size_t tokens, struct err *e)
{
    const double start = meter_seconds();
    double took = 0.0;
    size_t times = 0;

    do {
        if (run(b, e))
            return (double)NAN;
        times++;
        took = meter_seconds() - start;
    } while (took < LEAST_SECONDS);
    return (double)(times * tokens) / took;
}

double
meter_prefill(struct meter *b, struct err *e)
{
    return rate(b, read_prompt, b->prefill, e);
}

double
meter_decode(struct meter *b, struct err *e)
{
    return rate(b, write_tokens, b->decode, e);
}

uint64_t
meter_peak_bytes(void)
{
    FILE *f = fopen("/proc/self/status", "re");
    char line[256];
    unsigned long long kib = 0;

    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "VmHWM: %llu kB", &kib) == 1)
            break;
    if (f != NULL)
        fclose(f);
    return (uint64_t)kib * 1024;
}

void
meter_release(struct meter *b)
{
    session_free(b->s);
    model_free(b->m);
    pool_free(b->pool);
    free(b->ids);
    free(b->logits);
    memset(b, 0, sizeof *b);
}
