/*
 * ids.h - growing array of token ids; a zeroed struct is empty
 */
#ifndef QUERN_TEXT_IDS_H
#define QUERN_TEXT_IDS_H

#include <stddef.h>
#include <stdint.h>

struct ids {
    int32_t *v; /* owned */
    size_t n;   /* ids in use */
    size_t cap; /* ids allocated */
};

/* ids_reserve - make room for `more` ids past the end; returns that end */
int32_t *ids_reserve(struct ids *ids, size_t more);
void ids_add(struct ids *ids, int32_t id);
void ids_addn(struct ids *ids, const int32_t *v, size_t n);
void ids_clear(struct ids *ids);   /* empty, memory kept */
void ids_release(struct ids *ids); /* empty, memory freed; twice is fine */

#endif
