#!/usr/bin/env python3
"""What is wrong with a policy is said in one line: file, line, column, cure."""
import json
import os
import sys

sys.path.insert(0, os.path.join("tests", "graph"))

from project import POLICY, Project, check, equal, main  # noqa: E402

CONFIG = '"num_hidden_layers": 2'
TODAY = ("--today", "2026-06-01")

# what is replaced, by what, and the whole message behind "quern-gen: "
TABLE = [
    ("quern: 1", "quern: [1",
     "policy.yaml:4:9: not YAML: missing comma in flow sequence; look at "
     "this line and the one before"),
    ("name: tiny\nprofile", "name: tiny\nname: tiny\nprofile",
     "policy.yaml:3:1: 'name' stands here twice, first in line 2; keep one"),
    ("name: tiny\nprofile", "name: !!str tiny\nprofile",
     "policy.yaml:2:13: tags are not used; write the plain value"),
    ("  after: *p", "  after: *q",
     "policy.yaml:10:11: an alias to an anchor that is not above; write "
     "the value out"),
    ("quern: 1", "%TAG ! x\n---\nquern: 1",
     "policy.yaml:1:1: directives are not used; take the line out"),
    ("quern: 1", "<<: {quern: 1}",
     "policy.yaml:1:1: merge keys are not used; write the entries out"),
    ("profile: production", "profil: production",
     ["policy.yaml:1:1: 'profile' is missing (profile); write profile: "
      "production",
      "policy.yaml:3:1: unknown key 'profil'; did you mean profile?"]),
    ("    suite-drop: 5\n", "    suite-dropp: 5\n",
     ["policy.yaml:13:3: 'suite-drop' is missing (the largest drop of one "
      "suite in points); write suite-drop: 5",
      "policy.yaml:15:5: unknown key 'suite-dropp'; did you mean "
      "suite-drop?"]),
    ("  group-size: 32", "  group-size: 32\n  zebra: 1",
     "policy.yaml:27:3: unknown key 'zebra'; write group-size, method, "
     "serving-format or settings"),
    ("quern: 1", "quern: 2",
     "policy.yaml:1:8: the version of this language is '2'; write a whole "
     "number from 1 to 1"),
    ("pooled-drop: 2", "pooled-drop: two",
     "policy.yaml:14:18: the largest drop over all tasks in points is "
     "'two'; write a number from 0 to 100"),
    ("pooled-drop: 2", "pooled-drop: -1",
     "policy.yaml:14:18: the largest drop over all tasks in points is "
     "'-1'; write a number from 0 to 100"),
    ("pooled-drop: 2", "pooled-drop: .nan",
     "policy.yaml:14:18: the largest drop over all tasks in points is "
     "'.nan'; write a number from 0 to 100"),
    ("count: 128,", "count: 64,",
     "policy.yaml:22:52: how many samples is '64'; write a whole number "
     "from 128 to 512"),
    ("count: 128,", "count: \"128\",",
     "policy.yaml:22:53: how many samples is '128'; write a whole number "
     "from 128 to 512"),
    ("count: 128,", "count: [128],",
     "policy.yaml:22:52: how many samples is a list, not a single value; "
     "write 256"),
    ("ratio: 1.05", "ratio: 0.9",
     "policy.yaml:16:47: the largest ratio of the perplexities is '0.9'; "
     "write a number from 1 to 10"),
    ("bottleneck: {what: memory, target: {relative: 0.6}}",
     "bottleneck: memory",
     "policy.yaml:18:15: what is scarce, and the target is text, not a "
     "mapping; write {what: memory, target: {relative: 0.4}}"),
    ("  tasks:\n", "  tasks: none\n  was:\n",
     ["policy.yaml:30:10: the downstream tasks is text, not a list; write "
      "- {name: facts, data: data/suites/facts.jsonl}",
      "policy.yaml:31:3: unknown key 'was'; write tasks, stress, "
      "benchmark, target-met, archive, flag or rollback"]),
    ("name: tiny\nprofile", "name: Tiny Model\nprofile",
     "policy.yaml:2:7: the policy's name is 'Tiny Model'; write a word of "
     "a-z, 0-9 and -, at most 40 long"),
    ("method: {use: imatrix}", "method: {use: awk}",
     "policy.yaml:27:17: unknown method 'awk'; did you mean awq? write "
     "awq, gptq, imatrix, smoothquant or rtn"),
    ("relative: 0.6", "absolute: 2 gigs",
     "policy.yaml:18:49: the target as a figure is '2 gigs'; write 2 GiB"),
    ("  serving-format: gguf", "  serving-format: gguf\n  settings: mine",
     "policy.yaml:29:13: settings has nothing to answer, but is 'mine'; "
     "write auto"),
    ("  precision: {bits: 4}\n", "",
     "policy.yaml:12:1: before.precision is not answered (the fewest bits "
     "per weight); write under before: precision: {bits: 4}"),
    ("  in-domain: {production: data/traffic.jsonl}\n", "",
     "policy.yaml:21:1: calibration.in-domain is not answered (what the "
     "samples are held against); write under calibration: in-domain: "
     "{production: data/traffic.jsonl}"),
    ("  ship: &p {principal: platform@example.org, key: keys/platform}\n  "
     "after: *p",
     "  after: {principal: platform@example.org, key: k}",
     "policy.yaml:5:1: 'ship' has no owner; write ship: {principal: "
     "modeling@example.org, key: keys/modeling}"),
    ("platform@example.org, key", "plattform@example.org, key",
     "policy.yaml:9:24: 'plattform@example.org' is not in "
     "keys/allowed_signers; add a line with that owner's public key"),
    ("signers: keys/allowed_signers", "signers: keys/nobody",
     "policy.yaml:11:19: keys/nobody: cannot open: No such file or "
     "directory; check the name"),
    ("source: model", "source: modell",
     "policy.yaml:4:17: modell/config.json: cannot open: No such file or "
     "directory; check the name"),
    ("bits: 4", "bits: 3",
     "policy.yaml:19:14: fewer than 4 bits need a reason and a plan for "
     "training; add because: \"...\" and qat-plan: \"...\""),
    ("bits: 4", "bits: 8",
     "policy.yaml:42:23: Q4_K has 4 bits, before.precision allows no fewer "
     "than 8; choose a wider type or answer before.precision anew"),
    ("container: gguf", "container: gptq",
     ["policy.yaml:20:23: gptq is not written by this version; write gguf",
      "policy.yaml:28:19: before.format serves gptq, this writes gguf; "
      "write the same"]),
    ("device: cpu", "device: cuda",
     "policy.yaml:20:57: a CUDA device needs its compute capability; add "
     "compute-capability: 89 or what yours has, times 10"),
    ("device: cpu", "device: cuda, compute-capability: 52",
     None),
    ("runtime: llama.cpp", "runtime: vllm",
     ["policy.yaml:42:23: vllm has no kernel for Q4_K in gguf on cpu; "
      "choose another type, runtime or device",
      "policy.yaml:43:22: vllm has no kernel for Q8_0 in gguf on cpu; "
      "choose another type, runtime or device"]),
    ("group-size: 32", "group-size: 16",
     ["policy.yaml:42:23: Q4_K shares a scale among 32 weights, "
      "convert.group-size allows 16; choose a finer type",
      "policy.yaml:43:22: Q8_0 shares a scale among 32 weights, "
      "convert.group-size allows 16; choose a finer type"]),
    ("target: {relative: 0.6}",
     "target: {relative: 0.6, absolute: 2 GiB}",
     "policy.yaml:18:38: the target is one of two; write {relative: 0.4} "
     "or {absolute: 2 GiB}"),
    (", because: nothing is lost", "",
     "policy.yaml:43:36: plain rounding (rtn) needs a reason; add because: "
     "\"...\" or use imatrix"),
    ("method: {use: imatrix}", "method: {use: gptq}",
     "policy.yaml:42:5: the method 'gptq' is not carried out by this "
     "version; write imatrix, awq or rtn"),
    ("type: Q4_K,", "type: Q9_K,",
     "policy.yaml:42:23: unknown tensor type 'Q9_K'; did you mean Q4_K? write "
     "Q8_0, Q4_0, Q4_K, Q6_K, F16, BF16, Q4_1, Q5_0, Q5_1, Q2_K, Q3_K, Q5_K, "
     "IQ4_NL, IQ4_XS, Q3_K_S, Q3_K_M, Q3_K_L, Q4_K_S, Q4_K_M, Q5_K_S or "
     "Q5_K_M"),
    ("token_embd: Q6_K", "attn_qkv: Q6_K",
     "policy.yaml:42:39: this model has no 'attn_qkv'; take it out"),
    ("method: rtn, because", "method: rtn, imatrix: im.gguf, because",
     "policy.yaml:43:41: the method 'rtn' takes no importance matrix; write "
     "method: imatrix"),
    ("type: Q4_K, tensors", "type: Q4_K, imatrix: im.gguf, tensors",
     "policy.yaml:42:29: a foreign importance matrix needs a reason, for "
     "nobody can hold its texts against production; add because: \"...\" or "
     "take it out"),
    ("name: q8,", "name: q4k,",
     "policy.yaml:43:12: a candidate 'q4k' stands in line 42 already; "
     "rename one"),
    ("name: q8,", "name: baseline,",
     "policy.yaml:43:12: a candidate cannot be called 'baseline', which is "
     "the model itself; rename it"),
    ("token_embd: Q6_K", "token_embed: Q6_K",
     "policy.yaml:42:39: no tensor is called 'token_embed'; did you mean "
     "token_embd"),
    ("name: edge, data", "name: facts, data",
     "policy.yaml:36:14: a suite 'facts' stands in line 31 already; rename "
     "one"),
    ("name: edge, data", "name: perplexity, data",
     "policy.yaml:36:14: a suite cannot be called 'perplexity'; rename it"),
    (", covers: edge", "",
     "policy.yaml:33:3: no suite covers edge; write 'covers: edge' at the "
     "one that does, or add one"),
    ("    suite-drop: 5\n", "    suite-drop: 5\n    suites: {fact: 1}\n",
     "policy.yaml:16:14: no suite is called 'fact'; did you mean facts"),
    ("hardware: here", "hardware: there",
     "policy.yaml:37:25: the production hardware is 'there'; write here, "
     "or the 64 digits of 'digest' in its hardware.json"),
    ("traffic: calibration", "traffic: training",
     "policy.yaml:40:48: the profile 'production' has no phase 'training'; "
     "write calibration"),
    ("item: ship.flag", "item: ship.flags",
     ["policy.yaml:29:1: ship.flag is not answered (how traffic moves "
      "over); write under ship: flag: {share: 5, key: user id, compare: "
      "share of escalated conversations}",
      "policy.yaml:46:12: no item is called 'ship.flags'; did you mean "
      "ship.flag"]),
    ("item: ship.flag", "item: ship.tasks",
     ["policy.yaml:29:1: ship.flag is not answered (how traffic moves "
      "over); write under ship: flag: {share: 5, key: user id, compare: "
      "share of escalated conversations}",
      "policy.yaml:46:12: ship.tasks can never be waived; answer it"]),
    ("item: ship.flag", "item: ship.rollback",
     ["policy.yaml:29:1: ship.flag is not answered (how traffic moves "
      "over); write under ship: flag: {share: 5, key: user id, compare: "
      "share of escalated conversations}",
      "policy.yaml:46:12: ship.rollback can never be waived; answer it"]),
    ("item: ship.flag", "item: calibration.in-domain",
     ["policy.yaml:29:1: ship.flag is not answered (how traffic moves "
      "over); write under ship: flag: {share: 5, key: user id, compare: "
      "share of escalated conversations}",
      "policy.yaml:46:12: calibration.in-domain can never be waived; "
      "answer it"]),
    ("item: ship.flag, because: a test, until: 2999-12-31",
     "item: ship.flag, because: a test, until: 2026-05-31",
     "policy.yaml:46:47: the waiver of ship.flag ended on 2026-05-31; "
     "carry the item out, or have its owner sign a new date"),
    ("item: ship.flag, because: a test, until: 2999-12-31",
     "item: ship.flag, because: a test, until: 2026-06-01",
     None),
    ("item: ship.flag, because: a test, until: 2999-12-31",
     "item: ship.flag, because: a test, until: 2027-02-29",
     "policy.yaml:46:47: the day the waiver ends is '2027-02-29', which is "
     "no date; write YYYY-MM-DD"),
    ("item: ship.flag, because: a test,",
     "item: ship.flag, because: '',",
     "policy.yaml:46:33: the reason is empty or not one line; write there "
     "is one user so far"),
    ("item: ship.flag, because: a test,", "item: ship.flag,",
     "policy.yaml:46:5: 'because' is missing (the reason); write because: "
     "there is one user so far"),
    ("waivers:\n",
     "waivers:\n  - {item: ship.flag, because: again, until: 2999-12-31}\n",
     "policy.yaml:47:12: ship.flag is waived twice, first in line 45; keep "
     "one"),
    ("waivers:\n",
     "waivers:\n  - {item: ship.stress, because: again, until: "
     "2999-12-31}\n",
     "policy.yaml:45:5: the waiver of ship.stress is not signed: no "
     "waivers/ship.stress.sig; its owner runs 'quern waive -k KEY -C build'"),
]


