#!/usr/bin/env python3
"""evaluate and benchmark on the example's model and a candidate of it; the
commands that look at a model."""
import base64
import json
import math
import os
import shutil
import subprocess
import tempfile

import step
from step import BIN, DATA, LAYERS, MODEL, TEST_DATA, Build, check, equal, main

BASE = ["base/config.fp.json", "base/tokenizer.fp.json", "base/head.fp.json",
        "base/model.fp.json"] + \
    [f"base/layer.{i:03d}.fp.json" for i in range(LAYERS)]
SHARED = None  # a build folder with fingerprints and a Q8_0 candidate


def shared():
    """Fingerprints and a candidate, made once for all tests."""
    global SHARED
    if SHARED is None:
        SHARED = Build(tempfile.mkdtemp(prefix="quern-test-"))
        SHARED.fingerprint()
        SHARED.candidate("q8", "Q8_0", "rtn")
    return SHARED


def prepared(b):
    for role in BASE + ["cand/q8/model.gguf"]:
        b.copy(shared().path(role), role)


def put_suite(b, name, n, role=None):
    with open(os.path.join(TEST_DATA, "tasks", name + ".jsonl")) as f:
        lines = f.read().split("\n")[:n]
    role = role or f"suite/{name}.jsonl"
    b.put(role, "\n".join(lines) + "\n")
    return role


def evaluate_args(suite, model, role="task", gates=(), **sets):
    ins = [f"suite/{suite}.txt" if role == "perplexity"
           else f"suite/{suite}.jsonl"] + list(gates)
    srcs = None
    if model == "baseline" or role == "perplexity":
        ins += BASE
        srcs = {"base": MODEL}
    if model != "baseline":
        ins.append(f"cand/{model}/model.gguf")
    outs = [f"eval/{model}/{suite}.json"]
    if role != "perplexity":
        outs.append(f"eval/{model}/{suite}.jsonl")
    return dict(ins=ins, srcs=srcs, outs=outs, phase="ship",
                sets=dict({"model": model, "suite": suite, "role": role},
                          **sets))


def evaluate(b, suite, model, *, env=None, **rest):
    b.ok("evaluate", f"evaluate.{model}.{suite}", env=env,
         **evaluate_args(suite, model, **rest))
    return b.json(f"eval/{model}/{suite}.json")


def reference():
    with open(os.path.join(TEST_DATA, "ref.json")) as f:
        return json.load(f)


def baseline_and_candidate(b):
    """Both are scored, and say which model, program and arithmetic it was."""
    prepared(b)
    put_suite(b, "facts", 40)
    put_suite(b, "instructions", 20)
    out = {}
    for suite in "facts", "instructions":
        for model in "baseline", "q8":
            s = out[suite, model] = evaluate(b, suite, model)
            lines = [json.loads(x) for x in
                     b.read(f"eval/{model}/{suite}.jsonl").split(b"\n") if x]
            equal(len(lines), s["items"])
            equal(sum(x["score"] for x in lines) / len(lines), s["mean"])
            check(s["mean"] >= 0.9, s)
            equal((s["nonfinite"], s["cut"], s["used"]), (0, 0, True))
    base, cand = out["facts", "baseline"], out["facts", "q8"]
    equal((base["numeric"], cand["numeric"]), ("float32", "int8-block"))
    equal(base["engine"], cand["engine"])
    equal(base["suite_sha256"], cand["suite_sha256"])
    equal(base["model_sha256"], b.json("base/model.fp.json")["digest"])
    for x, y in zip(b.read("eval/baseline/facts.jsonl").split(b"\n"),
                    b.read("eval/q8/facts.jsonl").split(b"\n")):
        if x:
            x, y = json.loads(x), json.loads(y)
            equal([x[k] for k in ("id", "item", "prompt", "gold")],
                  [y[k] for k in ("id", "item", "prompt", "gold")])


def other_bits(b):
    """reproducible=false goes through OpenBLAS: nearly the same, and said so"""
    prepared(b)
    b.put("suite/perplexity.txt",
          open(os.path.join(DATA, "valid.txt")).read()[:6000])
    own = evaluate(b, "perplexity", "baseline", role="perplexity")
    record = b.read("att/evaluate.baseline.perplexity.dsse.json")
    check(b"OpenBLAS" not in base64.b64decode(json.loads(record)["payload"]))
    blas = evaluate(b, "perplexity", "baseline", role="perplexity",
                    reproducible="false")
    record = b.read("att/evaluate.baseline.perplexity.dsse.json")
    check(b"OpenBLAS" in base64.b64decode(json.loads(record)["payload"]))
    check(own["ppl"] != blas["ppl"], "OpenBLAS gave the very same sums")
    check(abs(own["ppl"] / blas["ppl"] - 1) < 1e-6, own["ppl"], blas["ppl"])


