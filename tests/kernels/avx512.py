#!/usr/bin/env python3
"""The AVX-512 kernels on a machine without AVX-512: the bits of the others.

The files for AVX-512 are compiled once more, with a header that does each such
operation by two of AVX2 (tests/tools/simde, over Debian's SIMDe), and a cpu.c
that takes every instruction set of this architecture for present; the other
kernels are linked as they were built. The tests that compare instruction sets
then do so as they are. They and the kernels for AVX-512 run under the address
sanitizer: the header touches no lane that a mask leaves out, so what a kernel
reads too much is seen. On a machine that has AVX-512 those tests run the real
instructions too, wherever else they are run.
"""
import os
import platform
import subprocess
import sys

sys.path.insert(0, "tests/house")
from compilers import NINJA  # noqa: E402
from house import TESTS, Wrong, files, main, none  # noqa: E402
from isa import digests  # noqa: E402

OUT = "out/emulated"
BUILT = os.path.relpath(os.path.join(TESTS, "../obj"))
AVX2 = "-mavx2 -mfma -mf16c"
# by the end of a file's name; `supports` is the compiler's own otherwise
FLAGS = {"_avx512.c": AVX2 + " -w -O0 -Itests/tools/simde",
         "cpu.c": "'-D__builtin_cpu_supports(x)=1'"}
LEFT_OUT = ("gemm.c", "_neon.c")  # OpenBLAS's; another processor's
TWINS = ["act", "encode", "interleave", "matmul", "measure", "vec"]
DIGESTS = "tests/tools/kernel_digests.c"
RULES = """
builddir = {out}
cflags = -std=c11 -D_GNU_SOURCE -ffp-contract=off -O1 -g1 -Wno-psabi $
  -fsanitize=address -I.
rule cc
  command = gcc $cflags $flags -c -o $out $in
rule link
  command = gcc -fsanitize=address -o $out $in -lcmocka -lm
"""


def graph():
    """Ninja's statements for objects and programs; one that is compiled."""
    headers = " ".join(files(["kernels", "tests/kernels", "tests/tools/simde"],
                             ".h"))
    text, kernels = [RULES.format(out=OUT)], []

    def compiled(source):
        obj = f"{OUT}/{source[:-2]}.o"
        flags = "".join(v for k, v in FLAGS.items() if source.endswith(k))
        text.append(f"build {obj}: cc {source} | {headers}\n"
                    f"  flags = {flags}\n")
        return obj

    for source in files(["kernels"], ".c"):
        if source.endswith(tuple(FLAGS)):
            kernels.append(compiled(source))
        elif not source.endswith(LEFT_OUT):
            kernels.append(f"{BUILT}/{source[:-2]}.o")
    if not any(k.endswith("_avx512.o") for k in kernels):
        raise Wrong("no file for AVX-512 was found")
    for source in [f"tests/kernels/{name}.c" for name in TWINS] + [DIGESTS]:
        program = f"{OUT}/{os.path.basename(source)[:-2]}"
        text.append(f"build {program}: link {compiled(source)} "
                    f"{' '.join(kernels)}\n")
    return "".join(text)


def build():
    """kernels for AVX-512 compile against SIMDe"""
    os.makedirs(OUT, exist_ok=True)
    name = OUT + "/build.ninja"
    with open(name, "w", encoding="utf-8") as f:
        f.write(graph())
    p = subprocess.run([NINJA, "-f", name], text=True, errors="replace",
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if p.returncode != 0:
        raise Wrong(p.stdout)


def twins():
    """emulated, they give the bits of the portable code and read no more"""
    # leaks are not the question, and cannot be looked for under a debugger
    env = dict(os.environ, ASAN_OPTIONS="detect_leaks=0")
    passed = 0
    for name in TWINS:
        p = subprocess.run([f"{OUT}/{name}"], text=True, errors="replace",
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           env=env)
        if p.returncode != 0 or "not ok" in p.stdout:
            raise Wrong(f"{name}: exit status {p.returncode}\n{p.stdout}")
        passed += p.stdout.count("\nok ")
    return f"{passed} tests"


def same_digests():
    """so do they on the digests' inputs"""
    command = [f"{OUT}/kernel_digests"]
    expected, got = digests(command, "ref"), digests(command, "avx512")
    none([f"{k}: {got.get(k)} instead of {v}" for k, v in expected.items()
          if got.get(k) != v])
    return f"{len(got)} digests"


if __name__ == "__main__":
    if platform.machine() != "x86_64":
        print("1..0 # skip: AVX-512 belongs to x86-64")
    elif os.environ.get("QUERN_SANITIZED"):
        print("1..0 # skip: has its own sanitizer")
    else:
        main([build, twins, same_digests])
