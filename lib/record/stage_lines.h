/*
 * stage_lines.h - a stage file as text, for commands that look things up in it
 *
 * Steps parse their own arguments (stage.h); status, verify and rollback only
 * want to know where a repository, a key or an input lies.
 */
#ifndef QUERN_RECORD_STAGE_LINES_H
#define QUERN_RECORD_STAGE_LINES_H

#include <stddef.h>

#include "lib/base/err.h"

struct stage_lines {
    char *text; /* owned; its lines end in NUL instead of a newline */
    char **v;   /* owned; point into text */
    size_t n;
};

/* The file must end with the line --end: it was written whole. */
int stage_lines_read(struct stage_lines *l, const char *path, struct err *e);
void stage_lines_release(struct stage_lines *l);

/* VALUE of the first "--NAME=VALUE", or NULL. Borrowed. */
const char *stage_lines_value(const struct stage_lines *l, const char *name);
/* PATH of "--KIND=ROLE=PATH" (kind: in, src, dst), or NULL. Borrowed. */
const char *stage_lines_path(const struct stage_lines *l, const char *kind,
    const char *role);

#endif
