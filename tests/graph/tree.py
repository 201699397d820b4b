#!/usr/bin/env python3
"""In the source tree one graph compiles the programs and runs the stages.

Works on a copy of the tree and of what is compiled already, in which the steps
are replaced by stand-ins, so that little has to be compiled.
"""
import os
import shlex
import shutil
import subprocess

from project import (PROBES, STEPS, Project, check, equal, main, settle,
                     stages_started)


def files_of_tree():
    out = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"],
                         capture_output=True, text=True)
    if out.returncode == 0:
        return [f for f in out.stdout.splitlines() if os.path.isfile(f)]
    found = []
    for folder, folders, files in os.walk("."):
        folders[:] = [f for f in folders if f not in ("out", ".git")]
        found += [os.path.relpath(os.path.join(folder, f)) for f in files]
    return found


def copy(name, top):
    place = os.path.join(top, name)
    os.makedirs(os.path.dirname(place), exist_ok=True)
    shutil.copy2(name, place)


class Tree(Project):
    def __init__(self, top):
        for name in files_of_tree():
            if not name.startswith(("examples/", "tests/data/")):
                copy(name, top)
        for folder in "out/obj/lib", "out/obj/kernels", "out/obj/gen":
            shutil.copytree(folder, os.path.join(top, folder))
        for name in ("out/bin/quern-gen", "out/libquern.a", "build.ninja",
                     "out/libquern-gen.a", "out/.ninja_log"):
            copy(name, top)
        for step in STEPS:
            if step not in ("fingerprint", "hardware"):
                shutil.copy("tests/tools/stand_in.c",
                            os.path.join(top, f"steps/{step}.c"))
        inner = Project(os.path.join(top, "p"))
        shutil.rmtree(inner.path("build"))
        self.top = top
        self.log = os.path.join(top, "ran")
        self.build = "out/p"
        self.graph = "build.ninja"
        self.make_graph()
        run = subprocess.run([os.path.join(os.getcwd(), "out/bin/quern-waive"),
                              "-k", "p/keys/modeling", "-C", "out/p"],
                             cwd=top, capture_output=True, text=True)
        equal(run.returncode, 0, run.stderr)

    def make_graph(self):
        """With the compiler and flags that the tree was built with."""
        with open("build.ninja") as f:
            again = [line for line in f if line.startswith("  quern_again")]
        words = shlex.split(again[0].split(" = ", 1)[1])
        settings = [w for i, w in enumerate(words)
                    if "--set" in words[max(i - 1, 0):i + 1]]
        p = subprocess.run([os.path.abspath("out/bin/quern-gen"), "--source",
                            ".", *settings, "--build", "out/p",
                            "p/policy.yaml"], cwd=self.top,
                           capture_output=True, text=True)
        equal(p.returncode, 0, p.stderr)

    def make(self):
        """Only the stages and what they need; not tools and commands."""
        return self.ninja("quern_tiny")

    def append(self, name, text):
        settle()
        with open(self.path(name), "a") as f:
            f.write(text)


def more(name):
    """A function that nobody calls."""
    return (f"int more_{name}(void);\nint\nmore_{name}(void)\n"
            "{\n    return 1;\n}\n")


def compiled(out):
    """What was compiled, archived, linked, without folders of the output."""
    return {s for s in stages_started(out) if s.startswith(("cc ", "ar ",
                                                            "link "))}


def one_graph(top):
    """a program's edit re-runs its stages, a kernel's only what uses it, and
    a comment nothing"""
    t = Tree(top)
    ran, out = t.make()
    check(len(ran) > 40 and "link out/bin/quern-gate" in out, out)
    ran, out = t.make()
    equal((ran, stages_started(out)), (set(), PROBES), "second run")

    t.append("steps/gate.c", "/* a remark */\n")
    ran, out = t.make()
    equal(ran, set(), "a comment in gate")
    equal(compiled(out), {"cc out/obj/steps/gate.o"}, "a comment in gate")

    t.append("steps/gate.c", more("gate"))
    ran, out = t.make()
    equal(ran, {"gate.q4k", "gate.q4k.first", "gate.q8", "gate.q8.first",
                "release"}, "gate's code")
    equal(compiled(out), {"cc out/obj/steps/gate.o",
                          "link out/bin/quern-gate"}, "gate's code")

    t.append("kernels/qtype.c", more("qtype"))
    ran, out = t.make()
    # at most another record of a probe, which the release reads
    check(ran <= {"release"}, "a kernel that no stage here calls", ran)
    check({"cc out/obj/kernels/qtype.o", "ar out/libquern.a"} <=
          compiled(out), out)

    t.append("lib/base/hash.c", more("hash"))
    ran, _ = t.make()
    check(len(ran) > 40, "a file that every step uses", ran)


def files_come_and_go(top):
    """a new file, a new header and a file that is gone regenerate the graph"""
    t = Tree(top)
    t.make()
    settle()
    t.put("steps/fresh.c", '#include "steps/fresh.h"\n'
          "int\nmain(void)\n{\n    return FRESH;\n}\n")
    t.put("steps/fresh.h", "#define FRESH 0\n")
    _, out = t.ninja("out/bin/quern-fresh")
    check("link out/bin/quern-fresh" in out, out)
    settle()
    t.put("steps/fresh.h", "#define FRESH 1\n")
    _, out = t.ninja("out/bin/quern-fresh")
    equal(compiled(out), {"cc out/obj/steps/fresh.o",
                          "link out/bin/quern-fresh"}, "its header changed")
    settle()
    os.remove(t.path("steps/fresh.c"))
    os.remove(t.path("steps/fresh.h"))
    _, out = t.make()
    check("graph build.ninja" in out, out)
    _, out = t.ninja("out/bin/quern-fresh", ok=False)


def new_part_of_the_generator(top):
    """a file added to the generator itself is compiled in, not stuck on"""
    t = Tree(top)
    t.make()
    settle()
    t.put("gen/fresh.h", "int fresh(void);\n")
    t.put("gen/fresh.c", '#include "gen/fresh.h"\n\n'
          "int\nfresh(void)\n{\n    return 1;\n}\n")
    t.append("gen/main.c", '#include "gen/fresh.h"\n'
             "int use(void);\nint\nuse(void)\n{\n    return fresh();\n}\n")
    _, out = t.make()
    check("cc out/bin/quern-gen" in out, out)


if __name__ == "__main__":
    main([one_graph, files_come_and_go, new_part_of_the_generator])
