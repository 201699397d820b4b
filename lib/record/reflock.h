/*
 * reflock.h - one mover of refs at a time, and cleaning up after a killed one
 *
 * git locks a ref by making REF.lock beside it and cannot know whether the
 * process that made it still lives. So quern's own movers take
 * GITDIR/quern/moving first: the kernel gives that lock back when they die. It
 * holds the names of the refs that are being moved; names found in it belong
 * to a mover that was killed, and its REF.lock files are removed.
 */
#ifndef QUERN_RECORD_REFLOCK_H
#define QUERN_RECORD_REFLOCK_H

#include <stddef.h>

#include "lib/base/err.h"

/*
 * Waits for the lock; *fd holds it. `git_dir` ends in a slash. A file system
 * without locks gives -1 and no error: the refs' own locks still hold.
 */
int reflock_take(int *fd, const char *git_dir, const char *const *refs,
    size_t n, struct err *e);
/* The move is over: the names are removed and the lock given back. */
void reflock_drop(int *fd);

#endif
