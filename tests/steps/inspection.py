#!/usr/bin/env python3
"""quern inspect: every kind of file is found by its bytes and shown, for a
person and as JSON; damaged and unknown ones are named errors."""
import glob
import json
import os
import struct
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import step  # noqa: E402

TINY = os.path.join(os.environ.get("QUERN_TESTS", "out/tests"), "tools",
                    "make_tiny")


def run(*args):
    p = subprocess.run([os.path.join(step.BIN, "quern-inspect"), *args],
                       capture_output=True, check=False)
    return p.returncode, p.stdout.decode(), p.stderr.decode(errors="replace")


def show(path, *args):
    """The text and the JSON of a file that must be shown."""
    status, text, err = run(*args, path)
    step.equal((status, err), (0, ""), path)
    status, out, err = run("--json", *args, path)
    step.equal((status, err), (0, ""), path)
    v = json.loads(out)
    step.equal(v["schema"], "quern.inspect/1")
    step.equal(v["path"], path)
    return text, v


def refused(want, *args):
    status, out, err = run(*args)
    step.equal((status, out), (1, ""), err)
    step.check(err.startswith("quern-inspect: ") and err.count("\n") == 1, err)
    step.check(want in err, repr(err), "lacks", repr(want))


def of_header(path):
    """name -> type, shape, bytes, offset of a safetensors file"""
    header, start = step.safetensors_header(path)
    header.pop("__metadata__", None)
    return {n: (t["dtype"], t["shape"],
                t["data_offsets"][1] - t["data_offsets"][0],
                start + t["data_offsets"][0]) for n, t in header.items()}


def of_object(v):
    return {t["name"]: (t["type"], t["shape"], t["bytes"], t["offset"])
            for t in v["tensors"]}


def checkpoint(b):
    """a folder: config, tokenizer, every tensor where the header has it"""
    text, v = show(step.MODEL)
    want = of_header(os.path.join(step.MODEL, "model.safetensors"))
    step.equal(v["kind"], "checkpoint")
    step.equal(of_object(v), want)
    step.equal(v["weights"], 3672320)
    step.equal(v["bits_per_weight"], 16)
    with open(os.path.join(step.MODEL, "config.json")) as f:
        config = json.load(f)
    m = v["model"]
    for ours, theirs in (("layers", "num_hidden_layers"),
                         ("hidden", "hidden_size"),
                         ("heads", "num_attention_heads"),
                         ("kv_heads", "num_key_value_heads"),
                         ("feed_forward", "intermediate_size"),
                         ("vocabulary", "vocab_size"),
                         ("context", "max_position_embeddings")):
        step.equal(m[ours], config[theirs], ours)
    step.equal((m["runs"], m["why_not"], m["architecture"]),
               (True, None, "LlamaForCausalLM"))
    step.equal(m["rope"]["theta"], config["rope_theta"])
    step.equal(v["tokenizer"]["kind"], "byte-level BPE")
    step.equal(v["tokenizer"]["bos"], {"id": 0, "token": "<s>"})
    step.equal({f["name"] for f in v["files"]}, set(os.listdir(step.MODEL)))
    step.check("model.layers.*.mlp.up_proj.weight" in text and
               "4 times: 0-3" in text, text)


def sharded(b):
    """sharded folders name each tensor's file; with -a each has its line"""
    folder = os.path.join(b.top, "model")
    os.makedirs(folder)
    subprocess.run([TINY, "-n", "3", "-o", folder], check=True)
    text, v = show(folder, "-a")
    want = {}
    for path in glob.glob(os.path.join(folder, "*.safetensors")):
        for name, t in of_header(path).items():
            want[name] = (os.path.basename(path),) + t
    step.equal({t["name"]: (t["file"], t["type"], t["shape"], t["bytes"],
                            t["offset"]) for t in v["tensors"]}, want)
    step.equal(len({t[0] for t in want.values()}), 3)
    for name in want:
        step.check("\n" + name + " " in text, name, "is not shown")
    one, v = show(os.path.join(folder, "model-00001-of-00003.safetensors"))
    step.equal(v["kind"], "safetensors")
    step.equal(v["metadata"], [{"key": "format", "type": "string",
                                "value": "pt"}])


