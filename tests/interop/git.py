#!/usr/bin/env python3
"""Stock git, git-lfs and ssh-keygen on a release: they find it in order, and
find out when it is not."""
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.getcwd(), "tests/steps"))
from released import PREFIX, Project, check, equal, main, read, run  # noqa: E402

OWNER = "platform@example.org"


def prepare(top):
    p = Project(top).make()
    p.ninja()
    return p


def signers(p, name="keys/allowed_signers"):
    return "gpg.ssh.allowedSignersFile=" + p.path(name)


def commits(p):
    return [oid for ref in ("release", "ledger")
            for oid in p.git("rev-list", f"{PREFIX}/{ref}").split()]


def signed(p):
    """git verify-commit and git log --show-signature take every commit"""
    for oid in commits(p):
        p.git("-c", signers(p), "verify-commit", oid)
        equal(p.git("-c", signers(p), "log", "-1", "--format=%G? %GS", oid),
              "G " + OWNER)
        shown = p.git("-c", signers(p), "log", "-1", "--show-signature", oid)
        check(f'Good "git" signature for {OWNER}' in shown, shown)
    return f"{len(commits(p))} commits"


def others_refused(p):
    """git refuses them under another list, and a commit that was changed"""
    lines = read(p.path("keys/allowed_signers")).splitlines()
    p.put("one", lines[0] + "\n")
    equal(lines[0].split()[0], "modeling@example.org")
    p.put("file-only", lines[1].replace("git,", ""))
    tip = p.ref("release")
    for name in "one", "file-only":
        equal(p.git("-c", signers(p, name), "log", "-1", "--format=%G?", tip)
              in "UB", True, name)
    text = p.git("cat-file", "commit", tip)
    p.put("commit", text.replace("release 1", "release 2") + "\n")
    oid = p.git("hash-object", "-t", "commit", "-w", p.path("commit"))
    done = subprocess.run(["git", "-C", p.repo, "-c", signers(p),
                           "verify-commit", oid], capture_output=True)
    check(done.returncode != 0, "a changed commit verifies")


def fsck(p):
    """git fsck --strict has nothing to say"""
    done = subprocess.run(["git", "-C", p.repo, "fsck", "--strict", "--full",
                           "--no-dangling", "--no-progress"],
                          capture_output=True, text=True)
    equal((done.returncode, done.stdout, done.stderr.replace(
        "notice: HEAD points to an unborn branch (master)\n", "").replace(
        "notice: No default references\n", "")), (0, "", ""))
    # and quern reads what git has packed
    p.git("gc", "-q", "--prune=now")
    check(not os.path.exists(p.path(f"repo/.git/{PREFIX}/live")), "unpacked")
    p.holds()
    p.ok("rollback")
    p.holds()


def waivers(p):
    """ssh-keygen -Y verify takes the waivers over the documented text"""
    owners = {"calibration.variety": "modeling@example.org",
              "ship.flag": OWNER, "after.monitor": OWNER,
              "team.review": OWNER}
    for item, owner in owners.items():
        text = (f"quern waiver 1\nitem {item}\npolicy tiny\n"
                "until 2999-12-31\nbecause a test\n")
        words = ["ssh-keygen", "-Y", "verify", "-f",
                 p.path("keys/allowed_signers"), "-n", "waiver@quern", "-s",
                 p.path("waivers", item + ".sig"), "-I"]
        for who, said, status in ((owner, text, 0),
                                  ("nobody@example.org", text, 255),
                                  (owner, text + " ", 255)):
            done = subprocess.run(words + [who], input=said, text=True,
                                  capture_output=True)
            equal(done.returncode, status, item + who + done.stderr)


def lfs(p):
    """git lfs checks a clone, restores the model, and finds a flipped byte"""
    if not shutil.which("git-lfs"):
        return "skipped: git-lfs is not there"
    clone = p.path("clone")
    env = dict(os.environ, GIT_LFS_SKIP_SMUDGE="1", HOME=p.top)
    run(["git", "clone", "-q", "-b", "quern/release", p.repo, clone], p.top)
    # git-lfs itself may have linked the objects from next door
    shutil.rmtree(os.path.join(clone, ".git/lfs"), ignore_errors=True)
    shutil.copytree(p.path("repo/.git/lfs"), os.path.join(clone, ".git/lfs"))

    def git(*args):
        return subprocess.run(["git", "-c", "lfs.fetchexclude=", *args],
                              cwd=clone, capture_output=True, text=True,
                              env=env)
    equal(git("lfs", "install", "--local", "--skip-repo").returncode, 0)
    done = git("lfs", "fsck", "--dry-run")
    equal((done.returncode, "Git LFS fsck OK" in done.stdout), (0, True),
          done.stdout + done.stderr)
    listed = git("lfs", "ls-files", "-l").stdout
    check(p.receipt()["artifact"]["sha256"] in listed, listed)
    done = git("lfs", "checkout")
    equal(done.returncode, 0, done.stderr)
    equal(read(os.path.join(clone, "artifact/model.gguf"), "rb"),
          read(p.path("build/cand/q8/model.gguf"), "rb"))
    equal(git("status", "--porcelain").stdout, "")
    oid = p.receipt()["artifact"]["sha256"]
    path = os.path.join(clone, ".git/lfs/objects", oid[:2], oid[2:4], oid)
    data = bytearray(read(path, "rb"))
    data[5000] ^= 1
    os.chmod(path, 0o644)
    with open(path, "wb") as f:
        f.write(data)
    done = git("lfs", "fsck", "--dry-run")
    check(done.returncode != 0 and "corruptObject" in done.stdout,
          done.returncode, done.stdout)


if __name__ == "__main__":
    main([signed, others_refused, fsck, waivers, lfs], prepare)
