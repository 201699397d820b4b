#!/usr/bin/env python3
"""An edit re-runs exactly the stages that it touches.

Each row of the table edits one thing in a project that is up to date and names
the stages that must do their work again, no more and no fewer.
"""
import os

from project import Project, equal, main, settle

SUITES = ["facts", "reasoning", "instructions", "retrieval", "edge"]
EVALUATE = {"facts": "evaluate", "reasoning": "evaluate",
            "instructions": "stress", "retrieval": "stress",
            "edge": "stress"}


def evaluations(model, reserve=True):
    found = {f"{EVALUATE[s]}.{model}.{s}" for s in SUITES}
    found.add(f"evaluate.{model}.perplexity")
    if reserve:
        found.add(f"evaluate.{model}.reserve-facts")
    return found


END = {"choose", "report", "release"}
GATES = {"gate.q4k", "gate.q4k.first", "gate.q8", "gate.q8.first"}
RESERVES = {f"evaluate.{m}.reserve-facts" for m in ("baseline", "q4k", "q8")}
LAYERS = ["l000", "l001"]
JUDGE_Q4K = evaluations("q4k") | {"benchmark.q4k", "gate.q4k",
                                  "gate.q4k.first",
                                  "evaluate.baseline.reserve-facts",
                                  # both firsts feed the baseline's reserve
                                  "gate.q8"}
Q4K = {f"quantize.q4k.{p}" for p in LAYERS + ["head"]} | {"assemble.q4k"} \
    | JUDGE_Q4K
Q8 = {f"quantize.q8.{p}" for p in LAYERS + ["head"]} | {"assemble.q8"}


def policy(old, new):
    return lambda p: p.edit(old, new)


def data(name):
    def change(p):
        settle()
        p.put("data/" + name, "something else\n")
    return change


def program(name):
    def change(p):
        settle()
        with open(os.path.join(p.bin, "quern-" + name), "ab") as f:
            f.write(b"\n")
    return change


TABLE = [
    ("a comment in the policy", policy("candidates:\n", "# hm\ncandidates:\n"),
     END),
    ("the title of the report", policy("profile: production",
                                       "profile: production\ntitle: T"),
     END),
    ("the pooled drop", policy("pooled-drop: 2", "pooled-drop: 3"),
     GATES | RESERVES | END),
    ("the target of the bottleneck", policy("relative: 0.6", "relative: 0.7"),
     GATES | RESERVES | END),
    ("the bottleneck", policy("what: memory", "what: throughput"),
     GATES | RESERVES | END),
    ("one candidate's embedding type",
     policy("token_embd: Q6_K", "token_embd: Q8_0"),
     {"quantize.q4k.head", "assemble.q4k"} | JUDGE_Q4K | END),
    ("one candidate's layer type",
     policy("tensors: {token_embd: Q6_K}",
            "tensors: {token_embd: Q6_K, attn_v: Q6_K}"),
     {f"quantize.q4k.{p}" for p in LAYERS} | {"assemble.q4k"} | JUDGE_Q4K
     | END),
    ("one candidate's method", policy("use: imatrix", "use: awq"), Q4K | END),
    ("the license on the model card",
     policy("license: apache-2.0", "license: mit"),
     {"assemble.q4k", "assemble.q8", "benchmark.q4k", "benchmark.q8"}
     | evaluations("q4k") | evaluations("q8") | GATES | RESERVES | END),
    ("the calibration seed", policy("count: 128,", "count: 128, seed: 2,"),
     {"corpus", "calibrate", "gate.q8"} | Q4K | END),
    ("a line of calibration data", data("calibration.jsonl"),
     {"corpus", "calibrate", "gate.q8"} | Q4K | END),
    ("production traffic", data("traffic.jsonl"),
     {"corpus", "calibrate", "gate.q8"} | Q4K | END),
    ("an item of one suite", data("edge.jsonl"),
     {f"stress.{m}.edge" for m in ("baseline", "q4k", "q8")}
     | {"corpus", "calibrate"} | Q4K | GATES | RESERVES | END),
    ("the reserve of one suite", data("facts-more.jsonl"),
     RESERVES | {"corpus", "calibrate"} | Q4K | {"gate.q8"} | END),
    ("the perplexity text", data("valid.txt"),
     {f"evaluate.{m}.perplexity" for m in ("baseline", "q4k", "q8")}
     | GATES | RESERVES | END),
    ("the benchmark's length", policy("hardware: here",
                                      "hardware: here, decode: 64"),
     {"benchmark.q4k", "benchmark.q8", "gate.q4k", "gate.q8"} | END),
    # same figures, but other records: only the release reads those
    ("the gate's program", program("gate"), GATES | {"release"}),
    ("another candidate",
     policy("candidates:\n", "candidates:\n  - {name: q4, type: Q4_0, method: "
            "rtn, because: a test}\n"), None),
    ("a longer answer for one suite",
     policy("data: data/edge.jsonl,", "data: data/edge.jsonl, max-tokens: 9,"),
     {f"stress.{m}.edge" for m in ("baseline", "q4k", "q8")}
     | GATES | RESERVES | END),
]


def every_edit(top):
    """each of the edits of the table re-runs exactly its stages"""
    p = Project(top)
    p.gen()
    p.ninja()
    policy_text = p.get("policy.yaml")
    for name, change, want in TABLE:
        change(p)
        ran, _ = p.ninja()
        if want is None:
            want = {i for i in ran if ".q4." in i or i.endswith(".q4")}
            made = {"quantize.q4.l000", "quantize.q4.l001",
                    "quantize.q4.head", "assemble.q4"}
            equal(made - ran, set(), name + " is made")
            # every gate: the error rate is split over one more
            want |= GATES | RESERVES | END
        equal(ran, want, name)
        again, _ = p.ninja()
        equal(again, set(), name + ", again")
        settle()
        p.put("policy.yaml", policy_text)
        p.ninja()


if __name__ == "__main__":
    main([every_edit])
