/*
 * object.h - files named by their SHA-256, wherever they lie
 *
 * What store.h and lfs.h share: writing such a file once, whole, read-only, and
 * reading it back.
 */
#ifndef QUERN_RECORD_OBJECT_H
#define QUERN_RECORD_OBJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/hash.h"

/*
 * object_put - make `object` hold the bytes of `path`, which must hash to `d`
 * Nothing is kept otherwise. An object that is whole already is left alone. With
 * `link_allowed` both may become names of one file, where the file system can.
 */
int object_put(const char *object, const char *path, const struct digest *d,
    uint64_t bytes, bool link_allowed, struct err *e);

/*
 * object_check - read it back
 * ERR_UNCHECKED when it is not there, ERR_WORK when the bytes are others.
 */
int object_check(const char *object, const struct digest *d, uint64_t bytes,
    struct err *e);

#endif
