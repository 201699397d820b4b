#!/usr/bin/env python3
"""Every program answers -h, refuses what it does not know, and never crashes."""
import os
import re
import subprocess
import tempfile

from house import BIN, Wrong, built, main, none, programs, run


def call(name, *args):
    """Exit status, stdout, stderr of a program in an empty folder."""
    with tempfile.TemporaryDirectory(prefix="quern-house-") as folder:
        p = subprocess.run([os.path.join(BIN, name), *args], cwd=folder,
                           stdin=subprocess.DEVNULL, capture_output=True,
                           text=True, errors="replace", timeout=60,
                           env=dict(os.environ, HOME=folder))
    return p.returncode, p.stdout, p.stderr


def there():
    """every program of steps/, commands/ and gen/ is built, and no other"""
    built = {n for n in os.listdir(BIN)
             if n.startswith("quern") and not n.endswith(".tmp")}
    none([f"{n}: not built" for n in set(programs()) - built] +
         [f"{n}: has no source" for n in built - set(programs())])
    return f"{len(built)} programs"


def helps():
    """-h prints the usage on stdout, nothing on stderr, and exits 0"""
    found = []
    for name in built():
        status, out, err = call(name, "-h")
        usage = f"usage: quern {name[6:]}" if name != "quern" else \
            "usage: quern "
        if status != 0 or err or not (usage in out or f"usage: {name}" in out):
            found.append(f"{name}: {status} {out[:80]!r} {err[:80]!r}")
        if any(len(line) > 80 for line in out.splitlines()):
            found.append(f"{name}: its usage is wider than 80 columns")
        if any(line != line.rstrip() for line in out.splitlines()):
            found.append(f"{name}: blanks at the end of a line of its usage")
    none(found)


def refuses():
    """an unknown option exits 2: one line that names it, then the usage"""
    found = []
    for name in built():
        for option in "--no-such-option", "-%":
            status, out, err = call(name, option)
            first, _, rest = err.partition("\n")
            if status != 2 or out or not first.startswith(name + ": ") or \
                    option not in first or not rest.startswith("usage: "):
                found.append(f"{name} {option}: {status} {out[:80]!r} "
                             f"{err[:160]!r}")
    none(found)


def twice():
    """a value that is missing and an option given twice exit 2 as well"""
    found = []
    for name in built():
        _, usage, _ = call(name, "-h")
        for flag, value in re.findall(r"[\[ (]-([A-Za-z])( [A-Z]+)?[\]\n) ]",
                                      usage.split("\n\n")[0]):
            if flag == "h":
                continue
            tries = [["-" + flag]] if value else []
            if not (name == "quern-gen" and not value):
                tries.append(["-" + flag] + (["1"] if value else []))
                tries[-1] += tries[-1]
            for args in tries:
                status, out, err = call(name, *args)
                if status != 2 or out or not err.startswith(name + ": "):
                    found.append(f"{name} {args}: {status} {out[:60]!r} "
                                 f"{err[:120]!r}")
    none(found)


def bare():
    """without arguments, or with odd ones, a program says what it wants"""
    odd = [[], [""], ["@"], ["@/no/such/file"], ["--"], ["-"], ["\x1b[31m"],
           ["--step="], ["x" * 5000], ["-C", "/no/such/folder"], ["a"] * 40]
    found = []
    for name in built():
        for args in odd:
            if name == "quern-init" and args[:1] not in ([""], ["--step="],
                                                         ["-C"]):
                continue    # a folder of that name
            status, out, err = call(name, *args)
            said = re.match(re.escape(name) + ": .|usage: ", err)
            if status not in (1, 2, 3) or not said or "\x1b" in err:
                found.append(f"{name} {str(args)[:60]}: {status} "
                             f"{out[:60]!r} {err[:120]!r}")
    none(found)


def front():
    """`quern NAME` runs quern-NAME, and `quern help NAME` its -h"""
    found = []
    for name in built():
        if name == "quern":
            continue
        want = call(name, "-h")
        for args in ["help", name[6:]], [name[6:], "-h"]:
            if call("quern", *args) != want:
                found.append(f"quern {' '.join(args)}")
    none(found)
    version = run([os.path.join(BIN, "quern"), "--version"])
    if not re.fullmatch(r"quern \d+\.\d+\.\d+\n", version):
        raise Wrong(f"--version: {version!r}")


if __name__ == "__main__":
    main([there, helps, refuses, twice, bare, front])
