#!/usr/bin/env python3
"""quern beside llama.cpp: the same file, the same text, one run.

usage: LLAMA=DIR tests/bench/llama_cpp.py [--layers N] [--threads 1,2]
           [--repeat N] [--types F16,Q8_0,...] [quantize|infer|perplexity|first]

DIR holds llama.cpp's programs llama-quantize, llama-bench, llama-perplexity and
llama-simple, built for this machine. Works on a random model of TinyLlama's
shape (22 layers; fewer for a quick look), made in a temporary folder.

  quantize    F16 to each type, K types and IQ4_XS with an importance matrix:
              quern's quantize steps and its assemble, records included, beside
              llama-quantize --pure; the tensors must have the same bytes.
              `bytes alone` is the time for reading, hashing and storing the
              same files with libcrypto and the system, and nothing else: no
              program with such records is much faster on this machine
  infer       a prompt of 512 tokens, and 128 tokens written
  perplexity  of the same text, both by llama.cpp's rule; the results must agree
  first       from the start of the program to the first token

Each side runs by turns; medians of the wall time. Prints CSV; ratio above 1:
quern is faster. `with OpenBLAS` is quern with `reproducible: false`, which only
float types have a use for. `share` of decode is the bytes read a second over
what a plain read of memory reaches in this run; of prefill in a float type, the
products a second over what the processor reaches in registers: exact float32
ends there. Results are checked before times are printed.
"""
import argparse
import os
import random
import re
import statistics
import struct
import subprocess
import sys
import tempfile
import time

import bytes_alone
import tinyllama
from checkpoint import step

LLAMA = os.environ.get("LLAMA", "")
WEIGHTED = {"Q4_K", "Q6_K", "IQ4_XS"}
TEXT_TOKENS = 2048


def run(command, threads=None, **rest):
    """(wall seconds, standard output and error) of what must succeed."""
    env = dict(os.environ)
    if threads:
        env["QUERN_THREADS"] = str(threads)
    start = time.monotonic()
    p = subprocess.run(command, stdin=subprocess.DEVNULL, text=True, env=env,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       errors="replace", **rest)
    wall = time.monotonic() - start
    step.check(p.returncode == 0, " ".join(command), p.stdout[-2000:])
    return wall, p.stdout


def llama(name):
    return os.path.join(LLAMA, "llama-" + name)


def by_turns(repeat, *sides):
    """Medians of what all return, run by turns."""
    rounds = [[side() for side in sides] for _ in range(repeat)]
    return tuple(statistics.median(r) for r in zip(*rounds))


def middle(pairs):
    """Medians of the first and of the second of some pairs."""
    return tuple(statistics.median(p) for p in zip(*pairs))


def row(*cells):
    print(",".join(str(c) for c in cells), flush=True)


def seconds_row(work, type_, threads, ours, theirs, note=""):
    row(work, type_, threads, f"{ours:.3f} s", f"{theirs:.3f} s",
        f"{theirs / ours:.2f}", "", note)


def rate_row(work, type_, threads, ours, theirs, blas, note=""):
    row(work, type_, threads, f"{ours:.2f} t/s", f"{theirs:.2f} t/s",
        f"{ours / theirs:.2f}", blas, note)


