#!/usr/bin/env python3
"""vocabularies.py - real vocabularies, as llama.cpp's source carries them

  vocabularies.py [--count N] [--speed] [PLACE]

PLACE is a folder with ggml-vocab-*.gguf and their .inp and .out files, or a
tar.gz that holds one, such as the source package of llama-cpp-python:

  pip download --no-deps --no-binary :all: -d out/vocab llama-cpp-python

Without PLACE, what that line fetched is taken; tests/long/tokenizer_families.py runs it.

Each vocabulary is tried three ways: quern's ids of the .inp strings against
llama.cpp's own in .out; quern's ids from the GGUF keys against the package
`tokenizers` with a tokenizer.json made of the same tokens and merges, on N
generated strings (500 unless told); and quern's ids from that tokenizer.json.
Models that quern does not read must be refused with one line. Nothing of the
vocabularies is kept. Needs the packages tokenizers, gguf and numpy, and
out/tests/tools/tokenize_lines (QUERN_TOKENIZE_LINES names another).
"""
import argparse
import glob
import json
import os
import subprocess
import sys
import tarfile
import tempfile

import tokenizer_families as families

try:
    import gguf
except ImportError:
    print("ok 1 - vocabularies # SKIP the Python package gguf is missing")
    print("1..1")
    sys.exit(0)

# llama.cpp's pre name to the family whose tokenizer.json splits alike
PRE = {"gpt-2": "gpt2", "mpt": "gpt2", "llama-bpe": "llama3",
       "qwen2": "qwen2", "qwen35": "qwen35", "tekken": "tekken",
       "smollm": "smollm", "refact": "smollm", "starcoder": "smollm",
       "command-r": "smollm"}
MARK = "__ggml_vocab_test__"
count = failed = 0


def check(good, text, detail=""):
    global count, failed
    count += 1
    print("%s %d - %s" % ("ok" if good else "not ok", count, text),
          flush=True)
    if detail:
        print("# %s" % detail[:1500])
    failed += not good


def ids_of(path, strings):
    run = subprocess.run(
        [families.TOOL, path], capture_output=True, check=False,
        input="".join(json.dumps(s) + "\n" for s in strings),
        encoding="utf-8")
    if run.returncode != 0:
        return None, run.stderr
    return [json.loads(l)["ids"] for l in run.stdout.split("\n")[:-1]], ""


def keys_of(path):
    reader = gguf.GGUFReader(path)

    def get(name, otherwise=None):
        field = reader.fields.get("tokenizer.ggml." + name)
        return field.contents() if field is not None else otherwise

    return {name: get(name) for name in (
        "model", "pre", "tokens", "token_type", "merges", "scores",
        "unknown_token_id")}


def score_merges(tokens, scores, types):
    """SentencePiece's order of merges, as transformers makes it."""
    vocab = {t: i for i, t in enumerate(tokens) if types[i] in (1, 6)}
    merges = []
    for token, i in vocab.items():
        if types[i] != 1:
            continue
        local = [(token[:k], token[k:]) for k in range(1, len(token))
                 if token[:k] in vocab and token[k:] in vocab]
        local.sort(key=lambda p: (vocab[p[0]], vocab[p[1]]))
        merges += [(scores[i], p) for p in local]
    merges.sort(key=lambda m: -m[0])
    return [list(p) for _, p in merges]


