/*
 * hash.c - see hash.h; the only file that sees libcrypto's digests
 */
#include "lib/base/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"

enum { READ_BYTES = 1 << 20 };

/* libcrypto fails here only for want of memory. */
static void
must(int ok)
{
    if (ok != 1)
        abort();
}

void
hasher_init(struct hasher *h)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    must(ctx != NULL);
    must(EVP_DigestInit_ex(ctx, EVP_sha256(), NULL));
    h->ctx = ctx;
}

void
hasher_add(struct hasher *h, const void *p, size_t n)
{
    must(EVP_DigestUpdate(h->ctx, p, n));
}

struct digest
hasher_final(struct hasher *h)
{
    struct digest d;
    unsigned n = 0;

    must(EVP_DigestFinal_ex(h->ctx, d.b, &n));
    hasher_release(h);
    return d;
}

void
hasher_release(struct hasher *h)
{
    EVP_MD_CTX_free(h->ctx);
    h->ctx = NULL;
}

struct digest
digest_of(const void *p, size_t n)
{
    struct hasher h = { 0 };

    hasher_init(&h);
    hasher_add(&h, p, n);
    return hasher_final(&h);
}

char *
digest_hex(const struct digest *d, char hex[DIGEST_HEX])
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < DIGEST_BYTES; i++) {
        hex[2 * i] = digits[d->b[i] >> 4];
        hex[2 * i + 1] = digits[d->b[i] & 15];
    }
    hex[DIGEST_HEX - 1] = '\0';
    return hex;
}

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

bool
digest_parse(struct digest *d, const char *hex)
{
    struct digest out;

    if (strlen(hex) != DIGEST_HEX - 1)
        return false;
    for (size_t i = 0; i < DIGEST_BYTES; i++) {
        int hi = hex_digit(hex[2 * i]), lo = hex_digit(hex[2 * i + 1]);

        if (hi < 0 || lo < 0)
            return false;
        out.b[i] = (uint8_t)(hi << 4 | lo);
    }
    *d = out;
    return true;
}

bool
digest_equal(const struct digest *a, const struct digest *b)
{
    return memcmp(a->b, b->b, DIGEST_BYTES) == 0;
}

int
digest_fd(struct digest *d, uint64_t *bytes, int fd, const char *path,
    struct err *e)
{
    struct hasher h = { 0 };
    uint8_t *buffer = mem_aligned(READ_BYTES, 1);
    uint64_t done = 0;
    int code = 0;

    hasher_init(&h);
    for (;;) {
        ssize_t n = pread(fd, buffer, READ_BYTES, (off_t)done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            code = err_sys(e, path, "cannot read", NULL);
            break;
        }
        if (n == 0)
            break;
        hasher_add(&h, buffer, (size_t)n);
        done += (uint64_t)n;
    }
    if (code == 0) {
        *d = hasher_final(&h);
        if (bytes != NULL)
            *bytes = done;
    }
    hasher_release(&h);
    free(buffer);
    return code;
}

int
digest_file(struct digest *d, uint64_t *bytes, const char *path,
    struct err *e)
{
    int fd = file_open(path, e);
    int code;

    if (fd < 0)
        return e->code;
    code = digest_fd(d, bytes, fd, path, e);
    close(fd);
    return code;
}
