"""Checkpoints of any size for benchmarks, and programs watched while they run.
"""
import json
import os
import random
import struct
import subprocess
import sys
import time

sys.path.insert(0, "tests/steps")
import step  # noqa: E402


NOISE = (1 << 20) - 6  # bytes: no multiple of a row's
SHIFT = 1009           # values: no tensor begins like another


def shapes(layers, hidden, mlp, kv, vocab, tied=True):
    found = {"model.embed_tokens.weight": [vocab, hidden],
             "model.norm.weight": [hidden]}
    if not tied:
        found["lm_head.weight"] = [vocab, hidden]
    for i in range(layers):
        p = f"model.layers.{i}."
        found.update({
            p + "input_layernorm.weight": [hidden],
            p + "post_attention_layernorm.weight": [hidden],
            p + "self_attn.q_proj.weight": [hidden, hidden],
            p + "self_attn.k_proj.weight": [kv, hidden],
            p + "self_attn.v_proj.weight": [kv, hidden],
            p + "self_attn.o_proj.weight": [hidden, hidden],
            p + "mlp.gate_proj.weight": [mlp, hidden],
            p + "mlp.up_proj.weight": [mlp, hidden],
            p + "mlp.down_proj.weight": [hidden, mlp]})
    return found


def make(b, layers, hidden, mlp, kv, head, vocab=None, tied=True):
    """A random BF16 Llama in the build's own model folder.

    Some noise repeats, at another place of a row each time: no step's time
    depends on the values. Norms are 1. Returns (bytes of the weights, bytes of
    one layer).
    """
    folder = b.own_model()
    path = os.path.join(folder, "config.json")
    with open(path) as f:
        config = json.load(f)
    config.update(hidden_size=hidden, intermediate_size=mlp, head_dim=head,
                  num_attention_heads=hidden // head,
                  num_key_value_heads=kv // head, num_hidden_layers=layers,
                  vocab_size=vocab or config["vocab_size"],
                  tie_word_embeddings=tied)
    with open(path, "w") as f:
        json.dump(config, f)
    # magnitudes from 2^-7 to 2^-6. Little memory: what this process holds when
    # it forks counts as the peak of a small child.
    noise = bytearray(random.Random(1).randbytes(NOISE))
    noise[1::2] = bytes(v & 0x80 | 0x3c for v in noise[1::2])
    header, at = {}, 0
    todo = shapes(layers, hidden, mlp, kv, config["vocab_size"], tied)
    for name, shape in todo.items():
        n = 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": "BF16", "shape": shape,
                        "data_offsets": [at, at + n]}
        at += n
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(folder, "model.safetensors"), "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for shape in todo.values():
            if len(shape) == 1:
                f.write(b"\x80\x3f" * shape[0])
                continue
            left = 2 * shape[0] * shape[1]
            while left > 0:
                f.write(noise[:left])
                left -= len(noise)
            noise = noise[2 * SHIFT:] + noise[:2 * SHIFT]
    layer = sum(t["data_offsets"][1] - t["data_offsets"][0]
                for n, t in header.items() if n.startswith("model.layers.0."))
    return at, layer


def watch(command, threads=None):
    """(wall s, processor s, peak bytes) of a command that must succeed."""
    env = dict(os.environ)
    if threads:
        env["QUERN_THREADS"] = str(threads)
    start = time.monotonic()
    p = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=env,
                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = p.stderr.read()
    _, status, used = os.wait4(p.pid, 0)
    wall = time.monotonic() - start
    p.returncode = status
    p.stderr.close()
    if status != 0:
        raise step.Failed(f"{command[0]}: {said.decode(errors='replace')}")
    return wall, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024


def repeat(n, before, command, threads=None):
    """The fastest of n runs (by processor time), each after before()."""
    runs = []
    for _ in range(n):
        before()
        runs.append(watch(command, threads))
    return min(runs, key=lambda r: r[1])


def remove(*paths):
    for p in paths:
        if os.path.exists(p):
            os.remove(p)
