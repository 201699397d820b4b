#!/usr/bin/env python3
"""The assemble step: one file with what llama.cpp asks for."""
import json
import os

import step
from step import check, equal


def layers(b, cand="q8", type_="Q8_0"):
    b.fingerprint()
    for part in [*range(step.LAYERS), "head"]:
        b.quantize(cand, part, type_, "rtn")
    return b


def keys(b):
    """numbers of the model, tokenizer and card are there with their types"""
    layers(b)
    b.ok("assemble", "assemble.q8", **b.assemble_args("q8", "Q8_0"))
    g = step.Gguf(b.path("cand/q8/model.gguf"))
    equal(g.version, 3)
    want = {
        "general.architecture": "llama", "general.name": "pebble",
        "general.type": "model", "general.file_type": 7,
        "general.quantization_version": 2, "general.size_label": "3.7M",
        "general.license": "apache-2.0", "general.base_model.count": 1,
        "general.base_model.0.name": "pebble",
        "llama.block_count": 4, "llama.context_length": 1024,
        "llama.embedding_length": 256, "llama.feed_forward_length": 768,
        "llama.attention.head_count": 8, "llama.attention.head_count_kv": 4,
        "llama.attention.key_length": 32, "llama.rope.dimension_count": 32,
        "llama.rope.freq_base": 10000.0, "llama.vocab_size": 2048,
        "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.bos_token_id": 0, "tokenizer.ggml.eos_token_id": 1,
        "tokenizer.ggml.add_bos_token": True,
        "tokenizer.ggml.add_eos_token": False,
        "tokenizer.ggml.add_space_prefix": False}
    for key, value in want.items():
        equal(g.kv.get(key), value, key)
    check(abs(g.kv["llama.attention.layer_norm_rms_epsilon"] - 1e-6) < 1e-12)
    tokens, merges = (g.kv["tokenizer.ggml." + k] for k in ("tokens",
                                                           "merges"))
    with open(os.path.join(step.MODEL, "tokenizer.json")) as f:
        model = json.load(f)["model"]
    equal(len(tokens), 2048)
    equal(len(set(tokens)), 2048, "unique tokens")
    for text, i in model["vocab"].items():
        equal(tokens[i], text)
    equal(merges, [m if isinstance(m, str) else " ".join(m)
                   for m in model["merges"]])
    equal(g.kv["tokenizer.ggml.token_type"][:3], [3, 3, 1])


def tensors(b):
    """every tensor is that of its layer's file, byte for byte"""
    layers(b, "q4k", "Q4_K")
    b.ok("assemble", "assemble.q4k", **b.assemble_args("q4k", "Q4_K"))
    g = step.Gguf(b.path("cand/q4k/model.gguf"))
    parts = [f"layer.{i:03d}" for i in range(step.LAYERS)] + ["head"]
    seen, block = 0, {0: (1, 4), 12: (256, 144), 14: (256, 210)}
    for part in parts:
        p = step.Gguf(b.path(f"quant/q4k/{part}.gguf"))
        for name, (dims, type_, _) in p.tensors.items():
            equal(g.tensors[name][:2], (dims, type_), name)
            n = dims[0] * (dims[1] if len(dims) > 1 else 1)
            n = n // block[type_][0] * block[type_][1]
            check(g.bytes_of(name, n) == p.bytes_of(name, n), name)
            seen += 1
    equal([seen, len(g.tensors)], [38, 38])


def again(b):
    """the same layers give the same bytes"""
    layers(b)
    b.ok("assemble", "assemble.q8", **b.assemble_args("q8", "Q8_0"))
    first = b.read("cand/q8/model.gguf")
    os.remove(b.path("cand/q8/model.gguf"))
    b.ok("assemble", "assemble.q8", **b.assemble_args("q8", "Q8_0"))
    check(b.read("cand/q8/model.gguf") == first, "bytes differ")


def missing(b):
    """a missing layer, a layer twice, and one of another model are refused"""
    layers(b)
    args = b.assemble_args("q8", "Q8_0")
    args["ins"].remove("quant/q8/layer.002.gguf")
    b.refused("assemble", "assemble.q8", "layer 2 is missing", **args)
    b.copy(b.path("quant/q8/layer.001.gguf"), "quant/q8/layer.002.gguf")
    b.refused("assemble", "assemble.q8", "tensor 'blk.1.attn_norm.weight' "
              "does not belong there", **b.assemble_args("q8", "Q8_0"))
    b.put("quant/q8/layer.002.gguf", b.read("quant/q8/layer.001.gguf")[:900])
    b.refused("assemble", "assemble.q8", "layer.002.gguf",
              **b.assemble_args("q8", "Q8_0"))
    check(not os.path.exists(b.path("cand/q8/model.gguf")), "an output")


def unknown_split(b):
    """a pre-tokenizer that llama.cpp does not know is refused"""
    path = os.path.join(b.own_model(), "tokenizer.json")
    with open(path) as f:
        o = json.load(f)
    o["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": "[a-f]+|[^a-f]+"},
         "behavior": "Isolated", "invert": False},
        {"type": "ByteLevel", "add_prefix_space": False,
         "trim_offsets": True, "use_regex": False}]}
    with open(path, "w") as f:
        json.dump(o, f)
    layers(b)
    b.refused("assemble", "assemble.q8", "tokenizer.json",
              **b.assemble_args("q8", "Q8_0"))


if __name__ == "__main__":
    step.main([keys, tensors, again, missing, unknown_split])
