"""A small project for tests of the graph: policy, model, data, keys, programs.

Programs are stand-ins (tests/tools/stand_in.c) in the real frame of a step,
except fingerprint and hardware, which are the real ones; with real=True all are.
A test is a function whose first docstring line is the promise it proves; main
runs them in order, each in a folder of its own, and prints TAP.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = os.getcwd()
BIN = os.environ.get("QUERN_BIN", os.path.join(ROOT, "out/bin"))
TOOLS = os.environ.get("QUERN_TOOLS", os.path.join(ROOT, "out/tests/tools"))
NINJA = os.environ.get("NINJA", "ninja")
STEPS = ("fingerprint hardware traffic corpus calibrate quantize assemble "
         "evaluate benchmark gate choose archive report release").split()
PROBES = {"fingerprint", "hardware", "traffic"}

# who owns and signs, up to the figures of the budget
HEAD = """\
quern: 1
name: tiny
profile: production
model: {source: model, name: tiny, license: apache-2.0}
owners:
  before: &m {principal: modeling@example.org, key: keys/modeling}
  calibration: *m
  convert: *m
  ship: &p {principal: platform@example.org, key: keys/platform}
  after: *p
record: {signers: keys/allowed_signers, repository: releases.git}
before:
  quality-budget:
"""
POLICY = HEAD + """\
    pooled-drop: 2
    suite-drop: 5
    perplexity: {text: data/valid.txt, ratio: 1.05}
    kl: {mean: 0.05}
  bottleneck: {what: memory, target: {relative: 0.6}}
  precision: {bits: 4}
  format: {container: gguf, runtime: llama.cpp, device: cpu}
calibration:
  samples: {source: data/calibration.jsonl, count: 128, at-least: 16}
  in-domain: {production: data/traffic.jsonl}
  no-duplicates: {largest-share: 2}
convert:
  group-size: 32
  method: {use: imatrix}
  serving-format: gguf
ship:
  tasks:
    - {name: facts, data: data/facts.jsonl, reserve: data/facts-more.jsonl}
    - {name: reasoning, data: data/reasoning.jsonl, covers: reasoning}
  stress:
    - {name: instructions, data: data/instructions.jsonl, covers: instructions}
    - {name: retrieval, data: data/retrieval.jsonl, covers: retrieval}
    - {name: edge, data: data/edge.jsonl, covers: edge}
  benchmark: {hardware: here}
  archive: {store: store}
after:
  triggers: {base-model: calibration, traffic: calibration, hardware: ship}
candidates:
  - {name: q4k, type: Q4_K, tensors: {token_embd: Q6_K}}
  - {name: q8, type: Q8_0, method: rtn, because: nothing is lost}
waivers:
  - {item: calibration.variety, because: a test, until: 2999-12-31}
  - {item: ship.flag, because: a test, until: 2999-12-31}
  - {item: after.monitor, because: a test, until: 2999-12-31}
  - {item: team.review, because: a test, until: 2999-12-31}
