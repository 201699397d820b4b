#!/usr/bin/env python3
"""The corpus step on pebble's calibration pool."""
import json
import os
import unicodedata

import step
from step import check, equal

POOL = os.path.join(step.DATA, "calib_pool.jsonl")
GENERIC = os.path.join(step.TEST_DATA, "generic.jsonl")
SHIFTED = os.path.join(step.DATA, "traffic_shifted.jsonl")
FACTS = os.path.join(step.DATA, "suites", "facts.jsonl")


def ready(b):
    b.fingerprint()
    b.traffic()
    return b


def verdicts(b):
    return {i["item"]: i["verdict"] for i in b.json("corpus/report.json")
            ["items"]}


def suites(b):
    roles = []
    for folder, prefix in (("suites", ""), ("reserve", "reserve-")):
        for name in sorted(os.listdir(os.path.join(step.DATA, folder))):
            roles.append(f"suite/{prefix}{name}")
            b.copy(os.path.join(step.DATA, folder, name), roles[-1])
    return roles


def in_domain(b):
    """the calibration pool passes against production"""
    ready(b).corpus(suites=suites(b))
    equal(set(verdicts(b).values()), {"PASS"})
    d = b.json("corpus/report.json")["in_domain"]
    return f"js {d['value']:.4f}, null mean {d['null_mean']:.4f}, " \
           f"limit {d['null_q99']:.4f}"


def generic(b):
    """texts of other kinds fail, and the report says by which tokens"""
    ready(b).corpus(GENERIC)
    equal(verdicts(b)["calibration.in-domain"], "FAIL")
    d = b.json("corpus/report.json")["in_domain"]
    equal(len(d["top_tokens"]), 10)
    check(d["value"] > 2 * d["null_q99"], d["value"], d["null_q99"])
    return f"js {d['value']:.4f}, limit {d['null_q99']:.4f}"


def shifted(b):
    """the same words in another mix of topics fail"""
    ready(b).corpus(SHIFTED)
    equal(verdicts(b)["calibration.in-domain"], "FAIL")


def tokens(b):
    """the token file holds the windows that the report lists"""
    ready(b).corpus()
    r = b.json("corpus/report.json")
    path = b.path("corpus/tokens.safetensors")
    offsets = step.safetensors_values(path, "offsets")
    ids = step.safetensors_values(path, "ids")
    equal([offsets[i + 1] - offsets[i] for i in range(len(offsets) - 1)],
          [d["tokens"] for d in r["documents"]])
    equal([r["kept"], r["tokens"]], [128, len(ids)])
    check(0 <= min(ids) and max(ids) < 2048, "ids")
    # a document that was not cut starts with bos
    for i, d in enumerate(r["documents"]):
        check(d["cut"] or ids[offsets[i]] == 0, d["id"], "lacks bos")


def giants(b):
    """no window passes 512 tokens or its share of all"""
    ready(b).corpus(count=200)
    r = b.json("corpus/report.json")
    most = max(d["tokens"] for d in r["documents"])
    check(most <= 512 and most <= 0.02 * r["tokens"], most, r["tokens"])
    with open(POOL) as f:
        giant = {o["id"] for o in map(json.loads, f) if len(o["text"]) > 60000}
    equal(len(giant), 3)
    check(any(d["cut"] for d in r["documents"]), "nothing was cut")


def share(b):
    """too few documents for the largest share is a FAIL, not silence"""
    ready(b).corpus(count=40)
    equal(verdicts(b)["calibration.no-duplicates"], "FAIL")


def duplicates(b):
    """copies in another case or form are exact duplicates, near ones are near"""
    text = "The caf\u00e9 at the old harbour opens at nine and the baker " \
        "brings warm bread to every table before the first boats come home " \
        "from the sea with their nets full of small silver fish"
    docs = [text, "  " + text.upper().replace(" ", "  ") + "\n",
            unicodedata.normalize("NFD", text),
            text.replace("silver", "grey")]
    with open(POOL) as f:
        pool = [json.loads(line) for line in f]
    lines = [{"id": f"copy-{i}", "text": t} for i, t in enumerate(docs)]
    b.put("pool.jsonl", "".join(json.dumps(o) + "\n" for o in lines + pool))
    ready(b).corpus(b.path("pool.jsonl"), **{"count": 400, "min-count": 100})
    dropped = {d["id"]: (d["why"], d.get("of"))
               for d in b.json("corpus/report.json")["dropped_documents"]}
    mine = sorted(dropped[k][0] for k in dropped if k.startswith("copy-"))
    equal(mine, ["exact-duplicate", "exact-duplicate", "near-duplicate"])
    exact = [k for k, v in dropped.items() if v[0] == "exact-duplicate"]
    check(len(exact) >= 42, len(exact), "exact duplicates")


