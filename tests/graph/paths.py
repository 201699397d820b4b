#!/usr/bin/env python3
"""Paths of people may hold anything but a line break."""
import os
import shutil

from project import (POLICY, Project, check, equal, main, settle)

NAMES = ["a b", "it's", 'say "hi"', "$HOME", "c:d", "x|y", "a&b;c", "(1)",
         "back\\slash", "t`ick", "#hash", "ü", "a=b", "-dash", "@at", "~t",
         "star*", "q?", "<in>", "%s", "$$", "trail "]
PLAIN = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/-"


def quoted(name):
    return "'" + name.replace("'", "''") + "'"


def odd_project(top, name):
    """Everything that a person names is called NAME."""
    text = POLICY.replace("source: model", "source: " + quoted(name + "/m"))
    text = text.replace("data/", "DATA/")
    for data in ("valid.txt calibration.jsonl traffic.jsonl facts.jsonl "
                 "facts-more.jsonl reasoning.jsonl instructions.jsonl "
                 "retrieval.jsonl edge.jsonl").split():
        text = text.replace("DATA/" + data, quoted(f"{name}/{data}"))
    text = text.replace("keys/modeling", quoted(name + "/k1"))
    text = text.replace("keys/platform", quoted(name + "/k2"))
    text = text.replace("store: store", "store: " + quoted(name + "/store"))
    p = Project(os.path.join(top, "p " + name), build=name + " out")
    for old, new in ("model", "m"), ("keys/modeling", "k1"), \
            ("keys/platform", "k2"):
        os.makedirs(p.path(name), exist_ok=True)
        os.rename(p.path(old), p.path(f"{name}/{new}"))
    for data in os.listdir(p.path("data")):
        os.rename(p.path("data/" + data), p.path(f"{name}/{data}"))
    p.put("policy.yaml", text)
    p.graph = os.path.join(p.build, "quern.ninja")
    return p


def odd_names(top):
    """policy, sources, keys, build folder and programs with awkward names"""
    for name in NAMES:
        p = odd_project(top, name)
        p.gen()
        ran, _ = p.ninja()
        check(len(ran) > 40, name, ran)
        for made in p.snapshot():
            check(all(c in PLAIN for c in made), "quern made", made)
        ran, _ = p.ninja()
        equal(ran, set(), name + ", again")
        settle()
        p.put(f"{name}/edge.jsonl", "else\n")
        ran, _ = p.ninja()
        check("stress.q4k.edge" in ran, name, ran)
        shutil.rmtree(p.top)


def line_break(top):
    """a line break in a path is refused with the reason"""
    p = Project(top)
    p.edit("source: model", 'source: "mo\\ndel"')
    err = p.gen(ok=False).stderr
    check("not one line" in err, err)


def other_root(top):
    """--root: the graph is made for another folder to run ninja in"""
    p = Project(os.path.join(top, "deep/er"))
    p.gen("--root", "../..")
    p.graph = "deep/er/build/quern.ninja"
    p.log = os.path.join(top, "ran")
    p.top = top
    ran, _ = p.ninja()
    check(len(ran) > 40, ran)
    check(os.path.exists(os.path.join(top, "deep/er/build/release.json")))
    settle()
    # it makes itself again from up there
    path = "deep/er/policy.yaml"
    p.put(path, p.get(path).replace("pooled-drop: 2", "pooled-drop: 3"))
    ran, _ = p.ninja()
    check("gate.q4k" in ran and "quantize.q4k.l000" not in ran, ran)


def absolute(top):
    """absolute names below the root are the same files as relative ones"""
    p = Project(top)
    p.gen()
    with open(p.path(p.graph)) as f:
        relative = f.read()
    p.edit("source: model", f"source: {top}/model")
    p.gen()
    with open(p.path(p.graph)) as f:
        equal(f.read(), relative, "graph")


if __name__ == "__main__":
    main([odd_names, line_break, other_root, absolute])
