#!/usr/bin/env python3
"""The steps that stream, on 1.1 billion parameters in 1.1 GB of memory.

A checkpoint of TinyLlama's shape (22 layers of 88 MB, an embedding and an
output matrix of 131 MB each, 2.2 GB of BF16) goes through the whole conversion.
No step may take more than LIMIT bytes of memory of its own (the kernel refuses
them, RLIMIT_DATA), and what it ever holds at once, its own memory and mapped
pages of files together, must stay below LIMIT and below what streaming needs:
two layers, one layer's statistics, the largest tensor outside the layers, and
ROOM for activations and buffers. Prints what was reached.
"""
import hashlib
import os
import subprocess
import sys

sys.path[:0] = ["tests/bench", "tests/steps"]
import numpy  # noqa: E402
from gguf import GGUFReader  # noqa: E402

import checkpoint  # noqa: E402
import step  # noqa: E402

LIMIT = 1_100_000_000
ROOM = 64_000_000
LAYERS = int(os.environ.get("QUERN_TEST_LAYERS", "22"))
HIDDEN, MLP, KV, HEAD, VOCAB = 2048, 5632, 256, 64, 32000
LAST = LAYERS - 1


def watch(command, limit=LIMIT):
    """As checkpoint.watch, with at most `limit` bytes of data."""
    return checkpoint.watch(["prlimit", f"--data={limit}"] + command)


