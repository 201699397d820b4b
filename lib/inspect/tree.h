/*
 * tree.h - any JSON as lines for a person: plain members first, then lists and
 * objects under a title, objects of one form as a table
 */
#ifndef QUERN_INSPECT_TREE_H
#define QUERN_INSPECT_TREE_H

#include <jansson.h>
#include <stdbool.h>

#include "lib/base/str.h"

/* An array of values, or an object. Without `all` long things are cut. */
void tree_view(json_t *v, bool all, struct str *out);
/* The same below a line with this title; nothing for an empty or no value. */
void tree_part(const char *title, json_t *v, bool all, struct str *out);

#endif
