#!/usr/bin/env python3
"""llama.cpp opens the GGUF files of every architecture and computes what
transformers computed: the same mean negative log-likelihood to three parts in
ten thousand. (llama.cpp keeps keys and values in half precision.)
"""
import json
import math
import os
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, "tests/interop")
import llama_cpp  # noqa: E402

TOLERANCE = 3e-4
TOOL = os.path.join(os.environ.get("QUERN_TESTS", "out/tests"),
                    "lib", "model", "arches")


def vectors(name):
    """Ids and logits of tests/data/arch/NAME."""
    with open(f"tests/data/arch/{name}/vectors.safetensors", "rb") as f:
        data = f.read()
    n = struct.unpack_from("<Q", data)[0]
    head = json.loads(data[8:8 + n])

    def values(key, kind):
        at, end = (8 + n + x for x in head[key]["data_offsets"])
        return struct.unpack_from("<%d%s" % ((end - at) // 4, kind), data, at)

    return list(values("ids", "i")), values("logits", "f")


def nll(ids, logits, n):
    """Mean over ids 1 .. n - 1."""
    width, total = len(logits) // len(ids), 0.0
    for i in range(n - 1):
        row = logits[i * width:(i + 1) * width]
        top = max(row)
        total += top - row[ids[i + 1]] + math.log(
            sum(math.exp(x - top) for x in row))
    return total / (n - 1)


def main():
    modules, why = llama_cpp.node_modules()
    if modules is None:
        print(f"ok 1 - llama.cpp on every architecture # SKIP {why}\n1..1")
        return 0
    failed, names = 0, []
    with tempfile.TemporaryDirectory() as folder:
        made = subprocess.run([TOOL, folder, "F32"], check=True, text=True,
                              stdout=subprocess.PIPE).stdout
        for k, line in enumerate(made.splitlines()):
            name, positions = line.split()
            ids, logits = vectors(name)
            n = min(len(ids), int(positions))
            got = llama_cpp.ask_llama(modules, f"{folder}/{name}.gguf", [],
                                      [ids[:n]])
            want = nll(ids, logits, n)
            off = abs(got["nll"] / got["scored"] / want - 1)
            failed += not off < TOLERANCE
            names.append(name)
            print(f"{'ok' if off < TOLERANCE else 'not ok'} {k + 1} - {name}: "
                  f"llama.cpp's NLL is within {off:.1e} over {n} ids",
                  flush=True)
    print(f"1..{len(names)}")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
