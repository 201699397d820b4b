#!/usr/bin/env python3
"""llama.cpp opens the GGUF files that quern assembles: the same token ids, and
the same perplexity to a part in a thousand.

K types are tried with AWQ scales. Without them pebble's outlier channels make
the 8-bit activations of a row so coarse that the last bit of a float decides
codes by the dozen: any two implementations then differ by about half a percent,
now up, now down.

llama.cpp comes as the npm package node-llama-cpp, prebuilt. The folder that has
its node_modules is out/nlc, or what NODE_LLAMA_CPP names; a missing one is
installed. Without npm or a network the test is skipped and says so.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, "tests/steps")
import step  # noqa: E402

VERSION = "3.22.1"
TOLERANCE = 1e-3
LIMIT = 4096 + 1  # ids of the text that are scored: 8 windows of 512
# Folded scales keep pebble's outlier channels out of the activations. Without
# them 8-bit activations rounded a hair otherwise move the loss by half a percent.
CANDIDATES = [("q8", "Q8_0", "rtn"), ("q40", "Q4_0", "awq"),
              ("q4k", "Q4_K", "awq"), ("q6k", "Q6_K", "awq"),
              ("bf16", "BF16", "rtn")]


def node_modules():
    """The folder, or why there is none."""
    folder = os.environ.get("NODE_LLAMA_CPP", "out/nlc")
    modules = os.path.join(folder, "node_modules")
    if os.path.isdir(os.path.join(modules, "node-llama-cpp")):
        return modules, None
    npm = shutil.which("npm")
    if npm is None:
        return None, "npm is not installed"
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "package.json"), "w") as f:
        f.write('{"private": true}\n')
    done = subprocess.run(
        [npm, "install", "--prefix", folder, "--omit=optional",
         "--ignore-scripts", "--no-audit", "--no-fund", "--no-save",
         f"node-llama-cpp@{VERSION}",
         f"@node-llama-cpp/linux-x64@{VERSION}"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        return None, "npm install failed: " + done.stdout.strip()[-200:]
    return modules, None


def ask_llama(modules, model, texts, windows):
    ask, answer = model + ".ask", model + ".answer"
    with open(ask, "w") as f:
        json.dump({"model": model, "texts": texts, "windows": windows}, f)
    done = subprocess.run(
        ["node", "tests/interop/llama_cpp.mjs", modules, ask, answer],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True)
    step.equal(done.returncode, 0, done.stdout[-800:])
    with open(answer) as f:
        return json.load(f)


def quern_nll(b, cand):
    """quern's own mean NLL of the file, by the evaluate step."""
    fp = [f"base/{p}.fp.json" for p in ("config", "head", "model",
                                        "tokenizer")]
    fp += [f"base/layer.{i:03d}.fp.json" for i in range(step.LAYERS)]
    b.ok("evaluate", f"evaluate.{cand}.perplexity", phase="ship",
         ins=fp + ["suite/perplexity.txt", f"cand/{cand}/model.gguf"],
         srcs={"base": b.model}, outs=[f"eval/{cand}/perplexity.json"],
         sets={"model": cand, "suite": "perplexity", "role": "perplexity",
               "window": 512, "limit": LIMIT, "kl-tokens": 0})
    return b.json(f"eval/{cand}/perplexity.json")


def main():
    names = [c[0] for c in CANDIDATES]
    modules, why = node_modules()
    if modules is None:
        print(f"ok 1 - llama.cpp reads quern's files # SKIP {why}")
        print("1..1")
        return 0
    with open("tests/data/pebble/ref.json") as f:
        ref = json.load(f)
    texts = [t["text"] for t in ref["tokenizer"]]
    want = [t["ids"] for t in ref["tokenizer"]]
    n = failed = 0
    with tempfile.TemporaryDirectory(prefix="quern-test-") as folder:
        b = step.Build(folder)
        b.fingerprint()
        b.traffic()
        b.corpus(count=32)
        b.calibrate()
        b.copy(os.path.join(step.DATA, "valid.txt"), "suite/perplexity.txt")
        windows = None
        for cand, type_, method in CANDIDATES:
            n += 1
            text = f"llama.cpp reads {cand} ({type_}, {method})"
            try:
                path = b.candidate(cand, type_, method)
                own = quern_nll(b, cand)
                if windows is None:
                    ids = ids_of_text(modules, path)
                    windows = [ids[i:i + 512]
                               for i in range(0, LIMIT - 511, 512)]
                said = ask_llama(modules, path, texts, windows)
                bad = [(t, g, w) for t, g, w in
                       zip(texts, said["tokens"], want) if g != w]
                step.check(not bad, "token ids differ:", bad[:1])
                step.equal(said["scored"], own["scored"], "scored tokens")
                nll = said["nll"] / said["scored"]
                off = abs(nll / own["nll"] - 1)
                print(f"# {cand}: nll {own['nll']:.6f}, llama.cpp "
                      f"{nll:.6f}, relative {off:.1e}")
                step.check(off <= TOLERANCE, "nll", own["nll"], "llama.cpp's",
                           nll)
                print(f"ok {n} - {text}", flush=True)
            except step.Failed as e:
                failed += 1
                print(f"not ok {n} - {text}\n# " +
                      str(e).replace("\n", "\n# "), flush=True)
    print(f"1..{len(names)}")
    return 1 if failed else 0


def ids_of_text(modules, path):
    with open(os.path.join(step.DATA, "valid.txt")) as f:
        return ask_llama(modules, path, [f.read()], [])["tokens"][0]


if __name__ == "__main__":
    sys.exit(main())
