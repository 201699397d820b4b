#!/usr/bin/env python3
"""The real steps with a GGUF file as the model's source.

The file is made from the tiny model's folder by quern's own steps.
"""
import os
import struct
import subprocess
import sys

from project import BIN, HEAD, Project, check, equal, main, settle
from real import lines

sys.path.insert(0, "tests/steps")
import step  # noqa: E402

ITEMS = {"valid.txt": 60, "calibration.jsonl": 250, "traffic.jsonl": 300,
         "facts.jsonl": 60, "facts-more.jsonl": 30, "reasoning.jsonl": 40,
         "instructions.jsonl": 40, "retrieval.jsonl": 6, "edge.jsonl": 40}
POLICY = HEAD.replace("source: model", "source: SOURCE") + """\
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


def split(path, stem, n):
    """A file as n parts STEM-00001-of-0000N.gguf; its keys in the first."""
    g = step.Gguf(path)
    names = list(g.tensors)
    starts = sorted(t[2] for t in g.tensors.values()) + [
        len(g.data) - g.start]
    for i in range(n):
        own = names[len(names) * i // n:len(names) * (i + 1) // n]
        infos, data = b"", b""
        for name in own:
            dims, kind, at = g.tensors[name]
            infos += struct.pack("<Q", len(name)) + name.encode()
            infos += struct.pack(f"<I{len(dims)}qiQ", len(dims), *dims, kind,
                                 len(data))
            data += g.bytes_of(name, starts[starts.index(at) + 1] - at)
        keys = g.data[24:g.keys_end] if i == 0 else b""
        for key, kind, value in (("split.no", 2, struct.pack("<H", i)),
                                 ("split.count", 2, struct.pack("<H", n)),
                                 ("split.tensors.count", 5,
                                  struct.pack("<i", len(names)))):
            keys += struct.pack("<Q", len(key)) + key.encode()
            keys += struct.pack("<i", kind) + value
        head = b"GGUF" + struct.pack("<Iqq", 3, len(own),
                                     3 + (len(g.kv) if i == 0 else 0))
        head += keys + infos
        with open(f"{stem}-{i + 1:05d}-of-{n:05d}.gguf", "wb") as f:
            f.write(head + b"\0" * (-len(head) % 32) + data)


def convert_and_split(p):
    convert(p, "Q8_0", "whole.gguf")
    split(p.path("whole.gguf"), p.path("base"), 2)


def quantized(top):
    """a Q8_0 file in two parts is dequantized as the baseline, the report and
    the card say so, and Q8_0 made of it has its very blocks"""
    p = project(top, "base-00001-of-00002.gguf", convert_and_split)
    p.ninja()
    made, keys = tensors(p, "q8")
    source = step.Gguf(p.path("whole.gguf"))
    equal(keys["quern.source.types"], "F32 5, Q8_0 15")
    equal(keys["quern.source.quantized"], True)
    check(not [k for k in keys if k.startswith("split.")], "split keys")
    for name, (dims, kind, data) in made.items():
        equal((dims, kind), source.tensors[name][:2], name)
        check(data == source.bytes_of(name, len(data)), name, "differs")
    for suite in "facts", "perplexity":
        check('"numeric": "float32"' in
              p.get(f"build/eval/baseline/{suite}.json"), "not in float32")
    for page in "report.html", "report.json":
        check("The source is quantized itself" in p.get("build/" + page), page)
    archived = p.get("build/archive.json")
    for part in 1, 2:
        check(f"base-0000{part}-of-00002.gguf" in archived, archived)
    check("0 wrong" in quern(p, "verify"), "verify")
    with open(p.path("base-00002-of-00002.gguf"), "r+b") as f:
        f.seek(-5, os.SEEK_END)
        f.write(b"\x11")
    settle()
    done = subprocess.run([os.path.join(BIN, "quern-verify"), "-C", p.build],
                          cwd=p.top, capture_output=True, text=True)
    check(done.returncode == 1 and "base-00002-of-00002.gguf" in done.stdout +
          done.stderr, "a changed part", done.stdout, done.stderr)


def patched(data, old, new, at=0):
    where = data.index(old) + at
    return data[:where] + new + data[where + len(new):]


def damages(data):
    """name -> (bytes, gen finds it, what the message must have)"""
    q = b"blk.1.attn_q.weight"
    norm = b"blk.1.attn_norm.weight"
    return {
        "cut short": (data[:-2000], True, "(tensor 'token_embd.weight'"),
        "a missing key": (patched(data, b"llama.block_count",
                                  b"llama.block_xxxxx"), True,
                          "key 'llama.block_count' is missing"),
        "an unknown architecture": (
            patched(data, b"general.architecture", b"lamma", 20 + 4 + 8),
            True, "'lamma'"),
        "an unknown type": (patched(data, q, struct.pack("<i", 99),
                                    len(q) + 4 + 16), True,
                            "(tensor 'blk.1.attn_q.weight'): its type 99 is "
                            "unknown"),
        "a tensor twice": (patched(data, q, b"blk.0.attn_q.weight"), True,
                           "tensor 'blk.0.attn_q.weight' is there twice"),
        "a missing tensor": (patched(data, q, b"blk.1.attn_z.weight"), False,
                             "tensor 'blk.1.attn_q.weight' is missing"),
        "whole numbers for weights": (
            patched(data, norm, struct.pack("<i", 26), len(norm) + 4 + 8),
            False, "tensor 'blk.1.attn_norm.weight' has type I32"),
        "a key of another type": (
            patched(data, b"llama.block_count", struct.pack("<i", 5), 17),
            True, "key 'llama.block_count' has type i32"),
        "an unknown key of the architecture": (
            patched(data, b"llama.vocab_size", b"llama.logit_size"), True,
            "key 'llama.logit_size' (2048) is not carried out for llama"),
        "no tokens": (patched(data, b"tokenizer.ggml.tokens",
                              b"tokenizer.ggml.tokenz"), False,
                      "key 'tokenizer.ggml.tokens' is missing"),
        "another vocabulary": (
            patched(data, b"llama.embedding_length", struct.pack("<I", 512),
                    22 + 4), False, "tensor 'token_embd.weight' has shape"),
    }


def damaged(top):
    """one error from gen or fingerprint names file and tensor or key"""
    p = project(top, "base.gguf", lambda p: convert(p, "Q8_0", "base.gguf"))
    with open(p.path("base.gguf"), "rb") as f:
        data = f.read()
    b = step.Build(p.path("by-hand"))
    b.model = p.path("base.gguf")
    for what, (bad, early, want) in damages(data).items():
        with open(b.model, "wb") as f:
            f.write(bad)
        done = p.gen(ok=not early)
        if early:
            check(done.stderr.count("\n") == 1 and want in done.stderr and
                  "base.gguf" in done.stderr, what, done.stderr)
        said = b.refused("fingerprint", "fingerprint", want,
                         **b.fingerprint_args(layers=2))
        check("base.gguf" in said, what, said)
    os.remove(b.model)
    check("base.gguf: cannot open" in p.gen(ok=False).stderr, "no file")
    with open(p.path("whole.gguf"), "wb") as f:
        f.write(data)
    split(p.path("whole.gguf"), p.path("base"), 3)
    for missing, source, want in (
            (None, "base-00002-of-00003.gguf", "is part 2 of 3 of a split "
             "model; give the first one, whose name ends in "
             "'-00001-of-00003.gguf'"),
            ("base-00003-of-00003.gguf", "base-00001-of-00003.gguf",
             "base-00003-of-00003.gguf: is missing; part 3 of 3")):
        p.put("policy.yaml", POLICY.replace("SOURCE", source))
        if missing:
            os.remove(p.path(missing))
        err = p.gen(ok=False).stderr
        check(want in err and err.count("\n") == 1, err)


if __name__ == "__main__":
    main([lossless, quantized, damaged])
