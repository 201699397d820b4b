/*
 * template.h - build.ninja.in: rules by hand, variables filled in
 *
 * A line `#: NAME` opens a section; what stands before the first belongs to
 * every graph. `@NAME@` (capitals, digits, underscore) is replaced by the
 * value of that name; a name that nobody has set is an error with its line.
 */
#ifndef QUERN_GEN_TEMPLATE_H
#define QUERN_GEN_TEMPLATE_H

#include <stddef.h>

#include "lib/base/err.h"
#include "lib/base/str.h"

struct template_var {
    const char *name;
    const char *value; /* put in as it is */
};

/*
 * template_section - append one section of the template, placeholders filled
 * `section` NULL: what stands before the first section. A section that the
 * template does not have is an error.
 */
int template_section(struct str *out, const char *path, const char *text,
    const char *section, const struct template_var *vars, size_t n_vars,
    struct err *e);

#endif
