#!/usr/bin/env python3
"""A policy becomes a signed release, and whatever then happens to it is found:
releasing, refusing, being killed, rolling back, verifying."""
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.getcwd(), "tests/steps"))
from released import (BIN, PREFIX, Project, check, equal, main,  # noqa: E402
                      read, run)


def prepare(top):
    """A release in a repository that people work in: a branch, changes."""
    p = Project(top).make()
    run(["git", "init", "-q", "-b", "main", p.repo], top)
    for name in "kept", "staged", "edited":
        p.put("repo/" + name, "one\n")
    p.git("add", ".")
    p.git("commit", "-q", "-m", "work of people")
    p.put("repo/staged", "two\n")
    p.git("add", "staged")
    p.put("repo/edited", "two\n")
    p.put("repo/untracked", "two\n")
    p.git("status")
    p.put("before.json", json.dumps(people(p)))
    p.copy(top + ".unreleased")
    p.ninja()
    return p


def people(p):
    """All of the repository that is not quern's."""
    found = {"index": read(p.path("repo/.git/index"), "rb").hex(),
             "status": p.git("--no-optional-locks", "status", "--porcelain",
                             "-b"),
             "head": read(p.path("repo/.git/HEAD")),
             "config": read(p.path("repo/.git/config")),
             "refs": p.git("for-each-ref", "refs/heads/main", "refs/tags")}
    for name in "kept", "staged", "edited", "untracked":
        found[name] = read(p.path("repo", name))
    return found


def linear(p, n):
    """Releases 0 to n - 1, each the only parent of the next; live is the last."""
    oids = p.releases()
    equal(len(oids), n, "releases")
    for i, oid in enumerate(oids):
        parents = p.git("rev-list", "--parents", "-1", oid).split()[1:]
        equal(parents, oids[i - 1:i] if i else [], "parents")
        manifest = json.loads(p.git("show", oid + ":manifest.json"))
        equal(manifest["number"], i)
    equal(p.ref("live"), oids[-1], "live")
    return oids


def write(path, data):
    """Over what is there, whatever its mode."""
    os.chmod(path, 0o644)
    with open(path, "wb") as f:
        f.write(data)


def flip(path, at=None, bit=1):
    """One bit of one byte, in the middle unless told; returns the old bytes."""
    was = read(path, "rb")
    at = len(was) // 2 if at is None else at
    write(path, was[:at] + bytes([was[at] ^ bit]) + was[at + 1:])
    return was


def forget(p):
    """As if the release stage had never run; the repository is people's."""
    shutil.rmtree(p.repo)
    shutil.copytree(p.top.replace("/copy", "/first.unreleased/repo"), p.repo)
    for name in os.listdir(p.path("build/att")):
        if name.startswith("release."):
            os.unlink(p.path("build/att", name))
    os.unlink(p.path("build/release.json"))


def released(p):
    """a release is preceded by release 0, is live, linear and in the ledger"""
    oids = linear(p, 2)
    lines = p.ledger()
    equal([(l["seq"], l["action"], l["number"], l["commit"], l["by"])
           for l in lines],
          [(i, "release", i, oids[i], "platform@example.org")
           for i in (0, 1)])
    receipt = p.receipt()
    equal((receipt["commit"], receipt["previous"]), (oids[1], oids[0]))
    check(receipt["rehearsal"]["ok"], receipt)
    pointer = p.git("show", oids[1] + ":artifact/model.gguf")
    equal(pointer.split("\n")[0], "version https://git-lfs.github.com/spec/v1")
    digest = receipt["artifact"]["sha256"]
    check("oid sha256:" + digest in pointer, pointer)
    objects = p.path("repo/.git/lfs/objects", digest[:2], digest[2:4], digest)
    equal(read(objects, "rb"), read(p.path("build/cand/q8/model.gguf"), "rb"))
    base = p.git("show", oids[0] + ":artifact/model.safetensors")
    check("git-lfs" in base, base)
    p.holds()


def untouched(p):
    """work tree, index, branch and settings of the repository stay as they were"""
    was = json.loads(read(p.path("before.json")))
    now = people(p)
    for key in was:
        equal(now[key], was[key], key)


def again(p):
    """a second run has nothing to do; a deleted repository is released into anew"""
    out = p.ninja()
    check("release" not in out, out)
    tip = p.ref("release")
    equal(p.release().returncode, 0)
    equal(p.ref("release"), tip)
    shutil.rmtree(p.repo)
    done = p.release()
    equal(done.returncode, 0, done.stderr)
    equal(p.quern("why", "release").stdout.count("the repository does not "
                                                 "hold the release"), 1)
    linear(p, 2)
    p.holds()
    shutil.rmtree(p.path("repo/.git/lfs"))
    equal(p.release().returncode, 0)
    linear(p, 2)


