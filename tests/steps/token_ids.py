#!/usr/bin/env python3
"""quern tokenize on pebble's tokenizer, both ways, and on what is wrong."""
import json
import os
import subprocess
import sys

TOOL = os.path.join(os.environ.get("QUERN_BIN", os.path.join("out", "bin")),
                    "quern-tokenize")
MODEL = os.path.join("examples", "pebble", "model")
count = failed = 0


def check(good, text, detail=""):
    global count, failed
    count += 1
    print("%s %d - %s" % ("ok" if good else "not ok", count, text))
    if not good:
        failed += 1
        print("# %s" % (detail,))


def run(args, data):
    if isinstance(data, str):
        data = data.encode()
    r = subprocess.run([TOOL] + args, input=data, capture_output=True,
                       check=False)
    return r.returncode, r.stdout.decode(), r.stderr.decode()


def one_line(text):
    return "\n" not in text and "\r" not in text


def main():
    with open("tests/data/tokenizer/pebble.ref.json", encoding="utf-8") as f:
        ref = [r for r in json.load(f) if one_line(r["text"])]
    text = "".join(r["text"] + "\n" for r in ref)
    status, out, why = run([MODEL], text)
    got = [json.loads(line) for line in out.splitlines()]
    check(status == 0 and got == [r["ids"] for r in ref],
          "every line's ids are transformers' ids", why)
    status, out, why = run(["-s", os.path.join(MODEL, "tokenizer.json")], text)
    got = [json.loads(line) for line in out.splitlines()]
    check(got == [r["ids_with_special"] for r in ref],
          "-s puts the special ids around, from a tokenizer.json too", why)
    status, back, why = run(["-d", "-s", MODEL], out)
    check(len(got) == len(ref) and
          json.loads(back.splitlines()[8]) == ref[8]["text"],
          "-d -s gives the text back", why)
    status, out, why = run([MODEL], b"fine\nab\xffc\n")
    check(status == 1 and out.count("\n") == 1 and why ==
          "quern-tokenize: standard input:2:3: not valid UTF-8; convert the "
          "text to UTF-8\n", "invalid UTF-8 is refused with line and byte",
          why)
    status, out, why = run(["-d", MODEL], "[1, 2048]\n")
    check(status == 1 and why ==
          "quern-tokenize: standard input:1: entry 2 is no id of this "
          "tokenizer; ids are whole numbers below 2048\n",
          "an id that is none is refused", why)
    status, out, why = run(["-d", MODEL], '[1]\n{"a": 1}\n')
    check(status == 1 and why ==
          "quern-tokenize: standard input:2: is no array of ids; write one a "
          "line, such as [1,2,3]\n", "an object is no list of ids", why)
    status, out, why = run(["no/such/model"], "")
    check(status == 1 and why.startswith(
        "quern-tokenize: no/such/model: cannot open: "),
        "a missing model is named", why)
    status, out, why = run([MODEL, "no/such/file"], "")
    check(status == 1 and why.startswith(
        "quern-tokenize: no/such/file: cannot open: "),
        "a missing text is named", why)
    for args in ([], ["-x", MODEL], ["-s", "-s", MODEL], [MODEL, "a", "b"]):
        status, out, why = run(args, "")
        check(status == 2 and "usage: quern tokenize" in why and out == "",
              "wrong usage: %s" % " ".join(args), why)
    status, out, why = run(["-h"], "")
    check(status == 0 and out.startswith("usage: quern tokenize") and
          why == "", "-h explains", why)
    print("1..%d" % count)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
