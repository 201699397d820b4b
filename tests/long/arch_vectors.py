#!/usr/bin/env python3
"""Logits of tiny models of every architecture, as transformers computes them.

    arch_vectors.py [--write | --configs] [NAME ..]

With --write makes tests/data/arch/NAME/config.json and vectors.safetensors (I32
`ids`, F32 `logits` [ids][vocabulary]; for longrope also those of the first ids
alone, `short`), which tests/lib/model/arches.c replays. Otherwise makes them
anew and compares with what is there. torch and transformers are looked for here
and in out/venv-torch, where they are installed if need be (PyPI's torch for
x86-64 brings 3 GB of libraries for graphics cards, which are not used).
--configs writes config.new.json, the config as transformers 5 saves it, and needs
that one (5.23).

Weights are not stored: value i of a tensor comes from its name and i alone, see
weights(); arches.c has the same.
"""
import importlib.util
import json
import os
import subprocess
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..')
DATA = os.path.join(ROOT, 'tests', 'data', 'arch')
VENV = os.path.join(ROOT, 'out', 'venv-torch')
PACKAGES = ['torch==2.6.0', 'transformers==4.57.1', 'numpy', 'safetensors']
IDS = 40
SHORT = 20

COMMON = dict(
    hidden_size=64, intermediate_size=96, num_hidden_layers=2,
    num_attention_heads=4, num_key_value_heads=2, vocab_size=128,
    rms_norm_eps=1e-5, max_position_embeddings=256, bos_token_id=0,
    eos_token_id=1, tie_word_embeddings=False, rope_theta=10000.0,
    hidden_act='silu', torch_dtype='float32')


def find_torch():
    """Goes on in a Python that has the packages; makes one if there is none."""
    if all(importlib.util.find_spec(p.split('==')[0]) for p in PACKAGES):
        return
    python = os.path.join(VENV, 'bin', 'python3')
    if os.path.realpath(sys.prefix) == os.path.realpath(VENV):
        sys.exit('packages are missing in ' + VENV + '; remove it')
    if not os.path.exists(os.path.join(VENV, 'ready')):
        subprocess.run([sys.executable, '-m', 'venv', '--clear', VENV],
                       check=True)
        subprocess.run([python, '-m', 'pip', 'install', '-q',
                        '--no-compile'] + PACKAGES,
                       check=True)
        open(os.path.join(VENV, 'ready'), 'w').close()
    os.execv(python, [python] + sys.argv)


