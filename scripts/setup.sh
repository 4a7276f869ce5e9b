#!/bin/sh
# Makes a fresh machine able to build thrall: Rust, C++ tools, the wasm target's
# standard library, and the builder of recipes in Python. Says in one line what it did, and does nothing the second time.
#
# Models are not part of it; they need the built program (scripts/models.sh).
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"
# shellcheck source=scripts/setup/rust.sh
. "$here/setup/rust.sh"
# shellcheck source=scripts/setup/native_tools.sh
. "$here/setup/native_tools.sh"
# shellcheck source=scripts/setup/debian_rust_src.sh
. "$here/setup/debian_rust_src.sh"
# shellcheck source=scripts/setup/wasm_std.sh
. "$here/setup/wasm_std.sh"
# shellcheck source=scripts/setup/componentize_py.sh
. "$here/setup/componentize_py.sh"

# One stamp per compiler and per version of these scripts, so that either change
# makes the set-up look again.
stamp_file() {
    key=$({
        rustc -vV
        rustc --print sysroot
        cat "$here/lib.sh" "$here/setup.sh" "$here"/setup/*.sh
    } | short_hash)
    printf '%s/setup-%s.stamp\n' "$(cache_folder)" "$key"
}

ensure_rust
stamp=$(stamp_file)
if [ -e "$stamp" ] && wasm_std_present && componentize_py_present; then
    exit 0
fi

ensure_native_tools
ensure_wasm_std
ensure_componentize_py
mkdir -p "$(cache_folder)"
: >"$stamp"
say "this machine is ready to build"
