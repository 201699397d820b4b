#!/usr/bin/env python3
"""ggml_encode.py - compare our encoder vectors with llama.cpp's own encoders

  ggml_encode.py LIBGGML_BASE           check tests/kernels/encode_vectors.h
                                        and act_vectors.h
  ggml_encode.py LIBGGML_BASE --write   make these files anew

LIBGGML_BASE is the path of libggml-base.so, for instance from the npm package
@node-llama-cpp/linux-x64. Without an argument, GGML_BASE names it; without that
the check is skipped. tests/kernels/encode.c and act.c hold our encoders to the
vectors, so together they say: our bytes are llama.cpp's bytes.
"""
import ctypes
import os
import re
import struct
import sys

ROWS, COLS = 8, 1024
VECTORS = "tests/kernels/encode_vectors.h"
ACT_VECTORS = "tests/kernels/act_vectors.h"
# name, values and bytes of a block, where the codes begin
ACTS = [("q8_0", 32, 34, 2), ("q8_1", 32, 36, 4), ("q8_K", 256, 292, 4)]
# name, ggml number, weights and bytes of a block
TYPES = [
    ("F16", 1, 1, 2), ("BF16", 30, 1, 2), ("Q8_0", 8, 32, 34),
    ("Q4_0", 2, 32, 18), ("Q4_1", 3, 32, 20), ("Q5_0", 6, 32, 22),
    ("Q5_1", 7, 32, 24), ("Q2_K", 10, 256, 84), ("Q3_K", 11, 256, 110),
    ("Q4_K", 12, 256, 144), ("Q5_K", 13, 256, 176), ("Q6_K", 14, 256, 210),
    ("IQ4_NL", 20, 32, 18), ("IQ4_XS", 23, 256, 136),
]
MASK = (1 << 64) - 1


class Lcg:
    """The generator of tests/kernels/lcg.h."""

    def __init__(self, seed):
        self.s = seed

    def next(self):
        self.s = (self.s * 6364136223846793005 + 1442695040888963407) & MASK
        return self.s >> 40

    def bell(self):
        v = -(1 << 23)
        for _ in range(4):
            v += self.next() >> 2
        return v * 2.0 ** -22


def f32(v):
    return struct.unpack("f", struct.pack("f", v))[0]


def weights(seed):
    g, out = Lcg(seed), []
    for r in range(ROWS):
        run = 0.0
        for c in range(COLS):
            v, u = g.bell(), g.next()
            kind = r % 8
            if kind == 0:
                v *= 2.0 ** -6
            elif kind == 1:
                v *= 2.0 ** -(u % 12)
            elif kind == 2:
                v = 0.0 if c // 32 % 3 == 0 else v
            elif kind == 3:
                run = v if c % 16 == 0 else run
                v = run
            elif kind == 4:
                v = abs(v)
            elif kind == 5:
                v *= 2.0 ** -60 if c // 64 % 2 else 2.0 ** -20
            elif kind == 6:
                v *= 64.0 if u % 97 == 0 else 0.125
            else:
                v = float(u % 19 - 9)
            out.append(v)
    return out


def importance(seed):
    g, out = Lcg(seed), []
    for c in range(COLS):
        v = g.bell()
        out.append(0.0 if COLS // 4 <= c < COLS // 4 + 40 else f32(v * v))
    return out


def fnv1a(data):
    h = 14695981039346656037
    for b in data:
        h = (h ^ b) * 1099511628211 & MASK
    return h


def encode(lib, number, nbytes, w, h):
    dst = ctypes.create_string_buffer(nbytes)
    n = lib.ggml_quantize_chunk(number, w, dst, 0, ROWS, COLS, h)
    assert n == nbytes
    return fnv1a(dst.raw)


def digests(path):
    lib = ctypes.CDLL(path)
    p = ctypes.c_void_p
    lib.ggml_quantize_chunk.restype = ctypes.c_size_t
    lib.ggml_quantize_chunk.argtypes = [
        ctypes.c_int, p, p] + [ctypes.c_int64] * 3 + [p]
    w = (ctypes.c_float * (ROWS * COLS))(*weights(1))
    h = (ctypes.c_float * COLS)(*importance(2))
    out = []
    for name, number, block, size in TYPES:
        n = ROWS * COLS // block * size
        out.append((name, encode(lib, number, n, w, None),
                    encode(lib, number, n, w, h)))
    return out


def half(b):
    return struct.unpack("<e", b)[0]


def act_digest(lib, name, block, size, at):
    """Codes of all rows; then scales (and for Q8_1 sums) as float32."""
    w = (ctypes.c_float * (ROWS * COLS))(*weights(1))
    n = ROWS * COLS // block
    dst = ctypes.create_string_buffer(n * size)
    f = getattr(lib, "quantize_row_%s_ref" % name)
    f.restype = None
    f.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
    f(w, dst, ROWS * COLS)
    blocks = [dst.raw[i * size:(i + 1) * size] for i in range(n)]
    data = b"".join(b[at:at + block] for b in blocks)
    for b in blocks:
        if name == "q8_K":
            data += b[:4]
        else:
            data += struct.pack("<f", half(b[:2]))
    for b in blocks:
        if name == "q8_1":
            data += struct.pack("<f", half(b[2:4]))
    return fnv1a(data)


def act_digests(path):
    lib = ctypes.CDLL(path)
    return [(a[0].upper(), act_digest(lib, *a)) for a in ACTS]


def main():
    args = [a for a in sys.argv[1:] if a != "--write"]
    path = args[0] if args else os.environ.get("GGML_BASE")
    if not path:
        print("1..0 # SKIP set GGML_BASE to the path of libggml-base.so")
        return 0
    found, acts = digests(path), act_digests(path)
    if "--write" in sys.argv:
        with open(VECTORS, "w") as f:
            for name, plain, weighted in found:
                f.write('{ "%s", 0x%016xu, 0x%016xu },\n'
                        % (name, plain, weighted))
        with open(ACT_VECTORS, "w") as f:
            for name, digest in acts:
                f.write("{ ACT_%s, 0x%016xu },\n" % (name, digest))
        return 0
    with open(VECTORS) as f:
        kept = {m[0]: (int(m[1], 16), int(m[2], 16)) for m in re.findall(
            r'"(\w+)", (0x\w+)u, (0x\w+)u', f.read())}
    bad = 0
    for i, (name, plain, weighted) in enumerate(found):
        ok = kept.get(name) == (plain, weighted)
        bad += not ok
        print("%sok %d - llama.cpp encodes %s as our vectors say"
              % ("" if ok else "not ", i + 1, name))
    with open(ACT_VECTORS) as f:
        kept = {m[0]: int(m[1], 16)
                for m in re.findall(r"ACT_(\w+), (0x\w+)u", f.read())}
    for i, (name, digest) in enumerate(acts):
        ok = kept.get(name) == digest
        bad += not ok
        print("%sok %d - llama.cpp encodes activations as %s as ours"
              % ("" if ok else "not ", len(found) + i + 1, name))
    print("1..%d" % (len(found) + len(acts)))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
