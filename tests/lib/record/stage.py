#!/usr/bin/env python3
"""The frame of every step (lib/record/stage*.c, launcher.c, lock.c), driven
through tests/tools/teststep: skipping, reasons, bad arguments and keys, kills,
two at once, locks, the launcher."""
import base64
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

STEP = os.path.abspath(
    os.path.join(os.environ.get("QUERN_TESTS", "out/tests"), "tools/teststep"))
count = failed = 0


def check(good, text, detail=""):
    global count, failed
    count += 1
    print("%s %d - %s" % ("ok" if good else "not ok", count, text))
    if not good:
        failed += 1
        print("# %s" % (detail,))


def same(got, want, text):
    check(got == want, text, "got %r, want %r" % (got, want))


class Build:
    """A build folder with one stage; arguments as a stage file has them."""

    def __init__(self, name="t.one"):
        self.top = tempfile.mkdtemp(prefix="quern-test-")
        self.stage = name
        self.write("b/data/a", "hi\n")
        self.write("b/data/b", "ho\n")
        self.key("alice")
        self.program = STEP
        self.name = STEP
        self.args = [
            "--step=teststep", "--stage=" + name, "--dir=b", "--phase=ship",
            "--signer=alice", "--key=alice", "--item=ship.tasks",
            "--in=data/a", "--in=data/b", "--out=out/all", "--set=text=x",
            "--set=count=../count"]
        self.set("count=", os.path.join(self.top, "count"))

    def set(self, start, value):
        """Replace the one --set of that beginning."""
        self.args = [a for a in self.args if not a.startswith("--set=" + start)]
        self.args.append("--set=" + start + value)

    def path(self, name):
        return os.path.join(self.top, name)

    def write(self, name, text):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w") as f:
            f.write(text)

    def read(self, name):
        with open(self.path(name), "rb") as f:
            return f.read()

    def key(self, name):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C",
                        name, "-f", self.path(name)], check=True)

    def start(self, extra=(), env=None):
        return subprocess.Popen([self.name] + self.args + list(extra),
                                executable=self.program, cwd=self.top,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True, env=dict(os.environ, **(env or {})))

    def run(self, extra=(), env=None):
        p = self.start(extra, env)
        out, err = p.communicate(timeout=60)
        self.out, self.err = out, err
        return p.returncode

    def runs(self):
        """How often the work was really done."""
        try:
            return len(self.read("count"))
        except FileNotFoundError:
            return 0

    def why(self):
        with open(self.path("b/why/%s.json" % self.stage)) as f:
            return json.load(f)["reasons"]

    def link(self):
        names = [n for n in os.listdir(self.path("b/att"))
                 if n.endswith(".link")]
        return "b/att/" + names[0]

    def snapshot(self):
        """Bytes, time and inode of every file that others may read."""
        found = {}
        for folder, _, files in os.walk(self.path("b")):
            if os.path.basename(folder) in ("state", "why"):
                continue
            for f in files:
                p = os.path.join(folder, f)
                s = os.stat(p)
                found[os.path.relpath(p, self.top)] = (
                    self.read(p), s.st_mtime_ns, s.st_ino)
        return found

    def stray(self):
        return [f for _, _, files in os.walk(self.path("b")) for f in files
                if f.endswith((".tmp", ".heartbeat"))]

    def close(self):
        shutil.rmtree(self.top)


def first_and_second_run():
    b = Build()
    same((b.run(), b.err, b.out), (0, "", ""), "a stage runs and says nothing")
    same(b.read("b/out/all"), b"x\nhi\nho\n", "its output is there")
    same(b.why(), ["no record yet"], "it says that there was no record")
    envelope = json.loads(b.read("b/att/t.one.dsse.json"))
    statement = json.loads(base64.b64decode(envelope["payload"]))
    same(statement["subject"], [{"name": "out/all", "digest": {
        "sha256": hashlib.sha256(b.read("b/out/all")).hexdigest()}}],
        "the statement's subject is the output")
    with open(STEP, "rb") as f:
        program = hashlib.sha256(f.read()).hexdigest()
    materials = {m["name"]: m["digest"]["sha256"]
                 for m in statement["predicate"]["materials"]}
    same(materials["_tool/quern-teststep"], program,
         "the program is among the materials")
    text = b.read("b/att/t.one.dsse.json") + base64.b64decode(
        envelope["payload"]) + b.read(b.link())
    check(b.top.encode() + b"/b" not in text and b"alice\"" in text,
          "the record names roles and the signer, no folders of the build")
    before = b.snapshot()
    best = 9.0
    for _ in range(5):
        start = time.monotonic()
        b.run()
        best = min(best, time.monotonic() - start)
    same(b.snapshot(), before, "a second run leaves every file alone")
    same(b.runs(), 1, "and does not do the work again")
    check(best < 0.2, "it returns in milliseconds", best)
    print("# an unchanged stage took %.1f ms" % (1000 * best))
    shutil.move(b.path("b"), b.path("moved"))
    b.args = [a.replace("--dir=b", "--dir=" + b.path("moved")) for a in b.args]
    b.run()
    same(b.runs(), 1, "nor after the folder moved")
    b.close()


