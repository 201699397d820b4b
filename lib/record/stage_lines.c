#include "lib/record/stage_lines.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

enum { STAGE_LIMIT = 64 << 20 };

int
stage_lines_read(struct stage_lines *l, const char *path, struct err *e)
{
    struct blob b = { 0 };
    size_t lines = 1;

    memset(l, 0, sizeof *l);
    if (blob_read(&b, path, STAGE_LIMIT, e))
        return e->code;
    l->text = b.p; /* taken over */
    for (const char *p = l->text; *p; p++)
        lines += *p == '\n';
    l->v = mem_calloc(lines, sizeof *l->v);
    for (char *p = l->text; *p;) {
        size_t n = strcspn(p, "\n");
        bool more = p[n] == '\n';

        p[n] = 0;
        l->v[l->n++] = p;
        p += n + more;
    }
    if (l->n == 0 || strcmp(l->v[l->n - 1], "--end") != 0)
        err_set(e, ERR_WORK,
            "%s: is not a whole stage file; run `quern gen` again", path);
    return e->code;
}

void
stage_lines_release(struct stage_lines *l)
{
    free(l->v);
    free(l->text);
    memset(l, 0, sizeof *l);
}

/* What follows `prefix` and '=' in the first line that has both. */
static const char *
after(const struct stage_lines *l, const char *prefix)
{
    size_t n = strlen(prefix);

    for (size_t i = 0; i < l->n; i++)
        if (strncmp(l->v[i], prefix, n) == 0 && l->v[i][n] == '=')
            return l->v[i] + n + 1;
    return NULL;
}

const char *
stage_lines_value(const struct stage_lines *l, const char *name)
{
    char *prefix = mem_printf("--%s", name);
    const char *value = after(l, prefix);

    free(prefix);
    return value;
}

const char *
stage_lines_path(const struct stage_lines *l, const char *kind,
    const char *role)
{
    char *prefix = mem_printf("--%s=%s", kind, role);
    const char *value = after(l, prefix);

    free(prefix);
    return value;
}
