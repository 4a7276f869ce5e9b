# shellcheck shell=sh
# The Rust toolchain: present, and new enough. Never installed unasked: a user
# chooses where a compiler comes from.

rust_minimum_minor=95
rustup_line="curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile default"

ensure_rust() {
    if ! have rustc || ! have cargo; then
        stop "there is no Rust compiler here; thrall needs 1.$rust_minimum_minor or newer. To install it:" "$rustup_line"
    fi
    if ! rust_is_new_enough "$(rust_release)"; then
        refuse_old_rust
    fi
}

# 1.95.0, without any "-nightly".
rust_release() { rustc -vV | sed -n 's/^release: \([0-9.]*\).*/\1/p'; }

rust_is_new_enough() {
    major=${1%%.*}
    rest=${1#*.}
    minor=${rest%%.*}
    [ "$major" -gt 1 ] || [ "$minor" -ge "$rust_minimum_minor" ]
}

refuse_old_rust() {
    if have rustup; then
        stop "rustc $(rust_release) is too old; thrall needs 1.$rust_minimum_minor or newer. To update it:" "rustup update stable"
    fi
    stop "rustc $(rust_release) is too old; thrall needs 1.$rust_minimum_minor or newer. To install a current one beside it:" "$rustup_line"
}
