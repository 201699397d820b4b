#!/usr/bin/env python3
"""Speed of fingerprint and quantize on one layer of TinyLlama's shape.

usage: tests/bench/layer.py [--threads 1,2] [--types Q8_0,Q4_0,...] [--repeat N]

Makes a checkpoint with one layer of hidden size 2048 and MLP 5632 (88 MB of
BF16) and an embedding of 2,048 rows, then times whole programs, warm from the
page cache. fingerprint is compared with sha256sum over the same files, in the
same run; every byte is hashed twice, once as part of its file and once as part
of its tensor. quantize is given statistics, so that K types weigh their
columns; its rate is megabytes of BF16 input a second. Prints CSV: the fastest
and the median of the repeats, wall seconds, and CPU seconds of the fastest.
Results are checked before they are timed. Timings are observations.
"""
import argparse
import json
import os
import platform
import resource
import statistics
import struct
import subprocess
import random
import sys
import tempfile
import time

sys.path.insert(0, "tests/steps")
import step  # noqa: E402

H, F, KV, V = 2048, 5632, 256, 2048
P = "model.layers.0."
SHAPES = {
    "model.embed_tokens.weight": [V, H], "model.norm.weight": [H],
    P + "input_layernorm.weight": [H],
    P + "post_attention_layernorm.weight": [H],
    P + "self_attn.q_proj.weight": [H, H],
    P + "self_attn.k_proj.weight": [KV, H],
    P + "self_attn.v_proj.weight": [KV, H],
    P + "self_attn.o_proj.weight": [H, H],
    P + "mlp.gate_proj.weight": [F, H], P + "mlp.up_proj.weight": [F, H],
    P + "mlp.down_proj.weight": [H, F],
}


def noise(n, seed):
    """n bfloat16 weights: gaussian, one megabyte of them over and over."""
    draw = random.Random(seed)
    one = b"".join(struct.pack("<f", draw.gauss(0, 0.02))[2:]
                   for _ in range(min(n, 1 << 19)))
    return (one * (2 * n // len(one) + 1))[:2 * n]


def make(b):
    folder = b.own_model()
    with open(os.path.join(folder, "config.json")) as f:
        config = json.load(f)
    config.update(hidden_size=H, intermediate_size=F, head_dim=64,
                  num_attention_heads=32, num_key_value_heads=4,
                  num_hidden_layers=1)
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump(config, f)
    tensors = {}
    for i, (name, shape) in enumerate(SHAPES.items()):
        n = shape[0] * (shape[1] if len(shape) > 1 else 1)
        tensors[name] = ("BF16", shape, noise(n, i))
    path = os.path.join(folder, "model.safetensors")
    step.write_safetensors(path, tensors)
    stats = {}
    for role, cols in (("qkv", H), ("o", H), ("gate_up", H), ("down", F)):
        draw = random.Random(cols)
        for q in ("mean2", "absmean", "absmax"):
            v = [abs(draw.gauss(0, 1)) + 0.01 for _ in range(cols)]
            stats[f"{role}.{q}"] = ("F32", [cols], struct.pack(f"<{cols}f",
                                                               *v))
    os.makedirs(b.path("stats"))
    write_with_tokens(b.path("stats/layer.000.safetensors"), stats)
    return os.path.getsize(path)


def write_with_tokens(path, tensors):
    """write_safetensors, with the metadata that statistics carry."""
    step.write_safetensors(path, tensors)
    header, start = step.safetensors_header(path)
    header["__metadata__"] = {"tokens": "1000"}
    with open(path, "rb") as f:
        data = f.read()[start:]
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def timed(command, before, repeat):
    """(fastest, median, CPU of the fastest) seconds."""
    runs = []
    for _ in range(repeat):
        before()
        at, cpu = time.monotonic(), resource.getrusage(
            resource.RUSAGE_CHILDREN)
        command()
        wall = time.monotonic() - at
        now = resource.getrusage(resource.RUSAGE_CHILDREN)
        runs.append((wall, now.ru_utime + now.ru_stime - cpu.ru_utime -
                     cpu.ru_stime))
    return min(runs)[0], statistics.median(r[0] for r in runs), min(runs)[1]


def remove(*paths):
    for p in paths:
        if os.path.exists(p):
            os.remove(p)


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--threads", default="1,2")
    ap.add_argument("--types", default="Q8_0,Q4_0,Q4_K,Q6_K")
    ap.add_argument("--repeat", type=int, default=3)
    args = ap.parse_args()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"],
                            stdout=subprocess.PIPE, text=True).stdout.strip()
    print(f"# commit {commit}, {platform.processor() or platform.machine()}, "
          f"load {os.getloadavg()[0]:.1f}, repeats {args.repeat}")
    print("what,threads,fastest_s,median_s,cpu_s,MB_per_s")
    with tempfile.TemporaryDirectory(prefix="quern-bench-") as folder:
        b = step.Build(folder)
        size = make(b)
        weights = os.path.join(b.model, "model.safetensors")
        state = b.path("state/fingerprint.json")

        def report(what, threads, t, amount):
            print(f"{what},{threads},{t[0]:.3f},{t[1]:.3f},{t[2]:.3f},"
                  f"{amount / t[0] / 1e6:.0f}", flush=True)

        b.ok("fingerprint", "fingerprint", **b.fingerprint_args(layers=1))
        want = subprocess.run(["sha256sum", weights], check=True,
                              stdout=subprocess.PIPE, text=True).stdout[:64]
        step.equal(b.json("base/model.fp.json")["files"]["model.safetensors"]
                   ["sha256"], want, "fingerprint differs from sha256sum")
        report("sha256sum", 1, timed(
            lambda: subprocess.run(["sha256sum", weights], check=True,
                                   stdout=subprocess.DEVNULL),
            lambda: None, args.repeat), size)
        for n in args.threads.split(","):
            report("fingerprint", n, timed(
                lambda: b.ok("fingerprint", "fingerprint",
                             env={"QUERN_THREADS": n},
                             **b.fingerprint_args(layers=1)),
                lambda: remove(state), args.repeat), size)
        layer = size - 2 * V * H
        out = b.path("quant/x/layer.000.gguf")
        for type_ in args.types.split(","):
            seen = None
            for n in args.threads.split(","):
                t = timed(lambda: b.quantize("x", 0, type_, "imatrix",
                                             env={"QUERN_THREADS": n}),
                          lambda: remove(out), args.repeat)
                step.check(seen is None or b.read("quant/x/layer.000.gguf")
                           == seen, type_, "bytes differ between threads")
                seen = b.read("quant/x/layer.000.gguf")
                report(f"quantize {type_}", n, t, layer)


if __name__ == "__main__":
    main()
