#!/usr/bin/env python3
"""Fuzz the readers with libFuzzer, address and undefined-behaviour sanitizers.

usage: tests/fuzz/run.py [--seconds N] [TARGET ...]

Builds into out/fuzz with clang, then lets each target (default: all, one after
the other) look for N seconds (default 60) beyond its committed inputs. What is
found to be new is kept in out/fuzz/corpus/TARGET for the next time; an input
that breaks a promise is left in out/fuzz/crash-TARGET-*: mend it, then commit
it as tests/data/fuzz/TARGET/found-*, which `make check` replays.
Prints TAP; exit status 1 if a target was broken.
"""
import argparse
import glob
import os
import re
import subprocess
import sys

OUT = "out/fuzz"
GRAPH = OUT + ".ninja"
CHECKS = "address,undefined"
MOST_BYTES = {"model": 65536, "tokenizer": 16384}


def engine():
    """libFuzzer without a main: the generator is built with it, too."""
    return subprocess.run(
        ["clang", "-print-file-name=libclang_rt.fuzzer_no_main-x86_64.a"],
        check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def build(targets):
    subprocess.run(["out/bin/quern-gen", "--source", ".", "--out", OUT, "-o",
                    GRAPH, "--set", "CC=clang", "--set",
                    "CFLAGS=-O1 -gline-tables-only -DQUERN_FUZZER "
                    f"-fsanitize=fuzzer-no-link,{CHECKS} "
                    "-fno-sanitize-recover=all",
                    "--set", f"LDFLAGS=-fsanitize={CHECKS} -Wl,--whole-archive "
                    f"{engine()} -Wl,--no-whole-archive -lstdc++"], check=True)
    subprocess.run([os.environ.get("NINJA", "ninja"), "-f", GRAPH] +
                   [f"{OUT}/tests/fuzz/{t}" for t in targets], check=True,
                   stdout=subprocess.DEVNULL)


def fuzz(target, seconds):
    """(whether nothing was found, what libFuzzer counted)"""
    corpus = f"{OUT}/corpus/{target}"
    os.makedirs(corpus, exist_ok=True)
    command = [f"{OUT}/tests/fuzz/{target}", f"-max_total_time={seconds}",
               "-timeout=20", "-rss_limit_mb=2048", "-print_final_stats=1",
               f"-max_len={MOST_BYTES.get(target, 4096)}",
               f"-artifact_prefix={OUT}/crash-{target}-"]
    for words in (f"tests/fuzz/{target}.dict", "tests/fuzz/safetensors.dict"):
        if os.path.exists(words):
            command.append(f"-dict={words}")
            break
    p = subprocess.run(command + [corpus, f"tests/data/fuzz/{target}"],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       text=True, errors="replace")
    with open(f"{OUT}/{target}.log", "w") as f:
        f.write(p.stdout)
    said = dict(re.findall(r"^stat::(\w+):\s+(\d+)", p.stdout, re.M))
    cover = re.findall(r"cov: (\d+)", p.stdout)
    return p.returncode == 0, (
        f"{said.get('number_of_executed_units', '?')} inputs, "
        f"{cover[-1] if cover else '?'} places reached, "
        f"{len(os.listdir(corpus))} inputs kept")


def main():
    os.chdir(os.path.dirname(os.path.dirname(os.path.dirname(
        os.path.abspath(__file__)))))
    known = sorted(os.path.basename(f)[:-2]
                   for f in glob.glob("tests/fuzz/*.c")
                   if not f.endswith("/driver.c"))
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--seconds", type=int, default=60)
    ap.add_argument("targets", nargs="*", metavar="TARGET")
    args = ap.parse_args()
    targets = args.targets or known
    unknown = [t for t in targets if t not in known]
    if unknown:
        ap.error(f"no target '{unknown[0]}'; there are {', '.join(known)}")
    build(targets)
    broken = 0
    for i, target in enumerate(targets, 1):
        ok, counts = fuzz(target, args.seconds)
        broken += not ok
        print(f"{'ok' if ok else 'not ok'} {i} - {target}: {args.seconds} s, "
              f"{counts}", flush=True)
        if not ok:
            print(f"# see {OUT}/{target}.log")
    print(f"1..{len(targets)}")
    return broken > 0


if __name__ == "__main__":
    sys.exit(main())
