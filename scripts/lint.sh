#!/bin/sh
# The slower checks: clippy with warnings refused, and, where cargo-deny is
# installed, licences, advisories and sources. The arguments are the cargo
# command and its profile.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"

cargo=$1
shift

"$cargo" clippy "$@" --workspace --all-targets -- -D warnings
if "$cargo" deny --version >/dev/null 2>&1; then
    "$cargo" deny --locked check --config .config/deny.toml
else
    say "cargo-deny is not installed; licences were not checked (cargo install --locked cargo-deny)"
fi