def refused(p):
    """a refusal names items and figures, and leaves the repository alone"""
    refs = p.git("for-each-ref")
    text = p.policy.replace("pooled-drop: 50", "pooled-drop: 0.1")
    p.put("policy.yaml", text)
    out = p.ninja(ok=False)
    check("no release" in out and "before.quality-budget INCONCLUSIVE (pooled "
          "drop" in out and "limit 0.1" in out, out)
    equal(p.git("for-each-ref"), refs)
    p.put("policy.yaml", p.policy)
    p.ninja()
    # the waiver of somebody who does not own the item
    p.ok("waive", "-k", "keys/modeling", "-C", "unsigned")
    sig = p.path("waivers/ship.flag.sig")
    was = read(sig)
    p.put("waivers/ship.flag.sig", read(p.path("waivers",
                                               "calibration.variety.sig")))
    out = p.release().stderr
    check("ship.flag INCONCLUSIVE" in out and "its signature is not the "
          "owner's" in out, out)
    equal(p.git("for-each-ref"), refs)
    p.put("waivers/ship.flag.sig", was)
    p.holds()


def forged(p):
    """inputs that no record made, or another one, are refused by name"""
    forget(p)
    path = p.path("build/bench/q8.json")
    was = flip(path)
    err = p.refused("release", "@build/stages/release.stage")
    check("bench/q8.json: is not what benchmark.q8 made, signed by "
          "platform@example.org" in err, err)
    write(path, was)
    att = p.path("build/att/gate.q8.dsse.json")
    flip(att)
    err = p.refused("release", "@build/stages/release.stage")
    check("gate.q8.dsse.json" in err, err)
    equal(p.ref("release"), "")
    os.unlink(att)
    err = p.refused("release", "@build/stages/release.stage")
    check("gate.q8.dsse.json" in err, err)


def killed(p):
    """killed at any moment, the next run carries on without a second commit"""
    rng = random.Random(5)
    forget(p)
    start = time.monotonic()
    equal(p.release().returncode, 0)
    whole = time.monotonic() - start
    cut = 0
    for turn in range(12):
        forget(p)
        child = subprocess.Popen(
            [os.path.join(BIN, "quern-release"), "@build/stages/release.stage"],
            cwd=p.top, stderr=subprocess.DEVNULL)
        time.sleep(rng.random() * whole)
        child.send_signal(signal.SIGKILL)
        cut += child.wait() != 0
        done = p.release()
        equal(done.returncode, 0, f"turn {turn}: {done.stderr}")
        linear(p, 2)
        status, text = p.verify("-R")
        equal(status, 0, text)
    check(cut > 3, "only", cut, "of the runs were killed")
    p.holds()
    return f"{cut} of 12 runs were killed within {whole * 1000:.0f} ms"


def move_cut_short(p):
    """whichever refs a killed move had moved, the next run finishes it"""
    names = "ledger", "release", "live"
    after = {n: p.ref(n) for n in names}
    before = {n: p.git("rev-parse", after[n] + "^") for n in names}
    for moved in range(8):
        for i, n in enumerate(names):
            p.git("update-ref", f"{PREFIX}/{n}",
                  after[n] if moved >> i & 1 else before[n])
        # what a killed mover leaves: its list of refs, and git's locks
        p.put("repo/.git/quern/moving", f"{PREFIX}/live\n{PREFIX}/ledger\n")
        p.put(f"repo/.git/{PREFIX}/live.lock", "")
        os.unlink(p.path("build/release.json"))
        done = p.release()
        equal(done.returncode, 0, f"{moved:03b}: {done.stderr}")
        linear(p, 2)
        status, text = p.verify("-R")
        equal(status, 0, f"{moved:03b}: {text}")
        equal([l["number"] for l in p.ledger()], [0, 1], f"{moved:03b}")
        p.git("update-ref", f"{PREFIX}/ledger", after["ledger"])
        p.git("update-ref", f"{PREFIX}/release", after["release"])


def foreign_lock(p):
    """the lock of another program is respected and named"""
    p.put(f"repo/.git/{PREFIX}/live.lock", "")
    err = p.refused("rollback")
    check("live" in err, err)
    check(os.path.exists(p.path(f"repo/.git/{PREFIX}/live.lock")))
    equal(p.ref("live"), p.ref("release"))
    os.unlink(p.path(f"repo/.git/{PREFIX}/live.lock"))
    p.ok("rollback")


