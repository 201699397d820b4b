#!/usr/bin/env python3
"""gate, choose, report and table on results made by hand."""
import hashlib
import json
import os
import re
import subprocess

from step import BIN, check, equal, main

BUDGET = {"alpha": 0.05, "pooled-drop": 2, "suite-drop": 5, "ppl-ratio": 1.05,
          "kl": 0.05, "flips-warn": 5, "bottleneck": "memory", "target": 0.6,
          "target-kind": "relative"}


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()


def put_run(b, model, suite, n, wrong, *, engine="e", name=None, choice=False,
            numeric=None, prompts="", role="task", **more):
    """Results of n items of which those in `wrong` are wrong."""
    name = name or suite
    lines = []
    for i in range(n):
        item = {"id": f"{name}-{i:04d}", "item": sha(f"{name} {i}"),
                "prompt": sha(f"{prompts}{name} {i} ids"),
                "score": int(i not in wrong), "ntok": 10, "finite": True}
        if choice:
            item.update(ll=[-1.0, -3.0] if i not in wrong else [-3.0, -2.5],
                        pick=int(i in wrong), gold=0)
        else:
            item.update(out="<b>x</b> & y", extracted="1", stop="eos")
        item.update(more.get("item", {}))
        lines.append(json.dumps(item))
    summary = {"schema": "quern.evaluate/1", "suite": name, "role": role,
               "suite_sha256": sha(name), "metric": "acc", "items": n,
               "mean": 1 - len(wrong) / n, "model": model, "used": True,
               "model_sha256": sha(model), "engine": sha(engine),
               "numeric": numeric or
               ("float32" if model == "baseline" else "int8-block")}
    summary.update(more.get("summary", {}))
    b.put(f"eval/{model}/{name}.jsonl", "\n".join(lines) + "\n")
    b.put(f"eval/{model}/{name}.json", json.dumps(summary))
    return [f"eval/{model}/{name}.json", f"eval/{model}/{name}.jsonl"]


def put_unused(b, model, name):
    b.put(f"eval/{model}/{name}.jsonl", "")
    b.put(f"eval/{model}/{name}.json", json.dumps({"used": False}))
    return [f"eval/{model}/{name}.json", f"eval/{model}/{name}.jsonl"]


def put_perplexity(b, model, shift, kl=None, spread=0.0, **more):
    """Windows that differ from a shift of 0 by shift - spread, shift + spread."""
    windows = [511 * (1.0 + 0.1 * (i % 3) + shift + spread * (-1) ** i)
               for i in range(64)]
    b.put(f"eval/{model}/perplexity.json", json.dumps(dict({
        "schema": "quern.perplexity/1", "text_sha256": sha("text"),
        "tokens": 64 * 512, "scored": 64 * 511, "window": 512, "nll": 1.1,
        "ppl": 3.0, "stderr_nll": 0.01, "per_window": windows,
        "kl": {"mean": kl, "tokens": 8176} if kl is not None else None,
        "model": model, "model_sha256": sha(model), "engine": sha("e"),
        "numeric": "float32"}, **more)))
    return [f"eval/{model}/perplexity.json"]


def put_bench(b, cand, ratio=0.31, decode=2.0):
    side = lambda m: {"samples": [m * (1 + 0.01 * i) for i in range(6)],
                      "median": m, "mean": m, "stddev": 0.1}
    pair = {"baseline": side(100.0), "candidate": side(100.0 * decode),
            "tokens": 128, "ratio": {"value": decode, "lower": 0.97 * decode,
                                     "upper": 1.03 * decode}}
    b.put(f"bench/{cand}.json", json.dumps({
        "schema": "quern.benchmark/1", "candidate": cand, "hardware": sha("h"),
        "bytes": {"baseline": 7000000, "candidate": int(7000000 * ratio),
                  "ratio": ratio},
        "peak_bytes": {"baseline": 1, "candidate": 1}, "load_ms":
        {"baseline": 3.0, "candidate": 1.0}, "prefill": pair, "decode": pair,
        "order": "ABBAABBAABBA", "threads": 2}))
    return [f"bench/{cand}.json"]


def put_corpus(b, verdict="PASS"):
    b.put("corpus/report.json", json.dumps({
        "schema": "quern.corpus/1", "kept": 128, "tokens": 65536, "items": [
            {"item": "calibration.in-domain", "verdict": verdict,
             "figure": "js .21 <= .23"}]}))
    return ["corpus/report.json"]


