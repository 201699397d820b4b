/*
 * stagefiles.h - the folder of stage files, rewritten only where text changed
 *
 * An index beside them (`.index`: digest, size, mtime in nanoseconds, name, one
 * file a line) tells what each one held, so that ten thousand unchanged files
 * cost ten thousand calls of stat and no reading. New files are written
 * directly, replaced ones through a rename; nothing is synced one by one. A
 * stage file ends with a line of its own, so a cut one cannot pass for whole.
 */
#ifndef QUERN_GEN_STAGEFILES_H
#define QUERN_GEN_STAGEFILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/hash.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

struct stagefile {
    const char *name;
    struct digest digest;
    uint64_t bytes;
    int64_t mtime_ns;
    bool kept;        /* an old entry that this run asked for again */
};

struct stagefiles {
    const char *dir;       /* borrowed */
    int fd;                /* of the folder */
    struct stagefile *old; /* as the index has them, sorted; owned */
    size_t n_old;
    struct stagefile *new; /* owned */
    size_t n_new, cap_new;
    bool wrote;            /* something on disk changed */
    bool locked;           /* no other generator is at work here */
    struct arena arena;
};

/* Makes the folder if it is missing. */
int stagefiles_open(struct stagefiles *f, const char *dir, struct err *e);
/* `name` within the folder. */
int stagefiles_put(struct stagefiles *f, const char *name, const char *text,
    size_t n, struct err *e);
/*
 * Removes files of the old index that were not put again and writes the new
 * index; then everything is on disk (one sync of the file system).
 */
int stagefiles_finish(struct stagefiles *f, struct err *e);
void stagefiles_close(struct stagefiles *f);

#endif
