#!/usr/bin/env python3
"""The tokenizers of every family on 20,000 strings each, real vocabularies
(fetched once into out/vocab), and the chat templates with transformers itself.
"""
import glob
import os
import re
import subprocess
import sys

COUNT = "20000"
FETCH = [sys.executable, "-m", "pip", "download", "-q", "--no-deps",
         "--no-binary", ":all:", "-d", "out/vocab", "llama-cpp-python"]
RESULT = re.compile(r"^(ok|not ok) \d+ - (.*)$")
number = failed = 0


def run(script, *args):
    """Passes on the script's results, numbered anew."""
    global number, failed
    done = subprocess.run(
        [sys.executable, os.path.join("tests", "interop", script), *args],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
        errors="replace", check=False)
    seen = 0
    for line in done.stdout.split("\n"):
        m = RESULT.match(line)
        if m:
            seen += 1
            number += 1
            failed += m[1] != "ok"
            print("%s %d - %s" % (m[1], number, m[2]), flush=True)
        elif not line.startswith("1.."):
            print("# " + line.lstrip("# "))
    if seen == 0:
        number += 1
        failed += 1
        print("not ok %d - %s gave no result" % (number, script))


def main():
    if not glob.glob("out/vocab/llama_cpp_python-*.tar.gz"):
        subprocess.run(FETCH, check=False)
    subprocess.run([sys.executable, "-m", "pip", "install", "-q",
                    "transformers"], check=False)
    run("tokenizer_families.py", "--count", COUNT, "--seed", "2")
    run("tokenizer_families.py", "--speed")
    run("vocabularies.py", "--count", COUNT)
    run("chat.py", "--seed", "2")
    print("1..%d" % number)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