def rolled_back(p):
    """rollback makes the previous release live at once and records it"""
    oids = p.releases()
    out = p.ok("rollback", "-m", "escalations doubled")
    check(re.match(r"live: release 0 \([0-9a-f]{10}\), was [0-9a-f]{10}, moved "
                   r"in [0-9.]+ ms\n$", out), out)
    equal(p.ref("live"), oids[0])
    equal(p.releases(), oids)
    last = p.ledger()[-1]
    equal((last["action"], last["number"], last["commit"], last["previous"],
           last["why"], last["by"]),
          ("rollback", 0, oids[0], oids[1], "escalations doubled",
           "platform@example.org"))
    p.holds()
    check("live is release 0 already" in p.refused("rollback"))
    check("there is no release 7" in p.refused("rollback", "-n", "7"))
    check("release" not in p.ninja(), "the release ran again")
    equal(p.release().returncode, 0)
    equal(p.ref("live"), oids[0], "a run that changed nothing undid it")
    p.ok("rollback", "-n", "1", "-k", "keys/modeling")
    equal(p.ref("live"), oids[1])
    p.holds()
    untouched(p)
    # a stranger's key, and a key that is not there
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "keys/other"],
        p.top)
    check("is not a key that" in p.refused("rollback", "-k", "keys/other"))
    check("keys/none" in p.refused("rollback", "-k", "keys/none"))
    equal(p.ref("live"), oids[1])


def next_release(p):
    """another answer makes release 2 on top; rollback goes to release 1"""
    p.put("policy.yaml", p.policy.replace("license: apache-2.0",
                                          "license: mit"))
    p.ninja()
    oids = linear(p, 3)
    p.holds()
    equal(p.receipt()["number"], 2)
    check("live: release 1 " in p.ok("rollback"))
    equal(p.ref("live"), oids[1])
    p.holds()


def by_hand(p):
    """live, the release ref or the ledger moved by hand is found and put back"""
    oids = p.releases()
    p.git("update-ref", f"{PREFIX}/live", oids[0])
    status, text = p.verify("-R")
    equal(status, 1, text)
    check("it was moved by hand" in text and f"{PREFIX}/live" in text, text)
    p.ok("rollback", "-n", "1")
    p.holds()
    p.git("update-ref", f"{PREFIX}/release", oids[0])
    status, text = p.verify("-R")
    equal(status, 1, text)
    p.git("update-ref", f"{PREFIX}/release", oids[1])
    ledger = p.ref("ledger")
    p.git("update-ref", f"{PREFIX}/ledger", ledger + "^")
    status, text = p.verify("-R")
    equal(status, 1, text)
    p.git("update-ref", f"{PREFIX}/ledger", ledger)
    # an unsigned commit on top, by git itself
    tree = p.git("rev-parse", oids[1] + "^{tree}")
    message = p.git("log", "-1", "--format=%B", oids[1])
    oid = p.git("commit-tree", "-p", oids[1], "-m", message, tree)
    p.git("update-ref", f"{PREFIX}/release", oid)
    status, text = p.verify("-R")
    equal(status, 1, text)
    check(f"commit {oid[:10]}: signed by nobody: is not signed" in text, text)


def exit_codes(p):
    """verify: 0 holds, 1 wrong, 2 usage, 3 not checkable"""
    equal(p.verify()[0], 0)
    equal(p.verify("-x")[0], 2)
    equal(p.verify("extra")[0], 2)
    equal(p.verify("-n", "one")[0], 2)
    os.rename(p.path("store"), p.path("elsewhere"))
    status, text = p.verify()
    equal(status, 3, text)
    check("unchecked: ship.archive" in text and "the object is not there" in
          text, text)
    equal(p.verify("-a", "elsewhere")[0], 0)
    os.rename(p.path("elsewhere"), p.path("store"))
    equal(p.verify("-n", "9")[0], 3)
    equal(p.quern("verify", "-C", "none").returncode, 3)
    equal(p.quern("verify", "-C", "build", "-r", "none").returncode, 3)
    equal(p.quern("verify", "-C", "build", "-s", "none").returncode, 3)
    # a clone elsewhere, with the auditor's own list of signers
    run(["git", "clone", "-q", "--mirror", p.repo, p.path("clone")], p.top)
    args = ["-C", "/", "-r", "clone", "-s", "keys/allowed_signers", "-R"]
    done = p.quern("verify", *args, "-a", "store")
    equal(done.returncode, 3, done.stdout)
    check("artifact/model.gguf" in done.stdout, done.stdout)
    shutil.copytree(p.path("repo/.git/lfs"), p.path("clone/lfs"))
    done = p.quern("verify", *args, "-a", "store")
    equal(done.returncode, 0, done.stdout)
    lines = read(p.path("keys/allowed_signers")).splitlines()
    p.put("one", lines[0] + "\n")
    done = p.quern("verify", "-C", "/", "-r", "clone", "-s", "one", "-R")
    equal(done.returncode, 1, done.stdout)
    check("does not allow to commit" in done.stdout, done.stdout)
    shutil.rmtree(p.path("store"))
    os.unlink(p.path("build/decision.json"))
    equal(p.verify()[0], 3)