def broken_models(b):
    """what quern cannot run is shown with the reason"""
    folder = b.own_model()
    path = os.path.join(folder, "config.json")
    with open(path) as f:
        config = json.load(f)
    for change, want in (
            ({"architectures": ["OddForCausalLM"]}, "OddForCausalLM"),
            ({"rope_scaling": {"rope_type": "odd", "factor": 2}}, "odd"),
            ({"num_hidden_layers": 5}, "model.layers.4.")):
        with open(path, "w") as f:
            json.dump(dict(config, **change), f)
        text, v = show(folder)
        step.equal(v["model"]["runs"], False)
        step.check(want in v["model"]["why_not"], v["model"]["why_not"])
        step.equal(set(v["model"]) == {"runs", "why_not"},
                   "model.layers" not in want)
        step.check("does not run: " in text, text)
        step.equal(len(v["tensors"]), 38)
    os.remove(os.path.join(folder, "tokenizer.json"))
    step.equal(show(folder)[1]["tokenizer"], None)
    os.remove(path)
    refused("config.json: cannot open", folder)


def ignored(b):
    """tensors of a folder that nobody reads are listed"""
    folder = b.own_model()
    path = os.path.join(folder, "model.safetensors")
    tensors = step.read_safetensors(path)
    step.write_safetensors(path, dict(tensors, **{
        "lm_head.weight": ("BF16", [1], bytes(2))}))
    text, v = show(folder)
    step.equal((v["model"]["runs"], v["model"]["ignored"]),
               (True, ["lm_head.weight"]))
    step.check("does not read 1 tensor, such as lm_head.weight" in text, text)
    step.equal(show(step.MODEL)[1]["model"]["ignored"], [])


def gguf(b, path):
    text, v = show(path, "-a")
    g = step.Gguf(path)
    names = {0: "F32", 8: "Q8_0", 12: "Q4_K", 14: "Q6_K"}
    step.equal({k["key"]: k["value"] for k in v["metadata"]
                if k["type"] != "f32"},
               {k: x for k, x in g.kv.items() if not isinstance(x, float)})
    step.equal({n: t[:2] for n, t in of_object(v).items()},
               {n: (names[t[1]], t[0][::-1]) for n, t in g.tensors.items()})
    step.equal({n: t[3] for n, t in of_object(v).items()},
               {n: g.start + t[2] for n, t in g.tensors.items()})
    step.equal((v["kind"], v["version"], v["file_type"]), ("gguf", 3, "Q4_K_S"))
    step.equal(v["model"]["runs"], True)
    step.equal(v["bytes"], os.path.getsize(path))
    step.check(abs(v["bits_per_weight"] - 8 * v["weight_bytes"] /
                   v["weights"]) < 1e-9, v["bits_per_weight"])
    step.equal(sum(t["bytes"] for t in v["types"]), v["weight_bytes"])
    step.equal(sum(t["tensors"] for t in v["types"]), len(g.tensors))
    step.check("mostly Q4_K_S" in text, text)
    few = {k["key"]: k for k in show(path)[1]["metadata"]}
    tokens = few["tokenizer.ggml.tokens"]
    step.equal((tokens["count"], len(tokens["value"])), (2048, 8))


def statistics(b):
    text, v = show(b.path("stats/layer.001.safetensors"))
    step.equal((v["kind"], [r["role"] for r in v["roles"]]),
               ("statistics", ["down", "gate_up", "o", "qkv"]))
    values = step.safetensors_values(b.path("stats/layer.001.safetensors"),
                                     "o.mean2")
    o = v["roles"][2]
    step.equal((o["columns"], o["experts"]), (256, 0))
    step.check(abs(o["mean2"]["mean"] - sum(values) / 256) < 1e-6 *
               max(values), o)
    step.equal((o["mean2"]["bad"], o["mean2"]["zero"]), (0, 0))
    _, v = show(b.path("corpus/tokens.safetensors"))
    offsets = step.safetensors_values(b.path("corpus/tokens.safetensors"),
                                      "offsets")
    step.equal((v["kind"], v["texts"], v["tokens"]),
               ("tokens", len(offsets) - 1, offsets[-1]))