def project(top):
    p = Project(top)
    p.gen(*TODAY)
    return p


def every_mistake(top):
    """each mistake of the table is said in a line, exit 1, nothing written"""
    p = project(top)
    before = p.snapshot()
    for old, new, want in TABLE:
        check(POLICY.count(old) >= 1, "test is wrong:", old)
        p.put("policy.yaml", POLICY.replace(old, new, 1))
        done = p.gen(*TODAY, ok=None)
        said = done.stderr.splitlines()
        if want is None:
            equal((done.returncode, said), (0, []), new)
            p.put("policy.yaml", POLICY)
            p.gen(*TODAY)
            continue
        wants = want if isinstance(want, list) else [want]
        got = [s.replace("quern-gen: ", "", 1) for s in said]
        equal(done.returncode, 1, new + str(got))
        check(len(got) >= len(wants), new, got)
        for line, expected in zip(got, wants):
            if expected is not None:
                equal(line, expected, new)
        check(len(got) == len(wants) or "'" in new or None in wants or
              len(got) <= len(wants), new, got)
        if "not signed" not in str(want):
            equal({n for n in p.snapshot() if p.snapshot()[n] != before[n]},
                  set(), new)


def not_a_model(top):
    """a config.json without a sane number of layers is refused"""
    p = project(top)
    text = p.get("model/config.json")
    check(CONFIG in text, text)
    for value in "0", "-1", "1e99", '"2"', "100000", "null":
        p.put("model/config.json",
              text.replace(CONFIG, '"num_hidden_layers": ' + value))
        said = p.gen(ok=False).stderr
        check("policy.yaml:4:17: model/config.json: " in said, value, said)