def threads(b):
    """The same bytes with one, two and three threads."""
    some = "13" if os.environ.get("QUERN_SANITIZED") else "123"
    prepared(b)
    put_suite(b, "instructions", 40)
    put_suite(b, "edge", 12)
    b.put("suite/perplexity.txt",
          open(os.path.join(DATA, "valid.txt")).read()[:6000])
    for model in "baseline", "q8":
        seen = set()
        for n in some:
            shutil.rmtree(b.path("eval"), ignore_errors=True)
            shutil.rmtree(b.path("att"), ignore_errors=True)
            for suite in "instructions", "edge":
                evaluate(b, suite, model, env={"QUERN_THREADS": n})
            evaluate(b, "perplexity", model, role="perplexity", window=256,
                     env={"QUERN_THREADS": n}, **{"kl-tokens": 512})
            seen.add(b"".join(b.read(f"eval/{model}/{f}") for f in (
                "instructions.jsonl", "instructions.json", "edge.jsonl",
                "perplexity.json")))
        equal(len(seen), 1, model)


def perplexity(b):
    """The reference's loss comes out; the candidate's is near, with a bound."""
    prepared(b)
    b.copy(os.path.join(DATA, "valid.txt"), "suite/perplexity.txt")
    args = {"role": "perplexity", "window": 512, "limit": 4096}
    base = evaluate(b, "perplexity", "baseline", **args)
    nll = base["nll"] * base["scored"]
    want = reference()["nll"]["nll"]
    check(abs(nll / want - 1) < 1e-4, nll, want)
    equal((base["scored"], len(base["per_window"]), base["kl"]),
          (4088, 8, None))
    cand = evaluate(b, "perplexity", "q8", **args, **{"kl-tokens": 2048})
    check(0 <= cand["kl"]["mean"] < 0.01, cand["kl"])
    check(cand["kl"]["same_top"] > 0.85, cand["kl"])
    equal(cand["kl"]["tokens"], 4 * 511)
    check(abs(cand["ln_ratio"]["value"]) < 0.01, cand["ln_ratio"])
    check(cand["ln_ratio"]["upper"] > cand["ln_ratio"]["value"], cand)
    return f"nll {nll:.4f}, reference {want:.4f}, relative " \
           f"{abs(nll / want - 1):.1e}"


def itself(b):
    """The baseline against itself: the same bytes but for its own name."""
    prepared(b)
    put_suite(b, "reasoning", 12)
    evaluate(b, "reasoning", "baseline")
    first = b.read("eval/baseline/reasoning.jsonl")
    shutil.rmtree(b.path("att"))
    shutil.rmtree(b.path("eval"))
    evaluate(b, "reasoning", "baseline")
    equal(b.read("eval/baseline/reasoning.jsonl") == first, True, "bytes")


def reserve(b):
    """A reserve is evaluated only when a first look could not decide."""
    prepared(b)
    put_suite(b, "facts", 8, "suite/reserve-facts.jsonl")
    for verdict, used in (("PASS", False), ("FAIL", False),
                          ("INCONCLUSIVE", True)):
        b.put("gate/q8.first.json",
              json.dumps({"candidate": "q8", "verdict": verdict}))
        b.put("gate/other.first.json",
              json.dumps({"candidate": "other", "verdict": "INCONCLUSIVE"}))
        s = evaluate(b, "reserve-facts", "q8", gates=["gate/q8.first.json"])
        equal(s["used"], used, verdict)
        s = evaluate(b, "reserve-facts", "baseline",
                     gates=["gate/q8.first.json"])
        equal(s["used"], used, verdict)
        s = evaluate(b, "reserve-facts", "baseline",
                     gates=["gate/q8.first.json", "gate/other.first.json"])
        equal(s["used"], True, verdict)


def refused(b):
    """Another checkpoint, a bad suite, no candidate: one line, no output."""
    prepared(b)
    put_suite(b, "facts", 4)
    b.own_model()
    path = os.path.join(b.model, "model.safetensors")
    with open(path, "r+b") as f:
        f.seek(-100, os.SEEK_END)
        f.write(b"\x01")
    args = evaluate_args("facts", "baseline")
    args["srcs"] = {"base": b.model}
    b.refused("evaluate", "e", "model.safetensors", **args)
    for wrong in {"role": "tasks"}, {"reproducible": "no"}:
        name, value = list(wrong.items())[0]
        status, said = b.run("evaluate", "e", **evaluate_args(
            "facts", "baseline", **wrong))
        equal(status, 2, said)
        check(f"{name}: '{value}' is" in said, said)
    b.put("suite/facts.jsonl", '{"id": "a"}\n')
    b.refused("evaluate", "e", "facts.jsonl:1: 'prompt' is missing",
              **evaluate_args("facts", "baseline"))
    put_suite(b, "facts", 4)
    b.put("cand/q8/model.gguf", b.read("cand/q8/model.gguf")[:100000])
    b.refused("evaluate", "e", "model.gguf", **evaluate_args("facts", "q8"))
    b.put("suite/perplexity.txt", "too short")
    b.refused("evaluate", "e", "perplexity needs 512",
              **evaluate_args("perplexity", "baseline", role="perplexity"))
    check(not os.path.exists(b.path("eval/baseline/facts.json")), "output")
    equal(step.leftovers(b.dir), [])


