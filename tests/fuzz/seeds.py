#!/usr/bin/env python3
"""Write the hand-made inputs below tests/data/fuzz, one file per case.

usage: tests/fuzz/seeds.py [FOLDER]     default: tests/data/fuzz

What a fuzzer found lies beside them under its own name. The files are
committed; this script says what each of them is.
"""
import json
import os
import struct
import sys


def safetensors(header, data=b"", claim=None):
    if not isinstance(header, bytes):
        header = json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(header) if claim is None else claim) + \
        header + data


def tensor(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def safetensors_cases():
    a8 = tensor("F32", [2], 0, 8)
    good = {"__metadata__": {"format": "pt"}, "a": a8,
            "b": tensor("BF16", [2, 2], 8, 16), "s": tensor("U8", [], 16, 17),
            "none": tensor("I64", [0, 3], 17, 17)}
    yield "valid", safetensors(good, bytes(17))
    yield "empty-file", b""
    yield "no-tensor", safetensors({})
    yield "padded", safetensors(b"{}      ")
    yield "truncated-header", safetensors(b'{"a":', b"", 100)
    yield "huge-header", safetensors({}, b"", 2**64 - 1)
    yield "limit-header", safetensors({}, b"", 100000001)
    yield "truncated-data", safetensors({"a": a8}, bytes(7))
    yield "trailing-byte", safetensors({"a": a8}, bytes(9))
    yield "overlap", safetensors(
        {"a": a8, "b": tensor("F32", [2], 4, 12)}, bytes(12))
    yield "hole", safetensors(
        {"a": a8, "b": tensor("F32", [2], 9, 17)}, bytes(17))
    yield "backward", safetensors({"a": tensor("F32", [2], 8, 0)}, bytes(8))
    yield "duplicate", safetensors(
        b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},'
        b'"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}', bytes(2))
    yield "unknown-dtype", safetensors({"a": tensor("X", [1], 0, 4)}, bytes(4))
    yield "shape-overflow", safetensors(
        {"a": tensor("F32", [2**32, 2**32], 0, 0)})
    yield "shape-zero-overflow", safetensors(
        {"a": tensor("F32", [2**40, 2**40, 0], 0, 0)})
    yield "negative", safetensors({"a": tensor("F32", [-1], -4, 0)})
    yield "deep", safetensors(b'{"a":' + b"[" * 3000)
    yield "not-utf8", safetensors(b'{"\xff":{}}')
    yield "rank-9", safetensors({"a": tensor("U8", [1] * 9, 0, 1)}, bytes(1))
    yield "half-byte", safetensors({"a": tensor("F4", [3], 0, 2)}, bytes(2))


def string(text):
    text = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(text)) + text


def gguf(keys=(), tensors=(), data=b"", version=3, n=None, n_kv=None,
         align=32):
    head = b"GGUF" + struct.pack(
        "<IQQ", version, len(tensors) if n is None else n,
        len(keys) if n_kv is None else n_kv)
    head += b"".join(keys) + b"".join(tensors)
    return head + bytes(-len(head) % align) + data


def key(name, kind, value):
    return string(name) + struct.pack("<I", kind) + value


def info(name, dims, kind, offset):
    return string(name) + struct.pack("<I", len(dims)) + \
        struct.pack("<%dQ" % len(dims), *dims) + struct.pack("<IQ", kind,
                                                             offset)


def array(kind, values, count=None):
    return struct.pack("<IQ", kind, len(values) if count is None else count) \
        + b"".join(values)


