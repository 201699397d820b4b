/*
 * table.h - the outcome of a policy as rows of text: baseline and candidates
 *
 * From decision.json; the same cells stand on the terminal, in the page and in
 * report.json.
 */
#ifndef QUERN_JUDGE_TABLE_H
#define QUERN_JUDGE_TABLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"

enum table_column {
    TABLE_NAME,
    TABLE_SIZE,    /* "2.27 MB" */
    TABLE_SHARE,   /* of the baseline's size: "31 %" */
    TABLE_PPL,
    TABLE_POINTS,  /* items right, in percent */
    TABLE_CHANGE,  /* "-0.30" points: negative is worse */
    TABLE_BOUND,   /* "-0.85": no worse than that */
    TABLE_PREFILL, /* tokens/s */
    TABLE_DECODE,
    TABLE_VERDICT,
    TABLE_COLUMNS
};

struct table_row {
    char *cell[TABLE_COLUMNS]; /* owned; "-" where there is no figure */
    bool is_winner;
};

struct table {
    struct table_row *rows; /* [n], baseline first; owned */
    size_t n;
};

/* `t` is zeroed by the caller; on error nothing is held. */
int table_from_decision(struct table *t, const json_t *decision,
    const char *place, struct err *e);
void table_release(struct table *t);
const char *table_head(enum table_column c);
bool table_is_number(enum table_column c); /* set to the right */

/* Aligned columns under their heads, a line each; the winner has a '*'. */
char *table_text(const struct table *t); /* caller frees */

#endif
