#!/usr/bin/env python3
"""The suite again, under the address and undefined-behaviour sanitizers.

Everything is built with clang into out/asan and run from there. What measures
time, compiles, or lasts minutes is left out; tests may look at QUERN_SANITIZED
to choose a smaller model. Calls of libraries are watched, leaks included.
"""
import os
import re
import resource
import shutil
import subprocess
import sys

from house import Wrong, main, run

OUT = "out/asan"
GRAPH = OUT + ".ninja"
NINJA = os.environ.get("NINJA", "ninja")
# Undefined behaviour ends a program by halt_on_error below: compiled so that it
# cannot go on (-fno-sanitize-recover), kernels take clang many times as long.
FLAGS = ("-fsanitize=address,undefined "
         "-fsanitize-ignorelist=tests/house/sanitize.ignore")
# what is run again: groups, and single scripts of groups that take too long
NAMES = ["fuzz", "kernels", "lib", "steps", "graph/paths.py",
         "graph/monorepo.py"]
REPORT = re.compile(r"runtime error:|ERROR: (Address|Leak)Sanitizer|"
                    r"SUMMARY: \w+Sanitizer")


def environment():
    tests = os.path.abspath(OUT + "/tests")
    return dict(os.environ, QUERN_SANITIZED="1",
                QUERN_BIN=os.path.abspath(OUT + "/bin"), QUERN_TESTS=tests,
                QUERN_TOOLS=tests + "/tools",
                ASAN_OPTIONS="detect_leaks=1:allocator_may_return_null=1",
                UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1")


def seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def build():
    """everything builds with the sanitizers"""
    start = seconds()
    run(["out/bin/quern-gen", "--source", ".", "--out", OUT, "-o", GRAPH,
         "--set", "CC=clang", "--set",
         f"CFLAGS=-O1 -gline-tables-only -fno-omit-frame-pointer {FLAGS}",
         "--set", "LDFLAGS=-fsanitize=address,undefined"])
    p = subprocess.run([NINJA, "-f", GRAPH, "-k", "0", "quern_programs",
                        "quern_tests"], text=True, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT)
    if p.returncode != 0:
        raise Wrong("\n".join(line for line in p.stdout.splitlines()
                              if not line.startswith(("[", "t="))))
    # what the generator looks for beside itself
    share = OUT + "/share/quern"
    os.makedirs(share, exist_ok=True)
    shutil.copy("build.ninja.in", share)
    shutil.copytree("policies", share + "/policies", dirs_exist_ok=True)
    return f"{seconds() - start:.0f} s of processor time"


def suite():
    """the tests of kernels, libraries, steps, and of whole graphs find nothing
    under them"""
    p = subprocess.run(
        [sys.executable, "tests/run.py", "--bin", OUT + "/bin", "--tests",
         OUT + "/tests", *NAMES], text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, env=environment(), errors="replace")
    if p.returncode != 0 or REPORT.search(p.stdout):
        raise Wrong(p.stdout)
    return "; ".join(p.stdout.splitlines()[-2:]).removeprefix("# ")


if __name__ == "__main__":
    main([build, suite])