def records(b):
    owners = b.put("owners", "tester " + open(b.key + ".pub").read())
    other = b.put("others", "someone " + open(b.key + ".pub").read())
    link = glob.glob(b.path("att/assemble.q4k.*.link"))[0]
    for path, form in ((b.path("att/assemble.q4k.dsse.json"), "envelope"),
                       (link, "link")):
        text, v = show(path)
        step.equal((v["kind"], v["form"], v["ours"], v["stage"], v["step"]),
                   ("record", form, True, "assemble.q4k", "assemble"))
        step.equal(v["signature"]["state"], "unchecked")
        step.equal(sorted(v["inputs"]), sorted(
            [f"quant/q4k/layer.{i:03d}.gguf" for i in range(4)] +
            ["quant/q4k/head.gguf", "base/config.fp.json",
             "base/tokenizer.fp.json"]))
        digest = subprocess.run(
            ["sha256sum", b.path("cand/q4k/model.gguf")], check=True,
            stdout=subprocess.PIPE, text=True).stdout.split()[0]
        step.equal(v["outputs"], {"cand/q4k/model.gguf": digest})
        step.check("--set=type=Q4_K" in v["arguments"], v["arguments"])
        step.equal(show(path, "-s", owners)[1]["signature"]["state"], "good")
        status, out, err = run("-j", "-s", other, path)
        step.equal((status, json.loads(out)["signature"]["state"]),
                   (1, "bad"), err)
        step.check("its signature does not hold: the signer is no owner" in
                   err, err)
    with open(b.path("att/assemble.q4k.dsse.json")) as f:
        forged = json.load(f)
    sig = forged["signatures"][0]["sig"]
    forged["signatures"][0]["sig"] = ("A" if sig[0] != "A" else "B") + sig[1:]
    text = json.dumps(forged, indent=1, sort_keys=True) + "\n"
    path = b.put("forged", text)
    status, out, err = run("-s", owners, path)
    step.check(status == 1 and "no key of this signer made it" in err, err)
    text, v = show(owners)
    step.equal((v["kind"], [o["principal"] for o in v["owners"]]),
               ("signers", ["tester"]))
    step.equal(show(b.key + ".pub")[1]["keyid"],
               show(link)[1]["signature"]["keyid"])


def documents(b):
    n = 0
    for folder in "base", "quant/q4k", "corpus", "why", ".":
        for path in sorted(glob.glob(b.path(folder) + "/*.json")):
            with open(path) as f:
                want = json.load(f)
            text, v = show(path)
            step.equal((v["kind"], v["content"]), ("document", want), path)
            if "schema" in want:
                step.equal("quern.%s/1" % v["document"], want["schema"])
            n += 1
    step.check(n >= 15, n, "documents")
    _, v = show(os.path.join(step.DATA, "suites", "facts.jsonl"))
    step.equal((v["kind"], v["lines"]), ("lines", 500))
    _, v = show(os.path.join(step.MODEL, "config.json"))
    step.equal((v["document"], v["model"]["layers"]), ("config", 4))
    _, v = show(os.path.join(step.MODEL, "tokenizer.json"))
    step.equal((v["kind"], v["tokenizer"]["tokens"]), ("tokenizer", 2048))


def names_say_nothing(b):
    """the same bytes under another name are the same thing"""
    for role in ("cand/q4k/model.gguf", "stats/layer.001.safetensors",
                 "att/assemble.q4k.dsse.json", "traffic.json"):
        want = show(b.path(role))[1]
        got = show(b.copy(b.path(role), "odd.name"))[1]
        step.equal(dict(got, path=""), dict(want, path=""), role)