def sha256(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def conversion(b):
    """(name, command) of every step that must stream, in order."""
    yield "fingerprint", b.args("fingerprint", "fingerprint",
                                **b.fingerprint_args(LAYERS))
    yield "traffic", b.args("traffic", "traffic", **b.traffic_args())
    b.copy(os.path.join(step.DATA, "calib_pool.jsonl"),
           "data/calibration.jsonl")
    yield "corpus", b.args("corpus", "corpus",
                           **b.corpus_args(count=4, window=128))
    yield "calibrate", b.args("calibrate", "calibrate",
                              **b.calibrate_args(LAYERS))
    for part in [*range(LAYERS), "head"]:
        name = "head" if part == "head" else f"l{part:03d}"
        yield ("quantize head" if part == "head" else "quantize"), b.args(
            "quantize", f"quantize.q4k.{name}",
            **b.quantize_args("q4k", part, "Q4_K", "imatrix"))
    yield "assemble", b.args("assemble", "assemble.q4k",
                             **b.assemble_args("q4k", "Q4_K", LAYERS))
    ins = [f"base/{p}.fp.json" for p in ("model", "config", "head",
                                         "tokenizer")]
    ins += [f"base/layer.{i:03d}.fp.json" for i in range(LAYERS)]
    command = b.args("archive", "archive", ins=ins, outs=["archive.json"],
                     srcs={"base": b.model}, phase="ship")
    at = command.index("--out=archive.json")
    yield "archive", (command[:at] + ["--dst=store=" + b.top + "/store"] +
                      command[at:])


def row(what, wall, peak, bound):
    print(f"# {what:14} {wall:7.1f} s {peak / 1e6:7.0f} MB"
          f"   bound {bound / 1e6:5.0f} MB", flush=True)


def keep_to(peaks, bound):
    """Every step's (seconds, peak bytes) must be below `bound` and LIMIT."""
    for name, (_, peak) in peaks.items():
        step.check(peak < min(LIMIT, bound), name, "took", peak, "bytes")


def check_bound_is_seen(peaks):
    """A step just above a bound is found, by its name."""
    most = max(peaks, key=lambda name: peaks[name][1])
    try:
        keep_to(peaks, peaks[most][1])
    except step.Failed as e:
        step.equal(str(e), f"{most} took {peaks[most][1]} bytes")
    else:
        raise step.Failed("no bound is seen to be passed")


def convert(b, bound):
    """Runs it; peaks by step must keep to `bound` and LIMIT."""
    peaks = {}
    for name, command in conversion(b):
        wall, _, peak = watch(command)
        old = peaks.get(name, (0, 0))
        peaks[name] = old[0] + wall, max(old[1], peak)
    for name, (wall, peak) in peaks.items():
        row(name, wall, peak, bound)
    keep_to(peaks, bound)
    check_bound_is_seen(peaks)


def check_fingerprint(b):
    weights = os.path.join(b.model, "model.safetensors")
    step.equal(b.json("base/model.fp.json")["files"]["model.safetensors"]
               ["sha256"], sha256(weights), "digest of the weights")


def rows_of(b, name, ids=None):
    """Rows of a BF16 matrix of the checkpoint as float32."""
    path = os.path.join(b.model, "model.safetensors")
    header, start = step.safetensors_header(path)
    t = header[name]
    flat = numpy.memmap(path, numpy.uint16, "r",
                        start + t["data_offsets"][0],
                        tuple(t["shape"]))
    some = flat if ids is None else flat[list(ids)]
    return (some.astype(numpy.uint32) << 16).view(numpy.float32)


def check_statistics(b):
    """What goes into the first layer is the embedding, normed."""
    ids = step.safetensors_values(b.path("corpus/tokens.safetensors"), "ids")
    x = rows_of(b, "model.embed_tokens.weight", ids).astype(numpy.float64)
    x /= numpy.sqrt((x * x).mean(axis=1, keepdims=True) + 1e-6)
    have = step.safetensors_values(b.path("stats/layer.000.safetensors"),
                                   "qkv.mean2")
    off = numpy.abs(numpy.array(have) / (x * x).mean(axis=0) - 1).max()
    step.check(off < 1e-4, "statistics are off by", off)
    last = step.safetensors_values(
        b.path(f"stats/layer.{LAST:03d}.safetensors"), "down.mean2")
    step.check(all(v > 0 for v in last), "the last layer saw nothing")


def check_model(b, alone):
    """The file to serve, read by another library, holds the last layer as a
    model that has no other layer gives it."""
    header, start = step.safetensors_header(
        os.path.join(b.model, "model.safetensors"))
    tensors, prefix = {}, f"model.layers.{LAST}."
    with open(os.path.join(b.model, "model.safetensors"), "rb") as f:
        for name, t in header.items():
            if not name.startswith(prefix):
                continue
            f.seek(start + t["data_offsets"][0])
            tensors["model.layers.0." + name[len(prefix):]] = (
                "BF16", t["shape"],
                f.read(t["data_offsets"][1] - t["data_offsets"][0]))
    checkpoint.make(alone, 1, HIDDEN, MLP, KV, HEAD)
    path = os.path.join(alone.model, "model.safetensors")
    for name, t in step.read_safetensors(path).items():
        tensors.setdefault(name, t)
    step.write_safetensors(path, tensors)
    alone.ok("fingerprint", "fingerprint", **alone.fingerprint_args(1))
    alone.put("stats/layer.000.safetensors",
              b.read(f"stats/layer.{LAST:03d}.safetensors"))
    alone.quantize("q4k", 0, "Q4_K", "imatrix")

    one = {t.name: t for t in
           GGUFReader(alone.path("quant/q4k/layer.000.gguf")).tensors}
    file = GGUFReader(b.path("cand/q4k/model.gguf"))
    all_ = {t.name: t for t in file.tensors}
    step.equal(len(all_), 9 * LAYERS + 3, "tensors")
    step.equal(len(one), 9, "tensors of a layer")
    for name, t in one.items():
        whole = all_[name.replace("blk.0.", f"blk.{LAST}.")]
        step.equal(whole.tensor_type.name, t.tensor_type.name, name)
        step.check(numpy.array_equal(whole.data, t.data), name, "differs")
    step.equal(all_["blk.0.ffn_up.weight"].tensor_type.name, "Q4_K")
    step.equal(all_["output.weight"].tensor_type.name, "Q6_K")


def check_archive(b):
    entry = next(f for f in b.json("archive.json")["files"]
                 if f["name"] == "model.safetensors")
    d = entry["sha256"]
    step.equal(sha256(os.path.join(b.top, "store", "sha256", d[:2], d)), d,
               "archived bytes")


def check_limits_bite(b, layer):
    """With less than it needs a step is refused; mapped pages count."""
    for f in os.listdir(b.path("stats")):
        os.remove(b.path("stats/" + f))
    command = b.args("calibrate", "calibrate", **b.calibrate_args(LAYERS))
    refused = subprocess.run(["prlimit", "--data=8000000"] + command,
                             stdin=subprocess.DEVNULL, capture_output=True,
                             text=True)
    step.equal(refused.returncode, 1, refused.stderr)
    step.check("memory" in refused.stderr and refused.stderr.count("\n") == 1,
               "calibrate in 8 MB of data said", refused.stderr)
    path = os.path.join(b.model, "model.safetensors")
    _, _, peak = checkpoint.watch(
        [sys.executable, "-c", "import mmap, sys\n"
         f"f = open({path!r}, 'rb')\n"
         "m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)\n"
         f"sum(m[i] for i in range(0, {4 * layer}, 4096))"])
    step.check(peak > 3 * layer, "mapped pages do not count:", peak)


def serve(b):
    """Runs the packed model, in the bytes of its file and ROOM."""
    model = b.path("cand/q4k/model.gguf")
    size = os.path.getsize(model)
    commands = {
        "generate": ["-p", "once upon a time", "-n", "8", "-r"],
        "logits": ["--tokens", "1,2,3,4", "-o", b.path("l.safetensors")]}
    for name, args in commands.items():
        wall, _, peak = checkpoint.watch(
            [os.path.join(step.BIN, "quern-" + name), model, *args])
        print(f"# {name:14} {wall:7.1f} s {peak / 1e6:7.0f} MB"
              f"   file  {size / 1e6:5.0f} MB", flush=True)
        step.check(peak < size + ROOM, name, "took", peak, "bytes")
    have = step.safetensors_values(b.path("l.safetensors"), "logits")
    step.check(len(have) == 4 * VOCAB and all(map(numpy.isfinite, have)),
               "logits are not finite")


def test_conversion(b):
    """Every step keeps to its bound on 2.2 GB, and what it makes is right."""
    size, layer = checkpoint.make(b, LAYERS, HIDDEN, MLP, KV, HEAD, VOCAB,
                                  tied=False)
    outside = 2 * VOCAB * HIDDEN
    stats = 4 * 3 * (3 * HIDDEN + MLP) * 2
    print(f"# model {size / 1e6:.0f} MB, layer {layer / 1e6:.1f} MB, largest "
          f"tensor outside {outside / 1e6:.0f} MB")
    convert(b, 2 * layer + stats + outside + ROOM)
    serve(b)  # before this process grows: see checkpoint.make
    check_fingerprint(b)
    check_statistics(b)
    os.makedirs(os.path.join(b.top, "alone"))
    check_model(b, step.Build(os.path.join(b.top, "alone")))
    check_archive(b)
    check_limits_bite(b, layer)
    subprocess.run(["chmod", "-R", "u+w", b.top], check=True)


if __name__ == "__main__":
    step.main([test_conversion])