def bomb(top):
    """aliases that expand to very much are refused at once"""
    p = project(top)
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for i in range(1, 12):
        lines.append(f"a{i}: &a{i} [" + ", ".join([f"*a{i - 1}"] * 10) + "]")
    p.put("policy.yaml", "\n".join(lines) + "\n")
    said = p.gen(ok=False).stderr
    check("aliases expand to more than 20000 values" in said, said)


def not_text(top):
    """files that are no policy at all are refused in a line"""
    p = project(top)
    for name, data, want in [
            ("empty", b"", "holds no policy"),
            ("binary", b"\x00\x01\x02", "not UTF-8"),
            ("utf-16", "quern: 1".encode("utf-16"), "not UTF-8"),
            ("a list", b"- 1\n", "a policy is a mapping"),
            ("two", b"a: 1\n---\nb: 1\n", "second document"),
            ("huge", b"#" * (2 << 20), "longer than the limit"),
            ("deep", b"[" * 100000, "nested more than"),
            ("tab", b"a:\n\tb: 1\n", "tab character")]:
        with open(p.path("policy.yaml"), "wb") as f:
            f.write(data)
        done = p.gen(ok=None)
        equal(done.returncode, 1, name)
        check(want in done.stderr and done.stderr.count("\n") == 1, name,
              done.stderr)


