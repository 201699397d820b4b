#!/usr/bin/env python3
"""What every step does when the machine fails it: a full disk, a folder that
may not be written, a source that is not there. One line, exit 1, old outputs
intact, nothing partial left."""
import os
import pwd
import shutil
import subprocess

import step
from step import check, equal


def tmpfs(folder, size):
    """Mounts a small file system; False where that is not allowed."""
    os.makedirs(folder, exist_ok=True)
    return subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}",
                           "tmpfs", folder],
                          stderr=subprocess.DEVNULL).returncode == 0


def files_of(folder):
    return sorted(os.path.join(d, f) for d, _, files in os.walk(folder)
                  for f in files)


def full_disk(b):
    """a full disk is one line, and nothing partial is left"""
    b.fingerprint()
    b.traffic()
    b.corpus(count=64)
    b.calibrate()
    small = os.path.join(b.top, "small")
    if not tmpfs(small, "1m"):
        return "no right to mount: not tried"
    try:
        own = small_build(b, small)
        for step_, stage, args, need in (
                ("quantize", "quantize.f.l000",
                 own.quantize_args("f", 0, "F32", "rtn"), 0),
                ("fingerprint", "fingerprint", own.fingerprint_args(), 1 << 20),
                ("calibrate", "calibrate", own.calibrate_args(), 0)):
            fill = os.path.join(small, "fill")
            with open(fill, "wb") as f:
                try:
                    f.write(b"x" * need)
                except OSError:
                    pass
            before = files_of(small)
            err = own.refused(step_, stage, "No space left on device", **args)
            check(small in err, "names no file:", err)
            equal([f for f in step.leftovers(small)], [], step_)
            new = [f for f in files_of(small) if f not in before and
                   "/state/" not in f and "/why/" not in f]
            equal(new, [], step_)
            os.remove(fill)
    finally:
        subprocess.run(["umount", small], check=True)


def small_build(b, folder):
    """The same stages in a folder on the small file system."""
    own = step.Build.__new__(step.Build)
    own.top, own.key, own.model = b.top, b.key, b.model
    own.dir = os.path.join(folder, "build")
    os.makedirs(own.dir)
    for part in ("base", "stats", "corpus"):
        shutil.copytree(b.path(part), own.path(part))
    return own


def read_only(b):
    """an ordinary user in a folder that is not theirs gets one line"""
    b.fingerprint()
    if os.getuid() != 0:
        user = None
        os.chmod(b.dir, 0o555)
    else:
        user = pwd.getpwnam("nobody").pw_uid
        for path in (b.top, b.key):
            os.chmod(path, 0o755 if path == b.top else 0o600)
        os.chown(b.key, user, -1)
    program = os.path.join(b.top, "bin")
    os.makedirs(program)
    os.chmod(program, 0o755)
    shutil.copy(os.path.join(step.BIN, "quern-quantize"), program)
    model = os.path.join(b.top, "model")
    shutil.copytree(b.model, model)
    for d, _, files in os.walk(model):
        os.chmod(d, 0o755)
        for f in files:
            os.chmod(os.path.join(d, f), 0o644)
    b.model = model
    kept, step.BIN = step.BIN, program
    before = files_of(b.dir)
    try:
        status, err = b.run("quantize", "quantize.r.l000", user=user,
                            **b.quantize_args("r", 0, "Q8_0", "rtn"))
    finally:
        step.BIN = kept
        os.chmod(b.dir, 0o755)
    equal(status, 1, err)
    equal(err.count("\n"), 1, err)
    check("Permission denied" in err, err)
    equal(files_of(b.dir), before)


def no_source(b):
    """a checkpoint folder that is not there is named"""
    b.fingerprint()
    b.model = os.path.join(b.top, "nowhere")
    for name, stage, args in (
            ("fingerprint", "fingerprint", b.fingerprint_args()),
            ("quantize", "quantize.r.l000",
             b.quantize_args("r", 0, "Q8_0", "rtn")),
            ("traffic", "traffic", b.traffic_args())):
        b.refused(name, stage, "nowhere", **args)


def no_input(b):
    """an input that was not made yet is named"""
    b.refused("quantize", "quantize.r.l000", "base/config.fp.json",
              **b.quantize_args("r", 0, "Q8_0", "rtn"))
    b.refused("corpus", "corpus", "build/", **b.corpus_args())


if __name__ == "__main__":
    step.main([full_disk, read_only, no_source, no_input])
