#!/usr/bin/env python3
"""What release, archive and the commands are given that they cannot use: one
line, exit 1, and nothing half done."""
import os
import pwd
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.getcwd(), "tests/steps"))
from released import PREFIX, Project, check, equal, main, read, run  # noqa: E402


def prepare(top):
    p = Project(top).make()
    p.ninja("build/archive.json", "build/report.html")
    os.chmod(os.path.dirname(top), 0o755)
    return p


def somebody(p):
    """An ordinary user that owns the project; root ignores modes."""
    if os.getuid() != 0:
        return {}
    user = pwd.getpwnam("nobody")
    for folder, _, files in os.walk(p.top):
        os.chown(folder, user.pw_uid, user.pw_gid)
        for name in files:
            os.chown(os.path.join(folder, name), user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [],
            "env": {"HOME": p.top}}


def release(p, *want, **more):
    """The release is refused with these words; release.json is not there."""
    err = p.refused("release", "@build/stages/release.stage", **more)
    for text in want:
        check(text in err, repr(err), "lacks", repr(text))
    check(not os.path.exists(p.path("build/release.json")))
    left = [f for folder, _, files in os.walk(p.build) for f in files
            if f.endswith(".tmp") or f.startswith("release.") and
            "/att" in folder]
    equal(left, [], "left behind")
    return err


def then_it_goes(p, **more):
    done = p.quern("release", "@build/stages/release.stage", **more)
    equal(done.returncode, 0, done.stderr)
    equal(len(p.releases()), 2)


def keys(p):
    """a key that others may read, one that is not there, another owner's"""
    key = p.path("keys/platform")
    os.chmod(key, 0o644)
    release(p, "keys/platform: ", "chmod 600")
    os.rename(key, key + ".away")
    release(p, "keys/platform: cannot open the private key")
    shutil.copy(p.path("keys/modeling"), key)
    os.chmod(key, 0o600)
    release(p, "is not the key that build/keys/allowed_signers gives for "
            "'platform@example.org'")
    check(not os.path.exists(p.repo), "a repository was made")
    os.rename(key + ".away", key)
    os.chmod(key, 0o600)
    then_it_goes(p)


def places(p):
    """a folder that is no repository, a file, a damaged repository"""
    p.put("repo/file", "x")
    release(p, "repo: is no git repository; name one, or a folder that is not "
            "there yet")
    equal(os.listdir(p.repo), ["file"])
    shutil.rmtree(p.repo)
    p.put("repo", "x")
    release(p, "repo: ")
    os.unlink(p.repo)
    run(["git", "init", "-q", "--bare", p.repo], p.top)
    os.unlink(p.path("repo/HEAD"))
    release(p, "repo: is no git repository")
    shutil.rmtree(p.repo)
    # what a killed run left while it was making the repository
    os.makedirs(p.path("repo.new/.git/objects"))
    then_it_goes(p)
    check(not os.path.exists(p.path("repo.new")))


def read_only_repository(p):
    """a repository that may not be written"""
    who = somebody(p)
    run(["git", "init", "-q", p.repo], p.top)
    more = somebody(p)
    for folder, _, _ in os.walk(p.repo):
        os.chmod(folder, 0o555)
    err = release(p, "repo", **more)
    check("permission" in err.lower(), err)
    for folder, _, _ in os.walk(p.repo):
        os.chmod(folder, 0o755)
    then_it_goes(p, **who)


