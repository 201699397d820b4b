/*
 * option.h - the options of a command, every command alike
 *
 * -h prints the usage on stdout and ends with 0. An unknown option, one
 * without its value and one given twice print one line and the usage on
 * stderr and end with ERR_USAGE. Use:
 *
 *     struct option_scan o = { .prog = "quern-why", .usage = usage,
 *         .known = ":hC:" };
 *
 *     while ((c = option_next(&o, argc, argv)) != -1)
 *         if (c == 'C')
 *             dir = optarg;
 *     if (o.stop)
 *         return o.status;
 *     if (argc - optind > 1)
 *         return option_wrong(&o, "'%s': one stage at a time", ...);
 */
#ifndef QUERN_BASE_OPTION_H
#define QUERN_BASE_OPTION_H

#include <getopt.h>
#include <limits.h>
#include <stdbool.h>

struct option_scan {
    const char *prog;  /* in front of messages; borrowed, as all three */
    const char *usage; /* whole lines */
    const char *known; /* as for getopt, first ':' (or "+:") */
    const struct option *longer; /* as for getopt_long, each standing for a
                                  * letter of `known`; NULL: none */
    bool seen[UCHAR_MAX + 1];
    bool stop;  /* main returns now ... */
    int status; /* ... with this */
};

/* The next option's letter, its value in optarg; -1 at the end or on `stop`. */
int option_next(struct option_scan *o, int argc, char **argv);

/* One line and the usage on stderr; returns ERR_USAGE. */
int option_wrong(const struct option_scan *o, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
