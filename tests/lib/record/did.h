/*
 * did.h - a record in a few words, for tests of many records
 */
#ifndef QUERN_TESTS_RECORD_DID_H
#define QUERN_TESTS_RECORD_DID_H

#include "lib/record/record.h"
#include "tests/lib/record/fixture.h"

/* What a stage did, short: names of inputs and outputs with their content. */
struct did {
    const char *stage, *step, *phase, *signer;
    const char *in[3][2], *out[3][2]; /* role, content */
    const char *item, *verdict;
    const char *program;
};

static inline struct record
record_of(const struct did *d)
{
    const char *program = d->program ? d->program : d->step;
    struct record r = { .stage = mem_strdup(d->stage),
        .step = mem_strdup(d->step), .phase = mem_strdup(d->phase),
        .signer = mem_strdup(d->signer), .args = mem_calloc(16, sizeof *r.args),
        .program = digest_of(program, strlen(program)),
        .answers = json_object(), .notes = json_object() };

    r.args[r.n_args++] = mem_printf("--stage=%s", d->stage);
    r.args[r.n_args++] = mem_printf("--phase=%s", d->phase);
    r.args[r.n_args++] = mem_printf("--signer=%s", d->signer);
    for (size_t i = 0; i < 3 && d->in[i][0]; i++) {
        struct digest g = digest_of(d->in[i][1], strlen(d->in[i][1]));

        r.args[r.n_args++] = mem_printf("--in=%s", d->in[i][0]);
        record_add(&r.materials, d->in[i][0], &g);
    }
    for (size_t i = 0; i < 3 && d->out[i][0]; i++) {
        struct digest g = digest_of(d->out[i][1], strlen(d->out[i][1]));

        r.args[r.n_args++] = mem_printf("--out=%s", d->out[i][0]);
        record_add(&r.products, d->out[i][0], &g);
    }
    if (d->item)
        json_object_set_new(r.answers, d->item,
            json_pack("{ss ss}", "verdict", d->verdict, "figure", "1 of 2"));
    return r;
}

#endif
