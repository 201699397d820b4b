#include "lib/record/object.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"

enum { COPY_CHUNK = 1 << 20 };

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
object_check(const char *object, const struct digest *d, uint64_t bytes,
    struct err *e)
{
    char hex[DIGEST_HEX], was[DIGEST_HEX];
    struct digest got;
    uint64_t n;

    if (access(object, F_OK) != 0)
        return err_set(e, ERR_UNCHECKED,
            "%s: the object is not there; fetch it from where it is kept",
            object);
    if (digest_file(&got, &n, object, e))
        return e->code;
    if (n != bytes || !digest_equal(&got, d))
        err_set(e, ERR_WORK,
            "%s: holds %llu bytes of sha256 %s, not %llu bytes of %s; restore "
            "it from a backup",
            object, (unsigned long long)n, digest_hex(&got, was),
            (unsigned long long)bytes, digest_hex(d, hex));
    return e->code;
}

/* Shares the inode if the file system lets us; true when the object is there. */
static bool
link_object(const char *object, const char *path)
{
    struct err ignored = { 0 };
    char *dir = path_dir(object);
    bool ok = file_mkdirs(dir, &ignored) == 0 && link(path, object) == 0;

    free(dir);
    return ok;
}

/* The bytes are hashed as they are written; another file is not kept. */
static int
copy_object(const char *object, const char *path, const struct digest *want,
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
            "%s: changed while it was being copied; run the command again",
            path);
    }
    outfile_release(&out);
    close(fd);
    return e->code;
}

int
object_put(const char *object, const char *path, const struct digest *d,
    uint64_t bytes, bool link_allowed, struct err *e)
{
    struct err was = { 0 };
    int state = object_check(object, d, bytes, &was);

    if (state == ERR_NONE)
        return 0;
    if (state == ERR_WORK && unlink(object) != 0)
        return err_sys(e, object, "cannot replace the damaged object", NULL);
    if (link_allowed) {
        /* what is shared is looked at first: a link cannot be hashed on its
         * way, and a damaged file must not become an object */
        if (object_check(path, d, bytes, e))
            return e->code = ERR_WORK;
        if (link_object(object, path))
            return 0;
    }
    if (copy_object(object, path, d, e))
        return e->code;
    return object_check(object, d, bytes, e);
}