"""
DATA = ("valid.txt calibration.jsonl traffic.jsonl facts.jsonl "
        "facts-more.jsonl reasoning.jsonl instructions.jsonl "
        "retrieval.jsonl edge.jsonl").split()


class Failed(Exception):
    pass


def check(truth, *what):
    if not truth:
        raise Failed(" ".join(str(w) for w in what))


def equal(got, want, what=""):
    if isinstance(got, set) and isinstance(want, set) and got != want:
        raise Failed(f"{what}: missing {sorted(want - got)}, "
                     f"too much {sorted(got - want)}")
    check(got == want, what, "got", repr(got)[:800], "want", repr(want)[:800])


def settle():
    """Let the clock of the file system move on (ninja.md 1)."""
    time.sleep(0.02)


class Project:
    def __init__(self, top, build="build", layers=2, real=False,
                 policy=POLICY):
        self.top = top
        self.build = build
        self.bin = os.path.join(top, "bin")
        self.log = os.path.join(top, "ran")
        self.graph = os.path.join(build, "quern.ninja")
        os.makedirs(top, exist_ok=True)
        self.install(real)
        self.model(layers)
        for name in DATA:
            self.put("data/" + name, f"{name}\n")
        self.put("policy.yaml", policy)
        self.keys()

    def install(self, real):
        """A folder of programs as an installation has it."""
        os.makedirs(self.bin)
        share = os.path.join(self.top, "share/quern/policies")
        os.makedirs(share)
        shutil.copy("build.ninja.in", os.path.dirname(share))
        shutil.copy("policies/kernels.tsv", share)
        for step in STEPS:
            source = os.path.join(BIN, "quern-" + step)
            if not real and step not in ("fingerprint", "hardware"):
                source = os.path.join(TOOLS, "stand_in")
            shutil.copy(source, os.path.join(self.bin, "quern-" + step))
        shutil.copy(os.path.join(BIN, "quern-gen"), self.bin)

    def model(self, layers, seed=1):
        run([os.path.join(TOOLS, "make_tiny"), "-l", str(layers), "-s",
             str(seed), os.path.join(self.top, "model")], ROOT)

    def keys(self):
        for name in "modeling", "platform":
            run([os.path.join(BIN, "quern-keygen"), "-s",
                 "keys/allowed_signers", "keys/" + name,
                 name + "@example.org"], self.top)
        self.gen(ok=None)
        for name in "modeling", "platform":
            run([os.path.join(BIN, "quern-waive"), "-k", "keys/" + name,
                 "-C", self.build], self.top)

    def path(self, name):
        return os.path.join(self.top, name)

    def put(self, name, text):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)

    def get(self, name):
        with open(self.path(name)) as f:
            return f.read()

    def edit(self, old, new, name="policy.yaml"):
        text = self.get(name)
        check(text.count(old) == 1, "test is wrong:", old, "occurs",
              text.count(old), "times")
        settle()
        self.put(name, text.replace(old, new))

    def gen(self, *args, ok=True):
        p = subprocess.run([os.path.join(self.bin, "quern-gen"), "-o",
                            self.graph, *args, "policy.yaml"], cwd=self.top,
                           capture_output=True, text=True)
        if ok is not None:
            check((p.returncode == 0) == ok, "quern-gen:", p.returncode,
                  p.stderr)
        return p

    def environment(self, **more):
        env = dict(os.environ, QUERN_STAND_IN_LOG=self.log)
        env.pop("NINJA_STATUS", None)
        env.update(more)
        return env

    def ninja(self, *args, ok=True, **env):
        """Runs ninja; returns (stages that did their work, stdout)."""
        if os.path.exists(self.log):
            os.remove(self.log)
        p = subprocess.run([NINJA, "-f", self.graph, *args], cwd=self.top,
                           capture_output=True, text=True,
                           env=self.environment(**env))
        check((p.returncode == 0) == ok, "ninja:", p.returncode, p.stdout,
              p.stderr)
        return self.ran(), p.stdout

    def ran(self):
        """Stages that did their work, without the probes, which always do."""
        if not os.path.exists(self.log):
            return set()
        with open(self.log) as f:
            lines = f.read().split()
        check(len(lines) == len(set(lines)), "a stage ran twice:", lines)
        return set(lines) - PROBES

    def why(self, stage):
        return json.loads(self.get(f"{self.build}/why/{stage}.json"))

    def snapshot(self, skip=()):
        """Bytes of every output: name -> content."""
        found = {}
        top = self.path(self.build)
        for folder, _, files in os.walk(top):
            for f in files:
                path = os.path.join(folder, f)
                name = os.path.relpath(path, top)
                if name.startswith((".", "why/", "state/", "stages/.")) or \
                        name.endswith(".tmp") or name in skip:
                    continue
                with open(path, "rb") as fd:
                    found[name] = fd.read()
        return found


def run(command, cwd):
    p = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    check(p.returncode == 0, command, p.stdout, p.stderr)
    return p.stdout


def stages_started(stdout):
    """IDs in ninja's own output, [n/m] ID."""
    found = set()
    for line in stdout.splitlines():
        if line.startswith("[") and "] " in line:
            found.add(line.split("] ", 1)[1].strip())
    return found


def scratch():
    """Where folders of tests are made: in memory if there is such a place."""
    place = os.environ.get("TMPDIR", "/dev/shm")
    return place if os.access(place, os.W_OK) else None


def main(tests):
    failed = 0
    for number, test in enumerate(tests, 1):
        promise = (test.__doc__ or test.__name__).strip().splitlines()[0]
        top = tempfile.mkdtemp(prefix="quern-graph-", dir=scratch())
        try:
            test(top)
            print(f"ok {number} - {promise}", flush=True)
        except Exception as problem:
            failed += 1
            print(f"not ok {number} - {promise}", flush=True)
            text = str(problem) if isinstance(problem, Failed) \
                else traceback.format_exc()
            for line in text.splitlines():
                print("#", line)
        finally:
            shutil.rmtree(top, ignore_errors=True)
    print(f"1..{len(tests)}")
    sys.exit(1 if failed else 0)
