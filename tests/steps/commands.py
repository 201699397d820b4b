#!/usr/bin/env python3
"""quern tokenize, logits, perplexity and generate on every source and every
format that quern writes, and what they refuse."""
import array
import json
import math
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import step  # noqa: E402

TINY = os.path.join(os.environ.get("QUERN_TESTS", "out/tests"), "tools",
                    "make_tiny")
LAYERS = 2
TEXT = "The miller sold 12 sacks, then 7 more.\nHow many? 19.\n"
# what the logits may be off by, as a share of their spread: random weights are
# the worst case, so this is little more than the error of the weights themselves
FORMATS = {
    "F32": 2e-6, "BF16": 2e-6, "F16": 1e-3, "Q8_0": 0.03, "Q6_K": 0.08,
    "Q5_K": 0.14, "Q5_1": 0.15, "Q5_0": 0.15, "Q4_K": 0.25, "Q4_1": 0.27,
    "Q4_0": 0.3, "IQ4_NL": 0.27, "IQ4_XS": 0.27, "Q3_K": 0.5, "Q2_K": 0.85,
}
# main type, attn_v, ffn_down; the embedding is Q6_K
MIXES = {
    "Q4_K_M": ("Q4_K", "Q6_K", "Q6_K", 0.2),
    "Q4_K_S": ("Q4_K", "Q5_K", "Q5_K", 0.22),
    "Q5_K_M": ("Q5_K", "Q6_K", "Q6_K", 0.13),
    "Q3_K_M": ("Q3_K", "Q5_K", "Q4_K", 0.42),
    "Q2_K": ("Q2_K", "Q4_K", "Q3_K", 0.75),
}
if os.environ.get("QUERN_SANITIZED"):  # one of each kind of code is enough
    FORMATS = {t: FORMATS[t] for t in ("F16", "Q8_0", "Q4_1", "Q4_K", "Q2_K")}
    MIXES = {"Q4_K_M": MIXES["Q4_K_M"]}


def run(command, *args, data=None):
    p = subprocess.run([os.path.join(step.BIN, "quern-" + command), *args],
                       input=data, capture_output=True, check=False)
    return p.returncode, p.stdout.decode(), p.stderr.decode(errors="replace")


def ok(command, *args, data=None):
    status, out, err = run(command, *args, data=data)
    step.equal((status, err), (0, ""), [command, *args])
    return out


def refused(want, command, *args, status=1, data=None):
    got, out, err = run(command, *args, data=data)
    step.equal(got, status, [command, *args, err])
    step.check(err.startswith(f"quern-{command}: "), err)
    step.check(status == 2 or err.count("\n") == 1, err)
    step.check(want in err, repr(err), "lacks", repr(want))


def make(folder, *args, keys=None):
    """A tiny random model."""
    os.makedirs(folder)
    if keys is not None:
        with open(folder + ".keys", "w") as f:
            json.dump(keys, f)
        args += ("-c", folder + ".keys")
    subprocess.run([TINY, "-l", str(LAYERS), *args, folder], check=True)
    return folder


def prepare(b):
    b.model = make(os.path.join(b.top, "model"))
    b.ok("fingerprint", "fingerprint", **b.fingerprint_args(layers=LAYERS))


def candidate(b, name, type_, main=None, **sets):
    for part in [*range(LAYERS), "head"]:
        b.quantize(name, part, main or type_, "rtn", sets=sets)
    b.ok("assemble", "assemble." + name,
         **b.assemble_args(name, type_, layers=LAYERS))
    return b.path(f"cand/{name}/model.gguf")


def everything(b):
    """name -> path of a model, and what its logits may be off by"""
    models = {"folder": (b.model, 0),
              "shards": (make(os.path.join(b.top, "shards"), "-n", "3"), 0)}
    for type_, off in FORMATS.items():
        models[type_] = (candidate(b, type_.lower(), type_), off)
    for name, (main, values, down, off) in MIXES.items():
        models[name + " mix"] = (candidate(
            b, "mix-" + name.lower(), name, main,
            **{"type.attn_v": values, "type.ffn_down": down,
               "type.token_embd": "Q6_K"}), off)
    return models


