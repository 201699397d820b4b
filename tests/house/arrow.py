#!/usr/bin/env python3
"""kernels <- lib <- steps, commands and gen: nothing upward or sideways.

Read from the #include lines, which the generator follows too. A few includes
of the system's are held to their one file as well.
"""
import os
import re

from house import CODE, files, lines, main, none

INCLUDE = re.compile(r'\s*#\s*include\s*(["<])([^">]+)[">]')

# what a folder may include beside itself
MAY = {
    "kernels": set(),
    "lib/base": set(),
    "lib/format": {"lib/base", "kernels"},
    "lib/text": {"lib/base", "kernels"},
    "lib/model": {"lib/base", "lib/format", "lib/text", "kernels"},
    "lib/judge": {"lib/base"},
    "lib/record": {"lib/base"},
    "lib/inspect": {"lib/base", "lib/format", "lib/text", "lib/model",
                    "lib/record"},
    "gen": {"lib/base", "lib/format", "lib/model", "lib/record"},
    "steps": {"kernels", "lib/base", "lib/format", "lib/text", "lib/model",
              "lib/judge", "lib/record"},
    "commands": {"kernels", "lib/base", "lib/format", "lib/text", "lib/model",
                 "lib/judge", "lib/record", "lib/inspect"},
}
# a program is one file: it includes nothing of its own folder
ALONE = {"steps", "commands"}
# libraries that one file, or one folder, sees
SEEN_BY = {
    "cblas.h": "kernels/gemm.c",
    "dlfcn.h": "kernels/gemm.c",
    "sodium.h": "lib/record/sign.c",
    "git2.h": "lib/record/git.c",
    "libfyaml.h": "gen/yaml.c",
    "openssl/evp.h": "lib/base/hash.c",
    "pcre2.h": "lib/text/regex.c",
    "utf8proc.h": "lib/text/",
    "pthread.h": "lib/base/",
    "immintrin.h": ("kernels/", "lib/base/hash_two.c"),
    "arm_neon.h": "kernels/",
}
# kernels are arithmetic on arrays: of libc they need only this
KERNELS = {"assert.h", "cblas.h", "dlfcn.h", "float.h", "immintrin.h",
           "arm_neon.h",
           "arm_acle.h", "math.h", "stdalign.h", "stdatomic.h", "stdbool.h",
           "stddef.h", "stdint.h", "stdlib.h", "string.h", "unistd.h",
           "sys/auxv.h"}


def home(path):
    """kernels, lib/base, gen ..."""
    parts = path.split("/")
    return "/".join(parts[:2]) if parts[0] == "lib" else parts[0]


def includes():
    for path in files(CODE, ".c", ".h"):
        for number, line in lines(path):
            m = INCLUDE.match(line)
            if m:
                yield path, f"{path}:{number}", m[1] == '"', m[2]


def upward():
    """each folder includes only what lies below it"""
    found, seen = [], 0
    for path, at, ours, name in includes():
        if not ours:
            continue
        seen += 1
        if not os.path.exists(name):
            found.append(f"{at}: '{name}' is not named from the root")
        elif home(path) not in MAY:
            found.append(f"{at}: folder '{home(path)}' has no place in the "
                         "order; give it one in tests/house/arrow.py")
        elif home(name) != home(path) and home(name) not in MAY[home(path)]:
            found.append(f"{at}: {home(path)} may not include '{name}'")
    none(found)
    return f"{seen} includes"


def sideways():
    """no program includes another, and nobody a .c file or a test"""
    found = []
    for path, at, ours, name in includes():
        if ours and (home(name) in ALONE or name.endswith(".c") or
                     name.startswith("tests/")):
            found.append(f"{at}: '{name}'")
    none(found)


def once():
    """each outside library is seen by one file, or by one folder"""
    found = []
    for path, at, ours, name in includes():
        place = SEEN_BY.get(name)
        if not ours and place and not path.startswith(place):
            found.append(f"{at}: <{name}> belongs to {place}")
    none(found)


def arithmetic():
    """kernels know arrays only: no files, no text, no threads, no memory of
    their own"""
    found = [f"{at}: <{name}>" for path, at, ours, name in includes()
             if not ours and home(path) == "kernels" and name not in KERNELS]
    calls = re.compile(r"\b(malloc|calloc|realloc|free|printf|fopen|open)\s*\(")
    for path in files(["kernels"], ".c", ".h"):
        found += [f"{path}:{n}: {line.strip()}" for n, line in lines(path)
                  if calls.search(line) and not line.lstrip().startswith("*")]
    none(found)


def headers():
    """a header has a guard, and its own .c file includes it first"""
    found = []
    for path in files(CODE, ".h"):
        text = [line for _, line in lines(path)]
        guards = [line.split()[1] for line in text if line.startswith("#ifndef")]
        if not guards or f"#define {guards[0]}" not in text:
            found.append(f"{path}: no guard")
    first = {}
    for path, at, ours, name in includes():
        first.setdefault(path, (at, name))
    for path, (at, name) in first.items():
        own = path[:-1] + "h"
        if path.endswith(".c") and os.path.exists(own) and name != own:
            found.append(f"{at}: '{own}' comes first, not '{name}'")
    none(found)


if __name__ == "__main__":
    main([upward, sideways, once, arithmetic, headers])
