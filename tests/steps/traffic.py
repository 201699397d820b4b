#!/usr/bin/env python3
"""The traffic step: a frozen profile that moves only with production."""
import json
import os
import random

import step
from step import check, equal

TRAFFIC = os.path.join(step.DATA, "traffic.jsonl")
SHIFTED = os.path.join(step.DATA, "traffic_shifted.jsonl")


def sample(b, name, source, keep):
    """Some lines of a file, as a production sample."""
    with open(source) as f:
        lines = f.readlines()
    return b.put(name, "".join(keep(lines)))


def frozen(b):
    """the same sample leaves the profile's bytes and time alone"""
    b.fingerprint()
    b.traffic()
    first = b.read("traffic.json")
    at = os.stat(b.path("traffic.json")).st_mtime_ns
    b.traffic()
    equal(b.read("traffic.json"), first)
    equal(os.stat(b.path("traffic.json")).st_mtime_ns, at)
    o = json.loads(first)
    equal([o["schema"], o["documents"], o["epoch"], o["buckets"]],
          ["quern.traffic/1", 800, 1, 4096])
    equal(len(o["counts"]), 800)
    equal(sum(d["n"] for d in o["counts"]), o["tokens"])


def no_text(b):
    """the profile holds no words of production"""
    b.fingerprint()
    b.traffic()
    for word in (b"harvest", b"Nerulin", b"captain", b"traffic-0"):
        check(word not in b.read("traffic.json"), word)


def same_source(b):
    """another sample of the same production does not move it"""
    b.fingerprint()
    draw = random.Random(5)

    def half(lines):
        draw.shuffle(lines)
        return lines[:400]
    b.traffic(sample(b, "a.jsonl", TRAFFIC, half))
    first = b.read("traffic.json")
    b.traffic(sample(b, "b.jsonl", TRAFFIC, half))
    equal(b.read("traffic.json"), first)


def shifted(b):
    """a real shift takes the profile anew, once"""
    b.fingerprint()
    b.traffic()
    first = b.read("traffic.json")
    b.traffic(SHIFTED)
    second = b.read("traffic.json")
    check(second != first, "the profile did not move")
    equal(json.loads(second)["epoch"], 2)
    b.traffic(SHIFTED)
    equal(b.read("traffic.json"), second)


def one_odd_half(b):
    """a shift in one half of the sample only is not enough"""
    b.fingerprint()
    b.traffic()
    first = b.read("traffic.json")
    with open(SHIFTED) as f:
        odd = f.readlines()[:400]
    b.traffic(sample(b, "half.jsonl", TRAFFIC, lambda l: l[:400] + odd))
    equal(b.read("traffic.json"), first)


def limited(b):
    """at most `documents` are kept, drawn with the seed"""
    b.fingerprint()
    b.traffic(documents=100)
    equal(b.json("traffic.json")["documents"], 100)


def broken_profile(b):
    """a broken profile is taken anew"""
    b.fingerprint()
    b.traffic()
    first = b.read("traffic.json")
    b.put("traffic.json", first[:5000])
    b.traffic()
    equal(b.read("traffic.json"), first)


def bad_line(b):
    """a line that is not JSON is named with file and line"""
    b.fingerprint()
    path = b.put("bad.jsonl", '{"text": "one"}\n{"text": \n')
    b.refused("traffic", "traffic", f"{path}:2", **b.traffic_args(path))


def empty(b):
    """an empty sample is refused"""
    b.fingerprint()
    path = b.put("empty.jsonl", "")
    b.refused("traffic", "traffic", f"{path}: holds no documents",
              **b.traffic_args(path))


if __name__ == "__main__":
    step.main([frozen, no_text, same_source, shifted, one_odd_half, limited,
               broken_profile, bad_line, empty])
