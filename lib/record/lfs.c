#include "lib/record/lfs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/record/object.h"

static const char first_line[] = "version https://git-lfs.github.com/spec/v1\n";

void
lfs_pointer(struct str *out, const struct digest *d, uint64_t bytes)
{
    char hex[DIGEST_HEX];

    str_addf(out, "%soid sha256:%s\nsize %" PRIu64 "\n", first_line,
        digest_hex(d, hex), bytes);
}

bool
lfs_pointer_parse(const char *text, size_t len, struct digest *d,
    uint64_t *bytes)
{
    const size_t head = sizeof first_line - 1;
    const size_t oid = head + strlen("oid sha256:");
    char hex[DIGEST_HEX] = "", size[24] = "";
    struct str again = { 0 };
    unsigned long long n;
    bool same;

    if (len <= oid + 64 + strlen("\nsize ") || len >= 200)
        return false;
    memcpy(hex, text + oid, 64);
    memcpy(size, text + oid + 70, len - oid - 70 < 23 ? len - oid - 70 : 23);
    size[strcspn(size, "\n")] = 0;
    if (!digest_parse(d, hex) || !str_to_u64(size, UINT64_MAX, &n))
        return false;
    /* only the exact bytes that lfs_pointer writes are a pointer */
    lfs_pointer(&again, d, n);
    same = again.len == len && memcmp(again.p, text, len) == 0;
    str_release(&again);
    *bytes = n;
    return same;
}

char *
lfs_object_path(const char *git_dir, const struct digest *d)
{
    char hex[DIGEST_HEX];

    digest_hex(d, hex);
    return mem_printf("%slfs/objects/%.2s/%.2s/%s", git_dir, hex, hex + 2, hex);
}

int
lfs_put(const char *git_dir, const char *path, const struct digest *d,
    uint64_t bytes, bool link, struct err *e)
{
    char *object = lfs_object_path(git_dir, d);

    object_put(object, path, d, bytes, link, e);
    free(object);
    return e->code;
}

int
lfs_check(const char *git_dir, const struct digest *d, uint64_t bytes,
    struct err *e)
{
    char *object = lfs_object_path(git_dir, d);

    object_check(object, d, bytes, e);
    free(object);
    return e->code;
}
