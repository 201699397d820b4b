#!/usr/bin/env python3
"""The hardware step."""
import hashlib
import json
import os
import time

import step
from step import check, equal

ARGS = dict(outs=["hardware.json"], phase="ship")


def stable(b):
    """three runs give the same bytes, the later ones leave the file alone"""
    b.ok("hardware", "hardware", **ARGS)
    first, at = b.read("hardware.json"), os.stat(b.path("hardware.json"))
    began = time.monotonic()
    for _ in range(2):
        b.ok("hardware", "hardware", **ARGS)
    equal(b.read("hardware.json"), first)
    equal(os.stat(b.path("hardware.json")).st_mtime_ns, at.st_mtime_ns)
    return f"a run takes {(time.monotonic() - began) / 2 * 1e3:.0f} ms"


def digest(b):
    """the digest is that of the identity as one line of sorted JSON"""
    b.ok("hardware", "hardware", **ARGS)
    o = b.json("hardware.json")
    line = json.dumps(o["identity"], sort_keys=True, separators=(",", ":"),
                      ensure_ascii=False)
    spaced = json.dumps(o["identity"], sort_keys=True, ensure_ascii=False)
    check(o["digest"] in [hashlib.sha256(t.encode()).hexdigest()
                          for t in (line, line + "\n", spaced,
                                    spaced + "\n")], "digest", o["digest"])
    for key in ("cpu", "topology", "caches", "memory_mib", "limits", "system",
                "gpu", "blas"):
        check(key in o["identity"], "lacks", key)
    check("mhz" not in json.dumps(o).lower(), "a clock rate is no identity")


def changed(b):
    """a file of another machine is replaced"""
    b.ok("hardware", "hardware", **ARGS)
    mine = b.json("hardware.json")
    other = json.loads(json.dumps(mine))
    other["identity"]["memory_mib"] += 1024
    b.put("hardware.json", json.dumps(other))
    b.ok("hardware", "hardware", **ARGS)
    equal(b.json("hardware.json"), mine)
    b.put("hardware.json", "no json")
    b.ok("hardware", "hardware", **ARGS)
    equal(b.json("hardware.json"), mine)


if __name__ == "__main__":
    step.main([stable, digest, changed])
