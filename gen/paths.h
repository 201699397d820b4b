/*
 * paths.h - one place where paths change their point of view
 *
 * People give paths relative to the folder they are in, a policy gives them
 * relative to itself, and ninja wants them relative to the folder it runs in
 * (the root). Below the root a path is written relative to it; elsewhere it
 * stays absolute if it was given so, and climbs with `..` if it was not.
 */
#ifndef QUERN_GEN_PATHS_H
#define QUERN_GEN_PATHS_H

#include "lib/base/err.h"

struct paths {
    char *cwd;  /* absolute; owned */
    char *root; /* absolute, where ninja runs; owned */
};

/* `root` NULL: the current folder. */
int paths_init(struct paths *p, const char *root, struct err *e);
void paths_release(struct paths *p);

/* Absolute, without `.`, `..` and double slashes; freshly allocated. */
char *paths_absolute(const struct paths *p, const char *path);

/*
 * paths_graph - how the graph names a file
 * `base` is the folder that `path` is relative to, itself relative to the
 * current folder; NULL: the current folder. Freshly allocated.
 */
char *paths_graph(const struct paths *p, const char *base, const char *path);

#endif
