#!/usr/bin/env python3
"""Stock tools on what quern signs: ssh-keygen takes its keys and signatures and
makes the same bytes, in-toto-verify walks a chain of two stages, openssl checks
an envelope."""
import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile

TESTS = os.environ.get("QUERN_TESTS", "out/tests")
TOOL = os.path.abspath(os.path.join(TESTS, "tools/signtool"))
STEP = os.path.abspath(os.path.join(TESTS, "tools/teststep"))
count = failed = 0


def check(good, text, detail=""):
    global count, failed
    count += 1
    print("%s %d - %s" % ("ok" if good else "not ok", count, text))
    if not good:
        failed += 1
        print("# %s" % (detail,))


def skip(text, why):
    global count
    count += 1
    print("ok %d - %s # SKIP %s" % (count, text, why))


def run(*words, **more):
    return subprocess.run(words, capture_output=True, text=True, **more)


def write(path, data):
    with open(path, "wb") as f:
        f.write(data if isinstance(data, bytes) else data.encode())


def read(path):
    with open(path, "rb") as f:
        return f.read()


def keys_agree():
    run(TOOL, "keygen", "ours", "me@example")
    p = run("ssh-keygen", "-y", "-f", "ours")
    check(p.returncode == 0 and
          p.stdout.split()[:2] == read("ours.pub").decode().split()[:2],
          "ssh-keygen reads a key that quern made", p.stderr)
    p = run("ssh-keygen", "-l", "-f", "ours.pub")
    check(p.returncode == 0 and "me@example" in p.stdout and
          "ED25519" in p.stdout, "and its public half", p.stdout)
    for comment in ("", "x", "a somewhat longer comment"):
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f",
            "theirs")
        write("m", "text")
        check(run(TOOL, "sign", "theirs", "file", "m").returncode == 0,
              "quern reads a key of ssh-keygen's, comment '%s'" % comment)
        os.unlink("theirs")
        os.unlink("theirs.pub")


def signatures_agree():
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "k")
    pub = read("k.pub").decode().strip()
    write("allowed", "me@example namespaces=\"file,git,waiver@quern\" %s\n" %
          pub)
    for ns in ("file", "git", "waiver@quern"):
        for size in (0, 1, 63, 64, 65, 100000):
            write("m", bytes(i * 7 % 256 for i in range(size)))
            ours = run(TOOL, "sign", "k", ns, "m").stdout
            if os.path.exists("m.sig"):
                os.unlink("m.sig")
            subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-n", ns, "-f",
                            "k", "m"], stderr=subprocess.DEVNULL)
            check(ours != "" and ours.encode() == read("m.sig"),
                  "same bytes as ssh-keygen -Y sign, %s, %d bytes" % (ns, size))
        write("ours.sig", ours)
        with open("m") as m:
            p = run("ssh-keygen", "-Y", "verify", "-f", "allowed", "-I",
                    "me@example", "-n", ns, "-s", "ours.sig", stdin=m)
        check(p.returncode == 0, "ssh-keygen -Y verify takes it, " + ns,
              p.stdout + p.stderr)
        check(run(TOOL, "verify", "k.pub", ns, "m", "m.sig").returncode == 0,
              "quern takes ssh-keygen's, " + ns)
        write("n", read("m") + b"x")
        p = run(TOOL, "verify", "k.pub", ns, "n", "m.sig")
        check(p.returncode == 1 and p.stderr.count("\n") == 1,
              "and not for another file", p.stderr)


def stage(name, ins, out, key, signer, text):
    return run(STEP, "--step=teststep", "--stage=" + name, "--dir=b",
               "--phase=ship", "--signer=" + signer, "--key=" + key,
               "--out=" + out, "--set=text=" + text,
               *["--in=" + i for i in ins])


def key_object(path):
    blob = base64.b64decode(read(path).split()[1])
    return {"keyid_hash_algorithms": ["sha256", "sha512"],
            "keytype": "ed25519", "keyval": {"public": blob[-32:].hex()},
            "scheme": "ed25519"}


def canonical(v):
    return json.dumps(v, sort_keys=True, separators=(",", ":"),
                      ensure_ascii=False).encode()


def keyid(o):
    return hashlib.sha256(canonical(o)).hexdigest()


def pem(path):
    blob = base64.b64decode(read(path).split()[1])
    der = bytes.fromhex("302a300506032b6570032100") + blob[-32:]
    return "-----BEGIN PUBLIC KEY-----\n%s\n-----END PUBLIC KEY-----\n" % \
        base64.b64encode(der).decode()


