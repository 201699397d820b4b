#!/usr/bin/env python3
"""A manual page for every program, right in form and telling all that -h does.
"""
import os
import re
import subprocess

from house import BIN, built, files, main, none, programs, run


def pages():
    """program -> page"""
    found = {}
    for name, source in programs().items():
        folder = os.path.dirname(source)
        base = os.path.basename(source)[:-2]
        found[name] = os.path.join(
            folder, ("gen" if base == "main" else base) + ".1")
    return found


def there():
    """every program has its page beside it, and no page lacks a program"""
    want = set(pages().values())
    have = set(files(["steps", "commands", "gen"], ".1"))
    none([f"{p}: missing" for p in sorted(want - have)] +
         [f"{p}: of no program" for p in sorted(have - want)])
    return f"{len(want)} pages"


def lint():
    """mandoc finds nothing to warn about"""
    found = []
    for page in sorted(pages().values()):
        if os.path.exists(page):
            p = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page],
                               capture_output=True, text=True)
            found += (p.stdout + p.stderr).splitlines()
    none(found)


def parts():
    """each has its name, synopsis, description, exit status, example and
    references, and calls the program by its name"""
    found = []
    for name, page in pages().items():
        if not os.path.exists(page):
            continue
        with open(page) as f:
            text = f.read()
        for part in ("NAME", "SYNOPSIS", "DESCRIPTION", "EXIT STATUS",
                     "EXAMPLES", "SEE ALSO"):
            if f".Sh {part}\n" not in text:
                found.append(f"{page}: no {part}")
        if f".Dt {name.upper()} 1\n" not in text:
            found.append(f"{page}: its title is not {name.upper()} 1")
        if not re.search(rf"^\.Nm {name}( ,)?$", text, re.M):
            found.append(f"{page}: is not named {name}")
        for other in re.findall(r"^\.Xr (quern[-a-z]*) 1", text, re.M):
            if other not in pages():
                found.append(f"{page}: refers to {other}, which is not there")
    none(found)


def in_page(page):
    """The page as a person reads it."""
    text = run(["mandoc", "-T", "ascii", "-O", "width=1000", page])
    return re.sub(".\b", "", text)


def options():
    """options and parameters that -h prints are in the page, and no others"""
    found = []
    for name in built():
        page = pages()[name]
        if not os.path.exists(page):
            continue
        usage = run([os.path.join(BIN, name), "-h"])
        text = in_page(page)
        flag = r"(?<![\w-])(--?[A-Za-z][\w-]*)"
        said = set(re.findall(flag, usage)) - {"-h", "--help"}
        told = set(re.findall(flag, text)) - {"-h", "--help"}
        if "@STAGE_FILE" in usage:   # a step's options are every step's
            said, told = set(), set()
        found += [f"{page}: lacks {o}" for o in sorted(said - told)]
        if name != "quern":     # which hands its options on
            found += [f"{page}: {o} is no option of {name}"
                      for o in sorted(told - said) if not of_others(page, o)]
        # inputs are told by -h alone; what a person may set is in the page
        part = usage.partition("\nparameters (--set)\n")[2]
        names = re.findall(r"^  ([a-z][\w.*-]*)(?:  \(required\))?$", part,
                           re.M)
        found += [f"{page}: lacks {n}" for n in names
                  if not re.search(rf"=({re.escape(n.rstrip('*'))})", text)]
    none(found)


def of_others(page, option):
    """Whether the page names the option in a literal line of another program.
    """
    with open(page) as f:
        for line in f:
            if line.startswith((".Dl", ".Ql", ".Li")) and option in line:
                return True
    return False


if __name__ == "__main__":
    main([there, lint, parts, options])
