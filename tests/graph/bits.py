#!/usr/bin/env python3
"""The real steps on a tiny model: the same bytes however they are computed.

Every output of every step, records too, is compared between runs with one, two
and eight threads and with the portable kernels. Only what says how fast or on
what a run was differs: a benchmark's measurements and what descends from them
(report, choice, gate), which are compared once the first run's measurements
have been supplied.
"""
import os

from crash import copy_of, differences
from project import check, equal, main
from real import descends, real_project, run_all, supply_benchmark

# a step of each kind, that the comparison is of what it is said to be of
MUST = ("base/model.fp.json", "traffic.json", "corpus/tokens.safetensors",
        "stats/layer.001.safetensors", "stats/head.safetensors",
        "quant/q4k/layer.001.gguf", "quant/q4k/head.json",
        "cand/q4k/model.gguf", "eval/q4k/facts.json", "bench/q4k.json",
        "gate/q4k.json", "decision.json", "archive.json", "report.html")


def built(clean, top, name, **env):
    """A copy that has built nothing, built with this environment."""
    os.makedirs(os.path.join(top, name))
    p = copy_of(clean, os.path.join(top, name))
    run_all(p, **env)
    return p


def names(p):
    return {n: v for n, v in p.snapshot().items() if "release" not in n}


def same(p, first, want):
    found = differences(names(p), want)
    equal({n for n in found if not descends(n)}, set(), "differ")
    check("bench/q4k.json" in found, "a benchmark gave the same times twice")
    supply_benchmark(p, first)
    run_all(p)
    equal(differences(names(p), want), set(), "differ with its benchmark")


def same_bytes(top):
    """one, two and eight threads, and portable kernels, write the same bytes in
    every step"""
    clean = real_project(os.path.join(top, "clean"), window=16, share=4)
    first = built(clean, top, "1", QUERN_THREADS="1")
    want = names(first)
    equal({n for n in MUST if n not in want}, set(), "outputs")
    for n, isa in ("8", "ref"), ("2", ""):
        p = built(clean, top, n, QUERN_THREADS=n, QUERN_ISA=isa)
        same(p, first, want)
        print(f"# {n} threads {isa}: equal", flush=True)
    print(f"# {len(want)} outputs, {sum(map(descends, want))} of them descend "
          "from a benchmark")


if __name__ == "__main__":
    main([same_bytes])
