#!/usr/bin/env python3
"""Time to make a graph, to make it again unchanged, and of ninja beside it.

usage: tests/bench/generate.py [STAGES ...]      (100, 1000, 10000)

CSV on stdout, seconds, fastest and median of seven; `load` is ninja reading the
same graph, `noop` a run of ninja with everything up to date (stand-ins for the
steps, which have to be run once: minutes for 10,000).
"""
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join("tests", "graph"))

from project import NINJA, POLICY, TOOLS, Project, run, scratch  # noqa: E402

RUNS = 7
FIXED = 51  # stages besides those of layers, with three candidates


def fastest_and_median(command, top, prepare=None, env=None):
    times = []
    for _ in range(RUNS):
        if prepare:
            prepare()
        start = time.monotonic()
        subprocess.run(command, cwd=top, check=True, capture_output=True,
                       env=env)
        times.append(time.monotonic() - start)
    return min(times), statistics.median(times)


def measure(stages):
    top = tempfile.mkdtemp(prefix="quern-bench-", dir=scratch())
    try:
        p = Project(top, policy=POLICY.replace(
            "candidates:\n", "candidates:\n  - {name: q4, type: Q4_0, method:"
            " rtn, because: a test}\n"))
        layers = max((stages - FIXED) // 3, 1)
        # full length, no data: the files are holes
        run([os.path.join(TOOLS, "make_tiny"), "-x", "-l", str(layers),
             p.path("model")], ".")
        gen = [os.path.join(p.bin, "quern-gen"), "-o", p.graph, "policy.yaml"]
        first = fastest_and_median(
            gen, top, lambda: shutil.rmtree(p.path("build"), True))
        count = len([f for f in os.listdir(p.path("build/stages"))
                     if f.endswith(".stage")])
        again = fastest_and_median(gen, top)
        load = fastest_and_median([NINJA, "-f", p.graph, "-t", "targets",
                                   "rule", "quern_hardware"], top)
        p.ninja()
        noop = fastest_and_median([NINJA, "-f", p.graph], top,
                                  env=p.environment())
        for what, (low, mid) in ("first", first), ("again", again), \
                ("load", load), ("noop", noop):
            print(f"{count},{what},{low:.4f},{mid:.4f},"
                  f"{low / load[0]:.2f}", flush=True)
    finally:
        shutil.rmtree(top, ignore_errors=True)


if __name__ == "__main__":
    print("stages,what,fastest_s,median_s,ratio_to_load")
    for stages in [int(a) for a in sys.argv[1:]] or [100, 1000, 10000]:
        measure(stages)