def benchmark(b):
    """Both models are measured in blocks, with ratio, memory and spread."""
    prepared(b)
    b.put("hardware.json", json.dumps({"digest": "ab" * 32}))
    b.ok("benchmark", "benchmark.q8", phase="ship",
         ins=BASE + ["cand/q8/model.gguf", "hardware.json"],
         srcs={"base": MODEL}, outs=["bench/q8.json"],
         sets={"candidate": "q8", "prefill": 64, "decode": 8, "blocks": 2})
    r = b.json("bench/q8.json")
    equal(r["order"], "ABBAABBA")
    equal(r["hardware"], "ab" * 32)
    equal(r["bytes"]["candidate"],
          os.path.getsize(b.path("cand/q8/model.gguf")))
    equal(r["bytes"]["baseline"],
          os.path.getsize(os.path.join(MODEL, "model.safetensors")))
    for what, tokens in (("prefill", 64), ("decode", 8)):
        v = r[what]
        equal(v["tokens"], tokens)
        equal([len(v[m]["samples"]) for m in ("baseline", "candidate")], [4, 4])
        check(v["ratio"]["lower"] <= v["ratio"]["value"] <=
              v["ratio"]["upper"], v["ratio"])
        check(all(x > 0 for x in v["candidate"]["samples"]), v)
    for m in "baseline", "candidate":
        check(1 << 20 < r["peak_bytes"][m] < 1 << 30, r["peak_bytes"])
        check(r["load_ms"][m] > 0, r["load_ms"])
    equal([(x["model_type"], x["n_prompt"], x["n_gen"])
           for x in r["llama_bench"]],
          [("baseline", 64, 0), ("baseline", 0, 8), ("candidate", 64, 0),
           ("candidate", 0, 8)])
    for x in r["llama_bench"]:
        check(math.isclose(x["avg_ts"], sum(x["samples_ts"]) / 4,
                           rel_tol=1e-9), x)
    b.put("cand/q8/model.gguf", b.read("cand/q8/model.gguf")[:100000])
    b.refused("benchmark", "benchmark.q8", "model.gguf", phase="ship",
              ins=BASE + ["cand/q8/model.gguf", "hardware.json"],
              srcs={"base": MODEL}, outs=["bench/q8.json"],
              sets={"candidate": "q8", "blocks": 1})


def command(name, *args):
    done = subprocess.run([os.path.join(BIN, "quern-" + name), *args],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True)
    return done.returncode, done.stdout, done.stderr


def looking(b):
    """perplexity, logits and generate give the reference's figures."""
    ref = reference()
    text = os.path.join(DATA, "valid.txt")
    status, out, err = command("perplexity", MODEL, text, "--ctx", "512",
                               "--limit", "4096", "--json")
    equal((status, err), (0, ""))
    want = ref["nll"]["nll"]
    check(abs(json.loads(out)["nll_sum"] / want - 1) < 1e-4, out)
    status, out, err = command("perplexity", shared().path(
        "cand/q8/model.gguf"), text, "--rule", "llama.cpp", "--limit", "1536",
        "--json")
    equal((status, json.loads(out)["scored"]), (0, 3 * 255))

    for one in ref["generations"]:
        status, out, err = command("generate", MODEL, "-p", one["prompt"],
                                   "-n", "12", "--ids")
        equal((status, err), (0, ""))
        got, want = json.loads(out), one["ids"][:12]
        if 1 in want:  # eos
            want = want[:want.index(1)]
        if min(one["margin"][:12]) > 1e-3:
            equal(got, want, one["prompt"][:40])
    ids = ref["prompts"][0]["ids"][:8]
    path = os.path.join(b.top, "l.safetensors")
    status, out, err = command("logits", MODEL, "--tokens",
                               ",".join(map(str, ids)), "-o", path)
    equal((status, out, err), (0, "", ""))
    header, _ = step.safetensors_header(path)
    equal(header["logits"]["shape"], [8, 2048])
    got = step.safetensors_values(path, "logits")
    check(all(math.isfinite(x) for x in got), "finite")
    for name, args in (("logits", [MODEL]), ("perplexity", [MODEL]),
                       ("generate", []), ("generate", [MODEL, "-n", "x"]),
                       ("perplexity", [MODEL, text, "--rule", "x"])):
        equal(command(name, *args)[0], 2, name)
    status, out, err = command("logits", MODEL, "-t", "1,x", "-o", path)
    equal((status, err), (2, "quern-logits: --tokens: 'x' is no token id; "
                             "write whole numbers with commas between\n"))
    status, out, err = command("generate", b.top, "-p", "x")
    equal((status, err.count("\n")), (1, 1))


if __name__ == "__main__":
    try:
        main([baseline_and_candidate, other_bits, threads, perplexity, itself, reserve,
              refused, benchmark, looking])
    finally:
        if SHARED is not None:
            shutil.rmtree(SHARED.top)
