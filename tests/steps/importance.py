#!/usr/bin/env python3
"""Importance matrices of llama.cpp, both forms, made by llama-imatrix: quern
rounds by them to the very bytes of llama-quantize (v0.5.0, de3ff81), and its own
statistics of the same windows say the same.

  importance.py              check against tests/data/imatrix
  importance.py --write BIN  make those files anew; BIN is the folder of
                             llama-imatrix and llama-quantize

The models are make_tiny's, so that no weights need to be kept.
"""
import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import step  # noqa: E402

DATA = "tests/data/imatrix"
TINY = os.path.join(os.environ.get("QUERN_TESTS", "out/tests"), "tools",
                    "make_tiny")
LAYERS, WINDOW, CHUNKS = 2, 64, 8
KEYS = {"llama": {}, "mixtral": dict(
    architectures=["MixtralForCausalLM"], num_local_experts=4,
    num_experts_per_tok=2, intermediate_size=256, tie_word_embeddings=False)}
TYPES = {"llama": ["Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q2_K", "Q3_K",
                   "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"],
         "mixtral": ["Q4_K", "IQ4_XS"]}
# what llama-quantize calls files of these types
FILE_TYPES = {"Q3_K": "Q3_K_S", "Q4_K": "Q4_K_S", "Q5_K": "Q5_K_S"}


def prepare(b, kind):
    keys = os.path.join(b.top, kind + ".json")
    b.model = os.path.join(b.top, kind)
    if os.path.exists(b.model):
        return
    os.makedirs(b.model)
    with open(keys, "w") as f:
        json.dump(KEYS[kind], f)
    subprocess.run([TINY, "-l", str(LAYERS), "-c", keys, b.model], check=True)
    b.ok("fingerprint", "fingerprint", **b.fingerprint_args(layers=LAYERS))


def layer(b, kind, type_, matrix):
    """Path of layer 1, packed by that matrix."""
    prepare(b, kind)
    name = "-".join([kind, type_, os.path.basename(matrix).split(".")[-1]])
    args = b.quantize_args(name, 1, type_, "imatrix")
    args["ins"] = [i for i in args["ins"] if not i.startswith("stats/")] + \
        ["imatrix/" + name + "=" + matrix]
    b.ok("quantize", f"quantize.{name}.l001", **args)
    return b.path(f"quant/{name}/layer.001.gguf")


def digest(path):
    """Of the tensors of layer 1, by name and type."""
    g = step.Gguf(path)
    ends = sorted(t[2] for t in g.tensors.values()) + [len(g.data) - g.start]
    out = hashlib.sha256()
    for name, (dims, kind, at) in sorted(g.tensors.items()):
        if not name.startswith("blk.1."):
            continue
        size = min(e for e in ends if e > at) - at
        out.update(f"{name} {kind} {dims}\n".encode() +
                   g.bytes_of(name, size))
    return out.hexdigest()


def same_bytes(b):
    """layers are packed to llama-quantize's bytes, with either form"""
    with open(os.path.join(DATA, "digests.json")) as f:
        want = json.load(f)
    for kind, types in TYPES.items():
        for type_ in types:
            for form in "gguf", "dat":
                path = layer(b, kind, type_, f"{DATA}/{kind}.{form}")
                step.equal(digest(path), want[f"{kind} {type_} {form}"],
                           f"{kind} {type_} {form}")
    report = b.json("quant/llama-Q4_K-dat/layer.001.json")
    step.check(all(t["weighted_error"] > 0 for t in report["tensors"]
                   if t["type"] == "Q4_K"), report)


def values(path, name):
    """in_sum2 / counts of an entry of the GGUF form"""
    g = step.Gguf(path)
    n = g.tensors[name + ".in_sum2"][0][0]
    sums = struct.unpack(f"<{n}f", g.bytes_of(name + ".in_sum2", 4 * n))
    count = struct.unpack("<f", g.bytes_of(name + ".counts", 4))[0]
    return [s / count for s in sums]


def windows():
    """The ids llama-imatrix reads: each window begins with bos."""
    with open(os.path.join(DATA, "text.txt"), "rb") as f:
        text = f.read()
    out = subprocess.run([os.path.join(step.BIN, "quern-tokenize"),
                          step.MODEL], input=text.replace(b"\n", b" "),
                         check=True, stdout=subprocess.PIPE).stdout
    ids = [0] + json.loads(out)
    return [[0] + ids[i * WINDOW + 1:(i + 1) * WINDOW] for i in range(CHUNKS)]


