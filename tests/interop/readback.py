#!/usr/bin/env python3
"""The Python packages safetensors and gguf read what quern writes, and quern
reads what they write, byte for byte.

Run with a Python that has the packages safetensors, gguf and numpy, from the
top of the tree, after out/tests/tools/formats was built.
"""
import hashlib
import importlib.util
import os
import struct
import subprocess
import sys
import tempfile

TOOL = os.environ.get("QUERN_FORMATS", "out/tests/tools/formats")
count = failed = 0


def check(good, text, detail=""):
    global count, failed
    count += 1
    print("%s %d - %s" % ("ok" if good else "not ok", count, text))
    if not good:
        failed += 1
        print("# %s" % (detail,))


def same(got, want, text):
    check(got == want, text, "got %r, want %r" % (got, want))


def pattern(tensor, size):
    return bytes((31 * i + 7 * tensor) % 251 for i in range(size))


def written_safetensors(path):
    import safetensors
    want = {
        "f32": ("F32", [3, 5], pattern(0, 60)),
        "bf16": ("BF16", [2, 1, 7], pattern(1, 28)),
        "f16": ("F16", [4], pattern(2, 8)),
        "i64": ("I64", [2], pattern(3, 16)),
        'u8 "\u00e9"': ("U8", [], pattern(4, 1)),
        "empty": ("F32", [0, 4], b""),
        "fp8": ("F8_E4M3", [1, 9], pattern(6, 9)),
    }
    with open(path, "rb") as f:
        got = {name: (t["dtype"], list(t["shape"]), bytes(t["data"]))
               for name, t in safetensors.deserialize(f.read())}
    same(got, want, "the safetensors package reads quern's file")
    with safetensors.safe_open(path, "np") as f:
        same(f.metadata(), {"format": "pt", "k": "v \u00e9"},
             "and its metadata")


def written_gguf(path):
    import gguf
    want = {
        "token_embd.weight": ("Q8_0", [64, 3], 204),
        "norm": ("F32", [5], 20),
        "f16": ("F16", [3, 2], 12),
        "bf16": ("BF16", [7, 1], 14),
        "q4_k": ("Q4_K", [256, 2], 288),
        "q6_k": ("Q6_K", [512, 1], 420),
        "q4_0": ("Q4_0", [32, 2, 2], 72),
    }
    reader = gguf.GGUFReader(path)
    for i, (name, (kind, dims, size)) in enumerate(want.items()):
        t = next(t for t in reader.tensors if t.name == name)
        same((t.tensor_type.name, [int(d) for d in t.shape],
              t.data.tobytes()), (kind, dims, pattern(i, size)),
             "the gguf package reads quern's tensor %s" % name)
    same(len(reader.tensors), len(want), "and finds no tensor more")
    keys = {k: f.contents() for k, f in reader.fields.items()
            if not k.startswith("GGUF.")}
    same(keys, {
        "general.architecture": "llama", "text": 'h\u00e9 \n"x"',
        "u32": 4000000000, "i32": -5, "u64": 1 << 40,
        "f32": struct.unpack("<f", struct.pack("<f", 0.1))[0], "bool": True,
        "words": ["a", "", "\u0120two", "three"], "ints": [1, -2, 3],
        "reals": [0.5, -1.25]}, "the gguf package reads quern's keys")


def quern_reads(path):
    """name -> (type, dimensions, digest), as quern sees the file."""
    done = subprocess.run([TOOL, "read", path], capture_output=True, text=True)
    if done.returncode != 0:
        return done.stderr
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    return {r[0]: (r[1], [int(d) for d in r[2].split(",") if d], r[3])
            for r in rows}


def read_safetensors(path):
    import numpy
    from safetensors.numpy import save_file
    arrays = {"a": numpy.arange(6, dtype=numpy.float32).reshape(2, 3),
              "h": numpy.ones((5,), dtype=numpy.float16),
              "s": numpy.array(7, dtype=numpy.int64)}
    save_file(arrays, path, metadata={"format": "pt"})
    names = {"float32": "F32", "float16": "F16", "int64": "I64"}
    same(quern_reads(path),
         {k: (names[str(v.dtype)], list(v.shape),
              hashlib.sha256(v.tobytes()).hexdigest())
          for k, v in arrays.items()},
         "quern reads the safetensors package's file")


def read_gguf(path):
    import gguf
    import numpy
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_uint32("llama.block_count", 1)
    writer.add_array("words", ["a", "b c"])
    weights = {"w": numpy.arange(192, dtype=numpy.float32).reshape(3, 64),
               "h": numpy.ones((2, 2), dtype=numpy.float16)}
    packed = gguf.quants.quantize(weights["w"], gguf.GGMLQuantizationType.Q8_0)
    for name, v in weights.items():
        writer.add_tensor(name, v)
    writer.add_tensor("q", packed,
                      raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    same(quern_reads(path), {
        "w": ("F32", [64, 3], hashlib.sha256(
            weights["w"].tobytes()).hexdigest()),
        "h": ("F16", [2, 2], hashlib.sha256(
            weights["h"].tobytes()).hexdigest()),
        "q": ("Q8_0", [64, 3], hashlib.sha256(packed.tobytes()).hexdigest()),
    }, "quern reads the gguf package's file")


def main():
    for package in ("safetensors", "gguf", "numpy"):
        if importlib.util.find_spec(package) is None:
            print("not ok 1 - the Python package %s is there\n1..1" % package)
            return 1
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([TOOL, "write", folder], capture_output=True,
                              text=True)
        check(done.returncode == 0, "quern writes both files", done.stderr)
        written_safetensors(os.path.join(folder, "q.safetensors"))
        written_gguf(os.path.join(folder, "q.gguf"))
        read_safetensors(os.path.join(folder, "p.safetensors"))
        read_gguf(os.path.join(folder, "p.gguf"))
    print("1..%d" % count)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
