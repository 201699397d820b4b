#!/usr/bin/env python3
"""Run test groups and count what passed.

usage: tests/run.py [--long] [--bin DIR] [--tests DIR] [GROUP ...]

A group is a folder below tests/ (kernels, lib/base, steps, graph, ...). Every
test program prints TAP; a program that dies, or prints no result, counts as one
failure of its own. Prints the seconds of each group and ends with the line
"N passed, N failed". Exit status 1 if anything failed or nothing ran.
"""
import argparse
import glob
import os
import re
import signal
import subprocess
import sys
import time

RESULT = re.compile(r"^(not ok|ok)\b\s*(\d+)?\s*-?\s*(.*)$")
LIMIT_S = 1800      # of one test program; the sanitizers build first
LIMIT_LONG_S = 6 * 3600
NOT_GROUPS = {"data", "tools", "bench", "fuzz", "long"}


def groups_below(top, long_run):
    """Folders with tests, each with its programs and scripts, sorted."""
    found = {}
    for folder, subfolders, files in os.walk(top):
        subfolders.sort()
        name = os.path.relpath(folder, top)
        first = name.split(os.sep)[0]
        if first in NOT_GROUPS and not (long_run and first == "long"):
            continue
        tests = sorted(f for f in files
                       if (f.endswith(".c") or f.endswith(".py"))
                       and not f.startswith(("_", "run.")))
        if tests:
            found[name] = [os.path.join(name, t) for t in tests]
    if os.path.isdir(os.path.join(top, "fuzz")) and not long_run:
        found["fuzz"] = sorted(
            os.path.join("fuzz", f)
            for f in os.listdir(os.path.join(top, "fuzz"))
            if f.endswith(".c") and f != "driver.c")
    return found


def command_of(test, args):
    """How to run one test, or None for a helper module."""
    if test.endswith(".py"):
        with open(os.path.join("tests", test)) as f:
            if "__main__" not in f.read():
                return None
        python = sys.executable
        venv = os.path.join("out", "venv", "bin", "python3")
        if test.startswith(("interop", "long")) and os.path.exists(venv):
            python = venv
        return [python, os.path.join("tests", test)]
    program = os.path.join(args.tests, test[:-2])
    if test.startswith("fuzz"):
        name = os.path.basename(test)[:-2]
        return [program, os.path.join("tests", "data", "fuzz", name)]
    return [program]


def run_one(test, args, env):
    """Passed and failed of one test; prints only what failed."""
    command = command_of(test, args)
    if command is None:
        return 0, 0, 0
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env=env, errors="replace",
                              timeout=LIMIT_LONG_S if args.long else LIMIT_S)
        text, status = done.stdout, done.returncode
    except subprocess.TimeoutExpired as e:
        out = e.stdout or b""
        text = out.decode("utf-8", "replace") if isinstance(out, bytes) else out
        text, status = text + "\nran past its limit\n", 124
    except OSError as e:
        text, status = f"{command[0]}: {e.strerror}\n", 127
    passed = failed = skipped = 0
    for line in text.splitlines():
        m = RESULT.match(line.strip())
        if not m:
            continue
        if re.search(r"#\s*skip", m[3], re.I):
            skipped += 1
            print(f"  skipped: {test}: {m[3]}")
        elif m[1] == "ok":
            passed += 1
        else:
            failed += 1
    whole = re.search(r"^1\.\.0\s*# skip (.*)$", text, re.I | re.M)
    if whole:
        skipped += 1
        print(f"  skipped: {test}: {whole[1]}")
    if status != 0 and failed == 0 or passed + failed + skipped == 0:
        failed += 1
    if failed:
        print(f"--- {test}: {failed} failed, exit status {status}")
        print("\n".join("    " + l for l in text.splitlines()[-80:]))
    if args.verbose or args.long:
        print("\n".join("    " + l for l in text.splitlines()
                        if l.startswith("#")))
    return passed, failed, skipped


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--long", action="store_true", help="tests/long only")
    ap.add_argument("--bin", default="out/bin", help="programs under test")
    ap.add_argument("--tests", default="out/tests", help="compiled tests")
    ap.add_argument("-v", "--verbose", action="store_true")
    ap.add_argument("groups", nargs="*")
    args = ap.parse_args()
    os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    # started in the background, these may be ignored; tests send them
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    env = dict(os.environ, QUERN_BIN=os.path.abspath(args.bin),
               QUERN_TESTS=os.path.abspath(args.tests), LC_ALL="C.UTF-8",
               CMOCKA_MESSAGE_OUTPUT="TAP")
    ggml = glob.glob("out/venv/llama/node_modules/@node-llama-cpp/linux-x64/"
                     "bins/linux-x64/libggml-base.so")
    if ggml:
        env.setdefault("GGML_BASE", os.path.abspath(ggml[0]))
    passed = failed = skipped = 0
    for group, tests in sorted(groups_below("tests", args.long).items()):
        if args.long != (group.split(os.sep)[0] == "long"):
            continue
        if args.groups and not any(group == g or group.startswith(g + "/")
                                   for g in args.groups):
            continue
        start = time.monotonic()
        counts = [run_one(t, args, env) for t in tests]
        p, f, s = (sum(c[i] for c in counts) for i in range(3))
        print(f"{group:<16} {p:5d} passed {f:3d} failed "
              f"{time.monotonic() - start:7.1f} s", flush=True)
        passed, failed, skipped = passed + p, failed + f, skipped + s
    tail = f", {skipped} skipped" if skipped else ""
    print(f"{passed} passed, {failed} failed{tail}")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
