/*
 * mem.h - allocation that cannot return NULL, checked sizes, arenas
 *
 * Running out of memory ends the process in one place (mem_fail), because sizes
 * that come from files are checked against limits before anything is allocated.
 */
#ifndef QUERN_BASE_MEM_H
#define QUERN_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define countof(a) (sizeof(a) / sizeof *(a))

/* Zeroed memory for `n` items of `size` bytes; never NULL, n == 0 allowed. */
void *mem_calloc(size_t n, size_t size);
/* Resized; the grown part is not zeroed. */
void *mem_realloc(void *p, size_t n, size_t size);
/* 64-byte aligned, not zeroed: for what SIMD kernels touch. Free with free(). */
void *mem_aligned(size_t n, size_t size);
/*
 * Page-aligned, not zeroed, in huge pages if the system has some: for what is
 * read from end to end again and again. Free with free().
 */
void *mem_huge(size_t bytes);
char *mem_strdup(const char *s);
char *mem_strndup(const char *s, size_t n);
/* Formatted, freshly allocated. */
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* True on overflow; *out is written only when there was none. */
bool size_mul(size_t a, size_t b, size_t *out)
    __attribute__((warn_unused_result));
bool size_add(size_t a, size_t b, size_t *out)
    __attribute__((warn_unused_result));
bool size_from_u64(uint64_t v, size_t *out)
    __attribute__((warn_unused_result));

/*
 * struct arena - memory that is freed all at once; a zeroed struct is empty
 * What a parser builds lives in one arena that its owner releases.
 */
struct arena {
    struct arena_block *head; /* newest block; owned */
};

void *arena_alloc(struct arena *a, size_t n); /* zeroed, 16-byte aligned */
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_strdup(struct arena *a, const char *s);
char *arena_printf(struct arena *a, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void arena_release(struct arena *a);

#endif