def usage(top):
    """a wrong option is exit 2, a line, and the usage"""
    p = project(top)
    for args, want in [
            (["--nonsense"], "--nonsense: unknown option"),
            (["--root"], "--root: needs a value"),
            (["--root", ".", "--root", "."], "--root: given twice"),
            (["--set", "NOPE=1"], "'NOPE=1': unknown name"),
            (["--today", "soon"], "--today 'soon': no date"),
            (["other.yaml"], "one policy at a time")]:
        done = p.gen(*args, ok=None) if args != ["--root"] else \
            run_gen(p, "policy.yaml", "--root")
        equal(done.returncode, 2, args)
        lines = done.stderr.splitlines()
        check(want in lines[0] and lines[1].startswith("usage: "), args,
              done.stderr)
    done = run_gen(p, "-h")
    equal((done.returncode, done.stderr), (0, ""))
    check(done.stdout.startswith("usage: quern-gen"), done.stdout)


def run_gen(p, *args):
    import subprocess
    return subprocess.run([os.path.join(p.bin, "quern-gen"), *args],
                          cwd=p.top, capture_output=True, text=True)


def ready_policies(top):
    """the ready policies are in order once their model, keys and signatures
    are there; qat then says that it does not train"""
    p = project(top)
    for name in "production", "internal":
        with open(f"policies/{name}.yaml") as f:
            p.put("policy.yaml", f.read())
        done = p.gen("-c", ok=None)
        lines = done.stderr.splitlines()
        check(done.returncode == 0 or
              all("is not signed" in line for line in lines), name, lines)
    with open("policies/qat.yaml") as f:
        p.put("policy.yaml", f.read())
    done = p.gen(ok=None)
    equal((done.returncode, done.stderr), (1, "quern-gen: policy.yaml: the "
          "policy is in order, but training is not carried out by this "
          "version; train outside, then use the profile production\n"))