def reasons():
    def arg(old, new):
        def edit(b):
            b.args = [new if a == old else a for a in b.args if a != old or new]
        return edit

    def add(new):
        return lambda b: b.args.append(new)

    def flip(name):
        def edit(b):
            path = name(b) if callable(name) else name
            data = bytearray(b.read(path))
            data[len(data) // 2] ^= 1
            with open(b.path(path), "wb") as f:
                f.write(data)
        return edit

    def gone(name):
        return lambda b: os.unlink(b.path(name(b) if callable(name) else name))

    def other_key(b):
        b.key("bob")
        arg("--key=alice", "--key=bob")(b)

    def other_program(b):
        b.program = b.path("teststep")
        shutil.copy(STEP, b.program)
        with open(b.program, "ab") as f:
            f.write(b"\0")

    def both(*edits):
        return lambda b: [e(b) for e in edits]

    envelope = "b/att/t.one.dsse.json"
    table = [
        ("a parameter", arg("--set=text=x", "--set=text=y"),
         ["parameter text: x -> y"]),
        ("a new parameter", add("--set=sleep-ms=0"),
         ["parameter sleep-ms is new: 0"]),
        ("an input's bytes", lambda b: b.write("b/data/a", "HI\n"),
         ["input data/a changed"]),
        ("two inputs", lambda b: [b.write("b/data/a", "1"),
                                  b.write("b/data/b", "2")],
         ["input data/a changed", "input data/b changed"]),
        ("a new input", both(lambda b: b.write("b/data/c", "1"),
                             add("--in=data/c")), ["input data/c is new"]),
        ("a removed input", arg("--in=data/b", None),
         ["input data/b is gone"]),
        ("a new source", add("--src=base=/nowhere"), ["source base is new"]),
        ("a new output", add("--out=out/more"), ["output out/more is new"]),
        ("a new item", add("--item=ship.stress"), ["item ship.stress is new"]),
        ("a removed item", arg("--item=ship.tasks", None),
         ["item ship.tasks is gone"]),
        ("another phase", arg("--phase=ship", "--phase=convert"),
         ["phase changed: ship -> convert"]),
        ("another signer", arg("--signer=alice", "--signer=carol"),
         ["signer changed: alice -> carol"]),
        ("another program", other_program, ["program changed"]),
        ("another key", other_key, None),
        ("an output that is gone", gone("b/out/all"),
         ["output out/all is missing"]),
        ("an output that was edited", flip("b/out/all"),
         ["output out/all was changed by something else"]),
        ("a link that is gone", gone(lambda b: b.link()),
         ["the link is missing"]),
        ("a link that was edited", flip(lambda b: b.link()),
         ["the link does not agree with the record"]),
        ("a record that is gone", gone(envelope), ["no record yet"]),
        ("a record that was edited", flip(envelope), None),
        ("a touched input", lambda b: os.utime(b.path("b/data/a")), []),
        ("an input elsewhere", both(lambda b: b.write("else", "hi\n"), arg(
            "--in=data/a", "--in=data/a=else")), []),
        ("arguments in another order", lambda b: b.args.reverse(), []),
    ]
    for text, edit, want in table:
        b = Build()
        b.run()
        first = b.snapshot()
        edit(b)
        status = b.run()
        again = want != []
        check(status == 0 and b.runs() == (2 if again else 1),
              "%s: %s" % (text, "runs again" if again else "does not run"),
              (status, b.runs(), b.err))
        if want:
            same(b.why(), want, "and says: " + "; ".join(want))
        elif again:
            check(len(b.why()) == 1 and ("key" in b.why()[0] or
                                         "record" in b.why()[0]),
                  "and says: " + b.why()[0])
        if text.startswith(("an output that", "a record that", "a link that")):
            now = b.snapshot()
            check({k: v[0] for k, v in now.items()} ==
                  {k: v[0] for k, v in first.items()},
                  "and the same bytes are there as before")
            if "was edited" not in text and text != "an output that is gone":
                same(now["b/out/all"], first["b/out/all"],
                     "with an output that kept its time")
        b.run()
        same(b.runs(), 2 if again else 1, "once")
        b.close()


def wrong_usage():
    def without(start):
        return lambda b: setattr(b, "args", [
            a for a in b.args if not a.startswith(start)])

    def add(*new):
        return lambda b: b.args.extend(new)

    table = [
        (add("--set=txt=y"), "unknown parameter 'txt'; this step knows text, "
         "sleep-ms, fail, count"),
        (without("--set=text"), "parameter 'text' is missing; give it"),
        (add("--set=text=2"), "parameter 'text' is given twice; give it once"),
        (add("--set=text"), "no value in '--set=text'; write --set=NAME=VALUE"),
        (add("--in=other/a"), "unknown input 'other/a'; this step knows "
         "data/*"),
        (add("--in=data/a"), "input 'data/a' is given twice; give it once"),
        (add("--in=../a"), "not a plain name in '--in=../a'; use letters, "
         "digits, '.', '_', '-' and '/'"),
        (add("--src=base"), "no path in '--src=base'; write ROLE=PATH"),
        (add("--dst=store=/x"), "unknown target 'store'; this step knows none"),
        (add("--out=x"), "unknown output 'x'; this step knows out/*"),
        (without("--out"), "output 'out/*' is missing; give it"),
        (add("--frob"), "unknown argument '--frob'; run it with -h"),
        (add("frob"), "unknown argument 'frob'; run it with -h"),
        (add("--item="), "not an item id in '--item='; write PHASE.NAME"),
        (add("--item=ship.tasks"), "item 'ship.tasks' is given twice; give it "
         "once"),
        (without("--step"), "--step is missing; run it with -h"),
        (without("--stage"), "--stage is missing; run it with -h"),
        (without("--key"), "--key is missing; run it with -h"),
        (add("--key=k"), "given twice: '--key=k'; give it once"),
        (lambda b: b.args.__setitem__(0, "--step=quantize"),
         "these arguments are for the step 'quantize'; start the program of "
         "that name"),
        (lambda b: b.args.__setitem__(1, "--stage=a/b"),
         "'a/b' is not a stage id; use letters, digits, '.', '_' and '-'"),
        (lambda b: b.args.__setitem__(3, "--phase=during"),
         "unknown phase 'during'; write before, calibration, convert, ship or "
         "after"),
        (add("--set=fail=a\nb"), "control bytes or no UTF-8 in "),
        (add("--set=sleep-ms=soon"), "parameter 'sleep-ms' is 'soon'; give a "
         "whole number from 0 to 60000"),
    ]
    for edit, want in table:
        b = Build()
        edit(b)
        status = b.run()
        check(status == 2 and b.err.startswith("quern-teststep: " + want) and
              b.err.count("\n") == 3 and b.out == "" and
              b.err.endswith("quern-teststep -h\n"),
              "refused with 2: " + want.replace("\n", " "), (status, b.err))
        check(not os.path.exists(b.path("b/out")), "and nothing was written")
        b.close()
    b = Build()
    p = subprocess.run([STEP, "-h"], capture_output=True, text=True)
    check(p.returncode == 0 and p.stdout.startswith("quern-teststep - ") and
          "text  (required)" in p.stdout and p.stderr == "",
          "-h prints usage on stdout and exits 0")
    b.close()


def stage_files():
    b = Build()
    args, b.args = b.args, ["@one.stage"]
    whole = "\n".join(args) + "\n--end\n"
    b.write("one.stage", whole)
    same((b.run(), b.err), (0, ""), "arguments come from a stage file")
    b.args = args
    b.run()
    same(b.runs(), 1, "and count as the same as on the command line")
    b.args = ["@one.stage"]
    table = [
        (whole[:-6], "one.stage: does not end with --end, so it is cut"),
        (whole[:-1], "one.stage: ends in the middle of line 13"),
        (whole + "--set=fail=1\n", "one.stage:14: after --end stands "
         "'--set=fail=1'"),
        (whole.replace("--in=data/b\n", "\n"), "one.stage:9: unknown argument "
         "''"),
        (whole.replace("--in=data/b\n", "@two.stage\n"),
         "one.stage:9: a stage file in a stage file: 'two.stage'"),
        ("", "one.stage: does not end with --end"),
    ]
    for text, want in table:
        b.write("one.stage", text)
        status = b.run()
        check(status in (1, 2) and
              b.err.startswith("quern-teststep: " + want) and
              (status == 2 or b.err.count("\n") == 1), "refused: " + want,
              (status, b.err))
    os.unlink(b.path("one.stage"))
    check(b.run() == 1 and b.err.startswith(
        "quern-teststep: one.stage: cannot open: No such file or directory; "),
        "a missing stage file is named", b.err)
    b.close()


def keys():
    b = Build()
    b.args.append("--set=sleep-ms=30000")
    os.rename(b.path("alice"), b.path("away"))
    start = time.monotonic()
    same((b.run(), b.err), (
        1, "quern-teststep: alice: cannot open the private key: No such file or"
        " directory; put the owner's key there, or name its place in the "
        "policy\n"), "a missing key is told")
    check(time.monotonic() - start < 5, "now, not after the work")
    os.rename(b.path("away"), b.path("alice"))
    os.chmod(b.path("alice"), 0o644)
    same((b.run(), b.err), (
        1, "quern-teststep: alice: others may read this private key (mode "
        "0644); run 'chmod 600' on it\n"), "so are wrong permissions")
    os.chmod(b.path("alice"), 0o600)
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "secret", "-f",
                    b.path("alice")], check=True, stdout=subprocess.DEVNULL)
    check(b.run() == 1 and "alice: is encrypted" in b.err,
          "and a key with a passphrase", b.err)
    os.unlink(b.path("alice"))
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f",
                    b.path("alice")], check=True)
    check(b.run() == 1 and "is not an Ed25519 key" in b.err,
          "and a key of another type", b.err)
    same(b.runs(), 0, "and no work was done")
    b.close()

    b = Build()
    b.key("bob")
    lines = ["%s %s" % (n, b.read(n + ".pub").decode().strip())
             for n in ("alice", "bob")]
    b.write("b/keys/allowed_signers", "\n".join(lines) + "\n")
    same(b.run(), 0, "an owner in allowed_signers may sign")
    b.args = [a.replace("--key=alice", "--key=bob") for a in b.args]
    same((b.run(), b.err), (
        1, "quern-teststep: bob: is not the key that b/keys/allowed_signers "
        "gives for 'alice'; use that owner's key\n"), "another's key may not")
    b.args = [a.replace("--signer=alice", "--signer=eve") for a in b.args]
    same((b.run(), b.err), (
        1, "quern-teststep: b/keys/allowed_signers: nobody is called 'eve'; "
        "add a line with that owner's key\n"), "nor who is not listed")
    b.close()


