/*
 * quern-gen - turn a policy into a ninja graph
 *
 * usage: quern-gen [-c] [-o FILE] [--root DIR] [--build DIR] [--bin DIR]
 *                  [--source DIR [--out DIR]] [--set NAME=VALUE] [POLICY]
 */
#include "gen/generate.h"
#include "lib/base/file.h"

int
main(int argc, char **argv)
{
    struct options o = { 0 };
    struct problems problems = { .n = 0 };
    struct err e = { 0 };
    int status = 0;

    file_catch_signals();
    if (options_parse(&o, argc, argv, &e) == 0) {
        if (o.help)
            options_usage(stdout);
        else
            generate(&o, &problems, &e);
    }
    for (size_t i = 0; i < problems.n; i++)
        status = err_exit("quern-gen", &problems.v[i]);
    if (problems.n == 0)
        status = err_exit("quern-gen", &e);
    if (status == ERR_USAGE)
        options_usage(stderr);
    options_release(&o);
    return status;
}