def layout(owner, other):
    """Two stages: the second may only read what the first one made."""
    material = ["ALLOW", "_tool/*"]
    first = {"_type": "step", "name": "test.first",
             "expected_command": [], "threshold": 1,
             "expected_materials": [["REQUIRE", "_tool/quern-teststep"],
                                    material, ["ALLOW", "data/a"],
                                    ["DISALLOW", "*"]],
             "expected_products": [["CREATE", "out/all"], ["DISALLOW", "*"]],
             "pubkeys": [keyid(owner)]}
    second = dict(first, name="test.second", pubkeys=[keyid(other)],
                  expected_materials=[
                      ["REQUIRE", "data/all"], material,
                      ["MATCH", "all", "IN", "data", "WITH", "PRODUCTS", "IN",
                       "out", "FROM", "test.first"], ["DISALLOW", "*"]])
    return {"_type": "layout", "expires": "2100-01-01T00:00:00Z",
            "inspect": [], "readme": "",
            "keys": {keyid(k): dict(k, keyid=keyid(k))
                     for k in (owner, other)},
            "steps": [first, second]}


def sign_layout(body):
    """With openssl: quern does not sign layouts."""
    run("openssl", "genpkey", "-algorithm", "ed25519", "-out", "root.pem")
    der = subprocess.run(["openssl", "pkey", "-in", "root.pem", "-pubout",
                          "-outform", "DER"], capture_output=True).stdout
    write("body", canonical(body))
    run("openssl", "pkeyutl", "-sign", "-inkey", "root.pem", "-rawin", "-in",
        "body", "-out", "body.sig")
    public = {"keyid_hash_algorithms": ["sha256", "sha512"],
              "keytype": "ed25519", "keyval": {"public": der[-32:].hex()},
              "scheme": "ed25519"}
    write("root.layout", json.dumps({"signed": body, "signatures": [
        {"keyid": keyid(public), "sig": read("body.sig").hex()}]}))
    write("root.json", json.dumps(public))


def second_stage():
    return stage("test.second", ["data/all"], "out/all", "two", "two@example",
                 "y")


def in_toto():
    for program in ("in-toto-verify", "openssl"):
        if shutil.which(program) is None:
            return skip("in-toto-verify walks two stages",
                        program + " is not here")
    for name in ("one", "two"):
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", name)
    os.makedirs("b/data")
    write("b/data/a", "input\n")
    p = stage("test.first", ["data/a"], "out/all", "one", "one@example", "x")
    check(p.returncode == 0, "the first stage runs", p.stderr)
    write("b/data/all", read("b/out/all"))
    p = second_stage()
    check(p.returncode == 0, "and the second", p.stderr)
    one, two = key_object("one.pub"), key_object("two.pub")
    check(os.path.exists("b/att/test.first.%s.link" % keyid(one)[:8]),
          "link files are named by in-toto's key id")
    check(run(TOOL, "keyid", "one.pub").stdout.strip() == keyid(one),
          "which quern tells, too")
    sign_layout(layout(one, two))

    def verify():
        return run("in-toto-verify", "--layout", "root.layout",
                   "--layout-keys", "root.json", "-t", "ed25519",
                   "--link-dir", "b/att")

    p = verify()
    check(p.returncode == 0, "in-toto-verify walks two stages",
          p.stdout + p.stderr)
    path = "b/att/test.second.%s.link" % keyid(two)[:8]
    good = read(path)
    for what, old, new in (("command", b"text=y", b"text=z"),
                           ("digest", b'"sha256": "', b'"sha256": "0'),
                       ("signature", b'"sig": "', b'"sig": "0')):
        write(path, good.replace(old, new, 1))
        check(verify().returncode != 0, "and not with another " + what)
    write(path, good)
    write("b/data/all", "something else\n")
    second_stage()
    check(verify().returncode != 0,
          "nor when the second stage read another file")


def envelope():
    v = json.loads(read("b/att/test.first.dsse.json"))
    payload = base64.b64decode(v["payload"])
    kind = v["payloadType"].encode()
    write("pae", b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload),
                                          payload))
    write("sig", base64.b64decode(v["signatures"][0]["sig"]))
    write("one.pem", pem("one.pub"))
    words = ("openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "one.pem",
             "-rawin", "-in", "pae", "-sigfile", "sig")
    if shutil.which("openssl") is None:
        return skip("openssl verifies an envelope", "openssl is not here")
    check(run(*words).returncode == 0, "openssl verifies an envelope")
    write("pae", read("pae") + b" ")
    check(run(*words).returncode != 0, "and not with a byte more")
    link = json.loads(read("b/att/test.first.%s.link" % keyid(
        key_object("one.pub"))[:8]))["signed"]
    s = json.loads(payload)
    p = s["predicate"]
    check(s["predicateType"] == "https://in-toto.io/attestation/link/v0.3" and
          {m["name"]: m["digest"] for m in p["materials"]} ==
          link["materials"] and
          {m["name"]: m["digest"] for m in s["subject"]} == link["products"] and
          all(p[k] == link[k] for k in
              ("name", "command", "byproducts", "environment")),
          "link and statement say the same")
    check(sorted(link) == ["_type", "byproducts", "command", "environment",
                           "materials", "name", "products"],
          "the link has exactly the seven members")


def main():
    here = os.getcwd()
    top = tempfile.mkdtemp(prefix="quern-test-")
    os.chdir(top)
    try:
        keys_agree()
        signatures_agree()
        in_toto()
        if os.path.exists("b/att"):
            envelope()
    finally:
        os.chdir(here)
        shutil.rmtree(top)
    print("1..%d" % count)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
