#!/usr/bin/env python3
"""The real steps with a GGUF file as the model's source.

The file is made from the tiny model's folder by quern's own steps.
"""
import os
import subprocess
import sys

from project import BIN, Project, check, equal, main
from real import lines

sys.path.insert(0, "tests/steps")
import step  # noqa: E402

ITEMS = {"valid.txt": 60, "calibration.jsonl": 250, "traffic.jsonl": 300,
         "facts.jsonl": 60, "facts-more.jsonl": 30, "reasoning.jsonl": 40,
         "instructions.jsonl": 40, "retrieval.jsonl": 6, "edge.jsonl": 40}
POLICY = """\
quern: 1
name: tiny
profile: production
model: {source: SOURCE, name: tiny, license: apache-2.0}
owners:
  before: &m {principal: modeling@example.org, key: keys/modeling}
  calibration: *m
  convert: *m
  ship: &p {principal: platform@example.org, key: keys/platform}
  after: *p
record: {signers: keys/allowed_signers, repository: releases.git}
before:
  quality-budget:
    pooled-drop: 60
    suite-drop: 90
    perplexity: {text: data/valid.txt, ratio: 2, limit: 1024}
    kl: {mean: 5, tokens: 512}
  bottleneck: {what: memory, target: {relative: 1.5}}
  precision: {bits: 4}
  format: {container: gguf, runtime: llama.cpp, device: cpu}
calibration:
  samples: {source: data/calibration.jsonl, count: 128, at-least: 16,
    window: 64}
  in-domain: {production: data/traffic.jsonl}
  no-duplicates: {largest-share: 2}
convert:
  group-size: 32
  method: {use: imatrix}
  serving-format: gguf
ship:
  tasks:
    - {name: facts, data: data/facts.jsonl}
    - {name: reasoning, data: data/reasoning.jsonl, max-tokens: 8,
       covers: reasoning}
  stress:
    - {name: instructions, data: data/instructions.jsonl, max-tokens: 8,
       covers: instructions}
    - {name: retrieval, data: data/retrieval.jsonl, max-tokens: 8,
       covers: retrieval}
    - {name: edge, data: data/edge.jsonl, max-tokens: 8, covers: edge}
  benchmark: {hardware: here, prefill: 32, decode: 8, blocks: 1}
  archive: {store: store}
after:
  triggers: {base-model: calibration, traffic: calibration, hardware: ship}
candidates:
  - {name: q4k, type: Q4_K, tensors: {token_embd: Q6_K}}
  - {name: awq, type: Q4_0, method: awq, because: to fold scales}
  - {name: q8, type: Q8_0, method: rtn, because: nothing is lost}
waivers:
  - {item: calibration.variety, because: a test, until: 2999-12-31}
  - {item: ship.flag, because: a test, until: 2999-12-31}
  - {item: after.monitor, because: a test, until: 2999-12-31}
  - {item: team.review, because: a test, until: 2999-12-31}
"""


def project(top, source, make=None):
    """Data of pebble, a tiny model; make(p) puts the source there first."""
    class Made(Project):
        def model(self, layers, seed=1):
            super().model(layers, seed)
            if make is not None:
                make(self)

    p = Made(top, real=True, policy=POLICY.replace("SOURCE", source))
    for name, count in ITEMS.items():
        pebble = {"calibration.jsonl": "calib_pool.jsonl",
                  "facts-more.jsonl": "reserve/facts.jsonl"}.get(name, name)
        if not os.path.exists("examples/pebble/data/" + pebble):
            pebble = "suites/" + name
        p.put("data/" + name, lines(pebble, count))
    p.gen()
    return p


def convert(p, type_, name):
    """The folder p.top/model as one GGUF file of that type."""
    b = step.Build(p.path("made-" + type_))
    b.model = p.path("model")
    b.ok("fingerprint", "fingerprint", **b.fingerprint_args(layers=2))
    for part in 0, 1, "head":
        b.quantize("x", part, type_, "rtn",
                   sets={"type.token_embd": type_})
    how = b.assemble_args("x", type_, layers=2)
    del how["sets"]["card.base_model"]
    b.ok("assemble", "assemble.x", **how)
    os.replace(b.path("cand/x/model.gguf"), p.path(name))


def quern(p, command, *args):
    done = subprocess.run([os.path.join(BIN, "quern-" + command), "-C",
                           p.build, *args], cwd=p.top, capture_output=True,
                          text=True)
    check(done.returncode == 0, command, done.stdout, done.stderr)
    return done.stdout


def tensors(p, cand):
    """name -> (dimensions, type, bytes) of a candidate's file."""
    g = step.Gguf(p.path(f"build/cand/{cand}/model.gguf"))
    order = sorted(g.tensors, key=lambda n: g.tensors[n][2])
    ends = [g.tensors[n][2] for n in order[1:]] + [len(g.data) - g.start]
    return {n: g.tensors[n][:2] + (g.bytes_of(n, end - g.tensors[n][2]),)
            for n, end in zip(order, ends)}, g.kv


def scores(p):
    """Everything that the baseline answered, and its perplexity."""
    found = {}
    for name in sorted(os.listdir(p.path("build/eval/baseline"))):
        if name.endswith(".jsonl"):
            found[name] = p.get("build/eval/baseline/" + name)
    return found


def lossless(top):
    """a BF16 file gives the statistics, tensors and answers of the folder it
    was made from, carries its keys over, and is released, verified, rolled
    back"""
    a = project(os.path.join(top, "folder"), "model")
    b = project(os.path.join(top, "file"), "base.gguf",
                lambda p: convert(p, "BF16", "base.gguf"))
    for p in a, b:
        p.ninja()
    for part in "layer.000", "layer.001", "head":
        with open(a.path(f"build/stats/{part}.safetensors"), "rb") as f, \
                open(b.path(f"build/stats/{part}.safetensors"), "rb") as g:
            check(f.read() == g.read(), "statistics of", part, "differ")
    for cand in "q4k", "awq", "q8":
        (x, keys_a), (y, keys_b) = tensors(a, cand), tensors(b, cand)
        equal(set(x), set(y), cand)
        for name in x:
            check(x[name] == y[name], cand, name, "differs")
        equal(keys_b.pop("quern.source.types"), "BF16 15, F32 5")
        equal(keys_b.pop("quern.source.quantized"), False)
        equal(keys_b, keys_a, "keys of " + cand)
    equal(scores(b), scores(a), "answers")
    out = quern(b, "verify")
    check(", 0 wrong, 0 unchecked" in out or "0 wrong" in out, out)
    check("base.gguf" in b.get("build/archive.json"), "the file is archived")
    check("quantized" not in b.get("build/report.html"), "no warning is due")
    quern(b, "rollback", "-m", "a try")
    quern(b, "verify")


if __name__ == "__main__":
    main([lossless])
