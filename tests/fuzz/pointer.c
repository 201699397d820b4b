/* Any bytes as a Git LFS pointer: only what we write ourselves is one. */
#include <string.h>

#include "lib/record/lfs.h"
#include "tests/fuzz/fuzz.h"

int
fuzz_one(const uint8_t *data, size_t size)
{
    struct digest d;
    struct str again = { 0 };
    uint64_t bytes;

    if (!lfs_pointer_parse((const char *)data, size, &d, &bytes))
        return 0;
    lfs_pointer(&again, &d, bytes);
    fuzz_require(again.len == size && memcmp(again.p, data, size) == 0,
        "a pointer has one form");
    str_release(&again);
    return 0;
}
