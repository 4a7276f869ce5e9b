# shellcheck shell=sh
# Shared by the scripts beside it: talking, failing, and where things are kept.
# Sourced, never run.

# A shell that was opened before rustup was installed does not know its folder.
PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin

# All talk goes to stderr; stdout stays free for data.
say() { printf 'thrall: %s\n' "$*" >&2; }

# Exit status 2 means "usage or environment", as for the thrall command itself.
stop() {
    say "$1"
    shift
    for line in "$@"; do
        printf '    %s\n' "$line" >&2
    done
    exit 2
}

have() { command -v "$1" >/dev/null 2>&1; }

# What is kept between runs and shared by checkouts; safe to delete.
cache_folder() { printf '%s/thrall\n' "${XDG_CACHE_HOME:-$HOME/.cache}"; }

# Eight hex digits for standard input. A key, not a defence: cksum is the only
# digest that POSIX promises.
short_hash() { cksum | { read -r sum _ && printf '%08x\n' "$sum"; }; }

# How this machine installs packages, as one word.
package_manager() {
    for tool in apt-get dnf pacman brew; do
        if have "$tool"; then
            printf '%s\n' "$tool"
            return
        fi
    done
    printf 'unknown\n'
}

is_root() { [ "$(id -u)" = 0 ]; }