def built(b):
    """what the stages write: GGUF files whole and in parts, statistics,
    tokens, records and their signatures, documents"""
    b.fingerprint()
    b.traffic()
    b.corpus(count=8)
    b.calibrate()
    path = b.candidate("q4k", "Q4_K", "imatrix")
    gguf(b, path)
    sys.path.insert(0, "tests/graph")
    from gguf import split  # noqa: E402, of the same name as what is here
    split(path, b.path("part"), 2)
    whole, (_, v) = show(path)[1], show(b.path("part-00001-of-00002.gguf"))
    names = ["part-00001-of-00002.gguf", "part-00002-of-00002.gguf"]
    step.equal([f["name"] for f in v["files"]], names)
    step.equal({t["file"] for t in v["tensors"]}, set(names))
    step.equal((v["weights"], v["types"], v["model"]),
               (whole["weights"], whole["types"], whole["model"]))
    _, v = show(b.path("quant/q4k/layer.001.gguf"))
    step.equal((v["model"], len(v["tensors"])), (None, 9))
    statistics(b)
    records(b)
    documents(b)
    names_say_nothing(b)


def imatrix(b):
    """importance matrices, in both forms"""
    old = struct.pack("<i", 1) + struct.pack("<i", 5) + b"a.b.c" + \
        struct.pack("<ii4f", 2, 4, 0, 1, 2, 3) + \
        struct.pack("<ii", 7, 5) + b"d.txt"
    text, v = show(b.put("imatrix.dat", old))
    step.equal((v["kind"], v["form"], v["chunks"], v["datasets"]),
               ("imatrix", "legacy", 7, ["d.txt"]))
    x = v["entries"][0]
    step.equal((x["name"], x["columns"], x["matrices"]), ("a.b.c", 4, 1))
    step.equal(x["in_sum2"], {"min": 0, "mean": 1.5, "max": 3, "zero": 1,
                              "bad": 0})
    _, v = show("tests/data/fuzz/imatrix/gguf")
    step.equal((v["form"], v["chunk_size"], v["entries"][0]["matrices"]),
               ("gguf", 512, 2))


def small_files(b):
    """stage files, signatures, pointers, and envelopes of other programs"""
    stage = b.put("x.stage", "--step=gate\n--stage=gate.q\n--in=a=/b=c\n"
                  "--in=d\n--out=e\n--set=n=1\n--item=i\n--end\n")
    _, v = show(stage)
    step.equal((v["kind"], v["step"], v["inputs"], v["outputs"],
                v["parameters"], v["items"]),
               ("stage", "gate", {"a": "/b=c", "d": None}, ["e"], {"n": "1"},
                ["i"]))
    text = b.put("text", "signed")
    subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-n", "file", "-f",
                    b.key, text], check=True, stderr=subprocess.DEVNULL)
    _, v = show(text + ".sig")
    step.equal((v["kind"], v["namespace"], v["hash"]),
               ("signature", "file", "sha512"))
    step.equal(v["key"], " ".join(open(b.key + ".pub").read().split()[:2]))
    _, v = show(b.put("p", "version https://git-lfs.github.com/spec/v1\n"
                      "oid sha256:" + "ab" * 32 + "\nsize 77\n"))
    step.equal((v["kind"], v["sha256"], v["size"]), ("pointer", "ab" * 32, 77))
    _, v = show("tests/data/provenance/statement/quantize.slsa.dsse.json")
    step.equal((v["kind"], v["ours"]), ("record", False))
    step.equal(v["content"]["predicateType"],
               "https://slsa.dev/provenance/v1")


def refuses(b):
    """what is nothing known, secret, empty or away is an error with a cure"""
    refused("is nothing that quern knows", b.put("t", "some text\n"))
    refused("is empty", b.put("t", ""))
    refused("is a private key", b.key)
    refused("is a policy; `quern gen --print ", "policies/production.yaml")
    refused("no/such: cannot open: No such file", "no/such")
    refused("config.json: cannot open", b.dir)
    refused("t:1:10: not JSON: duplicate", b.put("t", '{"a":1,"a":2}\n{}'))
    refused("is not a whole stage file", b.put("t", "--step=a\n"))
    refused("no/such: cannot open", "-s", "no/such", b.key + ".pub")