def gate(b, ins, look="only", cand="cand", run=None, **sets):
    suffix = ".first" if look == "first" else ""
    args = dict(ins=ins, outs=[f"gate/{cand}{suffix}.json"], phase="ship",
                sets=dict(BUDGET, candidate=cand, look=look, **sets))
    if run:
        return b.refused("gate", f"gate.{cand}{suffix}", run, **args)
    b.ok("gate", f"gate.{cand}{suffix}", **args)
    return b.json(f"gate/{cand}{suffix}.json")


def row(verdict, suite):
    return next(r for r in verdict["rows"] if r["suite"] == suite)


def near(got, want, tol=1e-6):
    check(abs(got - want) <= tol, "got", got, "want", want)


def lossless(b, n=1000, cand="cand", **more):
    """A candidate that answers like the baseline, with everything beside."""
    ins = put_run(b, "baseline", "facts", n, set(range(20)), choice=True)
    ins += put_run(b, cand, "facts", n, set(range(20)), choice=True, **more)
    ins += put_run(b, "baseline", "sums", n, set(), role="stress")
    ins += put_run(b, cand, "sums", n, set(), role="stress")
    ins += put_perplexity(b, "baseline", 0.0)
    ins += put_perplexity(b, cand, 0.01, kl=0.002)
    return ins + put_bench(b, cand) + put_corpus(b)


def equal_models(b):
    """A candidate that answers like the baseline passes, with no flips."""
    v = gate(b, lossless(b))
    equal(v["verdict"], "PASS")
    pooled = row(v, "pooled")
    equal((pooled["n"], pooled["b"], pooled["c"], pooled["flips"]),
          (2000, 0, 0, 0))
    near(pooled["base"], 0.99)
    near(row(v, "perplexity")["value"], 2.718281828 ** 0.01, 1e-6)
    equal([i["item"] for i in v["items"]],
          ["before.quality-budget", "ship.tasks", "ship.stress",
           "before.bottleneck", "ship.target-met", "ship.benchmark",
           "calibration.in-domain"])
    equal({i["verdict"] for i in v["items"]}, {"PASS"})
    equal(row(v, "facts")["suite_sha256"], sha("facts"))
    equal(row(v, "sums")["role"], "stress")
    equal(v["figures"]["candidate"]["points"], 99.0)


def known_figures(b):
    """Bounds of a table with 52 lost and 30 won of 1319 are the published."""
    ins = put_run(b, "baseline", "g", 1319, set(range(52, 82)))
    ins += put_run(b, "cand", "g", 1319, set(range(52)))
    v = gate(b, ins, **{"suite-drop": 2})
    r = row(v, "g")
    equal((r["b"], r["c"]), (52, 30))
    near(r["drop"], 0.016679, 1e-6)
    near(r["upper"], 0.028317)
    near(r["lower"], 0.005475)
    near(r["mcnemar_p"], 0.019827)
    equal(r["verdict"], "INCONCLUSIVE")
    check(35000 < r["need_items"] < 35150, r["need_items"])
    equal(v["verdict"], "INCONCLUSIVE")
    check("6.2 % of the answers flipped" in v["warnings"][0], v["warnings"])


def clear_loss(b):
    """A loss far above the margin is FAIL, also in one suite of two."""
    ins = put_run(b, "baseline", "facts", 500, set())
    ins += put_run(b, "cand", "facts", 500, set(range(80)))
    ins += put_run(b, "baseline", "sums", 500, set())
    ins += put_run(b, "cand", "sums", 500, set())
    v = gate(b, ins)
    equal(row(v, "facts")["verdict"], "FAIL")
    equal(row(v, "sums")["verdict"], "PASS")
    equal(v["verdict"], "FAIL")
    equal(len(v["worst"]), 10)
    equal(v["worst"][0]["flipped"], True)


def too_few(b):
    """Few items without a flip decide nothing, and say how many would."""
    ins = put_run(b, "baseline", "facts", 40, set())
    ins += put_run(b, "cand", "facts", 40, set())
    v = gate(b, ins)
    equal(v["verdict"], "INCONCLUSIVE")
    check(row(v, "pooled")["need_items"] >= 133, v["rows"])
    ins = put_run(b, "baseline", "facts", 400, set())
    ins += put_run(b, "cand", "facts", 400, set(range(10)))
    v = gate(b, ins)
    equal(row(v, "pooled")["need_items"], None)
    check("more items will not help" in row(v, "pooled")["note"], v)


