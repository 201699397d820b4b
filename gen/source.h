/*
 * source.h - the edges that compile quern itself
 *
 * By convention, so that a new file needs no line anywhere:
 *
 *   kernels/NAME.c, lib/DIR/NAME.c   -> OUT/libquern.a
 *   steps/NAME.c, commands/NAME.c    -> OUT/bin/quern-NAME
 *   commands/quern.c                 -> OUT/bin/quern
 *   gen/NAME.c                       -> OUT/bin/quern-gen, and without main
 *                                       OUT/libquern-gen.a for tests of it
 *   tests/DIR/NAME.c                 -> OUT/tests/DIR/NAME (with cmocka)
 *   tests/tools/NAME.c               -> OUT/tests/tools/NAME (without)
 *   tests/fuzz/NAME.c, driver.c      -> OUT/tests/fuzz/NAME (without);
 *                                       policy.c and tests/gen with gen/, too
 *   tests/bench/NAME.c               -> OUT/bench/NAME (without)
 *
 * A file whose name ends _avx2, _avx512 or _neon is compiled for that
 * instruction set, and left out where the target has no such thing; _dot_neon
 * is NEON with the dot-product extension. Header dependencies are exact:
 * `#include "..."` lines are followed by the generator, so no compiler output
 * has to be read back.
 */
#ifndef QUERN_GEN_SOURCE_H
#define QUERN_GEN_SOURCE_H

#include "gen/graph.h"
#include "gen/paths.h"

struct source_opts {
    const char *dir;  /* the source tree, relative to the current folder */
    const char *out;  /* output folder as the graph names it */
    const char *arch; /* x86_64, aarch64, ... */
};

/*
 * source_emit - append all edges; folders that are not there are passed over
 * Every file and folder looked at is added to g->sources. Phony targets:
 * quern_programs, quern_tests, quern_bench.
 */
int source_emit(struct graph *g, const struct paths *paths,
    const struct source_opts *o, struct err *e);

#endif
