#!/usr/bin/env python3
"""quern's ids against the `tokenizers` package, family by family

  tokenizer_families.py [--count N] [--seed N] [--only NAME] [--speed]
  tokenizer_families.py --vectors tests/data/tokenizer/families

For every family of tokenizers a tokenizer.json is trained here, with exactly the
family's normalizer, pre-tokenizer, post-processor and decoder, and N generated
strings (500 unless told; 20,000 in tests/long) go through both: ids, ids with special tokens, and
both decodings must be equal. --speed compares the CPU time for the same text,
one thread each, instead. --vectors writes small tokenizers with the package's
ids for some strings, which tests/lib/text/tokenizer_families.c replays.

Run from the top of the tree with a Python that has the package `tokenizers`,
after out/tests/tools/tokenize_lines was built (QUERN_TOKENIZE_LINES names
another). Invalid UTF-8 is not part of this: quern refuses it, the package never
sees any because Python's strings cannot hold it.
"""
import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import unicodedata

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

try:
    import tokenizers
    from tokenizers import Regex, Tokenizer, models, normalizers
    from tokenizers import pre_tokenizers, trainers
except ImportError:
    print("ok 1 - families # SKIP the Python package tokenizers is missing")
    print("1..1")
    sys.exit(0)

TOOL = os.environ.get("QUERN_TOKENIZE_LINES", os.path.join(
    os.environ.get("QUERN_TESTS", "out/tests"), "tools", "tokenize_lines"))

GPT2 = (r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+"
        r"|\s+(?!\S)|\s+")
TAIL = r"|\s*[\r\n]+|\s+(?!\S)|\s+"
SHORT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
LLAMA3 = (SHORT + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
          r"| ?[^\s\p{L}\p{N}]+[\r\n]*" + TAIL)
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
QWEN35 = (SHORT + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}"
          r"| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*" + TAIL)
UP = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
LOW = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
OPT = r"[^\r\n\p{L}\p{N}]?"
TEKKEN = (OPT + UP + "*" + LOW + "+|" + OPT + UP + "+" + LOW + r"*|\p{N}"
          r"| ?[^\s\p{L}\p{N}]+[\r\n/]*" + TAIL)
GPT4O = (OPT + UP + "*" + LOW + "+" + SHORT + "?|" + OPT + UP + "+" + LOW +
         "*" + SHORT + r"?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*" + TAIL)

LINE = "\u2581"


def byte_level(regex, prefix=False):
    return {"type": "ByteLevel", "add_prefix_space": prefix,
            "trim_offsets": True, "use_regex": regex}


def split(regex, behavior="Isolated", invert=False):
    return {"type": "Split", "pattern": {"Regex": regex},
            "behavior": behavior, "invert": invert}


def literal(text, behavior="Isolated", invert=False):
    return {"type": "Split", "pattern": {"String": text},
            "behavior": behavior, "invert": invert}


def chain(*stages):
    return {"type": "Sequence", "pretokenizers": list(stages)}


