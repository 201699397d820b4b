#!/usr/bin/env python3
"""The quantize step: types, methods, errors, and what it refuses."""
import json
import os
import random
import signal
import struct
import subprocess
import time

import step
from step import check, equal

ROLES = ["attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_norm",
         "ffn_gate", "ffn_up", "ffn_down"]


def ready(b, count=64, made={}):
    """A folder with statistics; made once."""
    if count not in made:
        b.fingerprint()
        b.traffic()
        b.corpus(count=count)
        b.calibrate()
        made[count] = {os.path.relpath(os.path.join(d, f), b.dir): b.read(
            os.path.relpath(os.path.join(d, f), b.dir))
            for d, _, files in os.walk(b.dir) for f in files
            if "att" not in d}
    for role, data in made[count].items():
        b.put(role, data)
    return b


def tensors_of(b, cand, part):
    return {t["name"]: t for t in b.json(f"quant/{cand}/{part}.json")
            ["tensors"]}


def half(two):
    return struct.unpack("<e", two)[0]


def q8_rows(data, cols, row):
    """One row of Q8_0 as floats."""
    out, size = [], cols // 32 * 34
    for i in range(cols // 32):
        block = data[row * size + 34 * i:][:34]
        d = half(block[:2])
        out += [d * q for q in struct.unpack("<32b", block[2:])]
    return out


def permuted(b):
    """q rows stand in the order of rope pairs, within Q8_0's error"""
    b.fingerprint()
    b.quantize("q8", 0, "Q8_0", "rtn")
    model = step.read_safetensors(os.path.join(b.model, "model.safetensors"))
    g = step.Gguf(b.path("quant/q8/layer.000.gguf"))
    equal(sorted(g.tensors), sorted(f"blk.0.{r}.weight" for r in ROLES))
    for name, hf, heads in (("attn_q", "self_attn.q_proj", 8),
                            ("attn_v", "self_attn.v_proj", 0)):
        w = step.bf16(model[f"model.layers.0.{hf}.weight"][2])
        rows = len(w) // 256
        data = g.bytes_of(f"blk.0.{name}.weight", rows * 272)
        for r in range(rows):
            source = r
            if heads:
                source = r // 32 * 32 + r % 32 // 2 + r % 2 * 16
            row = w[source * 256:source * 256 + 256]
            top = max(map(abs, row))  # half a step, and d in float16
            back = q8_rows(data, 256, r)
            worst = max(abs(x - y) for x, y in zip(row, back))
            check(worst <= top / 127 * 0.57, name, r, worst, top)


def norms(b):
    """norms are F32 and exact; matrices have the type that was asked for"""
    b.fingerprint()
    b.quantize("q4", 1, "Q4_0", "rtn")
    model = step.read_safetensors(os.path.join(b.model, "model.safetensors"))
    g = step.Gguf(b.path("quant/q4/layer.001.gguf"))
    want = step.bf16(model["model.layers.1.input_layernorm.weight"][2])
    equal(struct.unpack("<256f", g.bytes_of("blk.1.attn_norm.weight", 1024)),
          want)
    for role in ROLES:
        equal(g.tensors[f"blk.1.{role}.weight"][1],
              0 if "norm" in role else 2, role)


def head(b):
    """a tied embedding gets Q6_K with 4 bits and Q8_0 with 8, or an override"""
    ready(b)
    for cand, type_, sets, want in (
            ("q4k", "Q4_K", {}, 14), ("q40", "Q4_0", {}, 14),
            ("q8", "Q8_0", {}, 8), ("f16", "F16", {}, 1),
            ("own", "Q4_K", {"type.token_embd": "Q5_K"}, 13)):
        b.quantize(cand, "head", type_, "imatrix", sets=sets)
        g = step.Gguf(b.path(f"quant/{cand}/head.gguf"))
        equal(sorted(g.tensors), ["output_norm.weight", "token_embd.weight"])
        equal(g.tensors["token_embd.weight"][:2], ([256, 2048], want), cand)


def better(b):
    """statistics lower the weighted error, AWQ lowers it further"""
    ready(b)
    errors = {}
    for method in ("rtn", "imatrix", "awq"):
        args = b.quantize_args(method, 1, "Q4_K", method)
        if method == "rtn":
            args["ins"].append("stats/layer.001.safetensors")
        b.ok("quantize", f"quantize.{method}.l001", **args)
        t = tensors_of(b, method, "layer.001")
        errors[method] = {r: t[f"blk.1.{r}.weight"]["weighted_error"]
                          for r in ROLES if "norm" not in r}
    for role in errors["rtn"]:
        check(errors["imatrix"][role] < errors["rtn"][role], role, errors)
    check(errors["awq"]["attn_q"] < 0.6 * errors["imatrix"]["attn_q"], errors)
    for scale in b.json("quant/awq/layer.001.json")["scales"]:
        check(scale["error"] <= scale["error_unscaled"], scale)
        check(0 <= scale["alpha"] <= 0.95, scale)
    return "attn_q weighted: " + ", ".join(
        f"{m} {e['attn_q']:.4f}" for m, e in errors.items())


def threads(b):
    """one, two and eight threads and portable kernels give the same bytes"""
    ready(b)
    seen = None
    for n, isa in ("1", ""), ("2", ""), ("8", ""), ("2", "ref"):
        b.quantize("x", 2, "Q4_K", "awq",
                   env={"QUERN_THREADS": n, "QUERN_ISA": isa})
        now = b.read("quant/x/layer.002.gguf"), b.read("quant/x/layer.002.json")
        check(seen is None or now == seen, n, isa, "differ")
        seen = now
        os.remove(b.path("quant/x/layer.002.gguf"))


def override(b):
    """another type for one role; an unknown role or type is refused"""
    b.fingerprint()
    b.quantize("m", 0, "Q4_K", "rtn", sets={"type.attn_v": "Q6_K"})
    types = {n: t["type"] for n, t in tensors_of(b, "m", "layer.000").items()}
    equal([types["blk.0.attn_v.weight"], types["blk.0.attn_q.weight"]],
          ["Q6_K", "Q4_K"])
    b.refused("quantize", "quantize.m.l000", "no matrix 'attn_x'",
              **b.quantize_args("m", 0, "Q4_K", "rtn",
                                **{"type.attn_x": "Q6_K"}))
    status, err = b.run("quantize", "quantize.m.l000",
                        **b.quantize_args("m", 0, "Q4_X", "rtn"))
    equal(status, 2, err)
    check("unknown type 'Q4_X'" in err, err)


def tiny(b, hidden=96, bad=None):
    """A random model whose rows fit no block of 256; `bad` puts a value."""
    draw = random.Random(3)
    folder = b.own_model()
    with open(os.path.join(folder, "config.json")) as f:
        config = json.load(f)
    config.update(hidden_size=hidden, intermediate_size=64, head_dim=16,
                  num_attention_heads=2, num_key_value_heads=1,
                  num_hidden_layers=1)
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump(config, f)

    def values(*shape):
        n = 1
        for s in shape:
            n *= s
        v = [draw.gauss(0, 0.05) for _ in range(n)]
        return ["F32", list(shape), struct.pack(f"<{n}f", *v)]
    p = "model.layers.0."
    t = {"model.embed_tokens.weight": values(2048, hidden),
         "model.norm.weight": values(hidden),
         p + "input_layernorm.weight": values(hidden),
         p + "post_attention_layernorm.weight": values(hidden),
         p + "self_attn.q_proj.weight": values(32, hidden),
         p + "self_attn.k_proj.weight": values(16, hidden),
         p + "self_attn.v_proj.weight": values(16, hidden),
         p + "self_attn.o_proj.weight": values(hidden, 32),
         p + "mlp.gate_proj.weight": values(64, hidden),
         p + "mlp.up_proj.weight": values(64, hidden),
         p + "mlp.down_proj.weight": values(hidden, 64)}
    if bad is not None:
        name, index, value = bad
        data = bytearray(t[name][2])
        struct.pack_into("<f", data, 4 * index, value)
        t[name][2] = bytes(data)
    step.write_safetensors(os.path.join(folder, "model.safetensors"), t)
    b.ok("fingerprint", "fingerprint", **b.fingerprint_args(layers=1))
    return b


def fallback(b):
    """rows that fit no block of 256 get llama.cpp's other type, and it is said"""
    tiny(b)
    for type_, want in (("Q4_K", "Q5_0"), ("Q6_K", "Q8_0"), ("Q5_K", "Q5_1"),
                        ("IQ4_XS", "IQ4_NL"), ("Q4_0", "Q4_0")):
        b.quantize("f", 0, type_, "rtn")
        t = tensors_of(b, "f", "layer.000")["blk.0.ffn_up.weight"]
        equal(t["type"], want, type_)
        equal("fallback" in t, type_ != want, type_)
    tiny_rows = Build2(b, "narrow")
    tiny(tiny_rows, hidden=80)
    tiny_rows.quantize("f", 0, "Q8_0", "rtn")
    equal(tensors_of(tiny_rows, "f", "layer.000")["blk.0.ffn_up.weight"]
          ["type"], "F16")


class Build2(step.Build):
    """Another build folder inside a test's own."""

    def __init__(self, b, name):
        folder = os.path.join(b.top, name)
        os.makedirs(folder)
        super().__init__(folder)


def nan(b):
    """NaN and infinity are refused by tensor, row and column; nothing is left"""
    name = "model.layers.0.mlp.up_proj.weight"
    for i, (value, word) in enumerate(((float("nan"), "not a number"),
                                       (float("inf"), "infinite"))):
        own = Build2(b, f"nan{i}")
        tiny(own, bad=(name, 5 * 96 + 7, value))
        err = own.refused("quantize", "quantize.q.l000", word,
                          **own.quantize_args("q", 0, "Q4_0", "rtn"))
        check(f"'{name}': row 5, column 7" in err, err)
        check(not os.path.exists(own.path("quant/q/layer.000.gguf")), "left")
        equal(step.leftovers(own.dir), [])


def too_large(b):
    """a weight that no float16 scale can hold is refused"""
    tiny(b, bad=("model.layers.0.mlp.up_proj.weight", 3, 1e30))
    b.refused("quantize", "quantize.q.l000", "row 0, column 3",
              **b.quantize_args("q", 0, "F16", "rtn"))


def changed(b):
    """weights that are not those of the fingerprint are refused"""
    path = os.path.join(b.own_model(), "model.safetensors")
    b.fingerprint()
    header, start = step.safetensors_header(path)
    at = header["model.layers.0.self_attn.k_proj.weight"]["data_offsets"][0]
    with open(path, "r+b") as f:
        f.seek(start + at)
        f.write(b"\0\0")
    b.refused("quantize", "quantize.q.l000",
              "tensor 'model.layers.0.self_attn.k_proj.weight' has other "
              "bytes", **b.quantize_args("q", 0, "Q8_0", "rtn"))
    b.quantize("q", 1, "Q8_0", "rtn")  # another layer is fine


def changed_head(b):
    """so are the head's, whatever else they make go wrong, and nothing stays"""
    path = os.path.join(b.own_model(), "model.safetensors")
    b.fingerprint()
    header, start = step.safetensors_header(path)
    name = "model.embed_tokens.weight"
    at = header[name]["data_offsets"][0]
    for weight in (b"\1\0", b"\xff\xff"):  # another number; none at all
        with open(path, "r+b") as f:
            f.seek(start + at)
            f.write(weight)
        for n in "12":
            b.refused("quantize", "quantize.q.head",
                      f"tensor '{name}' has other bytes",
                      env={"QUERN_THREADS": n},
                      **b.quantize_args("q", "head", "Q8_0", "rtn"))
    check(not os.path.exists(b.path("quant/q/head.gguf")), "is kept")
    equal(step.leftovers(b.path("quant")), [])


def needs_statistics(b):
    """imatrix without statistics is a usage error"""
    b.fingerprint()
    args = b.quantize_args("q", 0, "Q4_K", "imatrix")
    args["ins"].remove("stats/layer.000.safetensors")
    status, err = b.run("quantize", "quantize.q.l000", **args)
    equal(status, 2, err)
    check("needs statistics" in err, err)


def killed(b):
    """a kill leaves no partial output, and the next run is whole"""
    ready(b)
    b.quantize("k", 0, "Q4_K", "awq")
    whole = b.read("quant/k/layer.000.gguf")
    args = b.args("quantize", "quantize.k.l000",
                  **b.quantize_args("k", 0, "Q4_K", "awq"))
    for i in range(6):
        for name in ("layer.000.gguf", "layer.000.json"):
            if os.path.exists(b.path("quant/k/" + name)):
                os.remove(b.path("quant/k/" + name))
        run = subprocess.Popen(args, stderr=subprocess.DEVNULL)
        time.sleep(0.03 + 0.04 * i)
        run.send_signal(signal.SIGKILL)
        run.wait()
        if os.path.exists(b.path("quant/k/layer.000.gguf")):
            check(b.read("quant/k/layer.000.gguf") == whole, "partial")
    b.quantize("k", 0, "Q4_K", "awq")
    check(b.read("quant/k/layer.000.gguf") == whole, "bytes differ")
    equal(step.leftovers(b.path("quant")), [])


if __name__ == "__main__":
    step.main([permuted, norms, head, better, threads, override, fallback,
               nan, too_large, changed, changed_head, needs_statistics, killed])
