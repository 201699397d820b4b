/*
 * map_guard.h - a mapped file that shrinks, or whose disk fails, while it is
 * read
 *
 * Reading such a mapping raises SIGBUS, which nobody can return from. The first
 * guarded mapping installs a handler: it names the file, removes temporaries
 * and ends the process with status 1 (cleanup_fail).
 */
#ifndef QUERN_BASE_MAP_GUARD_H
#define QUERN_BASE_MAP_GUARD_H

#include "lib/base/file.h"

/*
 * While guarded, m->p, m->len and m->path must not change. Up to 2048 mappings
 * are known by name; more are guarded and not named.
 */
void map_guard_add(const struct map *m);
void map_guard_drop(const struct map *m);

#endif
