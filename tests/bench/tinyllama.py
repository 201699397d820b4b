"""A random model of TinyLlama's shape (1.1 billion parameters) as GGUF, F16.

For benchmarks: no program's speed depends on what such weights say. One block
of normal values repeats; the vocabulary is the 256 bytes and fillers.
"""
import random
import struct
import sys

sys.path.insert(0, "tests/fuzz")
from seeds import array, count_key, f32, info, key, string, text_key  # noqa: E402

HIDDEN, FFN, HEADS, KV_HEADS, VOCAB, LAYERS = 2048, 5632, 32, 4, 32000, 22
F32, F16 = 0, 1


def byte_names():
    """GPT-2's printable character for each byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    names, n = {b: chr(b) for b in plain}, 0
    for b in range(256):
        if b not in names:
            names[b] = chr(256 + n)
            n += 1
    return [names[b] for b in range(256)]


def keys(layers):
    tokens = byte_names() + ["ab"]
    tokens += [f"<filler {i}>" for i in range(VOCAB - len(tokens))]
    kinds = [1] * 257 + [5] * (VOCAB - 257)     # normal, unused
    at = "llama."
    return [
        text_key("general.architecture", "llama"),
        text_key("general.name", "random, TinyLlama's shape"),
        count_key(at + "context_length", 2048),
        count_key(at + "embedding_length", HIDDEN),
        count_key(at + "block_count", layers),
        count_key(at + "feed_forward_length", FFN),
        count_key(at + "attention.head_count", HEADS),
        count_key(at + "attention.head_count_kv", KV_HEADS),
        count_key(at + "rope.dimension_count", HIDDEN // HEADS),
        count_key(at + "vocab_size", VOCAB),
        key(at + "attention.layer_norm_rms_epsilon", 6, f32(1e-5)),
        text_key("tokenizer.ggml.model", "gpt2"),
        text_key("tokenizer.ggml.pre", "gpt-2"),
        key("tokenizer.ggml.tokens", 9, array(8, [string(t) for t in tokens])),
        key("tokenizer.ggml.token_type", 9, array(
            5, [struct.pack("<i", k) for k in kinds])),
        key("tokenizer.ggml.merges", 9, array(8, [string("a b")])),
        count_key("tokenizer.ggml.bos_token_id", 0),
        count_key("tokenizer.ggml.eos_token_id", VOCAB - 1),
        key("tokenizer.ggml.add_bos_token", 7, b"\0"),
    ]


def shapes(layers):
    """GGUF's order of dimensions: the length of a row first."""
    kv = HIDDEN // HEADS * KV_HEADS
    yield "token_embd", [HIDDEN, VOCAB]
    yield "output", [HIDDEN, VOCAB]
    yield "output_norm", [HIDDEN]
    for i in range(layers):
        for name, dims in (
                ("attn_norm", [HIDDEN]), ("attn_q", [HIDDEN, HIDDEN]),
                ("attn_k", [HIDDEN, kv]), ("attn_v", [HIDDEN, kv]),
                ("attn_output", [HIDDEN, HIDDEN]), ("ffn_norm", [HIDDEN]),
                ("ffn_gate", [HIDDEN, FFN]), ("ffn_up", [HIDDEN, FFN]),
                ("ffn_down", [FFN, HIDDEN])):
            yield f"blk.{i}.{name}", dims


def write(path, layers=LAYERS):
    """Writes the file; returns its number of weights."""
    draw = random.Random(7)
    n = 1 << 19
    block = struct.pack(f"<{n}e", *(draw.gauss(0, .02) for _ in range(n)))
    infos, at, sizes = [], 0, []
    for name, dims in shapes(layers):
        matrix = len(dims) > 1
        size = dims[0] * dims[1] * 2 if matrix else dims[0] * 4
        infos.append(info(name + ".weight", dims, F16 if matrix else F32, at))
        sizes.append((matrix, size))
        at += size
    found = keys(layers)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(infos), len(found)) + \
        b"".join(found) + b"".join(infos)
    with open(path, "wb") as f:
        f.write(head + bytes(-len(head) % 32))
        for matrix, size in sizes:
            if not matrix:
                f.write(f32(*[1.0] * (size // 4)))
            while matrix and size > 0:
                # other rows start elsewhere in the block
                start = draw.randrange(0, 64) * 4096
                part = block[start:start + size]
                f.write(part)
                size -= len(part)
    return sum(s // 2 for m, s in sizes if m)


if __name__ == "__main__":
    print(write(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else LAYERS))