def template(first, ident, last=None):
    parts = [{"SpecialToken": {"id": first, "type_id": 0}},
             {"Sequence": {"id": "A", "type_id": 0}}]
    known = {first: {"id": first, "ids": [ident], "tokens": [first]}}
    if last is not None:
        parts.append({"SpecialToken": {"id": last[0], "type_id": 0}})
        known[last[0]] = {"id": last[0], "ids": [last[1]],
                          "tokens": [last[0]]}
    return {"type": "TemplateProcessing", "single": parts,
            "pair": parts + [{"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": known}


def replace(old, new):
    return {"type": "Replace", "pattern": {"String": old}, "content": new}


BYTES = byte_level(True)
SPACES_BACK = {"type": "Sequence", "decoders": [
    replace(LINE, " "), {"type": "ByteFallback"}, {"type": "Fuse"}]}
SPACES_BACK_STRIP = {"type": "Sequence", "decoders":
                     SPACES_BACK["decoders"] +
                     [{"type": "Strip", "content": " ", "start": 1,
                       "stop": 0}]}
LEGACY = {"type": "Sequence", "normalizers": [
    {"type": "Prepend", "prepend": LINE}, replace(" ", LINE)]}


def metaspace(scheme, cut):
    return {"type": "Metaspace", "replacement": LINE,
            "prepend_scheme": scheme, "split": cut}


# name: what the tokenizer.json says beside vocabulary and merges
FAMILIES = {
    "gpt2": dict(pre=BYTES, post=byte_level(True), decoder=BYTES),
    "gpt2-prefix": dict(pre=byte_level(True, True), decoder=BYTES,
                        post=byte_level(True, True)),
    "llama3": dict(pre=chain(split(LLAMA3), byte_level(False)),
                   ignore_merges=True, decoder=BYTES,
                   post={"type": "Sequence", "processors": [
                       byte_level(False), template("<s>", 1)]}),
    "qwen2": dict(normalizer={"type": "NFC"}, decoder=BYTES,
                  pre=chain(split(QWEN2), byte_level(False)),
                  post=byte_level(False)),
    "qwen35": dict(normalizer={"type": "NFC"}, decoder=BYTES,
                   pre=chain(split(QWEN35), byte_level(False)),
                   post=byte_level(False)),
    "tekken": dict(pre=chain(split(TEKKEN), byte_level(False)),
                   ignore_merges=True, post=template("<s>", 1),
                   decoder=BYTES),
    "gpt4o": dict(pre=chain(split(GPT4O), byte_level(False)), decoder=BYTES),
    "smollm": dict(pre=chain({"type": "Digits", "individual_digits": True},
                             BYTES), decoder=BYTES),
    "deepseek": dict(pre=chain(split(r"\p{N}{1,3}"),
                               split("[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"),
                               split(LLAMA3), byte_level(False)),
                     decoder=BYTES),
    "llama2": dict(normalizer=LEGACY, sentence=True, decoder=SPACES_BACK_STRIP,
                   post=template("<s>", 1)),
    "mistral": dict(pre=metaspace("first", False), sentence=True,
                    decoder=SPACES_BACK_STRIP, post=template("<s>", 1)),
    "mistral-always": dict(pre=metaspace("always", True), sentence=True,
                           decoder=dict(metaspace("always", True)),
                           post=template("<s>", 1, ("</s>", 2))),
    "phi3": dict(normalizer=LEGACY, sentence=True, rstrip=True,
                 decoder=SPACES_BACK_STRIP, post=template("<s>", 1)),
    "gemma": dict(normalizer=replace(" ", LINE), sentence=True, gemma=True,
                  pre=literal(" ", "MergedWithPrevious"),
                  decoder=SPACES_BACK, post=template("<s>", 1)),
    "unknown": dict(normalizer=LEGACY, sentence=True, few=True,
                    decoder=SPACES_BACK_STRIP),
    "nfkc": dict(normalizer={"type": "Sequence", "normalizers": [
        {"type": "NFKC"}, {"type": "Lowercase"},
        {"type": "Strip", "strip_left": True, "strip_right": True},
        {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "}]},
        pre=BYTES, decoder=BYTES),
    "nfd": dict(normalizer={"type": "NFD"}, decoder=BYTES, odd=True,
                pre=chain({"type": "Digits", "individual_digits": False},
                          BYTES)),
    "nfkd": dict(normalizer={"type": "NFKD"}, pre=BYTES, decoder=BYTES,
                 odd=True),
    "odd-added": dict(pre=BYTES, decoder=BYTES, odd=True,
                      normalizer={"type": "Lowercase"}),
    "split-removed": dict(pre=chain(split(r"\s+", "Removed"), BYTES),
                          decoder=BYTES),
    "split-previous": dict(pre=chain(split(r"[\s,.]", "MergedWithPrevious"),
                                     byte_level(False)), decoder=BYTES),
    "split-next": dict(pre=chain(split(r"\s", "MergedWithNext"),
                                 byte_level(False)), decoder=BYTES),
    "split-contiguous": dict(pre=chain(split(r"\p{P}", "Contiguous"),
                                       byte_level(False)), decoder=BYTES),
    "split-invert": dict(pre=chain(split(r"\p{L}+", "Removed", True),
                                   byte_level(False)), decoder=BYTES),
    "split-invert-next": dict(pre=chain(
        split(r"\p{L}+", "MergedWithNext", True), byte_level(False)),
        decoder=BYTES),
    "split-literal": dict(pre=chain(literal("e"), literal(" ", "Removed"),
                                    byte_level(False, True)), decoder=BYTES),
}


def corpus():
    """Text to train on: prose, code and scripts of the world."""
    lines = open("examples/pebble/data/valid.txt",
                 encoding="utf-8").read().splitlines()[:1500]
    for folder, _, names in sorted(os.walk("lib")):
        for name in sorted(names)[:8]:
            if name.endswith((".c", ".h")):
                with open(os.path.join(folder, name), encoding="utf-8") as f:
                    lines += f.read().splitlines()[:150]
    lines += ["Grüße aus Köln, où est la forêt? Señor, ¿qué tal?",
              "Быстрая коричневая лиса прыгает через ленивую собаку.",
              "快速的棕色狐狸跳过懒狗。日本語のテキストです。한국어 문장입니다.",
              "مرحبا بالعالم. שלום עולם. नमस्ते दुनिया। สวัสดีชาวโลก",
              "cafe\u0301 e\u0301\u0323 n\u0303 \u1100\u1161\u11a8",
              "I'M DON'T you'LL we'Ve it's 1234567 89 3.14 0x1F"] * 20
    return [l for l in lines if l]


def train(spec, size):
    """A small vocabulary for the family, as vocab and merges."""
    specials = ["<unk>", "<s>", "</s>"]
    tok = Tokenizer(models.BPE(unk_token="<unk>"))
    if spec.get("sentence"):
        tok.normalizer = normalizers.Replace(" ", LINE)
        tok.pre_tokenizer = pre_tokenizers.Split(
            Regex(LINE + "*[^" + LINE + "]+"), "isolated")
        alphabet = []
        if not spec.get("few"):
            specials = specials + ["<0x%02X>" % b for b in range(256)]
    else:
        tok.pre_tokenizer = pre_tokenizers.ByteLevel(
            add_prefix_space=False, use_regex=True)
        alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=specials, show_progress=False,
        initial_alphabet=alphabet,
        limit_alphabet=120 if spec.get("few") else 600)
    tok.train_from_iterator(corpus(), trainer)
    model = json.loads(tok.to_str())["model"]
    return model["vocab"], model["merges"]


def added_tokens(spec, vocab):
    def one(text, special=True, **flags):
        ident = vocab.get(text)
        if ident is None:
            ident = max(list(vocab.values()) + [a["id"] for a in added]) + 1
        tok = dict(id=ident, content=text, single_word=False, lstrip=False,
                   rstrip=False, normalized=False, special=special)
        tok.update(flags)
        added.append(tok)

    added = []
    for text in ("<unk>", "<s>", "</s>"):
        one(text)
    one("<|im_start|>", rstrip=bool(spec.get("rstrip")))
    one("<|im_end|>", rstrip=bool(spec.get("rstrip")))
    one("<|im_end|>x", special=False)
    one("<tool>", special=False, normalized=True)
    if spec.get("gemma"):
        for text in ("\n\n", "\n\n\n", LINE * 2, LINE * 3, "<table>"):
            one(text, special=False)
    if spec.get("odd"):
        one("<mask>", lstrip=True)
        one("[both]", lstrip=True, rstrip=True)
        one("word", special=False, single_word=True)
        one("WORDS", special=False, normalized=True)
        one("Caf\u00e9", special=False, normalized=True, single_word=True)
        one(" gap ", special=False, lstrip=True)
    return added


def build(spec, size=2500):
    sentence = bool(spec.get("sentence"))
    vocab, merges = train(spec, size)
    return json.dumps({
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": added_tokens(spec, vocab),
        "normalizer": spec.get("normalizer"),
        "pre_tokenizer": spec.get("pre"),
        "post_processor": spec.get("post"),
        "decoder": spec.get("decoder"),
        "model": {"type": "BPE", "dropout": None,
                  "unk_token": "<unk>" if sentence else None,
                  "continuing_subword_prefix": None,
                  "end_of_word_suffix": None,
                  "fuse_unk": sentence, "byte_fallback": sentence,
                  "ignore_merges": bool(spec.get("ignore_merges")),
                  "vocab": vocab, "merges": merges}},
        ensure_ascii=False, separators=(",", ":"))


PIECES = ["'s", "'T", "'re", "'LL", "'\u017f", "'", "<s>", "</s>", "<unk>",
          "<|im_start|>", "<|im_end|>", "<|im_end|>x", "<|im_", "<tool>",
          "<TOOL>", "<mask>", "[both]", "word", "Word", "words", "WORDS",
          "Caf\u00e9", "cafe\u0301", " gap ", "\u2581", "\u2581\u2581",
          "\u2581\u2581\u2581", "<0x41>", "<0xE2>", "<table>", "\u00e9",
          "e\u0301\u0323", "\u0301", "\u1100\u1161\u11a8", "\uac00\u11a8",
          "\u212b", "\ufb01", "\u00bd", "\u2460", "\u0130", "\u1e9e",
          "\U0001f469\u200d\U0001f467", "\U0001f1eb\U0001f1f7", "\u200b",
          "\ufeff", "\u00a0", "\u3000", "\u2028", "\u0085", "\x00", "\x7f",
          "\u01c5", "\u02b0", "\u0663", "\u2167", "\u0600", "\u20ac",
          "\u6c34", "\u3068\u304b", "\ud55c", "\u05d0", "\U0001d538",
          "\U00020000", "\U0010ffff", "\ue000"]
RANGES = [(0x20, 0x7f), (0x20, 0x7f), (0xa0, 0x250), (0x300, 0x370),
          (0x370, 0x530), (0x590, 0x700), (0x900, 0xe00), (0x1100, 0x1200),
          (0x1e00, 0x2000), (0x2000, 0x2c00), (0x3040, 0x3100),
          (0x4e00, 0x9fff), (0xac00, 0xd7a4), (0xf900, 0xfb00),
          (0x1f300, 0x1f700), (0x10000, 0x10800)]


class Strings:
    """Generated strings: prose, code, scripts, white space, digits, markers."""

    def __init__(self, seed, old):
        self.r = random.Random(seed)
        self.old = old  # only characters that every Unicode since 3.2 has
        self.lines = corpus()
        self.words = " ".join(self.lines).split()

    def space(self):
        return "".join(self.r.choice("   \n\t\r") for _ in
                       range(self.r.randint(1, 6)))

    def piece(self):
        r = self.r
        kind = r.randrange(8)
        if kind == 0:
            return self.space()
        if kind == 1:
            return r.choice(PIECES)
        if kind == 2:
            return "".join(r.choice("0123456789") for _ in
                           range(r.randint(1, 30)))
        if kind == 3:
            lo, hi = r.choice(RANGES)
            text = "".join(chr(r.randrange(lo, hi)) for _ in
                           range(r.randint(1, 6)))
            return "".join(c for c in text if not self.old or
                           unicodedata.ucd_3_2_0.category(c) != "Cn")
        if kind == 4:
            return "".join(r.choice("!?.,;:/-_=+*&^%$#@()[]{}<>|~`\"'\\")
                           for _ in range(r.randint(1, 5)))
        return r.choice(("", " ")) + r.choice(self.words)

    def one(self, i):
        r = self.r
        if i == 0:
            return ""
        kind = r.randrange(10)
        if kind == 0:
            return r.choice(self.lines)
        if kind == 1:
            at = r.randrange(len(self.lines))
            return "\n".join(self.lines[at:at + r.randint(2, 12)])
        if kind == 2:  # a long word: the heap
            return "".join(self.piece().replace(" ", "")
                           for _ in range(r.randint(10, 60)))
        return "".join(self.piece() for _ in range(r.randint(1, 12)))


def compare(path, strings):
    """None, or what differs first."""
    ref = Tokenizer.from_file(path)
    want = [e.ids for e in ref.encode_batch(strings,
                                            add_special_tokens=False)]
    special = [e.ids for e in ref.encode_batch(strings)]
    text = ref.decode_batch(special, skip_special_tokens=False)
    plain = ref.decode_batch(special, skip_special_tokens=True)
    run = subprocess.run([TOOL, path], capture_output=True, check=False,
                         input="".join(json.dumps(s) + "\n" for s in strings),
                         encoding="utf-8")
    if run.returncode != 0:
        return run.stderr.strip()
    lines = run.stdout.split("\n")[:-1]
    if len(lines) != len(strings):
        return "%d answers to %d strings" % (len(lines), len(strings))
    for i, line in enumerate(lines):
        got = json.loads(line)
        for key, ours, theirs in (("ids", got["ids"], want[i]),
                                  ("special", got["special"], special[i]),
                                  ("text", got["text"], text[i]),
                                  ("plain", got["plain"], plain[i])):
            if ours != theirs:
                return "%s of %s: quern %s, tokenizers %s" % (
                    key, ascii(strings[i]), ascii(ours), ascii(theirs))
    return None


def speed(path, name, folder):
    """Median CPU time of five rounds over the same lines, one thread each."""
    file = os.path.join(folder, "text")
    lines = [l + "\n" for l in corpus()] * 12
    with open(file, "w", encoding="utf-8", newline="") as f:
        f.writelines(lines)
    run = subprocess.run([TOOL, path, file, "5"], capture_output=True,
                         check=True, encoding="utf-8")
    rows = [l.split() for l in run.stdout.splitlines()]
    ours = sorted(float(r[2]) for r in rows)[2]
    ref = Tokenizer.from_file(path)
    times, ids = [], 0
    for _ in range(5):
        at = time.process_time()
        batch = ref.encode_batch_fast(lines, add_special_tokens=False)
        times.append(time.process_time() - at)
        ids = sum(len(e.ids) for e in batch)
    theirs = sorted(times)[2]
    size = int(rows[0][0])
    same = int(rows[0][1]) == ids
    print("# %-16s quern %6.1f MB/s, tokenizers %5.1f MB/s, ratio %.1f%s" % (
        name, size / ours / 1e6, size / theirs / 1e6, theirs / ours,
        "" if same else ", IDS DIFFER"))
    return same


def write_vectors(folder):
    os.makedirs(folder, exist_ok=True)
    for name in ("llama3", "qwen2", "qwen35", "tekken", "gpt4o", "smollm",
                 "deepseek", "llama2", "mistral", "mistral-always", "phi3",
                 "gemma", "unknown", "nfkc", "odd-added", "split-next"):
        path = os.path.join(folder, name + ".json")
        with open(path, "w", encoding="utf-8") as f:
            f.write(build(FAMILIES[name], 700) + "\n")
        ref = Tokenizer.from_file(path)
        gen = Strings(11, True)
        with open(os.path.join(folder, name + ".ref.json"), "w",
                  encoding="utf-8") as f:
            rows = []
            for i in range(40):
                text = gen.one(i)
                special = ref.encode(text).ids
                rows.append(json.dumps({
                    "text": text, "ids": ref.encode(
                        text, add_special_tokens=False).ids,
                    "ids_with_special": special,
                    "decoded": ref.decode(special)}, separators=(",", ":")))
            f.write("[\n" + ",\n".join(rows) + "\n]\n")


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--count", type=int, default=500)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--only")
    ap.add_argument("--speed", action="store_true")
    ap.add_argument("--keep", help="folder to leave the tokenizers in")
    ap.add_argument("--vectors", help="folder to write vectors to")
    args = ap.parse_args()
    if args.vectors:
        write_vectors(args.vectors)
        return 0
    failed = number = 0
    print("# tokenizers %s" % tokenizers.__version__)
    with tempfile.TemporaryDirectory() as folder:
        for name, spec in FAMILIES.items():
            if args.only and name != args.only:
                continue
            path = os.path.join(args.keep or folder, name + ".json")
            with open(path, "w", encoding="utf-8") as f:
                f.write(build(spec))
            number += 1
            if args.speed:
                why = None if speed(path, name, folder) else "ids differ"
            else:
                # PCRE2 10.42 is at Unicode 14, the package at 16
                gen = Strings(args.seed, name.startswith("split") or
                              name == "deepseek")
                why = compare(path, [gen.one(i) for i in range(args.count)])
            print("%s %d - %s" % ("not ok" if why else "ok", number, name),
                  flush=True)
            if why:
                failed += 1
                print("# " + why[:2000])
    print("1..%d" % number)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
