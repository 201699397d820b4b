"""Help for tests of single steps: a build folder, stage arguments, TAP.

A test is a function whose first docstring line is the promise it proves; main
runs them in order, each in a folder of its own.
"""
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import traceback

BIN = os.environ.get("QUERN_BIN", os.path.abspath("out/bin"))
MODEL = os.path.abspath("examples/pebble/model")
DATA = os.path.abspath("examples/pebble/data")
TEST_DATA = os.path.abspath("tests/data/pebble")
LAYERS = 4


class Failed(Exception):
    pass


def check(truth, *what):
    if not truth:
        raise Failed(" ".join(str(w) for w in what))


def equal(got, want, what=""):
    check(got == want, what, "got", repr(got)[:600], "want",
          repr(want)[:600])


class Build:
    """A build folder with a key; runs steps in it."""

    def __init__(self, folder):
        self.top = folder
        self.dir = os.path.join(folder, "build")
        self.key = os.path.join(folder, "key")
        self.model = MODEL
        os.makedirs(self.dir)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C",
                        "test", "-f", self.key], check=True)

    def path(self, role):
        return os.path.join(self.dir, role)

    def put(self, role, data):
        path = self.path(role)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data.encode() if isinstance(data, str) else data)
        return path

    def copy(self, source, role):
        with open(source, "rb") as f:
            return self.put(role, f.read())

    def own_model(self):
        """A writable copy of the model folder."""
        self.model = os.path.join(self.top, "model")
        shutil.copytree(MODEL, self.model)
        os.chmod(self.model, 0o755)
        for name in os.listdir(self.model):
            os.chmod(os.path.join(self.model, name), 0o644)
        return self.model

    def read(self, role):
        with open(self.path(role), "rb") as f:
            return f.read()

    def json(self, role):
        return json.loads(self.read(role))

    def args(self, step, stage, ins=(), srcs=None, outs=(), sets=None,
             items=(), phase="convert"):
        program = os.path.join(BIN, "quern-" + step)
        args = [program, "--step=" + step, "--stage=" + stage,
                "--dir=" + self.dir, "--phase=" + phase, "--signer=tester",
                "--key=" + self.key]
        args += ["--item=" + i for i in items]
        args += ["--in=" + i for i in sorted(ins)]
        args += [f"--src={k}={v}" for k, v in sorted((srcs or {}).items())]
        args += ["--out=" + o for o in sorted(outs)]
        args += [f"--set={k}={v}" for k, v in sorted((sets or {}).items())]
        return args + ["--end"]

    def run(self, step, stage, *, env=None, user=None, prefix=(), **rest):
        """Exit status and stderr."""
        done = subprocess.run(list(prefix) + self.args(step, stage, **rest),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=dict(os.environ, **(env or {})), user=user,
                              stdin=subprocess.DEVNULL, errors="replace")
        return done.returncode, done.stderr

    def ok(self, step, stage, **rest):
        status, err = self.run(step, stage, **rest)
        equal(status, 0, f"{step}: {err}")

    def refused(self, step, stage, want, **rest):
        """Exit 1 with one line that holds `want`."""
        status, err = self.run(step, stage, **rest)
        equal(status, 1, f"{step}: {err}")
        equal(err.count("\n"), 1, err)
        check(err.startswith(f"quern-{step}: "), err)
        check(want in err, repr(err), "lacks", repr(want))
        return err

    # the stages of one model, in their usual form

    def fingerprint_args(self, layers=LAYERS):
        outs = [f"base/{p}.fp.json"
                for p in ("config", "tokenizer", "head", "model")]
        outs += [f"base/layer.{i:03d}.fp.json" for i in range(layers)]
        return dict(srcs={"base": self.model}, outs=outs, phase="before")

    def fingerprint(self):
        self.ok("fingerprint", "fingerprint", **self.fingerprint_args())

    def traffic_args(self, sample=None, documents=800):
        return dict(ins=["base/tokenizer.fp.json"],
                    srcs={"base": self.model, "traffic":
                          sample or os.path.join(DATA, "traffic.jsonl")},
                    outs=["traffic.json"], phase="after",
                    sets={"documents": documents, "seed": 7})

    def traffic(self, sample=None, **rest):
        self.ok("traffic", "traffic", **self.traffic_args(sample, **rest))

    def corpus_args(self, count=128, suites=(), **sets):
        ins = ["data/calibration.jsonl", "base/tokenizer.fp.json",
               "traffic.json"] + list(suites)
        return dict(ins=ins, srcs={"base": self.model}, phase="calibration",
                    outs=["corpus/tokens.safetensors", "corpus/report.json"],
                    items=["calibration.in-domain",
                           "calibration.no-duplicates",
                           "calibration.samples"],
                    sets=dict({"count": count, "window": 512, "seed": 1},
                              **sets))

    def corpus(self, pool=None, **rest):
        self.copy(pool or os.path.join(DATA, "calib_pool.jsonl"),
                  "data/calibration.jsonl")
        self.ok("corpus", "corpus", **self.corpus_args(**rest))

    def calibrate_args(self, layers=LAYERS):
        ins = ["corpus/tokens.safetensors", "base/config.fp.json",
               "base/head.fp.json"]
        ins += [f"base/layer.{i:03d}.fp.json" for i in range(layers)]
        outs = [f"stats/layer.{i:03d}.safetensors" for i in range(layers)]
        return dict(ins=ins, srcs={"base": self.model}, phase="calibration",
                    outs=outs + ["stats/head.safetensors"])

    def calibrate(self):
        self.ok("calibrate", "calibrate", **self.calibrate_args())

    def quantize_args(self, cand, part, type_, method, **sets):
        name = "head" if part == "head" else f"layer.{part:03d}"
        ins = ["base/config.fp.json", f"base/{name}.fp.json"]
        if method != "rtn":
            ins.append(f"stats/{name}.safetensors")
        layer = "head" if part == "head" else f"{part:03d}"
        return dict(ins=ins, srcs={"base": self.model},
                    outs=[f"quant/{cand}/{name}.gguf",
                          f"quant/{cand}/{name}.json"],
                    sets=dict({"layer": layer, "type": type_,
                               "method": method, "rounding": "compat"},
                              **sets))

    def quantize(self, cand, part, type_, method, **rest):
        name = "head" if part == "head" else f"l{part:03d}"
        sets = rest.pop("sets", {})
        self.ok("quantize", f"quantize.{cand}.{name}", **rest,
                **self.quantize_args(cand, part, type_, method, **sets))

    def assemble_args(self, cand, type_, layers=LAYERS):
        ins = [f"quant/{cand}/layer.{i:03d}.gguf" for i in range(layers)]
        ins += [f"quant/{cand}/head.gguf", "base/config.fp.json",
                "base/tokenizer.fp.json"]
        return dict(ins=ins, srcs={"base": self.model},
                    outs=[f"cand/{cand}/model.gguf"],
                    sets={"name": "pebble", "candidate": cand, "type": type_,
                          "card.license": "apache-2.0",
                          "card.base_model": "pebble"})

    def candidate(self, cand, type_, method, **sets):
        """All of a candidate; returns the path of its file."""
        for part in [*range(LAYERS), "head"]:
            self.quantize(cand, part, type_, method, sets=sets)
        self.ok("assemble", f"assemble.{cand}",
                **self.assemble_args(cand, type_))
        return self.path(f"cand/{cand}/model.gguf")