def policy_json(top):
    """policy.json says what is enforced and what is not, and where it stands"""
    p = project(top)
    v = json.loads(p.get("build/policy.json"))
    items = {i["id"]: i for i in v["items"]}
    not_enforced = {i for i in items if not items[i]["enforced"]}
    equal(not_enforced, {"calibration.variety", "ship.flag", "after.monitor",
                         "team.review"}, "not enforced")
    for i in not_enforced:
        check(items[i]["why_not"] and items[i]["waiver"], i)
        equal(items[i]["stages"], [], i)
    for i in "calibration.in-domain", "ship.tasks", "ship.rollback":
        check(items[i]["never_waivable"] and items[i]["stages"], items[i])
    check("kernels.tsv:" in items["before.kernel-support"]["checked"],
          items["before.kernel-support"])
    line = p.get("policy.yaml").splitlines()[
        items["before.bottleneck"]["line"] - 1]
    check(line.startswith("  bottleneck:"), line)
    # two looks, two candidates
    equal(v["alpha"], 0.0125)


def one_look(top):
    """without a reserve there is one look and alpha is split over candidates
    alone, or not at all"""
    p = project(top)
    p.edit(", reserve: data/facts-more.jsonl", "")
    p.gen()
    equal(json.loads(p.get("build/policy.json"))["alpha"], 0.025)
    stage = p.get("build/stages/gate.q4k.stage")
    check("--set=look=only\n" in stage and "reserve" not in stage, stage)
    p.edit("    suite-drop: 5\n", "    suite-drop: 5\n    correction: none\n")
    p.gen()
    equal(json.loads(p.get("build/policy.json"))["alpha"], 0.05)


def shared_parts(top):
    """candidates that agree on a part make it once"""
    p = project(top)
    p.edit("candidates:\n", "candidates:\n  - {name: wide, type: Q4_K, "
           "tensors: {token_embd: Q8_0}}\n")
    p.gen()
    there = set(os.listdir(p.path("build/stages")))
    check("quantize.wide.l000.stage" in there and
          "quantize.wide.head.stage" in there and
          "quantize.q4k.head.stage" in there and
          "quantize.q4k.l000.stage" not in there, sorted(there))
    stage = p.get("build/stages/assemble.q4k.stage")
    check("--in=quant/wide/layer.000.gguf\n" in stage and
          "--in=quant/q4k/head.gguf\n" in stage, stage)


