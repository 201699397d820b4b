#!/usr/bin/env python3
"""Every kernel gives the same bits on every instruction set and processor.

tests/tools/kernel_digests prints one line for each kernel, type and shape. Its
lines are compared between the instruction sets of this machine, and with those
of the same program compiled for another processor and run by qemu's user mode.
"""
import os
import platform
import shutil
import subprocess
import sys

sys.path.insert(0, "tests/house")
from compilers import NINJA, WARNINGS  # noqa: E402
from house import BIN, TESTS, Wrong, files, main, none, run  # noqa: E402

HERE = [os.path.join(TESTS, "tools", "kernel_digests")]
CROSS, QEMU = "aarch64-linux-gnu-gcc", "qemu-aarch64"
# what libraries that are not there for the other processor would be needed for
LEFT_OUT = {"gemm.o"}
LEAST = 2500


def digests(command, isa):
    """{kernel, type and shape: digest} of one instruction set."""
    head, *lines = run([*command, isa]).splitlines()
    if head != f"isa {isa}":
        raise Wrong(f"asked for {isa}, got '{head}'")
    found = dict(line.rsplit(" ", 1) for line in lines)
    if len(found) != len(lines) or len(lines) < LEAST:
        raise Wrong(f"{isa}: {len(lines)} lines, {len(found)} of them unlike")
    return found


def can_run(command):
    """Names of the instruction sets that a program finds on its processor."""
    return run([*command, "-l"]).split()


def compare(command, isas, expected):
    """Wrong unless each of isas gives what is expected."""
    found = []
    for isa in isas:
        got = digests(command, isa)
        found += [f"{isa}: {k}: {got.get(k)} instead of {v}"
                  for k, v in expected.items() if got.get(k) != v]
        found += [f"{isa}: {k}: only here"
                  for k in got.keys() - expected.keys()]
    none(found[:20] + [f"... {len(found)} in all"] if found else [])


def here():
    """the instruction sets of this machine agree"""
    isas, expected = can_run(HERE), digests(HERE, "ref")
    compare(HERE, [isa for isa in isas if isa != "ref"], expected)
    return f"{len(expected)} digests: {' '.join(isas)}"


def needed(program):
    if shutil.which(program) is None:
        raise Wrong(f"{program} is not there; install docs/packages.txt")
    return program


def cross_built(out, flags, link):
    """The program for aarch64 in folder out, compiled as the generator says."""
    graph, program = out + ".ninja", out + "/kernel_digests"
    run([os.path.join(BIN, "quern-gen"), "--source", ".", "--out", out, "-o",
         graph, "--set", "ARCH=aarch64", "--set", "CC=" + needed(CROSS),
         "--set", "CFLAGS=" + flags, "--set",
         "WARNINGS=-Werror " + " ".join(WARNINGS.split())])
    every = run([NINJA, "-f", graph, "-t", "targets", "rule",
                 "quern_cc"]).split()
    objects = [o for o in every if o.startswith(out + "/obj/kernels/") and
               os.path.basename(o) not in LEFT_OUT]
    none([f"{o}: is for another processor" for o in objects
          if o.endswith(("_avx2.o", "_avx512.o"))] +
         [f"{end}: nothing is compiled for it" for end in
          ("_dot_neon.o", "/vec_neon.o")
          if not any(o.endswith(end) for o in objects)])
    objects.append(out + "/obj/tests/tools/kernel_digests.o")
    p = subprocess.run([NINJA, "-f", graph, *objects], text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if p.returncode != 0:
        raise Wrong(p.stdout)
    run([CROSS, *link, "-o", program, *objects, "-lm"])
    return program


def aarch64():
    """64-bit Arm agrees, compiled by the cross compiler and run by qemu, also
    as a processor that has nothing but the first instruction set"""
    program = cross_built("out/aarch64", "-O2", ["-static"])
    new, old = ([needed(QEMU), "-cpu", cpu, program]
                for cpu in ("max", "cortex-a53"))
    if can_run(new) != ["ref", "neon", "neon-dot"] or \
            can_run(old) != ["ref", "neon"]:
        raise Wrong(f"new: {can_run(new)}, old: {can_run(old)}")
    expected = digests(HERE, "ref")
    compare(old, ["neon"], expected)
    compare(new, ["ref", "neon-dot"], expected)
    return f"{len(expected)} digests: {' '.join(can_run(new))}"


def other_compiler():
    """clang finds nothing to say about the files for NEON either"""
    for path in files(["kernels"], "_neon.c", "cpu.c"):
        flags = ["-march=armv8.2-a+dotprod"] if "_dot_" in path else []
        run([needed("clang"), "--target=aarch64-linux-gnu", "-fsyntax-only",
             "-std=c11", "-D_GNU_SOURCE", *WARNINGS.split(), *flags, "-I.",
             path])


if __name__ == "__main__":
    # what is compiled for Arm here has no sanitizers
    both = platform.machine() == "x86_64" and \
        not os.environ.get("QUERN_SANITIZED")
    main([here] + ([aarch64, other_compiler] if both else []))
