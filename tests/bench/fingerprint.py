#!/usr/bin/env python3
"""Fingerprint beside sha256sum and openssl, on the same 500 MB.

usage: tests/bench/fingerprint.py [REPEATS]      (3)

The files are in the page cache. quern-fingerprint hashes every byte twice, as
part of its file and as part of its tensor; the others once. Prints CSV; rates
are bytes of checkpoint a second, ratio the rate over that of sha256sum.
"""
import os
import sys
import tempfile

from checkpoint import make, remove, repeat, step, watch

LAYERS, HIDDEN, MLP, KV, HEAD = 22, 1024, 2816, 256, 64


def main(repeats):
    print("what,threads,wall_s,processor_s,GB_per_s,GB_per_processor_s,ratio")
    with tempfile.TemporaryDirectory(prefix="quern-bench-") as folder:
        b = step.Build(folder)
        size, _ = make(b, LAYERS, HIDDEN, MLP, KV, HEAD)
        weights = os.path.join(b.model, "model.safetensors")
        args = b.args("fingerprint", "fingerprint",
                      **b.fingerprint_args(layers=LAYERS))
        outputs = [b.path(o) for o in
                   b.fingerprint_args(layers=LAYERS)["outs"]]
        watch(args)     # check the result before anything is timed
        known = os.popen(f"sha256sum '{weights}'").read()[:64]
        step.equal(b.json("base/model.fp.json")["files"]["model.safetensors"]
                   ["sha256"], known, "digest")
        base = None
        for what, command, threads in (
                ("sha256sum", ["sha256sum", weights], [1]),
                ("openssl dgst", ["openssl", "dgst", "-sha256", weights], [1]),
                ("fingerprint", args, [1, 2])):
            for n in threads:
                wall, cpu, _ = repeat(repeats, lambda: remove(
                    b.path("state/fingerprint.json"), *outputs), command, n)
                rate = size / wall / 1e9
                base = base or rate
                print(f"{what},{n},{wall:.3f},{cpu:.3f},{rate:.3f},"
                      f"{size / cpu / 1e9:.3f},{rate / base:.2f}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