def gguf_cases():
    u32 = struct.pack("<I", 7)
    every = [key("k%d" % i, i, v) for i, v in enumerate(
        [b"\1", b"\1", b"\1\0", b"\1\0", u32, u32, u32, b"\1", string("text"),
         array(8, [string("a"), string("")]), bytes(8), bytes(8), bytes(8)])]
    two = [info("a", [32, 3], 8, 0), info("b", [4], 0, 128)]
    yield "valid", gguf(every, two, bytes(128 + 32))
    yield "no-last-padding", gguf([], two, bytes(128 + 16))
    yield "version-2", gguf(every, two, bytes(160), version=2)
    yield "aligned-64", gguf([key("general.alignment", 4,
                                  struct.pack("<I", 64))],
                             [info("a", [4], 0, 0)], bytes(64), align=64)
    yield "empty-file", b""
    yield "header-only", gguf()
    yield "big-endian", b"GGUF" + struct.pack(">IQQ", 3, 0, 0)
    yield "version-1", gguf(version=1)
    yield "huge-tensor-count", gguf(n=2**63)
    yield "huge-key-count", gguf(n_kv=2**64 - 1)
    yield "empty-key", gguf([key("", 4, u32)])
    yield "duplicate-key", gguf([key("a", 4, u32), key("a", 5, u32)])
    yield "unknown-kind", gguf([key("a", 13, u32)])
    yield "long-string", gguf([key("a", 8, struct.pack("<Q", 2**63))])
    yield "nested-array", gguf([key("a", 9, array(9, [array(4, [u32])]))])
    yield "long-array", gguf([key("a", 9, array(0, [], 2**61))])
    yield "cut-array", gguf([key("a", 9, array(12, [], 2**30))])
    yield "alignment-48", gguf([key("general.alignment", 4,
                                    struct.pack("<I", 48))])
    yield "split", gguf([key("split.count", 2, b"\3\0")])
    yield "long-name", gguf([], [info("n" * 64, [4], 0, 0)], bytes(32))
    yield "five-dims", gguf([], [info("a", [1] * 5, 0, 0)], bytes(32))
    yield "negative-dim", gguf([], [info("a", [2**63], 0, 0)])
    yield "dims-overflow", gguf([], [info("a", [2**32, 2**31], 0, 0)])
    yield "bytes-overflow", gguf([], [info("a", [2**62], 28, 0)])
    yield "zero-dim", gguf([], [info("a", [0, 2**62], 0, 0)])
    yield "broken-row", gguf([], [info("a", [128], 12, 0)], bytes(96))
    yield "unknown-type", gguf([], [info("a", [4], 4, 0)], bytes(32))
    yield "duplicate-tensor", gguf(
        [], [info("a", [4], 0, 0), info("a", [4], 0, 32)], bytes(64))
    yield "overlap", gguf(
        [], [info("a", [4], 0, 0), info("b", [4], 0, 0)], bytes(64))
    yield "offset-far", gguf([], [info("a", [4], 0, 2**64 - 32)], bytes(32))
    yield "cut-data", gguf([], [info("a", [8], 0, 0)], bytes(31))


def folder(**files):
    return b"\n".join(b"=== " + name.encode() + b"\n" + data
                      for name, data in files.items())


def checkpoint_cases():
    config = b'{"model_type":"llama"}'
    index = "model.safetensors.index.json"
    first, second = ("model-0000%d-of-00002.safetensors" % i for i in (1, 2))
    one = safetensors({"model.norm.weight": tensor("F16", [2], 0, 4)}, bytes(4))
    two = safetensors({"model.layers.0.a": tensor("F32", [2], 0, 8)}, bytes(8))
    nan = safetensors({"w": tensor("BF16", [1, 1], 0, 2)}, b"\xc0\x7f")

    def mapped(names):
        return json.dumps({"weight_map": names}).encode()

    both = {"model.norm.weight": first, "model.layers.0.a": second}
    yield "single", folder(**{"config.json": config, "model.safetensors": one})
    yield "nan", folder(**{"config.json": config, "model.safetensors": nan})
    yield "sharded", folder(**{"config.json": config, index: mapped(both),
                               first: one, second: two})
    yield "missing-shard", folder(**{"config.json": config,
                                     index: mapped(both), first: one})
    yield "unmapped", folder(**{
        "config.json": config, first: one, second: two,
        index: mapped({"model.norm.weight": first, "x": second})})
    yield "wrong-file", folder(**{
        "config.json": config, first: one, second: two,
        index: mapped({"model.norm.weight": second,
                       "model.layers.0.a": first})})
    yield "duplicate", folder(**{
        "config.json": config, first: one, second: one,
        index: mapped({"model.norm.weight": first, "y": second})})
    yield "path-up", folder(**{"config.json": config,
                               index: mapped({"a": "../m.safetensors"})})
    yield "path-absolute", folder(**{"config.json": config,
                                     index: mapped({"a": "/m.safetensors"})})
    yield "no-weights", folder(**{"config.json": config})
    yield "no-config", folder(**{"model.safetensors": one})
    yield "config-list", folder(**{"config.json": b"[]",
                                   "model.safetensors": one})
    yield "config-deep", folder(**{"config.json": b"[" * 3000,
                                   "model.safetensors": one})
    yield "index-number", folder(**{"config.json": config,
                                    index: b'{"weight_map":{"a":1}}'})


