#!/usr/bin/env python3
"""A bigger build takes quern's graph in by `subninja`."""
import os
import shutil
import subprocess

from project import (NINJA, PROBES, Project, check, equal, main, settle,
                     stages_started)


class Monorepo:
    """examples/monorepo beside a small model, with stand-ins for steps."""

    def __init__(self, top):
        self.inner = Project(os.path.join(top, "tools"))
        self.top = os.path.join(top, "examples/monorepo")
        shutil.copytree("examples/monorepo", self.top)
        data = os.path.join(top, "examples/pebble/data")
        os.makedirs(os.path.join(data, "suites"))
        for name in "valid.txt", "calib_pool.jsonl", "traffic.jsonl", \
                "suites/facts.jsonl":
            with open(os.path.join(data, name), "w") as f:
                f.write(name + "\n")
        shutil.copytree(self.inner.path("model"),
                        os.path.join(top, "examples/pebble/model"))
        shutil.copytree(self.inner.path("keys"),
                        os.path.join(self.top, "model/keys"))
        self.gen(ok=None)
        self.tool("waive", "-k", "model/keys/platform", "-C", "model/build")
        self.gen()

    def tool(self, name, *args, ok=True):
        where = self.inner.bin if name == "gen" else \
            os.environ.get("QUERN_BIN", os.path.join(os.getcwd(), "out/bin"))
        p = subprocess.run([os.path.join(where, "quern-" + name), *args],
                           cwd=self.top, capture_output=True, text=True)
        check(ok is None or (p.returncode == 0) == ok, name, p.stderr)

    def gen(self, ok=True):
        self.tool("gen", "--root", ".", "-o", "model/build/quern.ninja",
                  "model/policy.yaml", ok=ok)

    def ninja(self, *args):
        if os.path.exists(self.inner.log):
            os.remove(self.inner.log)
        p = subprocess.run([NINJA, *args], cwd=self.top, capture_output=True,
                           text=True, env=self.inner.environment())
        check(p.returncode == 0, p.stdout, p.stderr)
        return self.inner.ran(), p.stdout

    def edit(self, name, old, new):
        path = os.path.join(self.top, name)
        settle()
        with open(path) as f:
            text = f.read()
        check(text.count(old) == 1, old)
        with open(path, "w") as f:
            f.write(text.replace(old, new))


def together(top):
    """the example builds the program, the model and the bundle of both"""
    m = Monorepo(top)
    ran, out = m.ninja()
    check("release" in ran and "cc build/describe" in out, ran, out)
    check(os.path.exists(os.path.join(m.top, "build/bundle.txt")))
    ran, out = m.ninja()
    equal(ran, set(), "again")
    equal(stages_started(out), PROBES, "started")


def parts(top):
    """the program's part and the model's part do not re-run each other"""
    m = Monorepo(top)
    m.ninja()
    m.edit("app/describe.c", "/* Prints the lines", "/* Shows the lines")
    ran, out = m.ninja()
    equal(ran, set(), "an edited program")
    check("cc build/describe" in out and "bundle" in out, out)
    m.edit("model/policy.yaml", "pooled-drop: 3", "pooled-drop: 2")
    ran, out = m.ninja()
    equal(ran, {"gate.q8", "choose", "report", "release"}, "a tighter budget")
    check("cc build/describe" not in out and "bundle" in out, out)


def regenerates(top):
    """an edited policy takes effect in the same run of the outer ninja"""
    m = Monorepo(top)
    m.ninja()
    m.edit("model/policy.yaml", "candidates:\n", "candidates:\n  - {name: q4, "
           "type: Q4_0, method: rtn, because: a test}\n")
    ran, _ = m.ninja()
    check("assemble.q4" in ran and "gate.q4" in ran, ran)
    check("assemble.q8" not in ran, ran)


def two_models(top):
    """two models in one outer build do not clash"""
    m = Monorepo(top)
    shutil.copytree(os.path.join(m.top, "model"),
                    os.path.join(m.top, "second"))
    shutil.rmtree(os.path.join(m.top, "second/build"))
    m.edit("second/policy.yaml", "name: helper\nprofile",
           "name: other\nprofile")
    m.tool("gen", "--root", ".", "-o", "second/build/quern.ninja",
           "second/policy.yaml", ok=None)
    m.tool("waive", "-k", "second/keys/platform", "-C", "second/build")
    m.tool("gen", "--root", ".", "-o", "second/build/quern.ninja",
           "second/policy.yaml")
    m.edit("build.ninja", "build build.ninja: phony model/build/quern.ninja",
           "subninja second/build/quern.ninja\n"
           "build build.ninja: phony model/build/quern.ninja "
           "second/build/quern.ninja")
    p = subprocess.run([NINJA, "quern_helper", "quern_other"], cwd=m.top,
                       capture_output=True, text=True)
    equal(p.returncode, 0, p.stdout)
    check(os.path.exists(os.path.join(m.top, "second/build/release.json")))


if __name__ == "__main__":
    main([together, parts, regenerates, two_models])
