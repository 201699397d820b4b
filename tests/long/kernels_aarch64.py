#!/usr/bin/env python3
"""The kernels for 64-bit Arm under the address and undefined-behaviour
sanitizers: nothing is read behind weights, activations and vectors, whose
memory ends where they do (tests/tools/kernel_digests.c); the bits stay."""
import os
import sys

sys.path[:0] = ["tests/house", "tests/kernels"]
from house import main  # noqa: E402
from isa import HERE, QEMU, compare, cross_built, digests, needed  # noqa: E402

FLAGS = "-O1 -g1 -fsanitize=address,undefined -fno-sanitize-recover=all"
LINK = ["-fsanitize=address,undefined", "-static-libasan", "-static-libubsan"]
# where Debian's cross compilers have the shared libraries
ROOT = "/usr/aarch64-linux-gnu"


def sanitized():
    """the sanitizers find nothing, and every digest is that of this machine"""
    program = cross_built("out/aarch64-asan", FLAGS, LINK)
    # memory is looked through at the end by means that qemu does not have
    os.environ["ASAN_OPTIONS"] = "detect_leaks=0"
    compare([needed(QEMU), "-cpu", "max", "-L", ROOT, program],
            ["ref", "neon", "neon-dot"], digests(HERE, "ref"))


if __name__ == "__main__":
    main([sanitized])