def bad_inputs():
    b = Build()
    b.run()
    before = b.snapshot()
    os.rename(b.path("b/data/a"), b.path("b/data/c"))
    check(b.run() == 1 and b.err.startswith(
        "quern-teststep: b/data/a: cannot open: No such file") and
        b.err.count("\n") == 1, "a missing input is one line", b.err)
    os.mkfifo(b.path("b/data/a"))
    check(b.run() == 1 and "b/data/a: is not a regular file" in b.err,
          "a FIFO is refused and does not hang", b.err)
    os.unlink(b.path("b/data/a"))
    os.rename(b.path("b/data/c"), b.path("b/data/a"))
    same({k: v for k, v in b.snapshot().items()}, before,
         "old outputs are intact")
    same(b.run(["--set=fail=1"]), 1, "a step that fails exits 1")
    now = b.snapshot()
    same(now, before, "and leaves outputs and records as they were")
    same(b.stray(), [], "and nothing partial")
    b.close()

    b = Build()
    p = b.start(["--set=sleep-ms=700"])
    time.sleep(0.3)
    b.write("b/data/a", "changed\n")
    err = p.communicate(timeout=60)[1]
    check(p.returncode == 1 and
          "b/data/a: changed while it was read; run it again" in err,
          "an input that changes under the step is noticed", err)
    check(not os.path.exists(b.path("b/att")), "and nothing is signed")
    b.close()