def logits(b, model, ids):
    out = os.path.join(b.top, "logits.safetensors")
    ok("logits", model, "--tokens", ",".join(map(str, ids)), "-o", out)
    header, start = step.safetensors_header(out)
    step.equal(header["logits"]["shape"], [len(ids), 2048])
    step.equal(header["logits"]["dtype"], "F32")
    values = array.array("f")
    with open(out, "rb") as f:
        f.seek(start)
        values.frombytes(f.read())
    return values


def distance(a, b):
    """Root mean square of a - b, as a share of the spread of b."""
    mean = sum(b) / len(b)
    spread = sum((y - mean) ** 2 for y in b)
    return math.sqrt(sum((x - y) ** 2 for x, y in zip(a, b)) / spread)


def nll_of(rows, ids, first, last):
    """Sum of -log p of ids[first:last], each after the ids before it."""
    total = 0.0
    for i in range(first, last):
        row = rows[(i - 1) * 2048:i * 2048]
        top = max(row)
        total += top + math.log(sum(math.exp(x - top) for x in row)) - \
            row[ids[i]]
    return total


def matrix(b):
    """each command on each source and format: equal ids, logits as near as the
    format allows, finite perplexity, as many new ids as asked for"""
    prepare(b)
    text = b.put("text", TEXT * 12)
    want = ids = new = None
    notes = []
    for name, (model, most) in everything(b).items():
        lines = ok("tokenize", model, text).splitlines()
        got = [json.loads(line) for line in lines]
        ppl = json.loads(ok("perplexity", model, text, "--ctx", "64",
                            "--limit", "256", "--json"))
        step.equal((ppl["windows"], ppl["scored"]), (4, 4 * 63), name)
        if want is None:
            want, ids = got, got[0][:24]
            exact, loss = logits(b, model, ids), ppl["nll"]
        step.equal(got, want, name)
        off = distance(logits(b, model, ids), exact)
        notes.append(f"{name} {off:.2g}")
        step.check(off <= most, name, "is off by", off, "of", most)
        step.check(abs(ppl["nll"] / loss - 1) <= max(most, 1e-6), name,
                   ppl["nll"], loss)
        out = json.loads(ok("generate", model, "-p", "The miller", "-n", "6",
                            "--ids"))
        new = new or out
        step.check(0 < len(out) <= 6, name, out)
        if most == 0:
            step.equal(out, new, name)
        step.equal(ok("generate", model, "-p", "The miller", "-n", "0"), "\n")
    return "off by: " + ", ".join(notes)


def chat(b):
    """generate --chat puts the model's own template around a user's message; a
    model without one, or with one that is not known, says so"""
    model = os.path.join(b.top, "chat")
    shutil.copytree(step.MODEL, model)
    path = os.path.join(model, "tokenizer_config.json")
    with open(path) as f:
        keys = json.load(f)
    args = ["-n", "8", "--ids", "-p"]

    def template(text):
        with open(path, "w") as f:
            json.dump(dict(keys, chat_template=text), f)

    refused("chat_template", "generate", step.MODEL, "--chat", *args, "Hi")
    template("{% for message in messages %}{{'<|im_start|>' + message['role'] "
             "+ '\n' + message['content'] + '<|im_end|>' + '\n'}}"
             "{% endfor %}{% if add_generation_prompt %}"
             "{{ '<|im_start|>assistant\n' }}{% endif %}")
    step.equal(ok("generate", model, "--chat", *args, "The miller"),
               ok("generate", model, "-r", *args, "<|im_start|>user\nThe "
                  "miller<|im_end|>\n<|im_start|>assistant\n"))
    template("{{ messages[0]['content'] }}")
    refused("chat template", "generate", model, "--chat", *args, "Hi")
    refused("not both", "generate", model, "-c", "-r", *args, "Hi", status=2)


