/*
 * generate.h - from the command line to the files on disk
 */
#ifndef QUERN_GEN_GENERATE_H
#define QUERN_GEN_GENERATE_H

#include "gen/options.h"

/* Returns the error's code; nothing is written when the policy is refused. */
int generate(const struct options *o, struct err *e);

#endif
