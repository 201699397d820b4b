"""A tiny model with its policy, from which a release comes within seconds.

Two random layers answer a few questions like their eight-bit twin, limits are
wide open, and the calibration texts are the production sample itself; so every
item passes. Programs are real ones, through a graph that quern-gen makes.
"""
import json
import os
import shutil
import subprocess
import sys
import traceback
import tempfile
import time

ROOT = os.getcwd()
BIN = os.path.abspath(os.environ.get("QUERN_BIN", "out/bin"))
TOOLS = os.path.abspath(os.path.join(os.environ.get("QUERN_TESTS",
                                                    "out/tests"), "tools"))
DATA = os.path.join(ROOT, "examples/pebble/data")
PREFIX = "refs/heads/quern"

POLICY = """\
quern: 1
name: tiny
profile: production
model: {source: model, name: tiny, license: apache-2.0, bos: yes}
owners:
  before: &m {principal: modeling@example.org, key: keys/modeling}
  calibration: *m
  convert: *m
  ship: &p {principal: platform@example.org, key: keys/platform}
  after: *p
record: {signers: keys/allowed_signers, repository: repo,
         author: Tiny Platform <platform@example.org>}
before:
  quality-budget:
    pooled-drop: 50
    suite-drop: 50
    perplexity: {text: data/valid.txt, ratio: 2, window: 64}
    kl: {mean: 1, tokens: 64}
  bottleneck: {what: memory, target: {relative: 0.9}}
  precision: {bits: 8}
  format: {container: gguf, runtime: llama.cpp, device: cpu}
calibration:
  samples: {source: data/calibration.jsonl, count: 128, at-least: 16, window: 64}
  in-domain: {production: data/traffic.jsonl, draws: 50}
  no-duplicates: {largest-share: 50}
convert:
  group-size: 32
  method: {use: rtn, because: eight bits need no more}
  serving-format: gguf
ship:
  tasks:
    - {name: facts, data: data/facts.jsonl, max-tokens: 4}
    - {name: reasoning, data: data/reasoning.jsonl, covers: reasoning,
       max-tokens: 4}
  stress:
    - {name: instructions, data: data/instructions.jsonl,
       covers: instructions, max-tokens: 4}
    - {name: retrieval, data: data/retrieval.jsonl, covers: retrieval,
       max-tokens: 4}
    - {name: edge, data: data/edge.jsonl, covers: edge, max-tokens: 4}
  benchmark: {hardware: here, prefill: 16, decode: 4, blocks: 1}
  archive: {store: store}
after:
  triggers: {base-model: calibration, traffic: calibration, hardware: ship}
candidates:
  - {name: q8, type: Q8_0, method: rtn, because: nothing is lost}
waivers:
  - {item: calibration.variety, because: a test, until: 2999-12-31}
  - {item: ship.flag, because: a test, until: 2999-12-31}
  - {item: after.monitor, because: a test, until: 2999-12-31}
  - {item: team.review, because: a test, until: 2999-12-31}
"""


class Failed(Exception):
    pass


def check(truth, *what):
    if not truth:
        raise Failed(" ".join(str(w) for w in what))


def equal(got, want, what=""):
    check(got == want, what, "got", repr(got)[:900], "want",
          repr(want)[:900])


def read(path, mode="r"):
    with open(path, mode) as f:
        return f.read()


