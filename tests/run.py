#!/usr/bin/env python3
"""Run tests and count what passed.

usage: tests/run.py [--long] [-v] [-j N] [--bin DIR] [--tests DIR] [NAME ...]

A NAME is a group, a folder below tests/ (kernels, lib/base, steps, ...), or one
test (graph/paths.py). Every test program prints TAP; a program that dies, or
prints no result, counts as one failure of its own. As many tests run side by
side as there are processors, except those that measure time or keep every
processor busy themselves; what a test printed is shown whole, when it has
ended. Prints each group when its last test has ended, with the seconds of its
tests, -v each test's seconds and processor seconds, too. Ends with the line
"N passed, N failed". Exit status 1 if anything failed or nothing ran.
"""
import argparse
import concurrent.futures
import glob
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

RESULT = re.compile(r"^(not ok|ok)\b\s*(\d+)?\s*-?\s*(.*)$")
LIMIT_S = 1800      # of one test program; the sanitizers build first
LIMIT_LONG_S = 6 * 3600
NOT_GROUPS = {"data", "tools", "bench", "fuzz", "long"}
# these measure time or keep every processor busy: nothing runs beside them
ALONE = {"house/compilers.py", "house/sanitize.py", "graph/scale.py"}
# the longest, begun first, so that none is left over at the end
FIRST = ["graph/crash.py", "kernels/avx512.py", "interop/llama_cpp.py",
         "graph/tree.py", "interop/tokenizers.py", "lib/model/score.c",
         "graph/bits.py", "graph/gguf.py", "graph/real.py", "graph/paths.py",
         "steps/release.py", "steps/calibrate.py", "steps/evaluate.py",
         "steps/arches.py", "steps/commands.py"]


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


def chosen(args):
    """Group -> its tests that were asked for, without helper modules."""
    found = {}
    for group, tests in sorted(groups_below("tests", args.long).items()):
        if args.long != (group.split(os.sep)[0] == "long"):
            continue
        mine = [t for t in tests if not args.names or any(
            n in (t, group) or group.startswith(n + "/") for n in args.names)]
        mine = [t for t in mine if command_of(t, args) is not None]
        if mine:
            found[group] = mine
    return found


class Outcome:
    """What came of one test: counts, seconds, what is to be shown."""

    def __init__(self, test):
        self.test = test
        self.passed = self.failed = self.skipped = 0
        self.seconds = self.processor = 0.0
        self.shown = []

    def count(self, text, status, verbose):
        for line in text.splitlines():
            m = RESULT.match(line.strip())
            if not m:
                continue
            if re.search(r"#\s*skip", m[3], re.I):
                self.skip(m[3])
            elif m[1] == "ok":
                self.passed += 1
            else:
                self.failed += 1
        whole = re.search(r"^1\.\.0\s*# skip:? (.*)$", text, re.I | re.M)
        if whole:
            self.skip(whole[1])
        if status != 0 and self.failed == 0 or \
                self.passed + self.failed + self.skipped == 0:
            self.failed += 1
        if self.failed:
            self.shown += [f"--- {self.test}: {self.failed} failed, exit "
                           f"status {status}"]
            self.shown += ["    " + l for l in text.splitlines()[-80:]]
        if verbose:
            self.shown += [f"  {self.test}: {self.seconds:.1f} s, "
                           f"{self.processor:.1f} s of processor time"]
            self.shown += ["    " + l for l in text.splitlines()
                           if l.startswith("#")]

    def skip(self, why):
        self.skipped += 1
        self.shown.append(f"  skipped: {self.test}: {why}")


def wait(child, limit):
    """Exit status and processor seconds of a child; killed past its limit."""
    timer = threading.Timer(limit, child.kill)
    timer.start()
    _, status, used = os.wait4(child.pid, 0)
    timer.cancel()
    child.returncode = os.waitstatus_to_exitcode(status)
    return child.returncode, used.ru_utime + used.ru_stime


def run_one(test, args, env):
    outcome, start = Outcome(test), time.monotonic()
    command = command_of(test, args)
    limit = LIMIT_LONG_S if args.long else LIMIT_S
    with tempfile.TemporaryFile() as out:
        try:
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                     stdout=out, stderr=subprocess.STDOUT,
                                     env=env)
            status, outcome.processor = wait(child, limit)
        except OSError as e:
            out.write(f"{command[0]}: {e.strerror}\n".encode())
            status = 127
        outcome.seconds = time.monotonic() - start
        if outcome.seconds >= limit:
            out.seek(0, os.SEEK_END)
            out.write(b"\nran past its limit\n")
        out.seek(0)
        text = out.read().decode("utf-8", "replace")
    outcome.count(text, status, args.verbose or args.long)
    return outcome


def show(group, outcomes):
    for o in outcomes:
        if o.shown:
            print("\n".join(o.shown))
    print(f"{group:<16} {sum(o.passed for o in outcomes):5d} passed "
          f"{sum(o.failed for o in outcomes):3d} failed "
          f"{sum(o.seconds for o in outcomes):7.1f} s", flush=True)


def run_all(groups, args, env):
    """Every test's outcome, groups shown as they are complete."""
    order = {t: i for i, t in enumerate(FIRST)}
    tests = sorted((t for group in groups.values() for t in group),
                   key=lambda t: order.get(t, len(order)))
    side = [t for t in tests if t not in ALONE]
    done = {}

    def take(outcome):
        done[outcome.test] = outcome
        for group, mine in groups.items():
            if outcome.test in mine and all(t in done for t in mine):
                show(group, [done[t] for t in mine])

    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        started = [pool.submit(run_one, t, args, env) for t in side]
        for future in concurrent.futures.as_completed(started):
            take(future.result())
    for test in tests:
        if test in ALONE:
            take(run_one(test, args, env))
    return done.values()


def arguments():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--long", action="store_true", help="tests/long only")
    ap.add_argument("--bin", default="out/bin", help="programs under test")
    ap.add_argument("--tests", default="out/tests", help="compiled tests")
    ap.add_argument("-j", "--jobs", type=int, default=0,
                    help="tests side by side")
    ap.add_argument("-v", "--verbose", action="store_true")
    ap.add_argument("names", metavar="NAME", nargs="*")
    args = ap.parse_args()
    if args.jobs < 1:
        args.jobs = 1 if args.long else len(os.sched_getaffinity(0))
    return args


def main():
    args = arguments()
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
    start = time.monotonic()
    outcomes = run_all(chosen(args), args, env)
    print(f"# {time.monotonic() - start:.0f} s, "
          f"{sum(o.processor for o in outcomes):.0f} s of processor time")
    passed, failed, skipped = (sum(getattr(o, what) for o in outcomes)
                               for what in ("passed", "failed", "skipped"))
    tail = f", {skipped} skipped" if skipped else ""
    print(f"{passed} passed, {failed} failed{tail}")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