def f32(*values):
    return struct.pack("<%df" % len(values), *values)


def legacy(entries, trailer=b"", n=None):
    data = struct.pack("<i", len(entries) if n is None else n)
    for name, calls, values in entries:
        data += struct.pack("<i", len(name)) + name.encode()
        data += struct.pack("<ii", calls, len(values)) + f32(*values)
    return data + trailer


def imatrix_cases():
    keys = [key("general.type", 8, string("imatrix")),
            key("imatrix.datasets", 9, array(8, [string("d.txt")])),
            key("imatrix.chunk_count", 4, struct.pack("<I", 3)),
            key("imatrix.chunk_size", 4, struct.pack("<I", 512))]
    pair = [info("a.in_sum2", [8, 2], 0, 0), info("a.counts", [1, 2], 0, 64)]
    data = f32(*range(16)) + f32(4, 0) + bytes(24)
    yield "gguf", gguf(keys, pair, data)
    yield "gguf-no-keys", gguf([], pair, data)
    yield "gguf-model", gguf([key("general.type", 8, string("model"))])
    yield "gguf-no-entry", gguf(keys)
    yield "gguf-no-counts", gguf(keys, pair[:1], bytes(64))
    yield "gguf-few-counts", gguf(
        keys, [pair[0], info("a.counts", [1], 0, 64)], bytes(96))
    yield "gguf-f16", gguf(keys, [info("a.in_sum2", [8], 1, 0),
                                  info("a.counts", [1], 0, 32)], bytes(64))
    yield "gguf-nan", gguf(keys, pair, f32(*[float("nan")] * 16) + data[64:])
    yield "gguf-negative", gguf(keys, pair, f32(*[-1.0] * 16) + data[64:])
    yield "gguf-part-count", gguf(keys, pair, data[:64] + f32(0.5, 1e-30) +
                                  bytes(24))
    yield "gguf-bad-datasets", gguf(
        [key("imatrix.datasets", 4, struct.pack("<I", 1))], pair, data)
    entry = [("blk.0.attn_q.weight", 3, [1, 2, 3, 4])]
    yield "legacy", legacy(entry, struct.pack("<ii", 9, 5) + b"d.txt")
    yield "legacy-bare", legacy(entry)
    yield "legacy-chunks-only", legacy(entry, struct.pack("<i", 9))
    yield "legacy-cut", legacy(entry)[:-1]
    yield "legacy-cut-trailer", legacy(entry, struct.pack("<ii", 9, 99))
    yield "legacy-duplicate", legacy(entry + entry)
    yield "legacy-huge-count", legacy(entry, n=2**20)
    yield "legacy-negative-count", legacy(entry, n=-1)
    yield "legacy-zero-values", legacy([("a", 1, [])])
    yield "legacy-infinity", legacy([("a", 1, [float("inf")])])
    yield "legacy-nul", legacy([("a\0b", 1, [1, 2])])
    yield "empty-file", b""