def safetensors_header(path):
    with open(path, "rb") as f:
        n = struct.unpack("<Q", f.read(8))[0]
        return json.loads(f.read(n)), 8 + n


def safetensors_values(path, name):
    """Values of one F32, I32 or I64 tensor."""
    header, start = safetensors_header(path)
    t = header[name]
    a, b = t["data_offsets"]
    code, size = {"F32": ("f", 4), "I32": ("i", 4), "I64": ("q", 8)}[t["dtype"]]
    with open(path, "rb") as f:
        f.seek(start + a)
        return struct.unpack(f"<{(b - a) // size}{code}", f.read(b - a))


class Gguf:
    """Keys and tensor table of a GGUF file; data of one tensor as bytes."""

    SCALAR = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?",
              10: "Q", 11: "q", 12: "d"}

    def __init__(self, path):
        with open(path, "rb") as f:
            self.data = f.read()
        self.at = 0
        check(self.data[:4] == b"GGUF", path, "is no GGUF file")
        self.at = 4
        self.version = self.get("I")
        n_tensors, n_kv = self.get("q"), self.get("q")
        self.kv = {}
        for _ in range(n_kv):
            key = self.string()
            check(key not in self.kv, "key twice:", key)
            self.kv[key] = self.value(self.get("i"))
        self.keys_end = self.at
        self.tensors = {}
        for _ in range(n_tensors):
            name, rank = self.string(), self.get("I")
            dims = [self.get("q") for _ in range(rank)]
            self.tensors[name] = (dims, self.get("i"), self.get("Q"))
        self.start = (self.at + 31) // 32 * 32

    def get(self, code):
        v = struct.unpack_from("<" + code, self.data, self.at)[0]
        self.at += struct.calcsize(code)
        return v

    def string(self):
        n = self.get("Q")
        self.at += n
        return self.data[self.at - n:self.at].decode()

    def value(self, kind):
        if kind == 8:
            return self.string()
        if kind == 9:
            kind, n = self.get("i"), self.get("Q")
            return [self.value(kind) for _ in range(n)]
        return self.get(self.SCALAR[kind])

    def bytes_of(self, name, n):
        at = self.start + self.tensors[name][2]
        return self.data[at:at + n]


def write_safetensors(path, tensors):
    """tensors: name -> (dtype, shape, bytes)"""
    header, at = {}, 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape,
                        "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for _, _, data in tensors.values():
            f.write(data)


def read_safetensors(path):
    header, start = safetensors_header(path)
    header.pop("__metadata__", None)
    with open(path, "rb") as f:
        data = f.read()
    return {name: (t["dtype"], t["shape"],
                   data[start + t["data_offsets"][0]:
                        start + t["data_offsets"][1]])
            for name, t in header.items()}


def bf16(data):
    """Floats of bfloat16 bytes."""
    n = len(data) // 2
    wide = b"".join(b"\0\0" + data[2 * i:2 * i + 2] for i in range(n))
    return struct.unpack(f"<{n}f", wide)


def leftovers(folder):
    """Temporaries that a step should have removed."""
    return [os.path.join(d, f) for d, _, files in os.walk(folder)
            for f in files if f.endswith(".tmp")]


def main(tests):
    failed = 0
    for n, test in enumerate(tests, 1):
        name = test.__doc__.strip().splitlines()[0]
        with tempfile.TemporaryDirectory(prefix="quern-test-") as folder:
            try:
                note = test(Build(folder))
                if note is not None:
                    print(f"# {note}")
                print(f"ok {n} - {name}", flush=True)
            except Failed as e:
                failed += 1
                print(f"not ok {n} - {name}\n# " +
                      str(e).replace("\n", "\n# "), flush=True)
            except Exception:
                failed += 1
                print(f"not ok {n} - {name}\n# " +
                      traceback.format_exc().replace("\n", "\n# "), flush=True)
    print(f"1..{len(tests)}")
    sys.exit(1 if failed else 0)