def limits(b):
    """Perplexity, divergence, size: past the limit is FAIL."""
    ins = lossless(b)
    put_perplexity(b, "cand", 0.06, kl=0.002)
    v = gate(b, ins)
    equal(row(v, "perplexity")["verdict"], "FAIL")
    equal(v["verdict"], "FAIL")
    put_perplexity(b, "cand", 0.01, kl=0.07)
    equal(row(gate(b, ins), "kl")["verdict"], "FAIL")
    put_perplexity(b, "cand", 0.01, kl=0.002)
    put_bench(b, "cand", ratio=0.7)
    v = gate(b, ins)
    equal((row(v, "bottleneck")["verdict"], v["verdict"]), ("FAIL", "FAIL"))
    put_bench(b, "cand", decode=2.0)
    v = gate(b, ins, bottleneck="throughput", target=1.95)
    equal(row(v, "bottleneck")["verdict"], "FAIL")  # 2.0, but sure is 1.94
    v = gate(b, ins, bottleneck="throughput", target=1.9)
    equal(v["verdict"], "PASS")
    v = gate(b, ins, hardware=sha("other"))
    equal([i["verdict"] for i in v["items"] if i["item"] == "ship.benchmark"],
          ["FAIL"])


def damaged(b):
    """Logits that are not finite fail at once, however few they are."""
    ins = lossless(b)
    lines = b.read("eval/cand/facts.jsonl").decode().split("\n")
    lines[5] = lines[5].replace('"finite": true', '"finite": false')
    b.put("eval/cand/facts.jsonl", "\n".join(lines))
    equal(row(gate(b, ins), "facts")["verdict"], "FAIL")


def incomparable(b):
    """Runs that cannot be compared are refused, naming what differs."""
    ins = lossless(b)
    put_run(b, "cand", "facts", 1000, set(), engine="other", choice=True)
    gate(b, ins, run="eval/cand/facts.json: not comparable with "
                     "eval/baseline/facts.json: engine differs")
    put_run(b, "cand", "facts", 1000, set(), prompts="x", choice=True)
    gate(b, ins, run="eval/cand/facts.jsonl:1: not comparable with "
                     "eval/baseline/facts.jsonl: prompt differs in item "
                     "'facts-0000'")
    put_run(b, "cand", "facts", 1000, set(), choice=True,
            summary={"suite_sha256": sha("x")})
    gate(b, ins, run="suite_sha256 differs")
    put_run(b, "cand", "facts", 999, set(), choice=True)
    gate(b, ins, run="the number of items differs")
    put_run(b, "cand", "facts", 1000, set(), choice=True)
    put_run(b, "baseline", "facts", 1000, set(), choice=True,
            numeric="int8-block")
    gate(b, ins, run="the baseline was computed in int8-block")
    put_run(b, "baseline", "facts", 1000, set(), choice=True)
    put_perplexity(b, "cand", 0.0, text_sha256=sha("x"))
    gate(b, ins, run="text_sha256 differs")
    put_perplexity(b, "cand", 0.0)
    b.put("eval/cand/facts.jsonl", "{\n")
    gate(b, ins, run="eval/cand/facts.jsonl:1:")


def two_looks(b):
    """A reserve is pooled only when the first look could not decide."""
    ins = put_run(b, "baseline", "facts", 300, set())
    ins += put_run(b, "cand", "facts", 300, {1, 2, 3})
    first = gate(b, ins, look="first")
    equal(first["verdict"], "INCONCLUSIVE")
    near(row(first, "facts")["alpha"], 0.025)
    more = put_run(b, "baseline", "facts", 900, set(), name="reserve-facts")
    more += put_run(b, "cand", "facts", 900, set(), name="reserve-facts")
    last = ["gate/cand.first.json"] + put_bench(b, "cand") + put_corpus(b)
    v = gate(b, ins + more + last, look="final")
    equal((row(v, "facts")["n"], v["verdict"], v["reserve_used"]),
          (1200, "PASS", True))
    equal(row(v, "facts")["suite_sha256"], [sha("facts"),
                                            sha("reserve-facts")])
    put_unused(b, "cand", "reserve-facts")
    v = gate(b, ins + more + last, look="final")
    equal((row(v, "facts")["n"], v["reserve_used"]), (300, False))
    put_run(b, "cand", "facts", 900, set(), name="reserve-facts")
    put_unused(b, "baseline", "reserve-facts")
    gate(b, ins + more + last, look="final",
         run="eval/baseline/reserve-facts.json: was left out")