def overlap(b):
    """a document that gives a suite's prompt away is dropped and listed"""
    with open(FACTS) as f:
        prompts = [json.loads(line)["prompt"] for line in f][:20]
    long_one = [p for p in prompts if len(p) > 50][:3]
    with open(POOL) as f:
        pool = f.read()
    planted = "".join(json.dumps({"id": f"planted-{i}", "text":
                                  "A page of notes. " + p + " yes"}) + "\n"
                      for i, p in enumerate(long_one))
    b.put("pool.jsonl", planted + pool)
    roles = suites(b)
    ready(b).corpus(b.path("pool.jsonl"), suites=roles,
                    **{"count": 500, "min-count": 100})
    why = {d["id"]: d["why"] for d in
           b.json("corpus/report.json")["dropped_documents"]}
    for i in range(len(long_one)):
        equal(why.get(f"planted-{i}"), "overlap", f"planted-{i}")
    kept = b.json("corpus/report.json")["kept"]
    check(kept > 350, "stock phrases cost too many documents:", kept)
    return f"{sum(v == 'overlap' for v in why.values())} of 603 dropped"


def seeds(b):
    """the same seed gives the same bytes, another one another choice"""
    ready(b).corpus()
    first = b.read("corpus/tokens.safetensors"), b.read("corpus/report.json")
    for f in ("corpus/tokens.safetensors", "corpus/report.json"):
        os.remove(b.path(f))
    b.corpus()
    equal((b.read("corpus/tokens.safetensors"),
           b.read("corpus/report.json")) == first, True)
    b.corpus(seed=2)
    check(b.read("corpus/tokens.safetensors") != first[0], "the same choice")


def too_few(b):
    """fewer documents than asked for is an error that says where they went"""
    ready(b)
    b.copy(POOL, "data/calibration.jsonl")
    err = b.refused("corpus", "corpus", "documents are left, 560 are needed",
                    **b.corpus_args(count=560))
    check("exact duplicates" in err and "give more documents" in err, err)
    check(not os.path.exists(b.path("corpus/report.json")), "no output")


def bad_files(b):
    """empty file, a line that is not JSON, no text: one line with the place"""
    ready(b)
    path = b.put("data/calibration.jsonl", "")
    b.refused("corpus", "corpus", f"{path}: holds no documents",
              **b.corpus_args())
    for bad in ("not json", "[1, 2]", '{"id": "a"}', '{"text": 7}',
                '{"text": "\\ud800"}', '{"text": "a", "text": "b"}'):
        b.put("data/calibration.jsonl", '{"text": "fine"}\n' + bad + "\n")
        b.refused("corpus", "corpus", f"{path}:2", **b.corpus_args())
    b.put("data/calibration.jsonl", b'{"text": "fine"}\n{"text": "\xff"}\n')
    b.refused("corpus", "corpus", f"{path}:2", **b.corpus_args())
    equal(step.leftovers(b.dir), [])


def unknown_tokenizer(b):
    """a tokenizer that quern does not know is refused by name"""
    path = os.path.join(b.own_model(), "tokenizer.json")
    with open(path) as f:
        o = json.load(f)
    o["model"]["type"] = "Unigram"
    with open(path, "w") as f:
        json.dump(o, f)
    b.fingerprint()
    b.refused("traffic", "traffic", "Unigram", **b.traffic_args())


def changed_tokenizer(b):
    """a tokenizer that changed after the fingerprint is refused"""
    b.own_model()
    ready(b)
    b.copy(POOL, "data/calibration.jsonl")
    with open(os.path.join(b.model, "tokenizer.json"), "a") as f:
        f.write("\n")
    b.refused("corpus", "corpus", "has changed since", **b.corpus_args())


if __name__ == "__main__":
    step.main([in_domain, generic, shifted, tokens, giants, share, duplicates,
               overlap, seeds, too_few, bad_files, unknown_tokenizer,
               changed_tokenizer])
