/*
 * problems.h - everything that is wrong with a policy, one line each
 *
 * A person who edits a checklist wants all complaints at once, so they are
 * collected here instead of stopping at the first.
 */
#ifndef QUERN_GEN_PROBLEMS_H
#define QUERN_GEN_PROBLEMS_H

#include <stddef.h>

#include "gen/yaml.h"
#include "lib/base/err.h"

enum { PROBLEMS_MAX = 20 };

struct problems {
    const char *file; /* the policy; borrowed */
    struct err v[PROBLEMS_MAX];      /* by line and column */
    unsigned place[PROBLEMS_MAX][2]; /* line, column */
    size_t n;         /* kept; more are dropped */
    size_t unsigned_n; /* of these, waivers that only lack a signature */
};

/* `at` NULL: the start of the file. */
void problem(struct problems *p, const struct yaml *at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The same at the key of an entry. */
void problem_key(struct problems *p, const struct yaml *at, const char *fmt,
    ...) __attribute__((format(printf, 3, 4)));

/*
 * The name that was meant: the nearest of `n` names within two edits, or NULL.
 * `names` are `stride` bytes apart, each the first member of its struct.
 */
const char *nearest_name(const char *name, const void *names, size_t n,
    size_t stride);

#endif