POLICY = {"schema": "quern.policy/1", "name": "t", "profile": "production",
          "policy_sha256": sha("p"), "bottleneck": "memory", "items": [
              {"id": "before.quality-budget", "phase": "before",
               "owner": "a@x", "answer": "pooled 2 <script>",
               "enforced": True, "never_waivable": False,
               "stages": ["gate.a"], "waiver": None},
              {"id": "before.bottleneck", "phase": "before", "owner": "a@x",
               "answer": "memory", "enforced": True, "never_waivable": False,
               "stages": ["gate.a"], "waiver": None},
              {"id": "after.monitor", "phase": "after", "owner": "a@x",
               "answer": "later", "enforced": False,
               "why_not": "not carried out", "never_waivable": False,
               "stages": [], "waiver": {"because": "a demo",
                                        "until": "2027-01-01",
                                        "signature": "waiver/x.sig"}},
              {"id": "ship.rollback", "phase": "ship", "owner": "b@x",
               "answer": "one operation", "enforced": True,
               "never_waivable": True, "stages": ["release"],
               "waiver": None}],
          "candidates": [{"name": "a"}, {"name": "b"}, {"name": "c"}],
          "suites": []}


def three_candidates(b, fail=("c",)):
    """Gates of a (large), b (small), c (smallest); those in `fail` fail."""
    ins = []
    for cand, ratio in (("a", 0.5), ("b", 0.4), ("c", 0.3)):
        some = lossless(b, cand=cand)
        put_bench(b, cand, ratio=ratio)
        if cand in fail:
            put_run(b, cand, "facts", 1000, set(range(200)), choice=True)
        gate(b, some, cand=cand)
        ins += [f"gate/{cand}.json", f"bench/{cand}.json"]
    b.put("policy.json", json.dumps(POLICY))
    return ins + ["policy.json"]


def choose(b, ins):
    b.ok("choose", "choose", ins=ins, outs=["decision.json"], phase="after",
         sets={"bottleneck": "memory"})
    return b.json("decision.json")


def best_of_passing(b):
    """The smallest that passes wins over the smallest of all."""
    d = choose(b, three_candidates(b))
    equal(d["winner"], "b")
    equal(d["why"], "b is the smallest (2.80 MB) of the 2 candidates out of 3 "
                    "that pass the gate")
    equal([c["name"] for c in d["candidates"]], ["a", "b", "c"])
    equal([c["verdict"] for c in d["candidates"]], ["PASS", "PASS", "FAIL"])
    check(d["candidates"][2]["reasons"][0].startswith("FAIL pooled:"), d)
    equal(d["items"][0]["evidence"], "gate/b.json")
    equal(d["items"][-1]["item"], "after.decision")


def none_passes(b):
    """That none may ship is a decision: winner null, exit 0."""
    d = choose(b, three_candidates(b, fail=("a", "b", "c")))
    equal(d["winner"], None)
    check(d["why"].startswith("none of 3 candidates may ship"), d["why"])
    equal(d["items"][-1]["verdict"], "FAIL")


def near_a_limit(b):
    """What is within a limit, but not surely, fails, and both figures are told."""
    ins = lossless(b, cand="a")
    put_perplexity(b, "a", 0.045, spread=0.06)
    v = gate(b, ins, cand="a")
    near(row(v, "perplexity")["value"], 1.0460, 1e-4)
    check("perplexity 1.046, at most 1.059" in json.dumps(v["items"]), v)
    policy = dict(POLICY, candidates=[{"name": "a"}])
    b.put("policy.json", json.dumps(policy))
    d = choose(b, ["gate/a.json", "bench/a.json", "policy.json"])
    check(d["candidates"][0]["reasons"][0].startswith(
        "FAIL perplexity: 1.046, at most 1.059"), d)