def found(p, paths, *args):
    """verify names each of the files; returns what it printed."""
    status, text = p.verify(*args)
    check(status in (1, 3), "exit", status, text[-2000:])
    for path in paths:
        hits = [l for l in text.splitlines() if path in l and re.match(
            r"(WRONG|unchecked): [^:]+: .+: signed by [^:]+: .+", l)]
        check(hits, path, "is not named in", text[:2000])
    return text


def flipped_all(p, paths, names=None):
    """Flips all, sees that each is found, puts all back."""
    was = {path: flip(path) for path in paths}
    found(p, names or [os.path.relpath(path, p.top) for path in paths])
    for path, data in was.items():
        write(path, data)


def files_below(folder, *parts):
    top = os.path.join(folder, *parts)
    return sorted(os.path.join(d, f) for d, _, files in os.walk(top)
                  for f in files if not f.startswith("."))


def flips_in_the_build(p):
    """a byte flipped in any output, record, stage file or source is found"""
    n = 0
    outputs = [f for folder in ("base", "bench", "cand", "corpus", "eval",
                                "gate", "quant", "stats")
               for f in files_below(p.build, folder)]
    outputs += [os.path.join(p.build, f) for f in
                ("archive.json", "decision.json", "hardware.json",
                 "release.json", "report.html", "report.json", "traffic.json")]
    sources = files_below(p.top, "data") + files_below(p.top, "waivers")
    records = files_below(p.build, "att")
    for paths in (outputs, sources,
                  [f for f in records if f.endswith(".link")],
                  [f for f in records if f.endswith(".json")],
                  files_below(p.build, "stages"),
                  [p.path("build/policy.json")],
                  [p.path("build/keys/allowed_signers")],
                  files_below(p.top, "model")):
        check(paths, "nothing to flip")
        flipped_all(p, paths)
        n += len(paths)
    # one at a time, any byte of some files of every kind
    rng = random.Random(3)
    for path in rng.sample(outputs + records + sources, 6):
        at = rng.randrange(os.path.getsize(path))
        was = flip(path, at, 1 << rng.randrange(8))
        found(p, [os.path.relpath(path, p.top)])
        write(path, was)
    p.holds()
    return f"{n} files"


def flips_in_a_stage_file(p):
    """a byte flipped in any kind of line of the release's own stage file is found"""
    path = p.path("build/stages/release.stage")
    text = read(path, "rb")
    kinds = {}
    at = 0
    for line in text.splitlines(keepends=True):
        kind = line.split(b"=")[0] + str(line.count(b"=")).encode()
        kinds.setdefault(kind, (at, len(line)))
        at += len(line)
    for start, length in kinds.values():
        for place in (start + length // 2, start + length - 2):
            flip(path, place)
            status, out = p.verify()
            check(status in (1, 3) and out, "byte", place, text[start:start +
                                                               length], out)
            write(path, text)
    return f"{len(kinds)} kinds of lines"


def objects_of(p):
    """Loose objects of quern's refs: path -> what git calls them."""
    names = {}
    for ref in "release", "ledger":
        for line in p.git("rev-list", "--objects",
                          f"{PREFIX}/{ref}").splitlines():
            oid, _, name = line.partition(" ")
            names[p.path("repo/.git/objects", oid[:2], oid[2:])] = name
    return names


def flips_in_the_repository(p):
    """a byte flipped in any object or ref of the repository, or in the store"""
    names = objects_of(p)
    kind = {path: p.git("cat-file", "-t", "".join(path.split("/")[-2:]))
            for path in names}
    blobs = [f for f in names if kind[f] == "blob" and "manifest" not in
             names[f] and "ledger" not in names[f]]
    flipped_all(p, blobs, [names[f] for f in blobs])
    others = [f for f in names if f not in blobs]
    for path in others:
        was = flip(path)
        found(p, ["commit"], "-R")
        write(path, was)
    lfs = files_below(p.repo, ".git/lfs")
    check(len(lfs) == 2, lfs)
    flipped_all(p, lfs, ["artifact/model.gguf", "artifact/model.safetensors"])
    store = files_below(p.top, "store")
    flipped_all(p, store, [os.path.relpath(f, p.top) for f in store])
    for ref in "live", "release", "ledger":
        was = flip(p.path(f"repo/.git/{PREFIX}", ref))
        status, text = p.verify()
        check(status == 1 and "WRONG: " in text and PREFIX in text, ref, text)
        write(p.path(f"repo/.git/{PREFIX}", ref), was)
    p.holds()
    return f"{len(names)} objects, {len(lfs)} of LFS, {len(store)} stored"


if __name__ == "__main__":
    main([released, untouched, again, refused, forged, killed, move_cut_short,
          foreign_lock, rolled_back, next_release, by_hand, exit_codes,
          flips_in_the_build, flips_in_a_stage_file, flips_in_the_repository],
         prepare)
