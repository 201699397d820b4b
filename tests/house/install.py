#!/usr/bin/env python3
"""make install and uninstall; the installed programs need no source tree."""
import json
import os
import shutil
import subprocess
import tempfile

from house import TESTS, Wrong, main, none, programs, run

POLICY = """\
quern: 1
name: tiny
profile: internal
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
    pooled-drop: 3
    suite-drop: 8
    perplexity: {text: data/valid.txt, ratio: 1.1}
    kl: {mean: 0.1}
  precision: {bits: 4}
  format: {container: gguf, runtime: llama.cpp, device: cpu}
calibration:
  samples: {source: data/calib_pool.jsonl, count: 128, at-least: 64}
  in-domain: {production: data/traffic.jsonl}
  no-duplicates: {largest-share: 2}
convert:
  group-size: 32
  method: {use: imatrix}
  serving-format: gguf
ship:
  tasks:
    - {name: facts, data: data/suites/facts.jsonl}
  archive: {store: store}
candidates:
  - {name: q4k, type: Q4_K}
waivers:
  - {item: team.review, because: a test, until: 2999-12-31}
"""
PREFIX = "/usr"
top = ""    # the folder of this run


def make(target, destdir):
    """As a person calls it: not as a part of the make that runs the tests."""
    env = {k: v for k, v in os.environ.items()
           if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES")}
    return run(["make", "-s", target, f"DESTDIR={destdir}",
                f"PREFIX={PREFIX}"], env=env)


def placed(folder):
    return {os.path.relpath(os.path.join(d, f), folder): os.path.join(d, f)
            for d, _, names in os.walk(folder) for f in names}


def expected():
    found = {"usr/share/quern/build.ninja.in": 0o644}
    for name in programs():
        found["usr/bin/" + name] = 0o755
        found[f"usr/share/man/man1/{name}.1"] = 0o644
    for name in os.listdir("policies"):
        found["usr/share/quern/policies/" + name] = 0o644
    return found


def install():
    """make install puts programs, manual pages, policies and rules, no more"""
    make("install", top + "/root")
    have, want = placed(top + "/root"), expected()
    wrong = [f"{n}: missing" for n in sorted(set(want) - set(have))]
    wrong += [f"{n}: too much" for n in sorted(set(have) - set(want))]
    wrong += [f"{n}: mode {os.stat(have[n]).st_mode & 0o777:o}"
              for n in sorted(set(want) & set(have))
              if os.stat(have[n]).st_mode & 0o777 != want[n]]
    none(wrong)
    return f"{len(have)} files"


def quern(*args, ok=True):
    env = {"PATH": f"{top}/there/usr/bin:/usr/bin:/bin", "HOME": top,
           "LC_ALL": "C.UTF-8"}
    return run(["quern", *args], ok, cwd=top + "/team", env=env)


def outside():
    """moved elsewhere, the installed programs take a small model to its file
    """
    os.rename(top + "/root", top + "/there")
    os.mkdir(top + "/team")
    quern("init", "-p", "internal")
    for name in ("valid.txt", "calib_pool.jsonl", "traffic.jsonl",
                 "suites/facts.jsonl"):
        to = f"{top}/team/data/{name}"
        os.makedirs(os.path.dirname(to), exist_ok=True)
        shutil.copy("examples/pebble/data/" + name, to)
    run([os.path.join(TESTS, "tools/make_tiny"), top + "/team/model"])
    with open(top + "/team/policy.yaml", "w") as f:
        f.write(POLICY)
    # the waiver is not signed yet, so there is no graph, but there is
    # something to sign
    said = quern("gen", "policy.yaml", ok=False)
    if "waive" not in said:
        raise Wrong(said)
    quern("waive", "-k", "keys/platform")
    quern("gen", "policy.yaml")
    quern("build", "build/cand/q4k/model.gguf")
    with open(top + "/team/build/cand/q4k/model.gguf", "rb") as f:
        if f.read(4) != b"GGUF":
            raise Wrong("the result is no GGUF file")
    out = quern("build", "build/cand/q4k/model.gguf")
    if "quantize" in out:
        raise Wrong(f"the second run did work again:\n{out}")
    state = json.loads(quern("status", "-j"))
    if not state:
        raise Wrong("no state")


def own_rules():
    """nothing in the graph points into the source tree"""
    source = os.getcwd()
    wrong = []
    for name, path in placed(top + "/team/build").items():
        if name.endswith((".ninja", ".stage", ".json", ".link")):
            with open(path, errors="replace") as f:
                if source in f.read():
                    wrong.append(f"{name}: names {source}")
    none(wrong)


def uninstall():
    """make uninstall leaves no file behind"""
    make("install", top + "/again")
    make("uninstall", top + "/again")
    none(sorted(placed(top + "/again")))
    if os.path.exists(top + "/again/usr/share/quern"):
        raise Wrong("usr/share/quern is still there")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="quern-install-") as top:
        main([install, outside, own_rules, uninstall])