def inspect_cases():
    for parser, name in ((safetensors_cases, "valid"),
                         (gguf_cases, "valid"),
                         (imatrix_cases, "gguf"), (imatrix_cases, "legacy"),
                         (checkpoint_cases, "single"),
                         (checkpoint_cases, "sharded")):
        yield name + "-" + parser.__name__[:-6], dict(parser())[name]
    u32 = struct.pack("<I", 1)
    yield "gguf-model", gguf(
        [key("general.architecture", 8, string("llama")),
         key("llama.block_count", 4, u32), key("general.file_type", 4, u32)] +
        [key("llama." + k, 4, u32) for k in (
            "embedding_length", "feed_forward_length", "context_length",
            "attention.head_count")],
        [info("token_embd.weight", [1, 1], 0, 0)], bytes(32))
    yield "gguf-tokenizer", gguf(
        [key("tokenizer.ggml.model", 8, string("llama")),
         key("tokenizer.ggml.tokens", 9, array(8, [string("\x1b[31m")]))])
    stats = {"__metadata__": {"tokens": "3"},
             "o.mean2": tensor("F32", [2], 0, 8)}
    yield "statistics", safetensors(stats, f32(1, float("nan")))
    yield "statistics-no-number", safetensors(
        dict(stats, __metadata__={"tokens": "x"}), bytes(8))
    ids = {"offsets": tensor("I64", [2], 0, 16), "ids": tensor(
        "I32", [1], 16, 20)}
    yield "tokens", safetensors(ids, struct.pack("<qqi", 0, 1, 7))
    yield "tokens-far", safetensors(ids, struct.pack("<qqi", 0, -1, 7))
    yield "stage", b"--step=x\n--in=a=b\n--in=\xff\n--out=c\n--end\n"
    yield "pointer", (b"version https://git-lfs.github.com/spec/v1\n"
                      b"oid sha256:" + b"0" * 64 + b"\nsize 1\n")
    yield "envelope", (b'{"payloadType":"x","payload":"e30=",'
                       b'"signatures":[]}')
    yield "lines", b'{"a":1,"b":true}\n{"a":1e308}\n\n{"a":[{"c":null}]}\n'
    yield "lines-broken", b'{"a":1}\n{"a":\n'
    yield "schema", (b'{"schema":"quern.x/1","t":{"a":{"n":1},"b":{"m":[[2]]}'
                     b'},"l":[{"name":"\\u001b"},3,{}]}')
    yield "deep", b'{"a":' * 2000 + b"1" + b"}" * 2000
    yield "deep-lines", b'{"a":1}\n{"a":' + b"[" * 200 + b"]" * 200 + b"}\n"
    yield "config", (b'{"architectures":["LlamaForCausalLM"],"hidden_size":-1}'
                     )
    yield "tokenizer", b'{"model":{"type":"BPE","vocab":{}}}'
    yield "policy", b"# x\nquern: 1\n"
    yield "text", b"nothing\xff"
    yield "empty-file", b""
def config_cases():
    """The architectures' own, and numbers that must not be believed."""
    top = "tests/data/arch"
    for name in sorted(os.listdir(top)):
        with open(os.path.join(top, name, "config.json"), "rb") as f:
            yield name, f.read()
    with open(os.path.join(top, "llama3", "config.json")) as f:
        good = json.load(f)
    for name, change in (
            ("heads-zero", {"num_attention_heads": 0}),
            ("heads-negative", {"num_attention_heads": -2**63}),
            ("kv-odd", {"num_attention_heads": 4, "num_key_value_heads": 3}),
            ("layers-huge", {"num_hidden_layers": 2**62}),
            ("vocab-real", {"vocab_size": 1e300}),
            ("eps-text", {"rms_norm_eps": "1e-5"}),
            ("rope-unknown", {"rope_scaling": {"rope_type": "spiral"}}),
            ("rope-factor-zero", {"rope_scaling": {
                "rope_type": "linear", "factor": 0}}),
            ("arch-unknown", {"model_type": "abacus",
                              "architectures": ["AbacusForCausalLM"]}),
            ("eos-list", {"eos_token_id": list(range(1000))})):
        yield name, json.dumps({**good, **change}).encode()
    yield "deep", b"[" * 3000
    yield "list", b"[]"
    yield "duplicate", b'{"vocab_size":1,"vocab_size":2}'


def text_key(name, text):
    return key(name, 8, string(text))


def count_key(name, n):
    return key(name, 4, struct.pack("<I", n))