def terminal(b):
    """names and texts out of a file never reach the terminal as commands"""
    evil = "\x1b[31m\x07\u009b"
    data = step.struct.pack("<f", 1.0)
    path = os.path.join(b.top, "evil")
    step.write_safetensors(path, {"a" + evil: ("F32", [1], data)})
    for text in (show(path)[0],
                 show(b.put("j", json.dumps({"k" + evil: [evil]})))[0]):
        step.check(not set(text) & set("\x1b\x07\u009b"), repr(text))
        step.check("\\x1b[31m\\x07\\xc2\\x9b" in text, repr(text))


def cut(b):
    """what is left out of a view is said, and shown with -a; texts are cut
    between characters"""
    path = b.put("wide.json", json.dumps({
        "rows": [{f"c{i:02}": i for i in range(20)}] * 30,
        "empty": {"one": {}, "two": {}}, **{f"m{i}": i for i in range(100)}}))
    text, whole = show(path)[0], show(path, "-a")[0]
    step.check("\n... and more columns: c12, c13, c14, c15, c16, c17, c18, "
               "c19\n" in text and " c19\n" in whole, text)
    step.check("\n... and 6 more\n" in text and "\n... and 4 more\n" in text and
               " more" not in whole, text)
    step.check("\nempty\n\none\ntwo\n" in text, text)
    path = os.path.join(b.top, "long.safetensors")
    header = json.dumps({"__metadata__": {"k": "x" * 59 + "\u00e9" * 9}})
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(header)) + header.encode())
    step.check("x" * 59 + " ...\n" in show(path)[0], show(path)[0])


def long_arrays(b):
    """arrays whole take no more memory than named, however long they are"""
    most, arrays = 1 << 22, b""
    for key, n in (b"a", most - 5), (b"b", 9):
        arrays += struct.pack("<Q", 1) + key + struct.pack("<IIQ", 9, 0, n) + \
            bytes(n)
    path = b.put("long.gguf",
                 b"GGUF" + struct.pack("<IQQ", 3, 0, 2) + arrays)
    step.equal([len(k["value"]) for k in show(path)[1]["metadata"]], [8, 8])
    if not os.environ.get("QUERN_SANITIZED"):
        status, out, err = run("-a", "-j", path)
        step.equal((status, out.count("\n    0")), (0, most), err)


def tokens(b):
    """token files whose texts do not cover their ids are refused"""
    path = os.path.join(b.top, "tokens.safetensors")
    for offsets, good in (((0, 2, 3), True), ((1, 2, 3), False),
                          ((0, 2), False), ((0, 4, 3), False)):
        step.write_safetensors(path, {
            "ids": ("I32", [3], bytes(12)),
            "offsets": ("I64", [len(offsets)],
                        struct.pack(f"<{len(offsets)}q", *offsets))})
        if good:
            step.equal(show(path)[1]["texts"], 2)
        else:
            refused("run the corpus stage", path)


def hostile(b):
    """damaged files of every kind: one line of error, or they are shown"""
    shown = said = 0
    for path in sorted(glob.glob("tests/data/fuzz/*/*")):
        if os.path.getsize(path) > 1 << 20:
            continue
        status, out, err = run("--json", path)
        step.check(status in (0, 1), path, status, err)
        if status == 0:
            json.loads(out)
            shown += 1
        else:
            step.equal((out, err.count("\n")), ("", 1), path)
            step.check(path in err, err)
            said += 1
    step.check(shown > 50 and said > 50, shown, said)
    return f"{shown} shown, {said} refused"


if __name__ == "__main__":
    step.main([checkpoint, sharded, broken_models, ignored, built, imatrix,
               small_files, refuses, terminal, cut, long_arrays, tokens,
               hostile])
