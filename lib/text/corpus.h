/*
 * corpus.h - what makes a set of documents fit for calibration: no duplicates,
 * no giants, nothing of the evaluation suites
 *
 * Nothing here knows where documents come from or keeps their text.
 */
#ifndef QUERN_TEXT_CORPUS_H
#define QUERN_TEXT_CORPUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/str.h"

enum {
    CORPUS_RUN = 13,          /* tokens that make an overlap */
    CORPUS_STOCK = 10,        /* a run in more documents is a stock phrase */
    CORPUS_SHINGLE_WORDS = 5,
};

/*
 * corpus_normalize - NFC, lower case, each run of white space one space,
 * trimmed: two texts that differ in nothing else are exact duplicates.
 * Replaces `out`. False when text is not UTF-8.
 */
bool corpus_normalize(const char *text, size_t len, struct str *out);

/* The set of word 5-grams of a text, as sorted 64-bit hashes. */
struct shingles {
    uint64_t *v; /* owned */
    size_t n;
};

/*
 * corpus_shingles - of a normalized text
 * A word is a maximal run of letters, marks and digits. A text of fewer than
 * five words is one shingle: itself.
 */
void corpus_shingles(struct shingles *s, const char *norm, size_t len);
void shingles_release(struct shingles *s);
/* |a and b| / |a or b|; 1 for two empty sets. */
double shingles_jaccard(const struct shingles *a, const struct shingles *b);

/*
 * struct overlap - runs of CORPUS_RUN tokens that occur in the suites, and in
 * how many documents of the pool each one occurs
 *
 * First overlap_add every suite item, then overlap_note every document of the
 * pool once, then ask overlap_hit. A run that more than CORPUS_STOCK documents
 * share is a stock phrase ("Question: How many ..."), no leak.
 */
struct overlap {
    struct overlap_run *run; /* open addressing; owned */
    size_t cap, n;
    uint64_t documents; /* noted so far */
};

void overlap_add(struct overlap *o, const int32_t *ids, size_t n);
void overlap_note(struct overlap *o, const int32_t *ids, size_t n);
bool overlap_hit(const struct overlap *o, const int32_t *ids, size_t n);
void overlap_release(struct overlap *o);

/*
 * corpus_cap - the most tokens that one document may bring so that none holds
 * more than `share` (0 to 1) of all
 *
 * len[i] tokens would be taken of document i. Returns the largest c with
 * c <= share * sum min(len[i], c), at most max len; 0 when there is none (too
 * few documents for such a share).
 */
uint64_t corpus_cap(const uint64_t *len, size_t n, double share);

#endif