class Project:
    def __init__(self, top):
        self.top = top
        self.build = os.path.join(top, "build")
        self.repo = os.path.join(top, "repo")
        self.policy = POLICY

    def path(self, *names):
        return os.path.join(self.top, *names)

    def put(self, name, text):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb" if isinstance(text, bytes) else "w") as f:
            f.write(text)
        return path

    def lines(self, name, source, n, most=1 << 30):
        """The first n short lines of a file of the example."""
        with open(os.path.join(DATA, source)) as f:
            kept = [l for l in f if len(l) < most][:n]
        self.put("data/" + name, "".join(kept))

    def make(self):
        """Everything up to the graph, which has not run."""
        run([os.path.join(TOOLS, "make_tiny"), "-l", "2", self.path("model")],
            ROOT)
        self.lines("traffic.jsonl", "traffic.jsonl", 200)
        self.lines("calibration.jsonl", "traffic.jsonl", 200)
        self.lines("valid.txt", "valid.txt", 12)
        for suite in "facts", "reasoning", "instructions", "edge":
            self.lines(suite + ".jsonl", f"suites/{suite}.jsonl", 4, 400)
        self.lines("retrieval.jsonl", "suites/retrieval.jsonl", 6)
        self.put("policy.yaml", self.policy)
        for name in "modeling", "platform":
            self.ok("keygen", "-s", "keys/allowed_signers", "keys/" + name,
                    name + "@example.org")
        self.waive()
        return self

    def waive(self):
        p = self.quern("gen", "--print", "policy.yaml")
        equal(p.returncode, 0, p.stderr)
        self.put("unsigned/policy.json", p.stdout)
        for name in "modeling", "platform":
            self.ok("waive", "-k", "keys/" + name, "-C", "unsigned")
        self.gen()

    def gen(self):
        self.ok("gen", "-o", "build/quern.ninja", "policy.yaml")

    def quern(self, name, *args, env=None, **more):
        return subprocess.run([os.path.join(BIN, "quern-" + name), *args],
                              cwd=self.top, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              errors="replace", env=dict(os.environ,
                                                         **(env or {})),
                              **more)

    def ok(self, name, *args):
        p = self.quern(name, *args)
        equal(p.returncode, 0, f"quern {name}: {p.stdout}{p.stderr}")
        return p.stdout

    def refused(self, name, *args, **more):
        """Exit 1 and one line."""
        p = self.quern(name, *args, **more)
        equal(p.returncode, 1, f"quern {name}: {p.stdout}{p.stderr}")
        equal(p.stderr.count("\n"), 1, p.stderr)
        check(p.stderr.startswith(f"quern-{name}: "), p.stderr)
        return p.stderr

    def ninja(self, *args, ok=True):
        p = subprocess.run(["ninja", "-f", "build/quern.ninja", *args],
                           cwd=self.top, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           text=True)
        check((p.returncode == 0) == ok, "ninja:", p.returncode, p.stdout)
        return p.stdout

    def release(self, **more):
        """The release stage alone."""
        return self.quern("release", "@build/stages/release.stage", **more)

    def verify(self, *args):
        p = self.quern("verify", "-C", "build", *args)
        return p.returncode, p.stdout + p.stderr

    def holds(self):
        status, text = self.verify()
        equal(status, 0, text)

    def git(self, *args, ok=True):
        p = subprocess.run(["git", "-c", "safe.directory=*", "-C", self.repo,
                            *args],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           errors="replace",
                           env=dict(os.environ, GIT_CONFIG_GLOBAL="/dev/null",
                                    GIT_CONFIG_SYSTEM="/dev/null",
                                    GIT_AUTHOR_NAME="a", GIT_AUTHOR_EMAIL="a@b",
                                    GIT_COMMITTER_NAME="a",
                                    GIT_COMMITTER_EMAIL="a@b"))
        check(not ok or p.returncode == 0, "git", args, p.stderr)
        return p.stdout.strip()

    def ref(self, name):
        return self.git("rev-parse", "-q", "--verify", f"{PREFIX}/{name}",
                        ok=False)

    def releases(self):
        """Commits of the release ref, oldest first."""
        return self.git("rev-list", "--reverse", f"{PREFIX}/release").split()

    def ledger(self):
        text = self.git("show", f"{PREFIX}/ledger:ledger.jsonl")
        return [json.loads(l) for l in text.splitlines()]

    def receipt(self):
        return json.loads(read(self.path("build/release.json")))

    def copy(self, to):
        """Another project with the same files and times."""
        shutil.copytree(self.top, to, symlinks=True)
        return Project(to)


def run(command, cwd):
    p = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True)
    check(p.returncode == 0, command, p.stdout)
    return p.stdout


def scratch():
    """In memory, if there is such a place."""
    place = os.environ.get("TMPDIR", "/dev/shm")
    return place if os.access(place, os.W_OK) else None


def main(tests, prepare):
    """One project is released once; each test gets a copy of it."""
    top = tempfile.mkdtemp(prefix="quern-release-", dir=scratch())
    failed = 0
    if len(sys.argv) > 1:
        tests = [t for t in tests if t.__name__ in sys.argv[1:]]
    try:
        first = prepare(os.path.join(top, "first"))
        for number, test in enumerate(tests, 1):
            promise = test.__doc__.strip().splitlines()[0]
            start = time.monotonic()
            try:
                own = first.copy(os.path.join(top, "copy"))
                note = test(own)
                print(f"ok {number} - {promise}", flush=True)
                if note is not None:
                    print(f"# {note}")
                if os.environ.get("QUERN_TIMES"):
                    print(f"# {time.monotonic() - start:.1f} s")
            except Exception as problem:
                failed += 1
                print(f"not ok {number} - {promise}", flush=True)
                text = str(problem) if isinstance(problem, Failed) \
                    else traceback.format_exc()
                for line in text.splitlines():
                    print("#", line)
            finally:
                shutil.rmtree(os.path.join(top, "copy"), ignore_errors=True)
        print(f"1..{len(tests)}")
    finally:
        shutil.rmtree(top, ignore_errors=True)
    sys.exit(1 if failed else 0)
