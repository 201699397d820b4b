#!/usr/bin/env python3
"""What the sources must not hold: unsafe calls, notes to self, long files."""
import os
import re
import subprocess

from house import CODE, files, lines, main, none

CALLS = re.compile(r"\b(strcpy|strcat|strncpy|strncat|sprintf|vsprintf|strtok|"
                   r"atoi|atol|atoll|atof|gets|gmtime|localtime|asctime|ctime|"
                   r"rand|srand|tmpnam|mktemp|alloca)\s*\(")
NOTES = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
# places of one machine: a test of such a name writes it in two parts
PLACES = re.compile(r"(?<![\w.$})])/(work|root|home/\w+|Users)/")
TEXT = (".c", ".h", ".py", ".sh", ".mjs", ".md", ".yaml", ".yml", ".txt",
        ".1", ".in", ".ninja", ".tsv")
MOST_LINES = 700
MOST_COLUMNS = 100
GENERATED = ("tests/data/", "examples/pebble/data/", "examples/pebble/model/",
             "tests/interop/prompts/")


def code(line):
    """The line without its strings and comments, as far as one line tells."""
    line = re.sub(r'"(\\.|[^"\\])*"', '""', line)
    line = re.sub(r"/\*.*?\*/", "", line)
    line = re.sub(r"(/\*|//).*", "", line)
    return "" if line.lstrip().startswith("* ") else line


def tracked():
    """Files a person wrote: git's list, or, in a tarball, what is there."""
    p = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"],
                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                       text=True)
    names = p.stdout.split("\n") if p.returncode == 0 else \
        files(CODE + ["tests", "docs", "policies", "examples"], *TEXT)
    return [n for n in names if n.endswith(TEXT) and os.path.isfile(n) and
            not n.startswith(GENERATED)]


def calls():
    """no call that cannot be bounded or keeps hidden state"""
    none([f"{path}:{n}: {line.strip()}"
          for path in files(CODE + ["tests"], ".c", ".h")
          for n, line in lines(path) if CALLS.search(code(line))])


def notes():
    """nothing is left for later in the text"""
    none([f"{path}:{n}: {line.strip()[:100]}" for path in tracked()
          for n, line in lines(path) if NOTES.search(line)])


def places():
    """no path of somebody's machine"""
    none([f"{path}:{n}: {line.strip()[:100]}" for path in tracked()
          for n, line in lines(path) if PLACES.search(line)])


def lengths():
    """files keep to one subject: 700 lines at most; no line runs out of sight
    """
    found = []
    for path in files(CODE, ".c", ".h"):
        text = lines(path)
        if len(text) > MOST_LINES:
            found.append(f"{path}: {len(text)} lines")
    for path in files(CODE + ["tests"], ".c", ".h", ".py"):
        if not path.startswith(GENERATED):
            found += [f"{path}:{n}: {len(line)} columns"
                      for n, line in lines(path) if len(line) > MOST_COLUMNS]
    none(found)


def spaces():
    """no tabs, no blanks at the end of a line, one newline at the end"""
    found = []
    for path in files(CODE + ["tests"], ".c", ".h", ".py"):
        if path.startswith(GENERATED):
            continue
        with open(path, encoding="utf-8") as f:
            text = f.read()
        found += [f"{path}:{n}: tab or blank" for n, line in
                  enumerate(text.split("\n"), 1)
                  if "\t" in line or line != line.rstrip()]
        if text and (not text.endswith("\n") or text.endswith("\n\n")):
            found.append(f"{path}: its end is not one newline")
    none(found)


if __name__ == "__main__":
    main([calls, notes, places, lengths, spaces])
