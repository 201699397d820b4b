/*
 * store.h - the archive: files kept under their own SHA-256
 *
 *   STORE/sha256/ab/abcdef...     the bytes, mode 0444
 *
 * The same layout as Git LFS's object folder one level down, so an object can
 * be linked into either. An object is written to a temporary, synced and
 * renamed; nothing is ever overwritten or removed.
 */
#ifndef QUERN_RECORD_STORE_H
#define QUERN_RECORD_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/hash.h"

/* Where an object lies; freshly allocated. */
char *store_path(const char *store, const struct digest *d);

/*
 * store_put - copy a file into the store and read it back
 * `expect`, if not NULL, is what the file must hash to: otherwise nothing is
 * kept and the message says that the file changed. An object that is there and
 * whole is only read back. *got is the digest of what the store now holds.
 */
int store_put(const char *store, const char *path, const struct digest *expect,
    struct digest *got, uint64_t *bytes, struct err *e);

/*
 * store_check - read an object back and compare
 * ERR_UNCHECKED when the object is not there, ERR_WORK when its bytes are not
 * what its name says.
 */
int store_check(const char *store, const struct digest *d, uint64_t bytes,
    struct err *e);

#endif