def many_inputs():
    """more inputs than there may be open files"""
    b = Build()
    for i in range(600):
        b.write(f"b/data/many/{i}", str(i))
        b.args.append(f"--in=data/many/{i}")
    b.program, b.args = "prlimit", ["--nofile=300:300", STEP] + b.args
    b.name = "prlimit"
    same(b.run(), 0, "600 inputs with 300 descriptors")
    same(b.err, "", "and nothing to say")
    b.close()


def full_disk():
    """Needs a mount; skipped where that is not allowed."""
    b = Build()
    b.run()
    out = b.path("small")
    os.makedirs(out)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", out],
                      stderr=subprocess.DEVNULL).returncode != 0:
        print("ok %d - full disk # SKIP no mount here" % (count + 1))
        globals()["count"] += 1
        b.close()
        return
    try:
        shutil.copytree(b.path("b"), out + "/b")
        b.args = [a.replace("--dir=b", "--dir=small/b") for a in b.args]
        old = b.read("small/b/out/all")
        b.write("small/b/data/a", "n" * 20000)
        free = os.statvfs(out).f_bavail * os.statvfs(out).f_frsize
        b.write("small/fill", "f" * (free - 8192))
        status = b.run()
        check(status == 1 and b.err.count("\n") == 1 and
              "No space left on device" in b.err, "a full disk is one line",
              (status, b.err))
        same(b.read("small/b/out/all"), old, "the old output is intact")
        check(not [f for _, _, fs in os.walk(out) for f in fs
                   if f.endswith(".tmp")], "and nothing partial is left")
    finally:
        subprocess.run(["umount", out])
    b.close()


