#!/usr/bin/env python3
"""The calibrate step: statistics of pebble's layers."""
import math
import os
import signal
import subprocess
import time

import step
from step import check, equal

FILES = [f"stats/layer.{i:03d}.safetensors" for i in range(step.LAYERS)] + \
    ["stats/head.safetensors"]


def ready(b, count=24):
    """Before calibrate, with so many samples; sanitizers make do with fewer."""
    if os.environ.get("QUERN_SANITIZED"):
        count //= 3
    b.fingerprint()
    b.traffic()
    b.corpus(count=count)
    return b


def contents(b):
    return {f: b.read(f) for f in FILES}


def near(got, want, tolerance, what):
    worst = max(abs(g - w) / (abs(w) + 1e-9) for g, w in zip(got, want))
    check(worst <= tolerance, what, "off by", worst)
    return worst


def first_layer(b):
    """mean2, absmean and absmax of the first input equal Python's own"""
    ready(b).calibrate()
    model = step.read_safetensors(os.path.join(b.model, "model.safetensors"))
    embed = step.bf16(model["model.embed_tokens.weight"][2])
    gain = step.bf16(model["model.layers.0.input_layernorm.weight"][2])
    ids = step.safetensors_values(b.path("corpus/tokens.safetensors"), "ids")
    h = len(gain)
    square, size, top = [0.0] * h, [0.0] * h, [0.0] * h
    for i in ids:
        row = embed[i * h:(i + 1) * h]
        scale = 1 / math.sqrt(sum(v * v for v in row) / h + 1e-6)
        for j in range(h):
            v = abs(row[j] * scale * gain[j])
            square[j] += v * v
            size[j] += v
            top[j] = max(top[j], v)
    path, n = b.path(FILES[0]), len(ids)
    equal(step.safetensors_header(path)[0]["__metadata__"]["tokens"], str(n))
    near(step.safetensors_values(path, "qkv.mean2"), [v / n for v in square],
         1e-5, "mean2")
    near(step.safetensors_values(path, "qkv.absmean"), [v / n for v in size],
         1e-5, "absmean")
    near(step.safetensors_values(path, "qkv.absmax"), top, 1e-5, "absmax")
    roles = {k.split(".")[0] for k in step.read_safetensors(path)}
    equal(roles, {"qkv", "o", "gate_up", "down"})
    equal({k.split(".")[0] for k in step.read_safetensors(b.path(FILES[4]))},
          {"output"})


def threads(b):
    """one, two and three threads give the same bytes"""
    ready(b)
    seen = None
    for n in ("1", "2", "3"):
        for f in FILES:
            if os.path.exists(b.path(f)):
                os.remove(b.path(f))
        b.ok("calibrate", "calibrate", env={"QUERN_THREADS": n},
             **b.calibrate_args())
        if seen is not None:
            check(contents(b) == seen, n, "threads differ")
        seen = contents(b)
    check(not os.path.exists(b.path("state/calibrate")), "state is left")


def killed(b):
    """a killed run goes on at its layer and ends with the same bytes"""
    ready(b, count=100).calibrate()
    whole = contents(b)
    for f in FILES:
        os.remove(b.path(f))
    args = b.args("calibrate", "calibrate", **b.calibrate_args())
    state, kills = b.path("state/calibrate/state.json"), 0
    for layer in range(step.LAYERS):
        run = subprocess.Popen(args, stderr=subprocess.PIPE)
        while run.poll() is None and not (
                os.path.exists(b.path(FILES[layer])) and
                os.path.exists(state)):
            time.sleep(0.002)
        if run.poll() is None:
            run.send_signal(signal.SIGKILL)
            kills += 1
        run.communicate()
    before = os.stat(b.path(FILES[0])).st_mtime_ns
    b.calibrate()
    check(contents(b) == whole, "bytes differ after kills")
    equal(os.stat(b.path(FILES[0])).st_mtime_ns, before, "layer 0 again")
    check(not os.path.exists(b.path("state/calibrate")), "state is left")
    check(kills > 0, "the run was never caught alive")
    equal(step.leftovers(b.path("stats")), [])
    return f"{kills} kills"


def other_inputs(b):
    """the state of other tokens is not taken up"""
    ready(b, count=100)
    args = b.args("calibrate", "calibrate", **b.calibrate_args())
    run = subprocess.Popen(args, stderr=subprocess.PIPE)
    while run.poll() is None and not os.path.exists(
            b.path("state/calibrate/state.json")):
        time.sleep(0.002)
    run.kill()
    run.communicate()
    b.corpus(count=24)
    b.calibrate()
    mixed = contents(b)
    for f in FILES:
        os.remove(b.path(f))
    b.calibrate()
    check(contents(b) == mixed, "a stale state was used")


def changed_weights(b):
    """weights that changed after the fingerprint are refused by name"""
    path = os.path.join(b.own_model(), "model.safetensors")
    ready(b)
    header, start = step.safetensors_header(path)
    at = header["model.layers.1.mlp.down_proj.weight"]["data_offsets"][0]
    with open(path, "r+b") as f:
        f.seek(start + at)
        f.write(b"\0\1")
    b.refused("calibrate", "calibrate",
              "tensor 'model.layers.1.mlp.down_proj.weight' has other bytes",
              **b.calibrate_args())


def no_token_file(b):
    """a token file that is none is refused"""
    ready(b)
    b.put("corpus/tokens.safetensors", b"12345678")
    b.refused("calibrate", "calibrate", "tokens.safetensors",
              **b.calibrate_args())


if __name__ == "__main__":
    step.main([first_layer, threads, killed, other_inputs, changed_weights,
               no_token_file])
