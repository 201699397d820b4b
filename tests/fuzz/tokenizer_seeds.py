#!/usr/bin/env python3
"""Write the hand-made inputs of tests/data/fuzz/tokenizer, one file per case.

usage: tests/fuzz/tokenizer_seeds.py [FOLDER]

What a fuzzer found lies beside them under its own name.
"""
import json
import os
import sys

LINE = "\u2581"
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}
TEMPLATE = {"type": "TemplateProcessing", "pair": [],
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
                       {"Sequence": {"id": "A", "type_id": 0}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [0],
                                       "tokens": ["<s>"]}}}


def added(ident, content, **flags):
    tok = {"id": ident, "content": content, "single_word": False,
           "lstrip": False, "rstrip": False, "normalized": False,
           "special": True}
    tok.update(flags)
    return tok


def vocabulary(first, more, text):
    vocab = {c: first + i for i, c in enumerate(dict.fromkeys(text))}
    vocab.update(more)
    return vocab


def replace(pattern, content):
    return {"type": "Replace", "pattern": pattern, "content": content}


VOCAB = vocabulary(3, {"<s>": 0, "He": 100, "\u0120w": 101, "lo": 102,
                       "\u0120\u0120": 103},
                   "\u0120\u010a!Helowrd12\u00c3\u00b6<>")
MERGES = [["H", "e"], ["\u0120", "w"], ["l", "o"], ["\u0120", "\u0120"]]
WORDS = vocabulary(260, {"<unk>": 1, "<s>": 0, LINE + "w": 400, "lo": 401,
                         LINE + LINE: 402}, LINE + "Helowrd!\u00f6")
WORDS.update({"<0x%02X>" % b: b + 3 for b in range(256)})
SENTENCE = {
    "normalizer": {"type": "Sequence", "normalizers": [
        {"type": "Prepend", "prepend": LINE},
        replace({"String": " "}, LINE)]},
    "pre_tokenizer": None,
    "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": True,
              "byte_fallback": True, "vocab": WORDS,
              "merges": [[LINE, "w"], ["l", "o"], [LINE, LINE]]},
    "decoder": {"type": "Sequence", "decoders": [
        replace({"String": LINE}, " "), {"type": "ByteFallback"},
        {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}}


def tokenizer(**parts):
    whole = {"added_tokens": [
        added(0, "<s>", rstrip=True),
        added(500, "wor", single_word=True, lstrip=True, normalized=True,
              special=False)],
        "normalizer": None, "pre_tokenizer": BYTES,
        "post_processor": TEMPLATE, "decoder": BYTES,
        "model": {"type": "BPE", "vocab": VOCAB, "merges": MERGES}}
    whole.update(parts)
    return whole


def model(vocab, merges):
    return tokenizer(model={"type": "BPE", "vocab": vocab, "merges": merges})


def case(tok, text="Hello <s> w\u00f6rld wor 12\n", config=None):
    if not isinstance(tok, str):
        tok = json.dumps(tok, ensure_ascii=False, separators=(",", ":"))
    out = "=== tokenizer.json\n" + tok + "\n"
    if config is not None:
        out += "=== tokenizer_config.json\n" + json.dumps(config) + "\n"
    return (out + "=== text\n" + text).encode()


def cases():
    regex = {"type": "Split", "pattern": {"Regex": "(a+)+$"},
             "behavior": "Isolated"}
    yield "byte-level", case(tokenizer(), config={
        "bos_token": "<s>", "eos_token": {"content": "<s>"},
        "chat_template": [{"name": "default", "template": "x"}]})
    yield "string-merges", case(
        model(VOCAB, ["#version: 0.2", "H e", "l o"]))
    yield "sentence", case(tokenizer(**SENTENCE))
    yield "metaspace", case(tokenizer(**dict(
        SENTENCE, normalizer={"type": "NFKC"},
        pre_tokenizer={"type": "Metaspace", "replacement": LINE,
                       "prepend_scheme": "first", "split": True},
        decoder={"type": "Metaspace", "replacement": LINE})),
        LINE + " a" + LINE * 2 + " \u1e9b\u0323 <0x41>")
    for name in ("Isolated", "Removed", "MergedWithPrevious",
                 "MergedWithNext", "Contiguous"):
        yield "split-" + name.lower(), case(tokenizer(
            pre_tokenizer={"type": "Sequence", "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": "l*"},
                 "behavior": name, "invert": name > "M"},
                {"type": "Digits", "individual_digits": False},
                dict(BYTES, add_prefix_space=True)]},
            normalizer={"type": "Sequence", "normalizers": [
                {"type": "Lowercase"}, {"type": "Strip"},
                replace({"Regex": "o|"}, "H")]}))
    yield "no-id", case(tokenizer(added_tokens=[{"content": "x"}]))
    yield "clash", case(tokenizer(added_tokens=[added(100, "<s>")]))
    yield "clash-other", case(tokenizer(added_tokens=[added(100, "new")]))
    yield "added-twice", case(tokenizer(added_tokens=[
        added(600, "new"), added(601, "new")]))
    yield "long-token", case(tokenizer(added_tokens=[added(600, "x" * 513)]))
    yield "huge-id", case(model({"a": 4194304}, []))
    yield "sparse-id", case(model({"a": 4194303}, []))
    yield "negative-id", case(model({"a": -1}, []))
    yield "twice-id", case(model({"a": 1, "b": 1}, []))
    yield "no-vocabulary", case(model({}, []))
    yield "merge-missing", case(model(VOCAB, [["H", "l"]]))
    yield "merge-shape", case(model(VOCAB, [["H"], 7, "a b c"]))
    yield "merge-spaces", case(model(VOCAB, ["a b c"]))
    yield "wordpiece", case(tokenizer(model={"type": "WordPiece"}))
    yield "bert", case(tokenizer(pre_tokenizer={"type": "BertPreTokenizer"}))
    yield "deep-sequence", case(tokenizer(pre_tokenizer=json.loads(
        '{"type":"Sequence","pretokenizers":[' * 12 + json.dumps(BYTES) +
        "]}" * 12)))
    yield "bad-regex", case(tokenizer(pre_tokenizer=dict(
        regex, pattern={"Regex": "(["})))
    yield "slow-regex", case(tokenizer(pre_tokenizer=regex), "a" * 64 + "b")
    yield "byte-level-first", case(tokenizer(pre_tokenizer={
        "type": "Sequence", "pretokenizers": [BYTES, {"type": "Digits"}]}))
    yield "grow", case(tokenizer(normalizer={
        "type": "Sequence",
        "normalizers": [replace({"Regex": ""}, "x" * 300)] * 8}))
    yield "template-twice", case(tokenizer(post_processor=dict(
        TEMPLATE, single=[{"Sequence": {"id": "A"}}] * 2)))
    yield "template-no-id", case(tokenizer(post_processor=dict(
        TEMPLATE, special_tokens={})))
    yield "template-no-token", case(tokenizer(post_processor=dict(
        TEMPLATE, special_tokens={"<s>": {"ids": [90]}})))
    yield "config-no-token", case(tokenizer(), config={
        "bos_token": "nonesuch"})
    yield "text-not-utf8", case(tokenizer()) + b"\xff\xfe"
    yield "deep-json", case("[" * 3000)
    yield "not-json", case('{"model":')
    yield "not-object", case("[]")
    yield "empty", case("")


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else "tests/data/fuzz/tokenizer"
    os.makedirs(folder, exist_ok=True)
    for name, data in cases():
        with open(os.path.join(folder, name), "wb") as f:
            f.write(data)


if __name__ == "__main__":
    main()
