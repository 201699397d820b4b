/*
 * template.c - build.ninja.in: rules by hand, variables filled in
 */
#include "gen/template.h"

#include <ctype.h>
#include <string.h>

#include "lib/base/mem.h"

/* Length of a placeholder `@NAME@` at s, or 0. */
static size_t
placeholder(const char *s, size_t n)
{
    size_t i = 1;

    if (s[0] != '@')
        return 0;
    while (i < n && (isupper((unsigned char)s[i]) ||
        isdigit((unsigned char)s[i]) || s[i] == '_'))
        i++;
    return i > 1 && i < n && s[i] == '@' ? i + 1 : 0;
}

static const char *
value_of(const char *name, size_t n, const struct template_var *vars,
    size_t n_vars)
{
    for (size_t i = 0; i < n_vars; i++)
        if (strlen(vars[i].name) == n && memcmp(vars[i].name, name, n) == 0)
            return vars[i].value;
    return NULL;
}

/* One line without its newline. */
static int
fill(struct str *out, const char *line, size_t n,
    const struct template_var *vars, size_t n_vars, const char *path,
    size_t number, struct err *e)
{
    for (size_t i = 0; i < n; ) {
        size_t len = placeholder(line + i, n - i);
        const char *value;

        if (len == 0) {
            str_addc(out, line[i++]);
            continue;
        }
        value = value_of(line + i + 1, len - 2, vars, n_vars);
        if (value == NULL)
            return err_set(e, ERR_WORK, "%s:%zu:%zu: unknown placeholder "
                "'%.*s'; see gen/template.h for the names", path, number,
                i + 1, (int)len, line + i);
        str_add(out, value);
        i += len;
    }
    str_addc(out, '\n');
    return 0;
}

int
template_section(struct str *out, const char *path, const char *text,
    const char *section, const struct template_var *vars, size_t n_vars,
    struct err *e)
{
    bool inside = section == NULL, found = inside;
    size_t number = 1;

    for (const char *line = text; *line != '\0'; number++) {
        size_t n = strcspn(line, "\n");

        if (n > 3 && memcmp(line, "#: ", 3) == 0) {
            inside = section != NULL && strlen(section) == n - 3 &&
                memcmp(line + 3, section, n - 3) == 0;
            found = found || inside;
        } else if (inside && fill(out, line, n, vars, n_vars, path, number,
            e)) {
            return e->code;
        }
        line += n + (line[n] == '\n');
    }
    if (!found)
        return err_set(e, ERR_WORK, "%s: has no section '#: %s'; take the "
            "template of this version", path, section);
    return 0;
}