class Bench:
    def __init__(self, folder, layers, repeat):
        self.folder, self.layers, self.repeat = folder, layers, repeat
        self.b = step.Build(folder)
        self.b.model = os.path.join(folder, "f16.gguf")
        self.weights = tinyllama.write(self.b.model, layers)
        self.b.ok("fingerprint", "fingerprint",
                  **self.b.fingerprint_args(layers=layers))
        self.importance = self.write_importance()
        self.files = {"F16": self.b.model}

    def write_importance(self):
        """An importance matrix in llama.cpp's older form."""
        draw = random.Random(3)
        data, n = b"", 0
        for name, dims in tinyllama.shapes(self.layers):
            if len(dims) < 2 or name == "token_embd":
                continue
            values = [abs(draw.gauss(0, 1)) + .01 for _ in range(dims[0])]
            name = (name + ".weight").encode()
            data += struct.pack("<i", len(name)) + name
            data += struct.pack("<ii", 1, dims[0]) + \
                struct.pack(f"<{dims[0]}f", *values)
            n += 1
        path = os.path.join(self.folder, "importance.dat")
        with open(path, "wb") as f:
            f.write(struct.pack("<i", n) + data)
        return path

    # quantize

    def theirs_quantize(self, type_, threads):
        out = os.path.join(self.folder, type_ + ".gguf")
        weighted = ["--imatrix", self.importance] if type_ in WEIGHTED else []
        name = {"Q4_K": "Q4_K_S"}.get(type_, type_)
        wall, _ = run([llama("quantize"), "--pure", "--output-tensor-type",
                       type_.lower(), *weighted, self.b.model, out, name,
                       str(threads)])
        self.files[type_] = out
        return wall

    def ours_quantize(self, type_, threads, alone):
        """Seconds; what its bytes cost alone goes to the list `alone`."""
        b, wall = self.b, 0.0
        method = "imatrix" if type_ in WEIGHTED else "rtn"
        for role in os.listdir(b.dir):
            if role in ("quant", "cand"):
                run(["rm", "-r", b.path(role)])
        for part in [*range(self.layers), "head"]:
            how = b.quantize_args("x", part, type_, "rtn",
                                  **{"type.token_embd": type_,
                                     "type.output": type_})
            how["sets"]["method"] = method
            if method == "imatrix":
                how["ins"].append("imatrix/x=" + self.importance)
            name = "head" if part == "head" else f"l{part:03d}"
            wall += run(b.args("quantize", f"quantize.x.{name}", **how),
                        threads)[0]
        how = b.assemble_args("x", type_, layers=self.layers)
        del how["sets"]["card.base_model"]
        how["ins"].append("base/model.fp.json")
        wall += run(b.args("assemble", "assemble.x", **how), threads)[0]
        alone.append(self.bytes_alone(threads))
        return wall

    def same_bytes(self, type_):
        ours = step.Gguf(self.b.path("cand/x/model.gguf"))
        theirs = step.Gguf(self.files[type_])
        step.equal(sorted(ours.tensors), sorted(theirs.tensors), "tensors")
        ends = sorted(t[2] for t in theirs.tensors.values()) + \
            [len(theirs.data) - theirs.start]
        for name, (dims, kind, at) in theirs.tensors.items():
            step.equal(ours.tensors[name][:2], (dims, kind), name)
            n = next(e for e in ends if e > at) - at
            if n % 32 == 0 and at + n == ends[-1]:
                n = len(theirs.data) - theirs.start - at
            step.check(ours.bytes_of(name, n)[:n - 31] ==
                       theirs.bytes_of(name, n)[:n - 31], type_, name, "differ")

    def quantize(self, types, threads):
        for type_ in types:
            for n in threads if type_ != "F16" else ():
                alone = []
                pair = by_turns(self.repeat,
                                lambda: self.ours_quantize(type_, n, alone),
                                lambda: self.theirs_quantize(type_, n))
                self.same_bytes(type_)
                hashed, stored = middle(alone)
                seconds_row("quantize", type_, n, *pair, "same bytes; bytes "
                            f"alone {hashed + stored:.3f} s; of it stored "
                            f"{stored:.3f} s")

    def bytes_alone(self, threads):
        parts = self.b.path("quant/x")
        return bytes_alone.seconds(
            self.b.model, sorted(os.path.join(parts, name)
                                 for name in os.listdir(parts)
                                 if name.endswith(".gguf")),
            self.folder, threads)

    # what needs files in every type

    def need(self, type_):
        if type_ not in self.files:
            self.theirs_quantize(type_, 2)
        return self.files[type_]

    def ours_rates(self, path, threads, reproducible="true"):
        text = run(["out/bench/infer", path, "512", "128", "1", reproducible],
                   threads)[1]
        return [float(line.split(",")[4]) for line in text.splitlines()
                if line.startswith(("prompt,", "decode,"))]

    def theirs_rates(self, path, threads):
        text = run([llama("bench"), "-m", path, "-p", "512", "-n", "128", "-r",
                    "1", "-t", str(threads), "-o", "csv"])[1]
        lines = [line.split('","') for line in text.splitlines()
                 if line.startswith(('"', "build_commit"))]
        head = text[text.index("build_commit"):].splitlines()[0].split(",")
        at = head.index("avg_ts")
        return [float(line[at].strip('"')) for line in lines[-2:]]

    def infer(self, types, threads):
        for n in threads:
            speed, peak = last_rate("bandwidth", n), last_rate("peak", n)
            for type_ in types:
                path = self.need(type_)
                # 8-bit codes are never multiplied by OpenBLAS
                how = ["true", "false"] if "F" in type_ else ["true"]
                rounds = [[*(self.ours_rates(path, n, h) for h in how),
                           self.theirs_rates(path, n)]
                          for _ in range(self.repeat)]
                mid = [[statistics.median(r[side][i] for r in rounds)
                        for side in (0, -1)] for i in (0, 1)]
                blas = [f"{statistics.median(r[1][i] for r in rounds):.2f} t/s"
                        if len(how) == 2 else "" for i in (0, 1)]
                embed = step.Gguf(path).tensors["token_embd.weight"]
                looked_up = embed[0][0] * embed[0][1]
                read = os.path.getsize(path) * (1 - looked_up / self.weights)
                # the output, as large as the embedding, is for one token
                products = self.weights - looked_up * (2 - 1 / 512)
                rate_row("prefill 512", type_, n, *mid[0], blas[0],
                         f"share {mid[0][0] * products / peak:.2f} of "
                         f"{peak / 1e9:.1f} G/s" if "F" in type_ else "")
                rate_row("decode 128", type_, n, *mid[1], blas[1],
                         f"share {mid[1][0] * read / speed:.2f} of "
                         f"{speed / 1e9:.1f} GB/s")

    def perplexity(self, types, threads):
        text = os.path.join(self.folder, "text.txt")
        draw = random.Random(5)
        with open(text, "w") as f:
            f.write("".join(draw.choice("cdefghijklmnopqrstuvwxyz ")
                            for _ in range(TEXT_TOKENS)))
        for type_ in types:
            path = self.need(type_)
            for n in threads:
                said = {}

                def ours():
                    wall, said["ours"] = run(
                        [os.path.join(step.BIN, "quern"), "perplexity", path,
                         text, "--ctx", "512", "--rule", "llama.cpp"], n)
                    return wall

                def theirs():
                    wall, said["theirs"] = run(
                        [llama("perplexity"), "-m", path, "-f", text, "-c",
                         "512", "-t", str(n)])
                    return wall

                pair = by_turns(self.repeat, ours, theirs)
                a = float(re.search(r"perplexity\D*([\d.]+)", said["ours"])[1])
                c = float(re.search(r"PPL = ([\d.]+)", said["theirs"])[1])
                step.check(abs(a / c - 1) < .01, type_, "perplexity", a, c)
                seconds_row("perplexity", type_, n, *pair,
                            f"off by {abs(a / c - 1):.1e}")

    def first(self, types, threads):
        for type_ in types:
            path = self.need(type_)
            for n in threads:
                pair = by_turns(
                    self.repeat,
                    lambda: run([os.path.join(step.BIN, "quern"), "generate",
                                 path, "-p", "cd", "-n", "1"], n)[0],
                    lambda: run(["taskset", "-c", f"0-{n - 1}",
                                 llama("simple"), "-m", path, "-n", "1",
                                 "-ngl", "0", "cd"])[0])
                seconds_row("first token", type_, n, *pair)


def last_rate(name, threads):
    """What a benchmark of the machine says last: bytes or products a second."""
    text = run(["out/bench/" + name], threads)[1]
    return float(text.splitlines()[-1].split(",")[-1]) * 1e9


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--layers", type=int, default=tinyllama.LAYERS)
    ap.add_argument("--threads", default="1,2")
    ap.add_argument("--types", default="F16,Q8_0,Q4_0,Q4_K,Q6_K,IQ4_XS")
    ap.add_argument("--repeat", type=int, default=3)
    ap.add_argument("work", nargs="*")
    args = ap.parse_args()
    if not os.path.exists(llama("quantize")):
        ap.error("LLAMA names no folder with llama-quantize; build llama.cpp "
                 "and set it")
    threads = [int(n) for n in args.threads.split(",")]
    types = args.types.split(",")
    row("work", "type", "threads", "quern", "llama.cpp", "ratio",
        "with OpenBLAS", "note")
    with tempfile.TemporaryDirectory(prefix="quern-bench-") as folder:
        bench = Bench(folder, args.layers, args.repeat)
        for work in args.work or ("quantize", "infer", "perplexity", "first"):
            getattr(bench, work)(types, threads)


if __name__ == "__main__":
    main()
