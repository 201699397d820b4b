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

from house import Wrong, main, none, run

OUT = "out/asan"
GRAPH = OUT + ".ninja"
NINJA = os.environ.get("NINJA", "ninja")
FLAGS = "-fsanitize=address,undefined -fno-sanitize-recover=all"
# groups of tests/run.py, two sets at a time for two cores, and single scripts
# of groups that take too long whole
GROUPS = [["steps"], ["fuzz", "kernels", "lib"]]
SCRIPTS = ["tests/graph/paths.py", "tests/graph/monorepo.py"]
REPORT = re.compile(r"runtime error:|ERROR: (Address|Leak)Sanitizer|"
                    r"SUMMARY: \w+Sanitizer")


def environment():
    tests = os.path.abspath(OUT + "/tests")
    return dict(os.environ, QUERN_SANITIZED="1",
                QUERN_BIN=os.path.abspath(OUT + "/bin"), QUERN_TESTS=tests,
                QUERN_TOOLS=tests + "/tools",
                ASAN_OPTIONS="detect_leaks=1:allocator_may_return_null=1",
                UBSAN_OPTIONS="print_stacktrace=1")


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
    """the tests of kernels, libraries and steps find nothing under them"""
    start = seconds()
    running = [subprocess.Popen(
        [sys.executable, "tests/run.py", "--bin", OUT + "/bin", "--tests",
         OUT + "/tests", *groups], text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, env=environment(), errors="replace")
        for groups in GROUPS]
    said = [p.communicate()[0] for p in running]
    wrong = [text for p, text in zip(running, said)
             if p.returncode != 0 or REPORT.search(text)]
    if wrong:
        raise Wrong("\n".join(wrong))
    return (f"{'; '.join(text.splitlines()[-1] for text in said)}; "
            f"{seconds() - start:.0f} s of processor time")


def graph():
    """nor do whole graphs, run by ninja"""
    wrong, passed, start = [], 0, seconds()
    for script in SCRIPTS:
        p = subprocess.run([sys.executable, script], text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           env=environment(), errors="replace")
        passed += len(re.findall(r"^ok ", p.stdout, re.M))
        if p.returncode != 0 or REPORT.search(p.stdout):
            wrong += [script] + p.stdout.splitlines()
    none(wrong)
    return f"{passed} passed; {seconds() - start:.0f} s of processor time"


if __name__ == "__main__":
    main([build, suite, graph])