def rules(b):
    """perplexity's windows and those of llama.cpp, against the logits"""
    model = make(os.path.join(b.top, "model"))
    text = b.put("text", TEXT * 12)
    ids = []
    with open(text, "rb") as f:
        whole = f.read().decode()
    line = ok("tokenize", model, data=whole.replace("\n", " ").encode())
    flat = b.put("flat", whole.replace("\n", " "))
    ids = json.loads(line)
    for rule, first, bos in (("windows", 1, False), ("llama.cpp", 33, True)):
        got = json.loads(ok("perplexity", model, flat, "--ctx", "64", "--rule",
                            rule, "--limit", "130", "-j"))
        total = 0.0
        for start in (0, 64):
            part = ids[start:start + 64]
            rows = logits(b, model, ([0] if bos else part[:1]) + part[1:])
            total += nll_of(rows, part, first, 64)
        step.equal(got["scored"], 2 * (64 - first), rule)
        step.check(abs(got["nll_sum"] / total - 1) < 1e-5, rule, got, total)
        step.check(abs(got["ppl"] / math.exp(total / got["scored"]) - 1) <
                   1e-5, rule, got)


def windows(b):
    """a window is min(2048, the context) unless it is told, and llama.cpp's
    512"""
    text = b.put("text", TEXT * 200)
    for context, want in ((1024, 1024), (4096, 2048), (48, 48)):
        model = make(os.path.join(b.top, f"c{context}"),
                     keys={"max_position_embeddings": context})
        got = json.loads(ok("perplexity", model, text, "--limit", "2100",
                            "-j"))
        step.equal((got["window"], got["tokens"]), (want, 2100))
    got = json.loads(ok("perplexity", os.path.join(b.top, "c4096"), text,
                        "--rule", "llama.cpp", "--limit", "1030", "-j"))
    step.equal((got["window"], got["windows"], got["scored"]),
               (512, 2, 2 * 255))


def bad_requests(b):
    """ids, windows and files that do not fit are named errors"""
    prepare(b)
    text, empty = b.put("text", TEXT), b.put("empty", "")
    for model in b.model, candidate(b, "q8", "Q8_0"):
        out = ("-o", os.path.join(b.top, "x.safetensors"))
        refused("id 2048 ", "logits", model, "-t", "1,2048", *out)
        refused("'-1' is no token id", "logits", model, "-t", "1,-1", *out,
                status=2)
        refused("'' is no token id", "logits", model, "-t", "", *out, status=2)
        refused("2147483648", "logits", model, "-t", "2147483648", *out,
                status=2)
        refused("1024", "logits", model, "-t", ",".join(["1"] * 1025), *out)
        step.check(not os.path.exists(out[1]), "an output was left")
        refused("/proc/no", "logits", model, "-t", "1", "-o",
                "/proc/no/such/out")
        refused("a window of 1025 tokens does not fit", "perplexity", model,
                text, "-c", "1025")
        for bad in "0", "1", "-4", "x":
            refused("is not a value for it", "perplexity", model, text, "-c",
                    bad, status=2)
        refused("is not a value for it", "perplexity", model, text, "-r",
                "other", status=2)
        refused("the text has 0 tokens", "perplexity", model, empty)
        refused("perplexity needs 1024; give it a longer text", "perplexity",
                model, text)
        refused("perplexity needs 32; give it a longer text", "perplexity",
                model, text, "-c", "16", "-r", "llama.cpp", "-l", "31")
        step.equal(ok("tokenize", model, empty), "")
        step.equal(ok("tokenize", model, data=b"\n"), "[]\n")
        refused("the prompt has no tokens", "generate", model, "-r", "-p", "")
        refused("is no number", "generate", model, "-p", "a", "-n", "-1",
                status=2)
        refused("not valid UTF-8", "perplexity", model,
                b.put("bytes", b"ab\xff"))
    for command, args in (("tokenize", []), ("logits", ["-t", "1", "-o", "x"]),
                          ("perplexity", [text]), ("generate", ["-p", "a"])):
        refused("no/such/model: cannot open", command, "no/such/model", *args)
        refused("empty", command, empty, *args)
        refused(b.dir, command, b.dir, *args)
    refused("no/such/text: cannot open", "perplexity", b.model,
            "no/such/text")


