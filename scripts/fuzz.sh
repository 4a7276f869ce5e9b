#!/bin/sh
# Runs one fuzz target under libFuzzer: fuzz.sh TARGET [SECONDS] [CARGO].
# Targets: manifest, grant, envelope, component. What it finds new is kept in
# the target folder and used by the next run; what breaks is written there as
# crash-*, and the exit status is not 0.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(dirname -- "$here")
target=$1
seconds=${2:-600}
cargo=${3:-cargo}

cd "$root"
out=${CARGO_TARGET_DIR:-target}
# Only crates of this workspace are built so that coverage is seen. The first
# build takes long all the same: for one program cargo chooses other features of
# dependencies than for everything, and builds those once more.
RUSTC_WORKSPACE_WRAPPER="$here/fuzz_rustc.sh" "$cargo" build --release --locked --workspace \
    --features thrall-fuzz/libfuzzer --bin thrall-fuzz

found=$out/fuzz/$target
mkdir -p "$found"
longest=8192
if [ "$target" = component ]; then longest=65536; fi
THRALL_FUZZ_TARGET=$target "$out/release/thrall-fuzz" \
    -max_total_time="$seconds" -max_len="$longest" -timeout=60 -rss_limit_mb=4096 \
    -print_final_stats=1 -artifact_prefix="$found-" \
    "$found" "tests/fuzz/corpus/$target"