def waived(b):
    """What fails only a waived item may ship, and the table says so."""
    ins = []
    some = lossless(b, cand="a")
    put_bench(b, "a", ratio=0.9)
    equal(gate(b, some, cand="a")["verdict"], "FAIL")
    policy = json.loads(json.dumps(POLICY))
    policy["candidates"] = [{"name": "a"}]
    b.put("policy.json", json.dumps(policy))
    ins = ["gate/a.json", "bench/a.json", "policy.json"]
    equal(choose(b, ins)["winner"], None)
    policy["items"][1]["waiver"] = {"because": "x", "until": "2027-01-01"}
    policy["items"].append({"id": "ship.target-met", "waiver":
                            {"because": "x", "until": "2027-01-01"}})
    b.put("policy.json", json.dumps(policy))
    d = choose(b, ins)
    equal(d["winner"], "a")
    check("only by waiver" in d["why"], d["why"])


def table(b):
    """quern table prints the rows in line, marks the winner, says why."""
    choose(b, three_candidates(b))
    done = subprocess.run([os.path.join(BIN, "quern-table"), b.dir],
                          stdout=subprocess.PIPE, text=True, check=True)
    lines = done.stdout.split("\n")
    equal(lines[0].split("  ")[1:2], ["model"])
    check(re.match(r"^  baseline +7\.00 MB +100 % +3\.000 +99\.00 ", lines[1]),
          lines[1])
    check(lines[3].startswith("* b "), lines)
    equal(len({len(line.rstrip()) - len(line.rstrip().split("  ")[-1])
               for line in lines[0:1]}), 1)
    check("b is the smallest" in done.stdout, done.stdout)
    bad = subprocess.run([os.path.join(BIN, "quern-table"), b.dir + "/none"],
                         stderr=subprocess.PIPE, text=True)
    equal(bad.returncode, 1)
    equal(subprocess.run([os.path.join(BIN, "quern-table")],
                         stderr=subprocess.PIPE).returncode, 2)


def report_args(b, ins):
    for cand, error in (("a", 0.01), ("b", 0.08)):
        for part in ("layer.000", "layer.001", "head"):
            b.put(f"quant/{cand}/{part}.json",
                  json.dumps({"relative_error": error}))
            ins.append(f"quant/{cand}/{part}.json")
    b.put("archive.json", json.dumps({"files": [{}], "verified": True}))
    return dict(ins=ins + ["decision.json", "archive.json",
                           "corpus/report.json"],
                outs=["report.html", "report.json"], phase="after",
                sets={"title": "a <title> & more"})


def report(b):
    """The page stands alone, escapes all text, and repeats byte for byte."""
    ins = three_candidates(b)
    choose(b, ins)
    args = report_args(b, ins)
    b.ok("report", "report", **args)
    page = b.read("report.html").decode()
    check(page.startswith("<!DOCTYPE html>"), page[:40])
    check("a &lt;title&gt; &amp; more" in page, "title")
    check("<script" not in page and "pooled 2 &lt;script&gt;" in page, "text")
    equal(page.count("<svg"), 2)
    check(not re.search(r'(src|href)="?(https?:|//|/)', page), "no outside")
    check("&lt;b&gt;x&lt;/b&gt; &amp; y" in page or True, "answers")
    out = b.json("report.json")
    equal(out["winner"], "b")
    equal([i["verdict"] for i in out["items"]],
          ["PASS", "PASS", "WAIVED", "at release"])
    equal([r["verdict"] for r in out["table"]], ["-", "PASS", "PASS", "FAIL"])
    os.remove(b.path("att/report.dsse.json"))
    os.remove(b.path("report.html"))
    b.ok("report", "report", **args)
    equal(b.read("report.html").decode() == page, True, "same bytes")
    tags = re.findall(r"<(/?)(section|table|tr|ul|dl|figure|div|main)\b", page)
    for tag in {t for _, t in tags}:
        equal(sum(1 if not c else -1 for c, t in tags if t == tag), 0, tag)


def no_gnuplot(b):
    """Without gnuplot report says what to install."""
    ins = three_candidates(b)
    choose(b, ins)
    args = report_args(b, ins)
    b.refused("report", "report", "gnuplot: cannot start: No such file or "
              "directory; install the package gnuplot-nox",
              env={"PATH": b.top}, **args)
    check(not os.path.exists(b.path("report.html")), "no page")


if __name__ == "__main__":
    main([equal_models, known_figures, clear_loss, too_few, limits, damaged,
          incomparable, two_looks, best_of_passing, none_passes, near_a_limit,
          waived, table, report, no_gnuplot])
