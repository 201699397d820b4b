#!/usr/bin/env python3
"""Tokens a second of evaluate on the example's model: baseline and Q4_K.

usage: tests/bench/evaluate.py [TOKENS]      (4096)

The perplexity of a text, whole program, loading included; the same with the
divergence to the baseline, for which both models run. Results must be the
same bytes for one and two threads. Prints CSV; ratio is to the baseline with
as many threads.
"""
import os
import sys
import tempfile

from checkpoint import remove, repeat, step

BASE = ["base/config.fp.json", "base/tokenizer.fp.json", "base/head.fp.json",
        "base/model.fp.json"] + \
    [f"base/layer.{i:03d}.fp.json" for i in range(step.LAYERS)]


def command(b, model, tokens):
    ins = ["suite/perplexity.txt"] + BASE
    if model != "baseline":
        ins.append(f"cand/{model}/model.gguf")
    return b.args("evaluate", f"evaluate.{model}.perplexity", ins=ins,
                  srcs={"base": b.model}, phase="ship",
                  outs=[f"eval/{model}/perplexity.json"],
                  sets={"model": model, "suite": "perplexity", "window": 512,
                        "role": "perplexity", "limit": tokens})


def main(tokens):
    print("model,threads,tokens,wall_s,processor_s,tokens_per_s,"
          "tokens_per_processor_s,ratio")
    with tempfile.TemporaryDirectory(prefix="quern-bench-") as folder:
        b = step.Build(folder)
        b.fingerprint()
        b.candidate("q4k", "Q4_K", "rtn")
        b.copy(os.path.join(step.DATA, "valid.txt"), "suite/perplexity.txt")
        base = {}
        for model in "baseline", "q4k":
            seen = None
            out = f"eval/{model}/perplexity.json"
            for n in 1, 2:
                wall, cpu, _ = repeat(3, lambda: remove(b.path(out)),
                                      command(b, model, tokens), n)
                step.check(seen in (None, b.read(out)), "threads differ")
                seen = b.read(out)
                done = b.json(out)["tokens"]
                base.setdefault(n, cpu)
                print(f"{model},{n},{done},{wall:.3f},{cpu:.3f},"
                      f"{done / wall:.0f},{done / cpu:.0f},"
                      f"{base[n] / cpu:.2f}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 4096)
