/*
 * wire.h - SSH's binary form: big-endian uint32, and strings of length + bytes
 *
 * The reader never leaves its buffer: after the first thing that does not fit
 * `bad` is set and every later read gives nothing. The writer fills a buffer
 * that the caller sized; running over is an error of ours (assert).
 */
#ifndef QUERN_RECORD_WIRE_H
#define QUERN_RECORD_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wire {
    const uint8_t *p; /* borrowed */
    size_t n;         /* what is left */
    bool bad;
};

uint32_t wire_u32(struct wire *w);
/* A view of the string's bytes; an empty one when bad. */
struct wire wire_string(struct wire *w);
/* Reads a string and tells whether it is `text`. */
bool wire_is(struct wire *w, const char *text);
/* Reads `n` plain bytes and tells whether they are those at `p`. */
bool wire_match(struct wire *w, const void *p, size_t n);

struct wire_out {
    uint8_t *p; /* borrowed */
    size_t n, cap;
};

void wire_put(struct wire_out *w, const void *p, size_t n);
void wire_put_u32(struct wire_out *w, uint32_t v);
void wire_put_string(struct wire_out *w, const void *p, size_t n);
void wire_put_text(struct wire_out *w, const char *text);

#endif