def longrope(dims):
    return dict(
        type='longrope',
        short_factor=[1.0 + 0.05 * i for i in range(dims // 2)],
        long_factor=[1.5 + 0.75 * i for i in range(dims // 2)])


def yarn(original):
    return dict(rope_type='yarn', factor=4.0,
                original_max_position_embeddings=original)


GEMMA = dict(
    head_dim=16, query_pre_attn_scalar=16, sliding_window=8,
    hidden_activation='gelu_pytorch_tanh', tie_word_embeddings=True,
    attention_bias=False)

MODELS = {
    'llama2': ('Llama', {}),
    'llama3': ('Llama', dict(
        tie_word_embeddings=True, num_key_value_heads=1, rope_theta=500000.0,
        rope_scaling=dict(rope_type='llama3', factor=8.0, low_freq_factor=1.0,
                          high_freq_factor=4.0,
                          original_max_position_embeddings=32))),
    'llama-linear': ('Llama', dict(
        attention_bias=True, mlp_bias=True,
        rope_scaling=dict(type='linear', factor=4.0))),
    'llama-dynamic': ('Llama', dict(
        rope_scaling=dict(type='dynamic', factor=2.0))),
    'llama-yarn': ('Llama', dict(rope_scaling=yarn(64))),
    'mistral': ('Mistral', dict(head_dim=24, sliding_window=12)),
    'qwen2': ('Qwen2', dict(
        use_sliding_window=False, sliding_window=8, max_window_layers=1)),
    'qwen2-window': ('Qwen2', dict(
        use_sliding_window=True, sliding_window=8, max_window_layers=1,
        rope_scaling=yarn(32))),
    'qwen3': ('Qwen3', dict(head_dim=32, attention_bias=False,
                            use_sliding_window=False)),
    'phi3': ('Phi3', dict(
        partial_rotary_factor=0.75, sliding_window=30, pad_token_id=0)),
    'phi3-longrope': ('Phi3', dict(
        pad_token_id=0, sliding_window=None,
        original_max_position_embeddings=24,
        rope_scaling=longrope(16))),
    'gemma2': ('Gemma2', dict(
        GEMMA, num_hidden_layers=4, attn_logit_softcapping=50.0,
        final_logit_softcapping=30.0)),
    'gemma3': ('Gemma3', dict(
        GEMMA, num_hidden_layers=7, rope_theta=1000000.0,
        rope_local_base_freq=10000.0, sliding_window_pattern=6,
        rope_scaling=dict(rope_type='linear', factor=8.0))),
    'mixtral': ('Mixtral', dict(num_local_experts=8, num_experts_per_tok=2,
                                sliding_window=None)),
    'qwen3moe': ('Qwen3Moe', dict(
        head_dim=32, num_experts=8, num_experts_per_tok=3,
        moe_intermediate_size=32, norm_topk_prob=True, decoder_sparse_step=1,
        mlp_only_layers=[], attention_bias=False,
        use_sliding_window=False)),
    'qwen3moe-dense': ('Qwen3Moe', dict(
        head_dim=32, num_experts=8, num_experts_per_tok=2,
        num_hidden_layers=4, moe_intermediate_size=32, norm_topk_prob=False,
        decoder_sparse_step=2, mlp_only_layers=[3], attention_bias=False,
        use_sliding_window=False)),
}


def config_of(name):
    family, own = MODELS[name]
    config = dict(COMMON, architectures=[family + 'ForCausalLM'],
                  model_type={'Qwen3Moe': 'qwen3_moe',
                              'Gemma3': 'gemma3_text'}.get(
                                  family, family.lower()))
    config.update(own)
    return config


def noise(name, n):
    """n values in [-1, 1): splitmix64 of the name's FNV-1a hash and 0 .. n - 1.
    """
    import numpy as np
    h = 0xcbf29ce484222325
    for b in name.encode():
        h = (h ^ b) * 0x100000001b3 % 2**64
    with np.errstate(over='ignore'):
        x = np.arange(1, n + 1, dtype=np.uint64)
        x = x * np.uint64(0x9e3779b97f4a7c15) + np.uint64(h)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xbf58476d1ce4e5b9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94d049bb133111eb)
        x = x ^ (x >> np.uint64(31))
    return (x >> np.uint64(40)).astype(np.float32) / np.float32(2**23) - \
        np.float32(1)


def weights(name, shape, gemma):
    import numpy as np
    u = noise(name, int(np.prod(shape))).reshape(shape)
    if name.endswith('norm.weight'):
        return np.float32(0 if gemma else 1) + np.float32(0.25) * u
    if name.endswith('.bias'):
        return np.float32(0.25) * u
    if name.endswith('embed_tokens.weight'):
        return u
    if name.endswith('.gate.weight'):
        return np.float32(0.5) * u
    return np.float32(0.25) * u


def compute(name):
    import numpy as np
    import torch
    import transformers
    config = config_of(name)
    cls = getattr(transformers, config['architectures'][0])
    made = cls.config_class.from_dict(config)
    made._attn_implementation = 'eager'
    torch.manual_seed(0)
    model = cls(made).eval()
    gemma = 'Gemma' in config['architectures'][0]
    with torch.no_grad():
        for key, p in model.named_parameters():
            p.copy_(torch.from_numpy(weights(key, tuple(p.shape), gemma)))
        ids = torch.tensor([[(i * i * 7 + i * 13 + 3) % 128
                             for i in range(IDS)]])
        out = {'ids': ids[0].numpy().astype(np.int32),
               'logits': model(ids).logits[0].numpy()}
        if 'longrope' in name:
            out['short'] = model(ids[:, :SHORT]).logits[0].numpy()
    return config, out


def write_config(name):
    import transformers
    config = config_of(name)
    cls = getattr(transformers, config['architectures'][0])
    made = cls.config_class.from_dict(config)
    cls(made).save_pretrained('out/arch')
    os.rename('out/arch/config.json',
              os.path.join(DATA, name, 'config.new.json'))


def main():
    if '--configs' in sys.argv:
        for name in MODELS:
            write_config(name)
        return 0
    find_torch()
    import numpy as np
    from safetensors.numpy import load_file, save_file
    args = [a for a in sys.argv[1:] if a != '--write']
    check = '--write' not in sys.argv
    failed = 0
    names = args or list(MODELS)
    for k, name in enumerate(names):
        folder = os.path.join(DATA, name)
        path = os.path.join(folder, 'vectors.safetensors')
        config, out = compute(name)
        out = {key: np.ascontiguousarray(v) for key, v in out.items()}
        if not check:
            os.makedirs(folder, exist_ok=True)
            with open(os.path.join(folder, 'config.json'), 'w') as f:
                json.dump(config, f, indent=1)
                f.write('\n')
            save_file(out, path, metadata={'format': 'np'})
            print(name, 'largest logit', float(np.abs(out['logits']).max()))
            continue
        have = load_file(path)
        with open(os.path.join(folder, 'config.json')) as f:
            same = json.load(f) == config and sorted(have) == sorted(out)
        far = max(float(np.abs(have[key] - out[key]).max())
                  for key in have) if same else float('inf')
        failed += not far < 1e-4
        print('%sok %d - %s: committed logits are transformers\' within %g' %
              ('' if far < 1e-4 else 'not ', k + 1, name, far))
    if check:
        print('1..%d' % len(names))
    return failed > 0


if __name__ == '__main__':
    sys.exit(main())
