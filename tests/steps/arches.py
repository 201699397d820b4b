#!/usr/bin/env python3
"""calibrate, quantize and assemble on other architectures than Llama: random
models of pebble's width with what makes each of them different."""
import json
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import step  # noqa: E402

TINY = os.path.join(os.environ.get("QUERN_TESTS", "out/tests"), "tools",
                    "make_tiny")
GEMMA = dict(hidden_activation="gelu_pytorch_tanh", query_pre_attn_scalar=32,
             sliding_window=64)
KEYS = {
    "Qwen2": dict(use_sliding_window=False),
    "Phi3": dict(partial_rotary_factor=0.5, tie_word_embeddings=False),
    "Gemma2": dict(GEMMA, attn_logit_softcapping=50.0,
                   final_logit_softcapping=30.0),
    "Gemma3": dict(GEMMA, rope_local_base_freq=10000.0),
    "Mixtral": dict(num_local_experts=4, num_experts_per_tok=2,
                    intermediate_size=256, tie_word_embeddings=False),
    "Qwen3Moe": dict(num_experts=8, num_experts_per_tok=3,
                     moe_intermediate_size=256, norm_topk_prob=True,
                     mlp_only_layers=[]),
}
F32, Q8_0 = 0, 8


def prepare(b, family):
    """Puts that model into a build folder, fingerprints and calibrates it."""
    b.model = os.path.join(b.top, "model")
    os.makedirs(b.model)
    keys = os.path.join(b.top, "keys.json")
    with open(keys, "w") as f:
        json.dump(dict(KEYS[family],
                       architectures=[family + "ForCausalLM"]), f)
    subprocess.run([TINY, "-l", str(step.LAYERS), "-c", keys, b.model],
                   check=True)
    b.fingerprint()
    b.traffic()
    b.corpus(count=4)
    b.calibrate()


def nll(model, text):
    done = subprocess.run(
        [os.path.join(step.BIN, "quern-perplexity"), model, text, "--ctx",
         "128", "--json"], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)["nll"]


def check_quality(b, path):
    """The file computes what the folder does, but for the last bits."""
    text = b.copy(os.path.join(step.DATA, "valid.txt"), "text.txt")
    with open(text, "r+") as f:
        f.truncate(4000)
    folder, file = nll(b.model, text), nll(path, text)
    step.check(abs(file / folder - 1) < 0.005, "NLL", folder, "of the "
               "folder", file, "of the file")


def of_layer(g, role):
    return g.tensors[f"blk.1.{role}.weight"]


def biases(b):
    """Qwen 2: biases of q, k and v go into the file, rows as they are."""
    prepare(b, "Qwen2")
    path = b.candidate("q8", "Q8_0", "awq")
    g = step.Gguf(path)
    step.equal(g.kv["general.architecture"], "qwen2")
    step.equal(g.tensors["blk.0.attn_q.bias"][:2], ([256], F32))
    check_quality(b, path)


def fused(b):
    """Phi-3: fused projections stay one tensor each, and so does half a turn."""
    prepare(b, "Phi3")
    path = b.candidate("q8", "Q8_0", "awq")
    g = step.Gguf(path)
    step.equal(of_layer(g, "attn_qkv")[:2], ([256, 512], Q8_0))
    step.equal(of_layer(g, "ffn_up")[:2], ([256, 1024], Q8_0))
    step.equal(g.kv["phi3.rope.dimension_count"], 16)
    step.check("blk.0.ffn_gate.weight" not in g.tensors, "ffn_gate is there")
    check_quality(b, path)


def four_norms(b):
    """Gemma 2: norms are stored as w + 1, soft caps and window as keys."""
    prepare(b, "Gemma2")
    path = b.candidate("q8", "Q8_0", "rtn")
    g = step.Gguf(path)
    step.equal(g.kv["gemma2.attn_logit_softcapping"], 50.0)
    step.equal(g.kv["gemma2.attention.sliding_window"], 64)
    norm = step.struct.unpack("<256f", g.bytes_of(
        "blk.1.post_ffw_norm.weight", 1024))
    step.check(0.9 < sum(norm) / 256 < 1.1, "mean of a norm", sum(norm) / 256)
    check_quality(b, path)


