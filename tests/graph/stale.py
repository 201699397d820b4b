#!/usr/bin/env python3
"""What ninja alone would get wrong, and what it must not do needlessly."""
import json
import os
import shutil
import subprocess
import time

from project import (NINJA, POLICY, PROBES, Project, check, equal, main, run, settle,
                     stages_started)


def built(top, **options):
    p = Project(top, **options)
    p.gen()
    ran, _ = p.ninja()
    check(len(ran) > 40, "only", ran)
    return p


def second_run(top):
    """a second run starts nothing but the probes"""
    p = built(top)
    ran, out = p.ninja()
    equal(ran, set(), "ran")
    equal(stages_started(out), PROBES, "started")


def touched(top):
    """a touched checkpoint with equal bytes re-runs nothing"""
    p = built(top)
    settle()
    for name in os.listdir(p.path("model")):
        os.utime(p.path("model/" + name))
    ran, out = p.ninja()
    equal(ran, set(), "ran")
    # config.json shapes the graph, so that is looked at again, too
    equal(stages_started(out) - {"graph build/quern.ninja"}, PROBES,
          "started")


def older(top):
    """an older checkpoint swapped in under newer outputs is noticed"""
    p = built(top)
    run([os.path.join(os.environ.get("QUERN_TOOLS", "out/tests/tools"),
                      "make_tiny"), "-l", "2", "-s", "9", p.path("other")],
        os.getcwd())
    for name in os.listdir(p.path("other")):
        os.utime(p.path("other/" + name), (1000000000, 1000000000))
        os.replace(p.path("other/" + name), p.path("model/" + name))
    ran, _ = p.ninja()
    check("quantize.q4k.l000" in ran and "calibrate" in ran and
          "evaluate.baseline.facts" in ran, ran)


def one_layer(top):
    """one changed layer re-runs that layer and what follows, no other layer"""
    p = built(top)
    path = p.path("model/model.safetensors")
    with open(path, "r+b") as f:
        n = int.from_bytes(f.read(8), "little")
        header = json.loads(f.read(n))
        at = header["model.layers.1.mlp.up_proj.weight"]["data_offsets"][0]
        settle()
        f.seek(8 + n + at)
        f.write(b"\x11\x22")
    ran, _ = p.ninja()
    # the statistics stand-in writes all layers, as calibrate depends on all;
    # plain rounding depends on its own layer alone
    check("quantize.q8.l001" in ran, ran)
    check("quantize.q8.l000" not in ran and "quantize.q8.head" not in ran,
          ran)


def lost_log(top):
    """with ninja's log gone every stage is asked and none does its work"""
    p = built(top)
    before = p.snapshot()
    os.remove(p.path("build/.ninja_log"))
    ran, out = p.ninja()
    equal(ran, set(), "ran")
    check(len(stages_started(out)) > 40, out)
    equal(p.snapshot(), before, "outputs")


def moved(top):
    """a moved project does no work again"""
    p = built(os.path.join(top, "a"))
    os.rename(p.top, os.path.join(top, "b"))
    p.top = os.path.join(top, "b")
    p.bin = os.path.join(p.top, "bin")
    p.log = os.path.join(p.top, "ran")
    p.gen()
    ran, _ = p.ninja()
    equal(ran, set(), "ran")


def clone(top):
    """a copy without times does no work again"""
    p = built(os.path.join(top, "a"))
    shutil.copytree(p.top, os.path.join(top, "b"), copy_function=shutil.copy)
    p.top = os.path.join(top, "b")
    p.bin = os.path.join(p.top, "bin")
    p.log = os.path.join(p.top, "ran")
    os.remove(p.path("build/.ninja_log"))
    p.gen()
    ran, _ = p.ninja()
    equal(ran, set(), "ran")


