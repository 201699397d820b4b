"""Help for tests of the source tree itself: its files, its programs, TAP.

A test is a function whose docstring is the promise it proves; it raises Wrong
with every finding, one a line. main runs them in order.
"""
import os
import subprocess
import sys
import time
import traceback

BIN = os.environ.get("QUERN_BIN", os.path.abspath("out/bin"))
TESTS = os.environ.get("QUERN_TESTS", os.path.abspath("out/tests"))
CODE = ["kernels", "lib", "gen", "steps", "commands"]


class Wrong(Exception):
    pass


def none(findings):
    """Raises Wrong unless there are no findings."""
    if findings:
        raise Wrong("\n".join(findings))


def files(folders, *suffixes):
    """Files below the folders with one of the suffixes, sorted."""
    found = []
    for top in folders:
        for folder, inner, names in os.walk(top):
            inner[:] = sorted(n for n in inner if not n.startswith("."))
            found += [os.path.join(folder, n) for n in sorted(names)
                      if n.endswith(suffixes)]
    return found


def lines(path):
    """(number, line) of a text file."""
    with open(path, encoding="utf-8") as f:
        return list(enumerate(f.read().splitlines(), 1))


def programs():
    """Programs that the sources say there are: name -> source."""
    found = {"quern-gen": "gen/main.c"}
    for folder in "steps", "commands":
        for path in files([folder], ".c"):
            name = os.path.basename(path)[:-2]
            found["quern" if name == "quern" else "quern-" + name] = path
    return dict(sorted(found.items()))


def built():
    """Those that lie in the folder under test; usage.py asks for all."""
    return {n: s for n, s in programs().items()
            if os.path.exists(os.path.join(BIN, n))}


def run(command, ok=True, **rest):
    """stdout, stderr joined; Wrong with both if the status is not 0."""
    p = subprocess.run(command, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True,
                       stdin=subprocess.DEVNULL, errors="replace", **rest)
    if ok and p.returncode != 0:
        raise Wrong(f"{command}: exit status {p.returncode}\n{p.stdout}")
    return p.stdout


def main(tests):
    failed = 0
    for number, test in enumerate(tests, 1):
        promise = " ".join(test.__doc__.split())
        start = time.monotonic()
        try:
            note = test()
            print(f"ok {number} - {promise}")
            if note:
                print(f"# {note}")
        except Exception as problem:
            failed += 1
            print(f"not ok {number} - {promise}")
            text = str(problem) if isinstance(problem, Wrong) \
                else traceback.format_exc()
            for line in text.splitlines():
                print("#", line)
        print(f"# {time.monotonic() - start:.1f} s", flush=True)
    print(f"1..{len(tests)}")
    sys.exit(1 if failed else 0)
