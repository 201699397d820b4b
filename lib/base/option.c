/*
 * option.c - the options of a command; see option.h
 */
#include "lib/base/option.h"

#include <stdarg.h>
#include <stdio.h>

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

int
option_next(struct option_scan *o, int argc, char **argv)
{
    int c;

    opterr = 0;
    if (o->longer != NULL)
        c = getopt_long(argc, argv, o->known, o->longer, NULL);
    else
        c = getopt(argc, argv, o->known);
    if (c == -1)
        return -1;
    if (c == 'h')
        fputs(o->usage, stdout);
    else if (c == '?' && optopt == 0)
        o->status = option_wrong(o, "'%s': no such option", argv[optind - 1]);
    else if (c == '?' && optopt == '-' && optind < argc)
        o->status = option_wrong(o, "'%s': no such option", argv[optind]);
    else if (c == '?')
        o->status = option_wrong(o, "'-%c': no such option", optopt);
    else if (c == ':')
        o->status = option_wrong(o, "'-%c': its value is missing", optopt);
    else if (o->seen[(unsigned char)c])
        o->status = option_wrong(o, "'-%c': given twice; give it once", c);
    else {
        o->seen[(unsigned char)c] = true;
        return c;
    }
    o->stop = true;
    return -1;
}
