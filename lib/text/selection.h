/*
 * selection.h - choose calibration documents from a pool, and a window of each
 *
 * Every line of the pool is read and checked. Documents are then taken in an
 * order drawn with the seed until `count` are kept; one is dropped when
 *
 *   exact-duplicate  its normalized text equals that of an earlier one
 *   overlap          it gives a suite's prompt away (see corpus.h)
 *   near-duplicate   its word 5-grams overlap those of a kept one too much
 *   empty            it has no tokens
 *
 * A document gives one window, from a place drawn uniformly, so a giant counts
 * no more than others; no window is longer than `window` tokens or holds more
 * than `share` of all tokens. A window that starts where its document starts
 * has the tokenizer's bos in front, as prompts do.
 *
 * Texts are not kept: a document is read again when its turn comes.
 */
#ifndef QUERN_TEXT_SELECTION_H
#define QUERN_TEXT_SELECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/hash.h"
#include "lib/base/progress.h"
#include "lib/text/corpus.h"
#include "lib/text/ids.h"
#include "lib/text/jsonl.h"
#include "lib/text/tokenizer.h"

enum fate {
    FATE_WAITS, /* not drawn before enough were kept */
    FATE_KEPT,
    FATE_EMPTY,
    FATE_EXACT,
    FATE_NEAR,
    FATE_OVERLAP,
    FATE_COUNT
};

/* "not-drawn", "exact-duplicate", ...: the words of the report. */
const char *fate_name(enum fate f);

/* A document of the pool, in the order of its lines. */
struct doc {
    struct jsonl line;  /* where it stands */
    char *id;           /* its `id`, or "line-N"; owned */
    struct digest text; /* of the normalized text */
    size_t rank;        /* place in the drawn order */
    enum fate fate;
    size_t of;          /* of a duplicate: the document that stays */
};

/* A kept document; after selection_cut its window. */
struct sample {
    size_t doc;
    struct shingles words;
    struct ids ids; /* without bos */
    bool bos;       /* the window has bos in front */
    bool cut;       /* it is not the whole document */
};

struct selection {
    /* set by the caller */
    struct tokenizer *tok; /* borrowed */
    size_t count, window;
    uint64_t seed;
    double share; /* of all tokens, 0 to 1 */
    double near;  /* Jaccard similarity that is too near */
    /* the rest is the module's; zeroed by the caller */
    struct overlap suites;
    struct doc *doc;     /* owned */
    size_t n_docs;
    struct sample *kept; /* [count], owned */
    size_t n_kept;
    uint64_t fates[FATE_COUNT];
    uint64_t phrases;    /* kept documents that share a run with a prompt */
    uint64_t tokens, largest; /* of the windows, with bos */
    uint64_t longest;    /* most tokens that a window could have */
    bool fits;           /* `share` holds; else there are too few documents */
};

/* The prompts of a suite, which no document may give away. */
int selection_suite(struct selection *s, struct jsonl it, struct err *e);
/*
 * selection_read - all documents of the pool
 * The text behind `it` must stay until selection_release. Errors: a line that
 * is no document, text that is not UTF-8, no documents at all.
 */
int selection_read(struct selection *s, struct jsonl it, struct err *e);
/* Decides every document's fate. `p` counts documents; may be NULL. */
void selection_choose(struct selection *s, struct progress *p);
/* Cuts the kept documents to their windows. */
void selection_cut(struct selection *s);
void selection_release(struct selection *s); /* twice is fine */

#endif
