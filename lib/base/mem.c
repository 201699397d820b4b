/*
 * mem.c - see mem.h
 */
#include "lib/base/mem.h"

#include <stdarg.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/base/cleanup.h"

enum { ARENA_BLOCK = 64 * 1024, ARENA_ALIGN = 16, MEM_ALIGN = 64,
    HUGE_ALIGN = 2 << 20 };

/* The one place where running out of memory ends the process. */
static _Noreturn void
mem_fail(void)
{
    cleanup_fail(NULL, "out of memory; free some and run it again");
}

void *
mem_calloc(size_t n, size_t size)
{
    void *p = calloc(n > 0 ? n : 1, size > 0 ? size : 1);

    if (p == NULL)
        mem_fail();
    return p;
}

void *
mem_realloc(void *p, size_t n, size_t size)
{
    size_t bytes;

    if (size_mul(n, size, &bytes))
        mem_fail();
    p = realloc(p, bytes > 0 ? bytes : 1);
    if (p == NULL)
        mem_fail();
    return p;
}

void *
mem_aligned(size_t n, size_t size)
{
    size_t bytes;
    void *p = NULL;

    if (size_mul(n, size, &bytes) || size_add(bytes, MEM_ALIGN - 1, &bytes))
        mem_fail();
    bytes = bytes / MEM_ALIGN * MEM_ALIGN;
    if (posix_memalign(&p, MEM_ALIGN, bytes > 0 ? bytes : MEM_ALIGN) != 0)
        mem_fail();
    return p;
}

void *
mem_huge(size_t bytes)
{
    void *p = NULL;

    if (size_add(bytes, HUGE_ALIGN - 1, &bytes))
        mem_fail();
    bytes = bytes / HUGE_ALIGN * HUGE_ALIGN;
    if (posix_memalign(&p, HUGE_ALIGN, bytes > 0 ? bytes : HUGE_ALIGN) != 0)
        mem_fail();
    /* a wish: small pages do as well, only slower */
    (void)madvise(p, bytes, MADV_HUGEPAGE);
    return p;
}

char *
mem_strdup(const char *s)
{
    return mem_strndup(s, strlen(s));
}

char *
mem_strndup(const char *s, size_t n)
{
    size_t bytes;
    char *p;

    if (size_add(n, 1, &bytes))
        mem_fail();
    p = mem_realloc(NULL, bytes, 1);
    if (n > 0)
        memcpy(p, s, n);
    p[n] = '\0';
    return p;
}

char *
mem_printf(const char *fmt, ...)
{
    char *p = NULL;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vasprintf(&p, fmt, ap);
    va_end(ap);
    if (n < 0)
        mem_fail();
    return p;
}

bool
size_mul(size_t a, size_t b, size_t *out)
{
    if (b != 0 && a > SIZE_MAX / b)
        return true;
    *out = a * b;
    return false;
}

bool
size_add(size_t a, size_t b, size_t *out)
{
    if (a > SIZE_MAX - b)
        return true;
    *out = a + b;
    return false;
}

bool
size_from_u64(uint64_t v, size_t *out)
{
#if SIZE_MAX < UINT64_MAX
    if (v > SIZE_MAX)
        return true;
#endif
    *out = (size_t)v;
    return false;
}

struct arena_block {
    struct arena_block *next; /* owned */
    size_t used, size;        /* bytes of data */
    alignas(ARENA_ALIGN) unsigned char data[];
};

void *
arena_alloc(struct arena *a, size_t n)
{
    struct arena_block *b = a->head;
    size_t need, bytes;
    void *p;

    if (size_add(n > 0 ? n : 1, ARENA_ALIGN - 1, &need))
        mem_fail();
    need = need / ARENA_ALIGN * ARENA_ALIGN;
    if (b == NULL || need > b->size - b->used) {
        size_t size = need > ARENA_BLOCK ? need : ARENA_BLOCK;

        if (size_add(size, sizeof *b, &bytes))
            mem_fail();
        b = mem_calloc(1, bytes);
        b->size = size;
        b->next = a->head;
        a->head = b;
    }
    p = b->data + b->used;
    b->used += need;
    return p;
}

char *
arena_strndup(struct arena *a, const char *s, size_t n)
{
    size_t bytes;
    char *p;

    if (size_add(n, 1, &bytes))
        mem_fail();
    p = arena_alloc(a, bytes);
    if (n > 0)
        memcpy(p, s, n);
    return p;
}

char *
arena_strdup(struct arena *a, const char *s)
{
    return arena_strndup(a, s, strlen(s));
}

char *
arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    int n;
    char *p;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        mem_fail();
    p = arena_alloc(a, (size_t)n + 1);
    va_start(ap, fmt);
    vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return p;
}

void
arena_release(struct arena *a)
{
    while (a->head != NULL) {
        struct arena_block *next = a->head->next;

        free(a->head);
        a->head = next;
    }
}
