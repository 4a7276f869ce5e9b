#!/bin/sh
# Every test of the workspace. nextest runs them in parallel and names slow ones;
# without it, cargo's own runner does the same tests. Documentation examples are
# always cargo's. The arguments are the cargo command and its profile.
set -eu

cargo=$1
shift

if "$cargo" nextest --version >/dev/null 2>&1; then
    "$cargo" nextest run --config-file .config/nextest.toml "$@" --workspace
else
    "$cargo" test "$@" --workspace --lib --bins --tests
fi
"$cargo" test "$@" --workspace --doc