def tokenizer_json(keys):
    """The tokenizer.json that says the same as the keys."""
    tokens, types = keys["tokens"], keys["token_type"]
    sentence = keys["model"] == "llama"
    family = "llama2" if sentence else PRE[keys["pre"]]
    spec = families.FAMILIES[family]
    merges = score_merges(tokens, keys["scores"], types) if sentence else [
        m.split(" ") for m in keys["merges"]]
    unk = keys["unknown_token_id"] or 0
    added = [dict(id=i, content=t, single_word=False, lstrip=False,
                  rstrip=False, normalized=False, special=types[i] != 4)
             for i, t in enumerate(tokens)
             if types[i] in (3, 4) or (sentence and types[i] == 2)]
    # added tokens too: the package would number those that are not there anew
    vocab = {t: i for i, t in enumerate(tokens) if types[i] != 5}
    return json.dumps({
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": added, "normalizer":
            spec.get("normalizer") if sentence else None,
        "pre_tokenizer": spec.get("pre"), "post_processor": None,
        "decoder": spec.get("decoder"),
        "model": {"type": "BPE", "dropout": None,
                  "unk_token": tokens[unk] if sentence else None,
                  "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": sentence,
                  "byte_fallback": sentence,
                  "ignore_merges": bool(spec.get("ignore_merges")),
                  "vocab": vocab, "merges": merges}})


def recorded(path, name):
    with open(path + ".inp", encoding="utf-8") as f:
        strings = f.read().split("\n" + MARK + "\n")
    with open(path + ".out", encoding="utf-8") as f:
        want = [[int(i) for i in line.split()] for line in
                f.read().split("\n")]
    got, why = ids_of(path, strings)
    wrong = [i for i in range(len(strings)) if got and got[i] != want[i]]
    if wrong:
        i = wrong[0]
        why = "%s: quern %s, llama.cpp %s" % (ascii(strings[i]), got[i],
                                              want[i])
    check(got is not None and not wrong,
          "%s: llama.cpp's ids of its %d strings" % (name, len(strings)), why)


def generated(path, name, strings, folder, speed):
    keys = keys_of(path)
    file = os.path.join(folder, "tokenizer.json")
    with open(file, "w", encoding="utf-8") as f:
        f.write(tokenizer_json(keys))
    if speed:
        families.speed(file, name, folder)
        return
    ref = families.Tokenizer.from_file(file)
    want = [e.ids for e in ref.encode_batch(strings,
                                            add_special_tokens=False)]
    for source, what in ((path, "GGUF keys"), (file, "tokenizer.json")):
        got, why = ids_of(source, strings)
        wrong = [i for i in range(len(strings)) if got and got[i] != want[i]]
        if wrong:
            i = wrong[0]
            why = "%d differ; %s: quern %s, tokenizers %s" % (
                len(wrong), ascii(strings[i]), got[i], want[i])
        check(got is not None and not wrong,
              "%s: the package's ids of %d strings, from %s" % (
                  name, len(strings), what), why)


def one(path, strings, folder, speed):
    name = os.path.basename(path)[len("ggml-vocab-"):-len(".gguf")]
    got, why = ids_of(path, ["Hello"])
    if got is None:
        if not speed:
            check(why.count("\n") == 1 and path in why,
                  "%s: refused by name" % name, why.strip())
        return
    if os.path.exists(path + ".out") and not speed:
        recorded(path, name)
    keys = keys_of(path)
    if keys["model"] == "llama" or keys["pre"] in PRE:
        generated(path, name, strings, folder, speed)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--count", type=int, default=500)
    ap.add_argument("--speed", action="store_true")
    ap.add_argument("place", nargs="?")
    args = ap.parse_args()
    if args.place is None:
        fetched = sorted(glob.glob("out/vocab/llama_cpp_python-*.tar.gz"))
        if not fetched:
            print("ok 1 - vocabularies # SKIP none are here; see the head of "
                  "this file")
            print("1..1")
            return 0
        args.place = fetched[-1]
    gen = families.Strings(5, False)
    strings = [gen.one(i) for i in range(args.count)]
    with tempfile.TemporaryDirectory() as folder:
        place = args.place
        if not os.path.isdir(place):
            with tarfile.open(place) as tar:
                for member in tar.getmembers():
                    if member.isfile() and "/ggml-vocab-" in member.name:
                        member.name = os.path.basename(member.name)
                        tar.extract(member, folder)
            place = folder
        for path in sorted(glob.glob(os.path.join(place,
                                                  "ggml-vocab-*.gguf"))):
            one(path, strings, folder, args.speed)
    print("1..%d" % count)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
