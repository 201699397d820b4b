/*
 * profile.h - how often tokens occur, document by document, and whether two
 * sets of documents could come from the same source
 *
 * A document is a bag: tokens counted in PROFILE_BUCKETS buckets. The bucket of
 * a token is its id modulo that number: vocabularies are ordered by how early
 * a token was merged, so the frequent tokens have buckets of their own. A
 * profile of production holds bags only, no text.
 *
 * Sets are compared by the Jensen-Shannon distance of their unigrams,
 *
 *   d(p, q) = sqrt((KL(p || m) + KL(q || m)) / 2),  m = (p + q) / 2
 *
 * with natural logarithms (nats). The distance of two samples of the very same
 * source is far from zero at these sizes, so the limit is drawn from the data:
 * the null distribution is that of whole documents of the reference against the
 * rest of the reference.
 */
#ifndef QUERN_TEXT_PROFILE_H
#define QUERN_TEXT_PROFILE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

enum {
    PROFILE_BUCKETS = 4096,
    PROFILE_MAX_DOCUMENTS = 1 << 20,
};

struct bag {
    uint32_t tokens;
    uint32_t len;     /* buckets that occur */
    uint16_t *bucket; /* [len], ascending; owned */
    uint32_t *count;  /* [len], all > 0; owned */
};

void bag_count(struct bag *b, const int32_t *ids, size_t n);
void bag_release(struct bag *b);
/*
 * bag_cut - as if only `window` tokens of the document had been seen: drawn
 * without return from its tokens. Nothing happens to shorter documents.
 */
void bag_cut(struct bag *b, uint32_t window, uint64_t seed, uint64_t stream);

/* Jensen-Shannon distance in nats of two histograms over n buckets. */
double js_distance(const double *a, const double *b, size_t n);
/* What each bucket adds to the divergence under the root; out is [n]. */
void js_parts(const double *a, const double *b, size_t n, double *out);

/* What traffic.json holds. */
struct profile {
    struct bag *doc; /* owned */
    size_t n;
    uint64_t tokens;
    uint64_t epoch;       /* how often the profile was taken anew, from 1 */
    uint64_t limit, seed; /* most documents it was allowed, and how drawn */
    char source[65];      /* SHA-256 of the file it was taken from */
    char tokenizer[65];   /* SHA-256 of base/tokenizer.fp.json */
};

/* `p` is zeroed by the caller; on error nothing is held. */
int profile_parse(struct profile *p, const char *path, const void *bytes,
    size_t len, struct err *e);
json_t *profile_json(const struct profile *p);
void profile_release(struct profile *p);

/* Outcome of a comparison. */
struct shift {
    double value;     /* mean distance of the sample to the draws' rests */
    double null_mean; /* mean distance of a draw to its rest */
    double null_top;  /* the asked quantile of those */
    size_t draws;
    size_t size;      /* documents in a draw */
    bool enough;      /* false: too few documents; nothing else is set */
};

/*
 * shift_measure - could `sample` be documents of `reference`?
 *
 * Each draw takes k = min(n, m / 2) documents of the reference and leaves a
 * rest. The null value is the distance of the drawn to the rest; the sample's
 * value is the distance of k of its documents (all, when n = k) to the same
 * rest, so both see the same sizes. The sample's mean over all draws is to be
 * held against the null's quantile. With `window` > 0 reference documents are
 * cut to it first, as the sample's were. Needs 20 documents on either side.
 * Same arguments, same result on every machine.
 */
void shift_measure(struct shift *s, const struct bag *sample, size_t n,
    const struct bag *reference, size_t m, uint32_t window, size_t draws,
    double quantile, uint64_t seed);

/* Sum of bags as histogram [PROFILE_BUCKETS]. */
void bags_sum(const struct bag *b, size_t n, double *out);

#endif