def set_value(path, name, index, data):
    """Overwrites bytes of a tensor of a safetensors file."""
    header, start = step.safetensors_header(path)
    with open(path, "r+b") as f:
        f.seek(start + header[name]["data_offsets"][0] + index)
        f.write(data)


def not_finite(b):
    """NaN and infinity in weights and in scales of blocks are named errors"""
    nan16, inf16 = b"\xc0\x7f", b"\x80\x7f"
    text = b.put("text", TEXT * 4)

    def all_refuse(want, model):
        refused(want, "logits", model, "-t", "5,6", "-o",
                os.path.join(b.top, "x.safetensors"))
        refused(want, "perplexity", model, text, "-c", "32")
        refused(want, "generate", model, "-p", "a b", "-n", "2")
        step.check(ok("tokenize", model, text) != "", "no ids")

    for i, (name, data) in enumerate(
            [("model.layers.1.mlp.down_proj.weight", nan16),
             ("model.layers.0.input_layernorm.weight", inf16),
             ("model.embed_tokens.weight", nan16)]):
        model = make(os.path.join(b.top, f"bad{i}"))
        set_value(os.path.join(model, "model.safetensors"), name, 6, data)
        all_refuse(name, model)
    prepare(b)
    for type_, at in (("Q8_0", 0), ("Q4_0", 0), ("Q4_K", 0), ("Q6_K", 208),
                      ("IQ4_XS", 0), ("F16", 0), ("F32", 0)):
        path = candidate(b, type_.lower(), type_,
                         **{"type.token_embd": type_})
        g = step.Gguf(path)
        for name in "blk.1.ffn_up.weight", "token_embd.weight":
            damaged = bytearray(g.data)
            where = g.start + g.tensors[name][2] + at
            damaged[where:where + 4] = b"\x00\x7e\xc0\x7f" if type_ != "F32" \
                else b"\x00\x00\xc0\x7f"
            all_refuse(name, b.put("bad.gguf", bytes(damaged)))


def full_disk(b):
    """what standard output cannot take is an error, whichever command it is"""
    lines = b.put("lines", "The miller sold 12 sacks.\n" * 2000)
    calls = [(name, "-h") for name in sorted(os.listdir(step.BIN))
             if name.startswith("quern")]
    calls += [("quern", "--version"), ("quern-tokenize", step.MODEL, lines),
              ("quern-inspect", "-a", "--json", step.MODEL),
              ("quern-inspect", "-a", step.MODEL),
              ("quern-generate", step.MODEL, "-p", "a", "-n", "2"),
              ("quern-generate", step.MODEL, "-p", "a", "-n", "2", "-i"),
              ("quern-perplexity", step.MODEL, b.put("text", TEXT * 4),
               "-c", "32")]
    with open("/dev/full", "wb") as full:
        for name, *args in calls:
            p = subprocess.run([os.path.join(step.BIN, name), *args],
                               stdout=full, stderr=subprocess.PIPE,
                               check=False)
            err = p.stderr.decode()
            step.equal((p.returncode, err.count("\n")), (1, 1), [name, args])
            step.check(err.startswith(f"{name}: standard output: "), err)


