#!/bin/sh
# Stands between cargo and rustc for the crates of this workspace: those that a
# fuzz target runs through are built so that libFuzzer sees which way an input
# took. Dependencies are not, and so are not built again.
set -eu

name=
previous=
for word in "$@"; do
    case $previous in
    --crate-name) name=$word ;;
    --target) case $word in wasm*) exec "$@" ;; esac ;;
    esac
    previous=$word
done

case $name in
thrall | thrall_fuzz | thrall_sdk | declarative_patterns)
    exec "$@" --cfg fuzzing \
        -Cpasses=sancov-module \
        -Cllvm-args=-sanitizer-coverage-level=4 \
        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
        -Cllvm-args=-sanitizer-coverage-pc-table \
        -Cllvm-args=-sanitizer-coverage-trace-compares \
        -Clink-dead-code
    ;;
*) exec "$@" ;;
esac