def two_rotations(b):
    """Gemma 3: norms of heads, and scales folded into norms of w + 1."""
    prepare(b, "Gemma3")
    path = b.candidate("q8", "Q8_0", "awq")
    g = step.Gguf(path)
    step.equal(of_layer(g, "attn_q_norm")[:2], ([32], F32))
    check_quality(b, path)


def part_of_more(b):
    """Gemma 3 as one part of a model that sees: either way of naming, whatever
    the config leaves to its class; the same file as of the text model alone."""
    prepare(b, "Gemma3")
    want = b.candidate("q8", "Q8_0", "awq")
    want = open(want, "rb").read()
    plain, folder = b.model, os.path.join(b.top, "nested")
    with open(os.path.join(plain, "config.json")) as f:
        config = json.load(f)
    tensors = step.read_safetensors(os.path.join(plain, "model.safetensors"))
    for name, value in dict(head_dim=256, vocab_size=262208,
                            rms_norm_eps=1e-6, attention_bias=False).items():
        if config.get(name) == value:
            del config[name]
    text = {k: v for k, v in config.items()
            if k not in ("architectures", "model_type", "eos_token_id",
                         "hidden_activation", "rope_local_base_freq",
                         "torch_dtype", "transformers_version")}
    whole = dict(architectures=["Gemma3ForConditionalGeneration"],
                 model_type="gemma3", text_config=text,
                 vision_config={"num_hidden_layers": 27},
                 eos_token_id=[config["eos_token_id"]],
                 torch_dtype="bfloat16")
    seen = {"vision_tower.vision_model.encoder.layers.9.mlp.fc1.weight":
            ("BF16", [2], bytes(4)),
            "multi_modal_projector.mm_soft_emb_norm.weight":
            ("BF16", [1], bytes(2))}
    for first, other in (("language_model.model.", ""),
                         ("model.language_model.", "model.")):
        shutil.copytree(plain, folder)
        step.write_safetensors(
            os.path.join(folder, "model.safetensors"),
            dict({first + n[len("model."):]: t for n, t in tensors.items()},
                 **{other + n: t for n, t in seen.items()}))
        with open(os.path.join(folder, "config.json"), "w") as f:
            json.dump(whole, f)
        b.model = folder
        b.fingerprint()
        head = b.json("base/head.fp.json")["tensors"]
        step.check(set(other + n for n in seen) < set(head), sorted(head))
        b.calibrate()
        step.check(open(b.candidate("q8", "Q8_0", "awq"), "rb").read() ==
                   want, first, "gives another file")
        shutil.rmtree(folder)


def strange_parts(b):
    """A part that is neither text nor sight is refused, as is a model that
    sees without a config for its text."""
    b.own_model()
    path = os.path.join(b.model, "config.json")
    with open(path) as f:
        config = json.load(f)
    config["architectures"] = ["Gemma3ForConditionalGeneration"]
    with open(path, "w") as f:
        json.dump(config, f)
    text = b.copy(os.path.join(step.DATA, "valid.txt"), "text.txt")

    def refused(want):
        done = subprocess.run(
            [os.path.join(step.BIN, "quern-perplexity"), b.model, text],
            capture_output=True, text=True)
        step.check(done.returncode == 1 and want in done.stderr, done.stderr,
                   "lacks", want)

    refused("config.json: 'text_config' is missing")
    with open(path, "w") as f:
        json.dump(dict(config, text_config={"hidden_size": 256}), f)
    refused("tensor 'language_model.model.embed_tokens.weight' is missing")
    b.model = os.path.join(b.top, "seeing")
    os.makedirs(b.model)
    keys = os.path.join(b.top, "keys.json")
    with open(keys, "w") as f:
        json.dump(dict(KEYS["Gemma3"], architectures=["Gemma3ForCausalLM"]), f)
    subprocess.run([TINY, "-l", "2", "-c", keys, b.model], check=True)
    weights = os.path.join(b.model, "model.safetensors")
    tensors = step.read_safetensors(weights)
    step.write_safetensors(weights, dict(
        tensors, **{"vision_tower.x": ("BF16", [1], bytes(2))}))
    refused("tensor 'vision_tower.x' is not part of a Gemma3ForCausalLM")