def read_only():
    """As an ordinary user, who does not pass every mode as root does."""
    b = Build()
    subprocess.run(["chmod", "-R", "a+rX", b.top], check=True)
    os.makedirs(b.path("b/state"), exist_ok=True)
    os.chmod(b.path("b/state"), 0o777)
    user = 65534 if os.getuid() == 0 else None
    if user is not None:
        os.chown(b.path("alice"), user, user)
    os.chmod(b.path("alice"), 0o600)
    os.chmod(b.path("b"), 0o555)
    b.args = [a for a in b.args if "count=" not in a]
    # the programs may lie where that user cannot reach them
    b.program = b.path("teststep")
    shutil.copy(STEP, b.program)
    p = subprocess.run([STEP] + b.args, executable=b.program, cwd=b.top,
                       capture_output=True, text=True, user=user)
    check(p.returncode == 1 and p.stderr.count("\n") == 1 and
          "Permission denied" in p.stderr and "b/out" in p.stderr,
          "a read-only folder is one line", (p.returncode, p.stderr))
    os.chmod(b.path("b"), 0o755)
    os.chmod(b.path("alice"), 0o000)
    if user is not None:
        p = subprocess.run([STEP] + b.args, executable=b.program, cwd=b.top,
                           capture_output=True, text=True, user=user)
        check(p.returncode == 1 and "alice: cannot open the private key: "
              "Permission denied" in p.stderr, "and so is a key that this "
              "user may not read", p.stderr)
    b.close()


def kills():
    b = Build()
    b.run()
    before = b.snapshot()
    b.set("text=", "y")
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
        p = b.start(["--set=sleep-ms=20000"])
        time.sleep(0.25)
        beat = os.path.exists(b.path("b/state/t.one.heartbeat"))
        p.send_signal(number)
        p.communicate(timeout=60)
        same(p.returncode, -number, "killed by signal %d" % number)
        check(beat, "a heartbeat told that it was at work")
        now = {k: v for k, v in b.snapshot().items() if not k.endswith(".tmp")}
        same(now, before, "old output and record are intact")
        if number != signal.SIGKILL:
            same(b.stray(), [], "nothing partial is left")
    same(b.run(), 0, "the next run finishes")
    same(b.read("b/out/all"), b"y\nhi\nho\n", "with the new output")
    same([s for s in b.stray() if "heartbeat" not in s], [],
         "and has swept what a kill -9 left")
    b.close()

    # between data and record: the stage must run again although the record of
    # the first parameter still verifies
    b = Build()
    b.run()
    record = b.read("b/att/t.one.dsse.json")
    link = b.link()
    link_bytes = b.read(link)
    b.set("text=", "y")
    b.run()
    for name, data in (("b/att/t.one.dsse.json", record), (link, link_bytes)):
        with open(b.path(name), "wb") as f:
            f.write(data)
    b.set("text=", "x")
    b.run()
    same(b.read("b/out/all"), b"x\nhi\nho\n",
         "A, then B killed before its record, then A: the output is A's")
    same(b.runs(), 3, "made again")
    b.close()


