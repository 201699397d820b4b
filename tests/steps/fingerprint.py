#!/usr/bin/env python3
"""The fingerprint step on pebble's checkpoint."""
import hashlib
import json
import os
import struct

import step
from step import check, equal

PARTS = ["base/config.fp.json", "base/tokenizer.fp.json", "base/head.fp.json",
         "base/model.fp.json"] + \
    [f"base/layer.{i:03d}.fp.json" for i in range(step.LAYERS)]


def contents(b):
    return {p: b.read(p) for p in PARTS}


def times(b):
    return {p: os.stat(b.path(p)).st_mtime_ns for p in PARTS}


def flip(path, tensor):
    """Changes one byte inside a tensor."""
    header, start = step.safetensors_header(path)
    with open(path, "r+b") as f:
        f.seek(start + header[tensor]["data_offsets"][0])
        v = f.read(1)[0]
        f.seek(-1, os.SEEK_CUR)
        f.write(bytes([v ^ 1]))


def digests(b):
    """every tensor and file has the digest that Python computes"""
    b.fingerprint()
    path = os.path.join(b.model, "model.safetensors")
    seen = 0
    for part in PARTS[2:3] + PARTS[4:]:
        fp = b.json(part)
        for name, t in fp["tensors"].items():
            dtype, shape, data = step.read_safetensors(path)[name]
            equal([t["dtype"], t["shape"], t["bytes"], t["sha256"]],
                  [dtype, shape, len(data), hashlib.sha256(data).hexdigest()],
                  name)
            seen += 1
    equal(seen, len(step.read_safetensors(path)), "tensors")
    model = b.json("base/model.fp.json")
    for name, f in model["files"].items():
        with open(os.path.join(b.model, name), "rb") as h:
            data = h.read()
        equal([f["bytes"], f["sha256"]],
              [len(data), hashlib.sha256(data).hexdigest()], name)
    equal([model["layers"], model["architecture"], model["parameters"]],
          [4, "LlamaForCausalLM", 3672320])
    listing = "".join(f"{h}  {p}\n" for p, h in sorted(model["parts"].items()))
    equal(model["digest"], hashlib.sha256(listing.encode()).hexdigest())
    for p, h in model["parts"].items():
        equal(h, hashlib.sha256(b.read(p)).hexdigest(), p)


def touched(b):
    """a touched but equal file rewrites nothing"""
    b.own_model()
    b.fingerprint()
    before = times(b)
    os.utime(os.path.join(b.model, "model.safetensors"))
    os.utime(os.path.join(b.model, "tokenizer.json"))
    b.fingerprint()
    equal(times(b), before)


def older(b):
    """an older file swapped in is noticed, and only its layer's part changes"""
    path = os.path.join(b.own_model(), "model.safetensors")
    os.utime(path, (1.7e9, 1.7e9))
    b.fingerprint()
    before = contents(b)
    other = path + ".new"
    with open(path, "rb") as f, open(other, "wb") as g:
        g.write(f.read())
    flip(other, "model.layers.2.mlp.up_proj.weight")
    os.utime(other, (1.6e9, 1.6e9))
    os.rename(other, path)
    b.fingerprint()
    changed = [p for p in PARTS if b.read(p) != before[p]]
    equal(sorted(changed), ["base/layer.002.fp.json", "base/model.fp.json"])


def remembered(b):
    """files that have not moved are not read again"""
    path = os.path.join(b.own_model(), "model.safetensors")
    for name in os.listdir(b.model):
        os.utime(os.path.join(b.model, name), (1.7e9, 1.7e9))
    state = b.path("state/fingerprint.json")
    for _ in range(40):  # until the files are old enough to be trusted
        b.fingerprint()
        with open(state) as f:
            files = json.load(f)["files"]
        if "model.safetensors" in files:
            break
        import time
        time.sleep(0.1)
    check("model.safetensors" in files, "never remembered")
    # a digest only the memory can have given shows that the file was not read
    files["model.safetensors"]["tensors"]["model.norm.weight"] = "0" * 64
    with open(state, "w") as f:
        json.dump({"schema": "quern.state.fingerprint/1", "files": files}, f)
    b.fingerprint()
    equal(b.json("base/head.fp.json")["tensors"]["model.norm.weight"]
          ["sha256"], "0" * 64)
    os.utime(path)
    b.fingerprint()
    check(b.json("base/head.fp.json")["tensors"]["model.norm.weight"]
          ["sha256"] != "0" * 64, "read again after a touch")


def broken_state(b):
    """a broken memory is as good as none"""
    b.put("state/fingerprint.json", b'{"files": {"model.safetensors"')
    b.fingerprint()
    b.json("base/model.fp.json")


def sharded(b):
    """shards give the same fingerprints of layers as one file"""
    b.fingerprint()
    before = contents(b)
    shard(b)
    b.fingerprint()
    for p in PARTS:
        if p != "base/model.fp.json":
            equal(b.read(p), before[p], p)
    names = b.json("base/model.fp.json")["files"]
    check("model-00002-of-00002.safetensors" in names and
          "model.safetensors.index.json" in names, list(names))


def shard(b):
    folder = b.own_model()
    one = os.path.join(folder, "model.safetensors")
    tensors = step.read_safetensors(one)
    os.remove(one)
    where = {}
    for i in (1, 2):
        name = f"model-0000{i}-of-00002.safetensors"
        part = {k: v for j, (k, v) in enumerate(tensors.items())
                if j % 2 == i - 1}
        step.write_safetensors(os.path.join(folder, name), part)
        where.update({k: name for k in part})
    with open(one + ".index.json", "w") as f:
        json.dump({"metadata": {}, "weight_map": where}, f)


def missing_shard(b):
    """a missing shard is named"""
    shard(b)
    os.remove(os.path.join(b.model, "model-00002-of-00002.safetensors"))
    b.refused("fingerprint", "fingerprint", "model-00002-of-00002.safetensors",
              **b.fingerprint_args())
    check(not os.path.exists(b.path("base/model.fp.json")), "no output")


def truncated(b):
    """a truncated weight file is refused, and old outputs stay"""
    path = os.path.join(b.own_model(), "model.safetensors")
    b.fingerprint()
    before = contents(b)
    with open(path, "r+b") as f:
        f.truncate(os.path.getsize(path) - 1000)
    b.refused("fingerprint", "fingerprint", "model.safetensors",
              **b.fingerprint_args())
    equal(contents(b), before)
    equal(step.leftovers(b.dir), [])


def oversized_header(b):
    """a header longer than the file is refused"""
    path = os.path.join(b.own_model(), "model.safetensors")
    with open(path, "r+b") as f:
        f.write(struct.pack("<Q", 2 ** 62))
    b.refused("fingerprint", "fingerprint", "model.safetensors",
              **b.fingerprint_args())


def other_layers(b):
    """a checkpoint with another number of layers asks for another graph"""
    b.refused("fingerprint", "fingerprint", "run quern gen again",
              **b.fingerprint_args(layers=3))


if __name__ == "__main__":
    step.main([digests, touched, older, remembered, broken_state, sharded,
               missing_shard, truncated, oversized_header, other_layers])