def calibrate(b, kind):
    """Statistics of those windows, in stats/."""
    prepare(b, kind)
    texts = windows()
    ids = struct.pack("<%di" % (CHUNKS * WINDOW), *sum(texts, []))
    offsets = struct.pack("<%dq" % (CHUNKS + 1),
                          *range(0, CHUNKS * WINDOW + 1, WINDOW))
    tokens = b.put("corpus/tokens.safetensors", b"")
    step.write_safetensors(tokens, {
        "offsets": ("I64", [CHUNKS + 1], offsets),
        "ids": ("I32", [CHUNKS * WINDOW], ids)})
    b.ok("calibrate", "calibrate", **b.calibrate_args(layers=LAYERS))


def same_statistics(b):
    """calibrate on the same windows finds the same mean squares"""
    calibrate(b, "llama")
    worst = 0
    for n in range(LAYERS):
        for role, name in (("qkv", "attn_v"), ("o", "attn_output"),
                           ("gate_up", "ffn_up"), ("down", "ffn_down")):
            own = step.safetensors_values(
                b.path(f"stats/layer.{n:03d}.safetensors"), role + ".mean2")
            theirs = values(f"{DATA}/llama.gguf", f"blk.{n}.{name}.weight")
            worst = max(worst, max(abs(x / y - 1)
                                   for x, y in zip(own, theirs)))
    step.check(worst < 5e-3, "a mean square differs by", worst)
    return f"largest difference of a mean square: {worst:.1e}"


def imatrix(b, *args, status=0):
    """`quern imatrix` of b's model and statistics; what it says."""
    p = subprocess.run([os.path.join(step.BIN, "quern-imatrix"), b.model,
                        *args], text=True, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT)
    step.equal(p.returncode, status, p.stdout)
    return p.stdout


def inspected(path):
    return json.loads(subprocess.run(
        [os.path.join(step.BIN, "quern-inspect"), "--json", path],
        check=True, stdout=subprocess.PIPE).stdout)


def floats(data):
    return struct.unpack(f"<{len(data) // 4}f", data)


