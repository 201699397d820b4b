#include "lib/record/store.h"

#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/record/object.h"

char *
store_path(const char *store, const struct digest *d)
{
    char hex[DIGEST_HEX];

    digest_hex(d, hex);
    return mem_printf("%s/sha256/%.2s/%s", store, hex, hex);
}

int
store_check(const char *store, const struct digest *d, uint64_t bytes,
    struct err *e)
{
    char *path = store_path(store, d);

    object_check(path, d, bytes, e);
    free(path);
    return e->code;
}

int
store_put(const char *store, const char *path, const struct digest *expect,
    struct digest *got, uint64_t *bytes, struct err *e)
{
    char *object = NULL;

    if (digest_file(got, bytes, path, e))
        return e->code;
    if (expect && !digest_equal(got, expect))
        return err_set(e, ERR_WORK,
            "%s: is not what the fingerprint says; run 'ninja' again so that "
            "the fingerprint is taken anew",
            path);
    object = store_path(store, got);
    object_put(object, path, got, *bytes, false, e);
    free(object);
    return e->code;
}
