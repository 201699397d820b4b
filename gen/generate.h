/*
 * generate.h - from the command line to the files on disk
 */
#ifndef QUERN_GEN_GENERATE_H
#define QUERN_GEN_GENERATE_H

#include "gen/options.h"
#include "gen/problems.h"

/*
 * Returns the error's code; nothing is written when the policy is refused. What
 * is wrong with a policy stands in `problems`, its first line also in `e`.
 */
int generate(const struct options *o, struct problems *problems,
    struct err *e);

#endif