def entries(path):
    """{name: (counts, mean squares of the matrices that have any)}"""
    g, found = step.Gguf(path), {}
    for name in [t[:-8] for t in g.tensors if t.endswith(".in_sum2")]:
        dims = g.tensors[name + ".in_sum2"][0]
        mats = dims[1] if len(dims) > 1 else 1
        sums = floats(g.bytes_of(name + ".in_sum2", 4 * dims[0] * mats))
        counts = floats(g.bytes_of(name + ".counts", 4 * mats))
        found[name] = counts, [s / counts[i // dims[0]] for i, s in
                               enumerate(sums) if counts[i // dims[0]]]
    return found


def older_entries(path):
    """{name: mean squares} of the older form, and the chunks."""
    with open(path, "rb") as f:
        data = f.read()
    found, (n,), at = {}, struct.unpack_from("<i", data), 4
    for _ in range(n):
        size, = struct.unpack_from("<i", data, at)
        name = data[at + 4:at + 4 + size].decode()
        at += 4 + size
        calls, values = struct.unpack_from("<ii", data, at)
        at += 8 + 4 * values
        found[name] = [v / calls for v in floats(data[at - 4 * values:at])]
    return found, struct.unpack_from("<i", data, at)[0]


def near(got, want, limit, what):
    """The largest relative difference, which must be below the limit."""
    step.equal(len(got), len(want), what)
    worst = max(abs(x / y - 1) for x, y in zip(got, want) if y > 0)
    step.check(worst < limit, what, "a mean square differs by", worst)
    return worst


def written(b):
    """statistics become a matrix of either form, with llama-imatrix's entries
    and values, experts counted one by one, and layers are packed by either"""
    worst = 0
    # llama-imatrix leaves the output matrix out, and takes the router in
    for kind, head in ("llama", "token_embd"), ("mixtral", "output"):
        calibrate(b, kind)
        paths = {form: os.path.join(b.top, f"{kind}.own.{form}")
                 for form in ("gguf", "dat")}
        imatrix(b, b.path("stats"), "-o", paths["gguf"], "-d", "windows")
        imatrix(b, b.path("stats"), "-o", paths["dat"], "--legacy")
        step.equal(inspected(paths["gguf"])["datasets"], ["windows"])
        step.equal(inspected(paths["dat"])["datasets"], [b.path("stats")])
        own, theirs = entries(paths["gguf"]), entries(f"{DATA}/{kind}.gguf")
        old, chunks = older_entries(paths["dat"])
        step.equal(chunks, 1, "chunks of 512 tokens")
        step.equal(sorted(own), sorted(old), "entries of the two forms")
        step.equal(sorted(own.keys() - {head + ".weight"}), sorted(
            n for n in theirs if "gate_inp" not in n), "entries")
        for name, (counts, means) in own.items():
            if all(counts):
                near(old[name], means, 1e-6, name)
            if name in theirs:
                step.equal(counts, theirs[name][0], name)
                worst = max(worst, near(means, theirs[name][1], 5e-3, name))
        for path in paths.values():
            layer(b, kind, "Q4_K", path)
    return f"largest difference of a mean square: {worst:.1e}"


def unwritten(b):
    """statistics that are missing, damaged or another model's are refused, and
    nothing is written"""
    calibrate(b, "llama")
    out = os.path.join(b.top, "none.gguf")
    said = imatrix(b, b.path("nowhere"), "-o", out, status=1)
    step.check("nowhere/" in said, said)
    llama, b.model = b.model, os.path.join(b.top, "mixtral")
    prepare(b, "mixtral")
    b.model = os.path.join(b.top, "mixtral")
    said = imatrix(b, b.path("stats"), "-o", out, status=1)
    step.check("expert" in said, said)
    b.model = llama
    with open(b.path("stats/layer.001.safetensors"), "r+b") as f:
        f.truncate(200)
    said = imatrix(b, b.path("stats"), "-o", out, status=1)
    step.check("layer.001.safetensors" in said, said)
    step.check("-o" in imatrix(b, b.path("stats"), status=2))
    step.check(not os.path.exists(out))


def refuses(b):
    """matrices of another model, damaged ones, and two sources at once"""
    prepare(b, "llama")
    args = b.quantize_args("q", 1, "Q4_K", "imatrix")
    base = [i for i in args["ins"] if not i.startswith("stats/")]

    def refused(want, matrix, status=1, **sets):
        ins = base + ["imatrix/q=" + matrix]
        got, err = b.run("quantize", "quantize.q.l001",
                         **dict(args, ins=ins, sets=dict(args["sets"],
                                                         **sets)))
        step.equal(got, status, err)
        step.check(want in err, repr(err), "lacks", repr(want))

    def old(name, n):
        return b.put("im.dat", struct.pack("<ii", 1, len(name)) +
                     name.encode() + struct.pack("<ii", 1, n) + bytes(4 * n))

    refused("has no entry for 'blk.1.attn_q.weight'", old("blk.1.x", 4))
    refused("1 x 7 values, the weight 1 x 256",
            old("blk.1.attn_q.weight", 7))
    refused("has no entry for 'blk.1.ffn_gate.weight'", f"{DATA}/mixtral.dat")
    refused("give an importance matrix",
            b.put("model", b"GGUF" + struct.pack("<IQQ", 3, 0, 1) +
                  struct.pack("<Q", 12) + b"general.type" +
                  struct.pack("<IQ", 8, 5) + b"model"))
    refused("goes with method imatrix", f"{DATA}/llama.gguf", 2,
            method="awq")
    refused("goes with method imatrix", f"{DATA}/llama.gguf", 2,
            method="rtn")


def write(folder):
    """All of tests/data/imatrix from llama.cpp's own programs."""
    os.makedirs(DATA, exist_ok=True)
    text = os.path.join(DATA, "text.txt")
    with open("examples/pebble/data/valid.txt", "rb") as f:
        data = f.read(2600).replace(b"\n", b" ")
    with open(text, "wb") as f:
        f.write(data)
    found = {}
    b = step.Build("out/importance")
    for kind, types in TYPES.items():
        prepare(b, kind)
        for part in [*range(LAYERS), "head"]:
            b.quantize("f32", part, "F32", "rtn")
        b.ok("assemble", "assemble.f32",
             **b.assemble_args("f32", "F32", layers=LAYERS))
        model = b.path("cand/f32/model.gguf")
        for form in "gguf", "dat":
            matrix = f"{DATA}/{kind}.{form}"
            subprocess.run([folder + "/llama-imatrix", "-m", model, "-f", text,
                            "-o", matrix, "--output-format", form, "-c",
                            str(WINDOW), "--chunks", str(CHUNKS), "-t", "1",
                            "--no-ppl"], check=True, capture_output=True)
            for type_ in types:
                packed = b.path("theirs.gguf")
                subprocess.run([folder + "/llama-quantize", "--imatrix",
                                matrix, "--pure", model, packed,
                                FILE_TYPES.get(type_, type_), "1"],
                               check=True, capture_output=True)
                found[f"{kind} {type_} {form}"] = digest(packed)
        shutil.rmtree(b.path("state"), ignore_errors=True)
    with open(os.path.join(DATA, "digests.json"), "w") as f:
        json.dump(found, f, indent=1, sort_keys=True)
        f.write("\n")
    shutil.rmtree("out/importance")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--write"]:
        write(sys.argv[2])
    else:
        step.main([same_bytes, same_statistics, written, unwritten, refuses])
