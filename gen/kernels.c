/*
 * kernels.c - is there a kernel? A lookup in policies/kernels.tsv
 */
#include "gen/kernels.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"

enum { KERNELS_MAX = 1 << 20, COLUMNS = 10 };

/* Cuts a line into columns in place. */
static bool
cut(char *line, char *column[COLUMNS])
{
    size_t n = 0;

    for (char *s = line; s != NULL; ) {
        if (n == COLUMNS)
            return false;
        column[n++] = s;
        s = strchr(s, '\t');
        if (s != NULL)
            *s++ = '\0';
    }
    return n == COLUMNS;
}

static bool
take_row(struct kernel_row *row, char *line, size_t number)
{
    unsigned long long low, high;
    char *c[COLUMNS];

    if (!cut(line, c) || !str_to_u64(c[5], 999, &low) ||
        !str_to_u64(c[6], 999, &high))
        return false;
    *row = (struct kernel_row){ c[0], c[1], c[2], c[3], c[4], (unsigned)low,
        (unsigned)high, c[7], c[8], c[9], number };
    return true;
}

int
kernels_read(struct kernels *k, const char *path, struct err *e)
{
    size_t number = 1;

    *k = (struct kernels){ 0 };
    if (blob_read(&k->text, path, KERNELS_MAX, e))
        return e->code;
    for (char *line = k->text.p; line != NULL && *line != '\0'; number++) {
        char *end = strchr(line, '\n');

        if (end != NULL)
            *end++ = '\0';
        if (*line != '#' && *line != '\0') {
            k->v = mem_realloc(k->v, k->n + 1, sizeof *k->v);
            if (!take_row(&k->v[k->n], line, number))
                return err_set(e, ERR_WORK, "%s:%zu: not a row of ten "
                    "columns; see the head of the file", path, number);
            k->n++;
        }
        line = end;
    }
    return 0;
}

void
kernels_release(struct kernels *k)
{
    free(k->v);
    blob_release(&k->text);
    *k = (struct kernels){ 0 };
}

/* Whether `word` is one of the words between commas. */
static bool
among(const char *list, const char *word)
{
    size_t n = strlen(word);

    for (const char *s = list; ; s++) {
        size_t len = strcspn(s, ",");

        if (len == n && memcmp(s, word, n) == 0)
            return true;
        s += len;
        if (*s == '\0')
            return false;
    }
}

const struct kernel_row *
kernels_find(const struct kernels *k, const char *runtime,
    const char *device, const char *container, const char *type,
    unsigned capability)
{
    for (size_t i = 0; i < k->n; i++) {
        const struct kernel_row *r = &k->v[i];

        if (strcmp(r->runtime, runtime) == 0 && among(r->devices, device) &&
            among(r->containers, container) && among(r->types, type) &&
            (capability == 0 || capability >= r->low) &&
            (capability == 0 || r->high == 0 || capability <= r->high))
            return r;
    }
    return NULL;
}
