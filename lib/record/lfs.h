/*
 * lfs.h - Git LFS pointers and objects
 *
 * Pointer, exactly these bytes (specification v1):
 *
 *   version https://git-lfs.github.com/spec/v1\n
 *   oid sha256:<64 lower-case hex digits>\n
 *   size <decimal>\n
 *
 * Object: GITDIR/lfs/objects/<hex 0-1>/<hex 2-3>/<hex>, mode 0444. The oid is
 * the file's plain SHA-256, the identity quern uses everywhere.
 */
#ifndef QUERN_RECORD_LFS_H
#define QUERN_RECORD_LFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/hash.h"
#include "lib/base/str.h"

void lfs_pointer(struct str *out, const struct digest *d, uint64_t bytes);
/* False for anything but the exact form; extensions are refused. */
bool lfs_pointer_parse(const char *text, size_t len, struct digest *d,
    uint64_t *bytes);

/* Freshly allocated. */
char *lfs_object_path(const char *git_dir, const struct digest *d);

/*
 * lfs_put - put a file's bytes into the object folder
 * The bytes must hash to `d`. With `link`, the object may share the file's
 * inode (for files that nobody ever writes: store objects).
 */
int lfs_put(const char *git_dir, const char *path, const struct digest *d,
    uint64_t bytes, bool link, struct err *e);

/* ERR_UNCHECKED when it is not there, ERR_WORK when the bytes are others. */
int lfs_check(const char *git_dir, const struct digest *d, uint64_t bytes,
    struct err *e);

#endif
