#!/usr/bin/env python3
"""Peak memory of the steps that must stream, against the largest layer.

usage: tests/bench/memory.py

A random checkpoint with eight layers of 22 MB. `layers` is the peak, less what
the program takes for a model of two tiny layers, in layers: two at most are
asked for, statistics and activations beside. Prints CSV.
"""
import os
import subprocess
import tempfile

from checkpoint import make, step, watch

BIG = (8, 1024, 2816, 256, 64)
SMALL = (2, 256, 512, 128, 32)


def stages(b, layers):
    """(name, arguments) of the steps, in the order of the graph."""
    def args(name, stage, kind):
        return name, b.args(name, stage, **kind)

    yield args("fingerprint", "fingerprint", b.fingerprint_args(layers))
    yield args("traffic", "traffic", b.traffic_args())
    b.copy(os.path.join(step.DATA, "calib_pool.jsonl"),
           "data/calibration.jsonl")
    yield args("corpus", "corpus", b.corpus_args(count=16, window=64))
    yield args("calibrate", "calibrate", b.calibrate_args(layers))
    for part in [*range(layers), "head"]:
        name = "head" if part == "head" else f"l{part:03d}"
        yield args("quantize", f"quantize.q4k.{name}",
                   b.quantize_args("q4k", part, "Q4_K", "imatrix"))
    yield args("assemble", "assemble.q4k",
               b.assemble_args("q4k", "Q4_K", layers))
    store = os.path.join(b.top, "store")
    ins = ["base/model.fp.json", "base/config.fp.json", "base/head.fp.json",
           "base/tokenizer.fp.json"]
    ins += [f"base/layer.{i:03d}.fp.json" for i in range(layers)]
    command = b.args("archive", "archive", ins=ins, outs=["archive.json"],
                     srcs={"base": b.model}, phase="ship")
    at = command.index("--out=archive.json")
    yield "archive", command[:at] + ["--dst=store=" + store] + command[at:]


def peaks(shape):
    """step -> (peak bytes, processor s), and the bytes of model and layer."""
    found = {}
    with tempfile.TemporaryDirectory(prefix="quern-bench-") as folder:
        b = step.Build(folder)
        size, layer = make(b, *shape)
        for name, command in stages(b, shape[0]):
            _, cpu, peak = watch(command)
            old = found.get(name, (0, 0))
            found[name] = max(old[0], peak), old[1] + cpu
        subprocess.run(["chmod", "-R", "u+w", folder], check=True)
    return found, size, layer


def main():
    small, _, _ = peaks(SMALL)
    big, size, layer = peaks(BIG)
    print("step,peak_MB,floor_MB,model_MB,layer_MB,layers,processor_s")
    for name, (peak, cpu) in big.items():
        floor = small[name][0]
        print(f"{name},{peak / 1e6:.0f},{floor / 1e6:.0f},{size / 1e6:.0f},"
              f"{layer / 1e6:.1f},{(peak - floor) / layer:.2f},{cpu:.2f}",
              flush=True)


if __name__ == "__main__":
    main()