def two_at_once():
    b = Build()
    ps = [b.start(["--set=sleep-ms=300"]) for _ in range(3)]
    status = [(p.communicate(timeout=60), p.returncode)[1] for p in ps]
    same(status, [0, 0, 0], "three runs of one stage at once succeed")
    same(b.runs(), 1, "and do the work once")
    b.close()


def machine_lock():
    b = Build()
    os.makedirs(b.path("b/state"))
    with open(b.path("b/state/machine.lock"), "w") as f:
        fcntl.flock(f, fcntl.LOCK_SH)
        same(b.run(), 0, "a heavy step shares the machine")
        b.set("text=", "y")
        b.name = "/alone/teststep"
        p = b.start()
        time.sleep(0.3)
        same((p.poll(), b.runs()), (None, 1), "one that wants it alone waits")
        fcntl.flock(f, fcntl.LOCK_UN)
        p.communicate(timeout=60)
        same((p.returncode, b.runs()), (0, 2), "until it is free")
        fcntl.flock(f, fcntl.LOCK_EX)
        same(b.run(), 0, "a current stage does not wait for it")
        b.set("text=", "z")
        b.name = STEP
        p = b.start()
        time.sleep(0.3)
        same((p.poll(), b.runs()), (None, 2), "nothing heavy runs beside it")
        fcntl.flock(f, fcntl.LOCK_UN)
        p.communicate(timeout=60)
        same((p.returncode, b.runs()), (0, 3), "and goes on after")
    b.close()


def probes():
    b = Build()
    b.name = "/always/teststep"
    b.run()
    before = b.snapshot()
    b.run()
    same(b.runs(), 2, "a probe looks each time")
    same(b.snapshot(), before, "and rewrites nothing that did not change")
    same(b.why(), ["no record yet"], "and keeps what last made it new")
    b.close()


def launcher():
    b = Build()
    words = ("sh -c 'echo $QUERN_MEM $QUERN_CORES $QUERN_STAGE $QUERN_LAUNCHED "
             ">>launched; exec \"$@\"' launch")
    env = {"QUERN_LAUNCHER": words}
    same((b.run(env=env), b.err), (0, ""), "a heavy step goes through the "
         "launcher")
    same(b.read("launched"), b"300M 2 t.one 1\n",
         "which is told memory, cores and stage")
    same(b.runs(), 1, "and the work is done once")
    before = b.snapshot()
    b.run(env=env)
    same(b.read("launched").count(b"\n"), 1, "a current stage is not sent")
    b.run()
    same((b.snapshot(), b.runs()), (before, 1),
         "the launcher makes nothing stale")
    b.set("text=", "y")
    b.run(env=dict(env, QUERN_MEM="7G", QUERN_CORES="5"))
    check(b.read("launched").endswith(b"7G 5 t.one 1\n"),
          "a person's own figures come first", b.read("launched"))
    same(b.run(["--set=fail=1"], env=env), 1, "the far side's status comes back")
    check("told to fail" in b.err, "and so does its message", b.err)
    b.set("text=", "z")
    same(b.run(env={"QUERN_LAUNCHER": "/nowhere/srun -n1"}) not in (0,), True,
         "a launcher that is missing is an error")
    b.name = "/alone/teststep"
    n = b.read("launched")
    b.run(env=env)
    same((b.runs(), b.read("launched")), (4, n), "light steps stay here")
    b.name = STEP
    b.set("text=", "q")
    p = b.start(["--set=sleep-ms=20000"], env=env)
    time.sleep(0.4)
    p.send_signal(signal.SIGTERM)
    p.communicate(timeout=60)
    same(p.returncode, 128 + signal.SIGTERM, "signals reach the far side")
    same(b.stray(), [], "which cleans up")
    b.close()


def main():
    for test in (first_and_second_run, reasons, wrong_usage, stage_files, keys,
                 bad_inputs, many_inputs, full_disk, read_only, kills,
                 two_at_once, machine_lock, probes, launcher):
        print("# " + test.__name__)
        test()
    print("1..%d" % count)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