def tiny_model(change=None, kinds=(8,)):
    """A Llama of one layer; the matrices take the types in turn."""
    block = {8: 34, 2: 18, 3: 20, 6: 22, 7: 24, 20: 18}
    h, ffn, heads = 32, 64, 2
    tokens = ["<s>"] + [chr(0x21 + i) for i in range(63)]
    keys = {
        "general.architecture": text_key("general.architecture", "llama"),
        "llama.context_length": count_key("llama.context_length", 16),
        "llama.embedding_length": count_key("llama.embedding_length", h),
        "llama.block_count": count_key("llama.block_count", 1),
        "llama.feed_forward_length":
            count_key("llama.feed_forward_length", ffn),
        "llama.attention.head_count":
            count_key("llama.attention.head_count", heads),
        "llama.attention.layer_norm_rms_epsilon": key(
            "llama.attention.layer_norm_rms_epsilon", 6, f32(1e-5)),
        "tokenizer.ggml.model": text_key("tokenizer.ggml.model", "gpt2"),
        "tokenizer.ggml.pre": text_key("tokenizer.ggml.pre", "gpt-2"),
        "tokenizer.ggml.tokens": key("tokenizer.ggml.tokens", 9, array(
            8, [string(t) for t in tokens])),
        "tokenizer.ggml.token_type": key("tokenizer.ggml.token_type", 9, array(
            5, [struct.pack("<i", 3 if i == 0 else 1)
                for i in range(len(tokens))])),
        "tokenizer.ggml.merges": key("tokenizer.ggml.merges", 9, array(
            8, [string("A B")])),
        "tokenizer.ggml.bos_token_id":
            count_key("tokenizer.ggml.bos_token_id", 0),
        "tokenizer.ggml.eos_token_id":
            count_key("tokenizer.ggml.eos_token_id", 0)}
    keys.update(change or {})
    infos, data = [], b""
    shapes = [("token_embd", [h, 64]), ("output_norm", [h]),
              ("blk.0.attn_norm", [h]), ("blk.0.ffn_norm", [h])] + [
        (f"blk.0.{n}", d) for n, d in (
            ("attn_q", [h, h]), ("attn_k", [h, h]), ("attn_v", [h, h]),
            ("attn_output", [h, h]), ("ffn_gate", [h, ffn]),
            ("ffn_up", [h, ffn]), ("ffn_down", [ffn, h]))]
    for i, (name, dims) in enumerate(shapes):
        if len(dims) == 1:
            kind, body = 0, f32(*[1.0] * h)
        else:
            kind = kinds[i % len(kinds)]
            one = struct.pack("<H", 0x2000) + bytes(
                37 * j & 0x77 for j in range(block[kind] - 2))
            body = one * (dims[0] * dims[1] // 32)
        infos.append(info(name + ".weight", dims, kind, len(data)))
        data += body + bytes(-len(body) % 32)
    return gguf([k for k in keys.values() if k], infos, data)


def model_cases():
    yield "q8_0", tiny_model()
    yield "blocks-of-32", tiny_model(kinds=(8, 2, 3, 6, 7, 20))
    yield "no-heads", tiny_model({"llama.attention.head_count": count_key(
        "llama.attention.head_count", 0)})
    yield "odd-heads", tiny_model({"llama.attention.head_count": count_key(
        "llama.attention.head_count", 3)})
    yield "no-tokens", tiny_model({"tokenizer.ggml.tokens": None})
    yield "few-tokens", tiny_model({"tokenizer.ggml.tokens": key(
        "tokenizer.ggml.tokens", 9, array(8, [string("a")]))})
    yield "no-context", tiny_model({"llama.context_length": None})
    yield "two-layers", tiny_model({"llama.block_count": count_key(
        "llama.block_count", 2)})
    yield "other-architecture", tiny_model({
        "general.architecture": text_key("general.architecture", "abacus")})
    yield "infinite-epsilon", tiny_model({
        "llama.attention.layer_norm_rms_epsilon": key(
            "llama.attention.layer_norm_rms_epsilon", 6, f32(float("inf")))})


def main():
    top = sys.argv[1] if len(sys.argv) > 1 else "tests/data/fuzz"
    for parser, cases in (("safetensors", safetensors_cases()),
                          ("gguf", gguf_cases()),
                          ("checkpoint", checkpoint_cases()),
                          ("imatrix", imatrix_cases()),
                          ("inspect", inspect_cases()),
                          ("config", config_cases()),
                          ("model", model_cases())):
        os.makedirs(os.path.join(top, parser), exist_ok=True)
        for name, data in cases:
            with open(os.path.join(top, parser, name), "wb") as f:
                f.write(data)


if __name__ == "__main__":
    main()