def read_only_store(p):
    """a store that may not be written, and one whose object was damaged"""
    who = somebody(p)
    kept = read(p.path("build/archive.json"))
    stage = "@build/stages/archive.stage"
    shutil.rmtree(p.path("store"))
    os.makedirs(p.path("store"))
    os.chmod(p.path("store"), 0o555)
    for name in os.listdir(p.path("build/att")):
        if name.startswith("archive."):
            os.unlink(p.path("build/att", name))
    somebody(p)
    err = p.refused("archive", stage, **who)
    check("store" in err and "Permission denied" in err, err)
    equal(read(p.path("build/archive.json")), kept)
    os.chmod(p.path("store"), 0o755)
    equal(p.quern("archive", stage, **who).returncode, 0)
    objects = sorted(os.path.join(d, f) for d, _, fs in os.walk(p.path("store"))
                     for f in fs)
    equal(len(objects), 6)
    for path in objects:
        equal(os.stat(path).st_mode & 0o777, 0o444, path)
    # release 0 is made from the store: a damaged object does not get in
    big = max(objects, key=os.path.getsize)
    data = read(big, "rb")
    os.chmod(big, 0o644)
    with open(big, "wb") as f:
        f.write(data[:-1] + b"!")
    release(p, "store/sha256/", **who)
    equal(p.ref("release"), "")
    with open(big, "wb") as f:
        f.write(data)
    os.chmod(big, 0o444)
    then_it_goes(p, **who)


def changed_checkpoint(p):
    """a checkpoint that is not what the fingerprint says is not archived"""
    path = p.path("model/config.json")
    text = read(path)
    p.put("model/config.json", text + "\n")
    os.unlink(p.path("build/archive.json"))
    err = p.refused("archive", "@build/stages/archive.stage")
    check("model/config.json: is not what the fingerprint says" in err, err)
    check(not os.path.exists(p.path("build/archive.json")))
    os.unlink(path)
    err = p.refused("archive", "@build/stages/archive.stage")
    check("model/config.json" in err, err)


def full_disk(p):
    """no space left, in the store or the repository: old files stay"""
    for place, stage, size in (("store", "archive", "2m"),
                               ("repo", "release", "3m"),
                               ("repo", "release", "100k")):
        folder = p.path(place)
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=" + size,
                           "tmpfs", folder],
                          stderr=subprocess.DEVNULL).returncode != 0:
            return "no right to mount: not tried"
        try:
            if stage == "archive":
                os.unlink(p.path("build/archive.json"))
            else:
                run(["git", "init", "-q", folder], p.top)
            err = p.refused(stage, f"@build/stages/{stage}.stage")
            check(place in err and "No space left" in err, err)
            left = [f for d, _, fs in os.walk(folder) for f in fs
                    if f.endswith(".tmp")]
            equal(left, [])
        finally:
            subprocess.run(["umount", folder], check=True)
        if stage == "archive":
            equal(p.quern(stage, f"@build/stages/{stage}.stage").returncode, 0)
    shutil.rmtree(p.repo)
    then_it_goes(p)


def commands(p):
    """commands say what is missing, with the place first"""
    def says(name, *args, want):
        err = p.refused(name, *args)
        check(want in err, repr(err), "lacks", repr(want))
    says("rollback", "-C", "none", want="none/stages/release.stage: ")
    says("rollback", want="repo: is not there")
    run(["git", "init", "-q", p.repo], p.top)
    says("rollback", want="repo: nothing was released under " + PREFIX)
    says("status", "-C", "none", want="none/policy.json: is not there")
    says("why", "none", want="none: no such stage has run")
    says("why", "../../policy", want="no such stage has run")
    says("waive", "-k", "keys/none", want="keys/none: ")
    says("waive", "-k", "keys/modeling", "ship.flag",
         want="have no waiver that this key's owner can sign")
    says("build", "-C", "none", want="none/quern.ninja: no graph")
    says("init", want="policy.yaml: is there already")
    says("keygen", "keys/modeling", "a@b", want="keys/modeling: ")
    equal(p.quern("keygen", "keys/x", "a b").returncode, 2)
    equal(p.quern("status", "-x").returncode, 2)
    equal(p.verify()[0], 3)
    text = p.ok("status")
    check("ship.rollback"[5:] in text and "OPEN" in text, text)
    # a record that was forged is left out, not shown as done
    p.put("build/att/gate.q8.dsse.json",
          read(p.path("build/att/gate.q8.dsse.json")).replace("Q", "R", 1))
    text = p.ok("status")
    check("left out: 1 of the records" in text, text)
    p.put("build/policy.json", "{")
    says("status", want="build/policy.json")


if __name__ == "__main__":
    main([keys, places, read_only_repository, read_only_store,
          changed_checkpoint, full_disk, commands], prepare)
