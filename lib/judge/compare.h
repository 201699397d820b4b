/*
 * compare.h - two models' answers to the same suites, laid side by side
 *
 * Reads what evaluate wrote: a summary and one line of JSON for each item.
 * Runs are only compared when they can be: same suite, items, prompts (token by
 * token) and program. What differs is an error that names it.
 */
#ifndef QUERN_JUDGE_COMPARE_H
#define QUERN_JUDGE_COMPARE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/judge/paired.h"

/* One model's results on one suite. Paths are for messages. */
struct run {
    const char *path, *lines_path;
    json_t *summary; /* eval/MODEL/SUITE.json */
    json_t *lines;   /* array of the objects in SUITE.jsonl */
};

/*
 * run_parse - check the summary and read the lines
 * `r` takes both JSON values: released by run_release. A run with used=false
 * has no lines. `lines` may be NULL then.
 */
int run_parse(struct run *r, const char *path, const void *summary,
    size_t summary_len, const char *lines_path, const void *lines,
    size_t lines_len, struct err *e);
void run_release(struct run *r);
bool run_used(const struct run *r);

/* Everything known about one suite on both models; reserves added up. */
struct comparison {
    char *suite;              /* owned */
    const char *role;         /* "task" or "stress" */
    char *metric;             /* owned */
    json_t *digests;          /* suite_sha256 of each file; owned */
    char *base_sha256, *cand_sha256; /* of the models; owned */
    struct paired pairs;
    uint64_t base_right, cand_right;
    uint64_t base_invalid, cand_invalid;
    uint64_t cand_nonfinite;
    double base_tokens, cand_tokens; /* sums, of free answers only */
    json_t *worst;            /* all items that lost something; owned */
};

/*
 * comparison_add - pair the items of two runs of one file
 * `c` is zeroed for the first file of a suite. Borrowed pointers from the runs
 * are copied.
 */
int comparison_add(struct comparison *c, const char *suite, const char *role,
    const struct run *base, const struct run *cand, struct err *e);
void comparison_release(struct comparison *c);

/* Of all comparisons the `most` items with the largest loss; new reference. */
json_t *comparison_worst(const struct comparison *c, size_t n, size_t most);

#endif
