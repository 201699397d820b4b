/*
 * paths.c - one place where paths change their point of view; see paths.h
 */
#include "gen/paths.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

/* Takes `.`, `..` and double slashes out of an absolute path, in place. */
static void
normalize(char *path)
{
    char *to = path;
    const char *from = path;

    while (*from != '\0') {
        size_t n;

        while (*from == '/')
            from++;
        n = strcspn(from, "/");
        if (n == 2 && from[0] == '.' && from[1] == '.') {
            while (to > path && *--to != '/')
                ;
        } else if (n > 0 && !(n == 1 && from[0] == '.')) {
            *to++ = '/';
            memmove(to, from, n);
            to += n;
        }
        from += n;
    }
    if (to == path)
        *to++ = '/';
    *to = '\0';
}

char *
paths_absolute(const struct paths *p, const char *path)
{
    char *all = path[0] == '/' ? mem_strdup(path) :
        mem_printf("%s/%s", p->cwd, path);

    normalize(all);
    return all;
}

int
paths_init(struct paths *p, const char *root, struct err *e)
{
    *p = (struct paths){ 0 };
    p->cwd = getcwd(NULL, 0);
    if (p->cwd == NULL)
        return err_sys(e, ".", "cannot tell the current folder", NULL);
    p->root = paths_absolute(p, root != NULL ? root : ".");
    return 0;
}

void
paths_release(struct paths *p)
{
    free(p->cwd);
    free(p->root);
    *p = (struct paths){ 0 };
}

/* What follows `root/` in `path`; NULL if it does not lie below. */
static const char *
below(const char *path, const char *root)
{
    size_t n = strlen(root);

    if (strcmp(root, "/") == 0)
        return path + 1;
    if (strncmp(path, root, n) != 0)
        return NULL;
    if (path[n] == '\0')
        return ".";
    return path[n] == '/' ? path + n + 1 : NULL;
}

/* `path` seen from `root`, by climbing; both absolute and normal. */
static char *
climb(const char *path, const char *root)
{
    struct str s = { 0 };
    size_t same = 0;

    for (size_t i = 0;; i++) {
        bool end_p = path[i] == '/' || path[i] == '\0';
        bool end_r = root[i] == '/' || root[i] == '\0';

        if (end_p && end_r)
            same = i;
        if (path[i] != root[i] || path[i] == '\0')
            break;
    }
    for (const char *r = root + same; *r != '\0'; r++)
        if (*r == '/' && r[1] != '\0')
            str_add(&s, "../");
    str_add(&s, path[same] == '/' ? path + same + 1 : path + same);
    while (s.len > 1 && s.p[s.len - 1] == '/')
        s.p[--s.len] = '\0';
    return str_detach(&s);
}

char *
paths_graph(const struct paths *p, const char *base, const char *path)
{
    bool given_absolute = path[0] == '/' || (base != NULL && base[0] == '/');
    char *joined = base != NULL && path[0] != '/' ?
        mem_printf("%s/%s", base, path) : mem_strdup(path);
    char *all = paths_absolute(p, joined);
    const char *rest = below(all, p->root);
    char *out;

    if (rest != NULL)
        out = mem_strdup(rest);
    else if (given_absolute)
        out = mem_strdup(all);
    else
        out = climb(all, p->root);
    free(joined);
    free(all);
    return out;
}