def reset(top):
    """parameter A, then B killed before it was logged, then A again: A's"""
    p = built(top)
    before = p.snapshot()
    p.edit("decode: 64" if "decode: 64" in p.get("policy.yaml") else
           "hardware: here", "hardware: here, decode: 64")
    settle()
    child = subprocess.Popen([NINJA, "-f", p.graph], cwd=top,
                             stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL,
                             env=p.environment(
                                 QUERN_STAND_IN_SLEEP="benchmark.q4k 1500"))
    deadline = time.monotonic() + 60
    want = "decode=64"
    while time.monotonic() < deadline:
        if want in p.get("build/bench/q4k.json"):
            break
        time.sleep(0.01)
    child.kill()  # ninja alone: the step goes on and its end is never logged
    child.wait()
    time.sleep(2)
    check(want in p.get("build/bench/q4k.json"), "B was not written")
    p.edit("hardware: here, decode: 64", "hardware: here")
    p.ninja()
    equal(differences(p.snapshot(), before), set(), "outputs")


def differences(a, b):
    return {n for n in a.keys() | b.keys() if a.get(n) != b.get(n)}


def inputs(top):
    """an input added or removed re-runs the stages that read it"""
    p = built(top)
    p.put("data/more.jsonl", "more\n")
    p.edit("    - {name: facts,", "    - {name: more, data: data/more.jsonl}\n"
           "    - {name: facts,")
    # old enough not to be newer than any output
    os.utime(p.path("data/more.jsonl"), (1000000000, 1000000000))
    ran, _ = p.ninja()
    check({"evaluate.q4k.more", "evaluate.baseline.more", "corpus",
           "gate.q4k", "gate.q8"} <= ran, ran)
    p.edit("    - {name: more, data: data/more.jsonl}\n", "")
    ran, _ = p.ninja()
    check({"corpus", "gate.q4k", "gate.q8"} <= ran, ran)
    check(not any("facts" in s and "reserve" not in s and "q8" in s
                  for s in ran), ran)


def layers(top):
    """another number of layers regenerates the graph by itself"""
    p = built(top)
    p.model(3)
    ran, _ = p.ninja()
    check("quantize.q8.l002" in ran, ran)
    p.model(2)
    ran, _ = p.ninja()
    check(not os.path.exists(p.path("build/stages/quantize.q8.l002.stage")),
          "a stage file of a layer that is gone")


def same_bytes(top):
    """same policy, same bytes: graph, stage files and policy.json"""
    p = Project(os.path.join(top, "a"))
    p.gen()
    first = p.snapshot()
    shutil.copytree(p.top, os.path.join(top, "b"))
    shutil.rmtree(os.path.join(top, "b", "build"))
    p.top = os.path.join(top, "b")
    p.bin = os.path.join(p.top, "bin")
    p.gen()
    equal(differences(p.snapshot(), first), set(), "files")


def damaged(top):
    """a damaged or missing stage file or index is put right"""
    p = built(top)
    stage = "build/stages/gate.q4k.stage"
    whole = p.get(stage)
    settle()
    p.put(stage, whole[:50])
    p.put("build/stages/.index", "nonsense\n")
    p.gen()
    equal(p.get(stage), whole, "stage file")
    os.remove(p.path(stage))
    p.ninja()
    equal(p.get(stage), whole, "stage file made again")


def refused(top):
    """a policy that is refused leaves the old graph as it was"""
    p = built(top)
    before = p.snapshot()
    p.edit("method: {use: imatrix}", "method: {use: imatrx}")
    _, out = p.ninja(ok=False)
    check("did you mean imatrix?" in out, out)
    equal(differences(p.snapshot(), before), set(), "files")


def same_waivers(top):
    """a policy that waives nothing new needs no new signatures"""
    p = built(top, policy=POLICY.replace("review, because: a test",
                                         "review, because: another"))
    ran, _ = p.ninja()
    equal(ran, set())


if __name__ == "__main__":
    main([second_run, touched, older, one_layer, lost_log, moved, clone,
          reset, inputs, layers, same_bytes, damaged, refused, same_waivers])
