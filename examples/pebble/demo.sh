#!/bin/sh
# usage: examples/pebble/demo.sh [SETTING ...]
# The main job on a real model: a policy becomes a graph, the graph a signed
# release. Keys, repository and archive are throwaway ones under out/pebble.
# Run from the top of the source tree; `make demo` builds the programs first and
# hands its compiler settings on to the generator.
set -eu
quern=out/bin/quern
dir=out/pebble
policy=examples/pebble/policy.yaml
start=$(date +%s)

# Owners' keys: in real use each owner makes his own and keeps it.
for owner in modeling platform; do
    [ -f $dir/keys/$owner ] || $quern keygen -s $dir/keys/allowed_signers \
        $dir/keys/$owner $owner@example.org
done

# What this version does not carry out is waived until a date; the owners sign
# the text as the policy has it now. Equal text gives equal signatures.
mkdir -p $dir/unsigned
$quern gen --print $policy >$dir/unsigned/policy.json
for owner in modeling platform; do
    $quern waive -C $dir/unsigned -k $dir/keys/$owner >/dev/null
done

# One graph: it compiles the programs and carries out the policy.
$quern gen --source . --build $dir "$@" -o build.ninja $policy
$quern build -C $dir -f build.ninja

echo
$quern table $dir
live=$(sed -n 's/.*"commit": "\(.\{10\}\).*/\1/p' $dir/release.json)
cat <<EOF

live: commit $live of $dir/releases.git   report: $dir/report.html
verify it:             $quern verify -C $dir
where every item is:   $quern status -C $dir
see it incremental:    sed -i 's/count: 256/count: 255/' $policy; ninja
go back:               $quern rollback -C $dir
done in $(($(date +%s) - start)) seconds
EOF
