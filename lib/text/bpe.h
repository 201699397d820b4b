/*
 * bpe.h - byte pair encoding of one word
 *
 * A word becomes symbols, one for each character (for each byte when the
 * tokenizer is byte-level); then the adjacent pair of lowest rank is merged,
 * the leftmost of equals first, until no pair merges. Short words are merged by
 * looking at all pairs each time, long ones with a heap: O(n log n). Short
 * words that came before are answered from a cache.
 *
 * Where a word may be a whole document (Llama-2, Gemma), it is first cut
 * between characters that no merge joins: merges on the two sides then cannot
 * touch, so the ids are the same.
 */
#ifndef QUERN_TEXT_BPE_H
#define QUERN_TEXT_BPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/text/ids.h"
#include "lib/text/vocab.h"

struct bpe_pair {
    uint32_t left, right;
};

struct bpe_cached;

struct bpe {
    struct vocab vocab;
    struct merges merges;
    struct bpe_pair *pair; /* [n_pair] merges by rank; owned */
    size_t n_pair, cap_pair;
    bool byte_level, byte_fallback, fuse_unk, ignore_merges;
    int32_t unk; /* -1: characters that are unknown are dropped */

    /* made by bpe_finish */
    int32_t byte_id[256]; /* symbol of a byte, -1: none */
    bool has_bytes;       /* every byte has one */
    int32_t *bmp;         /* [65536] id of a code point, -1: none; owned */
    uint64_t *joins;      /* bits: merges join such pairs; NULL: no cuts */

    /* scratch */
    struct bpe_cached *cache; /* owned */
    struct ids sym;
    uint32_t *prev, *next; /* [cap_link]; owned */
    uint64_t *heap;        /* [cap_heap]; owned */
    size_t cap_link, n_heap, cap_heap;
    char *mapped; /* a word in the bytes' characters; owned */
    size_t cap_mapped;
};

/* Adds the next merge; the ids are of `vocab`, `id` what they become. */
void bpe_add_merge(struct bpe *b, uint32_t left, uint32_t right, uint32_t id);
/* Adds a merge of a given rank that the list of merges does not hold. */
void bpe_add_ranked(struct bpe *b, uint32_t left, uint32_t right,
    uint32_t rank, uint32_t id);
/* Call once vocab, merges and flags are complete. */
void bpe_finish(struct bpe *b);
void bpe_release(struct bpe *b);

/* Appends the ids of the word s[0..n), valid UTF-8, n > 0. */
void bpe_word(struct bpe *b, const char *s, size_t n, struct ids *out);

#endif
