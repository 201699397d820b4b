/*
 * includes.c - which headers a C file needs, found by reading it
 */
#include "gen/includes.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/file.h"

enum { SOURCE_MAX = 16 << 20 }; /* bytes of one source file */

static size_t
slot_of(const struct includes *inc, const char *path)
{
    uint64_t h = 1469598103934665603u;
    size_t i;

    for (const char *s = path; *s != '\0'; s++)
        h = (h ^ (unsigned char)*s) * 1099511628211u;
    i = (size_t)(h % inc->n_slots);
    while (inc->slots[i] != 0 &&
        strcmp(inc->v[inc->slots[i] - 1].path, path) != 0)
        i = (i + 1) % inc->n_slots;
    return i;
}

static void
grow(struct includes *inc)
{
    inc->cap = inc->cap > 0 ? 2 * inc->cap : 256;
    inc->v = mem_realloc(inc->v, inc->cap, sizeof *inc->v);
    free(inc->slots);
    inc->n_slots = 4 * inc->cap;
    inc->slots = mem_calloc(inc->n_slots, sizeof *inc->slots);
    for (size_t i = 0; i < inc->n; i++)
        inc->slots[slot_of(inc, inc->v[i].path)] = i + 1;
}

static size_t read_file(struct includes *inc, const char *path);

/* The file that `name` means inside `from`; SIZE_MAX if there is none. */
static size_t
resolve(struct includes *inc, const char *from, const char *name)
{
    char *dir = path_dir(from);
    char *beside = path_join(dir, name);
    const char *tries[] = { name, beside };
    size_t found = SIZE_MAX;

    for (size_t i = 0; i < countof(tries) && found == SIZE_MAX; i++) {
        char *path = path_join(inc->dir, tries[i]);

        if (file_exists(path))
            found = read_file(inc, tries[i]);
        free(path);
    }
    free(beside);
    free(dir);
    return found;
}

/* The name in an `#include "name"` line, or NULL. */
static char *
include_name(const char *line)
{
    const char *end;

    line += strspn(line, " \t");
    if (*line++ != '#')
        return NULL;
    line += strspn(line, " \t");
    if (strncmp(line, "include", 7) != 0)
        return NULL;
    line += 7;
    line += strspn(line, " \t");
    if (*line++ != '"')
        return NULL;
    end = line + strcspn(line, "\"\n");
    return *end == '"' ? mem_strndup(line, (size_t)(end - line)) : NULL;
}

/* Index of a file, read the first time it is asked for. */
static size_t
read_file(struct includes *inc, const char *path)
{
    struct err quiet = { 0 };
    struct blob b = { 0 };
    size_t at, *next = NULL, n = 0;
    char *full;

    if (inc->n == inc->cap)
        grow(inc);
    at = slot_of(inc, path);
    if (inc->slots[at] != 0)
        return inc->slots[at] - 1;
    inc->v[inc->n] = (struct include_file){
        .path = arena_strdup(&inc->arena, path) };
    inc->slots[at] = ++inc->n;
    at = inc->n - 1;
    full = path_join(inc->dir, path);
    if (blob_read(&b, full, SOURCE_MAX, &quiet) == 0) {
        for (const char *s = b.p; s != NULL && *s != '\0'; ) {
            char *name = include_name(s);
            size_t one = name != NULL ?
                resolve(inc, inc->v[at].path, name) : SIZE_MAX;

            if (one != SIZE_MAX) {
                next = mem_realloc(next, n + 1, sizeof *next);
                next[n++] = one;
            }
            free(name);
            s = strchr(s, '\n');
            s = s != NULL ? s + 1 : NULL;
        }
        blob_release(&b);
    }
    free(full);
    inc->v[at].next = next;
    inc->v[at].n_next = n;
    return at;
}

static void
walk(struct includes *inc, size_t at, struct names *list)
{
    for (size_t i = 0; i < inc->v[at].n_next; i++) {
        size_t to = inc->v[at].next[i];

        if (inc->v[to].seen == inc->stamp)
            continue;
        inc->v[to].seen = inc->stamp;
        names_add(list, inc->v[to].path);
        walk(inc, to, list);
    }
}

void
includes_of(struct includes *inc, const char *path, struct names *list)
{
    size_t at = read_file(inc, path);

    inc->v[at].seen = ++inc->stamp;
    walk(inc, at, list);
    names_sort(list);
}

void
includes_release(struct includes *inc)
{
    for (size_t i = 0; i < inc->n; i++)
        free(inc->v[i].next);
    free(inc->v);
    free(inc->slots);
    arena_release(&inc->arena);
    *inc = (struct includes){ 0 };
}