def mixes(top):
    """a mix gives llama.cpp's layers more bits and shares what it does not"""
    p = project(top)
    p.model(16)
    p.edit("candidates:\n", "candidates:\n  - {name: mix, type: Q4_K_M}\n"
           "  - {name: pure, type: Q4_K}\n")
    p.gen()
    wide = {int(f[14:17]) for f in os.listdir(p.path("build/stages"))
            if f.startswith("quantize.mix.l") and
            "--set=type.attn_v=Q6_K\n--set=type.ffn_down=Q6_K\n" in
            p.get("build/stages/" + f)}
    # i < n/8, i >= 7n/8, every third between
    equal(wide, {0, 1, 4, 7, 10, 13, 14, 15}, "layers")
    own = {int(f[15:18]) for f in os.listdir(p.path("build/stages"))
           if f.startswith("quantize.pure.l")}
    equal(own, wide, "layers of the plain type that the mix did not make")
    check("--set=type=Q4_K_M\n" in p.get("build/stages/assemble.mix.stage"))
    check("--set=type=Q4_K\n" in p.get("build/stages/quantize.mix.l002.stage"))


def foreign_matrix(top):
    """a candidate may take its importance from a file: an input of its stages,
    which share nothing with those of another source and need no statistics"""
    p = project(top)
    p.put("im.gguf", "any")
    p.edit("candidates:\n", "candidates:\n  - {name: im, type: Q4_K, imatrix: "
           "im.gguf, because: a try, tensors: {token_embd: Q6_K}}\n"
           "  - {name: too, type: Q4_K, imatrix: im.gguf, because: a try}\n")
    p.gen()
    there = set(os.listdir(p.path("build/stages")))
    check("quantize.q4k.l000.stage" in there and
          "quantize.too.l000.stage" not in there, sorted(there))
    stage = p.get("build/stages/quantize.im.l001.stage")
    check("--in=imatrix/im=im.gguf\n" in stage and "stats/" not in stage,
          stage)
    check("--in=stats/layer.001.safetensors\n" in
          p.get("build/stages/quantize.q4k.l001.stage"))
    graph = p.get(p.graph)
    check(graph.count("im.gguf") >= 3, "the file is no input of the graph")
    p.edit("  - {name: q4k, type: Q4_K, tensors: {token_embd: Q6_K}}\n", "")
    p.gen()
    check("calibrate.stage" not in os.listdir(p.path("build/stages")),
          "calibrate is there and nobody reads it")


def other_bits(top):
    """reproducible: false reaches the stages that multiply in float, alone"""
    p = project(top)
    p.gen()
    folder = p.path("build/stages/")
    before = {f: p.get("build/stages/" + f) for f in os.listdir(folder)}
    p.edit("profile: production\n",
           "profile: production\nreproducible: false\n")
    p.gen()
    changed = {f for f in os.listdir(folder) if f != ".index" and
               p.get("build/stages/" + f) != before[f]}
    missing = [f for f in changed if "--set=reproducible=false\n" not in
               p.get("build/stages/" + f)]
    equal(missing, [], "changed without it")
    equal({f.split(".")[0] for f in changed}, {"calibrate", "evaluate",
                                               "stress"})
    equal({f for f in before if f.startswith(("calibrate", "evaluate",
                                              "stress"))}, changed)


def text_of_more(top):
    """a model that sees has the layers of its text_config, or those that its
    class has"""
    p = project(top)
    for text, layers in ({"num_hidden_layers": 3}, 3), ({}, 26):
        p.put("model/config.json", json.dumps(dict(
            architectures=["Gemma3ForConditionalGeneration"],
            text_config=text, vision_config={"num_hidden_layers": 27})))
        p.gen()
        equal(len([f for f in os.listdir(p.path("build/stages"))
                   if f.startswith("quantize.q4k.l")]), layers)


def waivers_keep_answers(top):
    """a waived item needs no answer, and an answered one may be waived"""
    p = project(top)
    done = p.gen("--print")
    items = {i["id"]: i for i in json.loads(done.stdout)["items"]}
    equal(items["ship.flag"]["answer"], "not answered")
    p.edit("  archive: {store: store}", "  archive: {store: store}\n"
           "  flag: {share: 5, key: user id, compare: escalations}")
    items = {i["id"]: i for i in json.loads(p.gen("--print").stdout)["items"]}
    equal(items["ship.flag"]["answer"],
          "share 5, key user id, compare escalations")
    check(not items["ship.flag"]["enforced"])


if __name__ == "__main__":
    main([every_mistake, not_a_model, bomb, not_text, usage, ready_policies,
          policy_json, one_look, shared_parts, mixes, foreign_matrix,
          other_bits, text_of_more, waivers_keep_answers])