def never_waits(b):
    """what never ends and what never begins are refused at once"""
    model = make(os.path.join(b.top, "model"))
    fifo = os.path.join(b.top, "fifo")
    os.mkfifo(fifo)
    step.equal(ok("tokenize", model, fifo), "")
    refused("/dev/zero: is neither a file nor a pipe", "tokenize", model,
            "/dev/zero")
    refused("/dev/zero: is neither a file nor a pipe", "perplexity", model,
            "/dev/zero")
    refused("the text has 0 tokens", "perplexity", model, fifo)
    for name in ("config.json", "tokenizer.json", "generation_config.json",
                 "model.safetensors"):
        path = os.path.join(model, name)
        os.rename(path, path + ".away")
        os.mkfifo(path)
        refused(name, "generate", model, "-p", "a")
        os.remove(path)
        os.rename(path + ".away", path)


def bounded_memory(b):
    """a small file that would take gigabytes in memory is refused before"""
    model = make(os.path.join(b.top, "model"))
    with open(os.path.join(model, "tokenizer.json"), "wb") as f:
        f.write(b'{"a": [' + b"0," * (9 << 20) + b"0]}")
    refused("has more than 8388608 commas and colons", "tokenize", model)


def not_over_the_model(b):
    """no output takes the place of a file of the model or of statistics"""
    folder = make(os.path.join(b.top, "model"))
    link = os.path.join(b.top, "link.gguf")
    b.model = folder
    b.ok("fingerprint", "fingerprint", **b.fingerprint_args(layers=LAYERS))
    gguf = candidate(b, "q8", "Q8_0")
    os.symlink(gguf, link)
    for model, out in ((gguf, gguf), (link, gguf),
                       (folder, os.path.join(folder, "model.safetensors")),
                       (folder, os.path.join(folder, "config.json")),
                       (folder, os.path.join(folder, "tokenizer.json"))):
        with open(out, "rb") as f:
            before = f.read()
        refused("is a file of the model, which would be lost; name another",
                "logits", model, "-t", "1", "-o", out)
        refused("is a file of the model, which would be lost; name another",
                "imatrix", model, b.top, "-o", out)
        with open(out, "rb") as f:
            step.equal(f.read() == before, True, out)
    refused("lies among the statistics", "imatrix", folder, b.top, "-o",
            os.path.join(b.top, "head.safetensors"))


def little_memory(b):
    """where memory is short one line says so; nothing crashes or hangs"""
    prepare(b)
    text = b.put("text", TEXT * 40)
    out = os.path.join(b.top, "x.safetensors")
    commands = (["logits", b.model, "-t", ",".join(["1"] * 300), "-o", out],
                ["inspect", b.model], ["generate", b.model, "-p", "a"],
                ["tokenize", b.model, text],
                ["perplexity", b.model, text, "-c", "64"])
    short = 0
    for mebibytes in (2, 4, 6, 8, 12, 16, 24):
        for command, *args in commands:
            p = subprocess.run(
                ["prlimit", f"--data={mebibytes << 20}", "--core=0",
                 os.path.join(step.BIN, "quern-" + command), *args],
                capture_output=True, check=False, timeout=60)
            err = p.stderr.decode()
            step.check(p.returncode in (0, 1), command, mebibytes,
                       p.returncode, err)
            if p.returncode == 1:
                short += 1
                step.equal(err, f"quern-{command}: out of memory; free some "
                           "and run it again\n", mebibytes)
                step.check(not os.path.exists(out), "an output was left")
            elif os.path.exists(out):
                os.remove(out)
    step.check(short > 5, "only", short, "ran short of memory")
    step.equal(step.leftovers(b.top), [])


TESTS = [matrix, chat, rules, windows, bad_requests, not_finite, full_disk,
         never_waits, not_over_the_model, bounded_memory]
if not os.environ.get("QUERN_SANITIZED"):  # their shadow needs the memory
    TESTS.append(little_memory)

if __name__ == "__main__":
    step.main(TESTS)
