# shellcheck shell=sh
# The standard library for wasm32-unknown-unknown, which the recipes are built
# for. Three ways, the first that works: it is there already; rustup adds it;
# the library's source, from which the guests' builder compiles it.
#
# RUSTUP_AUTO_INSTALL=0 or THRALL_NO_RUSTUP=1 means that rustup is left alone.

wasm_target=wasm32-unknown-unknown

sysroot_libs() { printf '%s/lib/rustlib\n' "$(rustc --print sysroot)"; }

prebuilt_wasm_std_present() { [ -d "$(sysroot_libs)/$wasm_target/lib" ]; }

std_source_present() { [ -e "$(sysroot_libs)/src/rust/library/Cargo.lock" ]; }

wasm_std_present() { prebuilt_wasm_std_present || std_source_present; }

ensure_wasm_std() {
    wasm_std_present && return 0
    if rustup_may_be_used && add_target_with_rustup; then
        return 0
    fi
    if source_from_debian_possible && link_source_from_debian "$(rust_release)"; then
        return 0
    fi
    name_wasm_std_ways
}

rustup_may_be_used() {
    [ "${RUSTUP_AUTO_INSTALL:-1}" != 0 ] && [ "${THRALL_NO_RUSTUP:-0}" != 1 ] && have rustup
}

add_target_with_rustup() {
    say "adding the target $wasm_target with rustup"
    rustup target add "$wasm_target" >&2 && prebuilt_wasm_std_present
}

name_wasm_std_ways() {
    stop "no standard library for $wasm_target, and no way that works from here. One of these, then again:" \
        "rustup target add $wasm_target" \
        "rustup component add rust-src" \
        "sudo dnf install rust-std-static-$wasm_target      (Rust from Fedora)" \
        "sudo pacman -S rust-wasm                               (Rust from Arch)" \
        "sudo apt-get install libstd-rust-dev-wasm32            (Rust from Debian or Ubuntu)"
}
