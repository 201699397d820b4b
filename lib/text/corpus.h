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
    CORPUS_RUN = 13,     /* tokens: shorter runs are not looked at */
    CORPUS_STOCK = 10,   /* a run in more documents is a stock phrase */
    CORPUS_STRETCH = 50, /* so many tokens in a row are a leak */
    CORPUS_COVERAGE = 80, /* percent of a prompt's tokens, likewise */
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
 * struct overlap - which prompts of the suites a document gives away
 *
 * What a prompt and a document share is found by runs of CORPUS_RUN tokens. A
 * run that more than CORPUS_STOCK documents of the pool have is a stock phrase
 * ("Question: How many ...") and does not count. A single shared run is common
 * between texts of one kind and no leak: a document gives a prompt away when
 * shared runs cover CORPUS_COVERAGE percent of its tokens (what Llama 2 calls
 * dirty, arXiv 2307.09288, appendix A.6), or CORPUS_STRETCH in a row.
 *
 * First overlap_add every prompt, then overlap_note every document of the pool
 * once, then ask overlap_look. A zeroed struct is empty.
 */
struct overlap {
    struct overlap_run *run;       /* open addressing; owned */
    size_t cap, n;
    struct overlap_place *place;   /* where runs stand in prompts; owned */
    size_t n_places, cap_places;
    struct overlap_prompt *prompt; /* owned */
    size_t n_prompts, cap_prompts;
    uint8_t *covered;              /* of all prompts' tokens; owned */
    size_t tokens;
    uint64_t documents;            /* noted so far */
};

enum overlap_verdict {
    OVERLAP_NONE,
    OVERLAP_PHRASE, /* shares a run with a prompt, gives none away */
    OVERLAP_LEAK,
};

void overlap_add(struct overlap *o, const int32_t *ids, size_t n);
void overlap_note(struct overlap *o, const int32_t *ids, size_t n);
enum overlap_verdict overlap_look(struct overlap *o, const int32_t *ids,
    size_t n);
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
