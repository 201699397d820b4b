/*
 * stage_usage.c - what a step says about itself when asked
 */
#include <stdlib.h>

#include "lib/base/str.h"
#include "lib/record/stage_private.h"

static void
add_names(struct str *s, const char *title, const char *const *names)
{
    if (names == NULL || names[0] == NULL)
        return;
    str_addf(s, "\n%s\n", title);
    for (size_t i = 0; names[i] != NULL; i++) {
        bool required = names[i][0] == '!';

        str_addf(s, "  %s%s\n", names[i] + required,
            required ? "  (required)" : "");
    }
}

char *
stage_usage(const struct stage_spec *spec)
{
    struct str s = { 0 };

    str_addf(&s, "quern-%s - %s\n\n", spec->step, spec->purpose);
    str_addf(&s,
        "usage: quern-%s @STAGE_FILE\n"
        "       quern-%s --step=%s --stage=ID --dir=DIR --phase=PHASE\n"
        "           --signer=NAME --key=PATH [--item=ID ...] [--in=ROLE[=PATH]"
        " ...]\n           [--src=ROLE=PATH ...] [--dst=ROLE=PATH ...] "
        "[--out=ROLE ...]\n           [--set=NAME=VALUE ...]\n",
        spec->step, spec->step, spec->step);
    add_names(&s, "inputs (--in)", spec->ins);
    add_names(&s, "sources (--src)", spec->srcs);
    add_names(&s, "targets (--dst)", spec->dsts);
    add_names(&s, "outputs (--out)", spec->outs);
    add_names(&s, "parameters (--set)", spec->params);
    str_add(&s, "\nexit status: 0 done, 1 could not be done, 2 wrong usage\n");
    return str_detach(&s);
}
