/*
 * stage_lines.h - a stage file as text, for commands that look things up in it
 *
 * Steps parse their own arguments (stage.h); status, verify and rollback only
 * want to know where a repository, a key or an input lies, and whether a record
 * was made from these arguments.
 */
#ifndef QUERN_RECORD_STAGE_LINES_H
#define QUERN_RECORD_STAGE_LINES_H

#include <stddef.h>

#include "lib/base/err.h"
#include "lib/record/record.h"

struct stage_lines {
    char *text; /* owned; its lines end in NUL instead of a newline */
    char **v;   /* owned; point into text */
    size_t n;
};

/* The file must end with the line --end: it was written whole. */
int stage_lines_read(struct stage_lines *l, const char *path, struct err *e);
/* The same for text in memory, which is copied. */
int stage_lines_parse(struct stage_lines *l, const char *text, size_t n,
    const char *place, struct err *e);
void stage_lines_release(struct stage_lines *l);

/* VALUE of the first "--NAME=VALUE", or NULL. Borrowed. */
const char *stage_lines_value(const struct stage_lines *l, const char *name);
/* PATH of "--KIND=ROLE=PATH" (kind: in, src, dst), or NULL. Borrowed. */
const char *stage_lines_path(const struct stage_lines *l, const char *kind,
    const char *role);
/* Where input ROLE lies: its PATH, else DIR/ROLE. Caller frees. */
char *stage_lines_in(const struct stage_lines *l, const char *dir,
    const char *role);

/*
 * stage_lines_match - were these the arguments of this record?
 * Paths are left aside: a record names roles. An error names the first line
 * that differs; `place` is the stage file's name.
 */
int stage_lines_match(const struct stage_lines *l, const struct record *r,
    const char *place, struct err *e);

#endif
