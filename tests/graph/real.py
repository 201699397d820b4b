#!/usr/bin/env python3
"""The real steps on a tiny model, killed at random instants.

Every output that does not descend from benchmark must equal a clean build's,
byte for byte. What does descend from it is compared after the clean build's
recorded benchmark has been supplied.
"""
import os
import random
import shutil
import subprocess
import time

from crash import copy_of, differences, kill_tree, leftovers, start
from project import POLICY, Project, check, equal, main, settle

KILLS = int(os.environ.get("QUERN_TEST_KILLS", "50"))
SEED = int(os.environ.get("QUERN_TEST_SEED", "1"))
DATA = "examples/pebble/data"
ITEMS = {"valid.txt": 400, "calibration.jsonl": 250, "traffic.jsonl": 300,
         "facts.jsonl": 24, "facts-more.jsonl": 12, "reasoning.jsonl": 8,
         "instructions.jsonl": 8, "retrieval.jsonl": 5, "edge.jsonl": 8}
SOURCES = {"calibration.jsonl": "calib_pool.jsonl",
           "facts-more.jsonl": "reserve/facts.jsonl"}


def lines(name, count):
    with open(os.path.join(DATA, name)) as f:
        return "".join(line for line, _ in zip(f, range(count)))


def real_project(top, window=64, share=1):
    """A project with windows of so many tokens, with 1 of share items."""
    policy = POLICY.replace("window: 512", f"window: {window}")
    policy = policy.replace("hardware: here", "hardware: here, prefill: 32, "
                            "decode: 8, blocks: 1")
    policy = policy.replace("mean: 0.05", "mean: 0.05, tokens: 128")
    policy = policy.replace("ratio: 1.05", "ratio: 1.05, limit: 1024")
    policy = policy.replace(", covers:", ", max-tokens: 8, covers:")
    p = Project(top, real=True, policy=policy)
    for name, count in ITEMS.items():
        source = SOURCES.get(name, name)
        if not os.path.exists(os.path.join(DATA, source)):
            source = "suites/" + name
        p.put("data/" + name, lines(source, -(-count // share)))
    p.gen()
    return p


def descends(name):
    """Whether an output descends from a benchmark."""
    stem = name.split("/", 1)[-1]
    return name.startswith(("bench/", "report.", "decision.json")) or \
        (name.startswith("gate/") and not name.endswith(".first.json")) or \
        (name.startswith("att/") and
         (stem.startswith(("benchmark.", "choose.", "report.")) or
          (stem.startswith("gate.") and ".first." not in stem)))


def run_all(p, **env):
    """Everything up to the report; a random model passes no gate."""
    done = subprocess.run(["ninja", "-f", p.graph, "quern_tiny_report"],
                          cwd=p.top, capture_output=True, text=True,
                          env=p.environment(**env))
    check(done.returncode == 0, done.stdout[-3000:], done.stderr)


def supply_benchmark(p, clean):
    settle()
    for folder in "bench", "att":
        for name in os.listdir(clean.path(f"build/{folder}")):
            if folder == "bench" or name.startswith("benchmark."):
                shutil.copy(clean.path(f"build/{folder}/{name}"),
                            p.path(f"build/{folder}/{name}"))


def killed(top):
    """after kills at random instants all that does not descend from benchmark
    is as in a clean build, and the rest is once it has that benchmark"""
    chance = random.Random(SEED)
    clean = real_project(os.path.join(top, "clean"))
    started = time.monotonic()
    run_all(clean)
    seconds = time.monotonic() - started
    want = clean.snapshot()
    p = copy_of(clean, top)
    running = 0
    for _ in range(KILLS):
        child = start(p)
        try:
            child.wait(chance.uniform(0.0, 4 * seconds / KILLS))
        except subprocess.TimeoutExpired:
            running += 1
        kill_tree(child)
        if not running or child.returncode in (0, 1):
            p = copy_of(clean, top)
    check(running >= KILLS // 2, "only", running, "were running")
    run_all(p)
    found = differences(p.snapshot(), want)
    found = {n for n in found if "release" not in n}
    equal({n for n in found if not descends(n)}, set(), "outputs")
    equal(leftovers(p), [], "leftovers")
    supply_benchmark(p, clean)
    run_all(p)
    found = {n for n in differences(p.snapshot(), want)
             if "release" not in n}
    equal(found, set(), "with the same benchmark")


def repeated(top):
    """a second run does nothing but the probes; a lost log costs no work"""
    p = real_project(top)
    run_all(p)
    before = p.snapshot()
    stages = "calibrate", "quantize.q4k.l000", "evaluate.q4k.facts"
    whys = [p.why(stage) for stage in stages]
    os.remove(p.path("build/.ninja_log"))
    started = time.monotonic()
    run_all(p)
    seconds = time.monotonic() - started
    equal(differences(p.snapshot(), before), set(), "outputs")
    # what made it run is written when it runs
    equal([p.why(stage) for stage in stages], whys, "ran")
    print(f"# without the log: {seconds:.2f} s")


if __name__ == "__main__":
    main([killed, repeated])
