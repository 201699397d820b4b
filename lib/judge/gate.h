/*
 * gate.h - PASS, FAIL or INCONCLUSIVE, for each suite and for all together
 *
 * PASS          the drop is shown to be below the margin: T(m) <= -z
 * FAIL          it is shown to be above: T(m) >= z, Holm's correction over the
 *               suites; also a logit that is not finite
 * INCONCLUSIVE  neither: too few items to tell, or a true drop near the margin;
 *               it blocks a release like FAIL and says how many items would do
 *
 * Overall: FAIL if any row is, PASS if all are (an intersection-union test needs
 * no correction), else INCONCLUSIVE. A point estimate decides nothing.
 *
 * Rows are JSON objects as docs/stages.md has them. Drops are shares of items:
 * two points are 0.02.
 */
#ifndef QUERN_JUDGE_GATE_H
#define QUERN_JUDGE_GATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"
#include "lib/judge/compare.h"

enum verdict { VERDICT_PASS, VERDICT_INCONCLUSIVE, VERDICT_FAIL, VERDICT_COUNT };

const char *verdict_name(enum verdict v);
/* From its name; anything else is INCONCLUSIVE. */
enum verdict verdict_from(const char *name);
enum verdict verdict_worse(enum verdict a, enum verdict b);

struct gate_rules {
    double alpha;       /* one-sided error of this look */
    double pooled_drop; /* margin over all items */
    double flips_warn;  /* share of flips that is worth a warning */
    double ppl_ratio;   /* largest ratio of perplexities */
    double kl;          /* largest mean KL divergence, nats */
};

/* What the rows of one candidate are collected in. */
struct gate {
    struct gate_rules rules;
    json_t *rows, *warnings; /* owned */
    enum verdict quality;    /* of the rows so far */
};

void gate_init(struct gate *g, const struct gate_rules *rules);
void gate_release(struct gate *g);

/*
 * gate_suites - a row for each suite and, first, the pooled one
 * margins [n]: the largest drop of each suite.
 */
void gate_suites(struct gate *g, const struct comparison *c,
    const double *margins, size_t n);

/*
 * gate_perplexity - rows for the ratio of perplexities and the divergence
 * The ratio's upper bound is Student's over windows of the same text, paired.
 * Errors when the two were not computed on the same text by the same program.
 */
int gate_perplexity(struct gate *g, const json_t *base, const char *base_path,
    const json_t *cand, const char *cand_path, struct err *e);

enum bottleneck { BOTTLENECK_MEMORY, BOTTLENECK_THROUGHPUT, BOTTLENECK_COST,
    BOTTLENECK_COUNT };

/* From "memory", "throughput" or "cost"; an error otherwise. */
int bottleneck_from(const char *name, enum bottleneck *b, struct err *e);

/*
 * bottleneck_figure - what a candidate is ranked by, lower is better
 *   memory      bytes of the file that is served
 *   throughput  1 / tokens per second of decoding
 *   cost        bytes held, times seconds per token
 * From bench/CAND.json. `relative` divides by the baseline's.
 */
double bottleneck_figure(enum bottleneck b, const json_t *bench,
    bool relative);

/*
 * gate_target - the row that says whether the target is met
 *   memory      file bytes, or their ratio, at most `target`
 *   throughput  tokens per second of decoding, or their ratio, at least
 *   cost        bytes times seconds per token, or their ratio, at most
 * A measured ratio must meet it with the bad end of its interval; an absolute
 * rate with the slowest run.
 */
enum verdict gate_target(struct gate *g, enum bottleneck b, double target,
    bool relative, const json_t *bench, const char *path, struct err *e);

#endif
