#!/usr/bin/env python3
"""Both compilers, every warning that we ask for, no finding.

Objects only: nothing is linked. They stay below out/, so that a second run
compiles what changed.
"""
import os
import resource
import shutil
import subprocess

from house import Wrong, main, run

WARNINGS = """
-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wdouble-promotion -Wcast-qual
-Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition
-Wpointer-arith -Wwrite-strings -Wvla -Wundef -Wformat=2 -Wimplicit-fallthrough
-Werror
"""
NINJA = os.environ.get("NINJA", "ninja")


def build(compiler, flags):
    """Compiles every file of the tree into a folder of its own."""
    if shutil.which(compiler) is None:
        raise Wrong(f"{compiler} is not there; install docs/packages.txt")
    out = f"out/{compiler}-werror"
    graph = out + ".ninja"
    bin_ = os.environ.get("QUERN_GEN", "out/bin/quern-gen")
    run([bin_, "--source", ".", "--out", out, "-o", graph, "--set",
         "CC=" + compiler, "--set", "CFLAGS=" + flags, "--set",
         "WARNINGS=" + " ".join(WARNINGS.split())])
    objects = [o for o in run([NINJA, "-f", graph, "-t", "targets", "rule",
                               "quern_cc"]).split() if o.endswith(".o")]
    if len(objects) < 100:
        raise Wrong(f"only {len(objects)} files")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    p = subprocess.run([NINJA, "-f", graph, "-k", "0", *objects], text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if p.returncode != 0:
        raise Wrong("\n".join(line for line in p.stdout.splitlines()
                              if not line.startswith(("[", "t="))))
    return (f"{compiler} {run([compiler, '-dumpversion']).strip()}: "
            f"{len(objects)} files, "
            f"{after.ru_utime - before.ru_utime:.0f} s of processor time")


def gcc():
    """gcc is silent; with -O1, where it sees what flows where"""
    return build("gcc", "-O1")


def clang():
    """clang is silent"""
    return build("clang", "-O0")


if __name__ == "__main__":
    main([gcc, clang])
