/*
 * score.h - ask a model the questions of a suite and check its answers
 *
 * Choices are scored by the log likelihood of their tokens after the prompt,
 * where the tokens are those that tokenizing prompt and choice together gives
 * past the prompt's own (lm-evaluation-harness; the delimiter is empty, since a
 * choice brings its space; see choice_tokens). The highest sum wins, ties go to
 * the first. Free answers are written greedily.
 *
 * Every item has sessions of its own, and answers are written in batches that
 * depend on suite and model alone: the result does not depend on threads.
 */
#ifndef QUERN_MODEL_SCORE_H
#define QUERN_MODEL_SCORE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/pool.h"
#include "lib/base/progress.h"
#include "lib/base/str.h"
#include "lib/model/model.h"
#include "lib/model/suite.h"
#include "lib/text/ids.h"

struct score_opts {
    size_t max_tokens; /* new ids of a free answer */
    bool bos;          /* prompts start with the model's bos */
    struct pool *pool; /* shares out items; NULL: one after the other */
    struct progress *progress; /* counts items; NULL: none */
};

enum score_stop { STOP_NONE, STOP_EOS, STOP_STRING, STOP_LENGTH, STOP_COUNT };

struct item_score {
    bool correct;
    bool finite;   /* every logit that was looked at */
    bool invalid;  /* nothing to check could be taken out of the answer */
    bool cut;      /* the prompt was longer than the model's context */
    size_t prompt_tokens;
    struct digest prompt; /* of the prompt's ids, 32-bit little-endian each */
    size_t tokens; /* scored (choice, all of them) or written (generate) */
    double *ll;    /* [n_choices] sums of log probabilities; owned */
    size_t pick;   /* choice: the one with the highest */
    enum score_stop stop;
    struct str out, extracted; /* generate: the answer, what was compared */
};

struct suite_score {
    struct item_score *items; /* [n], in suite order */
    size_t n;
    uint64_t tokens; /* that went through the model */
};

/* `r` is zeroed by the caller; on error nothing is held. */
int suite_score(struct suite_score *r, const struct suite *s, struct model *m,
    const struct score_opts *o, struct err *e);
void suite_score_release(struct suite_score *r); /* twice is fine */

/* One item's line of eval/MODEL/SUITE.jsonl; the caller decrefs. */
json_t *item_score_json(const struct suite_item *it,
    const struct item_score *r);
/*
 * What the lines add up to: items, mean, stderr, invalid, length_stops, cut,
 * nonfinite, mean_tokens, metric. The caller decrefs.
 */
json_t *suite_score_json(const struct suite *s, const struct suite_score *r);

/*
 * choice_tokens - the ids of a choice after a prompt
 *
 * The ids of prompt and choice together, past those of the prompt. Trailing
 * spaces of the prompt count as the beginning of the choice; `prompt` gets the
 * ids of the prompt without them. Where the two texts merge at the seam (")"
 * and ")\n" become one token), the prompt's ids are no beginning of the whole:
 * cutting at their number, as the harness does, would score a text that is not
 * the choice, so the choice's own ids are taken then. Errors when nothing is
 * left.
 */
int choice_tokens(struct tokenizer *t, const char *prompt_text,
    const char *choice_text, struct ids *prompt, struct ids *choice,
    struct err *e);

#endif
