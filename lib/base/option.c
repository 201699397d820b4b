/*
 * option.c - the options of a command; see option.h
 */
#include "lib/base/option.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/err.h"

int
option_wrong(const struct option_scan *o, const char *fmt, ...)
{
    struct err e = { .code = ERR_USAGE };
    va_list args;

    va_start(args, fmt);
    vsnprintf(e.text, sizeof e.text, fmt, args);
    va_end(args);
    err_exit(o->prog, &e);
    fputs(o->usage, stderr);
    return ERR_USAGE;
}

/* Whether the name of an option that could not be taken is in no list. */
static bool
is_unknown(int c)
{
    return c == '?' && (optopt == 0 || optopt == '-');
}

/* What is wrong with one option; its long name is used where it has one. */
static int
refuse(const struct option_scan *o, int letter, const char *what)
{
    for (const struct option *l = o->longer; l != NULL && l->name; l++)
        if (l->val == letter)
            return option_wrong(o, "'--%s': %s", l->name, what);
    return option_wrong(o, "'-%c': %s", letter, what);
}

int
option_next(struct option_scan *o, int argc, char **argv)
{
    const struct err none = { 0 };
    int c;

    opterr = 0;
    if (o->longer != NULL)
        c = getopt_long(argc, argv, o->known, o->longer, NULL);
    else
        c = getopt(argc, argv, o->known);
    if (c == -1)
        return -1;
    o->stop = true;
    if (is_unknown(c)) {
        /* getopt is still in the middle of the word, getopt_long behind it */
        const char *word = argv[optopt == 0 ? optind - 1 : optind];

        o->status = option_wrong(o, "'%s': no such option",
            word != NULL ? word : "--");
    } else if (c == '?') {
        o->status = refuse(o, optopt, strchr(o->known, optopt) != NULL ?
            "takes no value" : "no such option");
    } else if (c == ':') {
        o->status = refuse(o, optopt, "its value is missing");
    } else if (c == 'h') {
        fputs(o->usage, stdout);
        o->status = err_exit(o->prog, &none);
    } else if (o->seen[(unsigned char)c]) {
        o->status = refuse(o, c, "given twice; give it once");
    } else {
        o->seen[(unsigned char)c] = true;
        o->stop = false;
        return c;
    }
    return -1;
}
