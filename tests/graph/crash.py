#!/usr/bin/env python3
"""Killed at any instant, the next run ends where a clean build ends."""
import os
import random
import shutil
import signal
import subprocess
import time

from project import NINJA, Project, check, equal, main

KILLS = int(os.environ.get("QUERN_TEST_KILLS", "50"))
SEED = int(os.environ.get("QUERN_TEST_SEED", "1"))


def differences(a, b):
    return {n for n in a.keys() | b.keys() if a.get(n) != b.get(n)}


def leftovers(p):
    """Temporaries that a later run should have removed; state/ is only talk."""
    found = []
    for folder, _, files in os.walk(p.path(p.build)):
        if os.path.basename(folder) != "state":
            found += [os.path.join(folder, f) for f in files
                      if f.endswith(".tmp")]
    return found


def start(p, **env):
    """ninja in a process group of its own, with everything it starts."""
    return subprocess.Popen([NINJA, "-f", p.graph], cwd=p.top,
                            stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL,
                            env=p.environment(**env), start_new_session=True)


def members(session):
    """Processes of a session; steps have process groups of their own."""
    found = []
    for pid in os.listdir("/proc"):
        if not pid.isdigit():
            continue
        try:
            with open(f"/proc/{pid}/stat") as f:
                fields = f.read().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(pid))
    return found


def kill_tree(child):
    """SIGKILL to every process of the run, until none is left."""
    session = child.pid
    while True:
        alive = members(session)
        if not alive:
            break
        for pid in alive:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
    child.wait()


def clean_build(top):
    p = Project(os.path.join(top, "clean"))
    p.gen()
    started = time.monotonic()
    p.ninja()
    return p, time.monotonic() - started


def copy_of(clean, top):
    """The same project, with the same keys, before its first run."""
    place = os.path.join(top, "p")
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(clean.top, place, symlinks=True,
                    ignore=lambda d, names: [
                        n for n in names if d == clean.path("build") and
                        n not in ("quern.ninja", "policy.json", "stages",
                                  "keys")])
    p = object.__new__(Project)
    p.__dict__ = dict(clean.__dict__)
    p.top = place
    p.bin = os.path.join(place, "bin")
    p.log = os.path.join(place, "ran")
    p.gen()
    return p


def killed(top):
    """kill -9 of the whole tree at random instants, then a run equals a clean
    build byte for byte"""
    chance = random.Random(SEED)
    clean, seconds = clean_build(top)
    want = clean.snapshot()
    p = copy_of(clean, top)
    kills = interrupted = 0
    while kills < KILLS:
        child = start(p)
        try:
            child.wait(chance.uniform(0.0, seconds / 6))
        except subprocess.TimeoutExpired:
            interrupted += 1
        kill_tree(child)
        kills += 1
        # start over now and then, so that early stages are killed, too
        if child.returncode == 0 or kills % 10 == 0:
            p.ninja()
            equal(differences(p.snapshot(), want), set(),
                  f"after kill {kills}")
            equal(leftovers(p), [], "leftovers")
            p = copy_of(clean, top)
    check(interrupted >= KILLS * 2 // 3, "only", interrupted, "were running")
    p.ninja()
    equal(differences(p.snapshot(), want), set(), "at the end")


def killed_ninja(top):
    """kill -9 of ninja alone at random instants: the same"""
    chance = random.Random(SEED + 1)
    clean, seconds = clean_build(top)
    p = copy_of(clean, top)
    for _ in range(max(KILLS // 5, 5)):
        child = start(p)
        try:
            child.wait(chance.uniform(0.0, seconds / 6))
        except subprocess.TimeoutExpired:
            pass
        child.kill()
        child.wait()
    time.sleep(0.5)
    p.ninja()
    equal(differences(p.snapshot(), clean.snapshot()), set(), "outputs")


def killed_generator(top):
    """kill -9 of the generator at random instants: the next run puts all
    right"""
    chance = random.Random(SEED + 2)
    p = Project(top)
    p.gen()
    want = p.snapshot()
    for _ in range(max(KILLS // 2, 10)):
        shutil.rmtree(p.path("build/stages"))
        os.remove(p.path(p.graph))
        child = subprocess.Popen([os.path.join(p.bin, "quern-gen"), "-o",
                                  p.graph, "policy.yaml"], cwd=top)
        time.sleep(chance.uniform(0.0, 0.02))
        child.kill()
        child.wait()
        p.gen()
        equal(differences(p.snapshot(), want), set(), "files")


def terminated(top):
    """SIGTERM to ninja: steps stop, leave no temporaries, and the next run
    carries on"""
    clean, seconds = clean_build(top)
    p = copy_of(clean, top)
    child = start(p, QUERN_STAND_IN_SLEEP="quantize.q8.l001 30000")
    time.sleep(min(seconds, 5))
    child.terminate()
    child.wait(10)
    deadline = time.monotonic() + 5
    while members(child.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    equal(members(child.pid), [], "still running")
    equal(leftovers(p), [], "leftovers")
    p.ninja()
    equal(differences(p.snapshot(), clean.snapshot()), set(), "outputs")


def two_at_once(top):
    """two ninjas at once end with the outputs of one"""
    clean, _ = clean_build(top)
    p = copy_of(clean, top)
    both = [start(p), start(p)]
    for child in both:
        child.wait(120)
    p.log = os.path.join(top, "ran-again")
    p.ninja()
    equal(differences(p.snapshot(), clean.snapshot()), set(), "outputs")
    equal(leftovers(p), [], "leftovers")


if __name__ == "__main__":
    main([killed, killed_ninja, killed_generator, terminated, two_at_once])
