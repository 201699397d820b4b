#include "lib/record/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"

enum { COPY_CHUNK = 1 << 20 };

char *
store_path(const char *store, const struct digest *d)
{
    char hex[DIGEST_HEX];

    digest_hex(d, hex);
    return mem_printf("%s/sha256/%.2s/%s", store, hex, hex);
}

/* Copies all of `in` to `out`; a read error is reported against `path`. */
static int
copy_bytes(struct outfile *out, int in, const char *path, struct err *e)
{
    char *buf = mem_calloc(COPY_CHUNK, 1);
    ssize_t n;

    do {
        n = read(in, buf, COPY_CHUNK);
        if (n > 0)
            outfile_write(out, buf, (size_t)n);
        else if (n < 0 && errno != EINTR)
            err_sys(e, path, "cannot read", NULL);
    } while (n > 0 || (n < 0 && errno == EINTR && !e->code));
    free(buf);
    return e->code;
}

int
store_check(const char *store, const struct digest *d, uint64_t bytes,
    struct err *e)
{
    char *path = store_path(store, d);
    char hex[DIGEST_HEX], was[DIGEST_HEX];
    struct digest got;
    uint64_t n;

    if (access(path, F_OK) != 0) {
        err_set(e, ERR_UNCHECKED,
            "%s: not in the archive; give the store that holds it", path);
    } else if (digest_file(&got, &n, path, e) == 0 &&
        (n != bytes || !digest_equal(&got, d))) {
        err_set(e, ERR_WORK,
            "%s: holds %llu bytes of sha256 %s, not %llu bytes of %s; "
            "restore it from a backup",
            path, (unsigned long long)n, digest_hex(&got, was),
            (unsigned long long)bytes, digest_hex(d, hex));
    }
    free(path);
    return e->code;
}

/* Writes the object; the bytes are hashed again on the way. */
static int
write_object(const char *object, const char *path, const struct digest *want,
    struct err *e)
{
    struct outfile out = { 0 };
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return err_sys(e, path, "cannot open", NULL);
    if (outfile_create_mode(&out, object, 0444, e) == 0 &&
        copy_bytes(&out, fd, path, e) == 0 && outfile_commit(&out, e) == 0 &&
        !digest_equal(&out.digest, want)) {
        unlink(object);
        err_set(e, ERR_WORK,
            "%s: changed while it was being archived; run 'ninja' again", path);
    }
    outfile_release(&out);
    close(fd);
    return e->code;
}

int
store_put(const char *store, const char *path, const struct digest *expect,
    struct digest *got, uint64_t *bytes, struct err *e)
{
    struct err missing = { 0 };
    char *object = NULL;

    if (digest_file(got, bytes, path, e))
        return e->code;
    if (expect && !digest_equal(got, expect))
        return err_set(e, ERR_WORK,
            "%s: is not what the fingerprint says; run 'ninja' again so that "
            "the fingerprint is taken anew",
            path);
    object = store_path(store, got);
    if (store_check(store, got, *bytes, &missing) != ERR_NONE)
        write_object(object, path, got, e);
    if (!e->code)
        store_check(store, got, *bytes, e);
    free(object);
    return e->code;
}