def experts(b, family, n, used):
    prepare(b, family)
    path = b.candidate("q8", "Q8_0", "imatrix")
    g = step.Gguf(path)
    step.equal(of_layer(g, "ffn_gate_exps")[:2], ([256, 256, n], Q8_0))
    step.equal(of_layer(g, "ffn_down_exps")[:2], ([256, 256, n], Q8_0))
    step.equal(of_layer(g, "ffn_gate_inp")[:2], ([256, n], F32))
    stats = b.path("stats/layer.002.safetensors")
    header, _ = step.safetensors_header(stats)
    tokens = int(header["__metadata__"]["tokens"])
    given = step.safetensors_values(stats, "expert.tokens")
    step.equal(sum(given), tokens * used, "tokens of all experts")
    step.equal(given, step.safetensors_values(stats, "expert_down.tokens"))
    step.equal(header["expert.mean2"]["shape"], [n, 256])
    check_quality(b, path)


def stacked(b, family, names):
    """Rewrites that family's folder with the experts of a layer in one tensor.
    """
    weights = os.path.join(b.model, "model.safetensors")
    old = step.read_safetensors(weights)
    new, gate, up, down = {}, *names
    for name, (kind, shape, data) in old.items():
        if ".experts." not in name:
            new[name.replace("block_sparse_moe.gate", "mlp.gate")] = \
                (kind, shape, data)
    for layer in range(step.LAYERS):
        start = f"model.layers.{layer}."
        inner = start + ("block_sparse_moe" if family == "Mixtral" else "mlp")
        n = sum(f"{inner}.experts.{i}.{gate}.weight" in old
                for i in range(64))

        def parts(*which):
            return [old[f"{inner}.experts.{i}.{w}.weight"]
                    for i in range(n) for w in which]
        for name, which in (("gate_up_proj", (gate, up)),
                            ("down_proj", (down,))):
            found = parts(*which)
            rows, cols = found[0][1]
            new[f"{start}mlp.experts.{name}"] = (
                found[0][0], [n, rows * len(which), cols],
                b"".join(t[2] for t in found))
    step.write_safetensors(weights, new)


def stacked_experts(b):
    """Experts stacked in one tensor, as transformers 5 holds them: the same
    file."""
    for family, names in (("Mixtral", ("w1", "w3", "w2")),
                          ("Qwen3Moe", ("gate_proj", "up_proj",
                                        "down_proj"))):
        prepare(b, family)
        text = b.copy(os.path.join(step.DATA, "valid.txt"), "text.txt")
        with open(text, "r+") as f:
            f.truncate(1500)
        loss = nll(b.model, text)
        with open(b.candidate("q8", "Q8_0", "imatrix"), "rb") as f:
            want = f.read()
        stacked(b, family, names)
        step.equal(nll(b.model, text), loss, family)
        b.fingerprint()
        b.calibrate()
        with open(b.candidate("q8", "Q8_0", "imatrix"), "rb") as f:
            step.check(f.read() == want, family, "gives another file")
        weights = os.path.join(b.model, "model.safetensors")
        tensors = step.read_safetensors(weights)
        step.write_safetensors(weights, dict(tensors, extra=(
            "BF16", [1], bytes(2))))
        done = subprocess.run([os.path.join(step.BIN, "quern-perplexity"),
                               b.model, text], capture_output=True, text=True)
        step.check("tensor 'extra' is not part of a" in done.stderr,
                   done.stderr)
        shutil.rmtree(b.model)


def mixtral(b):
    """Mixtral: experts are stacked, and the tokens of each are counted."""
    experts(b, "Mixtral", 4, 2)


def qwen_moe(b):
    """Qwen 3 MoE: the same under its own names."""
    experts(b, "Qwen3Moe", 8, 3)


if __name__ == "__main__":
    step.main([biases, fused, four_norms, two_rotations, part_of_more,
               strange_parts, mixtral, qwen_moe,
               stacked_experts])
